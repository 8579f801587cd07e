"""The pictures that a LoRA learned from, and those that its base drew before it had learned anything."""

from __future__ import annotations

from pathlib import Path

from loradeck.state.records import LoraRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import kept_images

LONGEST_LINE = 20
"""So many parents are gone through, at most."""


def pictures_of(store: Store, lora: LoraRecord) -> list[Path]:
    """The images that a LoRA learned from, by name: those its run set aside, else its dataset's; [] where not known."""
    return _set_aside(store, lora) or _in_dataset(store, lora)


def base_pictures_of(store: Store, lora: LoraRecord) -> list[Path]:
    """What the base drew alone: the samples at step 0 of the run that began the LoRA's line; [] where not known.

    A run that went on with a parent drew with the parent's look at step 0, so the first of the line is asked.
    """
    for _ in range(LONGEST_LINE):
        if lora.parent_lora_id is None:
            rows = store.where(SampleRecord, "run_id = ? and step = 0", [lora.run_id], order="rowid")
            return [path for row in rows if (path := Path(row.path)).is_file()]
        parent = store.find(LoraRecord, lora.parent_lora_id)
        if parent is None or parent.base_model != lora.base_model:
            break
        lora = parent
    return []


def _set_aside(store: Store, lora: LoraRecord) -> list[Path]:
    run = store.find(RunRecord, lora.run_id) if lora.run_id else None
    if run is None:
        return []
    folder = store.workspace.run(run.id) / "dataset"
    names = sorted(str(pair["file"]) for pair in run.spec.get("pairs", []))
    return [path for name in names if (path := folder / name).is_file()]


def _in_dataset(store: Store, lora: LoraRecord) -> list[Path]:
    if lora.dataset_id is None:
        return []
    folder = store.workspace.dataset(lora.dataset_id)
    names = sorted(image.file for image in kept_images(store, lora.dataset_id))
    return [path for name in names if (path := folder / name).is_file()]
