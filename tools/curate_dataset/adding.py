"""Pictures that come into a dataset: which are new, what each is, which of two copies stays, and their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from loradeck.state.files import new_id, sha256_file
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, LookRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import AttributeSource, ImageFacts, ImageStatus, Profile
from loradeck.tools.curate_dataset.answer import Told
from loradeck.tools.curate_dataset.beside import Beside, Notes
from loradeck.tools.curate_dataset.downloads import Downloader
from loradeck.tools.curate_dataset.duplicates import Known, Lookup, is_better
from loradeck.tools.curate_dataset.gathering import gather
from loradeck.tools.curate_dataset.names import copy_name, shown
from loradeck.tools.curate_dataset.prepare import Prepared, Task, prepare_all
from loradeck.tools.curate_dataset.recipe import recipe
from loradeck.tools.curate_dataset.similarity import Look, look_at
from loradeck.tools.curate_dataset.sources import Found, as_list, survey
from loradeck.tools.curate_dataset.watch import Watch
from loradeck.tools.curate_dataset.watermarks import Trace, common_marks
from loradeck.tools.datasets import copy_path, place_copies, place_for, put_in_place, staging
from loradeck.tools.house_file import house_of, take_along
from loradeck.tools.image_changes import ASKED
from loradeck.tools.rulebook.tables import FIGURES

BATCH = 16
ORIGINALS = ".originals"
MOST_TRACES = 120
"""Pictures in which a faint mark is looked for, of those that a call adds: one that all carry shows in these."""


def add(
    store: Store,
    dataset: DatasetRecord,
    source: str | list[str],
    watch: Watch,
    downloader: Downloader,
    told: Told,
) -> list[str]:
    """Bring a source in; only pictures that are not there yet get a row. Returns the new images' ids."""
    originals = store.workspace.dataset(dataset.id) / ORIGINALS
    gathered = gather(survey(as_list(source)), originals, downloader, watch.check)
    roots = dict.fromkeys(one.root for one in gathered.found if one.root is not None)
    said = [take_along(store, dataset.id, root) for root in roots]
    told.refused, told.remarks = gathered.refused, [*gathered.remarks, *filter(None, said)]
    rows = place_copies(store, dataset.id)
    new = _not_there_yet(store, rows, gathered.found)
    told.already = len(gathered.found) - len(new)
    tasks = tasks_for(store, dataset, rows, new)
    adder = Adder(store, dataset, lookup(store, rows), max((row.number for row in rows), default=0))
    for done, (found, task, prepared) in enumerate(zip(new, tasks, prepare_all(tasks, watch.check), strict=True), 1):
        adder.add(found, task, prepared)
        if done % BATCH == 0:
            adder.commit()
        watch.tell(done, len(tasks), f"{done} of {len(tasks)} pictures looked at")
    adder.commit()
    _note_marks(store, common_marks(adder.traces))
    told.added = len(new)
    return adder.ids


def tasks_for(store: Store, dataset: DatasetRecord, rows: Sequence[ImageRecord], new: Sequence[Found]) -> list[Task]:
    """What is to be prepared, each with a name of its own for the copy."""
    taken = {Path(row.file).name.casefold() for row in rows}
    staged = staging(store, dataset.id, dataset.resolution)
    limits = house_of(store, dataset.id).thresholds
    tasks: list[Task] = []
    for found in new:
        name = copy_name(found.name, taken)
        taken.add(name.casefold())
        tasks.append(
            Task(
                found.path,
                staged / name,
                dataset.resolution,
                most_megapixels=limits.megapixels,
                smallest_side=limits.size_error,
                closely=dataset.profile in FIGURES,
                minds_text=dataset.profile != Profile.LOGO,
            )
        )
    return tasks


def _note_marks(store: Store, marks: Mapping[str, str]) -> None:
    """Write down the words of a faint mark on the images that carry it; `repeats` sets them aside."""
    with store.transaction():
        for image_id, words in marks.items():
            row = store.find(ImageRecord, image_id)
            if row is not None:
                store.change(ImageRecord, image_id, facts=row.facts | {"mark": words})


# --------------------------------------------------------------------------- which are new


