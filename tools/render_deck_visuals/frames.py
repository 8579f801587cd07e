"""The pictures that a deck asks for, one after another: a slide's own, or its panels.

A frame's *key* names it everywhere: the slide's name, and for a panel the panel's name behind a hyphen (icons-star).
Names hold no hyphens, so a key says which slide it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from loradeck.tools.contracts import Aspect, DeckSpec, Panel, Slide

RATIOS: dict[Aspect, float] = {"16:9": 16 / 9, "4:3": 4 / 3, "3:2": 3 / 2, "1:1": 1.0, "2:1": 2.0, "a4": sqrt(2)}
"""Width over height of a page."""
SQUARE = frozenset({"icon_sheet", "grid", "reference_sheet"})
"""Layouts whose pictures are square where nobody gave their size."""
LONG_SIDE = 1024
MULTIPLE = 16
PANEL_STRIDE = 60
"""Between the seeds of two panels: as many as a deck has slides, so that no two frames share one."""
VIEWS = {
    "front": "front view, full body, standing upright",
    "three_quarter": "three-quarter view from the left, full body",
    "profile": "profile view from the left, full body",
    "back": "back view, full body",
    "close_up": "close-up of the face, front view",
}
"""What a reference sheet shows where it has no panels."""
WHITE = "isolated on a plain white background, even soft light, no shadow"


@dataclass(frozen=True)
class Frame:
    """One picture that a deck asks for; `number` is its slide's place, from 1, sizes are pixels.

    `settled` are ids of LoRAs whose triggers the prompt has as they are wanted, there or not.
    """

    key: str
    slide: str
    number: int
    prompt: str
    seed: int
    width: int
    height: int
    caption: str = ""
    settled: frozenset[str] = frozenset()

    @property
    def stem(self) -> str:
        """The file name without its suffix: 01_cover, 04_icons-star."""
        return f"{self.number:02}_{self.key}"

    @property
    def picture(self) -> tuple[str, str, int, int, int]:
        """Whose picture and which: the same wherever the slide stands and whatever is written under it."""
        return self.key, self.prompt, self.seed, self.width, self.height


def slide_of(key: str) -> str:
    """The name of the slide that a frame belongs to."""
    return key.partition("-")[0]


def frames(deck: DeckSpec) -> list[Frame]:
    """Every picture of a deck, in its order."""
    return [frame for slide in deck.slides for frame in frames_of(deck, slide)]


def frames_of(deck: DeckSpec, slide: Slide) -> list[Frame]:
    """The pictures of a slide, in its order."""
    number = 1 + [one.name for one in deck.slides].index(slide.name)
    first = first_seed(deck, slide)
    width, height = picture_size(deck, slide)
    panels = keyed_panels(slide)
    if not panels:
        if slide.as_drawn is not None:
            settled = frozenset(use.lora_id for use in deck.defaults.loras or ())
            return [Frame(slide.name, slide.name, number, slide.as_drawn, first, width, height, settled=settled)]
        return [Frame(slide.name, slide.name, number, str(slide.prompt), first, width, height)]
    return [
        Frame(
            key,
            slide.name,
            number,
            _joined(slide.prompt, panel.prompt),
            panel.seed if panel.seed is not None else first + place * PANEL_STRIDE,
            width,
            height,
            panel.caption or "",
        )
        for place, (key, panel) in enumerate(panels)
    ]


def first_seed(deck: DeckSpec, slide: Slide) -> int:
    """The seed of a slide's picture or of its first panel: its own, or the deck's and one more a slide before it."""
    return slide.seed if slide.seed is not None else deck.defaults.seed + deck.slides.index(slide)


def keyed_panels(slide: Slide) -> list[tuple[str, Panel]]:
    """The panels of a slide by key: its own, or the usual views of a reference sheet; none where it has one picture."""
    panels = slide.panels
    if not panels and slide.layout == "reference_sheet":
        panels = [
            Panel(name=name, prompt=f"{view}, {WHITE}", caption=name.replace("_", " ")) for name, view in VIEWS.items()
        ]
    return [(f"{slide.name}-{panel.name or place}", panel) for place, panel in enumerate(panels, 1)]


def picture_size(deck: DeckSpec, slide: Slide) -> tuple[int, int]:
    """Width and height in pixels: the slide's, the deck's, or 1024 on the longer side in the shape of the page."""
    defaults = deck.defaults
    ratio = 1.0 if slide.layout in SQUARE else RATIOS[deck.theme.aspect]
    width = slide.width or defaults.width
    height = slide.height or defaults.height
    if slide.layout in SQUARE and not (slide.width or slide.height):
        side = min(one for one in (width, height, LONG_SIDE) if one)
        return side, side
    if width is None and height is None:
        return (LONG_SIDE, _stepped(LONG_SIDE / ratio)) if ratio >= 1 else (_stepped(LONG_SIDE * ratio), LONG_SIDE)
    if width is None or height is None:
        return width or _stepped(float(height or LONG_SIDE) * ratio), height or _stepped(
            float(width or LONG_SIDE) / ratio
        )
    return width, height


def _joined(common: str | None, own: str) -> str:
    return f"{common.rstrip(' .,')}, {own}" if common else own


def _stepped(side: float) -> int:
    """A side that nobody asked for, as bases like it."""
    return max(64, round(side / MULTIPLE) * MULTIPLE)
