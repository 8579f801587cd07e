"""write_captions: take captions and attributes, judge each caption, save what is good."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, SheetRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CaptionMode, WriteCaptionsArgs, WriteCaptionsResult
from loradeck.tools.datasets import all_images, captions_of, editing, find_dataset, write_folder
from loradeck.tools.disk_changes import take_in_captions, told_edits
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Workbench

if TYPE_CHECKING:
    from loradeck.tools.write_captions.answer import Outcome
    from loradeck.tools.write_captions.drafts import Judged
    from loradeck.tools.write_captions.request import Request

BETWEEN_CODES = re.compile(r"[\s,;]+")


def handle(args: WriteCaptionsArgs, bench: Workbench) -> WriteCaptionsResult:
    """Save what is good, refuse the rest with findings. Raises NotFound, BadArgument, Refused or NotInstalled."""
    from loradeck.tools.write_captions.answer import answer

    store = bench.store
    dataset = find_dataset(store, args.dataset_id)
    _check(args, dataset)
    if args.mode == CaptionMode.VISION:
        from loradeck.tools.write_captions.vision import handle as described

        return described(args, bench, dataset)
    with editing(store, dataset.id):
        outcome, edited = _written(args, store, find_dataset(store, dataset.id))
    result = answer(dataset.id, outcome)
    return result.model_copy(update={"summary": " ".join([result.summary, *told_edits(edited)])})


def _written(args: WriteCaptionsArgs, store: Store, dataset: DatasetRecord) -> tuple[Outcome, list[str]]:
    """What was saved and refused, and the sidecars that were taken in before."""
    from loradeck.tools.facts import set_facts
    from loradeck.tools.house_file import house_of
    from loradeck.tools.write_captions.answer import Outcome
    from loradeck.tools.write_captions.drafts import judge_drafts, with_drafts
    from loradeck.tools.write_captions.request import drafts, understood

    request = understood(all_images(store, dataset.id), args.images)
    edited = take_in_captions(store, dataset.id)
    captions = captions_of(store, dataset.id)
    facts = set_facts(dataset, request.kept, captions, house=house_of(store, dataset.id))
    seen, strange_codes = _seen(store, request, args.sheet_code)
    wanted = drafts(args, request, facts, seen)
    fresh = [draft for draft in wanted if args.overwrite or draft.image_id not in captions]
    judged = judge_drafts(facts, fresh)
    good = [one for one in judged if not one.refused]
    _save(store, dataset, request, good)
    outcome = Outcome(
        judged=judged,
        skipped=len(wanted) - len(fresh),
        set_aside=request.set_aside,
        outranked=request.outranked,
        unknown=request.unknown,
        strange_codes=strange_codes,
        attributes=len(request.changed),
        after=with_drafts(facts, [one.draft for one in good]),
    )
    return outcome, edited


def _check(args: WriteCaptionsArgs, dataset: DatasetRecord) -> None:
    """Refuse what cannot be done as asked before anything is touched."""
    if not dataset.trigger:
        raise Refused(
            f"{dataset.name!r} has no trigger yet, and every caption begins with it; choose a made-up word with "
            f'curate_dataset(dataset_id="{dataset.id}", trigger="...").'
        )
    if args.mode == CaptionMode.GIVEN and not args.trigger_only:
        empty = [item.image_id for item in args.images if item.caption is None and item.attributes is None]
        if empty or not args.images:
            raise BadArgument(
                f"Nothing is said of {', '.join(empty) or 'any image'}, so nothing was saved; give each image a "
                "caption, attributes or both, or use mode=attributes to build captions from what is known."
            )


def _seen(store: Store, request: Request, codes: str | None) -> tuple[set[str], list[str]]:
    """Ids of the images on the sheets whose codes were given (several may be, separated by commas), and the codes that
    belong to no sheet of this dataset.
    """
    seen: set[str] = set()
    strange: list[str] = []
    for code in filter(None, BETWEEN_CODES.split((codes or "").strip().lower())):
        sheet = store.find(SheetRecord, code)
        shown = request.rows.keys() & set(sheet.image_ids if sheet is not None else [])
        seen |= shown
        strange += [] if shown else [code]
    return seen, strange


def _save(store: Store, dataset: DatasetRecord, request: Request, good: list[Judged]) -> None:
    """Attributes and captions in one transaction, then the folder that trainers read."""
    with store.transaction():
        for image_id in sorted(request.changed):
            row = request.rows[image_id]
            store.change(ImageRecord, image_id, attributes=row.attributes, sources=row.sources)
        for one in good:
            findings = [finding.model_dump(mode="json") for finding in one.findings]
            draft = one.draft
            store.add(CaptionRecord(draft.image_id, dataset.id, draft.text, draft.mode, draft.seen, findings))
        store.change(DatasetRecord, dataset.id)
    write_folder(store, dataset.id)


TOOL = ToolSpec(
    name="write_captions",
    title="Write captions",
    description=(
        "Save captions and attributes for a dataset's images. Each caption is judged at once (trigger first, "
        "sentences, length for the target model, no style words, no identity words for characters): good ones are "
        "saved with their .txt files even when others are refused or name no image; refused ones come back with "
        "findings and, where possible, a mended proposal. Look first with view_images and pass the sheet's code as "
        "sheet_code (several: comma-separated). mode=given takes your captions and attributes; mode=attributes builds "
        "captions from what is known of the images named (or all); mode=vision has a vision model look: a quote first, "
        "then a run. Existing captions stay unless overwrite=true. Needs a trigger (curate_dataset)."
    ),
    args=WriteCaptionsArgs,
    result=WriteCaptionsResult,
    handler=handle,
    idempotent=True,
    open_world=True,
)
