"""curate_dataset: what MCP sees of curation. Settings at once, pictures in the call or, where it may last, in a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loradeck.engines.errors import NotInstalled
from loradeck.state import runs
from loradeck.state.records import DatasetRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CurateArgs, CurateResult, RunKind, RunState
from loradeck.tools.dataset_changes import DEFAULT_RESOLUTION, change_settings, create
from loradeck.tools.datasets import all_images, copy_path, resolve_images
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

if TYPE_CHECKING:
    from loradeck.tools.curate_dataset.sources import Survey

WAIT_SECONDS = 20.0
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Begun:
    """A call on its dataset: answered, or handed to a run. `changed` tells which settings it changed, in words."""

    dataset: DatasetRecord
    done: CurateResult | RunRecord
    changed: list[str]


def curate(args: CurateArgs, bench: Workbench) -> CurateResult:
    """Make, extend or change a dataset. Raises BadArgument, NotFound, Refused or a StateError."""
    if args.source is None and args.dataset_id is None and not (args.name and args.trigger):
        raise BadArgument(
            "curate_dataset needs a source (a folder with images) to make a dataset, a name and a trigger for an empty "
            "one that generate_candidates fills, or a dataset_id to change one; check_status without an id lists the "
            "datasets."
        )
    if args.undo and (args.keep or args.reject or args.crops or args.backgrounds):
        raise BadArgument("undo goes alone, without keep, reject, crops and backgrounds; make two calls.")
    with _one_at_a_time:  # two calls at once must not bring the same pictures in twice; a run is awaited outside
        begun = _begin(args, bench)
    done = begun.done
    result = done if isinstance(done, CurateResult) else _followed(bench, begun.dataset, done)
    changed = [f"Changed: {', '.join(begun.changed)}."] if begun.changed else []
    return result.model_copy(update={"summary": " ".join([result.summary, *changed, *_untrainable(args, bench)])})


def _untrainable(args: CurateArgs, bench: Workbench) -> Iterator[str]:
    """What is to know of a target model that was asked for and that nothing here trains: captions may follow it."""
    if args.target_model is None:
        return
    try:
        bench.engines.choose(args.target_model, "train")
    except NotInstalled as error:
        yield f"Captions will follow the rules of {args.target_model}, but: {error}"


def _begin(args: CurateArgs, bench: Workbench) -> Begun:
    """Find or make the dataset, change its settings, and bring pictures in, here or in a run."""
    from loradeck.tools.curate_dataset.job import bring_in  # here, since these load the picture library
    from loradeck.tools.curate_dataset.sources import Survey, as_list, survey
    from loradeck.tools.curate_dataset.target import meant, new_name
    from loradeck.tools.curate_dataset.watch import Watch

    store = bench.store
    sources = as_list(args.source) if args.source is not None else []
    seen = survey(sources) if sources else Survey()
    known = meant(store, args, sources)
    changed: list[str] = []
    if known is not None:
        _refuse_own_folder(store, known, sources)
        run = _under_way(bench, known, args)
        if run is not None:
            return Begun(known, run, [])
    is_long = _is_long(store, args, seen, known)
    if known is not None:
        dataset, changed = change_settings(store, known, args, sources)
    else:
        with store.transaction():  # another process may have made the same dataset since
            known = meant(store, args, sources)
            dataset = known or create(store, args, new_name(store, args, sources), sources)
    if is_long:
        return Begun(dataset, _hand_over(args, bench, dataset, is_new=known is None), changed)
    watch = Watch(tell=bench.progress, check=lambda: None)
    return Begun(dataset, bring_in(store, dataset.id, args, watch, is_new=known is None), changed)


def _is_long(store: Store, args: CurateArgs, seen: Survey, known: DatasetRecord | None) -> bool:
    """True when the work may outlast a call. Raises BadArgument for a zip that cannot be taken."""
    from loradeck.tools.curate_dataset.effort import needs_a_run

    if known is None:
        return needs_a_run(seen, [], [], args.resolution or DEFAULT_RESOLUTION)
    rows = all_images(store, known.id)
    side = args.resolution or known.resolution
    made = [row for row in rows if row.copy_sha256 is not None]
    refs = [one.image for one in args.crops or []] + (args.backgrounds.images if args.backgrounds else [])
    asked = {row.id for row in resolve_images(store, known.id, refs)} if refs else set()
    again = [row for row in made if side != known.resolution or row.id in asked or not copy_path(store, row).exists()]
    return needs_a_run(seen, rows, again, side)


def _refuse_own_folder(store: Store, dataset: DatasetRecord, sources: Sequence[str]) -> None:
    own = store.workspace.dataset(dataset.id).resolve()
    if any("://" not in text and Path(text).expanduser().resolve().is_relative_to(own) for text in sources):
        raise BadArgument("The source is the dataset's own folder; give the folder that holds the original pictures.")


# --------------------------------------------------------------------------- much work


def _active(store: Store, dataset: DatasetRecord) -> RunRecord | None:
    marks = ", ".join("?" for _ in runs.ACTIVE)
    rows = store.where(
        RunRecord, f"kind = ? and dataset_id = ? and state in ({marks})", [RunKind.CURATE, dataset.id, *runs.ACTIVE]
    )
    return rows[-1] if rows else None


def _spelt(args: CurateArgs) -> dict[str, Any]:
    return args.model_dump(mode="json", exclude_none=True)


def _under_way(bench: Workbench, dataset: DatasetRecord, args: CurateArgs) -> RunRecord | None:
    """The run that this very call started before and that is at work still. Raises Refused while another one is."""
    runs.recover(bench.store, bench.launch)
    run = _active(bench.store, dataset)
    if run is not None and _asked(run.spec["args"], dataset) != _asked(_spelt(args), dataset):
        raise Refused(
            f"{run.id} is still bringing pictures into {dataset.name!r}; wait with check_status(run_id={run.id!r}), "
            "or stop it with stop_run, then call again."
        )
    return run


def _asked(spelt: dict[str, Any], dataset: DatasetRecord) -> dict[str, Any]:
    """What a call asks of a dataset, however it names it: by its id, by its name, or by its source alone."""
    return {
        name: value for name, value in spelt.items() if name != "dataset_id" and (name, value) != ("name", dataset.name)
    }


def _hand_over(args: CurateArgs, bench: Workbench, dataset: DatasetRecord, *, is_new: bool) -> RunRecord:
    """A run that does the work."""
    spec = {"args": _spelt(args), "dataset_id": dataset.id, "is_new": is_new}
    run = runs.enqueue(bench.store, RunKind.CURATE, spec, dataset_id=dataset.id, name=dataset.name)
    bench.launch(run.id)
    return run


def _followed(bench: Workbench, dataset: DatasetRecord, run: RunRecord) -> CurateResult:
    """The run's own answer when it ends soon, else where it stands."""
    run = wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress)
    state = RunState(run.state)
    if state == RunState.SUCCEEDED and run.result is not None:
        return CurateResult.model_validate(run.result).model_copy(update={"run_id": run.id, "state": state})
    stands = run.error or run.message or run.state
    goes_on = "stopped" if state.ended else "goes on"
    again = "Make the same call again; it goes on with what is missing."
    poll = f"check_status(run_id={run.id!r}, wait_seconds=20) until it succeeded; its result is this answer."
    is_there = bench.store.find(DatasetRecord, dataset.id) is not None
    return CurateResult(
        summary=f"Bringing pictures into {dataset.name!r} {goes_on} in {run.id}: {stands.rstrip('.')}.",
        next_step=f"Mend what the summary says. {again}" if run.error else again if state.ended else poll,
        run_id=run.id,
        state=state,
        dataset_id=dataset.id if is_there else None,
        name=dataset.name,
    )


TOOL = ToolSpec(
    name="curate_dataset",
    title="Curate a dataset",
    description=(
        "Turn a folder, .zip, picture files or https URLs into a training set: square PNG copies that keep the face, "
        "bad and duplicate pictures set aside with the reason; originals are never touched. With dataset_id: add "
        "pictures, keep or reject by number, cut elsewhere, replace grounds, undo, record rights, or change trigger, "
        "profile, target model, resolution. Chat attachments do not reach "
        "it; it needs a path on this machine. The same source twice adds nothing. Returns dataset_id, rows of 50 and "
        "findings; URLs, and what outlasts 20 s, go on as a run: poll check_status with its run_id. To look at the "
        "pictures use view_images, to caption write_captions."
    ),
    args=CurateArgs,
    result=CurateResult,
    handler=curate,
    idempotent=True,
    open_world=True,
)
