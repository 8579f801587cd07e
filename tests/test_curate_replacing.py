"""A subject is cut out and laid on a new ground, or left where it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support.images import picture
from support.pictures import DATA, ICONS, as_jpeg, cut_heads, cut_icon, laid, opened, shaded, shared

from loradeck.tools.curate_dataset.replacing import colour_name, edge_colours, on_ground, solid_ground, subject_mask


def test_the_mask_of_a_file_with_alpha_is_its_alpha() -> None:
    alpha = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(alpha).ellipse((10, 10, 50, 50), fill=255)
    assert subject_mask(picture(1, 64), None, alpha) is alpha
    assert subject_mask(picture(1, 64), None, Image.new("L", (64, 64), 0)) is None


def test_an_alpha_that_clears_no_ground_is_no_mask() -> None:
    rounded = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(rounded).rounded_rectangle((0, 0, 199, 199), 20, fill=255)
    for alpha in (rounded, Image.new("L", (200, 200), 254)):
        assert subject_mask(picture(3, 200), None, alpha) is not alpha


@pytest.mark.parametrize("kind", ["plain", "linear", "vignette"])
def test_a_head_on_a_studio_wall_is_cut_out(kind: str) -> None:
    names = list(cut_heads())[::7]
    masks = [
        (subject_mask(laid(cut_heads()[name], shaded(kind, seed)), None, None), cut_heads()[name][1])
        for seed, name in enumerate(names, 11)
    ]
    trusted = [(mask, true) for mask, true in masks if mask is not None]
    assert len(trusted) >= len(names) - 1
    assert min(shared(mask, true) for mask, true in trusted) >= 0.95


def test_an_icon_on_white_is_cut_out_also_from_a_jpeg() -> None:
    cut = cut_icon(next(path for path in ICONS if path.stem == "book"))
    mask = subject_mask(as_jpeg(cut[0], 70), None, None)
    assert mask is not None
    assert shared(mask, cut[1]) >= 0.95


@pytest.mark.parametrize("name", ["lowkey_y+000", "lowkey_y+050", "rocket_y+000"])
def test_a_head_that_sinks_into_the_dark_is_left_alone(name: str) -> None:
    assert subject_mask(opened(DATA / "head_yaw" / f"{name}.jpg"), None, None) is None


def test_no_fringe_of_the_old_ground_stays_on_the_new() -> None:
    clear = Image.new("RGBA", (200, 200), (200, 30, 30, 0))
    disc = Image.new("L", (800, 800), 0)
    ImageDraw.Draw(disc).ellipse((160, 160, 640, 640), fill=255)
    mask = disc.resize((200, 200), Image.Resampling.BOX)
    clear.putalpha(mask)
    white = Image.alpha_composite(Image.new("RGBA", (200, 200), "white"), clear).convert("RGB")
    wanted = Image.alpha_composite(Image.new("RGBA", (200, 200), (20, 60, 70, 255)), clear).convert("RGB")
    got = on_ground(white, mask, (20, 60, 70))
    assert np.abs(np.asarray(got).astype(int) - np.asarray(wanted)).max() <= 6


def test_grounds_are_the_same_on_every_run_differ_and_are_never_white_or_grey() -> None:
    grounds = [solid_ground("ds_1", index) for index in range(40)]
    assert grounds == [solid_ground("ds_1", index) for index in range(40)]
    assert grounds != [solid_ground("ds_2", index) for index in range(40)]
    assert len(set(grounds)) == 40
    names = {colour_name(ground) for ground in grounds}
    assert len(names) >= 6
    assert not any(word in name for name in names for word in ("white", "gray", "black"))


def test_a_ground_keeps_away_from_the_subjects_own_colours() -> None:
    head, mask = cut_heads()["white_y+030"]
    edge = edge_colours(head, mask)
    assert 1 <= len(edge) <= 4
    for index in range(20):
        ground = np.array(solid_ground("ds_1", index, edge))
        assert min(np.linalg.norm(ground - np.array(colour)) for colour in edge) >= 25


def test_colours_are_named_as_captions_name_them() -> None:
    assert colour_name((12, 70, 74)) == "dark teal"
