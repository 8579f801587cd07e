"""The texts of `prompts/` put into words for one picture: expressions by tier, places, identity lock, skin, views."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter

from loradeck import prompts
from loradeck.engines.base import CameraTurn
from loradeck.tools.contracts import Angle, Framing, Intensity, SubjectKind
from loradeck.tools.rulebook.coverage import expression_family
from loradeck.tools.rulebook.facts import BACKS
from loradeck.tools.write_captions.compose import ANGLES, FRAMINGS, FRONTS

DASH = " — "
HEIGHTS = {-30.0: "from below", 0.0: "at eye level"}


@dataclass(frozen=True)
class Expression:
    """An emotion as it is asked for: the anchor word, two or three physical descriptors, and how strong it is."""

    anchor: str
    descriptors: str
    intensity: Intensity

    @property
    def asked(self) -> str:
        """As a prompt says it."""
        return DASH.join(filter(None, [self.anchor, self.descriptors]))

    @property
    def captioned(self) -> str:
        """As a caption says it: what it is called and what it looks like."""
        article = "an" if self.anchor[:1] in "aeiou" else "a"
        parts = [part.strip() for part in self.descriptors.split(",") if part.strip()]
        seen = " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
        return f"with {article} {self.anchor} expression" + (f", {seen}" if seen else "")


@cache
def expressions() -> tuple[Expression, ...]:
    """Every expression of the file, the tiers in its order."""
    found: list[Expression] = []
    tier = Intensity.NEUTRAL
    for line in filter(None, prompts.text("candidates_expressions").splitlines()):
        if line.startswith("# "):
            tier = Intensity(line.removeprefix("# "))
        else:
            anchor, _, descriptors = line.partition(DASH)
            found.append(Expression(anchor, descriptors, tier))
    return tuple(found)


def expression_of(words: str, intensity: str | None = None) -> Expression:
    """What a shot's words mean: an anchor of the file, else one of the same family (whose name may stand for it), else
    the words as they are.
    """
    wanted = words.strip().lower()
    same_tier = [one for one in expressions() if intensity in {None, one.intensity}]
    for pool in (same_tier, expressions()):
        found = next((one for one in pool if one.anchor == wanted), None)
        if found is not None:
            return found
    family = expression_family(wanted)
    alike = next((one for one in same_tier if expression_family(one.anchor) == family), None)
    if alike is not None and " " not in wanted:
        return alike if wanted == family else Expression(wanted, alike.descriptors, alike.intensity)
    anchor, _, descriptors = wanted.partition(DASH)
    return Expression(anchor, descriptors, Intensity(intensity) if intensity else Intensity.MODERATE)


@cache
def environments() -> dict[str, str]:
    """Name of a place -> the place with what is seen of it, in the order in which they rotate."""
    lines = filter(None, prompts.text("candidates_environments").splitlines())
    return {line.partition(DASH)[0]: line.replace(DASH, ": ") for line in lines}


def place(name: str) -> str:
    """A place in a prompt's words: those of the file where it knows the place."""
    return environments().get(name, name)


# --------------------------------------------------------------------------- whole prompts


def restyled(attributes: Mapping[str, str], expression: Expression | None, kind: SubjectKind) -> tuple[str, str]:
    """(the prompt, what of it varies) of the pass that changes place, light, face and clothes, and nothing else."""
    return _around("candidates_restyle", attributes, expression, kind, view="")


def referenced(attributes: Mapping[str, str], expression: Expression | None, kind: SubjectKind) -> tuple[str, str]:
    """(the prompt, what of it varies) of a picture that leans on keystones."""
    return _around("candidates_reference", attributes, expression, kind, view=view(attributes))


def in_words(attributes: Mapping[str, str], expression: Expression | None, look: str, *, figure: bool) -> str:
    """The prompt of a picture that is drawn from words alone; `look` are the set's own words for what it shows."""
    slots = {**attributes, "background": place(attributes.get("background", ""))}
    face = expression.asked if expression is not None else ""
    worn = f"wearing {slots['wardrobe']}" if slots.get("wardrobe") else ""
    scene = [slots["background"], slots.get("lighting", ""), slots.get("pose", "")]
    if figure:
        parts = [look, view(attributes), face, worn, *scene]
        return _sentences([", ".join(filter(None, parts))])
    named = [slots.get("subject", "") or slots.get("category", ""), *scene]
    return _sentences([", ".join(filter(None, named)), look])


def with_look(caption: str, look: str) -> str:
    """A caption's words (without the trigger) with the words of the look behind them."""
    return _sentences([caption, look])


def view(attributes: Mapping[str, str]) -> str:
    """Framing and angle in words."""
    framing, angle = attributes.get("framing", ""), attributes.get("angle", "")
    said = FRAMINGS.get(Framing(framing), "") if framing else ""
    seen = "" if not angle else FRONTS[0] if angle == Angle.FRONT else ANGLES.get(Angle(angle), "")
    return " and ".join(filter(None, [said, seen]))


def camera(turn: CameraTurn) -> str:
    """A turn of the camera in words, for whoever reads the plan."""
    height = HEIGHTS.get(turn.vertical, "from above")
    return f"the camera at {turn.horizontal:g} degrees around, {height} ({turn.vertical:g}), zoom {turn.zoom:g}"


def _around(
    lead: str, attributes: Mapping[str, str], expression: Expression | None, kind: SubjectKind, view: str
) -> tuple[str, str]:
    """The lead, what changes, the identity lock and, for a person who shows a face, the skin."""
    person = kind == SubjectKind.PERSON
    slots = {
        "view": view,
        "background": place(attributes.get("background", "")),
        "lighting": attributes.get("lighting", ""),
        "expression": expression.asked if expression is not None else "",
        "wardrobe": attributes.get("wardrobe", ""),
    }
    changes = _filled(prompts.text("candidates_changes"), slots)
    what = "face" if person and attributes.get("angle") not in BACKS else "subject"
    first = prompts.text(lead).format(what=what, who="person" if person else str(kind))
    lock = prompts.text("candidates_lock_person" if person else "candidates_lock_form")
    skin = [prompts.text("candidates_skin")] if what == "face" else []
    return " ".join([first, changes, lock, *skin]), changes


def _filled(text: str, slots: Mapping[str, str]) -> str:
    """The lines of a text whose slots have all something to say."""
    lines = [line for line in text.splitlines() if all(slots[name] for name in _slots(line))]
    return " ".join(line.format_map(slots) for line in lines)


def _slots(line: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(line) if name]


def _sentences(parts: Sequence[str]) -> str:
    """Parts as sentences, each with one full stop."""
    tidy = (re.sub(r"[\s.,;]+$", "", part.strip()) for part in parts)
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in tidy if part)
