"""stop_run as callers see it."""

from __future__ import annotations

from loradeck.state import runs, spend
from loradeck.state.records import CheckpointRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.money import spent
from loradeck.tools.contracts import RunState, StopArgs, StopResult
from loradeck.tools.run_lookup import find_run, resume_call
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 10.0


def handle(args: StopArgs, bench: Workbench) -> StopResult:
    """Ask the run to stop and wait up to ten seconds for it. Raises NotFound for an unknown run."""
    run = find_run(bench.store, args.run_id)
    if run.state not in runs.ACTIVE:
        if run.state == RunState.SUCCEEDED or not spend.under_way(bench.store, run.id):
            return _answer(run, f"{run.id} had ended already: {run.state}.", bench.store)
        _end_elsewhere(run, bench)
    else:
        runs.request_cancel(bench.store, run.id)
    run = wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress)
    if run.state in runs.ACTIVE:
        said = f"{run.id} was asked to stop and does so at its next step; it had not got there within 10 seconds."
    else:
        said = f"{run.id} has stopped." if run.state == RunState.CANCELLED else f"{run.id} ended first: {run.state}."
    return _answer(run, said, bench.store)


def _end_elsewhere(run: RunRecord, bench: Workbench) -> None:
    """A run that was lost here goes on at its host: a worker takes it up again, to end it there."""
    with bench.store.transaction():
        runs.requeue(bench.store, run.id)
        bench.store.change(RunRecord, run.id, cancel_requested=True)
    bench.launch(run.id)


def _answer(run: RunRecord, said: str, store: Store) -> StopResult:
    following = f'check_status(run_id="{run.id}")'
    if run.state in {RunState.CANCELLED, RunState.LOST}:
        following = f"{resume_call(run)} goes on with it; leave it for good otherwise."
    return StopResult(
        summary=" ".join(filter(None, [said, _kept(run, store), spent(store, run)])),
        next_step=following,
        run_id=run.id,
        state=RunState(run.state),
        preview_note=PREVIEW_NOTE if run.spec.get("preview") else None,
    )


def _kept(run: RunRecord, store: Store) -> str:
    """What the run leaves."""
    points = store.where(CheckpointRecord, "run_id = ?", [run.id], order="step")
    samples = store.count(SampleRecord, "run_id = ?", [run.id])
    if not points and not samples:
        return "It had left no checkpoint yet."
    last = f" (last at step {points[-1].step})" if points else ""
    return f"Kept: {len(points)} checkpoint{'s' * (len(points) != 1)}{last}, {samples} sample pictures."


TOOL = ToolSpec(
    name="stop_run",
    title="Stop a run",
    description=(
        "Ask a queued or running run to stop at its next step; checkpoints, samples and pictures made so far are kept, "
        "and start_training(resume=run_id) goes on with a training later. Waits up to ten seconds. An ended run is "
        "left as it is."
    ),
    args=StopArgs,
    result=StopResult,
    handler=handle,
    idempotent=True,
)
