"""The document of a deck, looked at as pixels: words stand out, stay on the page, and pictures keep their shape."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import typst
from PIL import Image
from pypdf import PdfReader
from support.made_pages import LAYOUTS, MARK, SINGLE, deck_of, painted, slide_of

from loradeck.tools.contracts import Aspect, DeckSpec, Slide, Theme
from loradeck.tools.pictures.canvas import FONTS
from loradeck.tools.render_deck_visuals.frames import RATIOS
from loradeck.tools.render_deck_visuals.measure import contrast, luminance, rgb
from loradeck.tools.render_deck_visuals.pages import Compiled, Page, PagePicture, Placed
from loradeck.tools.render_deck_visuals.typeset import compile_deck, layout_of, quoted
from loradeck.tools.render_deck_visuals.written import Written

LIGHT = Theme(background="#ffffff", text="#1b2a4a", accent="#0f6cbd")
LONG = ("Everything that matters stands on one page. " * 30)[:1200]
LONG_HEADING = ("A heading that nobody dared to cut " * 4)[:120]


def seen(folder: Path, name: str = "deck.typ") -> list[Image.Image]:
    """The pages as pixels, 1 a point."""
    found = typst.compile(str(folder / name), format="png", ppi=72, font_paths=[str(FONTS)], ignore_system_fonts=True)
    return [Image.open(io.BytesIO(page)).convert("RGB") for page in (found if isinstance(found, list) else [found])]


def without_words(folder: Path) -> list[Image.Image]:
    """The same pages with invisible ink: every box stays where it is."""
    module = (folder / "loradeck.typ").read_text()
    clear = module.replace("fill: colour, font:", "fill: rgb(0, 0, 0, 0), font:").replace(
        'text(fill: accent, "•")', 'text(fill: rgb(0, 0, 0, 0), "•")'
    )
    assert clear.count("rgb(0, 0, 0, 0)") == 2
    (folder / "bare-module.typ").write_text(clear)
    (folder / "bare.typ").write_text((folder / "deck.typ").read_text().replace("loradeck.typ", "bare-module.typ"))
    return seen(folder, "bare.typ")


def written(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """By page: where words are (a mask), and the page without them."""
    out = []
    for inked, bare in zip(seen(folder), without_words(folder), strict=True):
        one, other = np.asarray(inked).astype(float), np.asarray(bare).astype(float)
        out.append((np.abs(one - other).max(axis=2) > 24, other))
    return out


def boxes(made: Compiled, page: int, kind: str) -> list[Placed]:
    return [one for one in made.placed if one.page == page and one.kind == kind]


# --------------------------------------------------------------------------- words


@pytest.mark.parametrize("theme", [Theme(), LIGHT])
@pytest.mark.parametrize("ground", ["#ffffff", "#000000", "#a08040"])
def test_words_on_any_layout_over_any_picture_stand_out_by_four_and_a_half(
    tmp_path: Path, theme: Theme, ground: str
) -> None:
    deck = deck_of("A heading", "Some words.\n- One\n- Two", theme=theme)
    made = compile_deck(deck, painted(tmp_path, deck, ground), Written(tmp_path))
    assert made.told == ()
    for number, (mask, bare) in enumerate(written(tmp_path), 1):
        for box in boxes(made, number, "text"):
            x, y = round(box.x), round(box.y)
            part = slice(y, round(box.y + box.height)), slice(x, round(box.x + box.width))
            assert mask[part].any(), box.name
            behind, ink = luminance(bare[part][mask[part]]), luminance(rgb(box.colour))
            ratios = (np.maximum(behind, ink) + 0.05) / (np.minimum(behind, ink) + 0.05)
            assert ratios.min() >= 4.5, box.name


@pytest.mark.parametrize("aspect", RATIOS)
@pytest.mark.parametrize(("heading", "body"), [("A heading", "Some words.\n- One"), (None, None), (None, "Words.")])
def test_what_is_placed_stays_on_its_page_and_words_off_pictures_that_are_not_veiled(
    tmp_path: Path, aspect: Aspect, heading: str | None, body: str | None
) -> None:
    deck = deck_of(heading, body, theme=Theme(aspect=aspect))
    made = compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    width = 540 * RATIOS[aspect]
    assert made.told == ()
    assert {one.page for one in made.placed} == set(range(1, len(LAYOUTS) + 2))
    for one in made.placed:
        assert -0.01 <= one.x <= one.x + one.width <= width + 0.01, one
        assert -0.01 <= one.y <= one.y + one.height <= 540.01, one
    for page in range(1, len(LAYOUTS) + 2):
        veils = [one for one in boxes(made, page, "box") if one.name.endswith("/veil")]
        for text in boxes(made, page, "text"):
            over = [one for one in boxes(made, page, "picture") if overlap(text, one)]
            assert not over or any(inside(text, veil) for veil in veils), (text.name, [one.name for one in over])
            twice = [one.name for one in boxes(made, page, "text") if one is not text and overlap(text, one)]
            assert not twice, text.name


def overlap(one: Placed, other: Placed, slack: float = 0.5) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return across > slack and down > slack


def inside(one: Placed, other: Placed) -> bool:
    """Whether a box lies in another where that has its full colour."""
    return (
        other.x - 0.5 <= one.x
        and one.x + one.width <= other.x + other.width + 0.5
        and other.y + other.fade - 0.5 <= one.y
        and one.y + one.height <= other.y + other.height + 0.5
    )


@pytest.mark.parametrize("panels", [1, 2, 3, 7, 12, 16])
def test_any_number_of_panels_fills_the_page_without_touching(tmp_path: Path, panels: int) -> None:
    several = ("grid", "reference_sheet", "storyboard", "icon_sheet", "lookbook", "spread")
    caption = "A caption of some length, as a storyboard has them"
    deck = DeckSpec(title="T", slides=[slide_of(one, "Head", "Words.", panels, caption) for one in several])
    made = compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    for page in range(2, len(several) + 2):
        pictures = boxes(made, page, "picture")
        assert len(pictures) == panels
        touching = [(a.name, b.name) for n, a in enumerate(pictures) for b in pictures[:n] if overlap(a, b)]
        assert not touching
    assert not [words for words in made.told if "grid" in words or "storyboard" in words]


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
    deck = deck_of(heading, body, SINGLE, title=(heading or "T")[:120], subtitle="S" * 200)
    assert compile_deck(deck, painted(tmp_path, deck), Written(tmp_path)).told == ()
    looked = written(tmp_path)
    assert len(looked) == 1 + len(SINGLE), "no slide runs over to another page"
    for mask, _ in looked:
        rows, columns = np.where(mask)
        assert rows.min() >= 18
        assert rows.max() <= 540 - 18
        assert columns.min() >= 30
        assert columns.max() <= 960 - 30


def test_all_words_are_in_the_pdf_as_they_were_written(tmp_path: Path) -> None:
    head, line = 'Head "quoted" #1 $x$ \\', "A *b* _c_ @d <e> #panic()"
    deck = deck_of(head, line, title="The title", subtitle="Below it")
    compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    text = [" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / "deck.pdf").pages]
    assert "The title Below it" in text[0]
    assert all(head in page and line in page for page in text[1:])


def test_every_sign_of_the_shipped_scripts_has_a_glyph(tmp_path: Path) -> None:
    words = "Ångström žluťoučký Пекарь Αρτοποιός “quotes” — € → ½"
    deck = deck_of(words, words, SINGLE, title=words)
    assert compile_deck(deck, painted(tmp_path, deck), Written(tmp_path)).told == ()
    for page in PdfReader(tmp_path / "deck.pdf").pages:
        for font in page["/Resources"]["/Font"].values():
            name = str(font.get_object()["/BaseFont"])
            assert "Inter" in name or "Libertinus" in name
        assert "Пекарь" in page.extract_text()


# --------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("size", [(640, 360), (400, 400), (360, 640), (800, 200)])
def test_no_picture_is_stretched_on_any_layout(tmp_path: Path, size: tuple[int, int]) -> None:
    deck = deck_of("A heading", "Words.", tuple(one for one in LAYOUTS if one != "background"))
    for slide in deck.slides:
        slide.panels = slide.panels[:1]
    made = painted(tmp_path, deck, size=size)
    compile_deck(deck, made, Written(tmp_path))
    for page, picture in zip(made, seen(tmp_path)[1:], strict=True):
        near = np.abs(np.asarray(picture).astype(int) - MARK).max(axis=2) < 90
        rows, columns = np.where(near)
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        cut = page.slide.layout == "spread" and size[0] / size[1] < 0.8
        assert cut or width / height == pytest.approx(1, abs=0.08), page.slide.layout


def test_a_square_picture_asked_for_full_bleed_stands_whole_beside_the_words(tmp_path: Path) -> None:
    slide = Slide(name="a", prompt="x", layout="full_bleed")

    def page(width: int, height: int) -> Page:
        return Page(slide, (PagePicture("a", tmp_path / "a.png", (width, height), "x", 1),))

    assert layout_of(page(1024, 576), Theme()) == "full_bleed"
    assert layout_of(page(1024, 1024), Theme()) == "image_right"
    assert layout_of(page(1024, 1024), Theme(aspect="1:1")) == "full_bleed"


# --------------------------------------------------------------------------- what is told, and what stays


def test_too_many_lines_for_a_page_are_told(tmp_path: Path) -> None:
    deck = deck_of("A heading", "word\n" * 200, SINGLE)
    told = compile_deck(deck, painted(tmp_path, deck), Written(tmp_path)).told
    assert len(told) == 5
    assert "The words of full_bleed are too many" in told[0]


def test_the_same_deck_gives_the_same_bytes_and_new_pictures_leave_the_words_alone(tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.")
    compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    first, words = (tmp_path / "deck.pdf").read_bytes(), (tmp_path / "deck.typ").read_bytes()
    compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    assert (tmp_path / "deck.pdf").read_bytes() == first
    compile_deck(deck, painted(tmp_path, deck, "#123456", (512, 288)), Written(tmp_path))
    assert (tmp_path / "deck.typ").read_bytes() == words
    assert (tmp_path / "deck.pdf").read_bytes() != first


def test_a_font_that_is_not_there_and_another_script_are_told(tmp_path: Path) -> None:
    theme = Theme(font="Nowhere Sans", heading_font="Elsewhere Serif")
    deck = deck_of("A heading", "Words.", SINGLE, title="パン屋", theme=theme)
    told = compile_deck(deck, painted(tmp_path, deck), Written(tmp_path)).told
    assert any("'Nowhere Sans' is not on this machine" in words for words in told)
    assert any("'Elsewhere Serif' is not on this machine" in words for words in told)
    assert any("script" in words for words in told)


def test_a_page_of_ones_own_uses_visuals_by_name_as_they_are_on_a_card_and_as_a_texture(tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.")
    compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    own = '\n#page(texture("full_bleed") + pad(40pt, visual_card("grid-2", caption: "On a card", width: 300pt)))\n'
    path = tmp_path / "deck.typ"
    path.write_text(path.read_text() + own + '#page(visual("card", width: 200pt))\n#slide("mine", heading: "Mine")\n')
    assert len(seen(tmp_path)) == 1 + len(LAYOUTS) + 3
    path.write_text(path.read_text() + '#visual("nowhere")\n')
    with pytest.raises(typst.TypstError, match="no visual"):
        seen(tmp_path)


def test_words_cannot_break_out_of_their_string() -> None:
    assert quoted('a"b\\c\nd\u0000') == '"a\\"b\\\\c\\nd "'
    assert quoted("می\u200cخواهم") == '"می\u200cخواهم"'


def test_an_accent_that_cannot_be_seen_gives_way_to_the_colour_of_words(tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.", ("card",), theme=Theme(background="#808080", accent="#808080"))
    made = compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    bar = next(one for one in made.placed if one.name == "opening/bar")
    assert contrast(bar.fill, "#808080") >= 4.5


def test_a_long_address_is_broken_without_a_space_in_it(tmp_path: Path) -> None:
    address = "https://example.org/a/very/long/address/indeed/that/no/line/holds"
    deck = deck_of("A heading", address)
    compile_deck(deck, painted(tmp_path, deck), Written(tmp_path))
    for page in PdfReader(tmp_path / "deck.pdf").pages[1:]:
        text = page.extract_text().replace("\n", "").replace("\u200b", "")
        assert address in text
