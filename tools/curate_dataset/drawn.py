"""Pictures that were drawn for a dataset come in as proposals: measured as any other, kept or rejected by looking."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loradeck.state.files import atomic, told
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CaptionMode, ImageStatus
from loradeck.tools.curate_dataset.adding import ORIGINALS, Adder, lookup, tasks_for
from loradeck.tools.curate_dataset.beside import Notes
from loradeck.tools.curate_dataset.job import finish_folder
from loradeck.tools.curate_dataset.prepare import prepare_all
from loradeck.tools.curate_dataset.sources import Found
from loradeck.tools.datasets import all_images, captions_of, editing, find_dataset, place_copies

FOLDER = "drawn"
"""Of their originals, beside those of zips and addresses."""


@dataclass(frozen=True)
class Drawn:
    """One picture. `origin` names it for ever, `name` is its file's; `caption` is empty where none could be worded."""

    path: Path
    name: str
    origin: str
    notes: Notes
    caption: str
    mode: CaptionMode


def propose_drawn(
    store: Store, dataset_id: str, drawn: Sequence[Drawn], check: Callable[[], None]
) -> dict[str, ImageRecord]:
    """Bring pictures in that are not there yet; returns origin -> row. What a rule forbids is set aside, and why.

    The dataset gets copies of its own, so that the run's folder may go. `check` may raise to stop between pictures.
    Raises Refused while another program is at work on the dataset, DiskFull or WorkspaceReadOnly.
    """
    with editing(store, dataset_id):
        dataset = find_dataset(store, dataset_id)
        rows = place_copies(store, dataset_id)
        there = {row.rights.get("origin") for row in rows}
        new = [one for one in drawn if one.origin not in there]
        originals = store.workspace.dataset(dataset_id) / ORIGINALS / FOLDER
        found = [Found(_own(one, originals), one.name, one.origin) for one in new]
        tasks = tasks_for(store, dataset, rows, found)
        last = max((row.number for row in rows), default=0)
        adder = Adder(store, dataset, lookup(store, rows), last, ImageStatus.PROPOSED)
        try:
            for one, file, task, prepared in zip(new, found, tasks, prepare_all(tasks, check), strict=True):
                adder.add(file, task, prepared, one.notes)
        finally:
            adder.commit()
            mine = _captioned(store, dataset, drawn)
            finish_folder(store, dataset_id)
    return mine


def _own(one: Drawn, originals: Path) -> Path:
    """The dataset's own copy of a picture."""
    path = originals / one.name
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        shutil.copyfile(one.path, temporary)
    return path


def _captioned(store: Store, dataset: DatasetRecord, drawn: Sequence[Drawn]) -> dict[str, ImageRecord]:
    """The rows of these pictures by their origins, each with its caption where it has none."""
    by_origin = {one.origin: one for one in drawn}
    captions = captions_of(store, dataset.id)
    rows = {str(row.rights["origin"]): row for row in all_images(store, dataset.id) if "origin" in row.rights}
    mine = {origin: row for origin, row in rows.items() if origin in by_origin}
    with store.transaction():
        for origin, row in mine.items():
            one = by_origin[origin]
            if one.caption and row.id not in captions:
                store.add(CaptionRecord(row.id, dataset.id, one.caption, one.mode))
    return mine
