"""What changes a dataset as a whole without looking at a picture: making one, its settings, imported captions."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from loradeck.state.files import new_id
from loradeck.state.records import CaptionRecord, DatasetRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import IMPORTED, CurateArgs, Profile, SubjectKind, TargetModel
from loradeck.tools.datasets import all_images, captions_of, find_dataset
from loradeck.tools.errors import BadArgument, Refused

DEFAULT_RESOLUTION = 1024
LONGEST_SHOWN = 60


# --------------------------------------------------------------------------- making one, and its settings


def create(store: Store, args: CurateArgs, name: str, sources: Sequence[str]) -> DatasetRecord:
    """A new, empty dataset with the settings of the call."""
    dataset = DatasetRecord(
        id=new_id("ds"),
        name=name,
        profile=args.profile or Profile.STYLE,
        target_model=args.target_model or TargetModel.PREVIEW,
        resolution=args.resolution or DEFAULT_RESOLUTION,
        trigger=tidy_trigger(args.trigger),
        subject=(args.subject or "").strip(),
        subject_kind=args.subject_kind or SubjectKind.PERSON,
        categories=args.categories or [],
        source=list(sources),
    )
    store.add(dataset)
    return find_dataset(store, dataset.id)


def tidy_trigger(trigger: str | None) -> str | None:
    """The trigger in one line, composed (NFC) as captions are. Raises BadArgument where nothing is left of it."""
    if trigger is None:
        return None
    tidy = " ".join(unicodedata.normalize("NFC", trigger).split()).strip(",.;: ")
    if len(tidy) < 2 or not tidy.isprintable():
        raise BadArgument("The trigger needs two visible characters or more; give a made-up word such as 'bkrstyl'.")
    return tidy


def change_settings(
    store: Store, dataset: DatasetRecord, args: CurateArgs, sources: Sequence[str]
) -> tuple[DatasetRecord, list[str]]:
    """Write the settings that a call names, and carry a new trigger into the captions that began with the old one.

    Returns the dataset and what changed, in words. Raises Refused when another dataset has the name.
    """
    said = _said(args)
    if args.dataset_id is not None and args.name:
        said["name"] = args.name.strip()
        _refuse_a_taken_name(store, dataset, said["name"])
    changed = {key: value for key, value in said.items() if value != getattr(dataset, key)}
    told = [_told(key, getattr(dataset, key), value) for key, value in changed.items()]
    more = [text for text in sources if text not in dataset.source]
    with store.transaction():
        if changed or more:
            store.change(DatasetRecord, dataset.id, **changed, source=[*dataset.source, *more])
        if dataset.trigger and "trigger" in changed:
            carried = _carry_trigger(store, dataset.id, dataset.trigger, changed["trigger"])
            told += [f"captions that carry the new trigger: {carried}"] if carried else []
    return find_dataset(store, dataset.id), told


def _refuse_a_taken_name(store: Store, dataset: DatasetRecord, name: str) -> None:
    if store.where(DatasetRecord, "lower(name) = lower(?) and id <> ?", [name, dataset.id]):
        raise Refused(f"Another dataset is called {name!r} already; choose another name.")


def clashes(dataset: DatasetRecord, args: CurateArgs) -> list[str]:
    """The settings of a dataset, in words, of which a call says something else; one that stands open clashes never."""
    said = _said(args)
    if args.resolution is not None:
        said["resolution"] = args.resolution
    there = {key: getattr(dataset, key) for key in said}
    return [f"the {_label(key)} {_shown(there[key])}" for key in said if there[key] and there[key] != said[key]]


def _said(args: CurateArgs) -> dict[str, Any]:
    """The settings that a call names, tidied."""
    said = {
        "trigger": tidy_trigger(args.trigger),
        "profile": args.profile,
        "target_model": args.target_model,
        "subject": args.subject.strip() if args.subject is not None else None,
        "subject_kind": args.subject_kind,
        "categories": args.categories,
    }
    return {key: value for key, value in said.items() if value is not None}


def _told(key: str, old: Any, new: Any) -> str:
    return f"{_label(key)} from {_shown(old)} to {_shown(new)}" if old else f"{_label(key)} to {_shown(new)}"


def _label(key: str) -> str:
    return key.replace("_", " ")


def _shown(value: Any) -> str:
    """A setting as a person reads it: an enum as its word, a long text cut."""
    return repr(shorten(value, LONGEST_SHOWN, placeholder="...")) if isinstance(value, str) else repr(value)


def _carry_trigger(store: Store, dataset_id: str, old: str, new: str) -> int:
    """Captions that begin with the old trigger begin with the new one; returns how many."""
    carried = [caption for caption in captions_of(store, dataset_id).values() if begins_with(caption.text, old)]
    for caption in carried:
        store.change(CaptionRecord, caption.image_id, text=new + caption.text[len(old) :])
    return len(carried)


def adopt_captions(store: Store, dataset: DatasetRecord) -> int:
    """Take captions that came with the pictures where they begin with the trigger; returns how many were taken."""
    if not dataset.trigger:
        return 0
    captions = captions_of(store, dataset.id)
    taken = 0
    with store.transaction():
        for image in all_images(store, dataset.id):
            text = image.facts.get("imported_caption")
            if image.id not in captions and text and begins_with(text, dataset.trigger):
                store.add(CaptionRecord(image.id, dataset.id, text, IMPORTED))
                taken += 1
    return taken


def begins_with(caption: str, trigger: str) -> bool:
    """True when the trigger stands first, as a whole word."""
    rest = caption[len(trigger) :]
    return caption.startswith(trigger) and not (rest[:1].isalnum() or rest[:1] == "_")
