"""From shots to jobs: which passes each candidate takes, from which pictures, in which words. Plain data in and out.

Three passes, each for what it does best:

- `multi_angle` turns the camera around the nearest keystone; nothing else gets the geometry of a view right.
- `restyle` changes place, light and face in one go, its only input what the first pass made: a second reference would
  turn the head back to the front.
- `upscale` enlarges without inventing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from loradeck.engines.base import CameraTurn
from loradeck.tools.contracts import Angle, Attributes, Framing
from loradeck.tools.generate_candidates import wording
from loradeck.tools.generate_candidates.views import View, anchors, nearest, references
from loradeck.tools.generate_candidates.wording import Expression, environments, expression_of
from loradeck.tools.rulebook.facts import BACKS, KeptImage, SetFacts
from loradeck.tools.validate_coverage.shots import LIGHTS, OUTFITS

MOST_REFERENCES, FEWEST_REFERENCES = 3, 2
STAYS = ("background", "lighting", "wardrobe")
"""What a picture keeps of its parent where no pass changes it."""


class Pass(StrEnum):
    """One step of a candidate; the values of those that edit are the names of editors (`EditRequest.model`)."""

    TURN = "multi_angle"
    RESTYLE = "restyle"
    UPSCALE = "upscale"
    LEAN = "edit"
    DRAW = "draw"


ORDER = tuple(Pass)
WHY = {
    Pass.TURN: "turns the camera",
    Pass.RESTYLE: "changes place, light and face",
    Pass.UPSCALE: "enlarges",
    Pass.LEAN: "draws after references",
    Pass.DRAW: "draws from words",
}


@dataclass(frozen=True)
class Candidate:
    """One picture to make. `attributes` are what it will show, `parents` ids of the images that it is made from.

    `varies` is what of the prompt is its own; the rest is the same in all. `shot` is it in words.
    """

    number: int
    shot: str
    passes: tuple[Pass, ...]
    attributes: Mapping[str, Any]
    prompt: str
    varies: str
    seed: int
    parents: tuple[str, ...] = ()
    turn: CameraTurn | None = None
    caption: str = ""
    composed: bool = True
    """False for a caption in the caller's own words."""

    @property
    def said(self) -> str:
        """What each pass is asked for and from what, without what all prompts share."""
        own = {Pass.TURN: wording.camera(self.turn) if self.turn is not None else "", Pass.UPSCALE: ""}
        of = f" of {', '.join(self.parents)}" if self.parents else ""
        said: list[str] = []
        for step in self.passes:
            words = own.get(step, self.varies)
            said.append(f"{step}{'' if said else of}" + (f": {words}" if words else ""))
        return "; ".join(said)

    def to_json(self) -> dict[str, Any]:
        """As a run's specification keeps it."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Candidate:
        """Back from a run's specification."""
        turn = CameraTurn(**data["turn"]) if data["turn"] else None
        passes = tuple(Pass(name) for name in data["passes"])
        return Candidate(**{**data, "turn": turn, "passes": passes, "parents": tuple(data["parents"])})


@dataclass
class Chained:
    """The candidates of a call, and what is to be known of them."""

    candidates: list[Candidate] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cell:
    """One picture before its prompt is written: a view with one face, and what else was asked."""

    asked: Mapping[str, str]
    view: View
    face: Expression | None

    def attributes(self) -> dict[str, Any]:
        """Framing, angle, face and what was asked."""
        found: dict[str, Any] = {**self.asked, "framing": str(self.view.framing), "angle": str(self.view.angle)}
        for name in ("expression", "intensity"):
            found.pop(name, None)
        if self.face is not None:
            found |= {"expression": self.face.anchor, "intensity": str(self.face.intensity)}
        return found


# --------------------------------------------------------------------------- which pictures


def cells(asked: Sequence[Mapping[str, str]], facts: SetFacts) -> tuple[list[Cell], list[str]]:
    """A cell a picture: a shot that names no face is made with every face that its view is worth."""
    found: list[Cell] = []
    turned_away = 0
    for shot in asked:
        framing = Framing(shot["framing"]) if shot.get("framing") else Framing.MEDIUM
        view = View(framing, Angle(shot["angle"]) if shot.get("angle") else Angle.FRONT)
        said = shot.get("expression")
        if view.angle in BACKS:
            turned_away += said is not None
            faces: Sequence[str | None] = (None,)
        elif not facts.emotes:
            faces = (None,)
        else:
            faces = (said,) if said else view.faces
        found += [Cell(shot, view, expression_of(face, shot.get("intensity")) if face else None) for face in faces]
    told = [f"{turned_away} back views are made without an expression: it would turn the head."] if turned_away else []
    return found, told


# --------------------------------------------------------------------------- three passes


