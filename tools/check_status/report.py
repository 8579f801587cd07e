"""Where one run stands, gathered from the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, EventRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.diagnosis import RunFacts, diagnose
from loradeck.tools.check_status.money import spent
from loradeck.tools.compare_renders.measured import files_of
from loradeck.tools.contracts import (
    Artefact,
    CheckStatusResult,
    Diagnosis,
    RunKind,
    RunState,
    SpendState,
    TrainingPlan,
)
from loradeck.tools.run_lookup import resume_call
from loradeck.tools.wording import PREVIEW_NOTE

RECENT = 20
SOONEST, LATEST = 2.0, 25.0
REFUSALS = ("BadSpec", "BadWeights")
"""Classes of errors by which an engine refuses a plan."""
NOTHING_MORE = ("CameToNothing", "Expired")
"""Classes of errors after which a resumed training gets nothing from its host any more."""
STANDS = {
    RunState.QUEUED: "waits",
    RunState.PREPARING: "is being prepared",
    RunState.RUNNING: "is running",
    RunState.PAUSED: "is paused",
    RunState.SUCCEEDED: "has succeeded",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "was stopped",
    RunState.LOST: "was lost",
}


def report(store: Store, run: RunRecord) -> CheckStatusResult:
    """Everything about a run: state, numbers, what it left, what is wrong, and the call to make next."""
    held_out = runs.metric(store, run.id, "held_out_loss")
    left = None if run.state in {"queued", "succeeded", "failed", "cancelled", "lost"} else seconds_left(store, run)
    found = diagnose(_facts(store, run, held_out))
    result = run.result if run.state == RunState.SUCCEEDED else None
    listed, answer = (_so_far(store, run), None) if result is None else _told_once(result)
    return CheckStatusResult(
        summary=_with_money(_summary(run, left, found, result), store, run),
        next_step=_next_step(store, run, found, result),
        run_id=run.id,
        state=RunState(run.state),
        kind=RunKind(run.kind),
        step=run.step,
        steps=run.steps or None,
        message=run.error or run.message or None,
        loss=_mean([value for _, value in runs.metric(store, run.id, "loss")[-RECENT:]]),
        held_out_loss=held_out[-1][1] if held_out else None,
        eta_seconds=left,
        cost_usd=run.cost_usd,
        spend_state=SpendState(run.spend_state),
        diagnosis=found,
        artefacts=listed,
        events=[_line(event) for event in runs.events(store, run.id)],
        poll_after_seconds=None if RunState(run.state).ended else _poll_after(left),
        result=answer,
        preview_note=PREVIEW_NOTE if run.spec.get("preview") or (result or {}).get("preview_note") else None,
    )


def seconds_left(store: Store, run: RunRecord) -> float | None:
    """Steps to go times the mean of the last step times; None until there are some."""
    recent = _mean([value for _, value in runs.metric(store, run.id, "step_seconds")[-RECENT:]])
    if recent is None and run.step and run.started_at and run.attempt == 1:
        recent = _seconds_since(run.started_at) / run.step
    return None if recent is None or not run.steps else round(recent * max(0, run.steps - run.step), 1)


def _facts(store: Store, run: RunRecord, held_out: list[tuple[int, float]]) -> RunFacts:
    plan, told = run.spec.get("plan"), partial(runs.metric, store, run.id)
    return RunFacts(
        run_id=run.id,
        state=RunState(run.state),
        resume=resume_call(run),
        dataset_id=run.dataset_id,
        error=run.error,
        error_kind=runs.journal_get(store, run.id, runs.ERROR_KIND),
        step=run.step,
        steps=run.steps,
        kind=RunKind(run.kind),
        base_model=run.base_model,
        held_out=held_out,
        in_train=told("in_train_loss"),
        grad_norm=told("grad_norm"),
        lora_norm=told("lora_norm"),
        sample_brightness=told("sample_brightness"),
        set_brightness=dict(told("image_brightness")).get(0),
        asked=run.spec.get("asked") or {},
        lora_id=((run.result or {}).get("lora") or {}).get("lora_id"),
        plan=TrainingPlan.model_validate(plan) if plan and run.kind == RunKind.TRAIN else None,
        queued_seconds=_seconds_since(run.created_at),
        claimed=run.token is not None,
    )


def _summary(run: RunRecord, left: float | None, found: Sequence[Diagnosis], result: dict[str, Any] | None) -> str:
    name = f" {run.name!r}" if run.name else ""
    if result is not None and result.get("summary"):
        return f"{run.id}{name} has succeeded. {result['summary']}"
    where = f" at step {run.step} of {run.steps}" if run.steps else ""
    what = f"The {run.kind} run {run.id}{name} {STANDS[RunState(run.state)]}{where}{_eta(left)}."
    told = "" if run.state == RunState.RUNNING else run.error or run.message  # a running one's is a bare word
    said = found[0].what if found else told
    return f"{what} {said.rstrip('.')}." if said else what


def _with_money(summary: str, store: Store, run: RunRecord) -> str:
    """The summary with what is known of the money, where it does not say so itself."""
    told = spent(store, run)
    return summary if not told or f"{run.cost_usd or 0.0:.2f} USD" in summary else f"{summary} {told}"


def _eta(left: float | None) -> str:
    if not left:
        return ""
    return f", about {round(left)} s to go" if left < 90 else f", about {round(left / 60)} min to go"


def _next_step(store: Store, run: RunRecord, found: Sequence[Diagnosis], result: dict[str, Any] | None) -> str:
    if result is not None:
        return str(result.get("next_step") or "check_status without an id shows everything.")
    state = RunState(run.state)
    if found and (state.ended or state == RunState.QUEUED):
        return found[0].remedy
    match state:
        case RunState.FAILED:
            return _after_failure(store, run)
        case RunState.CANCELLED | RunState.LOST:
            return f"{resume_call(run)} to go on."
    return (
        f'check_status(run_id="{run.id}", wait_seconds=20) until it ended; stop_run(run_id="{run.id}") ends it early.'
    )


def _after_failure(store: Store, run: RunRecord) -> str:
    """A training that its engine refuses is planned anew, since a resumed run keeps its plan and what it bought."""
    kind = runs.journal_get(store, run.id, runs.ERROR_KIND) if run.kind == RunKind.TRAIN else None
    if kind in NOTHING_MORE:
        return (
            f'start_training(dataset_id="{run.dataset_id}", engine="{run.engine}", ...) tells the price of a new '
            f"training; {run.id} gets nothing more."
        )
    if kind in REFUSALS:
        return f'Change what the message names in a new call: start_training(dataset_id="{run.dataset_id}", ...).'
    return f"Do what the message says, then {resume_call(run)}."


def _told_once(result: dict[str, Any]) -> tuple[list[Artefact], dict[str, Any]]:
    """The files that a result lists, and the result without that list: on a large run either alone is long.

    A picture of a deck that has its row among the result's `visuals` is told there alone.
    """
    rows = result.get("artefacts") or result.get("files") or []
    shown = {visual["path"] for visual in result.get("visuals", [])}
    rest = {key: value for key, value in result.items() if key not in {"artefacts", "files"}}
    return [Artefact.model_validate(row) for row in rows if row["path"] not in shown], rest


def _so_far(store: Store, run: RunRecord) -> list[Artefact]:
    """What a run that is not done has left: its newest checkpoint and samples, or what a comparison has so far."""
    if run.kind == RunKind.COMPARE:
        return files_of(store, run.id)
    points = store.where(CheckpointRecord, "run_id = ?", [run.id], order="step desc", limit=1)
    samples = store.where(SampleRecord, "run_id = ?", [run.id], order="step")
    newest = [sample for sample in samples if sample.step == samples[-1].step]
    return [
        *(Artefact(kind="checkpoint", path=point.path, bytes=_size(point.path), step=point.step) for point in points),
        *(Artefact(kind="sample", path=sample.path, bytes=_size(sample.path), step=sample.step) for sample in newest),
    ]


def _size(path: str) -> int | None:
    file = Path(path)
    return file.stat().st_size if file.is_file() else None


def _poll_after(left: float | None) -> float:
    """A quarter of what is left, within reason."""
    return SOONEST if left is None else round(min(LATEST, max(SOONEST, left / 4)), 1)


def _line(event: EventRecord) -> str:
    mark = "" if event.level == "info" else f"{event.level}: "
    return f"{event.created_at[11:19]} {mark}{event.message}"


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _seconds_since(stamp: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
