"""The life of a run: queued, claimed by one worker, renewed by its heartbeat, ended, or found lost.

A worker owns a run while its token stands on the row. Every write of a worker names the token, so that a worker
that slept through its lease can change nothing once another took over. Times of leases are epoch seconds. A lease
without a token is a grace: somebody has just started a worker, which has not claimed the run yet.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from loradeck.state.errors import LeaseLost
from loradeck.state.files import new_id, now, told
from loradeck.state.records import EventRecord, RunRecord
from loradeck.state.store import Store

if TYPE_CHECKING:
    import psutil

LEASE_SECONDS = 15.0
HEARTBEAT_SECONDS = 3.0
MOST_LAUNCHES = 5
MOST_ATTEMPTS = 20
"""Workers that take up a run by themselves, one after the other; then a person has to look."""
SAME_BIRTH = 1.5
"""Seconds within which two births are the same: the machine's start is told in whole ones, and may turn meanwhile."""
LAUNCHES = "worker.launches"
ERROR_KIND = "worker.error"
"""Journal keys of ours: launches that came to nothing so far; the class of the error that ended a run."""
SECRET = "address"
"""The file in a run's folder that holds an address with its keys, until the worker has read it or the run ends."""
ENDED = ("succeeded", "failed", "cancelled", "lost")
ACTIVE = ("queued", "preparing", "running", "paused")


def enqueue(store: Store, kind: str, spec: dict[str, Any], *, run_id: str | None = None, **columns: Any) -> RunRecord:
    """Write a new queued run; `columns` are further fields of RunRecord (name, dataset_id, engine ...).

    `run_id` is for a caller that filled the run's folder beforehand. The caller launches a worker.
    Raises DiskFull or WorkspaceReadOnly where the run can have no folder; then no row is left either.
    """
    grace = time.time() + LEASE_SECONDS
    run = RunRecord(id=run_id or new_id("run"), kind=kind, state="queued", spec=spec, lease_until=grace, **columns)
    folder = store.workspace.run(run.id)
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    store.add(run)
    return get(store, run.id)


def get(store: Store, run_id: str) -> RunRecord:
    """The run, which must exist. Raises KeyError otherwise (tools look up with `find` first)."""
    run = store.find(RunRecord, run_id)
    if run is None:
        raise KeyError(run_id)
    return run


def birth(process: psutil.Process) -> float:
    """When a process started, the same however the clock is set: on Linux in seconds since the machine's start.

    There psutil adds that to the time of the machine's start, which moves with the clock.
    """
    import psutil  # late, as below: a server's start does without

    return process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0)


def process_alive(pid: int | None, started: float | None) -> bool:
    """True when that very process still lives: same pid and same start time (a pid alone is reused)."""
    if pid is None or started is None:
        return False
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(birth(process) - started) < SAME_BIRTH and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def claim(store: Store, run_id: str) -> RunRecord | None:
    """Take a queued run for this process; None when another live worker has it or it is not queued."""
    import psutil

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
            pid_started=birth(me),
            lease_until=time.time() + LEASE_SECONDS,
            attempt=run.attempt + 1,
        )
        journal_put(store, run_id, LAUNCHES, 0)
        journal_put(store, run_id, ERROR_KIND, None)
        return get(store, run_id)


@contextmanager
def owned(store: Store, run_id: str, token: str) -> Iterator[None]:
    """A transaction in which the token stands on the row. Raises LeaseLost when it does not (any more)."""
    with store.transaction():
        if get(store, run_id).token != token:
            raise LeaseLost(f"Another worker took {run_id} over; this one stops and leaves everything as it is.")
        yield


def update(store: Store, run_id: str, token: str, **values: Any) -> None:
    """Change the row as its owner. Raises LeaseLost when the token is no longer on it."""
    with owned(store, run_id, token):
        store.change(RunRecord, run_id, **values)


def renew(store: Store, run_id: str, token: str) -> None:
    """One heartbeat: the lease of the run and of the devices it holds. Raises LeaseLost."""
    until = time.time() + LEASE_SECONDS
    with store.transaction() as db:
        update(store, run_id, token, lease_until=until)
        db.conn.execute("update leases set lease_until = ? where token = ?", [until, token])


