"""One part of a longer work: what an engine tells of its steps is told as steps of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from loradeck.engines.base import Journal, Purse, Reporter


class Portion:
    """`engines.base.Reporter` for a part that begins after `before` of `steps` steps; `what` names the part."""

    def __init__(self, whole: Reporter, before: int, steps: int, what: str) -> None:
        self._whole, self._before, self._steps, self._what = whole, before, steps, what

    @property
    def journal(self) -> Journal:
        """That of the whole."""
        return self._whole.journal

    @property
    def purse(self) -> Purse:
        """That of the whole."""
        return self._whole.purse

    def progress(self, step: int, steps: int, message: str = "") -> None:  # noqa: ARG002  the whole has its own count
        """Where the whole stands."""
        self._whole.progress(self._before + step, self._steps, message or self._what)

    def pause(self, step: int, steps: int, message: str) -> None:  # noqa: ARG002
        """The whole waits."""
        self._whole.pause(self._before + step, self._steps, message)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Numbers measured at a step."""
        self._whole.metrics(self._before + step, values)

    def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """A line for a person."""
        self._whole.event(message, level)

    def checkpoint(self, step: int, path: Path, sha256: str) -> None:
        """A checkpoint is whole on the disk."""
        self._whole.checkpoint(self._before + step, path, sha256)

    def sample(self, step: int, path: Path, prompt: str) -> None:
        """A sample picture is on the disk."""
        self._whole.sample(self._before + step, path, prompt)

    def flush(self) -> None:
        """Whatever was told is on the disk."""
        self._whole.flush()

    def raise_if_cancelled(self) -> None:
        """Stop where the whole stops."""
        self._whole.raise_if_cancelled()
