"""What a text claims of framing, angle, face, light, pose and place, as classes that may contradict each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from loradeck.tools.rulebook.alternation import Families
from loradeck.tools.rulebook.lexicon import vocabulary
from loradeck.tools.rulebook.named import EXPRESSIONS, STOPS, WORD_OR_STOP, is_felt, qualifies
from loradeck.tools.rulebook.scene import directed, own, unnamed
from loradeck.tools.rulebook.words import content, lemmas

DATA = vocabulary("agrees")
Claims = Mapping[str, str]
"""Class -> the words that claim it."""
Pair = frozenset[str]


def _pairs(lines: list[str]) -> frozenset[Pair]:
    return frozenset(
        frozenset((left, right)) for line in lines for left in line.split() for right in line.split() if left != right
    )


def _clashes(lines: list[str]) -> frozenset[Pair]:
    split = (line.split(":") for line in lines)
    return frozenset(frozenset((left.strip(), right)) for left, rights in split for right in rights.split())


def _patterns(name: str) -> Families:
    return Families.of(DATA[name]["says"])


def _read(patterns: Families, text: str) -> dict[str, str]:
    return {claim: match.group().strip() for claim, match in patterns.first(text).items()}


# --------------------------------------------------------------------------- framing and angle

FRAMING = _patterns("framing")
ANGLE = _patterns("angle")
VERTICAL = frozenset({"low", "high", "level"})


@lru_cache(maxsize=20_000)
def framing(text: str) -> Claims:
    """How much a caption says that shows."""
    return _read(FRAMING, unnamed(text))


@lru_cache(maxsize=20_000)
def angle(text: str) -> Claims:
    """Where a caption says the camera stands; "profile" gives way to "left profile"."""
    said = _read(ANGLE, directed(text))
    sided = {claim.rsplit("_", 1)[0] for claim in said if claim.endswith(("_left", "_right"))}
    return {claim: phrase for claim, phrase in said.items() if claim not in sided}


# --------------------------------------------------------------------------- expression

FAMILIES: dict[str, frozenset[str]] = {
    family: words for family, words in EXPRESSIONS.items() if family != "gesture"
} | {"bored": frozenset(DATA["expression"]["bored"]["words"].split())}
FAMILIES["tired"] -= FAMILIES["bored"]
FAMILIES["neutral"] -= FAMILIES["bored"]
FAMILIES["surprise"] -= {"agape", "gaping", "gapes"}  # jaws of an angry beast gape too
FAMILIES_OF: dict[str, list[str]] = {}
for _family, _words in FAMILIES.items():
    for _word in _words:
        FAMILIES_OF.setdefault(_word, []).append(_family)
SIGNS = _patterns("expression")
DENIED = re.compile(
    r"\b(?:not|never|without|no longer|hardly|nearly|almost|neither|nor|anything but|far from|trying not to|was|were)"
    r"(?: (?:a|an|any|so|much|quite|nearly|at all))* [\w-]+(?: (?:or|and|nor) [\w-]+)?"
)


@lru_cache(maxsize=20_000)
def expression(text: str) -> Claims:
    """What a caption says the figure's face shows; what others show, or is denied, does not count."""
    mine = own(text)
    said = _read(SIGNS, mine)
    spoken = (".", *WORD_OR_STOP.findall(DENIED.sub(" ", mine)), ".")
    for before, word, after in zip(spoken, spoken[1:], spoken[2:], strict=False):
        families = FAMILIES_OF.get(word, ())
        if families and is_felt(before, word, after):
            said |= {family: word for family in families if family not in said}
    return said


@lru_cache(maxsize=2_000)
def expression_value(value: str) -> Claims:
    """What an attribute says the face shows."""
    spoken = WORD_OR_STOP.findall(value)
    named = {family: word for family, known in FAMILIES.items() for word in spoken if word in known}
    return named or _read(SIGNS, value)


# --------------------------------------------------------------------------- light and pose

LIGHT = _patterns("lighting")
POSE = _patterns("pose")
ARMS = _patterns("arms")


@lru_cache(maxsize=20_000)
def lighting(text: str) -> Claims:
    """What a text says of the light."""
    return _read(LIGHT, unnamed(text))


@lru_cache(maxsize=20_000)
def posture(text: str) -> Claims:
    """How a text says that the figure holds itself; a caption says it in its first sentence."""
    return _read(POSE, re.split(r"[.;!?]", own(text.split(". ", 1)[0]), maxsplit=1)[0])


@lru_cache(maxsize=20_000)
def arms(text: str) -> Claims:
    """What a text says of arms and hands."""
    return _read(ARMS, own(text))


# --------------------------------------------------------------------------- places

PLACES: dict[str, frozenset[str]] = {
    kind: frozenset(text.split()) for kind, text in DATA["background"]["places"].items()
}
AT = frozenset(
    [
        "in",
        "on",
        "at",
        "inside",
        "aboard",
        "through",
        "along",
        "across",
        "against",
        "into",
        "under",
        "below",
        "above",
        "beside",
        "by",
        "near",
        "outside",
        "among",
        "amid",
        "within",
        "atop",
        "beneath",
        "behind",
        "between",
        "around",
        "down",
        "up",
        "over",
    ]
)
MOST_BETWEEN = 7
OF_ANY_PLACE = frozenset(DATA["background"]["any"].split())
"""Words of a background that say nothing when a caption has them too: "open ocean", "mouth open"."""
HERE = frozenset({"indoors", "outdoors", "backstage", "underground"})
"""Places that need no preposition."""
JOINED = dict(DATA["background"]["joined"])


