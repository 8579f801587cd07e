"""A reporter in memory. Give the journal of one to another, and a "crash" lies between the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from support.purse import MemoryPurse

from loradeck.engines.errors import Cancelled


class Crash(BaseException):
    """Stands for a killed process: nothing catches it."""


class MemoryJournal:
    """Keeps JSON, as the real one does; in a file too, where another process is to read it."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.kept: dict[str, str] = json.loads(file.read_text()) if file and file.exists() else {}

    def put(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)
        if self.file:
            self.file.write_text(json.dumps(self.kept))

    def get(self, key: str) -> Any | None:
        return json.loads(self.kept[key]) if key in self.kept else None


class MemoryReporter:
    """Remembers what it is told. `crash_at` or `cancel_at` is the step (as last told) at which it acts."""

    def __init__(
        self,
        journal: MemoryJournal | None = None,
        *,
        purse: MemoryPurse | None = None,
        crash_at: int | None = None,
        cancel_at: int | None = None,
    ) -> None:
        self._journal = journal or MemoryJournal()
        self._purse = purse or MemoryPurse()
        self.crash_at, self.cancel_at = crash_at, cancel_at
        self.steps: list[tuple[int, int, str]] = []
        self.numbers: list[tuple[int, dict[str, float]]] = []
        self.events: list[tuple[str, str]] = []
        self.checkpoints: list[tuple[int, Path, str]] = []
        self.samples: list[tuple[int, Path, str]] = []
        self.pauses: list[tuple[int, str]] = []

    @property
    def journal(self) -> MemoryJournal:
        return self._journal

    @property
    def purse(self) -> MemoryPurse:
        return self._purse

    def progress(self, step: int, steps: int, message: str = "") -> None:
        self.steps.append((step, steps, message))
        if self.crash_at is not None and step >= self.crash_at:
            raise Crash(f"killed at step {step}")

    def pause(self, step: int, steps: int, message: str) -> None:
        self.pauses.append((step, message))

    def metrics(self, step: int, values: dict[str, float]) -> None:
        self.numbers.append((step, dict(values)))

    def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        self.events.append((level, message))

    def checkpoint(self, step: int, path: Path, sha256: str) -> None:
        self.checkpoints.append((step, path, sha256))

    def sample(self, step: int, path: Path, prompt: str) -> None:
        self.samples.append((step, path, prompt))

    def flush(self) -> None:
        """Nothing is gathered here."""

    def raise_if_cancelled(self) -> None:
        if self.cancel_at is not None and self.steps and self.steps[-1][0] >= self.cancel_at:
            raise Cancelled("Stopped as asked.")

    def series(self, name: str) -> list[tuple[int, float]]:
        """One metric over the steps, in the order told."""
        return [(step, values[name]) for step, values in self.numbers if name in values]
