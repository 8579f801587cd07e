"""What every output of a deck is made from: its pages with their pictures, and where the layout put each thing.

Typst lays a deck out and tells what it placed where; the PowerPoint file is written from that, and the parity report
holds both files against it. There is one layout, so the outputs cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loradeck.tools.contracts import Slide

PAGE_HEIGHT = 540.0
"""Points; the width follows from the theme's aspect (`frames.RATIOS`)."""


PARAGRAPH_GAP = 0.5
"""Between two paragraphs of a text box beyond the leading, in font sizes."""
BULLET_INDENT = 1.1
"""Of the words behind a bullet, in font sizes."""


@dataclass(frozen=True)
class PagePicture:
    """A picture as a page shows it: its file in the deck's folder, its size in pixels, how it was drawn.

    `shown_as` is the file that documents hold in its place, where that is another one (`embedded`).
    """

    key: str
    path: Path
    size: tuple[int, int]
    prompt: str
    seed: int
    caption: str = ""
    shown_as: Path | None = None

    @property
    def file(self) -> str:
        """The name of the file that documents hold, which lies beside them."""
        return (self.shown_as or self.path).name


@dataclass(frozen=True)
class Page:
    """A slide with the pictures that it has; one that was never drawn is left out."""

    slide: Slide
    pictures: tuple[PagePicture, ...]

    @property
    def notes(self) -> str:
        """For the speaker: the slide's own notes, then prompt and seed of each picture."""
        drawn = [f"{one.key}: {one.prompt} (seed {one.seed})" for one in self.pictures]
        return "\n\n".join([*([self.slide.notes] if self.slide.notes else []), "\n".join(drawn)])


@dataclass(frozen=True)
class Paragraph:
    """A line of a text box as its author wrote it, which wraps within the box."""

    text: str
    bullet: bool = False


@dataclass(frozen=True)
class Placed:
    """One thing on a page, as Typst laid it out, in drawing order. Points from the page's left top corner.

    picture: `file` fills the box and is cut around its middle where the shapes differ (`cover`), or stands whole in it.
    text: `paragraphs` at `size` points, set within the box, which is as large as the text may become; `height_used` is
    what Typst needed of it. box: a rectangle of one colour, of a gradient from clear (top) to `fill`, or an outline.
    Colours are #rrggbb; `opacity` is 0 to 1.
    """

    page: int
    kind: Literal["picture", "text", "box"]
    name: str  # "cover/heading", "cover/body", "icons-star/picture", "icons-star/caption", "cover/veil"
    x: float
    y: float
    width: float
    height: float
    file: str = ""
    alt: str = ""
    cover: bool = False
    paragraphs: tuple[Paragraph, ...] = ()
    size: float = 0.0
    weight: int = 400
    heading: bool = False  # in the theme's heading font
    colour: str = ""
    align: Literal["left", "center", "right"] = "left"
    anchor: Literal["top", "middle", "bottom"] = "top"
    leading: float = 1.2  # from baseline to baseline, in font sizes
    height_used: float = 0.0
    fill: str = ""
    opacity: float = 1.0
    fade: float = 0.0  # points at the top over which a box goes from clear to its fill
    stroke: str = ""
    stroke_width: float = 0.0
    radius: float = 0.0
    fits: bool = True


@dataclass(frozen=True)
class Compiled:
    """A deck that was set: what was placed where, and sentences on what could not be done as asked."""

    placed: tuple[Placed, ...]
    told: tuple[str, ...] = field(default=())
