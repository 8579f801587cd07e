"""Curation itself, in the call or in a worker: bring pictures in, prepare them, judge them, write rows and folder.

Rows are written in batches, and copies lie in a staging folder until their rows are there. So a cut at any moment
leaves whole rows and whole files, and the same call made again goes on with what is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from loradeck.state.files import new_id, sha256_file
from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import AttributeSource, Crop, CurateArgs, CurateResult, ImageFacts, ImageStatus
from loradeck.tools.curate_dataset.answer import Told, answer
from loradeck.tools.curate_dataset.beside import Beside, Notes
from loradeck.tools.curate_dataset.downloads import Downloader
from loradeck.tools.curate_dataset.duplicates import Known, Lookup, is_better
from loradeck.tools.curate_dataset.gathering import gather
from loradeck.tools.curate_dataset.names import copy_name, shown
from loradeck.tools.curate_dataset.picture import Unfit, open_upright
from loradeck.tools.curate_dataset.prepare import Prepared, Task, cut, prepare_all, save
from loradeck.tools.curate_dataset.similarity import Look, look_at
from loradeck.tools.curate_dataset.sources import Found, as_list, survey
from loradeck.tools.dataset_changes import ASKED, adopt_captions, choose, undo
from loradeck.tools.datasets import (
    STAGING_PREFIX,
    all_images,
    captions_of,
    copy_path,
    find_dataset,
    place_copies,
    place_for,
    staging,
    write_folder,
)
from loradeck.tools.disk_changes import take_in_captions, told_edits
from loradeck.tools.errors import Refused
from loradeck.tools.house_file import take_along
from loradeck.tools.workbench import Job

BATCH = 8
ORIGINALS = ".originals"


@dataclass(frozen=True)
class Watch:
    """How curation is watched: `tell(done, total, message)`, and `check()`, which may raise to stop."""

    tell: Callable[[int, int, str], None]
    check: Callable[[], None]


def run(job: Job) -> CurateResult:
    """Curate a large source in a worker. Started again, it goes on with what is missing."""
    spec = job.run.spec
    watch = Watch(tell=job.reporter.progress, check=job.reporter.raise_if_cancelled)
    return bring_in(job.store, spec["dataset_id"], CurateArgs.model_validate(spec["args"]), watch, spec["is_new"])


def bring_in(store: Store, dataset_id: str, args: CurateArgs, watch: Watch, is_new: bool) -> CurateResult:
    """`carry_out`; a dataset that the call made is taken back where no picture came in. Raises Refused then."""
    result = carry_out(store, dataset_id, args, watch)
    if is_new and not result.images:
        store.remove(DatasetRecord, "id = ?", [dataset_id])
        shutil.rmtree(store.workspace.dataset(dataset_id), ignore_errors=True)
        why = "; ".join(f"{one.file}: {one.why}" for one in result.rejected[:3])
        raise Refused(f"No picture could be brought in, so no dataset was made ({why}).")
    return result


def carry_out(
    store: Store, dataset_id: str, args: CurateArgs, watch: Watch, downloader: Downloader | None = None
) -> CurateResult:
    """Everything that a call asks of a dataset whose settings stand already, and the answer."""
    told = Told()
    dataset = find_dataset(store, dataset_id)
    edited = take_in_captions(store, dataset_id)
    if args.source is not None:
        _add(store, dataset, args.source, watch, downloader or Downloader(), told)
    told.remarks = [*told.remarks, *told_edits(edited)]
    _remake(store, dataset, args.resolution or dataset.resolution, watch, told)
    told.adopted = adopt_captions(store, dataset)
    if args.keep or args.reject:
        choice = choose(store, dataset_id, args.keep or [], args.reject or [])
        told.changed, told.not_kept = choice.changed, choice.not_kept
    elif args.undo:
        told.changed = undo(store, dataset_id).changed
    folder = write_folder(store, dataset_id)
    for left_over in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    dataset = find_dataset(store, dataset_id)
    images, captions = all_images(store, dataset_id), captions_of(store, dataset_id)
    return answer(dataset, images, captions, str(folder), told, page=args.page, detail=args.detail)


# --------------------------------------------------------------------------- adding pictures


def _add(
    store: Store,
    dataset: DatasetRecord,
    source: str | list[str],
    watch: Watch,
    downloader: Downloader,
    told: Told,
) -> None:
    """Bring a source in: only pictures that are not there yet get a row."""
    originals = store.workspace.dataset(dataset.id) / ORIGINALS
    gathered = gather(survey(as_list(source)), originals, downloader, watch.check)
    roots = dict.fromkeys(one.root for one in gathered.found if one.root is not None)
    said = [take_along(store, dataset.id, root) for root in roots]
    told.refused, told.remarks = gathered.refused, [*gathered.remarks, *filter(None, said)]
    rows = place_copies(store, dataset.id)
    new = _not_there_yet(store, rows, gathered.found)
    told.already = len(gathered.found) - len(new)
    taken = {Path(row.file).name.casefold() for row in rows}
    staged = staging(store, dataset.id, dataset.resolution)
    tasks: list[Task] = []
    for found in new:
        name = copy_name(found.name, taken)
        taken.add(name.casefold())
        tasks.append(Task(found.path, staged / name, dataset.resolution))
    adder = _Adder(store, dataset, _lookup(store, rows))
    for done, (found, task, prepared) in enumerate(zip(new, tasks, prepare_all(tasks, watch.check), strict=True), 1):
        adder.add(found, task, prepared)
        if done % BATCH == 0:
            adder.commit()
        watch.tell(done, len(tasks), f"{done} of {len(tasks)} pictures looked at")
    adder.commit()
    told.added = len(new)


def _not_there_yet(store: Store, rows: Sequence[ImageRecord], found: Sequence[Found]) -> list[Found]:
    """The files that have no row. A row whose original is gone takes a new file with the same bytes as its original."""
    known = {(row.rights.get("origin"), row.sha256) for row in rows}
    origins = {row.rights.get("origin") for row in rows}
    orphans = {row.sha256: row for row in rows if not Path(row.original_path).exists()}
    new: list[Found] = []
    for one in found:
        sha256 = _sha256(one.path) if one.origin in origins or orphans else None
        if (one.origin, sha256) in known:
            continue
        orphan = orphans.pop(sha256, None) if sha256 else None
        if orphan is None:
            new.append(one)
        else:
            rights = orphan.rights | {"origin": one.origin}
            store.change(ImageRecord, orphan.id, original_path=str(one.path), rights=rights)
    return new


def _sha256(path: Path) -> str:
    """The file's hash as `prepare` tells it: empty where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return ""


