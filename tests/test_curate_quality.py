"""How good a picture is: told from real pictures that are damaged in known ways, and silent on those that are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support import damage
from support.damage import badly_exposed, blocky, blurred

from loradeck.tools.curate_dataset.colour import PLAIN_SHARE, border_colour
from loradeck.tools.curate_dataset.quality import (
    Quality,
    jpeg_quality,
    measure_quality,
)

ORIGINALS = list(damage.originals())
PHOTOGRAPHS = [path for kind, path in ORIGINALS if kind == "photo"]
PORTRAITS = [path for kind, path in ORIGINALS if kind == "portrait"]
ICONS = [path for kind, path in ORIGINALS if kind == "icon"]
FEW = [*PHOTOGRAPHS, *PORTRAITS[::9]]
Rule = Callable[[Quality], str | None]


def measured(picture: Image.Image, quantization: dict[int, list[int]] | None = None) -> Quality:
    square = damage.training_square(picture)
    return measure_quality(picture, square, quantization, border_colour(square)[1] >= PLAIN_SHARE)


def share(rule: Rule, paths: Sequence[Path], make: damage.Damage = lambda picture: picture) -> float:
    """Of how many a rule speaks once they are damaged."""
    spoken = [rule(measured(make(damage.training_square(damage.opened(path))))) is not None for path in paths]
    return sum(spoken) / len(spoken)


# --------------------------------------------------------------------------- nothing to say


@pytest.mark.slow
@pytest.mark.parametrize("paths", [PHOTOGRAPHS, PORTRAITS[::3], ICONS[::4]], ids=["photographs", "portraits", "icons"])
def test_a_good_picture_is_neither_blurred_nor_blocky_nor_badly_exposed(paths: Sequence[Path]) -> None:
    for path in paths:
        found = measured(damage.opened(path))
        assert (blurred(found), blocky(found), badly_exposed(found)) == (None, None, None), path.name


def test_a_flat_picture_has_no_sharpness_to_lose() -> None:
    for colour in ("white", "black", "#40a0c0"):
        flat = measured(Image.new("RGB", (512, 512), colour))
        assert (blurred(flat), blocky(flat), badly_exposed(flat)) == (None, None, None)


def test_a_soft_gradient_is_no_blur() -> None:
    ramp = np.linspace(40, 200, 1024, dtype=np.float32).astype(np.uint8)
    assert blurred(measured(Image.fromarray(np.dstack([np.tile(ramp, (1024, 1))] * 3)))) is None


def test_one_small_sharp_shape_on_white_is_sharp() -> None:
    small = Image.new("RGB", (1024, 1024), "white")
    ImageDraw.Draw(small).ellipse((430, 430, 590, 590), fill="#2060c0")
    assert blurred(measured(small)) is None
    assert blurred(measured(damage.gaussian(small, 2.5))) is not None


def test_faint_detail_is_as_sharp_as_strong_detail() -> None:
    strong = damage.training_square(damage.opened(PHOTOGRAPHS[0]))
    faint = Image.fromarray((np.asarray(strong) * 0.5 + 60).astype(np.uint8))
    assert measured(faint).sharpness == pytest.approx(measured(strong).sharpness, rel=0.15)


def test_a_small_sharp_photograph_is_not_called_blurred_because_its_copy_is_larger() -> None:
    small = damage.opened(PHOTOGRAPHS[0]).crop((0, 0, 300, 300))
    assert blurred(measure_quality(small, small.resize((1024, 1024)), None, False)) is None


# --------------------------------------------------------------------------- blur


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "goal"),
    [
        ("gaussian 1.5", 0.95),
        ("gaussian 5", 0.95),
        ("shaken 15", 0.8),
        ("out of focus 3", 0.95),
        ("enlarged 2x", 0.6),
        ("enlarged 4x", 0.95),
        ("enlarged 4x as JPEG 90", 0.95),
    ],
)
def test_soft_pictures_are_found(name: str, goal: float) -> None:
    assert share(blurred, FEW, damage.BLURS[name]) >= goal


def test_blur_is_told_with_the_measured_and_the_wanted_value() -> None:
    said = blurred(measured(damage.gaussian(damage.opened(PHOTOGRAPHS[0]), 3)))
    assert said is not None
    assert "at least 0.8 is wanted" in said


# --------------------------------------------------------------------------- JPEG


@pytest.mark.parametrize("name", list(damage.BLOCKS))
def test_coarse_jpeg_is_seen_in_the_pixels_when_the_tables_are_gone(name: str) -> None:
    assert share(blocky, FEW, damage.BLOCKS[name]) >= 0.95


@pytest.mark.parametrize("name", list(damage.NO_BLOCKS))
def test_fine_jpeg_is_left_alone(name: str) -> None:
    assert share(blocky, FEW, damage.NO_BLOCKS[name]) == 0


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 92, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(tmp_path: Path, quality: int) -> None:
    damage.opened(PHOTOGRAPHS[0]).save(tmp_path / "a.jpg", quality=quality)
    with Image.open(tmp_path / "a.jpg") as image:
        assert jpeg_quality(image.quantization) == quality  # type: ignore[attr-defined]
        found = measured(image.convert("RGB"), image.quantization)  # type: ignore[attr-defined]
    assert found.jpeg_quality == quality
    assert (blocky(found) is not None) == (quality < 36)


# --------------------------------------------------------------------------- tones


@pytest.mark.parametrize(("name", "goal"), [("+3 stops", 0.25), ("-3 stops", 0.7), ("-4 stops", 0.9)])
def test_lost_tones_are_found(name: str, goal: float) -> None:
    assert share(badly_exposed, FEW, damage.LOST[name]) >= goal


def test_the_white_round_a_portrait_that_reaches_the_border_is_a_ground() -> None:
    found = measured(damage.opened(damage.ROOT / "tests/data/head_yaw/white_y+030.jpg"))
    assert (found.blown, badly_exposed(found)) == (0.0, None)


@pytest.mark.parametrize("name", list(damage.NOT_LOST))
def test_half_a_stop_more_or_a_stop_less_loses_no_tones(name: str) -> None:
    assert share(badly_exposed, FEW, damage.NOT_LOST[name]) <= 0.1


def test_a_night_with_a_lamp_in_it_is_well_exposed() -> None:
    night = Image.fromarray(np.random.default_rng(3).integers(4, 24, (512, 512, 3), dtype=np.uint8))
    assert "dark all over" in str(badly_exposed(measured(night)))
    ImageDraw.Draw(night).ellipse((200, 120, 340, 260), fill="#fff0b0")
    assert badly_exposed(measured(night)) is None


def test_low_key_portraits_are_deliberate() -> None:
    assert share(badly_exposed, [path for path in PORTRAITS if path.name.startswith("lowkey")]) == 0
