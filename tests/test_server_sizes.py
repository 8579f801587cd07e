"""The largest answers there can be: a workspace of 300 images with long captions, 300 LoRAs, a deck of 60 slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from mcp.types import CallToolResult
from PIL import Image
from support.client import call
from support.decks import deck, render
from support.engine import registry
from support.painter import Painter, bench, trained
from support.training import queued

from loradeck.server import worker
from loradeck.state import runs
from loradeck.state.records import (
    CaptionRecord,
    CheckpointRecord,
    DatasetRecord,
    DeckRecord,
    ImageRecord,
    LoraRecord,
    SampleRecord,
    VisualRecord,
)
from loradeck.state.store import Store

IMAGES = 300
LONG = "fluenty, " + "a bell with a clapper stands in front of a wall of many bricks while a dog looks on; " * 8
MOST_STRUCTURE = 60_000
MOST_PICTURES = 700_000
"""Bytes of one result on the wire: the pictures as base64, and the text."""


def noise(path: Path, side: int = 256) -> None:
    """The picture that compresses worst."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = numpy.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("workspace")
    store = Store(home)
    with store.transaction():
        fill_dataset(store)
        fill_deck(store)
        for number in range(IMAGES):
            store.add(
                LoraRecord(
                    id=f"lora_{number:06}",
                    name="a-name-of-some-length",
                    version=number + 1,
                    base_model="preview",
                    path=str(home / "loras" / "preview" / f"a-name-of-some-length-v{number + 1}.safetensors"),
                    sha256="a" * 64,
                    bytes=1,
                    trigger="fluenty",
                )
            )
        for number in range(IMAGES):
            run = runs.enqueue(store, "train", {}, name=f"run number {number}", dataset_id="ds_aaaaaa")
            store.change(type(run), run.id, state="failed", error=LONG)
            for step in range(12):
                runs.add_event(store, run.id, f"{step} {LONG[:300]}")
    return home


def fill_dataset(store: Store) -> None:
    store.add(
        DatasetRecord(
            id="ds_aaaaaa", name="big", profile="style", target_model="preview", resolution=256, trigger="fluenty"
        )
    )
    folder = store.workspace.dataset("ds_aaaaaa")
    noise(folder / "0001.png")
    picture = (folder / "0001.png").read_bytes()
    reason = {"rule_id": "IMG-SIZE", "why": "The shorter side has 300 pixels and should have 1024." * 2}
    for number in range(1, IMAGES + 1):
        image_id = f"img_{number:08}"
        rejected = number % 3 == 0
        file = f"{number:04}.png"
        (folder / file).write_bytes(picture)
        store.add(
            ImageRecord(
                id=image_id,
                dataset_id="ds_aaaaaa",
                number=number,
                file=file,
                original_path=f"/pictures/{file}",
                original_name=f"a rather long original name of a picture {number}.png",
                sha256=f"{number:064}",
                status="rejected" if rejected else "kept",
                reasons=[reason] if rejected else [],
                facts={"width": 300, "height": 300, "format": "PNG", "bytes": 1000, "dominant_colors": ["#112233"] * 5},
                attributes={"subject": "a bell with a clapper " * 5, "background": "a wall of many bricks " * 5},
                sources={"subject": "assistant", "background": "assistant"},
                crop={"x": 0, "y": 0, "width": 300, "height": 300, "reason": "whole"},
            )
        )
        if not rejected:
            store.add(CaptionRecord(image_id, "ds_aaaaaa", LONG, "given"))


def fill_deck(store: Store) -> None:
    slides = [
        {"name": f"slide_{number}", "prompt": LONG, "heading": "A heading", "body": LONG} for number in range(1, 61)
    ]
    store.add(DeckRecord(id="deck_aaaaaa", title="Big", spec={"title": "Big", "slides": slides}))
    folder = store.workspace.deck("deck_aaaaaa")
    noise(folder / "visual.png", 512)
    for number in range(1, 61):
        for take in (1, 2):
            store.add(
                VisualRecord(
                    id=f"vis_{number:06}{take:02}",
                    deck_id="deck_aaaaaa",
                    slide=f"slide_{number}",
                    take=take,
                    path=str(folder / "visual.png"),
                    prompt=LONG,
                    seed=7,
                    width=512,
                    height=512,
                    recipe="r",
                    sha256="s",
                    picked=take == 1,
                )
            )


