"""The document of a deck, looked at as pixels: words stand out, stay on the page, and pictures keep their shape."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import typst
from PIL import Image, ImageDraw
from pypdf import PdfReader

from loradeck.tools.contracts import DeckSpec, Slide, Theme
from loradeck.tools.pictures.canvas import FONTS
from loradeck.tools.render_deck_visuals.measure import luminance
from loradeck.tools.render_deck_visuals.typeset import Page, compile_deck, quoted
from loradeck.tools.render_deck_visuals.written import Written

LAYOUTS = ("full_bleed", "image_left", "image_right", "card")
LONG = ("Everything that matters stands on one page. " * 30)[:1200]
LONG_HEADING = ("A heading that nobody dared to cut " * 4)[:120]
MARK = (255, 0, 255)


def pages(folder: Path, slides: list[Slide], ground: str = "#ffffff", size: tuple[int, int] = (640, 360)) -> list[Page]:
    """Pictures with a magenta disc that is round."""
    made = []
    for number, slide in enumerate(slides, 1):
        picture = Image.new("RGB", size, ground)
        x, y = size[0] // 2, size[1] // 4
        reach = min(size) // 5
        ImageDraw.Draw(picture).ellipse((x - reach, y - reach, x + reach, y + reach), fill=MARK)
        name = f"{number:02}_{slide.name}.png"
        picture.save(folder / name)
        made.append(Page(slide, name, slide.prompt, size))
    return made


def slides(heading: str | None, body: str | None) -> list[Slide]:
    return [Slide(name=layout, prompt="x", heading=heading, body=body, layout=layout) for layout in LAYOUTS]  # type: ignore[arg-type]


def seen(folder: Path, source: str | None = None) -> list[Image.Image]:
    """The pages as pixels, 1 a point; of another source when one is given."""
    path = folder / "deck.typ"
    if source is not None:
        path = folder / "other.typ"
        path.write_text(source)
    found = typst.compile(str(path), format="png", ppi=72, font_paths=[str(FONTS)], ignore_system_fonts=True)
    return [Image.open(io.BytesIO(page)).convert("RGB") for page in (found if isinstance(found, list) else [found])]


def without_words(folder: Path) -> str:
    """The same document with invisible ink: every box stays where it is."""
    lines = (folder / "deck.typ").read_text().splitlines()
    return "\n".join("#let ink = rgb(0, 0, 0, 0)" if line.startswith("#let ink =") else line for line in lines)


def written(folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """By page: where words are (a mask), the page with them, the page without."""
    out = []
    for inked, bare in zip(seen(folder), seen(folder, without_words(folder)), strict=True):
        one, other = np.asarray(inked).astype(float), np.asarray(bare).astype(float)
        out.append((np.abs(one - other).max(axis=2) > 24, one, other))
    return out


@pytest.mark.parametrize("theme", [Theme(), Theme(background="#ffffff", text="#1b2a4a", accent="#0f6cbd")])
@pytest.mark.parametrize("ground", ["#ffffff", "#000000", "#808080", "#d0a020"])
def test_words_over_any_picture_stand_out_by_four_and_a_half(tmp_path: Path, theme: Theme, ground: str) -> None:
    deck = DeckSpec(title="T", subtitle="S", theme=theme, slides=slides("A heading", "Some words.\n- One\n- Two"))
    assert compile_deck(deck, pages(tmp_path, deck.slides, ground), Written(tmp_path)) == []
    ink = luminance(np.array([int(theme.text[n : n + 2], 16) for n in (1, 3, 5)], dtype=float))
    for mask, _, bare in written(tmp_path):
        assert mask.any()
        behind = luminance(bare[mask])
        ratios = (np.maximum(behind, ink) + 0.05) / (np.minimum(behind, ink) + 0.05)
        assert ratios.min() >= 4.5


@pytest.mark.parametrize(
    ("heading", "body"),
    [
        (LONG_HEADING, LONG),
        ("Short", "Words."),
        (None, LONG),
        (LONG_HEADING, None),
        ("W" * 60, "W" * 300),
        ("Donauschifffahrtskapitän", "x"),
    ],
)
def test_words_of_any_length_stay_on_their_page_and_off_its_edges(
    tmp_path: Path, heading: str | None, body: str | None
) -> None:
    deck = DeckSpec(title=(heading or "T")[:120], subtitle="S" * 200, slides=slides(heading, body))
    assert compile_deck(deck, pages(tmp_path, deck.slides), Written(tmp_path)) == []
    looked = written(tmp_path)
    assert len(looked) == 5, "no slide runs over to another page"
    for mask, _, _ in looked:
        rows, columns = np.where(mask)
        assert rows.min() >= 18
        assert rows.max() <= 540 - 18
        assert columns.min() >= 30
        assert columns.max() <= 960 - 30


def test_all_words_are_in_the_pdf(tmp_path: Path) -> None:
    deck = DeckSpec(
        title="The title", subtitle="Below it", slides=slides('Head "quoted" #1 $x$ \\', "A *b* _c_ @d <e>")
    )
    compile_deck(deck, pages(tmp_path, deck.slides), Written(tmp_path))
    text = [" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / "deck.pdf").pages]
    assert "The title Below it" in text[0]
    assert all('Head "quoted" #1 $x$ \\' in page and "A *b* _c_ @d <e>" in page for page in text[1:])


@pytest.mark.parametrize("size", [(640, 360), (400, 400), (360, 640), (800, 200)])
def test_no_picture_is_stretched_and_none_but_a_full_bleed_one_is_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    deck = DeckSpec(title="T", slides=slides("A heading", "Words."))
    made = pages(tmp_path, deck.slides, size=size)
    compile_deck(deck, made, Written(tmp_path))
    for page, picture in zip(made, seen(tmp_path)[1:], strict=True):
        near = np.abs(np.asarray(picture).astype(int) - MARK).max(axis=2) < 90
        rows, columns = np.where(near)
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert width / height == pytest.approx(1, abs=0.06), page.slide.layout


def test_a_square_picture_asked_for_full_bleed_stands_whole_beside_the_words(tmp_path: Path) -> None:
    slide = Slide(name="a", prompt="x", layout="full_bleed")
    assert Page(slide, "a.png", "", (1024, 576)).layout == "full_bleed"
    assert Page(slide, "a.png", "", (1024, 1024)).layout == "image_right"


def test_too_many_lines_for_a_page_are_told(tmp_path: Path) -> None:
    deck = DeckSpec(title="T", slides=slides("A heading", "word\n" * 200))
    told = compile_deck(deck, pages(tmp_path, deck.slides), Written(tmp_path))
    assert len(told) == 4
    assert "The words of full_bleed are too many" in told[0]


def test_the_same_deck_gives_the_same_bytes(tmp_path: Path) -> None:
    deck = DeckSpec(title="T", slides=slides("A heading", "Words."))
    made = pages(tmp_path, deck.slides)
    compile_deck(deck, made, Written(tmp_path))
    first = (tmp_path / "deck.pdf").read_bytes()
    compile_deck(deck, made, Written(tmp_path))
    assert (tmp_path / "deck.pdf").read_bytes() == first


def test_a_font_that_is_not_there_and_another_script_are_told(tmp_path: Path) -> None:
    deck = DeckSpec(title="パン屋", theme=Theme(font="Nowhere Sans"), slides=slides("A heading", "Words."))
    told = compile_deck(deck, pages(tmp_path, deck.slides), Written(tmp_path))
    assert any("'Nowhere Sans' is not on this machine" in words for words in told)
    assert any("script" in words for words in told)


def test_words_cannot_break_out_of_their_string() -> None:
    assert quoted('a"b\\c\nd\u0000') == '"a\\"b\\\\c\\nd "'
    assert quoted("می\u200cخواهم") == '"می\u200cخواهم"'


def test_a_long_address_is_broken_without_a_space_in_it(tmp_path: Path) -> None:
    address = "https://example.org/a/very/long/address/indeed/that/no/line/holds"
    deck = DeckSpec(title="T", slides=slides("A heading", address))
    compile_deck(deck, pages(tmp_path, deck.slides), Written(tmp_path))
    for page in PdfReader(tmp_path / "deck.pdf").pages[1:]:
        text = page.extract_text().replace("\n", "").replace("\u200b", "")
        assert address in text
