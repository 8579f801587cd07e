"""What a vision model is told of a set: what to name and what never, how long, which attributes in which words. Pure.

The words are in `prompts/vision_caption.md`; what the profile names and leaves out is the rulebook's own row.
"""

from __future__ import annotations

from typing import Any

from loradeck.prompts import text
from loradeck.tools.contracts import Angle, Framing, Intensity, Profile, SubjectKind
from loradeck.tools.rulebook.facts import UNKNOWN, SetFacts
from loradeck.tools.rulebook.tables import BRAND

CLOSED: dict[str, list[str]] = {
    "framing": [str(one) for one in Framing],
    "angle": [str(one) for one in Angle],
    "intensity": [str(one) for one in Intensity],
}
"""Attributes that have words of their own, and no other."""
MEANINGS = {
    "framing": "how much of the figure shows: close_up (face and shoulders), medium (to the waist), full_body, other",
    "angle": (
        "where the camera stands, seen from the figure: front, three_quarter_left or _right (turned, the nose to the "
        "picture's left or right, both eyes showing), profile_left or _right (the same, one eye showing), back, "
        "back_left or _right (from behind and from the figure's own left or right), low (from below), high (from above)"
    ),
    "expression": 'the look on the face in one to three words ("neutral", "slight smile", "weary")',
    "intensity": "how strong that look is: neutral, moderate, intense",
    "wardrobe": 'what is worn ("grey wool coat, red scarf")',
    "background": 'the place ("hotel corridor", "plain white")',
    "lighting": 'the light ("soft window light", "hard noon sun")',
    "pose": 'what the figure does, where that is distinctive ("leaning on a rail")',
    "subject": 'the thing or figure shown ("copper kettle")',
    "colors": "its colours by plain names, the largest first, four at most",
    "category": "which of the declared categories it belongs to",
}
FIGURE_NAMES = ("framing", "angle", "expression", "intensity", "wardrobe", "background", "lighting", "pose")
LOOK_NAMES = ("subject", "background", "lighting", "pose", "colors")
BRAND_NAMES = ("subject", "colors", "background")
NO_FACE = {SubjectKind.OBJECT: {"expression", "intensity", "wardrobe"}}
"""What is not asked of things that are taught like a character."""


def instructions(facts: SetFacts) -> str:
    """The whole text that goes with each picture of a set."""
    fewest, most = facts.caption_words
    return text("vision_caption").format(
        teaches=facts.row.teaches,
        named=facts.row.always_captioned,
        unnamed=facts.row.never_captioned,
        fewest=fewest,
        most=most,
        trigger=f'"{facts.trigger}"',
        special="".join(f"- {line}\n" for line in _special(facts)),
        attributes="\n".join(f"- {name}: {MEANINGS[name]}." for name in attribute_names(facts)),
    )


def schema(facts: SetFacts) -> dict[str, Any]:
    """The JSON schema of an answer: the caption, and each attribute that matters for the profile."""
    properties: dict[str, Any] = {"caption": {"type": "string"}}
    for name in attribute_names(facts):
        properties[name] = _value(name, facts)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def attribute_names(facts: SetFacts) -> list[str]:
    """The attributes that are asked for: those that the rules of the profile look at."""
    if facts.is_figure:
        left_out = NO_FACE.get(facts.subject_kind, set())
        names = [name for name in FIGURE_NAMES if name not in left_out]
    else:
        names = list(BRAND_NAMES if facts.profile in BRAND else LOOK_NAMES)
        if facts.profile in {Profile.PRODUCT, Profile.PREMIUM}:
            names.append("lighting")
    return [*names, "category"] if facts.categories else names


def again(caption: str, remarks: list[str]) -> str:
    """What is said when a caption was refused: the caption, and the rules' findings on it."""
    found = "\n".join(f"- {remark}" for remark in remarks)
    return (
        f"Your first caption was refused:\n{caption}\n\nWhat is wrong with it:\n{found}\n\nWord it anew so that none "
        "of this holds any more, and give the attributes as they are."
    )


def _value(name: str, facts: SetFacts) -> dict[str, Any]:
    if name in CLOSED:
        return {"type": "string", "enum": CLOSED[name]}
    if name == "category":
        return {"type": "string", "enum": [*facts.categories, UNKNOWN]}
    if name == "colors":
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}


def _special(facts: SetFacts) -> list[str]:
    """What is to know of this very set."""
    said: list[str] = []
    if facts.is_figure:
        who = facts.subject_kind if facts.subject_kind != SubjectKind.PERSON else "person"
        said.append(
            f'The {who} is the trigger word: call it by nothing else, and go on after it in lower case ("stands at the '
            'end of a pier, seen from behind ..."). An expression comes with what it looks like ("weary, with '
            'heavy-lidded eyes"), where the face shows.'
        )
    if facts.subject:
        shared = "All pictures show this, which is therefore never described" if facts.is_figure else "The set is about"
        said.append(f"{shared}: {facts.subject.rstrip('.')}.")
    if facts.profile == Profile.MOTION:
        said.append("Name the motion and the camera's movement too, as far as one picture shows them.")
    if facts.house.forbidden:
        said.append(f"Never write: {', '.join(facts.house.forbidden)}.")
    return said