def _lookup(store: Store, rows: Sequence[ImageRecord]) -> Lookup:
    """The pictures that a new one may repeat: those kept, and those that a person set aside."""
    known = [
        Known(row.id, row.copy_sha256, int(row.phash, 16), int(row.dhash, 16))
        for row in rows
        if row.copy_sha256 and row.phash and row.dhash and (row.status == ImageStatus.KEPT or _has(row, ASKED))
    ]

    def load(image_id: str) -> Look:
        row = store.find(ImageRecord, image_id)
        if row is None:
            raise KeyError(image_id)
        try:
            return look_at(open_upright(Path(row.original_path)).picture)
        except Unfit:
            with Image.open(copy_path(store, row)) as copy:
                return look_at(copy.convert("RGB"))

    return Lookup(known, load)


def _has(row: ImageRecord, rule_id: str) -> bool:
    return any(reason["rule_id"] == rule_id for reason in row.reasons)


@dataclass
class _Adder:
    """Turns prepared pictures into rows, a batch in one transaction."""

    store: Store
    dataset: DatasetRecord
    lookup: Lookup
    batch: list[ImageRecord] = field(default_factory=list)
    beside: dict[Path | None, Beside] = field(default_factory=dict)

    def add(self, found: Found, task: Task, prepared: Prepared) -> None:
        """Judge one picture; its row waits for `commit`. A better copy than one in the set takes its place."""
        notes = self.beside.setdefault(found.root, Beside(found.root)).notes(found.path, found.name)
        row = _row(self.dataset, found, task, prepared, notes)
        if prepared.look is not None and row.copy_sha256 is not None and not row.reasons:
            twin = self.lookup.find(row.copy_sha256, prepared.look)
            if twin is not None:
                row = self._judged(row, *twin)
            if row.status == ImageStatus.KEPT and row.copy_sha256 is not None:
                self.lookup.add(row.id, row.copy_sha256, prepared.look)
        self.batch.append(row)

    def _judged(self, row: ImageRecord, twin_id: str, how: str) -> ImageRecord:
        """The new row beside a picture that shows the same: one of the two is set aside."""
        waiting = next((index for index, other in enumerate(self.batch) if other.id == twin_id), None)
        twin = self.batch[waiting] if waiting is not None else self.store.find(ImageRecord, twin_id)
        if twin is None:
            return row
        better = is_better(ImageFacts.model_validate(row.facts), ImageFacts.model_validate(twin.facts))
        if not better or twin.status == ImageStatus.REJECTED or twin_id in captions_of(self.store, self.dataset.id):
            return _set_aside(row, twin, how)
        self.lookup.drop(twin_id)
        beaten = _set_aside(twin, row, how)
        if waiting is not None:
            self.batch[waiting] = beaten
        else:
            self.store.change(ImageRecord, twin_id, status=beaten.status, reasons=beaten.reasons, file=beaten.file)
        return row

    def commit(self) -> None:
        """Write the rows of the batch, numbered on, and put their copies in place."""
        with self.store.transaction():
            rows = all_images(self.store, self.dataset.id)
            number = max((row.number for row in rows), default=0)
            for row in self.batch:
                number += 1
                self.store.add(replace(row, number=number))
        self.batch.clear()
        place_copies(self.store, self.dataset.id)


