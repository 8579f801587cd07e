"""A deck with every layout, its pictures painted, set and written: what a test of the documents starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from PIL import Image, ImageDraw

from loradeck.tools.contracts import DeckSpec, Layout, Slide
from loradeck.tools.render_deck_visuals.frames import frames_of
from loradeck.tools.render_deck_visuals.pages import Compiled, Page, PagePicture
from loradeck.tools.render_deck_visuals.powerpoint import write_pptx
from loradeck.tools.render_deck_visuals.typeset import compile_deck
from loradeck.tools.render_deck_visuals.written import Written

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SINGLE = LAYOUTS[:5]
"""Layouts of one picture."""
MARK = (255, 0, 255)


def painted(folder: Path, deck: DeckSpec, ground: str = "#ffffff", size: tuple[int, int] | None = None) -> list[Page]:
    """Pictures with a magenta disc that is round."""
    made = []
    for slide in deck.slides:
        pictures = []
        for frame in frames_of(deck, slide):
            width, height = size or (frame.width // 2, frame.height // 2)
            picture = Image.new("RGB", (width, height), ground)
            x, y, reach = width // 2, height // 4, min(width, height) // 5
            ImageDraw.Draw(picture).ellipse((x - reach, y - reach, x + reach, y + reach), fill=MARK)
            path = folder / f"{frame.stem}.png"
            picture.save(path)
            pictures.append(PagePicture(frame.key, path, (width, height), frame.prompt, frame.seed, frame.caption))
        made.append(Page(slide, tuple(pictures)))
    return made


def slide_of(layout: Layout, heading: str | None, body: str | None, panels: int = 5, caption: str = "A name") -> Slide:
    """A slide of a layout, with panels where it takes them."""
    several = [{"prompt": "x", "caption": caption}] * (0 if layout in SINGLE else panels)
    return Slide.model_validate(
        {"name": layout, "prompt": "x", "heading": heading, "body": body, "layout": layout, "panels": several}
    )


def deck_of(heading: str | None, body: str | None, layouts: Sequence[Layout] = LAYOUTS, **more: Any) -> DeckSpec:
    """A deck with a slide of each layout."""
    told = {"title": "T", "subtitle": "S", **more}
    return DeckSpec(**told, slides=[slide_of(layout, heading, body) for layout in layouts])


@dataclass(frozen=True)
class Made:
    """A deck's folder with its documents."""

    folder: Path
    pages: list[Page]
    compiled: Compiled

    @property
    def pdf(self) -> Path:
        """The PDF."""
        return self.folder / "deck.pdf"

    @property
    def pptx(self) -> Path:
        """The PowerPoint file."""
        return self.folder / "deck.pptx"


def made(folder: Path, deck: DeckSpec, pages: list[Page] | None = None) -> Made:
    """Set a deck and write both documents."""
    pages = pages or painted(folder, deck)
    compiled = compile_deck(deck, pages, Written(folder))
    write_pptx(deck, pages, compiled.placed, Written(folder))
    return Made(folder, pages, compiled)
