"""A call turned into the deck as it should be: its slides, how they are drawn, and which of them were asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from loradeck.tools.contracts import DeckSpec, LoraUse, RenderArgs, Slide, SlideEdit
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.deck_file import checked
from loradeck.tools.render_deck_visuals.frames import Frame, frames, frames_of, keyed_panels, slide_of
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, Visual, next_seed, visuals_of, worded

STROKES = ("guidance", "steps", "prompt_prefix", "prompt_suffix", "loras")
"""What a call may set for the whole deck, or with `only` for some slides, as references too, which are read first."""


class SlideStyle(BaseModel):
    """Where a frame is drawn unlike its deck (None: as the deck). A pinned one keeps the take that was picked."""

    guidance: float | None = None
    steps: int | None = None
    prompt_prefix: str | None = None
    prompt_suffix: str | None = None
    loras: list[LoraUse] | None = None
    references: list[Leaned] | None = None
    pinned: bool = False


class DeckStyle(BaseModel):
    """How a deck is drawn; `slides` by the key of a frame."""

    engine: str
    base_model: str
    guidance: float | None = None
    steps: int | None = None
    prompt_prefix: str | None = None
    prompt_suffix: str | None = None
    loras: list[LoraUse] = Field(default_factory=list)
    references: list[Leaned] = Field(default_factory=list)
    slides: dict[str, SlideStyle] = Field(default_factory=dict)

    def of(self, key: str) -> SlideStyle:
        """The frame's own style; changing it changes the deck's."""
        return self.slides.setdefault(key, SlideStyle())

    def brush(self, key: str, looks: dict[str, Look]) -> Brush:
        """What a frame is drawn with; `looks` holds every LoRA of the deck by its id."""
        own = self.slides.get(key, SlideStyle())
        uses = own.loras if own.loras is not None else self.loras
        return Brush(
            engine=self.engine,
            base_model=self.base_model,
            looks=tuple(_at(looks[use.lora_id], use.strength) for use in uses),
            guidance=own.guidance if own.guidance is not None else self.guidance,
            steps=own.steps if own.steps is not None else self.steps,
            prefix=(own.prompt_prefix if own.prompt_prefix is not None else self.prompt_prefix) or "",
            suffix=(own.prompt_suffix if own.prompt_suffix is not None else self.prompt_suffix) or "",
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
    """The deck as it should be.

    In keys of frames: `scope` is what the call is about, `asked` what is named in `only` and in no edit, `changed` what
    will differ.

    Copies of its files go to `output_dir`, and `source` is the file it was read from; neither is part of the style, as
    it decides no picture. `references` are the bytes of those that the call brought, for the deck to keep.
    `renamed` are slides that are called otherwise from now on, old names to new.
    """

    deck: DeckSpec
    style: DeckStyle
    scope: list[str]
    asked: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    output_dir: str | None = None
    source: str | None = None
    references: dict[Leaned, bytes] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def wish(args: RenderArgs, deck: DeckSpec, style: DeckStyle, references: dict[Leaned, bytes] | None = None) -> Wish:
    """Apply a call, and the references it brought, to a deck.

    Raises NotFound for slides that the deck has not, BadArgument for edits that break it.
    """
    wanted = Wish(deck, style.model_copy(deep=True), [])
    only = None if args.only is None else [key for name in args.only for key in keys_of(deck, name)]
    edited = [key for edit in args.edits for key in keys_of(deck, edit.slide)]
    for pick in args.pick:
        _single(deck, pick.slide)
        if pick.slide in {*(only or []), *edited}:
            raise BadArgument(
                f"{pick.slide} is to be picked and drawn again in one call; give pick alone, or only and edits alone."
            )
    scope = [frame.key for frame in frames(deck)] if only is None else [*only, *edited]
    wanted.scope = list(dict.fromkeys(scope))
    wanted.asked = set(only or []) - set(edited)
    wanted.references = references or {}
    _restyle(wanted, args, only, None if references is None else list(references))
    for edit in args.edits:
        _edit(wanted, edit)
    for pick in args.pick:
        wanted.style.of(pick.slide).pinned = True
    return wanted


def keys_of(deck: DeckSpec, name: str) -> list[str]:
    """The frames that a name means: those of a slide, or the one of that key. Raises NotFound with those there are."""
    there = frames(deck)
    found = [frame.key for frame in there if name in {frame.slide, frame.key}]
    if not found:
        raise NotFound(_no_slide(name, dict.fromkeys(key for one in there for key in (one.slide, one.key))))
    return found


def visuals(wanted: Wish, looks: dict[str, Look], takes: int, drawn: dict[str, set[str]]) -> list[Visual]:
    """The pictures that the call is about; `drawn` are recipes that are on the disk, by frame.

    A frame named in `only` without any change that was drawn before gets a new seed, since that is what "do it
    again" means; the seed goes into the deck. A pinned frame keeps what a person picked.
    """
    planned: list[Visual] = []
    for key in wanted.scope:
        brush = wanted.style.brush(key, looks)
        there = drawn.get(key, set())
        own = wanted.style.of(key)
        if own.pinned and key not in wanted.asked:
            continue
        own.pinned = False
        visuals = visuals_of(_frame(wanted.deck, key), brush, takes)
        if key in wanted.asked - wanted.changed and all(visual.recipe in there for visual in visuals):
            seed = next_seed(_frame(wanted.deck, key), brush, takes, there)
            wanted.deck = _reworded(wanted.deck, key, {"seed": seed})
            wanted.told.append(f"{key} was drawn like this before, so it got a new seed: {seed}.")
            visuals = visuals_of(_frame(wanted.deck, key), brush, takes)
        planned += visuals
    _tell_triggers(wanted, looks, {one.slide for one in planned if one.recipe not in drawn.get(one.slide, set())})
    return planned


def _restyle(wanted: Wish, args: RenderArgs, only: list[str] | None, references: list[Leaned] | None) -> None:
    """Take over what a call sets: for the frames of `only`, else for the deck and all its frames."""
    given = {name: value for name in STROKES if (value := getattr(args, name, None)) is not None}
    if references is not None:
        given["references"] = references
    if only is not None:
        for key in only:
            _set(wanted, key, given)
        return
    for stroke, value in given.items():
        set_for_all(wanted, stroke, value)


def set_for_all(wanted: Wish, stroke: str, value: Any) -> None:
    """Let the whole deck be drawn so, and each of its frames: what one had of its own ends."""
    if getattr(wanted.style, stroke) == value:
        return
    setattr(wanted.style, stroke, value)
    wanted.changed |= {frame.key for frame in frames(wanted.deck)}
    for own in wanted.style.slides.values():
        setattr(own, stroke, None)
        own.pinned = False


def _set(wanted: Wish, key: str, given: dict[str, Any]) -> None:
    own = wanted.style.of(key)
    for stroke, value in given.items():
        before = getattr(own, stroke)
        if (before if before is not None else getattr(wanted.style, stroke)) != value:
            setattr(own, stroke, value)
            own.pinned = False
            wanted.changed.add(key)


def _edit(wanted: Wish, edit: SlideEdit) -> None:
    """What a call changes of one slide or panel. Raises BadArgument where a panel is given what a slide has."""
    keys = keys_of(wanted.deck, edit.slide)
    before = {key: _frame(wanted.deck, key) for key in keys}
    own = {name: getattr(edit, name) for name in ("prompt", "seed") if getattr(edit, name) is not None}
    whole = {name: getattr(edit, name) for name in ("heading", "body", "layout") if getattr(edit, name) is not None}
    if whole and edit.slide != slide_of(keys[0]):
        whose = f"the slide {slide_of(keys[0])!r}, not to its panel {edit.slide!r}"
        raise BadArgument(f"The {' and the '.join(whole)} belongs to {whose}; name the slide.")
    slide = _slide(wanted.deck, slide_of(keys[0]))
    prompt = str(own.get("prompt", _prompt(slide, edit.slide) or ""))
    if edit.add and edit.add.strip().casefold() not in prompt.casefold():
        own["prompt"] = f"{prompt.rstrip(' .,')}, {edit.add.strip()}".lstrip(" ,")
    changed = _reworded(wanted.deck, edit.slide, own | whole)
    wanted.deck = checked(changed.model_dump(mode="json"), f"The edit of {edit.slide}")
    for key in keys_of(wanted.deck, edit.slide):
        if key not in before or before[key] != _frame(wanted.deck, key):
            wanted.changed.add(key)
            wanted.style.of(key).pinned = False
        if edit.guidance is not None:
            _set(wanted, key, {"guidance": edit.guidance})


def _tell_triggers(wanted: Wish, looks: dict[str, Look], drawn: set[str]) -> None:
    """RND-TRIGGER: say which triggers were put in front, and of how many of the prompts that are drawn now."""
    counts: dict[str, int] = {}
    for key in (one for one in wanted.scope if one in drawn):
        frame = _frame(wanted.deck, key)
        _, missing = worded(frame.prompt, wanted.style.brush(key, looks), frame.settled)
        for trigger in missing:
            counts[trigger] = counts.get(trigger, 0) + 1
    for trigger, count in counts.items():
        wanted.told.append(f"RND-TRIGGER: {trigger!r} was put in front of {count} prompt{'s' * (count != 1)}.")


def _frame(deck: DeckSpec, key: str) -> Frame:
    return next(frame for frame in frames_of(deck, _slide(deck, slide_of(key))) if frame.key == key)


def _single(deck: DeckSpec, name: str) -> None:
    """Raise BadArgument where a name means several pictures, NotFound where it means none."""
    keys = keys_of(deck, name)
    if len(keys) > 1:
        raise BadArgument(f"The slide {name!r} has {len(keys)} pictures; name one of them: {', '.join(keys)}.")


def _slide(deck: DeckSpec, name: str) -> Slide:
    return next(slide for slide in deck.slides if slide.name == name)


def _prompt(slide: Slide, name: str) -> str | None:
    """The prompt of a slide, as drawn where it is so given, or of the panel that a key names."""
    own = {key: panel.prompt for key, panel in keyed_panels(slide)}
    return own.get(name, slide.as_drawn or slide.prompt)


def _reworded(deck: DeckSpec, name: str, news: dict[str, Any]) -> DeckSpec:
    """The deck with a slide, or the panel that a key names, changed."""
    slide = _slide(deck, slide_of(name))
    if name != slide.name:
        panels = [panel.model_copy(update=news if key == name else {}) for key, panel in keyed_panels(slide)]
        news = {"panels": panels}
    elif "prompt" in news:
        news = {"as_drawn": None, **news}
    changed = slide.model_copy(update=news)
    return deck.model_copy(update={"slides": [changed if one.name == slide.name else one for one in deck.slides]})


def _at(look: Look, strength: float) -> Look:
    return Look(**{**look.__dict__, "strength": strength})


def _no_slide(name: str, names: Iterable[str]) -> str:
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"The deck has no slide {name!r}; {hint}Its slides are: {', '.join(names)}."
