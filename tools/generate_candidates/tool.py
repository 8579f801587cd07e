"""generate_candidates: pictures for what a set lacks, drawn and proposed; nothing trains until it was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loradeck.state import runs
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CandidatesArgs, CandidatesResult, RunKind, RunState
from loradeck.tools.errors import Refused
from loradeck.tools.spec import ToolSpec
from loradeck.tools.spending.agreement import Agreed, Quoted, agree, commit
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

if TYPE_CHECKING:
    from loradeck.tools.generate_candidates.plan import Plan

WAIT_SECONDS = 20.0
ACTIVE = "kind = ? and dataset_id = ? and state in ('queued', 'preparing', 'running', 'paused')"


def handle(args: CandidatesArgs, bench: Workbench) -> CandidatesResult:
    """Plan; quote what costs; start a run or go on with one that was cut short; wait a while.

    Raises ToolFault children, and NotInstalled where no engine is ready.
    """
    from loradeck.tools.generate_candidates.answers import quoted, standing  # here: these load the picture library
    from loradeck.tools.generate_candidates.plan import prepare

    plan = prepare(args, bench)
    runs.recover(bench.store, bench.launch)
    run = _under_way(bench.store, plan) or _begun(args, bench, plan)
    if isinstance(run, Quoted):
        return quoted(plan, run)
    return standing(wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress))


def _under_way(store: Store, plan: Plan) -> RunRecord | None:
    """The run that this very call started before and that is at work still. Raises Refused while another one is."""
    active = store.where(RunRecord, ACTIVE, [RunKind.CANDIDATES, plan.dataset.id], limit=1)
    if active and active[0].fingerprint != plan.identity:
        busy = active[0].id
        raise Refused(
            f"{busy} is still drawing candidates for {plan.dataset.name!r}; follow it with check_status("
            f"run_id={busy!r}, wait_seconds=25) or end it with stop_run(run_id={busy!r}), then call again."
        )
    return active[0] if active else None


def _begun(args: CandidatesArgs, bench: Workbench, plan: Plan) -> RunRecord | Quoted:
    """A run that was started, or the quote to be agreed to first."""
    from loradeck.tools.generate_candidates.offers import offer_for

    before = _unfinished(bench.store, plan)
    offer = offer_for(bench.store, plan, before)
    agreed = agree(bench, offer, args.quote_id, args.max_cost_usd) if offer is not None else None
    if isinstance(agreed, Quoted):
        return agreed
    if agreed is not None and agreed.run_id is not None:
        return runs.get(bench.store, agreed.run_id)
    run = _started(bench.store, plan, before, agreed)
    bench.launch(run.id)
    return run


def _started(store: Store, plan: Plan, before: RunRecord | None, agreed: Agreed | None) -> RunRecord:
    """A queued run: the one that was cut short or left something out, once more, else a new one."""
    with store.transaction():
        busy = _under_way(store, plan)  # again, under the lock: two calls at once must not both draw
        if busy is not None:
            return busy
        if before is not None:
            run = runs.requeue(store, before.id)
        else:
            run = runs.enqueue(
                store,
                RunKind.CANDIDATES,
                plan.spec(),
                name=plan.dataset.name,
                dataset_id=plan.dataset.id,
                engine=plan.engine.name,
                base_model=plan.base_model,
                fingerprint=plan.identity,
                steps=plan.passes,
            )
        if agreed is not None:
            commit(store, agreed, run.id)
        return run


def _unfinished(store: Store, plan: Plan) -> RunRecord | None:
    """The last run of the same plan, where it has something left to do."""
    from loradeck.tools.generate_candidates.job import MISSING

    values = [RunKind.CANDIDATES, plan.identity]
    last = store.where(RunRecord, "kind = ? and fingerprint = ?", values, order="created_at desc, rowid desc", limit=1)
    if not last:
        return None
    done = last[0].state == RunState.SUCCEEDED and not runs.journal_get(store, last[0].id, MISSING)
    return None if done else last[0]


TOOL = ToolSpec(
    name="generate_candidates",
    title="Generate candidate images",
    description=(
        "Draw what a set lacks, never with a LoRA; proposals until curate_dataset(keep=[...]). three_pass: the camera "
        "turned around keystones, restyled, enlarged; reference: after keystones; text: shots or captions by the base. "
        "What costs is quoted first. The same call again makes what failed."
    ),
    args=CandidatesArgs,
    result=CandidatesResult,
    handler=handle,
    open_world=True,
)
