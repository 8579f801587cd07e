"""A plain ground is told from a busy one, whatever stands on it and however it shades off."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support.pictures import ICONS, PHOTOS, as_jpeg, cut_heads, heads, laid, opened, shaded

from loradeck.tools.curate_dataset.grounds import ground_of

HEADS = list(cut_heads())[::4]


@pytest.mark.parametrize("path", ICONS[::6], ids=lambda path: path.stem)
def test_an_icon_on_white_is_on_plain_white(path: Path) -> None:
    ground = ground_of(opened(path))
    assert (ground.plain, ground.kind) == (True, "plain")
    assert ground.colour is not None
    assert min(int(ground.colour[place : place + 2], 16) for place in (1, 3, 5)) >= 250


@pytest.mark.parametrize(("path", "plain"), heads()[::3], ids=lambda value: getattr(value, "stem", ""))
def test_the_ground_of_a_render_is_as_its_label_says(path: Path, plain: bool) -> None:
    assert ground_of(opened(path)).plain is plain


@pytest.mark.parametrize("path", [path for path in PHOTOS if path.stem != "page"], ids=lambda path: path.stem)
def test_a_photograph_of_a_place_is_busy_and_has_no_colour(path: Path) -> None:
    ground = ground_of(opened(path))
    assert (ground.plain, ground.kind, ground.colour) == (False, "busy", None)


@pytest.mark.parametrize("kind", ["linear", "vignette"])
def test_a_studio_wall_that_shades_off_behind_shoulders_is_a_plain_gradient(kind: str) -> None:
    judged = [ground_of(laid(cut_heads()[name], shaded(kind, seed))) for seed, name in enumerate(HEADS)]
    assert sum(ground.plain for ground in judged) >= len(judged) - 1
    assert "gradient" in {ground.kind for ground in judged}


def test_jpeg_noise_hides_no_plain_ground_and_changes_its_colour_little() -> None:
    picture = laid(cut_heads()["white_y+030"], Image.new("RGB", (512, 512), (40, 120, 130)))
    ground = ground_of(as_jpeg(picture, 35))
    assert ground.plain
    assert ground.colour is not None
    told = [int(ground.colour[place : place + 2], 16) for place in (1, 3, 5)]
    assert max(abs(a - b) for a, b in zip(told, (40, 120, 130), strict=True)) <= 4
    assert 0.5 < ground.share < 1


@pytest.mark.parametrize("kind", ["horizon", "stripes"])
def test_a_wall_over_a_floor_and_a_pattern_are_not_plain(kind: str) -> None:
    judged = [ground_of(laid(cut_heads()[name], shaded(kind, seed))).plain for seed, name in enumerate(HEADS)]
    assert sum(judged) <= 1


def test_one_colour_all_over_is_plain_and_a_picture_of_two_pixels_is_judged_too() -> None:
    assert ground_of(Image.new("RGB", (300, 200), "#123456")).colour == "#123456"
    assert ground_of(Image.new("RGB", (2, 2), "#ffffff")).plain