def finish(store: Store, run_id: str, token: str, state: str, **values: Any) -> None:
    """End a run as its owner and give back what it held. Raises LeaseLost."""
    with owned(store, run_id, token):
        _leave(store, run_id, state=state, **{"finished_at": now(), **values})


def _leave(store: Store, run_id: str, **values: Any) -> None:
    """No worker holds the run any more: it gives back its devices, and once it has ended its secret too."""
    with store.transaction() as db:
        store.change(RunRecord, run_id, token=None, lease_until=0.0, **values)
        db.conn.execute("delete from leases where run_id = ?", [run_id])
        if values["state"] in ENDED:
            secret = store.workspace.run(run_id) / SECRET
            with told(secret):
                secret.unlink(missing_ok=True)


def let_go(store: Store, run_id: str, token: str) -> None:
    """Put a run that has not begun back into the queue, as its owner; a sweep launches it again. Raises LeaseLost."""
    finish(store, run_id, token, "queued", pid=None, pid_started=None, finished_at=None)


def request_cancel(store: Store, run_id: str) -> RunRecord:
    """Ask a run to stop. A queued one that no worker holds is cancelled at once; an ended one is left alone.

    Where a host is at work for it, a worker has to end that there first.
    """
    with store.transaction():
        run = get(store, run_id)
        if run.state in ENDED:
            return run
        held = process_alive(run.pid, run.pid_started) or _goes_on_elsewhere(store, run)
        if run.state == "queued" and not held:
            _leave(store, run_id, state="cancelled", cancel_requested=True, finished_at=now())
        else:
            store.change(RunRecord, run_id, cancel_requested=True)
        return get(store, run_id)


def requeue(store: Store, run_id: str) -> RunRecord:
    """Make an ended run ready to go on (its journal and checkpoints stay). The caller launches it.

    One that somebody else made ready meanwhile is left to its worker: what that one buys must not be bought beside it.
    """
    with store.transaction() as db:
        run = get(store, run_id)
        if run.state not in ENDED:
            return run
        store.change(
            RunRecord,
            run_id,
            state="queued",
            cancel_requested=False,
            message="",
            error=None,
            result=None,
            finished_at=None,
            token=None,
            pid=None,
            pid_started=None,
            lease_until=time.time() + LEASE_SECONDS,
        )
        db.conn.execute("delete from leases where run_id = ?", [run_id])
        journal_put(store, run_id, LAUNCHES, 0)
        journal_put(store, run_id, ERROR_KIND, None)
        return get(store, run_id)


def abandoned(run: RunRecord) -> bool:
    """True when the run's lease is over *and* its process is gone, so that a machine that slept loses nothing."""
    return run.state in ACTIVE and run.lease_until <= time.time() and not process_alive(run.pid, run.pid_started)


def sweep(store: Store, hand_out: bool = True) -> tuple[list[RunRecord], list[RunRecord]]:
    """Find runs whose worker is gone: (those that ended by it, those queued with nobody to run them).

    What was under way is marked lost, or cancelled where somebody had asked for that. A queued run is handed out
    to one caller at a time, who launches it; one whose workers never get as far as claiming it is marked failed.
    What was bought at a host and goes on there is handed out too, since its results do not wait for a person.
    A caller that launches nothing says `hand_out=False`: what is queued then stays as it is, for one that does.
    """
    ended: list[RunRecord] = []
    waiting: list[RunRecord] = []
    for seen in filter(abandoned, store.where(RunRecord, "state in ('queued', 'preparing', 'running', 'paused')")):
        with store.transaction():
            run = get(store, seen.id)
            if run.token != seen.token or not abandoned(run):
                continue
            elsewhere = _goes_on_elsewhere(store, run)
            waits = elsewhere or (run.state == "queued" and not run.cancel_requested)
            if waits and not hand_out:
                continue
            if waits and _may_launch(store, run.id):
                store.change(RunRecord, run.id, state="queued", token=None, pid=None, pid_started=None)
                waiting.append(get(store, run.id))
            else:
                _bury(store, run)
                ended.append(get(store, run.id))
    return ended, waiting


