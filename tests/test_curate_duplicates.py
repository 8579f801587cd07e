"""Duplicates: copies of every kind are found, and icons that differ by a detail are not taken for copies."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from copies import PAIRS, SINGLE, copies
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from support.images import bench, curate, picture, save

from loradeck import server
from loradeck.tools.curate_dataset.duplicates import Known, Lookup
from loradeck.tools.curate_dataset.similarity import DHASH_MOST, PHASH_MOST, Look, look_at, same_picture

ICONS = Path(server.__file__).parent / "demo_data" / "icons"
DIFFERENT = [
    ("chat", "chat_add"),
    ("lightbulb", "lightbulb_filament"),
    ("document", "document_text"),
    ("document", "document_add"),
    ("document", "document_lock"),
    ("person_add", "person_heart"),
]
PHOTOS = Path(__file__).parent / "data" / "photos"
CATS = Path(__file__).parent / "data" / "tabby_cat_tags"
HEADS = Path(__file__).parent / "data" / "head_yaw"
PHOTOGRAPHS = [*sorted(PHOTOS.glob("*.png")), *sorted(CATS.glob("*.jpg"))]
CHANGES = [*SINGLE, *(f"{first} + {second}" for first, second in PAIRS)]
MOST_BYTES = 18_000
MISSED = {("2", "cropped by 25% + 256 px")}  # soft fur: no corner of it outlasts the cut and the shrinking
SAMPLED = ["chat", "people_community", "search_sparkle", "lightbulb", "document_text"]


@cache
def icon(name: str) -> Image.Image:
    with Image.open(ICONS / f"{name}.png") as image:
        return image.convert("RGB").resize((512, 512), Image.Resampling.LANCZOS)


@cache
def look(name: str) -> Look:
    return look_at(icon(name))


def hashes_are_near(first: Look, second: Look) -> bool:
    """True when the hashes of one picture lie near another's, as it is or mirrored."""
    near = [(first.phash, value, PHASH_MOST) for value in (second.phash, second.mirrored_phash)]
    near += [(first.dhash, value, DHASH_MOST) for value in (second.dhash, second.mirrored_dhash)]
    return any((one ^ other).bit_count() <= most for one, other, most in near)


