"""A PDF and a PowerPoint file read back into what stands on their pages, in points from the left top corner."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLACK = 1.5
"""Points that a letter's middle may lie outside of its box: type reaches a little over its line."""
POINT = 12_700
"""PowerPoint's units in a point."""

Box = tuple[float, float, float, float]


def plain(text: str) -> str:
    """Words as both files have them: composed, without white space, bullets and places to break at."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if not char.isspace() and char not in "\u200b\u00ad\ufeff•\ufffe\x02")


@dataclass(frozen=True)
class Letters:
    """What stands in a box, and the sizes of its type in points."""

    text: str
    sizes: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """A shape or a picture. `cut` is the share of width and height that is cut at each side; `stretch` how much more
    it is scaled across than down.
    """

    box: Box
    text: str = ""
    sizes: tuple[float, ...] = ()
    cut: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    stretch: float = 1.0
    sha256: str = ""
    bullets: tuple[bool, ...] = ()
    colours: tuple[str, ...] = ()


@dataclass
class Page:
    """A page of either file: a PDF has letters and pictures, a PowerPoint file has named shapes in drawing order."""

    size: tuple[float, float]
    letters: list[tuple[str, float, float, float]] = field(default_factory=list)  # letter, x and y of its middle, size
    pictures: list[Seen] = field(default_factory=list)
    named: dict[str, Seen] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    def words_in(self, box: Box) -> Letters:
        """The letters whose middle lies in a box, in the file's order."""
        x, y, width, height = box
        there = [
            (letter, size)
            for letter, across, down, size in self.letters
            if x - SLACK <= across <= x + width + SLACK and y - SLACK <= down <= y + height + SLACK
        ]
        return Letters(plain("".join(letter for letter, _ in there)), tuple(dict.fromkeys(size for _, size in there)))

    def picture_at(self, box: Box) -> Seen | None:
        """The picture whose middle lies nearest to a box's, where it covers that."""
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        near = sorted(
            (abs(one.box[0] + one.box[2] / 2 - x) + abs(one.box[1] + one.box[3] / 2 - y), number)
            for number, one in enumerate(self.pictures)
        )
        return self.pictures[near[0][1]] if near and near[0][0] < box[2] / 4 + box[3] / 4 else None


def pdf_pages(path: Path) -> list[Page]:
    """Every page of a PDF."""
    import pypdfium2

    document = pypdfium2.PdfDocument(str(path))
    try:
        return [_pdf_page(document[number]) for number in range(len(document))]
    finally:
        document.close()


def _pdf_page(page: Any) -> Page:
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    found = Page((width, height))
    text = page.get_textpage()
    for index in range(text.count_chars()):
        left, bottom, right, top = text.get_charbox(index)
        letter = chr(pdfium.FPDFText_GetUnicode(text.raw, index) or 32)
        size = round(pdfium.FPDFText_GetFontSize(text.raw, index), 2)
        if plain(letter):
            found.letters.append((letter, (left + right) / 2, height - (bottom + top) / 2, size))
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = image.get_bounds()
        across, down = image.get_px_size()
        box = (left, height - top, right - left, top - bottom)
        found.pictures.append(Seen(box, stretch=(box[2] / across) / (box[3] / down)))
    return found


def pptx_pages(path: Path) -> list[Page]:
    """Every slide of a PowerPoint file."""
    from pptx import Presentation

    show = Presentation(str(path))
    size = (show.slide_width / POINT, show.slide_height / POINT)
    return [_slide(size, list(slide.shapes)) for slide in show.slides]


def _slide(size: tuple[float, float], shapes: list[Any]) -> Page:
    names = [str(shape.name) for shape in shapes]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    return Page(size, named={name: _shape(shape) for name, shape in zip(names, shapes, strict=True)}, twice=twice)


def _shape(shape: Any) -> Seen:
    box = (shape.left / POINT, shape.top / POINT, shape.width / POINT, shape.height / POINT)
    if hasattr(shape, "image"):
        across, down = shape.image.size
        shown = (across * (1 - shape.crop_left - shape.crop_right), down * (1 - shape.crop_top - shape.crop_bottom))
        cut = (shape.crop_left, shape.crop_top, shape.crop_right, shape.crop_bottom)
        digest = hashlib.sha256(shape.image.blob).hexdigest()
        return Seen(box, cut=cut, stretch=(box[2] / shown[0]) / (box[3] / shown[1]), sha256=digest)
    if not shape.has_text_frame:
        return Seen(box)
    runs = [run for paragraph in shape.text_frame.paragraphs for run in paragraph.runs]
    sizes = tuple(dict.fromkeys((run.font.size or 0) / POINT for run in runs))
    bullets = tuple(_has_bullet(paragraph) for paragraph in shape.text_frame.paragraphs)
    colours = tuple(dict.fromkeys(_colour(run) for run in runs))
    return Seen(box, text="".join(run.text for run in runs), sizes=sizes, bullets=bullets, colours=colours)


def _has_bullet(paragraph: Any) -> bool:
    from pptx.oxml.ns import qn

    properties = paragraph._p.pPr
    return properties is not None and properties.find(qn("a:buChar")) is not None


def _colour(run: Any) -> str:
    """#rrggbb, or nothing where the run has no colour of its own."""
    colour = run.font.color
    return f"#{str(colour.rgb).lower()}" if colour is not None and colour.type is not None else ""