def _not_there_yet(store: Store, rows: Sequence[ImageRecord], found: Sequence[Found]) -> list[Found]:
    """The files that have no row. A row whose original is gone takes a new file with the same bytes as its original."""
    by_origin: dict[Any, list[ImageRecord]] = {}
    for row in rows:
        by_origin.setdefault(row.rights.get("origin"), []).append(row)
    orphans = {row.sha256: row for row in rows if not Path(row.original_path).exists()}
    new: list[Found] = []
    for one in found:
        known = by_origin.get(one.origin, [])
        if any(is_untouched(row, one.path) for row in known):
            continue
        sha256 = hash_of(one.path) if known or orphans else None
        same = next((row for row in known if row.sha256 == sha256), None)
        if same is not None:
            store.change(ImageRecord, same.id, facts=same.facts | stamp(one.path))  # touched, and the same bytes
            continue
        orphan = orphans.pop(sha256, None) if sha256 else None
        if orphan is None:
            new.append(one)
        else:
            rights = orphan.rights | {"origin": one.origin}
            facts = orphan.facts | stamp(one.path)
            store.change(ImageRecord, orphan.id, original_path=str(one.path), rights=rights, facts=facts)
    return new


def stamp(path: Path) -> dict[str, int]:
    """A file's size and time as facts: while both stay, its bytes count as the same. Empty where it cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return {}
    return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def is_untouched(row: ImageRecord, path: Path) -> bool:
    """True while a row's original has the size and the time that it had when it was looked at."""
    now = stamp(path)
    return bool(now) and now == {name: row.facts.get(name) for name in now}


