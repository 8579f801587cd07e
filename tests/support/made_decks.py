"""A deck's folder as loradeck writes it, small: words in deck.typ and deck.pptx, in the places that a person edits."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.oxml.ns import qn
from pptx.util import Pt

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.render_deck_visuals import output_folder
from loradeck.tools.render_deck_visuals.frames import keyed_panels
from loradeck.tools.render_deck_visuals.kept_source import save_source
from loradeck.tools.render_deck_visuals.kept_words import adopted, remember
from loradeck.tools.render_deck_visuals.pages import Page
from loradeck.tools.render_deck_visuals.typeset import source_of
from loradeck.tools.render_deck_visuals.written import Written

MODULE = """\
#let deck(title: "", subtitle: "", body) = { set page(width: 320pt, height: 180pt); body }
#let opening() = page[opening]
#let slide(name, heading: "", body: ()) = page({ heading; body.join() })
"""
DRAWN = "a picture (seed 7)"


class Folder:
    """The deck's folder, and one that its files are copied to."""

    def __init__(self, root: Path, deck: DeckSpec, copies: Path | None = None) -> None:
        self.root = root
        self.copies = copies
        root.mkdir(parents=True, exist_ok=True)
        self.render(deck)

    def render(self, deck: DeckSpec, asked: tuple[str, ...] = ()) -> list[str]:
        """What a render does to the words: take over, write, note, copy. The deck as it is then is `self.deck`."""
        written = Written(self.root)
        self.deck, told = adopted(deck, written, self.copies, asked)
        (self.root / "loradeck.typ").write_text(MODULE)
        told += save_source(written, source(self.deck), self.copies)
        written.save(self.root / "deck.pptx", slides(self.deck))
        remember(self.deck, written)
        for name in ("deck.typ", "deck.pptx") if self.copies else ():
            data = (self.root / name).read_bytes()
            written.save(self.copies / name, data)
            output_folder.remember(self.copies, {name: hashlib.sha256(data).hexdigest()})
        return [*told, *written.kept]

    def typst(self, change: Callable[[str], str], folder: Path | None = None) -> None:
        """Edit deck.typ."""
        path = (folder or self.root) / "deck.typ"
        before = path.read_text()
        path.write_text(change(before))
        assert path.read_text() != before

    def pptx(self, box: str, text: str, folder: Path | None = None) -> None:
        """Type other words into a box, as PowerPoint does: the first paragraph's looks stay."""
        path = (folder or self.root) / "deck.pptx"
        presentation = Presentation(str(path))
        for slide in presentation.slides:
            for shape in slide.shapes:
                if shape.name == box:
                    shape.text_frame.text = text
        presentation.save(str(path))

    @property
    def source(self) -> str:
        return (self.root / "deck.typ").read_text()

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())


def source(deck: DeckSpec) -> str:
    """deck.typ as a render writes it."""
    return source_of(deck, [Page(slide, ()) for slide in deck.slides])


def slides(deck: DeckSpec) -> bytes:
    """deck.pptx: a box for each text, bullets as such, notes with what was drawn below them."""
    presentation: Any = Presentation()
    opening = presentation.slides.add_slide(presentation.slide_layouts[6])
    _box(opening, "opening/title", deck.title)
    _box(opening, "opening/subtitle", deck.subtitle or "")
    for slide in deck.slides:
        page = presentation.slides.add_slide(presentation.slide_layouts[6])
        _box(page, f"{slide.name}/heading", slide.heading or "")
        _box(page, f"{slide.name}/body", slide.body or "")
        for key, panel in keyed_panels(slide):
            _box(page, f"{key}/caption", panel.caption or "")
        page.notes_slide.notes_text_frame.text = "\n\n".join([*([slide.notes] if slide.notes else []), DRAWN])
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def _box(page: Any, name: str, text: str) -> None:
    shape = page.shapes.add_textbox(Pt(10), Pt(10), Pt(300), Pt(100))
    shape.name = name
    frame = shape.text_frame
    for number, line in enumerate(text.splitlines()):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.text = line.removeprefix("- ")
        if line.startswith("- "):
            properties = paragraph._p.get_or_add_pPr()
            properties.append(properties.makeelement(qn("a:buChar"), {"char": "•"}))
