"""The deck as a PowerPoint file, from what Typst placed where: real text boxes, whole pictures, notes, no autofit.

PowerPoint, Slides and Keynote refit text each in its own way, so that nothing is left to them: sizes and line spacing
are set, boxes keep theirs, and Typst fitted the words into less than their width, as other fonts need more. The theme's
colours and fonts stand in the file's own theme too, so that a slide that a person adds looks like the others.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Pt

from loradeck.tools.contracts import DeckSpec, Theme
from loradeck.tools.render_deck_visuals import measure
from loradeck.tools.render_deck_visuals.frames import RATIOS, slide_of
from loradeck.tools.render_deck_visuals.office_text import as_xml_text, theme_with
from loradeck.tools.render_deck_visuals.pages import BULLET_INDENT, PAGE_HEIGHT, PARAGRAPH_GAP, Page, Placed
from loradeck.tools.render_deck_visuals.typeset import SHIPPED
from loradeck.tools.render_deck_visuals.written import Written

TITLE_ONLY, BLANK = 5, 6
"""Layouts of python-pptx's own template."""
BOLD = 600
DATED = datetime(2000, 1, 1)
ALIGN = {"left": PP_ALIGN.LEFT, "center": PP_ALIGN.CENTER, "right": PP_ALIGN.RIGHT}
ANCHOR = {"top": MSO_ANCHOR.TOP, "middle": MSO_ANCHOR.MIDDLE, "bottom": MSO_ANCHOR.BOTTOM}
TITLES = ("/heading", "/title")


def write_pptx(deck: DeckSpec, pages: Sequence[Page], placed: Sequence[Placed], written: Written) -> None:
    """Write deck.pptx into the deck's folder: the same bytes for the same deck. Raises what `Written.save` raises."""
    show = _Show(deck.theme, written.folder)
    notes = {page.slide.name: page.notes for page in pages}
    for number in dict.fromkeys(one.page for one in placed):
        things = [one for one in placed if one.page == number]
        opening = any(one.name.startswith("opening/") for one in things)
        show.add(things, "" if opening else notes.get(slide_of(things[0].name.partition("/")[0]), ""))
    written.save(written.folder / "deck.pptx", show.saved(deck.title))


class _Show:
    """A presentation that grows slide by slide."""

    def __init__(self, theme: Theme, folder: Path) -> None:
        self.theme, self.folder = theme, folder
        self.made: Any = Presentation()
        _widen(self.made, RATIOS[theme.aspect] * PAGE_HEIGHT)
        master = self.made.slide_master
        ink = measure.readable(theme.text, theme.background)
        body, heads = theme.font or SHIPPED, theme.heading_font or theme.font or SHIPPED
        part = master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
        part._blob = theme_with(part.blob, theme.background, ink, theme.accent, heads, body)
        self.fonts = {False: body, True: heads}
        _solid(master.background.fill, theme.background)

    def add(self, things: Sequence[Placed], notes: str) -> None:
        """A slide with what a page holds, in the same order; its heading is its title where it has one."""
        title = next((one for one in things if one.kind == "text" and one.name.endswith(TITLES)), None)
        slide = self.made.slides.add_slide(self.made.slide_layouts[BLANK if title is None else TITLE_ONLY])
        for one in things:
            if one.kind == "picture":
                self._picture(slide, one)
            elif one.kind == "box":
                self._box(slide, one)
            elif one is title:
                self._words(_to_front(slide.shapes.title), one)
            else:
                self._words(slide.shapes.add_textbox(*_at(one)), one)
        if notes:
            slide.notes_slide.notes_text_frame.text = as_xml_text(notes)

    def _picture(self, slide: Any, one: Placed) -> None:
        """A picture that fills its box, cut around its middle where the shapes differ."""
        shape = slide.shapes.add_picture(str(self.folder / one.file), *_at(one))
        width, height = shape.image.size
        shape.crop_left = shape.crop_right = max(0.0, 1 - one.width / one.height * height / width) / 2
        shape.crop_top = shape.crop_bottom = max(0.0, 1 - one.height / one.width * width / height) / 2
        if one.radius:
            shape.auto_shape_type = MSO_SHAPE.ROUNDED_RECTANGLE
            shape._element.spPr.prstGeom.get_or_add_avLst().append(_guide(_rounding(one)))
        _named(shape, one.name, one.alt)

    def _box(self, slide: Any, one: Placed) -> None:
        kind = MSO_SHAPE.ROUNDED_RECTANGLE if one.radius else MSO_SHAPE.RECTANGLE
        shape = slide.shapes.add_shape(kind, *_at(one))
        shape._element.remove(shape._element.find(qn("p:style")))  # the template's style casts a shadow
        if one.radius:
            shape.adjustments[0] = _rounding(one)
        if not one.fill:
            shape.fill.background()
        elif one.fade:
            _faded(shape, one)
        else:
            _solid(shape.fill, one.fill, one.opacity)
        if one.stroke:
            shape.line.color.rgb, shape.line.width = RGBColor.from_string(one.stroke[1:].upper()), Pt(one.stroke_width)
        else:
            shape.line.fill.background()
        _named(shape, one.name, "")

    def _words(self, shape: Any, one: Placed) -> None:
        """The paragraphs of a text box, at a size and a spacing that no program may change."""
        shape.left, shape.top, shape.width, shape.height = _at(one)
        _named(shape, one.name, "")
        frame = shape.text_frame
        frame.word_wrap, frame.auto_size, frame.vertical_anchor = True, MSO_AUTO_SIZE.NONE, ANCHOR[one.anchor]
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
        for number, line in enumerate(one.paragraphs):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.alignment, paragraph.line_spacing = ALIGN[one.align], Pt(one.size * one.leading)
            paragraph.space_before, paragraph.space_after = Pt(one.size * PARAGRAPH_GAP if number else 0), Pt(0)
            self._bullet(paragraph, one.size, line.bullet)
            run = paragraph.add_run()
            run.text = as_xml_text(line.text)
            run.font.size, run.font.bold = Pt(one.size), one.weight >= BOLD
            run.font.color.rgb = RGBColor.from_string(one.colour[1:].upper())
            self._font(run, self.fonts[one.heading])

    def _bullet(self, paragraph: Any, size: float, bullet: bool) -> None:
        """A real bullet in the accent's colour with its words hanging beside it, or none."""
        properties = paragraph._p.get_or_add_pPr()
        if not bullet:
            properties.append(parse_xml(f"<a:buNone {nsdecls('a')}/>"))
            return
        indent = Pt(size * BULLET_INDENT)
        properties.set("marL", str(indent))
        properties.set("indent", str(-indent))
        colour = self.theme.accent[1:].upper()
        properties.append(parse_xml(f'<a:buClr {nsdecls("a")}><a:srgbClr val="{colour}"/></a:buClr>'))
        properties.append(parse_xml(f'<a:buChar {nsdecls("a")} char="•"/>'))

    def _font(self, run: Any, family: str) -> None:
        """The family for every script: PowerPoint takes another one for those that are not named."""
        run.font.name = family
        properties = run._r.get_or_add_rPr()
        for script in ("a:ea", "a:cs"):
            element = properties.makeelement(qn(script), {"typeface": family})
            properties.append(element)

    def saved(self, title: str) -> bytes:
        """The file, with no date of its own in it."""
        told = self.made.core_properties
        told.title, told.author, told.last_modified_by = as_xml_text(title), "loradeck", "loradeck"
        told.created = told.modified = told.last_printed = DATED
        told.revision = 1
        content = io.BytesIO()
        self.made.save(content)
        return _undated(content.getvalue())


