"""compare_renders: the same prompts and seeds through several variants, side by side, in pictures and in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loradeck.state import runs
from loradeck.state.files import new_id
from loradeck.state.records import PickRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders import measured as tables
from loradeck.tools.compare_renders import picks
from loradeck.tools.compare_renders.answer import answer
from loradeck.tools.compare_renders.folder import drawn
from loradeck.tools.compare_renders.plan import Plan
from loradeck.tools.compare_renders.price import agreed_on, left_of, made_before, must_not_leave
from loradeck.tools.compare_renders.wanted import Wanted, wanted
from loradeck.tools.contracts import CompareArgs, CompareResult, RunKind, RunState
from loradeck.tools.errors import BadArgument
from loradeck.tools.render_deck_visuals.price import ENDED_EARLY
from loradeck.tools.render_deck_visuals.references import keep, require_kept
from loradeck.tools.run_lookup import find_run
from loradeck.tools.spec import ToolSpec
from loradeck.tools.spending.agreement import Agreed, Quoted, commit
from loradeck.tools.waiting import wait_until
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 20.0
LONGEST_NAME = 100
FOR_NEW = {"prompts", "deck", "variants", "seeds", "width", "height", "steps", "guidance"}


def handle(args: CompareArgs, bench: Workbench) -> CompareResult:
    """Plan, quote what costs, start a run or go on with one, wait; or store picks. Raises ToolFault children."""
    if args.run_id is not None:
        return _there(args, args.run_id, bench)
    if args.picks:
        raise BadArgument("Picks are of a comparison that is there: give its run_id, which check_status lists.")
    made = wanted(args, bench)
    return _drawn(args, bench, made)


def _drawn(args: CompareArgs, bench: Workbench, made: Wanted) -> CompareResult:
    """Start or go on, and wait a while."""
    runs.recover(bench.store, bench.launch)
    run = _begun(args, bench, made)
    if isinstance(run, Quoted):
        return CompareResult(
            summary=run.summary,
            next_step=run.next_step,
            state=RunState.QUOTED,
            told=made.told,
            quote_id=run.quote_id,
        )
    return standing(bench.store, wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress))


def _begun(args: CompareArgs, bench: Workbench, made: Wanted) -> RunRecord | Quoted:
    """The run that draws what is left of this very comparison, new or once more; or the quote to be agreed to first."""
    before = made_before(bench.store, made.plan)
    made.plan = made.plan.named(_plan_of(before) if before is not None else None)
    left = left_of(bench.store, made.plan, before)
    if before is not None and (before.state in runs.ACTIVE or (not left and _whole(bench.store, before, made.plan))):
        return before
    must_not_leave(bench, made.plan, left)
    if before is not None:
        leaned_on = {one for cell in left for one in made.plan.brush_of(cell).references}
        require_kept(bench.store.workspace.run(before.id), leaned_on - made.references.keys())
    agreed = agreed_on(args, bench, made, left, before)
    if isinstance(agreed, Quoted):
        return agreed
    if agreed is not None and agreed.run_id is not None:
        return runs.get(bench.store, agreed.run_id)
    run = _queued(bench, made, before, agreed)
    bench.launch(run.id)
    return run


def _plan_of(run: RunRecord) -> Plan:
    return Plan.from_json(run.spec["plan"])


def _whole(store: Store, run: RunRecord, plan: Plan) -> bool:
    """Whether a comparison is over and has its table, with a plan's labels in its order; else it is measured again."""
    return run.state == RunState.SUCCEEDED and _plan_of(run) == plan and tables.read(store, run.id) is not None


def _queued(bench: Workbench, made: Wanted, before: RunRecord | None, agreed: Agreed | None) -> RunRecord:
    run_id = before.id if before is not None else new_id("run")
    keep(bench.store.workspace.run(run_id), made.references)
    with bench.store.transaction():
        again = made_before(bench.store, made.plan)  # under the lock: two calls at once must not both draw
        if again is not None and (before is None or again.state in runs.ACTIVE):
            return again
        run = _once_more(bench.store, again, made) if again is not None else _new(bench, made, run_id)
        if agreed is not None:
            commit(bench.store, agreed, run.id)
        return run


def _once_more(store: Store, run: RunRecord, made: Wanted) -> RunRecord:
    """Make a comparison ready to go on, with the labels and the order of this call; picks keep their variants."""
    old = _plan_of(run)
    if old != made.plan:
        tables.remove(store, run.id)  # first: labels that are not the plan's are never read
        labels = {one.name: one.label for one in made.plan.columns}
        _relabel_picks(store, run.id, {one.label: labels[one.name] for one in old.columns})
        spec = {**run.spec, "plan": made.plan.to_json(), "told": made.told}
        store.change(RunRecord, run.id, spec=spec, name=_name(made))
    return runs.requeue(store, run.id)


