"""Copies of a training image are found however they lie, and no two icons of one set are called copies."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from support.images import picture, save

from loradeck.tools.appearance.copies import Originals, copied_from, look_of
from loradeck.tools.appearance.statistics import opened

ICONS = sorted((Path(__file__).parents[1] / "server" / "demo_data" / "icons").glob("*.png"))
SAME = ({"animal_paw_print", "paw"}, {"lightbulb", "lightbulb_filament"})
"""The first two files of the set hold the same pixels; the other two differ by a thin line, and are joined."""
PHOTOS = sorted((Path(__file__).parent / "data" / "photos").glob("*.*g"))
Change = Callable[[Image.Image], Image.Image]


def smaller(whole: Image.Image) -> Image.Image:
    buffer = BytesIO()
    whole.resize((256, 256 * whole.height // whole.width)).save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def wide(whole: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (whole.height * 16 // 9, whole.height), whole.getpixel((2, 2)))
    canvas.paste(whole, ((canvas.width - whole.width) // 2, 0))
    return canvas


def mirrored(whole: Image.Image) -> Image.Image:
    return smaller(whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def shifted(whole: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", whole.size, whole.getpixel((2, 2)))
    canvas.paste(whole, (whole.width // 25, -whole.height // 50))
    return canvas


def part(whole: Image.Image) -> Image.Image:
    return whole.crop((whole.width // 20, whole.height // 8, whole.width * 17 // 20, whole.height * 15 // 16))


def softened(whole: Image.Image) -> Image.Image:
    """As a LoRA draws from memory: from half the pixels, blurred, a little redder."""
    red, green, blue = whole.resize((320, 320 * whole.height // whole.width)).split()
    tinted = Image.merge("RGB", (red.point(lambda one: min(255, one + 6)), green, blue))
    return tinted.filter(ImageFilter.GaussianBlur(1.5))


@pytest.mark.parametrize("change", [smaller, wide, mirrored, shifted, part, softened])
def test_a_copy_is_found_among_the_whole_set_however_it_lies(change: Change, tmp_path: Path) -> None:
    for number, path in enumerate([ICONS[7], ICONS[30], *PHOTOS[:2]]):
        training = PHOTOS if path in PHOTOS else ICONS
        found = copied_from(save(change(opened(path)), tmp_path / f"{number}.png"), training)
        assert found is not None, path.name
        assert found.path == path
        assert found.correlation >= 0.95
        assert found.mirrored == (change is mirrored) or path in ICONS  # some icons are their own mirror image


def test_no_two_different_icons_of_the_set_are_copies() -> None:
    looks = {path: look_of(path) for path in ICONS}
    for path in ICONS:
        others = [(one, look) for one, look in looks.items() if one != path and {one.stem, path.stem} not in SAME]
        assert Originals(others).copied_by(looks[path]) is None, path.name


def test_the_same_pixels_under_another_name_are_a_copy() -> None:
    by_name = {path.stem: path for path in ICONS}
    assert copied_from(by_name["animal_paw_print"], [by_name["star"], by_name["paw"]]) is not None


def test_near_misses_of_one_drawing_are_no_copies() -> None:
    by_name = {path.stem: path for path in ICONS}
    pairs = [("chat", "chat_add"), ("document", "document_text"), ("document", "document_lock")]
    for one, other in pairs:
        assert copied_from(by_name[one], [by_name[other]]) is None, (one, other)


def test_without_training_images_nothing_is_a_copy() -> None:
    assert copied_from(ICONS[0], []) is None


def test_a_picture_that_shows_something_else_is_no_copy_of_anything(tmp_path: Path) -> None:
    assert copied_from(save(picture(5, 640, 360), tmp_path / "new.png"), ICONS) is None


def test_one_even_colour_is_no_copy(tmp_path: Path) -> None:
    assert copied_from(save(Image.new("RGB", (320, 180), "white"), tmp_path / "blank.png"), ICONS) is None


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    file = save(opened(ICONS[4]), tmp_path / "a.png")
    assert copied_from(file, [ICONS[4]])
    save(picture(8), file)
    assert copied_from(file, [ICONS[4]]) is None


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(OSError, match=r"words\.png"):
        copied_from(tmp_path / "words.png", ICONS[:3])