KINDS_OF: dict[str, frozenset[str]] = {}
for _kind, _names in PLACES.items():
    for _name in _names:
        KINDS_OF[_name] = KINDS_OF.get(_name, frozenset()) | {_kind}


def _kinds(word: str) -> frozenset[str]:
    """The kinds of places that a word may be, in either number or as the last part of a compound."""
    either = KINDS_OF.get(word, frozenset()) | KINDS_OF.get(word.removesuffix("s"), frozenset())
    return either or KINDS_OF.get(word.rsplit("-", 1)[-1], frozenset())


def _joined(text: str) -> list[str]:
    for phrase, word in JOINED.items():
        text = text.replace(phrase, word)
    return WORD_OR_STOP.findall(text)


@lru_cache(maxsize=20_000)
def place(text: str) -> Claims:
    """Which kinds of places a caption says it is at: those that a preposition leads up to."""
    said: dict[str, str] = {}
    spoken = _joined(unnamed(text))
    for number, word in enumerate(spoken):
        if not _kinds(word):
            continue
        before = spoken[max(0, number - MOST_BETWEEN) : number]
        clause = before[max((index + 1 for index, one in enumerate(before) if one in STOPS), default=0) :]
        modifies = number + 1 < len(spoken) and qualifies(word, spoken[number + 1])
        if not modifies and (word in HERE or not AT.isdisjoint(clause)):
            said |= dict.fromkeys(_kinds(word), word)
    return said


@lru_cache(maxsize=2_000)
def place_value(value: str) -> Claims:
    """Which kinds of places an attribute names."""
    return {kind: word for word in _joined(value) for kind in _kinds(word)}


# --------------------------------------------------------------------------- contradiction


def _places_that_agree() -> frozenset[Pair]:
    """Kinds of places that go together; "indoors" with all but those of outdoors, and the other way round."""
    inside, outside = (frozenset(DATA["background"][side].split()) for side in ("inside", "outside"))
    broad = {frozenset(("indoors", kind)) for kind in PLACES.keys() - outside}
    broad |= {frozenset(("outdoors", kind)) for kind in PLACES.keys() - inside}
    return _pairs(DATA["background"]["agree"]) | broad - {frozenset(("indoors", "outdoors"))}


@dataclass(frozen=True)
class Matter:
    """An attribute that a caption may contradict: how both are read, and which classes of it go together."""

    attribute: str
    said: Callable[[str], Claims]
    known: Callable[[str], Claims]
    pairs: frozenset[Pair]
    never: frozenset[Pair] = frozenset()
    """Classes that contradict each other whatever else is said."""
    pairs_clash: bool = False
    """True when only the pairs contradict each other, False when only they agree."""
    shared_words_agree: bool = False
    """True when a word of the attribute in the caption is agreement enough."""

    def contradiction(self, text: str, value: str) -> str | None:
        """The words of a caption that contradict the attribute's value."""
        if self.shared_words_agree and not (set(content(lemmas(value))) - OF_ANY_PLACE).isdisjoint(lemmas(text)):
            return None
        said, known = self.said(text), self.known(value)
        if not known or not said:
            return None
        apart = next(
            (said[claim] for claim in said if any(frozenset((claim, one)) in self.never for one in known)), None
        )
        if apart or not said.keys().isdisjoint(known):
            return apart
        paired = [claim for claim in said if any(frozenset((claim, one)) in self.pairs for one in known)]
        against = paired if self.pairs_clash else [] if paired else list(said)
        return next((said[claim] for claim in against), None)


def _itself(value: str) -> Claims:
    return {value.replace(" ", "_"): value}


def _angle_of(axis: bool) -> Callable[[str], Claims]:
    return lambda text: {claim: phrase for claim, phrase in angle(text).items() if (claim in VERTICAL) == axis}


def _axis_value(axis: bool) -> Callable[[str], Claims]:
    return lambda value: _itself(value) if (value in VERTICAL) == axis else {}


def _framing_value(value: str) -> Claims:
    return {} if value == "other" else _itself(value)


MATTERS = (
    Matter("framing", framing, _framing_value, _pairs(DATA["framing"]["agree"])),
    Matter("angle", _angle_of(False), _axis_value(False), _pairs(DATA["angle"]["agree"])),
    Matter("angle", _angle_of(True), _axis_value(True), frozenset()),
    Matter("expression", expression, expression_value, _pairs(DATA["expression"]["agree"])),
    Matter(
        "background",
        place,
        place_value,
        _places_that_agree(),
        _pairs(DATA["background"]["never"]),
        shared_words_agree=True,
    ),
    Matter("lighting", lighting, lighting, _clashes(DATA["lighting"]["clash"]), pairs_clash=True),
    Matter("pose", posture, posture, _pairs(DATA["pose"]["agree"])),
    Matter("pose", arms, arms, _pairs(DATA["arms"]["agree"])),
)
