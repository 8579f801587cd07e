"""Captions that break things on purpose: enormous ones, odd encodings, odd triggers, words that are code."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from support.datasets import TRIGGER, ready_dataset
from support.images import bench

from loradeck.tools.contracts import WriteCaptionsArgs
from loradeck.tools.dataset_changes import tidy_trigger
from loradeck.tools.datasets import captions_of
from loradeck.tools.disk_changes import take_in_captions
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions.tool import TOOL

DATASET = "ds_ready"


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    made = bench(tmp_path)
    ready_dataset(made.store, images=3)
    TOOL.handler(WriteCaptionsArgs.model_validate({"dataset_id": DATASET, "mode": "attributes"}), made)
    return made


def edited(on: Workbench, content: bytes) -> str:
    """What the first image's caption is after its sidecar was overwritten."""
    (on.store.workspace.dataset(DATASET) / "001.txt").write_bytes(content)
    take_in_captions(on.store, DATASET)
    return next(row.text for row in captions_of(on.store, DATASET).values() if row.image_id.endswith("001"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_a_sidecar_is_taken_in_from_any_encoding_and_with_any_line_ends(on: Workbench, encoding: str) -> None:
    text = f"{TRIGGER}, a café\r\nby\rnight\x07,\n\nlit up."
    assert edited(on, text.encode(encoding)) == f"{TRIGGER}, a café by night, lit up."


def test_a_trigger_is_the_same_however_its_accents_are_composed() -> None:
    assert tidy_trigger(unicodedata.normalize("NFD", "cafébrand")) == unicodedata.normalize("NFC", "cafébrand")
