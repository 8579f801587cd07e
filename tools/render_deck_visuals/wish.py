"""A call turned into the deck as it should be: its slides, how they are drawn, and which of them were asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from loradeck.tools.contracts import DeckSpec, LoraUse, RenderArgs, Slide, SlideEdit
from loradeck.tools.errors import NotFound
from loradeck.tools.render_deck_visuals.deck_file import checked
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, Visual, next_seed, visuals_of, worded

STROKES = ("guidance", "steps", "prompt_prefix", "loras")
"""What a call may set for the whole deck, or with `only` for some slides, as references too, which are read first."""


class SlideStyle(BaseModel):
    """Where a slide is drawn unlike its deck (None: as the deck). A pinned slide keeps the take that was picked."""

    guidance: float | None = None
    steps: int | None = None
    prompt_prefix: str | None = None
    loras: list[LoraUse] | None = None
    references: list[Leaned] | None = None
    pinned: bool = False


class DeckStyle(BaseModel):
    """How a deck is drawn."""

    engine: str
    base_model: str
    guidance: float | None = None
    steps: int | None = None
    prompt_prefix: str | None = None
    loras: list[LoraUse] = Field(default_factory=list)
    references: list[Leaned] = Field(default_factory=list)
    slides: dict[str, SlideStyle] = Field(default_factory=dict)

    def of(self, slide: str) -> SlideStyle:
        """The slide's own style; changing it changes the deck's."""
        return self.slides.setdefault(slide, SlideStyle())

    def brush(self, slide: str, looks: dict[str, Look]) -> Brush:
        """What a slide is drawn with; `looks` holds every LoRA of the deck by its id."""
        own = self.slides.get(slide, SlideStyle())
        uses = own.loras if own.loras is not None else self.loras
        return Brush(
            engine=self.engine,
            base_model=self.base_model,
            looks=tuple(_at(looks[use.lora_id], use.strength) for use in uses),
            guidance=own.guidance if own.guidance is not None else self.guidance,
            steps=own.steps if own.steps is not None else self.steps,
            prefix=(own.prompt_prefix if own.prompt_prefix is not None else self.prompt_prefix) or "",
            references=tuple(own.references if own.references is not None else self.references),
        )

    def lora_ids(self) -> list[str]:
        """Every LoRA that the deck or one of its slides uses."""
        uses = [*self.loras, *(use for own in self.slides.values() for use in own.loras or [])]
        return list(dict.fromkeys(use.lora_id for use in uses))

    def leanings(self) -> list[list[Leaned]]:
        """The references of the deck, and of each slide that has its own."""
        return [self.references, *(own.references for own in self.slides.values() if own.references is not None)]


@dataclass
class Wish:
    """The deck as it should be. `asked` are slides named in `only` and no edit, `changed` those that will differ.

    Copies of its files go to `output_dir`, which is no part of the style: it decides no picture. `references` are the
    bytes of those that the call brought, for the deck to keep.
    """

    deck: DeckSpec
    style: DeckStyle
    scope: list[str]
    asked: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    output_dir: str | None = None
    references: dict[Leaned, bytes] = field(default_factory=dict)


def wish(args: RenderArgs, deck: DeckSpec, style: DeckStyle, references: dict[Leaned, bytes] | None = None) -> Wish:
    """Apply a call, and the references it brought, to a deck.

    Raises NotFound for slides that the deck has not, BadArgument for edits that break it.
    """
    names = [slide.name for slide in deck.slides]
    for name in [*(args.only or []), *(edit.slide for edit in args.edits), *(pick.slide for pick in args.pick)]:
        if name not in names:
            raise NotFound(_no_slide(name, names))
    scope = names if args.only is None else [*args.only, *(edit.slide for edit in args.edits)]
    wanted = Wish(deck, style.model_copy(deep=True), list(dict.fromkeys(scope)))
    wanted.asked = set(args.only or []) - {edit.slide for edit in args.edits}
    wanted.references = references or {}
    _restyle(wanted, args, None if references is None else list(references))
    for edit in args.edits:
        _edit(wanted, edit)
    for pick in args.pick:
        wanted.style.of(pick.slide).pinned = True
    return wanted


def visuals(wanted: Wish, looks: dict[str, Look], takes: int, drawn: dict[str, set[str]]) -> list[Visual]:
    """The pictures that the call is about; `drawn` are recipes that are on the disk, by slide.

    A slide named in `only` without any change that was drawn before gets a new seed, since that is what "do it
    again" means; the seed goes into the deck. A pinned slide keeps what a person picked.
    """
    planned: list[Visual] = []
    for name in wanted.scope:
        slide = _slide(wanted.deck, name)
        brush = wanted.style.brush(name, looks)
        there = drawn.get(name, set())
        own = wanted.style.of(name)
        if own.pinned and name not in wanted.asked:
            continue
        own.pinned = False
        visuals = visuals_of(wanted.deck, slide, brush, takes)
        if name in wanted.asked - wanted.changed and all(visual.recipe in there for visual in visuals):
            seed = next_seed(wanted.deck, slide, brush, takes, there)
            _put(wanted, slide.model_copy(update={"seed": seed}))
            wanted.told.append(f"{name} was drawn like this before, so it got a new seed: {seed}.")
            visuals = visuals_of(wanted.deck, _slide(wanted.deck, name), brush, takes)
        planned += visuals
    _tell_triggers(wanted, looks)
    return planned


def _restyle(wanted: Wish, args: RenderArgs, references: list[Leaned] | None) -> None:
    """Take over what a call sets: for the slides of `only`, else for the deck and all its slides."""
    given = {name: getattr(args, name) for name in STROKES if getattr(args, name) is not None}
    if references is not None:
        given["references"] = references
    if args.only is not None:
        for name in args.only:
            _set(wanted, name, given)
        return
    for key, value in given.items():
        if getattr(wanted.style, key) != value:
            setattr(wanted.style, key, value)
            wanted.changed |= {slide.name for slide in wanted.deck.slides}
            for own in wanted.style.slides.values():
                setattr(own, key, None)
                own.pinned = False


def _set(wanted: Wish, slide: str, given: dict[str, Any]) -> None:
    own = wanted.style.of(slide)
    for key, value in given.items():
        before = getattr(own, key)
        if (before if before is not None else getattr(wanted.style, key)) != value:
            setattr(own, key, value)
            own.pinned = False
            wanted.changed.add(slide)


def _edit(wanted: Wish, edit: SlideEdit) -> None:
    slide = _slide(wanted.deck, edit.slide)
    news = {key: getattr(edit, key) for key in ("prompt", "seed", "heading", "body") if getattr(edit, key) is not None}
    prompt = str(news.get("prompt", slide.prompt))
    if edit.add and edit.add.strip().casefold() not in prompt.casefold():
        news["prompt"] = f"{prompt.rstrip(' .,')}, {edit.add.strip()}"
    if any(news.get(key, getattr(slide, key)) != getattr(slide, key) for key in ("prompt", "seed")):
        wanted.changed.add(slide.name)
        wanted.style.of(slide.name).pinned = False
    if edit.guidance is not None:
        _set(wanted, slide.name, {"guidance": edit.guidance})
    _put(wanted, slide.model_copy(update=news))
    wanted.deck = checked(wanted.deck.model_dump(), f"The edit of {slide.name}")


def _tell_triggers(wanted: Wish, looks: dict[str, Look]) -> None:
    """RND-TRIGGER: say which triggers were put in front, and of how many prompts."""
    counts: dict[str, int] = {}
    for name in wanted.scope:
        _, missing = worded(_slide(wanted.deck, name).prompt, wanted.style.brush(name, looks))
        for trigger in missing:
            counts[trigger] = counts.get(trigger, 0) + 1
    for trigger, count in counts.items():
        wanted.told.append(f"RND-TRIGGER: {trigger!r} was put in front of {count} prompt{'s' * (count != 1)}.")


def _slide(deck: DeckSpec, name: str) -> Slide:
    return next(slide for slide in deck.slides if slide.name == name)


def _put(wanted: Wish, slide: Slide) -> None:
    slides = [slide if one.name == slide.name else one for one in wanted.deck.slides]
    wanted.deck = wanted.deck.model_copy(update={"slides": slides})


def _at(look: Look, strength: float) -> Look:
    return Look(**{**look.__dict__, "strength": strength})


def _no_slide(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"The deck has no slide {name!r}; {hint}Its slides are: {', '.join(names)}."
