"""Slides that a deck's new wording calls otherwise: their pictures, seeds and settings go with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from loradeck.state.records import VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, Slide
from loradeck.tools.render_deck_visuals.frames import slide_of
from loradeck.tools.render_deck_visuals.wish import DeckStyle


def renamed(before: DeckSpec, deck: DeckSpec) -> dict[str, str]:
    """Old names to new: slides that are gone, and new ones that alone want the very pictures that those wanted."""
    names = [{slide.name for slide in one.slides} for one in (before, deck)]
    gone = [slide for slide in before.slides if slide.name not in names[1]]
    new = [slide for slide in deck.slides if slide.name not in names[0]]
    counts = Counter(_pictures(slide) for slide in gone), Counter(_pictures(slide) for slide in new)
    by_pictures = {_pictures(slide): slide.name for slide in new}
    return {
        slide.name: by_pictures[wanted]
        for slide in gone
        if (wanted := _pictures(slide)) in by_pictures and all(count[wanted] == 1 for count in counts)
    }


def reworded(before: DeckSpec, names: Mapping[str, str]) -> DeckSpec:
    """A deck with its slides called as they are called now."""
    slides = [slide.model_copy(update={"name": names.get(slide.name, slide.name)}) for slide in before.slides]
    return before.model_copy(update={"slides": slides})


def restyled(style: DeckStyle, names: Mapping[str, str]) -> DeckStyle:
    """A style whose settings of single pictures stand under the keys of now."""
    return style.model_copy(update={"slides": {key_of(key, names): own for key, own in style.slides.items()}})


def key_of(key: str, names: Mapping[str, str]) -> str:
    """A frame's key as it is now: `places-harbour` of the slide `places`."""
    old = slide_of(key)
    return names.get(old, old) + key.removeprefix(old)


def move_pictures(store: Store, deck_id: str, names: Mapping[str, str]) -> None:
    """Let the pictures of slides be those of their new names, behind the takes that were there under these before."""
    rows = store.where(VisualRecord, "deck_id = ?", [deck_id], order="slide, take")
    for row in rows:
        key = key_of(row.slide, names)
        if key == row.slide:
            continue
        there = [one for one in rows if one.slide == key]
        for one in there:
            store.change(VisualRecord, one.id, picked=False)
        store.change(VisualRecord, row.id, slide=key, take=row.take + max((one.take for one in there), default=0))


def _pictures(slide: Slide) -> Any:
    """What decides a slide's pictures, whatever its name and words are."""
    panels = tuple((panel.name, panel.prompt, panel.seed) for panel in slide.panels)
    return slide.prompt, panels, slide.seed, slide.width, slide.height, slide.layout == "reference_sheet"