def three_passes(asked: Sequence[Mapping[str, str]], facts: SetFacts, seed: int) -> Chained:
    """The chain over the set's keystones; empty where the set has no image of a known angle."""
    made, told = cells(asked, facts)
    pool = anchors(facts.images)
    rotation = Rotation(facts)
    chained = Chained(told=told)
    for number, cell in enumerate(made, 1):
        parent = nearest(cell.view, pool)
        if parent is None:
            return Chained()
        restyled = cell.view.is_restyled(cell.face.anchor if cell.face else None)
        passes = (Pass.TURN, Pass.RESTYLE, Pass.UPSCALE) if restyled else (Pass.TURN, Pass.UPSCALE)
        attributes = rotation.dressed(cell.attributes()) if restyled else _bare(cell.attributes())
        prompt, varies = wording.restyled(attributes, cell.face, facts.subject_kind) if restyled else ("", "")
        shown = {**_inherited(parent), **attributes}
        shot = _in_words(shown)
        chained.candidates.append(
            Candidate(
                number, shot, passes, shown, prompt, varies, seed + number, (parent.id,), cell.view.turn_from(parent)
            )
        )
    kept = sum(Pass.RESTYLE not in one.passes for one in chained.candidates)
    if kept:
        chained.told.append(
            f"{kept} views from the side, below, above or behind take two passes and keep their keystone's "
            "surroundings, light and clothes."
        )
    chained.told += rotation.told()
    return chained


def by_reference(asked: Sequence[Mapping[str, str]], facts: SetFacts, seed: int) -> Chained:
    """The older way: every picture drawn anew after two or three keystones. Empty where the set has fewer."""
    made, told = cells(asked, facts)
    pool = anchors(facts.images)
    rotation = Rotation(facts)
    chained = Chained(told=told)
    for number, cell in enumerate(made, 1):
        leaned_on = references(cell.view, pool, MOST_REFERENCES)
        if len(leaned_on) < FEWEST_REFERENCES:
            return Chained()
        attributes = rotation.dressed(cell.attributes())
        prompt, varies = wording.referenced(attributes, cell.face, facts.subject_kind)
        parents = tuple(image.id for image in leaned_on)
        shot = _in_words(attributes)
        chained.candidates.append(
            Candidate(number, shot, (Pass.LEAN,), attributes, prompt, varies, seed + number, parents)
        )
    chained.told += rotation.told()
    return chained


# --------------------------------------------------------------------------- words alone


def in_words(asked: Sequence[Mapping[str, str]], facts: SetFacts, seed: int) -> Chained:
    """Every picture drawn by the base model from a prompt, with the set's own words for what it shows."""
    if not facts.is_figure:
        plain = [dict(shot) for shot in asked]
        return Chained([_drawn(number, one, None, facts, seed) for number, one in enumerate(plain, 1)])
    made, told = cells(asked, facts)
    rotation = Rotation(facts)
    dressed = [(rotation.dressed(cell.attributes()), cell.face) for cell in made]
    drawn = [_drawn(number, one, face, facts, seed) for number, (one, face) in enumerate(dressed, 1)]
    return Chained(drawn, [*told, *rotation.told()])


def _drawn(
    number: int, attributes: Mapping[str, Any], face: Expression | None, facts: SetFacts, seed: int
) -> Candidate:
    prompt = wording.in_words(attributes, face, facts.subject, figure=facts.is_figure)
    return Candidate(number, _in_words(attributes), (Pass.DRAW,), attributes, prompt, prompt, seed + number)


def from_caption(
    number: int, caption: str, words: str, attributes: Mapping[str, Any], look: str, seed: int
) -> Candidate:
    """A picture of the caller's own caption; `words` are the caption's without the trigger."""
    prompt = wording.with_look(words, look)
    shot = f"{attributes['category']}: {words}" if attributes.get("category") else words
    passes = (Pass.DRAW,)
    return Candidate(number, shot, passes, attributes, prompt, prompt, seed + number, caption=caption, composed=False)


# --------------------------------------------------------------------------- what a shot leaves open


class Rotation:
    """Gives shots that name no place or light one each in turn, and outfits that are only numbered their own words."""

    def __init__(self, facts: SetFacts) -> None:
        self._places, self._given = tuple(environments()), 0
        self._outfits = [value for value, _ in facts.values("wardrobe").most_common()]
        self._unknown: dict[str, None] = {}

    def dressed(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """The attributes with nothing left open that the pass changes."""
        found = dict(attributes)
        if not found.get("background"):
            found["background"] = self._places[self._given % len(self._places)]
        if not found.get("lighting"):
            found["lighting"] = LIGHTS[self._given % len(LIGHTS)]
        self._given += 1
        if found.get("wardrobe") in OUTFITS:
            numbered = found.pop("wardrobe")
            if OUTFITS.index(numbered) < len(self._outfits):
                found["wardrobe"] = self._outfits[OUTFITS.index(numbered)]
            elif OUTFITS.index(numbered):
                self._unknown[numbered] = None
        return found

    def told(self) -> list[str]:
        """A sentence on outfits that nothing describes."""
        if not self._unknown:
            return []
        return [
            f"The set does not describe a {' or '.join(self._unknown)}, so the clothes stay as they are; to vary them, "
            "give shots with a wardrobe in words."
        ]


def _bare(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without what two passes cannot change."""
    return {name: value for name, value in attributes.items() if name not in STAYS}


def _inherited(parent: KeptImage) -> dict[str, Any]:
    """What a turned camera leaves as it is, as far as the parent says it."""
    return {name: parent.attributes[name] for name in STAYS if parent.known(name) is not None}


def _in_words(attributes: Mapping[str, Any]) -> str:
    names = (name for name in Attributes.model_fields if name in attributes and name != "intensity")
    return ", ".join(str(attributes[name]).replace("_", " ") for name in names)


def renumbered(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates numbered from 1, after some were left out."""
    return [replace(one, number=number) for number, one in enumerate(candidates, 1)]
