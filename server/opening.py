"""The workspace behind the server, opened by the first call that needs it.

A server whose workspace is locked, read-only, damaged or from a newer version still starts and lists its tools;
each call then answers with the sentence that says what to do, and the next call tries again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from loradeck.tools.workbench import Engines, Workbench, cannot_ask

if TYPE_CHECKING:
    from loradeck.state.store import Store

Progress = Callable[[float, float | None, str], None]


def _unheard(done: float, total: float | None, message: str) -> None:
    """Where nobody asked for progress."""


class Opening:
    """The store, the engines and the launcher, each made once and late. Safe to share between threads."""

    def __init__(self, home: Path, launch: Callable[[str], None]) -> None:
        self.home = home
        self.launch = launch
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._engines: Engines | None = None

    @property
    def store(self) -> Store:
        """The open store. Raises a StateError, anew each time, while the workspace cannot be used."""
        from loradeck.state.store import Store

        with self._lock:
            if self._store is None:
                self._store = Store(self.home)
            return self._store

    @property
    def engines(self) -> Engines:
        """The registry of engines."""
        from loradeck.engines.registry import Registry

        with self._lock:
            if self._engines is None:
                self._engines = Registry()
            return self._engines

    def workbench(self, progress: Progress = _unheard, ask: Callable[[str], bool | None] = cannot_ask) -> Workbench:
        """What one call works with. Raises a StateError while the workspace cannot be used."""
        return Workbench(store=self.store, engines=self.engines, launch=self.launch, progress=progress, ask=ask)