def captions(text: str) -> list[dict[str, Any]]:
    return [{"image_id": str(number), "caption": text} for number in range(1, IMAGES + 1)]


def wire(result: CallToolResult) -> int:
    return len(result.model_dump_json(by_alias=True, exclude_none=True))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("check_status", {}),
        ("curate_dataset", {"dataset_id": "big"}),
        ("curate_dataset", {"dataset_id": "big", "detail": True}),
        ("curate_dataset", {"dataset_id": "big", "keep": ["all"]}),
        ("write_captions", {"dataset_id": "big", "images": captions(LONG), "overwrite": True}),
        ("write_captions", {"dataset_id": "big", "images": captions("masterpiece, 8k, a bell"), "overwrite": True}),
        ("write_captions", {"dataset_id": "big", "mode": "attributes", "overwrite": True}),
        ("validate_coverage", {"dataset_id": "big"}),
        ("start_training", {"dataset_id": "big"}),
        ("list_loras", {}),
        ("list_loras", {"page": 6}),
        ("curate_dataset", {"dataset_id": "big", "reject": ["1-200"]}),
    ],
)
def test_the_largest_structured_answer_fits_an_assistants_context(
    tool: str, arguments: dict[str, Any], home: Path
) -> None:
    result = call(home, tool, **arguments)
    assert not result.is_error, result.content
    assert len(json.dumps(result.structured_content, ensure_ascii=False)) <= MOST_STRUCTURE


def test_the_status_of_a_talkative_run_stays_small(home: Path) -> None:
    run_id = Store(home).where(runs.RunRecord, limit=1)[0].id
    result = call(home, "check_status", run_id=run_id)
    assert not result.is_error
    assert len(json.dumps(result.structured_content)) <= MOST_STRUCTURE


def test_the_status_of_a_training_that_left_a_thousand_checkpoints_stays_small(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    run = queued(store)
    folder = store.workspace.run(run.id) / "checkpoints"
    noise(folder / "sample.png")
    with store.transaction():
        for step in range(1, 1001):
            path = folder / f"step-{step:06}.safetensors"
            path.touch()
            store.add(CheckpointRecord(run.id, step, str(path), "a" * 64))
            store.add(SampleRecord(run.id, step, str(folder / "sample.png"), LONG))
    assert worker.work(store.workspace.home, run.id, registry()) == "succeeded"
    result = call(store.workspace.home, "check_status", run_id=run.id)
    told = result.structured_content or {}
    assert wire(result) <= MOST_STRUCTURE
    assert (told["result"]["checkpoints"], told["result"]["checkpoints_in"]) == (1000, str(folder))
    assert [row["kind"] for row in told["artefacts"]].count("checkpoint") <= 6


def test_the_status_of_a_render_of_sixty_slides_that_all_want_a_second_look_stays_small(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    trained(store)
    slides = [{"name": f"slide_{'x' * 30}_{n}", "prompt": LONG * 2, "heading": "A", "body": LONG} for n in range(60)]
    one_colour = bench(store, Painter(colour=lambda *_: (0, 0, 0)))
    answer = render(one_colour, deck=deck(slides=slides), takes=2)
    assert all(row.findings for row in answer.visuals)
    assert len(answer.model_dump_json(exclude_none=True)) <= MOST_STRUCTURE
    structure = call(store.workspace.home, "check_status", run_id=answer.run_id).structured_content or {}
    assert len(json.dumps(structure, ensure_ascii=False)) <= MOST_STRUCTURE
    named = [row["path"] for row in (*structure["artefacts"], *structure["result"]["visuals"])]
    assert sorted(named) == sorted({*named, *(file.path for file in answer.files)})  # each file, once


@pytest.mark.parametrize(
    "arguments",
    [
        {"of": "big"},
        {"of": "big", "page": 3},
        {"of": "big", "what": "image", "image_ids": [str(number) for number in range(1, 13)]},
        {"of": "big", "what": "coverage"},
        {"of": "deck_aaaaaa", "what": "deck"},
    ],
)
def test_pictures_fit_a_clients_limit(arguments: dict[str, Any], home: Path) -> None:
    result = call(home, "view_images", **arguments)
    assert not result.is_error, result.content
    assert wire(result) <= MOST_PICTURES