def _relabel_picks(store: Store, run_id: str, labels: Mapping[str, str]) -> None:
    """Call the variants of a comparison's picks anew, from old label to new, within the caller's transaction."""
    kept = picks.picks_of(store, run_id)
    store.remove(PickRecord, "run_id = ?", [run_id])
    for pick in kept:
        store.add(replace(pick, variant=labels[pick.variant]))


def _name(made: Wanted) -> str:
    return f"{made.name}: {', '.join(column.label for column in made.plan.columns)}"[:LONGEST_NAME]


def _new(bench: Workbench, made: Wanted, run_id: str) -> RunRecord:
    brushes = [column.brush for column in made.plan.columns]
    bases = [bench.engines.open(brush.engine).capabilities.base(brush.base_model) for brush in brushes]
    return runs.enqueue(
        bench.store,
        RunKind.COMPARE,
        {
            "plan": made.plan.to_json(),
            "told": made.told,
            "deck_id": made.deck_id,
            "preview": any(base is not None and base.preview for base in bases),
        },
        run_id=run_id,
        name=_name(made),
        engine=_leased_for(bench, [brush.engine for brush in brushes]),
        base_model=brushes[0].base_model,
        fingerprint=made.plan.identity,
        steps=len(made.plan.cells),
    )


def _leased_for(bench: Workbench, engines: list[str]) -> str:
    """The engine that a run goes by: the local one where any column needs this machine's device, else the first."""
    here = [name for name in engines if not bench.engines.open(name).capabilities.leaves_machine]
    return (here or engines)[0]


# --------------------------------------------------------------------------- a comparison that is there


def _there(args: CompareArgs, ref: str, bench: Workbench) -> CompareResult:
    """Store the picks of a call, and tell how the comparison stands; without any, go on with one that ended early."""
    store = bench.store
    more = sorted(FOR_NEW & args.model_fields_set)
    if more:
        raise BadArgument(f"run_id is for picks in a comparison made before; leave out {', '.join(more)}.")
    run = find_run(store, ref)
    if run.kind != RunKind.COMPARE:
        raise BadArgument(f"{run.id} is a {run.kind} run, not a comparison: {_those(store)}")
    plan = _plan_of(run)
    if args.picks:
        picks.keep(store, run.id, plan, list(drawn(store, run.id, plan)), args.picks)
    over = run.state == RunState.SUCCEEDED
    if (over and not _whole(store, run, plan)) or (run.state in ENDED_EARLY and not args.picks):
        return _drawn(args, bench, Wanted(plan, run.name, told=run.spec["told"]))
    made = answer(store, run, RunState.SUCCEEDED) if args.picks and over else None
    if made is not None:
        store.change(RunRecord, run.id, result=made.model_dump(mode="json"))
    return standing(store, run)


def _those(store: Store) -> str:
    there = store.where(RunRecord, "kind = ?", [RunKind.COMPARE], order="created_at desc, rowid desc", limit=3)
    if not there:
        return "there is none yet; compare_renders(prompts=[...], variants=[...]) makes one."
    return f"the newest are {', '.join(run.id for run in there)}."


def standing(store: Store, run: RunRecord) -> CompareResult:
    """Where a comparison stands: its result, or how far it is; one that ended early tells what it has."""
    state = RunState(run.state)
    made = answer(store, run, state) if state.ended else None
    if state == RunState.SUCCEEDED and made is not None:
        return made
    note = PREVIEW_NOTE if run.spec.get("preview") else None
    if not state.ended:
        return CompareResult(
            summary=f"{run.name}: {run.step} of {run.steps} pictures are drawn ({state}). It goes on by itself.",
            next_step=f'check_status(run_id="{run.id}", wait_seconds=25) tells when it is done; stop_run ends it.',
            run_id=run.id,
            state=state,
            told=run.spec["told"],
            preview_note=note,
        )
    summary = f"The comparison {run.id} {state}: {run.error or run.message or 'what was done is kept.'}"
    again = f'compare_renders(run_id="{run.id}") goes on with what is missing.'
    if made is None:
        return CompareResult(
            summary=summary, next_step=again, run_id=run.id, state=state, told=run.spec["told"], preview_note=note
        )
    return made.model_copy(
        update={"summary": f"{summary} {made.summary}", "next_step": f"{again} Or: {made.next_step}"}
    )


TOOL = ToolSpec(
    name="compare_renders",
    title="Compare renders",
    description=(
        "Draw the same prompts (or a deck's) and seeds with several LoRAs, strengths, checkpoints, engines or "
        "references, side by side: a labelled grid, and a table of consistency, closeness to the training look, "
        "diversity, copies, leak without the trigger, time and cost. With run_id it keeps picks and tells win rates. "
        "What costs is quoted first. See the grid with view_images(of=run_id, what='compare')."
    ),
    args=CompareArgs,
    result=CompareResult,
    handler=handle,
    open_world=True,
)