def judged_same(first: Look, second: Look) -> bool:
    return hashes_are_near(first, second) and same_picture(first, second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_icons_that_differ_by_a_detail_are_no_duplicates(first: str, second: str) -> None:
    assert not same_picture(look(first), look(second))


def test_among_all_icons_the_paws_alone_are_the_same() -> None:
    names = sorted(path.stem for path in ICONS.glob("*.png"))
    assert len(names) == 60
    same = [pair for pair in combinations(names, 2) if judged_same(look(pair[0]), look(pair[1]))]
    assert same == [("animal_paw_print", "paw")]


def recompressed(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=30)
    return Image.open(data).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "smaller": lambda image: image.resize((200, 200), Image.Resampling.BICUBIC),
    "larger": lambda image: image.resize((900, 900), Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
    "mirrored, smaller and recompressed": lambda image: recompressed(ImageOps.mirror(image).resize((256, 256))),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    "softer": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "cut by 3 percent": lambda image: image.crop((10, 10, 502, 502)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", SAMPLED)
def test_copies_of_an_icon_are_found(name: str, how: str) -> None:
    assert judged_same(look(name), look_at(COPIES[how](icon(name))))


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_a_photograph_like_picture_are_found(how: str) -> None:
    grain = np.random.default_rng(5).normal(0, 6, (512, 512, 3))
    photo = Image.fromarray(np.clip(np.asarray(picture(5)) + grain, 0, 255).astype(np.uint8), "RGB")
    assert judged_same(look_at(photo), look_at(COPIES[how](photo)))


@cache
def photograph(path: Path) -> tuple[Look, dict[str, Image.Image]]:
    """What is seen of a photograph, and its copies."""
    with Image.open(path) as image:
        whole = image.convert("RGB")
    whole.thumbnail((640, 640))
    return look_at(whole), copies(whole, 1)


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_photographs_are_found(change: str) -> None:
    for path in PHOTOGRAPHS:
        seen, made = photograph(path)
        assert same_picture(seen, look_at(made[change])) is ((path.stem, change) not in MISSED), path.stem


def test_heads_at_neighbouring_angles_are_different_pictures() -> None:
    angles = sorted(HEADS.glob("white_y*.jpg"), key=lambda path: int(path.stem.removeprefix("white_y")))
    assert len(angles) == 18
    looks = [look_at(Image.open(path).convert("RGB")) for path in angles]
    assert not any(same_picture(first, second) for first, second in pairwise(looks))


def test_a_crop_is_found_among_other_pictures_by_its_corners() -> None:
    looks = {path.stem: photograph(path)[0] for path in PHOTOGRAPHS}
    lookup = Lookup([Known(name, name) for name in looks], looks.__getitem__)
    for path in PHOTOGRAPHS[:2]:
        cut = look_at(photograph(path)[1]["cropped by 25% + mirrored"])
        assert not hashes_are_near(looks[path.stem], cut)
        assert lookup.find("new", cut) == (path.stem, "near")
    lookup.drop(PHOTOGRAPHS[0].stem)
    assert lookup.find("new", look_at(photograph(PHOTOGRAPHS[0])[1]["cropped by 25%"])) is None
    assert lookup.find(PHOTOGRAPHS[1].stem, look("chat")) == (PHOTOGRAPHS[1].stem, "exact")


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_a_look_is_small_and_stays_the_same_when_stored(path: Path) -> None:
    seen = photograph(path)[0]
    stored = seen.to_bytes()
    again = Look.from_bytes(stored)
    assert len(stored) <= MOST_BYTES
    assert again.to_bytes() == stored
    assert (again.phash, again.mirrored_dhash, again.jpeg) == (seen.phash, seen.mirrored_dhash, seen.jpeg)
    assert np.abs(again.mirrored.points - seen.mirrored.points).max() < 0.01
    assert same_picture(again, look_at(photograph(path)[1]["mirrored"]))


def test_a_wider_white_border_does_not_hide_a_copy() -> None:
    assert judged_same(look("chat"), look_at(ImageOps.expand(icon("chat"), 90, "white")))


def test_the_same_shape_in_another_colour_is_another_picture() -> None:
    red, green, blue = icon("chat").split()
    assert not same_picture(look("chat"), look_at(Image.merge("RGB", (blue, green, red))))


def test_blank_pictures_compare_without_error() -> None:
    white, grey = (look_at(Image.new("RGB", (512, 512), colour)) for colour in ("white", "#808080"))
    assert same_picture(white, white)
    assert not same_picture(white, grey)
    assert not same_picture(white, look("chat"))


# --------------------------------------------------------------------------- in a set


def test_the_larger_of_two_copies_is_kept(tmp_path: Path) -> None:
    save(picture(1, 600), tmp_path / "in" / "a_small.png")
    save(picture(1, 900), tmp_path / "in" / "b_large.png")
    result = curate(bench(tmp_path), source=tmp_path / "in")
    small, large = result.images
    assert (small.status, large.status) == ("rejected", "kept")
    assert result.duplicates[0].model_dump() == {"kept": large.image_id, "dropped": [small.image_id], "how": "near"}
    assert result.rejected[0].rule_id == "IMG-DUPLICATE"
    assert "b_large.png" in result.rejected[0].why


def test_a_chain_of_better_copies_ends_at_the_best(tmp_path: Path) -> None:
    for number, side in enumerate((520, 640, 800)):
        save(picture(1, side), tmp_path / "in" / f"{number}.png")
    result = curate(bench(tmp_path), source=tmp_path / "in")
    assert [row.status for row in result.images] == ["rejected", "rejected", "kept"]
    assert len(result.duplicates) == 1
    assert result.duplicates[0].kept == result.images[2].image_id
    assert len(result.duplicates[0].dropped) == 2


def test_a_copy_of_what_a_person_set_aside_stays_out(tmp_path: Path) -> None:
    on = bench(tmp_path)
    save(picture(1), tmp_path / "in" / "a.png")
    save(picture(2), tmp_path / "in" / "b.png")
    made = curate(on, source=tmp_path / "in")
    curate(on, dataset_id=made.dataset_id, reject=["a.png"])
    save(picture(1, 700), tmp_path / "more" / "again.png")
    result = curate(on, dataset_id=made.dataset_id, source=tmp_path / "more")
    assert result.kept == 1
    assert "set aside on request" in result.images[2].reasons[0]
