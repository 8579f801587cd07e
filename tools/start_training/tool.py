"""start_training as callers see it: judge afresh, refuse or plan, set the images aside, queue, launch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loradeck.state import runs, spend
from loradeck.state.files import new_id, sha256_json, write_json
from loradeck.state.records import LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import (
    Estimate,
    RunKind,
    RunState,
    StartTrainingArgs,
    StartTrainingResult,
    TrainingPlan,
)
from loradeck.tools.errors import BadArgument
from loradeck.tools.leaving import files_must_not_leave, learned_in
from loradeck.tools.run_lookup import find_run
from loradeck.tools.spec import ToolSpec
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree, commit
from loradeck.tools.start_training import answers
from loradeck.tools.start_training.prepare import Blocked, Prepared, prepare
from loradeck.tools.start_training.side_by_side import side_by_side
from loradeck.tools.start_training.snapshot import take
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 20.0
CHANGES_NOTHING = {"resume", "dataset_id", "quote_id", "max_cost_usd"}


def handle(args: StartTrainingArgs, bench: Workbench) -> StartTrainingResult:
    """Start, refuse, or give back the run that does the same already.

    Raises NotFound for an unknown dataset, run or LoRA, BadArgument for what cannot be asked together, NotInstalled
    where no engine is ready, Refused where money is in question and nobody agreed to it.
    """
    runs.recover(bench.store, bench.launch)
    if args.resume is not None:
        return _resume(args, bench)
    prepared = prepare(args, bench)
    if isinstance(prepared, Blocked):
        return answers.refusal(prepared.dataset, prepared.report)
    return _start(prepared, bench, args)


def _start(prepared: Prepared, bench: Workbench, args: StartTrainingArgs) -> StartTrainingResult:
    """Queue the run that was prepared, unless the same one is there already."""
    call = sha256_json(prepared.identity())
    twin = _twin(bench.store, call)
    if twin is not None:
        return _join(twin, bench)
    agreed = _agreed(prepared, bench, args)
    if isinstance(agreed, Quoted):
        return _quoted(prepared, bench, agreed)
    if agreed is not None and agreed.run_id is not None:
        return _answer(runs.get(bench.store, agreed.run_id), bench, again=True)
    run_id = new_id("run")
    with _folder_of(bench.store, run_id) as folder:
        pairs = [pair.as_row() for pair in take(folder / "dataset", prepared.sources)]
        spec = {**prepared.spec(), "pairs": pairs, "call": call}
        write_json(folder / "spec.json", spec)
        with bench.store.transaction():
            twin = _twin(bench.store, call)  # another call may have been quicker while the images were set aside
            if twin is None:
                runs.enqueue(bench.store, RunKind.TRAIN, spec, run_id=run_id, **prepared.columns())
                if agreed is not None:
                    commit(bench.store, agreed, run_id)
    if twin is not None:
        return _join(twin, bench)
    bench.launch(run_id)
    return _answer(runs.get(bench.store, run_id), bench)


def _agreed(prepared: Prepared, bench: Workbench, args: StartTrainingArgs) -> Agreed | Quoted | None:
    """What the person said to the price; None where it costs nothing (TRN-SPEND)."""
    if not prepared.engine.capabilities.costs_money:
        return None
    plan = prepared.plan
    offer = Offer(
        call="start_training",
        provider=plan.engine,
        what=f"a training of {plan.images} images on {plan.base_model}",
        binding=prepared.identity(),
        cost=prepared.cost,
        fingerprint=prepared.fingerprint,
    )
    return agree(bench, offer, args.quote_id, args.max_cost_usd)


def _quoted(prepared: Prepared, bench: Workbench, quoted: Quoted) -> StartTrainingResult:
    """The price, what would be done, and the other engines beside it."""
    return StartTrainingResult(
        summary=quoted.summary,
        next_step=quoted.next_step,
        state=RunState.QUOTED,
        dataset_id=prepared.dataset.id,
        plan=prepared.plan,
        estimate=prepared.estimate,
        quote_id=quoted.quote_id,
        engines=side_by_side(bench.engines, prepared),
    )


@contextmanager
def _folder_of(store: Store, run_id: str) -> Iterator[Path]:
    """The folder of a run to come; gone again when no run came of it."""
    folder = store.workspace.run(run_id)
    try:
        yield folder
    finally:
        if store.find(RunRecord, run_id) is None:
            shutil.rmtree(folder, ignore_errors=True)


def _twin(store: Store, call: str) -> RunRecord | None:
    """The newest run that was asked for in the same words over the same set; a failed one does not count."""
    trainings = store.where(RunRecord, "kind = ? and state <> 'failed'", [RunKind.TRAIN], order="created_at desc")
    for run in trainings:
        if run.spec.get("call") == call and (run.state != RunState.SUCCEEDED or _lora_of(store, run) is not None):
            return run
    return None


def _lora_of(store: Store, run: RunRecord) -> LoraRecord | None:
    found = store.where(LoraRecord, "run_id = ? and deleted_at is null", [run.id], limit=1)
    return found[0] if found else None


def _join(run: RunRecord, bench: Workbench) -> StartTrainingResult:
    """The same call again: what stopped goes on from its checkpoint; what is under way or done stays as it is."""
    if run.state in {RunState.LOST, RunState.CANCELLED}:
        return _go_on(run, bench)
    return _answer(run, bench, again=True)


def _resume(args: StartTrainingArgs, bench: Workbench) -> StartTrainingResult:
    """Go on with a run as it was planned."""
    extra = sorted(args.model_fields_set - CHANGES_NOTHING)
    if extra:
        raise BadArgument(
            f"A resumed run keeps its own plan, so {', '.join(extra)} cannot be changed; call start_training with "
            "resume alone, or without resume for a new run."
        )
    run = find_run(bench.store, args.resume or "")
    if run.kind != RunKind.TRAIN:
        raise BadArgument(f"{run.id} is a {run.kind} run, no training; check_status says how to go on with it.")
    if run.state in runs.ACTIVE or run.state == RunState.SUCCEEDED:
        return _answer(run, bench, again=True)
    return _go_on(run, bench)


def _go_on(run: RunRecord, bench: Workbench) -> StartTrainingResult:
    if not spend.purchases(bench.store, run.id):  # else its images were sent before
        hashes, engine = learned_in(bench.store, run), bench.engines.open(run.engine)
        files_must_not_leave(bench.store, engine, hashes, f"the set of {run.id}")
    step = run.step
    queued = runs.requeue(bench.store, run.id)
    runs.add_event(bench.store, run.id, f"Resumed on request; it had come to step {step} of {run.steps}.")
    bench.launch(run.id)
    return _answer(queued, bench, resumed_from=step)


def _answer(
    run: RunRecord, bench: Workbench, again: bool = False, resumed_from: int | None = None
) -> StartTrainingResult:
    """Where the run stands, with its plan; a run of a few seconds is waited for."""
    estimate = Estimate.model_validate(run.spec["estimate"])
    short = estimate.minutes is not None and 0 < estimate.minutes * 60 <= WAIT_SECONDS
    if short:
        run = wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress)
    plan = TrainingPlan.model_validate(run.spec["plan"])
    return StartTrainingResult(
        summary=answers.summary(run, plan, estimate, again=again, resumed_from=resumed_from),
        next_step=answers.next_step(run),
        run_id=run.id,
        state=RunState(run.state),
        dataset_id=run.dataset_id,
        plan=plan,
        estimate=estimate,
        preview_note=answers.preview_note(run),
    )


TOOL = ToolSpec(
    name="start_training",
    title="Start training",
    description=(
        "Train a LoRA on a dataset, in a process of its own that goes on when the chat closes. Judges the dataset "
        "afresh first and refuses, with findings and fixes, what does not pass (state is then missing). Answers with "
        "run_id, plan and estimate; follow it with check_status, end it with stop_run. resume continues a lost or "
        "stopped run from its last checkpoint; continue_from trains an existing LoRA further on the grown dataset. "
        "The same call twice gives the same run. Free on the local engine; elsewhere (replicate, fal) the first call "
        "answers with a price and a quote_id, and starts nothing."
    ),
    args=StartTrainingArgs,
    result=StartTrainingResult,
    handler=handle,
    idempotent=True,
    open_world=True,
)
