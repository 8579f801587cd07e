"""What a shot asks for, as attributes: as validate_coverage listed it, or as somebody says it in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from loradeck.tools.contracts import Angle, Attributes, Framing, Shot
from loradeck.tools.errors import BadArgument
from loradeck.tools.generate_candidates.views import TWELVE
from loradeck.tools.generate_candidates.wording import environments, expressions
from loradeck.tools.rulebook.facts import UNKNOWN, SetFacts
from loradeck.tools.validate_coverage.asked import wishes
from loradeck.tools.validate_coverage.deck import attributes_of
from loradeck.tools.validate_coverage.shots import ENVIRONMENTS, LIGHTS, OUTFITS

ALL = "all"
FILLERS = re.compile(r"\b(?:an?|the|view|views|angle|shot|camera|of|from|in|seen|side|expression|face)\b")
FRAMINGS = {
    "close up": Framing.CLOSE_UP, "closeup": Framing.CLOSE_UP, "medium": Framing.MEDIUM, "waist up": Framing.MEDIUM,
    "full body": Framing.FULL_BODY, "full length": Framing.FULL_BODY,
}  # fmt: skip
ANGLES = {
    "three quarter left": Angle.THREE_QUARTER_LEFT, "left three quarter": Angle.THREE_QUARTER_LEFT,
    "three quarter right": Angle.THREE_QUARTER_RIGHT, "right three quarter": Angle.THREE_QUARTER_RIGHT,
    "three quarter": Angle.THREE_QUARTER_RIGHT, "profile left": Angle.PROFILE_LEFT, "left profile": Angle.PROFILE_LEFT,
    "profile right": Angle.PROFILE_RIGHT, "right profile": Angle.PROFILE_RIGHT, "profile": Angle.PROFILE_LEFT,
    "back left": Angle.BACK_LEFT, "back right": Angle.BACK_RIGHT, "back": Angle.BACK, "behind": Angle.BACK,
    "low": Angle.LOW, "below": Angle.LOW, "high": Angle.HIGH, "above": Angle.HIGH, "front": Angle.FRONT,
}  # fmt: skip
"""The short names of views, the longer first; what says more than such names is read as a prompt is."""
LISTED = {"background": {*ENVIRONMENTS, *environments()}, "lighting": set(LIGHTS), "wardrobe": set(OUTFITS)}
Asked = dict[str, str]


def asked(shots: Sequence[Shot | str], facts: SetFacts) -> list[Asked]:
    """The attributes of each shot, in order. Raises BadArgument for a shot that asks for nothing known."""
    found: list[Asked] = []
    for shot in shots:
        if isinstance(shot, str) and shot.strip().lower() == ALL and facts.is_figure:
            found += [{"framing": str(framing), "angle": str(angle)} for framing, angle in TWELVE]
        else:
            found.append(_of_words(shot, facts) if isinstance(shot, str) else _of_list(shot))
    return found


def _of_list(shot: Shot) -> Asked:
    """Attributes as they were listed. Raises BadArgument where one is no such value."""
    given = {name: value for name, value in shot.attributes.items() if value and value != UNKNOWN}
    try:
        Attributes.model_validate(given)
    except ValueError as error:
        raise BadArgument(
            f"The shot {shot.text!r} has attributes that no image has ({', '.join(_named(error))}); take the shots of "
            "validate_coverage's shot_list as they are, or say them in words."
        ) from None
    return given


def _named(error: ValueError) -> Iterable[str]:
    problems: list[dict[str, Any]] = getattr(error, "errors", list)()
    return [str(problem["loc"][0]) for problem in problems]


def _of_words(text: str, facts: SetFacts) -> Asked:
    found: Asked = {}
    rest: list[str] = []
    for part in text.split(","):
        short = _short(part) if facts.is_figure else {}
        found |= short
        rest += [] if short else [part]
    said = wishes(", ".join(rest), facts) if rest else []
    found = {**attributes_of(said, facts), **found}
    if not found and not facts.is_figure and text.strip():
        found = {"subject": text.strip()}
    if not found:
        raise BadArgument(
            f"Nothing in the shot {text!r} is a view, a face, a place, a light or an outfit; say it like 'close-up, "
            "three-quarter left, tired, kitchen, warm lamp light', or 'all' for the twelve views."
        )
    return found


def _short(part: str) -> Asked:
    """What a part says that is a value of the shot list, or names a view or one expression and no more; else empty."""
    plain = " ".join(part.lower().split())
    listed = next((name for name, values in LISTED.items() if plain in values), None)
    if listed is not None:
        return {listed: plain}
    left = " ".join(FILLERS.sub(" ", re.sub("[-_]", " ", plain.replace("3/4", "three quarter"))).split())
    found: Asked = {}
    tables: tuple[tuple[str, dict[str, Any]], ...] = (
        ("framing", FRAMINGS),
        ("angle", ANGLES),
        ("expression", {one.anchor: one.anchor for one in expressions()}),
    )
    for name, table in tables:
        said = next((words for words in table if re.search(rf"\b{words}\b", left)), None)
        if said is not None:
            found[name] = str(table[said])
            left = " ".join(re.sub(rf"\b{said}\b", " ", left).split())
    return {} if left else found
