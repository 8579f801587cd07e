"""A dataset that passes, put straight into the store: the demo's captions over small flat pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

from PIL import Image

from loradeck.state.files import sha256_file
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.state.store import Store

TRIGGER = "zorbik"
SIDE = 64


def ready_dataset(store: Store, images: int = 44, dataset_id: str = "ds_ready") -> DatasetRecord:
    """An icons set for the preview base, captioned; `grow` adds to it."""
    store.add(
        DatasetRecord(
            id=dataset_id,
            name=dataset_id[3:],
            profile="icons",
            target_model="preview",
            resolution=SIDE,
            trigger=TRIGGER,
        )
    )
    with store.transaction():
        grow(store, dataset_id, 0, images)
    return store.where(DatasetRecord, "id = ?", [dataset_id])[0]


def grow(store: Store, dataset_id: str, first: int, count: int) -> None:
    """Add images with captions, from the demo's list on."""
    rows = json.loads((files("loradeck.server") / "demo_data" / "captions.json").read_text())
    folder = store.workspace.dataset(dataset_id)
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows[first : first + count], first + 1):
        path = folder / f"{number:03d}.png"
        Image.new("RGB", (SIDE, SIDE), (number * 5 % 256, number * 11 % 256, 128)).save(path)
        image_id = f"img_{dataset_id[3:]}{number:03d}"
        store.add(
            ImageRecord(
                id=image_id, dataset_id=dataset_id, number=number, file=path.name, original_path=str(path),
                original_name=row["file_name"], sha256=sha256_file(path), copy_sha256=sha256_file(path), status="kept",
                facts={"width": 1024, "height": 1024, "format": "PNG", "bytes": 999},
                attributes={"subject": row["subject"], "colors": row["colors"]},
                sources={"subject": "person", "colors": "person"}, rights={"licence": "MIT"},
            )
        )  # fmt: skip
        caption = row["caption"][0].lower() + row["caption"][1:]
        store.add(CaptionRecord(image_id, dataset_id, f"{TRIGGER}, {caption}", "given", seen=True))


def spoil(store: Store, dataset_id: str) -> None:
    """Take the trigger out of one caption, which nothing can waive."""
    caption = store.where(CaptionRecord, "dataset_id = ?", [dataset_id])[0]
    store.add(replace(caption, text=caption.text.removeprefix(f"{TRIGGER}, ")))