def _widen(show: Any, width: float) -> None:
    """Pages as high as the template's and as wide as the deck's, and the places for words on them likewise.

    A slide that a person adds then fills its page.
    """
    share = Pt(width) / show.slide_width
    for owner in (show.slide_master, *show.slide_layouts):
        for shape in owner.placeholders:
            if shape._element.spPr.find(qn("a:xfrm")) is not None:
                shape.left, shape.width = round(shape.left * share), round(shape.width * share)
    show.slide_width, show.slide_height = Pt(width), Pt(PAGE_HEIGHT)


def _at(one: Placed) -> tuple[int, int, int, int]:
    """Left, top, width and height in the file's own units."""
    return Pt(one.x), Pt(one.y), max(1, Pt(one.width)), max(1, Pt(one.height))


def _named(shape: Any, name: str, alt: str) -> None:
    """The name that parity and a person's edits are found by, and what a screen reader says."""
    shape.name = as_xml_text(name)
    shape._element._nvXxPr.cNvPr.set("descr", as_xml_text(alt))


def _to_front(shape: Any) -> Any:
    """A placeholder is there before anything else: it goes to where it stands among the others."""
    tree = shape._element.getparent()
    tree.remove(shape._element)
    tree.append(shape._element)
    return shape


def _rounding(one: Placed) -> float:
    return min(0.5, one.radius / max(1.0, min(one.width, one.height)))


def _guide(share: float) -> Any:
    return parse_xml(f'<a:gd {nsdecls("a")} name="adj" fmla="val {round(share * 100_000)}"/>')


def _solid(fill: Any, colour: str, opacity: float = 1.0) -> None:
    fill.solid()
    fill.fore_color.rgb = RGBColor.from_string(colour[1:].upper())
    if opacity < 1:
        element = fill._xPr.find(qn("a:solidFill")).find(qn("a:srgbClr"))
        element.append(parse_xml(f'<a:alpha {nsdecls("a")} val="{round(opacity * 100_000)}"/>'))


def _faded(shape: Any, one: Placed) -> None:
    """A box that goes from clear at its top to its colour."""
    colour, alpha = one.fill[1:].upper(), round(one.opacity * 100_000)
    full = round(min(1.0, one.fade / one.height) * 100_000)
    stops = "".join(
        f'<a:gs pos="{place}"><a:srgbClr val="{colour}"><a:alpha val="{opaque}"/></a:srgbClr></a:gs>'
        for place, opaque in ((0, 0), (full, alpha), (100_000, alpha))
    )
    gradient = parse_xml(
        f'<a:gradFill {nsdecls("a")} rotWithShape="1"><a:gsLst>{stops}</a:gsLst><a:lin ang="5400000" scaled="0"/>'
        "</a:gradFill>"
    )
    shape.fill.background()
    properties = shape._element.spPr
    properties.replace(properties.find(qn("a:noFill")), gradient)


def _undated(data: bytes) -> bytes:
    """The same package in the order of its names, every part of one date."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        first = ["[Content_Types].xml"]
        for name in [*first, *sorted(set(before.namelist()) - set(first))]:
            stored = name.lower().endswith((".png", ".jpeg", ".jpg"))
            info = zipfile.ZipInfo(name, DATED.timetuple()[:6])
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            after.writestr(info, before.read(name))
    return out.getvalue()
