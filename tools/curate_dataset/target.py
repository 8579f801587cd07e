"""Which dataset a call means: the one that it names by id, the one that the same call made before, or a new one.

A name or a source alone never takes a dataset over: without an id only the same call again goes on with what it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CurateArgs
from loradeck.tools.curate_dataset.names import safe_stem
from loradeck.tools.curate_dataset.sources import place
from loradeck.tools.dataset_changes import clashes
from loradeck.tools.datasets import find_dataset
from loradeck.tools.errors import Refused


def meant(store: Store, args: CurateArgs, sources: Sequence[str]) -> DatasetRecord | None:
    """The dataset that a call means, or None for a new one.

    Raises NotFound for an unknown id, Refused where a dataset of that name or source is not what the call describes.
    """
    if args.dataset_id is not None:
        return find_dataset(store, args.dataset_id)
    known = _of_name(store, args.name) if args.name else _made_of(store, sources)
    told = [(dataset, _otherwise(dataset, args, sources)) for dataset in known]
    same = next((dataset for dataset, differences in told if not differences), None)
    if told and same is None:
        dataset, differences = told[0]
        raise Refused(
            f"There is a dataset {dataset.name!r} ({dataset.id}) already, with {' and '.join(differences)}; give "
            f"dataset_id={dataset.id!r} to add to it or change it, or another name to make a new one."
        )
    return same


def new_name(store: Store, args: CurateArgs, sources: Sequence[str]) -> str:
    """The name of a new dataset: as asked, else a free one made from the own name of the first source."""
    if args.name:
        return args.name.strip()
    last = sources[0].replace("\\", "/").split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    base = safe_stem(Path(last).stem).replace("_", " ")[:50]
    name, number = base, 1
    while _of_name(store, name):
        number += 1
        name = f"{base} {number}"
    return name


def _of_name(store: Store, name: str) -> list[DatasetRecord]:
    return store.where(DatasetRecord, "lower(name) = lower(?)", [name.strip()], limit=1)


def _made_of(store: Store, sources: Sequence[str]) -> list[DatasetRecord]:
    """The datasets that hold exactly these sources, the newest first."""
    places = {place(text) for text in sources}
    rows = store.where(DatasetRecord, order="created_at desc")
    return [row for row in rows if {place(text) for text in row.source} == places]


def _otherwise(dataset: DatasetRecord, args: CurateArgs, sources: Sequence[str]) -> list[str]:
    """What is otherwise in a dataset than the call says; pictures that were added to it since are no difference."""
    there = {place(text) for text in dataset.source}
    strange = any(place(text) not in there for text in sources)
    return [*(["other pictures"] if strange else []), *clashes(dataset, args)]