def _set_aside(row: ImageRecord, keeper: ImageRecord, how: str) -> ImageRecord:
    """The row as a duplicate of the one that stays."""
    said = "Same pixels as" if how == "exact" else "Shows the same as"
    where = f"{Path(keeper.file).name} ({keeper.id})"
    aside = ", which was set aside on request" if _has(keeper, ASKED) else ""
    reason = {"rule_id": "IMG-DUPLICATE", "why": f"{said} {where}{aside}.", "of": keeper.id, "how": how}
    file = place_for(row.file, ImageStatus.REJECTED)
    return replace(row, status=ImageStatus.REJECTED, reasons=[*row.reasons, reason], file=file)


def _row(dataset: DatasetRecord, found: Found, task: Task, prepared: Prepared, notes: Notes) -> ImageRecord:
    """A new row; its number is given when it is written."""
    facts: dict[str, Any] = prepared.facts.model_dump(mode="json")
    if notes.caption:
        facts["imported_caption"] = notes.caption
    reasons = [{"rule_id": prepared.unfit[0], "why": prepared.unfit[1]}] if prepared.unfit else []
    status = ImageStatus.REJECTED if reasons else ImageStatus.KEPT
    return ImageRecord(
        id=new_id("img"),
        dataset_id=dataset.id,
        number=0,
        file=place_for(task.copy.name, status),
        original_path=str(found.path),
        original_name=shown(found.name),
        sha256=prepared.sha256,
        copy_sha256=prepared.copy_sha256,
        phash=f"{prepared.look.phash:016x}" if prepared.look else None,
        dhash=f"{prepared.look.dhash:016x}" if prepared.look else None,
        status=status,
        reasons=reasons,
        facts=facts,
        attributes=notes.attributes,
        sources=dict.fromkeys(notes.attributes, AttributeSource.METADATA),
        crop=prepared.crop.model_dump() if prepared.crop else None,
        rights={"origin": found.origin},
    )


# --------------------------------------------------------------------------- copies made again


def _remake(store: Store, dataset: DatasetRecord, resolution: int, watch: Watch, told: Told) -> None:
    """Make copies again from the originals: all of them at a new resolution, else those that are missing."""
    rows = [row for row in place_copies(store, dataset.id) if row.copy_sha256 is not None]
    stale = [row for row in rows if resolution != dataset.resolution or not copy_path(store, row).exists()]
    staged = staging(store, dataset.id, resolution)
    hashes: dict[str, str] = {}
    for done, row in enumerate(stale, 1):
        watch.check()
        square = _square_again(store, row, resolution, told)
        if square is not None:
            hashes[row.id] = save(square, staged / Path(row.file).name)
        watch.tell(done, len(stale), f"{done} of {len(stale)} copies made again")
    with store.transaction():
        for image_id, copy_sha256 in hashes.items():
            store.change(ImageRecord, image_id, copy_sha256=copy_sha256)
        if resolution != dataset.resolution:
            store.change(DatasetRecord, dataset.id, resolution=resolution)


def _square_again(store: Store, row: ImageRecord, resolution: int, told: Told) -> Image.Image | None:
    """The square from the original; from the present copy where the original is gone or changed, and told."""
    original = Path(row.original_path)
    if _sha256(original) == row.sha256 and row.crop is not None:
        try:
            return cut(open_upright(original).picture, Crop.model_validate(row.crop), resolution)
        except Unfit:
            pass
    told.gone.append(row.id)
    copy = copy_path(store, row)
    if not copy.exists():
        return None
    with Image.open(copy) as old:
        return old.convert("RGB").resize((resolution, resolution), Image.Resampling.LANCZOS)
