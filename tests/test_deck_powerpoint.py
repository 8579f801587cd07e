"""The PowerPoint file: real words that nobody refits, whole pictures, notes, and nothing that asks to be repaired."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pptx import Presentation
from pptx.enum.text import MSO_AUTO_SIZE
from pptx.oxml.ns import qn
from pypdf import PdfReader
from support.made_pages import Made, deck_of, made, painted, slide_of

from loradeck.tools.contracts import DeckSpec, Theme

OFFICE = shutil.which("soffice") or shutil.which("libreoffice")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    theme = Theme(background="#102030", text="#f0f0f0", accent="#ffcc00", font="Inter", heading_font="Georgia")
    return made(tmp_path_factory.mktemp("whole"), deck_of("A heading", "Some words.\n- One\n- Two", theme=theme))


def slides(done: Made) -> list[dict[str, Any]]:
    """By slide, its shapes by name."""
    return [{shape.name: shape for shape in slide.shapes} for slide in Presentation(str(done.pptx)).slides]


def assert_sound(path: Path) -> None:
    """What makes PowerPoint offer a repair is not there: doubled parts or ids, links to nothing, broken XML."""
    with zipfile.ZipFile(path) as package:
        names = package.namelist()
        assert len(set(names)) == len(names)
        for name in names:
            if name.endswith((".xml", ".rels")):
                root = ElementTree.fromstring(package.read(name))
                if name.startswith("ppt/slides/slide"):
                    ids = Counter(one.get("id") for one in root.iter(qn("p:cNvPr")))
                    assert max(ids.values()) == 1, name
            if name.endswith(".rels"):
                base = Path(name).parent.parent
                for link in root:
                    assert link.get("TargetMode") != "External", name
                    target = str(link.get("Target"))
                    full = target[1:] if target.startswith("/") else str(base / target)
                    parts: list[str] = []
                    for part in full.split("/"):
                        parts = parts[:-1] if part == ".." else [*parts, part]
                    assert "/".join(parts) in names, (name, target)


def test_words_are_boxes_at_a_set_size_with_real_bullets_and_titles(whole: Made) -> None:
    found = slides(whole)[2]
    body, heading = found["image_left/body"], found["image_left/heading"]
    assert [paragraph.text for paragraph in body.text_frame.paragraphs] == ["Some words.", "One", "Two"]
    bullets = [paragraph._p.pPr.find(qn("a:buChar")) is not None for paragraph in body.text_frame.paragraphs]
    assert bullets == [False, True, True]
    assert heading.is_placeholder
    for shape in (body, heading):
        assert shape.text_frame.auto_size == MSO_AUTO_SIZE.NONE
        assert all(run.font.size for paragraph in shape.text_frame.paragraphs for run in paragraph.runs)
    assert heading.text_frame.paragraphs[0].runs[0].font.name == "Georgia"


def test_notes_tell_prompt_and_seed_and_pictures_say_what_they_show(whole: Made) -> None:
    show = Presentation(str(whole.pptx))
    assert "card: x (seed 10)" in show.slides[4].notes_slide.notes_text_frame.text
    assert show.slides[6].notes_slide.notes_text_frame.text.count("seed") == 5
    assert not show.slides[0].has_notes_slide
    for slide in show.slides:
        for shape in slide.shapes:
            if hasattr(shape, "image"):
                assert shape._element.nvPicPr.cNvPr.get("descr") in {"x", "x, x"}


def test_the_files_own_theme_has_the_decks_colours_and_fonts(whole: Made) -> None:
    with zipfile.ZipFile(whole.pptx) as package:
        theme = package.read("ppt/theme/theme1.xml").decode()
    for told in ("102030", "F0F0F0", "FFCC00", 'typeface="Georgia"', 'typeface="Inter"'):
        assert told in theme


def test_a_slide_that_a_person_adds_fills_its_page(whole: Made) -> None:
    show = Presentation(str(whole.pptx))
    added = show.slides.add_slide(show.slide_layouts[1])
    title = added.shapes.title
    assert title.left + title.width > 0.9 * show.slide_width
    assert all(shape.left + shape.width <= show.slide_width for shape in added.placeholders)


def test_the_same_deck_gives_the_same_bytes_and_each_picture_is_in_the_file_once(whole: Made, tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.", ("card", "grid"))
    one = made(tmp_path, deck)
    first = one.pptx.read_bytes()
    one.pptx.unlink()
    assert made(tmp_path, deck).pptx.read_bytes() == first
    with zipfile.ZipFile(whole.pptx) as package:
        media = [package.read(name) for name in package.namelist() if name.startswith("ppt/media/")]
    assert len(set(media)) == len(media)
    assert_sound(whole.pptx)


@pytest.mark.parametrize(
    "words",
    [
        "🥖 Bäckerei",
        "مخبز",
        "パン屋の話",
        "<a:t>&amp;</a:t> {{x}} =1+1",
        "a\x00b\x0bc",
        "#panic() *x* $y$",
        "W" * 110,
    ],
)
def test_any_words_are_text_and_the_file_stays_sound(tmp_path: Path, words: str) -> None:
    slide = slide_of("card", words[:120], words)
    slide = slide.model_copy(update={"notes": "n" * 4000, "prompt": "p " * 900})
    done = made(tmp_path, DeckSpec(title="T", slides=[slide]))
    assert_sound(done.pptx)
    shown = "".join(char for char in words if char not in "\x00\x0b")
    text = slides(done)[1]["card/heading"].text_frame.text
    assert shown.replace(" ", "") == text.replace(" ", "").replace("\x0b", "")


def test_the_largest_deck_is_written(tmp_path: Path) -> None:
    several = [slide_of("grid", "Head", None, 16).model_copy(update={"name": f"s{n}"}) for n in range(60)]
    deck = DeckSpec(title="T", slides=several)
    done = made(tmp_path, deck, painted(tmp_path, deck, size=(64, 64)))
    found = slides(done)
    assert len(found) == 61
    assert sum(name.endswith("/picture") for name in found[60]) == 16
    assert_sound(done.pptx)


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
def test_another_program_opens_it_with_all_pages_and_words(whole: Made, tmp_path: Path) -> None:
    profile = f"-env:UserInstallation=file://{tmp_path / 'profile'}"
    command = [str(OFFICE), profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(whole.pptx)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pages = [page.extract_text() for page in PdfReader(tmp_path / "deck.pdf").pages]
    assert len(pages) == 12
    assert all("A heading" in page and "Some words." in page for page in pages[1:])
