"""What every tool and job gets handed: the store, the engines, a way to start a worker, a way to tell progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from loradeck.engines.base import Captioner, Engine, Reporter
from loradeck.state.records import RunRecord
from loradeck.state.store import Store


class Engines(Protocol):
    """The registry as tools see it; only the registry opens an engine."""

    def names(self) -> list[str]:
        """Installed engines, the embedded default first."""

    def open(self, name: str) -> Engine:
        """The engine of that name. Raises NotInstalled with the known names when there is none."""

    def choose(self, base_model: str, ability: str) -> Engine:
        """The engine that "auto" means for a base: the first ready one that can, of those that cost nothing if any.

        Raises NotInstalled.
        """

    def captioner(self, name: str) -> Captioner:
        """Who describes pictures: the one of that name, or for "auto" the first that is ready. Raises NotInstalled."""


def _quiet(done: float, total: float | None, message: str) -> None:
    """Where nobody asked for progress."""


def cannot_ask(question: str) -> bool | None:
    """Where the client has no way to ask the person."""


@dataclass(frozen=True)
class Workbench:
    """What a tool works with. `launch` starts a detached worker for a queued run and returns at once.

    `ask` puts a yes-or-no question to the person: None where the client cannot ask.
    """

    store: Store
    engines: Engines
    launch: Callable[[str], None]
    progress: Callable[[float, float | None, str], None] = field(default=_quiet)
    ask: Callable[[str], bool | None] = field(default=cannot_ask)


@dataclass(frozen=True)
class Job:
    """What a worker hands to a step's `job.run(job)`, which returns the step's own result model."""

    run: RunRecord
    store: Store
    engines: Engines
    reporter: Reporter
