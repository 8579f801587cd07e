"""Bars and margins are trimmed where they end in a straight hard edge; grounds, skies and nights are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support import damage

from loradeck.tools.curate_dataset.margins import content_box

ORIGINALS = list(damage.originals())
PHOTOGRAPHS = [path for kind, path in ORIGINALS if kind == "photo"]


def is_near(found: tuple[int, int, int, int] | None, box: tuple[int, int, int, int], most: int = 6) -> bool:
    """True where both ends of both sides agree within `most` pixels."""
    if found is None:
        return False
    ends = [(one[0], one[1], one[0] + one[2], one[1] + one[3]) for one in (found, box)]
    return all(abs(a - b) <= most for a, b in zip(*ends, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["photo", "portrait", "icon"])
def test_pictures_without_bars_stay_whole(kind: str) -> None:
    trimmed = {path.name: box for one, path in ORIGINALS if one == kind and (box := content_box(damage.opened(path)))}
    assert trimmed == {}


@pytest.mark.parametrize("finish", list(damage.FINISHES))
def test_bars_of_every_kind_and_colour_are_found(finish: str) -> None:
    for name in ("astronaut", "cat"):
        photograph = damage.opened(damage.ROOT / f"tests/data/photos/{name}.png")
        for bars, shares in damage.BARS.items():
            picture, box = damage.barred(photograph, shares, *damage.FINISHES[finish])
            assert is_near(content_box(picture), box), (name, bars)


def test_a_dark_photograph_in_black_bars_is_trimmed_right_or_not_at_all() -> None:
    for name in ("camera", "coffee", "rocket"):
        for shares in damage.BARS.values():
            picture, box = damage.barred(damage.opened(damage.ROOT / f"tests/data/photos/{name}.png"), shares)
            found = content_box(picture)
            assert found is None or is_near(found, box), name


def test_a_clean_bar_is_cut_exactly() -> None:
    picture, box = damage.barred(damage.opened(PHOTOGRAPHS[0]), (0, 0.15, 0, 0.15), (0, 0, 200))
    assert content_box(picture) == box


def test_one_bar_alone_stays() -> None:
    picture, _ = damage.barred(damage.opened(PHOTOGRAPHS[0]), (0, 0.2, 0, 0))
    assert content_box(picture) is None


def test_bars_of_two_colours_are_no_letterbox() -> None:
    picture, _ = damage.barred(damage.opened(PHOTOGRAPHS[0]), (0, 0.1, 0, 0.1), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, picture.width, 40))
    assert content_box(picture) is None


def test_a_small_picture_on_a_large_ground_is_left_whole() -> None:
    picture, _ = damage.barred(damage.opened(PHOTOGRAPHS[0]), (1.0, 1.0, 1.0, 1.0), (255, 255, 255))
    assert content_box(picture) is None


def test_a_rounded_square_on_white_is_an_icon_and_no_scan() -> None:
    icon = Image.new("RGB", (1024, 1024), "white")
    ImageDraw.Draw(icon).rounded_rectangle((120, 120, 904, 904), 110, fill="#2060c0")
    assert content_box(icon) is None


def test_a_night_whose_edges_are_black_keeps_them() -> None:
    across = np.abs(np.linspace(-1, 1, 800))
    light = np.clip(220 * (1 - across[:, None] ** 2 - across[None, :] ** 2), 0, 255)
    night = np.dstack([light] * 3) + np.random.default_rng(2).normal(0, 3, (800, 800, 3))
    assert content_box(Image.fromarray(np.clip(night, 0, 255).astype(np.uint8))) is None


def test_a_sky_above_a_straight_horizon_stays() -> None:
    land = np.random.default_rng(4).integers(20, 120, (700, 900, 3), dtype=np.uint8)
    land[:300] = (150, 190, 240)
    assert content_box(Image.fromarray(land)) is None


@pytest.mark.parametrize(
    "picture", [Image.new("RGB", (400, 300), "white"), Image.new("RGB", (1, 1)), Image.new("RGB", (3, 900))]
)
def test_a_flat_or_tiny_picture_has_no_bars(picture: Image.Image) -> None:
    assert content_box(picture) is None
