"""Curation itself, in the call or in a worker: bring pictures in, change what is there, write rows and folder, answer.

Rows are written in batches, and copies lie in a staging folder until their rows are there. So a cut at any moment
leaves whole rows and whole files, and the same call made again goes on with what is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CurateArgs, CurateResult, ImageStatus
from loradeck.tools.curate_dataset.adding import add
from loradeck.tools.curate_dataset.answer import Standing, Told, answer
from loradeck.tools.curate_dataset.downloads import Downloader
from loradeck.tools.curate_dataset.proposing import propose
from loradeck.tools.curate_dataset.remaking import remake
from loradeck.tools.curate_dataset.repeats import set_aside_repeated
from loradeck.tools.curate_dataset.watch import Watch
from loradeck.tools.dataset_changes import adopt_captions
from loradeck.tools.datasets import STAGING_PREFIX, all_images, captions_of, editing, find_dataset, write_folder
from loradeck.tools.disk_changes import take_in_captions, told_edits
from loradeck.tools.errors import Refused, ToolFault
from loradeck.tools.facts import set_facts
from loradeck.tools.house_file import house_of
from loradeck.tools.image_changes import choose, crop, lay_on_grounds, record_rights, undo
from loradeck.tools.rulebook.tables import FIGURES
from loradeck.tools.strangeness import strangeness
from loradeck.tools.workbench import Job


def run(job: Job) -> CurateResult:
    """Curate a large source in a worker. Started again, it goes on with what is missing."""
    spec = job.run.spec
    watch = Watch(tell=job.reporter.progress, check=job.reporter.raise_if_cancelled)
    return bring_in(job.store, spec["dataset_id"], CurateArgs.model_validate(spec["args"]), watch, spec["is_new"])


def bring_in(store: Store, dataset_id: str, args: CurateArgs, watch: Watch, is_new: bool) -> CurateResult:
    """`carry_out`; a dataset that the call made is taken back where no picture came in. Raises Refused then."""
    result = carry_out(store, dataset_id, args, watch)
    if is_new and args.source and not result.images:
        store.remove(DatasetRecord, "id = ?", [dataset_id])
        shutil.rmtree(store.workspace.dataset(dataset_id), ignore_errors=True)
        why = "; ".join(f"{one.file}: {one.why}" for one in result.rejected[:3])
        raise Refused(f"No picture could be brought in, so no dataset was made ({why}).")
    return result


def carry_out(
    store: Store, dataset_id: str, args: CurateArgs, watch: Watch, downloader: Downloader | None = None
) -> CurateResult:
    """Everything that a call asks of a dataset whose settings stand already, and the answer.

    Raises Refused while another program is at work on the dataset for longer than a call waits. What is asked of
    single images and cannot be done raises BadArgument, NotFound or Refused once the new pictures are in.
    """
    told = Told()
    with editing(store, dataset_id):
        dataset = find_dataset(store, dataset_id)
        edited = take_in_captions(store, dataset_id)
        added = add(store, dataset, args.source, watch, downloader or Downloader(), told) if args.source else []
        told.remarks = [*told.remarks, *told_edits(edited)]
        try:
            with store.transaction():  # all of what a call asks, or nothing
                _change_images(store, dataset, args, added, told)
        except ToolFault as fault:
            finish_folder(store, dataset_id)
            if not added:
                raise
            came = f"{len(added)} new pictures were brought in ({dataset_id}), and nothing else was changed."
            raise type(fault)(f"{fault} {came}") from fault
        remake(store, dataset, args.resolution or dataset.resolution, watch, told)
        propose(store, dataset)
        told.repeated = set_aside_repeated(store, dataset) if added else 0
        told.adopted = adopt_captions(store, dataset)
        folder = finish_folder(store, dataset_id)
    by = (args.trigger, args.profile, args.target_model, args.subject, args.subject_kind)
    return answer(
        _standing(store, dataset_id),
        str(folder),
        told,
        page=args.page,
        detail=args.detail,
        rejudge=any(setting is not None for setting in by),
    )


def finish_folder(store: Store, dataset_id: str) -> Path:
    """The folder as its rows say, without what was staged on the way."""
    folder = write_folder(store, dataset_id)
    for left_over in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    return folder


def _standing(store: Store, dataset_id: str) -> Standing:
    dataset = find_dataset(store, dataset_id)
    images, captions = all_images(store, dataset_id), captions_of(store, dataset_id)
    kept = [image for image in images if image.status == ImageStatus.KEPT]
    strange = strangeness(store, kept) if dataset.profile not in FIGURES else None
    facts = set_facts(dataset, kept, captions, house=house_of(store, dataset_id), strangeness=strange)
    return Standing(dataset, images, captions, facts)


def _change_images(store: Store, dataset: DatasetRecord, args: CurateArgs, added: Sequence[str], told: Told) -> None:
    """Keep, reject, crops, grounds and rights, or undo: rows alone, whose copies are made again where they must be."""
    if args.undo:
        told.changed = undo(store, dataset.id).changed
    if args.keep or args.reject:
        choice = choose(store, dataset.id, args.keep or [], args.reject or [])
        told.changed, told.not_kept = choice.changed, choice.not_kept
    if args.crops:
        told.recut = crop(store, dataset.id, args.crops)
    if args.backgrounds is not None:
        told.regrounded = lay_on_grounds(store, dataset.id, args.backgrounds)
    if args.rights is not None:
        told.rights = record_rights(store, dataset.id, args.rights, added)
