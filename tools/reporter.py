"""What an engine tells while it works, written to the store; and what a person asked for, told to the engine.

Progress and metrics are gathered and written twice a second, and on `flush`, since every write waits for the disk.
Whatever a resume relies on (journal, checkpoints) is on the disk before the call returns. Every write names the run's
token, so that a worker whose run was taken over writes nothing more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

from loradeck.engines.base import Journal, Purse
from loradeck.engines.errors import Cancelled, Leaving
from loradeck.state import runs
from loradeck.state.errors import DatabaseBusy, DiskFull, LeaseLost
from loradeck.state.files import now
from loradeck.state.records import CheckpointRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.spending.purse import StorePurse

log = logging.getLogger("loradeck.reporter")
TELL_SECONDS = 0.5
PATIENCE_SECONDS = 300.0
ROOM_SECONDS = 2.0
Written = TypeVar("Written")


def patiently(write: Callable[[], Written]) -> Written:
    """Do a write that must not be missed.

    A database that another program holds is waited for, up to five minutes; a full disk until there is room.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return write()
        except DatabaseBusy:
            if time.monotonic() > deadline:
                raise
        except DiskFull as error:
            log.warning("waiting for room: %s", error)
            time.sleep(ROOM_SECONDS)


class StoreJournal:
    """The durable memory of one run (`engines.base.Journal`)."""

    def __init__(self, store: Store, run_id: str, token: str) -> None:
        self._store, self._run_id, self._token = store, run_id, token

    def put(self, key: str, value: Any) -> None:
        """Store a JSON value; on the disk before it returns. Raises LeaseLost."""

        def write() -> None:
            with runs.owned(self._store, self._run_id, self._token):
                runs.journal_put(self._store, self._run_id, key, value)

        patiently(write)

    def get(self, key: str) -> Any | None:
        """Read it back, or None."""
        return runs.journal_get(self._store, self._run_id, key)


class StoreReporter:
    """`engines.base.Reporter` over the store, for the worker that owns the run.

    `stopping` is set from outside (a signal) when the worker must leave while the run may go on later. All methods
    raise LeaseLost once another worker took the run over. Used by one thread.
    """

    def __init__(self, store: Store, run_id: str, token: str, stopping: threading.Event | None = None) -> None:
        self._store, self._run_id, self._token = store, run_id, token
        self._stopping = stopping or threading.Event()
        self._journal = StoreJournal(store, run_id, token)
        self._purse = StorePurse(store, run_id, token, patiently)
        self._standing: dict[str, Any] = {}
        self._metrics: dict[int, dict[str, float]] = {}
        self._told = 0.0

    @property
    def journal(self) -> Journal:
        """The durable memory of this run."""
        return self._journal

    @property
    def purse(self) -> Purse:
        """The ledger of this run."""
        return self._purse

    def progress(self, step: int, steps: int, message: str = "") -> None:
        """Where the work stands; the first word also says that the run is running."""
        self._standing = {"state": "running", "step": step, "steps": steps, "message": message}
        if time.monotonic() - self._told >= TELL_SECONDS or step >= steps:
            try:
                self._write()
            except (DatabaseBusy, DiskFull):
                self._told = time.monotonic()  # told with the next word; no reason to stop a training

    def pause(self, step: int, steps: int, message: str) -> None:
        """The work waits, and a person can mend it; where the same disk holds the database, the log says it alone."""
        log.warning("%s", message)
        self._standing = {"state": "paused", "step": step, "steps": steps, "message": message}
        try:
            self._write(lambda: runs.add_event(self._store, self._run_id, message, "warning"))
        except (DatabaseBusy, DiskFull) as error:
            log.warning("not written down: %s", error)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Numbers measured at a step; written with the next progress, checkpoint or event, or by `flush`."""
        self._metrics.setdefault(step, {}).update(values)

    def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """A line for a person."""
        patiently(lambda: self._write(lambda: runs.add_event(self._store, self._run_id, message, level)))

    def checkpoint(self, step: int, path: Path, sha256: str) -> None:
        """A checkpoint is whole on the disk, and so is the row that says so, before this returns."""
        self._keep(CheckpointRecord(self._run_id, step, str(path), sha256, created_at=now()))

    def sample(self, step: int, path: Path, prompt: str) -> None:
        """A sample picture is on the disk."""
        self._keep(SampleRecord(self._run_id, step, str(path), prompt, created_at=now()))

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled when the person said stop, Leaving when the worker must, LeaseLost when it is not ours."""
        if self._stopping.is_set():
            raise Leaving("The worker was asked to end; the run can be resumed.")
        query = "select token, cancel_requested from runs where id = ?"
        rows = self._store.read(query, [self._run_id])
        if not rows or rows[0]["token"] != self._token:
            raise LeaseLost(f"Another worker took {self._run_id} over; this one stops and leaves everything as it is.")
        if rows[0]["cancel_requested"]:
            raise Cancelled("Stopped as asked; what was done is kept.")

    def flush(self) -> None:
        """Write what was gathered: before a state that skips it, and before the run ends."""
        patiently(self._write)

    def _keep(self, record: CheckpointRecord | SampleRecord) -> None:
        patiently(lambda: self._write(lambda: self._store.add(record)))

    def _write(self, also: Callable[[], None] = lambda: None) -> None:
        """One transaction for all that was gathered and `also`; it stays gathered when the transaction fails."""
        with runs.owned(self._store, self._run_id, self._token):
            if self._standing:
                runs.update(self._store, self._run_id, self._token, **self._standing)
            for step, values in self._metrics.items():
                runs.add_metrics(self._store, self._run_id, step, values)
            also()
        self._standing, self._metrics = {}, {}
        self._told = time.monotonic()
