"""The life of a run: queued, claimed by one worker, renewed by its heartbeat, ended, or found lost.

A worker owns a run while its token stands on the row. Every write of a worker names the token, so that a worker
that slept through its lease can change nothing once another took over. Times of leases are epoch seconds.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import fields
from typing import Any

import psutil

from loradeck.state.errors import LeaseLost
from loradeck.state.files import new_id, now
from loradeck.state.records import EventRecord, RunRecord
from loradeck.state.store import Store

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 3.0
ENDED = ("succeeded", "failed", "cancelled", "lost")
ACTIVE = ("queued", "preparing", "running", "paused")


def enqueue(store: Store, kind: str, spec: dict[str, Any], **columns: Any) -> RunRecord:
    """Write a new queued run; `columns` are further fields of RunRecord (name, dataset_id, engine ...)."""
    run = RunRecord(id=new_id("run"), kind=kind, state="queued", spec=spec, **columns)
    store.add(run)
    store.workspace.run(run.id).mkdir(parents=True, exist_ok=True)
    return get(store, run.id)


def get(store: Store, run_id: str) -> RunRecord:
    """The run, which must exist. Raises KeyError otherwise (tools look up with `find` first)."""
    run = store.find(RunRecord, run_id)
    if run is None:
        raise KeyError(run_id)
    return run


def process_alive(pid: int | None, started: float | None) -> bool:
    """True when that very process still lives: same pid and same start time (a pid alone is reused)."""
    if pid is None or started is None:
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def claim(store: Store, run_id: str) -> RunRecord | None:
    """Take a queued run for this process; None when another live worker has it or it is not queued."""
    me = psutil.Process()
    with store.transaction():
        run = get(store, run_id)
        held = run.lease_until > time.time() or process_alive(run.pid, run.pid_started)
        if run.state != "queued" or (run.token is not None and held):
            return None
        store.change(
            RunRecord,
            run_id,
            token=secrets.token_hex(8),
            pid=me.pid,
            pid_started=me.create_time(),
            lease_until=time.time() + LEASE_SECONDS,
            attempt=run.attempt + 1,
        )
        return get(store, run_id)


def update(store: Store, run_id: str, owner: str, **values: Any) -> None:
    """Change the row as its owner (the token). Raises LeaseLost when the token is no longer on it."""
    with store.transaction():
        if get(store, run_id).token != owner:
            raise LeaseLost(f"Another worker took {run_id} over; this one stops and leaves everything as it is.")
        store.change(RunRecord, run_id, **values)


def renew(store: Store, run_id: str, token: str) -> None:
    """One heartbeat: the lease of the run and of the devices it holds. Raises LeaseLost."""
    until = time.time() + LEASE_SECONDS
    with store.transaction() as db:
        update(store, run_id, token, lease_until=until)
        db.conn.execute("update leases set lease_until = ? where token = ?", [until, token])


def finish(store: Store, run_id: str, token: str, state: str, **values: Any) -> None:
    """End a run as its owner and give back what it held. Raises LeaseLost."""
    with store.transaction() as db:
        update(store, run_id, token, state=state, finished_at=now(), token=None, lease_until=0.0, **values)
        db.conn.execute("delete from leases where token = ?", [token])


def request_cancel(store: Store, run_id: str) -> RunRecord:
    """Ask a run to stop. A queued one that no worker holds is cancelled at once; an ended one is left alone."""
    with store.transaction():
        run = get(store, run_id)
        if run.state in ENDED:
            return run
        if run.state == "queued" and not process_alive(run.pid, run.pid_started):
            store.change(RunRecord, run_id, state="cancelled", cancel_requested=True, finished_at=now(), token=None)
        else:
            store.change(RunRecord, run_id, cancel_requested=True)
        return get(store, run_id)


def requeue(store: Store, run_id: str) -> RunRecord:
    """Make an ended run ready to go on (its journal and checkpoints stay). The caller launches it."""
    with store.transaction():
        store.change(
            RunRecord,
            run_id,
            state="queued",
            cancel_requested=False,
            error=None,
            result=None,
            finished_at=None,
            token=None,
            pid=None,
            pid_started=None,
            lease_until=0.0,
        )
        return get(store, run_id)


def sweep(store: Store) -> tuple[list[RunRecord], list[RunRecord]]:
    """Find runs whose worker is gone: (now marked lost, queued with nobody to run them).

    A run is lost only when its lease is over *and* its process is gone, so that a machine that slept loses nothing.
    """
    lost: list[RunRecord] = []
    waiting: list[RunRecord] = []
    for run in store.where(RunRecord, "state in ('queued', 'preparing', 'running', 'paused')"):
        if run.lease_until > time.time() or process_alive(run.pid, run.pid_started):
            continue
        if run.state == "queued":
            waiting.append(run)
            continue
        with store.transaction() as db:
            again = get(store, run.id)
            if again.token != run.token or again.state in ENDED:
                continue
            message = f"The worker is gone; resume with start_training(resume={run.id!r})."
            store.change(RunRecord, run.id, state="lost", finished_at=now(), token=None, message=message)
            db.conn.execute("delete from leases where run_id = ?", [run.id])
        lost.append(get(store, run.id))
    return lost, waiting


def take_device(store: Store, name: str, run_id: str, token: str) -> bool:
    """Take a named device (one local training at a time) for a run; false while a live run holds it."""
    until = time.time() + LEASE_SECONDS
    with store.transaction() as db:
        row = db.conn.execute("select run_id, token, lease_until from leases where name = ?", [name]).fetchone()
        if row is not None and row[1] != token:
            holder = store.find(RunRecord, row[0])
            alive = holder is not None and process_alive(holder.pid, holder.pid_started)
            if row[2] > time.time() or alive:
                return False
        db.conn.execute("insert or replace into leases values (?, ?, ?, ?)", [name, run_id, token, until])
    return True


# --------------------------------------------------------------------------- what a run tells


def add_event(store: Store, run_id: str, message: str, level: str = "info") -> None:
    """Append a line for a person."""
    with store.transaction() as db:
        db.conn.execute(
            "insert into events (run_id, level, message, created_at) values (?, ?, ?, ?)",
            [run_id, level, message, now()],
        )


def events(store: Store, run_id: str, last: int = 10) -> list[EventRecord]:
    """The last lines, oldest first."""
    names = ", ".join(f.name for f in fields(EventRecord))
    query = f"select {names} from events where run_id = ? order by id desc limit ?"  # noqa: S608
    return [EventRecord(**row) for row in store.db.query(query, [run_id, last])][::-1]


def add_metrics(store: Store, run_id: str, step: int, values: dict[str, float]) -> None:
    """Store numbers of a step; the same step told twice (after a resume) replaces."""
    stamp = now()
    with store.transaction() as db:
        db.conn.executemany(
            "insert or replace into metrics values (?, ?, ?, ?, ?)",
            [(run_id, step, name, value, stamp) for name, value in values.items()],
        )


def metric(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric, by step."""
    query = "select step, value from metrics where run_id = ? and name = ? order by step"
    return [(int(step), float(value)) for step, value in store.db.conn.execute(query, [run_id, name])]


def journal_put(store: Store, run_id: str, key: str, value: Any) -> None:
    """Durable before it returns (synchronous = full)."""
    with store.transaction() as db:
        db.conn.execute(
            "insert or replace into journal values (?, ?, ?, ?)",
            [run_id, key, json.dumps(value), now()],
        )


def journal_get(store: Store, run_id: str, key: str) -> Any | None:
    """What was put, or None."""
    row = store.db.conn.execute("select value from journal where run_id = ? and key = ?", [run_id, key]).fetchone()
    return None if row is None else json.loads(row[0])
