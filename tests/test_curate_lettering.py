"""Text laid over pictures: found, read, told from text of the scene, and recognised where a set repeats it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image, ImageDraw
from rapidfuzz import fuzz
from support.overlaid import (
    Overlaid,
    caption_bar,
    centre_mark,
    credit,
    date,
    edge,
    subtitle,
)

from loradeck.tools.curate_dataset import lettering
from loradeck.tools.curate_dataset.lettering import Lettering, find_text
from loradeck.tools.curate_dataset.overlays import Placed, overlay_of, placed, repeated
from loradeck.tools.curate_dataset.watermarks import common_marks, trace_of

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "tests" / "data" / "photos"
HEADS = ROOT / "tests" / "data" / "head_yaw"
ICONS = ROOT / "server" / "demo_data" / "icons"
WITHOUT_TEXT = [
    *(PHOTOS / f"{name}.png" for name in ("astronaut", "camera", "cat", "coffee", "rocket")),
    *sorted(HEADS.glob("white_y*.jpg"))[:6],
    *sorted((ROOT / "tests" / "data" / "tabby_cat_tags").glob("*.jpg")),
]
LIKE_LETTERS = ("text_bullet_list_square", "document_text", "code_block", "question_circle", "calendar", "clipboard")


def opened(path: Path, side: int = 640) -> Image.Image:
    with Image.open(path) as raw:
        picture = raw.convert("RGB")
    picture.thumbnail((side, side))
    return picture


def judged(picture: Image.Image) -> str:
    """The kind of overlay that a picture carries, or "none"."""
    found = overlay_of(find_text(picture), picture.size)
    return found.kind if found else "none"


def line(words: str, box: tuple[int, int, int, int], *, at_margin: bool = False, confidence: float = 0.95) -> Lettering:
    return Lettering(box, words, confidence, at_margin)


# --------------------------------------------------------------------------- finding and reading


def test_a_caption_bar_is_found_and_read_where_it_stands() -> None:
    drawn = caption_bar(opened(PHOTOS / "coffee.png"), seed=3)
    (found,) = [one for one in find_text(drawn.picture) if one.words]
    x, y, width, height = drawn.box
    assert found.at_margin
    assert found.confidence > 0.8
    assert abs(found.box[0] - x) < 20
    assert abs(found.box[1] + found.box[3] / 2 - y - height / 2) < 8
    assert abs(found.box[2] - width) < 40


def test_a_credit_that_runs_up_a_side_is_read_from_bottom_to_top() -> None:
    drawn = edge(opened(PHOTOS / "cat.png"), seed=2)
    upright = [one for one in find_text(drawn.picture) if one.box[3] > 2 * one.box[2]]
    assert [one.words.replace(" ", "") for one in upright] == [drawn.words.replace(" ", "")]
    assert upright[0].at_margin


def test_text_that_reads_downwards_is_read_too() -> None:
    drawn = edge(opened(PHOTOS / "cat.png"), seed=2)
    found = find_text(drawn.picture.rotate(180))
    assert max(fuzz.ratio(one.words, drawn.words) for one in found) >= 75


def test_nothing_is_found_in_a_picture_of_one_colour() -> None:
    assert find_text(Image.new("RGB", (300, 200), (90, 120, 160))) == []


@pytest.mark.parametrize("size", [(8, 8), (1, 400), (2000, 20)])
def test_tiny_and_narrow_pictures_are_taken(size: tuple[int, int]) -> None:
    assert all(one.box[2] >= 0 for one in find_text(Image.new("RGB", size, (200, 200, 200))))


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> NoReturn:
        raise AssertionError(f"the network was asked: {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    engine = lettering._new_engine()
    picture = caption_bar(opened(PHOTOS / "coffee.png"), seed=3).picture
    assert lettering._lines(engine, picture)


def test_the_reader_says_nothing_on_either_stream() -> None:
    script = (
        "from PIL import Image; from loradeck.tools.curate_dataset.lettering import find_text;"
        "find_text(Image.new('RGB', (64, 64)))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.slow
def test_two_threads_find_what_one_finds() -> None:
    photo = opened(PHOTOS / "coffee.png")
    pictures = [make(photo, seed).picture for seed in (1, 2) for make in (caption_bar, credit, date)]
    alone = [find_text(picture) for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(find_text, pictures)) == alone


# --------------------------------------------------------------------------- overlay or scene


def test_a_line_at_a_margin_is_an_overlay_and_one_elsewhere_may_be_the_scenes() -> None:
    margin = overlay_of([line("www.example.org", (10, 370, 90, 20), at_margin=True)], (500, 400))
    scene = overlay_of([line("GROCERY", (100, 150, 90, 20))], (500, 400))
    assert margin is not None
    assert (margin.kind, margin.words, margin.box) == ("margin", "www.example.org", (10, 370, 90, 20))
    assert scene is not None
    assert scene.kind == "scene"


def test_a_stray_sign_is_no_text() -> None:
    assert overlay_of([line("目", (40, 40, 900, 900))], (1000, 1000)) is None
    assert overlay_of([line("H47", (40, 5, 60, 20), at_margin=True)], (500, 400)) is None
    assert overlay_of([line("flowers", (40, 5, 40, 30), at_margin=True, confidence=0.55)], (500, 400)) is None


def test_a_long_line_at_a_margin_counts_though_it_cannot_be_read() -> None:
    found = overlay_of([line("", (10, 370, 120, 22), at_margin=True, confidence=0.6)], (500, 400))
    assert found is not None
    assert (found.kind, found.words) == ("margin", "")
    assert overlay_of([line("", (10, 170, 120, 22), confidence=0.6)], (500, 400)) is None
    assert overlay_of([line("", (10, 170, 22, 120), at_margin=True, confidence=0.6)], (500, 400)) is None


def test_a_page_full_of_lines_has_no_overlay_at_its_margin() -> None:
    words = ["alpha beta", "the second", "chapter one", "of markers", "histogram", "grey value", "sobel edges", "coins"]
    page = [line(text, (10, 60 + 30 * row, 300, 20)) for row, text in enumerate(words)]
    head = line("Region growing", (10, 4, 300, 20), at_margin=True)
    found = overlay_of([*page, head], (400, 400))
    assert found is not None
    assert found.kind == "scene"


def test_a_mark_that_fills_a_picture_does_not_make_it_a_page() -> None:
    marks = [line("Hill Studio", (10, 60 + 30 * row, 80, 20)) for row in range(10)]
    found = overlay_of([*marks, line("Hill Studio", (10, 380, 80, 20), at_margin=True)], (400, 400))
    assert found is not None
    assert found.kind == "margin"


@pytest.mark.slow
def test_photographs_without_text_carry_no_overlay() -> None:
    assert {path.name: judged(opened(path)) for path in WITHOUT_TEXT if judged(opened(path)) != "none"} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKE_LETTERS)
def test_an_icon_that_looks_like_a_letter_carries_no_overlay(name: str) -> None:
    assert judged(opened(ICONS / f"{name}.png")) == "none"


@pytest.mark.slow
def test_a_photographed_page_holds_text_of_its_scene() -> None:
    assert judged(opened(PHOTOS / "page.png")) == "scene"


@pytest.mark.slow
@pytest.mark.parametrize("make", [caption_bar, subtitle, date, credit, edge])
def test_text_at_a_margin_is_found_on_nearly_every_photograph(make: Callable[[Image.Image, int], Overlaid]) -> None:
    """Measured: 0.8 to 1.0 (docs/judgement.md); a third is left as slack."""
    photos = [opened(path) for path in (*WITHOUT_TEXT[:5], *WITHOUT_TEXT[11:14])]
    kinds = [judged(make(photo, 40 + seed).picture) for seed, photo in enumerate(photos)]
    assert kinds.count("margin") >= len(kinds) * 2 / 3


# --------------------------------------------------------------------------- what a set repeats


def mark(words: str, left: float = 0.3, top: float = 0.5, width: float = 0.3, height: float = 0.05) -> list[Placed]:
    return [Placed(words, left, top, left + width, top + height)]


def test_words_at_one_place_in_three_pictures_are_a_watermark_however_they_are_misread() -> None:
    by_image = {"a": mark("shotstock"), "b": mark("sholstock", left=0.305), "c": mark("SHOTSTOK"), "d": mark("bakery")}
    assert repeated(by_image) == {"a", "b", "c"}


def test_a_mark_that_is_cut_short_is_still_the_same() -> None:
    assert repeated({"a": mark("shotstock"), "b": mark("shotstock"), "c": mark("otstock", 0.37, width=0.23)}) == set(
        "abc"
    )


def test_the_same_words_elsewhere_or_in_another_size_are_no_watermark() -> None:
    moved = {name: mark("BAKERY", top=top) for name, top in (("a", 0.2), ("b", 0.3), ("c", 0.5))}
    grown = {name: mark("BAKERY", height=height) for name, height in (("a", 0.04), ("b", 0.08), ("c", 0.2))}
    assert repeated(moved) == set()
    assert repeated(grown) == set()


def test_two_pictures_alone_and_two_lines_of_one_picture_are_too_few() -> None:
    assert repeated({"a": mark("shotstock"), "b": mark("shotstock")}) == set()
    assert repeated({"a": mark("shotstock") * 3}) == set()


def test_lines_are_placed_as_shares_of_their_picture_and_short_ones_left_out() -> None:
    lines = [line("shotstock", (50, 20, 100, 40)), line("ab", (0, 0, 10, 10))]
    assert placed(lines, (500, 200)) == [Placed("shotstock", 0.1, 0.1, 0.3, 0.3)]


@pytest.mark.slow
def test_a_mark_too_faint_for_one_picture_is_read_from_all_of_them_laid_over_one_another() -> None:
    photos = [opened(path).resize((480, 480)) for path in (*WITHOUT_TEXT[:5], *WITHOUT_TEXT[11:])]
    marked = {str(i): trace_of(centre_mark(p, 7, 0.25, "Hill Studio").picture) for i, p in enumerate(photos)}
    found = common_marks(marked)
    assert len(found) >= len(photos) - 2
    assert {words.replace(" ", "") for words in found.values()} == {"HillStudio"}


@pytest.mark.slow
def test_pictures_that_share_no_mark_are_laid_over_one_another_in_vain() -> None:
    heads = {path.name: trace_of(opened(path)) for path in sorted(HEADS.glob("white_y*.jpg"))}
    icons = {path.name: trace_of(opened(path)) for path in sorted(ICONS.glob("*.png"))}
    assert common_marks(heads) == {}
    assert common_marks(icons) == {}


def test_too_few_pictures_of_one_shape_are_not_compared() -> None:
    written = Image.new("RGB", (300, 200), (80, 90, 100))
    ImageDraw.Draw(written).text((60, 90), "shotstock", fill=(255, 255, 255), font_size=32)
    assert common_marks({str(i): trace_of(written) for i in range(5)}) == {}
    assert common_marks({str(i): trace_of(written.resize((300, 200 + 20 * i))) for i in range(8)}) == {}
