"""What the detector proposes of real heads: for figures alone, where nobody else has spoken, and anew with a crop."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.images import bench, curate

from loradeck.tools.contracts import ImageRow, WriteCaptionsArgs
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions.tool import TOOL as WRITE

HEADS = Path(__file__).parent / "data" / "head_yaw"
FRONT, TURNED, BACK = "white_y+000.jpg", "white_y+030.jpg", "white_y+180.jpg"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three heads without what others wrote of them."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (FRONT, TURNED, BACK):
        shutil.copy(HEADS / name, folder)
    return folder


def rows(on: Workbench, dataset_id: str | None) -> dict[str, ImageRow]:
    return {row.file.removesuffix(".png") + ".jpg": row for row in curate(on, dataset_id=dataset_id).images}


def test_angles_and_framings_are_proposed_and_a_back_is_left_unknown(tmp_path: Path, source: Path) -> None:
    on = bench(tmp_path)
    made = rows(on, curate(on, source=source, profile="character").dataset_id)
    assert made[FRONT].attributes["angle"] == "front"
    assert made[TURNED].attributes.get("angle") in {"three_quarter_right", None}
    assert "angle" not in made[BACK].attributes
    assert set(made[FRONT].attribute_sources.values()) == {"detector"}


def test_a_look_has_no_views_until_the_set_becomes_a_figures(tmp_path: Path, source: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=source, profile="style").dataset_id
    assert all("angle" not in row.attributes for row in rows(on, ds).values())
    curate(on, dataset_id=ds, profile="character")
    assert rows(on, ds)[FRONT].attributes["angle"] == "front"


def test_the_assistants_word_stays_over_the_detectors(tmp_path: Path, source: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=source, profile="character", trigger="zorbik").dataset_id
    said = [{"image_id": FRONT, "attributes": {"angle": "low"}}]
    WRITE.handler(WriteCaptionsArgs.model_validate({"dataset_id": ds, "images": said}), on)
    row = rows(on, ds)[FRONT]
    assert (row.attributes["angle"], row.attribute_sources["angle"]) == ("low", "assistant")


def test_another_crop_is_another_framing(tmp_path: Path, source: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=source, profile="character").dataset_id
    row = curate(on, dataset_id=ds, crops=[{"image": FRONT, "x": 320, "y": 200, "side": 420}], detail=True).images[0]
    assert row.attributes["framing"] == "close_up"
    assert row.facts is not None
    assert row.facts.faces