def recover(store: Store, launch: Callable[[str], None]) -> list[RunRecord]:
    """Sweep, and launch what waits with nobody to run it; returns the runs that were found ended."""
    ended, waiting = sweep(store)
    for run in waiting:
        launch(run.id)
    return ended


def _goes_on_elsewhere(store: Store, run: RunRecord) -> bool:
    """True where a host is at work for the run, or may be, and a worker can still be tried."""
    query = "select count(*) as open from purchases where run_id = ? and state in ('intended', 'submitted')"
    return run.attempt < MOST_ATTEMPTS and bool(store.read(query, [run.id])[0]["open"])


def _may_launch(store: Store, run_id: str) -> bool:
    """Count a launch and grant it the grace of a lease; false when none of the last ones came to anything."""
    launches = (journal_get(store, run_id, LAUNCHES) or 0) + 1
    if launches > MOST_LAUNCHES:
        return False
    journal_put(store, run_id, LAUNCHES, launches)
    store.change(RunRecord, run_id, lease_until=time.time() + LEASE_SECONDS)
    return True


def _bury(store: Store, run: RunRecord) -> None:
    """Write down how a run without a process ended, and give back what it held."""
    if run.cancel_requested:
        state, message = "cancelled", "Stopped as asked; its worker was gone already."
    elif run.state == "queued":
        state, message = "failed", "Its worker does not start; worker.log in the run's folder says why."
    else:
        state, message = "lost", f"Its worker was ended from outside, or the machine restarted, at step {run.step}."
    error = message if state == "failed" else None
    with store.transaction():
        _leave(store, run.id, state=state, message=message, error=error, finished_at=now())
        add_event(store, run.id, message, "warning")


def take_device(store: Store, name: str, run_id: str, token: str) -> bool:
    """Take a named device (one local training at a time) for a run, in the order in which the runs were asked for.

    False while a live run holds it or an older one waits for it; then call again later.
    """
    until = time.time() + LEASE_SECONDS
    with store.transaction() as db:
        holder = device_holder(store, name)
        if holder is not None and holder.token != token:
            return False
        if holder is None and _older_one_waits(store, get(store, run_id)):
            return False
        db.conn.execute("insert or replace into leases values (?, ?, ?, ?)", [name, run_id, token, until])
    return True


def device_holder(store: Store, name: str) -> RunRecord | None:
    """The live run that holds a device, or None."""
    rows = store.read("select run_id, token from leases where name = ?", [name])
    holder = store.find(RunRecord, rows[0]["run_id"]) if rows else None
    if holder is None or holder.token != rows[0]["token"] or abandoned(holder):
        return None
    return holder


def _older_one_waits(store: Store, run: RunRecord) -> bool:
    """True when a run for the same engine, asked for earlier, has a worker that waits too."""
    condition = "state = 'queued' and token is not null and engine = ? and created_at < ? and lease_until > ?"
    return store.count(RunRecord, condition, [run.engine, run.created_at, time.time()]) > 0


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
    return [EventRecord(**row) for row in store.read(query, [run_id, last])][::-1]


def add_metrics(store: Store, run_id: str, step: int, values: dict[str, float]) -> None:
    """Store numbers of a step; the same step told twice (after a resume) replaces. NaN and infinity are left out."""
    stamp = now()
    rows = [(run_id, step, name, value, stamp) for name, value in values.items() if math.isfinite(value)]
    with store.transaction() as db:
        db.conn.executemany("insert or replace into metrics values (?, ?, ?, ?, ?)", rows)


def metric(store: Store, run_id: str, name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric, by step."""
    query = "select step, value from metrics where run_id = ? and name = ? order by step"
    return [(int(row["step"]), float(row["value"])) for row in store.read(query, [run_id, name])]


def journal_put(store: Store, run_id: str, key: str, value: Any) -> None:
    """Durable before it returns (synchronous = full)."""
    with store.transaction() as db:
        db.conn.execute(
            "insert or replace into journal values (?, ?, ?, ?)",
            [run_id, key, json.dumps(value), now()],
        )


def journal_get(store: Store, run_id: str, key: str) -> Any | None:
    """What was put, or None."""
    rows = store.read("select value from journal where run_id = ? and key = ?", [run_id, key])
    return json.loads(rows[0]["value"]) if rows else None