def hash_of(path: Path) -> str:
    """The file's hash as `prepare` tells it: empty where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return ""


# --------------------------------------------------------------------------- what a new one may repeat


def lookup(store: Store, rows: Sequence[ImageRecord]) -> Lookup:
    """The pictures that a new one may repeat: those kept, and those that a person set aside.

    Of a picture that an earlier loradeck brought in no look was kept: its copy is looked at, where it is there.
    """
    with_look = {row["image_id"] for row in store.read("select image_id from looks")}
    comparable = {
        row.id: row
        for row in rows
        if row.copy_sha256
        and (row.status == ImageStatus.KEPT or has_reason(row, ASKED))
        and (row.id in with_look or copy_path(store, row).is_file())
    }

    def load(image_id: str) -> Look:
        held = store.find(LookRecord, image_id)
        if held is not None:
            return Look.from_bytes(held.look)
        with Image.open(copy_path(store, comparable[image_id])) as copy:
            return look_at(copy.convert("RGB"))

    return Lookup([Known(row.id, str(row.copy_sha256)) for row in comparable.values()], load)


def has_reason(row: ImageRecord, rule_id: str) -> bool:
    """True when that rule speaks against the image, waived or not."""
    return any(reason["rule_id"] == rule_id for reason in row.reasons)


@dataclass
class Adder:
    """Turns prepared pictures into rows, a batch in one transaction. `number` is the last one that was given.

    `status` is that of a picture that nothing speaks against.
    """

    store: Store
    dataset: DatasetRecord
    lookup: Lookup
    number: int
    status: ImageStatus = ImageStatus.KEPT
    ids: list[str] = field(default_factory=list)
    batch: list[ImageRecord] = field(default_factory=list)
    looks: list[LookRecord] = field(default_factory=list)
    traces: dict[str, Trace] = field(default_factory=dict)
    beside: dict[Path | None, Beside] = field(default_factory=dict)

    def add(self, found: Found, task: Task, prepared: Prepared, notes: Notes | None = None) -> None:
        """Judge one picture; its row waits for `commit`. A better copy than one in the set takes its place.

        `notes` is what is known of it, else what lies beside it.
        """
        if notes is None:
            notes = self.beside.setdefault(found.root, Beside(found.root)).notes(found.path, found.name)
        row = _row(self.dataset, found, task, prepared, notes, self.status)
        if prepared.look is not None and row.copy_sha256 is not None and not row.reasons:
            twin = self.lookup.find(row.copy_sha256, prepared.look)
            if twin is not None:
                row = self._judged(row, *twin)
            if row.status == self.status and row.copy_sha256 is not None:
                self.lookup.add(row.id, row.copy_sha256, prepared.look)
        if prepared.look is not None:
            self.looks.append(LookRecord(row.id, self.dataset.id, prepared.look.to_bytes(), prepared.vector))
        if prepared.trace is not None and len(self.traces) < MOST_TRACES:
            self.traces[row.id] = prepared.trace
        self.batch.append(row)
        self.ids.append(row.id)

    def _judged(self, row: ImageRecord, twin_id: str, how: str) -> ImageRecord:
        """The new row beside a picture that shows the same: one of the two is set aside.

        A proposal takes nobody's place, and one that is only near to another is for a person to judge.
        """
        if row.status == ImageStatus.PROPOSED and how != "exact":
            return row
        waiting = next((index for index, other in enumerate(self.batch) if other.id == twin_id), None)
        twin = self.batch[waiting] if waiting is not None else self.store.find(ImageRecord, twin_id)
        if twin is None:
            return row
        better = is_better(ImageFacts.model_validate(row.facts), ImageFacts.model_validate(twin.facts))
        better = better and row.status != ImageStatus.PROPOSED
        if not better or twin.status == ImageStatus.REJECTED or self.store.find(CaptionRecord, twin_id) is not None:
            return _set_aside(row, twin, how)
        self.lookup.drop(twin_id)
        beaten = _set_aside(twin, row, how)
        if waiting is not None:
            self.batch[waiting] = beaten
        else:
            self.store.change(ImageRecord, twin_id, status=beaten.status, reasons=beaten.reasons, file=beaten.file)
            put_in_place(self.store, self.dataset, beaten)
        return row

    def commit(self) -> None:
        """Write the rows of the batch, numbered on, and put their copies in place."""
        with self.store.transaction():
            taken = self.store.read("select max(number) as last from images where dataset_id = ?", [self.dataset.id])
            self.number = max(self.number, taken[0]["last"] or 0)
            for index, row in enumerate(self.batch):
                self.number += 1
                self.batch[index] = replace(row, number=self.number)
                self.store.add(self.batch[index])
            for look in self.looks:
                self.store.add(look)
        for row in self.batch:
            put_in_place(self.store, self.dataset, row)
        self.batch.clear()
        self.looks.clear()


def _set_aside(row: ImageRecord, keeper: ImageRecord, how: str) -> ImageRecord:
    """The row as a duplicate of the one that stays."""
    said = "Same pixels as" if how == "exact" else "Shows the same as"
    where = f"{Path(keeper.file).name} ({keeper.id})"
    aside = ", which was set aside on request" if has_reason(keeper, ASKED) else ""
    reason = {"rule_id": "IMG-DUPLICATE", "why": f"{said} {where}{aside}.", "of": keeper.id, "how": how}
    file = place_for(row.file, ImageStatus.REJECTED)
    return replace(row, status=ImageStatus.REJECTED, reasons=[*row.reasons, reason], file=file)


def _row(
    dataset: DatasetRecord, found: Found, task: Task, prepared: Prepared, notes: Notes, fit: ImageStatus
) -> ImageRecord:
    """A new row; its number is given when it is written. `fit` is its status where nothing speaks against it."""
    facts: dict[str, Any] = prepared.facts.model_dump(mode="json") | stamp(found.path) | notes.facts
    if notes.caption:
        facts["imported_caption"] = notes.caption
    reasons = [{"rule_id": rule_id, "why": why} for rule_id, why in prepared.unfit]
    status = ImageStatus.REJECTED if reasons else fit
    row = ImageRecord(
        id=new_id("img"),
        dataset_id=dataset.id,
        number=0,
        file=place_for(task.copy.name, status),
        original_path=str(found.path),
        original_name=shown(found.name),
        sha256=prepared.sha256,
        copy_sha256=prepared.copy_sha256,
        status=status,
        reasons=reasons,
        facts=facts,
        attributes=notes.attributes,
        sources=dict.fromkeys(notes.attributes, str(AttributeSource.METADATA)),
        crop=prepared.crop.model_dump() if prepared.crop else None,
        rights={"origin": found.origin, **notes.rights},
    )
    return replace(row, made=recipe(row, dataset.resolution) if prepared.crop else None)
