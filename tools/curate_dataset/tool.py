"""curate_dataset: what MCP sees of curation. Settings at once, pictures in the call or, when many, in a run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from loradeck.engines.errors import NotInstalled
from loradeck.state import runs
from loradeck.state.records import DatasetRecord, ImageRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CurateArgs, CurateResult, RunKind, RunState
from loradeck.tools.dataset_changes import change_settings, create
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

MOST_IN_CALL = 150
WAIT_SECONDS = 20.0
_one_at_a_time = threading.Lock()


def curate(args: CurateArgs, bench: Workbench) -> CurateResult:
    """Make, extend or change a dataset. Raises BadArgument, NotFound, Refused or a StateError."""
    if args.source is None and args.dataset_id is None:
        raise BadArgument(
            "curate_dataset needs a source (a folder with images) to make a dataset, or a dataset_id to change one; "
            "check_status without an id lists the datasets."
        )
    if args.undo and (args.keep or args.reject):
        raise BadArgument("undo goes alone, without keep and reject; make two calls.")
    with _one_at_a_time:
        result, changed = _curate(args, bench)
    told = [f"Changed: {', '.join(changed)}."] if changed else []
    return result.model_copy(update={"summary": " ".join([result.summary, *told, *_untrainable(args, bench)])})


def _untrainable(args: CurateArgs, bench: Workbench) -> Iterator[str]:
    """What is to know of a target model that was asked for and that nothing here trains: captions may follow it."""
    if args.target_model is None:
        return
    try:
        bench.engines.choose(args.target_model, "train")
    except NotInstalled as error:
        yield f"Captions will follow the rules of {args.target_model}, but: {error}"


def _curate(args: CurateArgs, bench: Workbench) -> tuple[CurateResult, list[str]]:
    """The answer, and which settings of a dataset that was there changed, in words."""
    from loradeck.tools.curate_dataset.gathering import count  # here, since these load the picture library
    from loradeck.tools.curate_dataset.job import Watch, carry_out
    from loradeck.tools.curate_dataset.sources import as_list, survey
    from loradeck.tools.curate_dataset.target import meant, new_name

    store = bench.store
    sources = as_list(args.source) if args.source is not None else []
    seen = survey(sources) if sources else None
    pictures = count(seen) if seen is not None else 0
    known, changed = meant(store, args, sources), []
    if known is None:
        dataset = create(store, args, new_name(store, args, sources), sources)
    else:
        _refuse_own_folder(store, known, sources)
        _refuse_while_running(store, known, args)
        dataset, changed = change_settings(store, known, args, sources)
    if args.resolution not in {None, dataset.resolution}:
        pictures += store.count(ImageRecord, "dataset_id = ?", [dataset.id])
    if pictures > MOST_IN_CALL:
        return _in_a_run(args, bench, dataset), changed
    watch = Watch(tell=bench.progress, check=lambda: None)
    result = carry_out(store, dataset.id, args, watch)
    if known is None and not result.images:
        _forget(store, dataset)
        why = "; ".join(f"{one.file}: {one.why}" for one in result.rejected[:3])
        raise Refused(f"No picture could be brought in, so no dataset was made ({why}).")
    return result, changed


def _refuse_own_folder(store: Store, dataset: DatasetRecord, sources: Sequence[str]) -> None:
    own = store.workspace.dataset(dataset.id).resolve()
    if any("://" not in text and Path(text).expanduser().resolve().is_relative_to(own) for text in sources):
        raise BadArgument("The source is the dataset's own folder; give the folder that holds the original pictures.")


def _forget(store: Store, dataset: DatasetRecord) -> None:
    """Take a dataset back that was made in this call and holds nothing."""
    store.remove(DatasetRecord, "id = ?", [dataset.id])
    shutil.rmtree(store.workspace.dataset(dataset.id), ignore_errors=True)


# --------------------------------------------------------------------------- many pictures


def _active(store: Store, dataset: DatasetRecord) -> RunRecord | None:
    marks = ", ".join("?" for _ in runs.ACTIVE)
    rows = store.where(
        RunRecord, f"kind = ? and dataset_id = ? and state in ({marks})", [RunKind.CURATE, dataset.id, *runs.ACTIVE]
    )
    return rows[-1] if rows else None


def _spec(args: CurateArgs, dataset: DatasetRecord) -> dict[str, Any]:
    return {"args": args.model_dump(mode="json", exclude_none=True), "dataset_id": dataset.id}


def _refuse_while_running(store: Store, dataset: DatasetRecord, args: CurateArgs) -> None:
    """Raise Refused while a run works on the dataset, unless this is the very call that started it."""
    run = _active(store, dataset)
    if run is not None and run.spec != _spec(args, dataset):
        raise Refused(
            f"{run.id} is still bringing pictures into {dataset.name!r}; wait with check_status(run_id={run.id!r}), "
            "or stop it with stop_run, then call again."
        )


def _in_a_run(args: CurateArgs, bench: Workbench, dataset: DatasetRecord) -> CurateResult:
    """Hand the work to a worker and wait a little; the same call made again meets the run that is on its way."""
    run = _active(bench.store, dataset)
    if run is None:
        spec = _spec(args, dataset)
        run = runs.enqueue(bench.store, RunKind.CURATE, spec, dataset_id=dataset.id, name=dataset.name)
        bench.launch(run.id)
    run = wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress)
    if run.state == RunState.SUCCEEDED and run.result is not None:
        return CurateResult.model_validate(run.result).model_copy(
            update={"run_id": run.id, "state": RunState.SUCCEEDED}
        )
    stands = run.error or run.message or run.state
    goes_on = "stopped" if RunState(run.state).ended else "goes on"
    poll = f"check_status(run_id={run.id!r}, wait_seconds=20) until it succeeded; its result is this answer."
    return CurateResult(
        summary=f"Bringing pictures into {dataset.name!r} ({dataset.id}) {goes_on} in {run.id}: {stands.rstrip('.')}.",
        next_step="Make the same call again; it goes on with what is missing." if goes_on == "stopped" else poll,
        run_id=run.id,
        state=RunState(run.state),
        dataset_id=dataset.id,
        name=dataset.name,
    )


TOOL = ToolSpec(
    name="curate_dataset",
    title="Curate a dataset",
    description=(
        "Turn a folder, .zip, picture files or https URLs into a training set: square PNG copies, bad and duplicate "
        "pictures set aside with the reason; originals are never touched. With dataset_id: add pictures, keep or "
        "reject by number, undo, or change trigger, profile, target model, resolution. Chat attachments do not reach "
        "it; it needs a path on this machine. The same source twice adds nothing. Returns dataset_id, rows of 50 and "
        "findings; above 150 pictures a run_id. To look at the pictures use view_images, to caption write_captions."
    ),
    args=CurateArgs,
    result=CurateResult,
    handler=curate,
    idempotent=True,
    open_world=True,
)
