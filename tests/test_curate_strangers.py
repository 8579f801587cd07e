"""A picture of another kind among icons: told by curation and by the verdict, from what was kept of each picture."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.images import bench, curate

from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.tools.contracts import Finding
from loradeck.tools.validate_coverage.tool import judge_now
from loradeck.tools.workbench import Workbench

HERE = Path(__file__).parent
ICONS = HERE.parent / "server" / "demo_data" / "icons"


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, list[Finding]]:
    """Fourteen icons and a photograph, and what curation said of them."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "in").mkdir()
    for path in sorted(ICONS.glob("*.png"))[:14]:
        shutil.copy(path, folder / "in")
    shutil.copy(HERE / "data" / "photos" / "astronaut.png", folder / "in" / "zz_photo.png")
    on = bench(folder)
    return on, curate(on, source=folder / "in", profile="icons", trigger="zorbik", resolution=128).findings


def strangers(findings: list[Finding]) -> set[str]:
    return {place for finding in findings if finding.rule_id == "IMG-OUTLIER" for place in finding.where}


def test_a_photograph_among_icons_is_told_when_it_comes_in_and_by_the_verdict(
    curated: tuple[Workbench, list[Finding]],
) -> None:
    on, told = curated
    photo = next(row.id for row in on.store.where(ImageRecord) if row.original_name == "zz_photo.png")
    assert strangers(told) == {photo}
    assert strangers(judge_now(on.store, on.store.where(DatasetRecord)[0]).findings) == {photo}


def test_a_mark_that_a_whole_set_carries_counts_over_text_of_the_scene(
    curated: tuple[Workbench, list[Finding]],
) -> None:
    on, _ = curated
    dataset, image = on.store.where(DatasetRecord)[0], on.store.where(ImageRecord)[0]
    line = {"box": [400, 400, 200, 50], "words": "BAKERY", "confidence": 0.9, "at_margin": False}
    on.store.change(ImageRecord, image.id, facts=image.facts | {"text": [line], "mark": "SHOTSTOCK"})
    told = [one for one in judge_now(on.store, dataset).findings if one.rule_id == "IMG-TEXT"]
    assert [(one.severity, one.where) for one in told] == [("error", [image.id])]
    assert "SHOTSTOCK" in told[0].why
