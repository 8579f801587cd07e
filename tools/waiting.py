"""Waiting for a run, without missing that its worker is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, RunRecord, SampleRecord
from loradeck.state.store import Store

POLL_SECONDS = 0.25
Tell = Callable[[float, float | None, str], None]


def wait_until(
    store: Store, run_id: str, seconds: float, ended_only: bool = True, tell: Tell | None = None
) -> RunRecord:
    """The run once it ended, or as it stands after `seconds`.

    With `ended_only=False` it also returns on news: another state, an event, a checkpoint, a sample, or a tenth of
    the way. `tell(step, steps, message)` hears where the run stands several times a second while we wait, and may
    end the wait by raising. Raises KeyError for no such run.
    """
    deadline = time.monotonic() + seconds
    runs.sweep(store, hand_out=False)
    run = runs.get(store, run_id)
    before = None if ended_only else _news(store, run)
    while run.state in runs.ACTIVE and time.monotonic() < deadline:
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        if runs.abandoned(run):
            runs.sweep(store, hand_out=False)
        run = runs.get(store, run_id)
        if tell is not None:
            tell(run.step, run.steps or None, run.message)
        if before is not None and _news(store, run) != before:
            break
    return run


def _news(store: Store, run: RunRecord) -> tuple[str, int, int, int, int]:
    """What a person would want to hear of when it changes; single steps are not news."""
    last = store.read("select coalesce(max(id), 0) as last from events where run_id = ?", [run.id])[0]["last"]
    tenths = 10 * run.step // run.steps if run.steps else 0
    checkpoints = store.count(CheckpointRecord, "run_id = ?", [run.id])
    return run.state, int(last), checkpoints, store.count(SampleRecord, "run_id = ?", [run.id]), tenths
