"""The PDF and the PowerPoint file of a deck show the same, and the report that says so can say otherwise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.oxml.ns import qn
from pptx.util import Pt
from support.made_pages import Made, deck_of, made, painted

from loradeck.tools.contracts import Theme
from loradeck.tools.render_deck_visuals.frames import RATIOS
from loradeck.tools.render_deck_visuals.parity import compare, write_parity
from loradeck.tools.render_deck_visuals.written import Written


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, deck = tmp_path_factory.mktemp("whole"), deck_of("A heading", "Some words.\n- One bullet\n- Two ﬁne words")
    pages = painted(folder, deck)
    Image.new("RGB", (512, 288), "#305070").save(pages[0].pictures[0].path)
    return made(folder, deck, pages)


@pytest.mark.parametrize("aspect", RATIOS)
def test_every_layout_is_the_same_in_both_files(tmp_path: Path, aspect: Any) -> None:
    deck = deck_of("Ein Überschrift", "Some *words* #here.\n- One\n- Two", theme=Theme(aspect=aspect))
    done = made(tmp_path, deck)
    found = compare(done.pdf, done.pptx, done.compiled.placed)
    assert found.differences == ()
    assert found.pages == 12
    assert found.things > 200


def test_pictures_of_any_shape_are_cut_alike(tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.")
    done = made(tmp_path, deck, painted(tmp_path, deck, size=(300, 500)))
    assert compare(done.pdf, done.pptx, done.compiled.placed).differences == ()


def test_the_report_is_a_file_and_a_sentence(whole: Made) -> None:
    sentence = write_parity(whole.compiled.placed, Written(whole.folder))
    told = json.loads((whole.folder / "parity.json").read_text())
    assert sentence == f"The PDF and the PowerPoint file agree on all 12 pages ({told['things']} things compared)."


def test_pages_of_a_persons_own_are_told_and_no_difference(tmp_path: Path) -> None:
    deck = deck_of("A heading", "Words.", ("card", "full_bleed"))
    made(tmp_path, deck)
    source = tmp_path / "deck.typ"
    source.write_text(source.read_text().replace("#opening()", "#opening()\n#page[Between]\n"))
    done = made(tmp_path, deck)
    found = compare(done.pdf, done.pptx, done.compiled.placed)
    assert (found.differences, found.pages, found.own_pages) == ((), 3, 1)
    assert "Pages of your own in deck.typ are in the PDF alone: 1." in found.sentence()


def shape(show: Any, name: str) -> Any:
    return next(one for slide in list(show.slides)[1:] for one in slide.shapes if one.name == name)


def moved(show: Any) -> None:
    shape(show, "card/heading").left += Pt(5)


def reworded(show: Any) -> None:
    shape(show, "image_left/body").text_frame.paragraphs[0].runs[0].text = "Other words."


def resized(show: Any) -> None:
    shape(show, "background/heading").text_frame.paragraphs[0].runs[0].font.size = Pt(20)


def stretched(show: Any) -> None:
    shape(show, "card/picture").width *= 2


def cut(show: Any) -> None:
    shape(show, "full_bleed/picture").crop_left = 0.2


def dropped(show: Any) -> None:
    element = shape(show, "grid-2/picture")._element
    element.getparent().remove(element)


def behind(show: Any) -> None:
    element = shape(show, "full_bleed/heading")._element
    tree = element.getparent()
    tree.remove(element)
    tree.insert(2, element)


def off_centre(show: Any) -> None:
    picture = shape(show, "spread-1/picture")
    picture.crop_left, picture.crop_right = picture.crop_left + picture.crop_right, 0


def unsized(show: Any) -> None:
    shape(show, "background/body").text_frame.paragraphs[0].runs[0].font.size = None


def stray(show: Any) -> None:
    show.slides[4].shapes.add_textbox(0, 0, Pt(50), Pt(20)).name = "stuck on"


def doubled(show: Any) -> None:
    show.slides[4].shapes.add_textbox(0, 0, Pt(50), Pt(20)).name = "card/heading"


def exchanged(show: Any) -> None:
    one, other = shape(show, "card/picture"), shape(show, "full_bleed/picture")
    slide = next(slide for slide in show.slides if one in list(slide.shapes) or one.part is slide.part)
    _, link = slide.part.get_or_add_image_part(BytesIO(other.image.blob))
    one._element.blipFill.blip.rEmbed = link


def unbulleted(show: Any) -> None:
    properties = shape(show, "card/body").text_frame.paragraphs[1]._p.pPr
    properties.remove(properties.find(qn("a:buChar")))


def blackened(show: Any) -> None:
    shape(show, "card/heading").text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(0, 0, 0)


def reshaped(show: Any) -> None:
    show.slide_width = Pt(720)


def shortened(show: Any) -> None:
    last = show.slides._sldIdLst[-1]
    show.part.drop_rel(last.rId)
    show.slides._sldIdLst.remove(last)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (moved, "page 5, card/heading, where it stands in the PowerPoint file"),
        (reworded, "page 3, image_left/body, its words in the PowerPoint file"),
        (resized, "page 6, background/heading, its size in the PowerPoint file: None against 20.0"),
        (stretched, "page 5, card/picture, stretched in the PowerPoint file"),
        (cut, "page 2, full_bleed/picture, what is cut of it"),
        (dropped, "page 7, grid-2/picture: it is in the PDF against it is missing in the PowerPoint file"),
        (behind, "page 2, the order of things"),
        (off_centre, "page 12, spread-1/picture, what is cut of it"),
        (unsized, "page 6, background/body, its size in the PowerPoint file: None against 0.0"),
        (stray, "page 5, what nobody placed: [] against ['stuck on']"),
        (doubled, "page 5, what nobody placed: [] against ['card/heading']"),
        (exchanged, "page 5, card/picture, the picture that it is in the PowerPoint file"),
        (unbulleted, "page 5, card/body, its bullets in the PowerPoint file"),
        (blackened, "page 5, card/heading, its colour in the PowerPoint file"),
        (reshaped, "page 1, the size: (960, 540) against (720, 540)"),
        (shortened, "the files, the number of pages: 12 against 11"),
    ],
)
def test_what_differs_in_the_powerpoint_file_is_told_with_its_page_and_name(
    whole: Made, tmp_path: Path, damage: Callable[[Any], None], says: str
) -> None:
    show = Presentation(str(whole.pptx))
    damage(show)
    show.save(str(tmp_path / "deck.pptx"))
    found = compare(whole.pdf, tmp_path / "deck.pptx", whole.compiled.placed)
    assert any(says in one for one in found.differences), found.differences
    assert "differ in" in found.sentence()


def test_what_differs_in_the_pdf_is_told_too(whole: Made, tmp_path: Path) -> None:
    other = made(tmp_path, deck_of("Another heading", "Some words.\n- One bullet\n- Two ﬁne words"))
    found = compare(other.pdf, whole.pptx, whole.compiled.placed)
    assert any("full_bleed/heading, its words in the PDF" in one for one in found.differences)
    shutil.copy(whole.pdf, whole.folder / "copy.pdf")
    lower = [replace(one, y=one.y + 40) if one.name == "card/picture" else one for one in whole.compiled.placed]
    assert any(
        "card/picture, what of it shows in the PDF" in one
        for one in compare(whole.folder / "copy.pdf", whole.pptx, lower).differences
    )
