"""What the prompt of a slide asks a set to have seen: views, faces, light, places, clothes, things, one by one.

Words are read as the rules read those of captions; what they do not know is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook import claims, wear
from loradeck.tools.rulebook.coverage import LIT_PROFILES, needed_attributes
from loradeck.tools.rulebook.facts import BACKS, THREE_QUARTERS, KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, VERBS
from loradeck.tools.rulebook.named import FORMS, is_place, names_view
from loradeck.tools.rulebook.scene import unnamed
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import body, content, lemma, lemmas, words

Look = Callable[[str | None, str], bool]
"""True when an attribute's value (None: unknown) or else a caption shows it."""

ANGLES: dict[str, frozenset[Angle]] = {
    "back": BACKS,
    "profile": frozenset({Angle.PROFILE_LEFT, Angle.PROFILE_RIGHT}),
    "three_quarter": THREE_QUARTERS,
    "facing": frozenset({Angle.FRONT}),
    **{str(angle): frozenset({angle}) for angle in Angle if angle not in {Angle.BACK, Angle.UNKNOWN}},
}
"""The angles that serve each class of claim, the plainest demand first; an eye-level view is any."""
FRAMINGS: dict[str, frozenset[Framing]] = {
    "close_up": frozenset({Framing.CLOSE_UP}),
    "chest": frozenset({Framing.CLOSE_UP, Framing.MEDIUM}),
    "medium": frozenset({Framing.MEDIUM}),
    "long": frozenset({Framing.FULL_BODY}),
    "full_body": frozenset({Framing.FULL_BODY}),
}
NAMED_VIEWS = {"low": "a view from below", "high": "a view from above", "facing": "a front view"}
HOURS = frozenset(
    ["night", "moon", "dawn", "morning", "noon", "day", "sun", "afternoon", "evening", "dusk", "overcast"]
)
LAMPS = frozenset(
    ["candle", "fire", "lamp", "fluorescent", "neon", "screen", "flash", "spotlight", "window", "backlit"]
)
SIDES = frozenset({"from_left", "from_right"})
AT_HOURS = frozenset(["night", "midnight", "dawn", "dusk", "noon", "sunset", "sunrise", "sundown", "twilight"])
FROM_THERE = re.compile(
    r"\b(?:light|lit|lamp|glow|sun|beams?|shafts?|fall(?:s|ing)|hang(?:s|ing)|drip(?:s|ping)|drift(?:s|ing)|rain(?:s|ing))"
    r"\b[^,;.]* from [^,;.]*"
)
"""Light from above and plaster from the ceiling: where something comes from, and no camera."""
PARTICIPLES = ("ing", "ed", "lit", "drawn")
"""Endings of what a thing does or undergoes, where a preposition follows: "a nave lit by", "a bird drawn on"."""
PHRASE_ENDS = FUNCTION_WORDS - {"a", "an", "the", "one", "all", "some"}


@dataclass(frozen=True)
class Wish:
    """One thing that a prompt asks for: `said` in a sentence, `value` as an attribute of a shot."""

    attribute: str
    said: str
    value: str
    look: Look
    options: frozenset[str] = frozenset()
    """The values that would serve, where the attribute is one of an enum."""

    def met_by(self, image: KeptImage, trigger: str | None) -> bool:
        """True when the image shows it, as its attribute says or, where that is unknown, its caption."""
        return self.look(image.known(self.attribute), body(image.caption or "", trigger))


def wishes(prompt: str, facts: SetFacts) -> list[Wish]:
    """What a slide's prompt asks for, of what matters for the profile. Nothing where it is not English."""
    text = facts.judged_words(body(prompt, facts.trigger))
    if facts.is_figure:
        found = [_angle(text), _framing(text), _expression(text), _light(text), _place(text), _outfit(text)]
        needed = needed_attributes(facts)
        return [wish for wish in found if wish is not None and wish.attribute in needed]
    place = None if facts.profile in BRAND else _place(text)
    thing = _thing(text, known=place)
    light = _light(text) if facts.profile in LIT_PROFILES else None
    return [wish for wish in (thing, place, light) if wish is not None]


# --------------------------------------------------------------------------- view and face


def _angles(text: str) -> list[str]:
    said = claims.angle(FROM_THERE.sub(" ", unnamed(text)))
    return [claim for claim in ANGLES if claim in said]


def _angle(text: str) -> Wish | None:
    said = _angles(text)
    if not said:
        return None
    options = ANGLES[said[0]]
    view = NAMED_VIEWS.get(said[0]) or f"a {_hyphened(said[0])} view"

    def look(value: str | None, caption: str) -> bool:
        if value is not None:
            return value.replace(" ", "_") in options
        return any(ANGLES[claim] <= options for claim in _angles(caption))

    return Wish("angle", view, "", look, frozenset(map(str, options)))


def _hyphened(claim: str) -> str:
    return claim.replace("three_quarter", "three-quarter").replace("full_body", "full-body").replace("_", " ")


def _framing(text: str) -> Wish | None:
    said = claims.framing(text)
    claim = next((claim for claim in FRAMINGS if claim in said), None)
    if claim is None:
        return None
    options = FRAMINGS[claim]

    def look(value: str | None, caption: str) -> bool:
        if value is not None:
            return value.replace(" ", "_") in options
        return any(FRAMINGS[one] <= options for one in claims.framing(caption))

    name = {"close_up": "a close-up", "chest": "a view from the chest up"}.get(claim, f"a {_hyphened(claim)} view")
    return Wish("framing", name, "", look, frozenset(map(str, options)))


def _expression(text: str) -> Wish | None:
    said = claims.expression(text)
    if not said:
        return None
    family = next(iter(said))

    def look(value: str | None, caption: str) -> bool:
        shown = claims.expression_value(value) if value is not None else claims.expression(caption)
        return not shown.keys().isdisjoint(said)

    return Wish("expression", f"a face that shows {family}", family, look)


# --------------------------------------------------------------------------- light


def _light(text: str) -> Wish | None:
    said = claims.lighting(text)
    hour, lamp = said.keys() & HOURS, said.keys() & LAMPS
    rest = said.keys() - HOURS - LAMPS - (SIDES if hour or lamp else frozenset())
    if not (hour or lamp or rest):
        return None
    at, by = _worded(text, said, hour), _worded(text, said, lamp | rest)

    def look(value: str | None, caption: str) -> bool:
        shown = claims.lighting(value if value is not None else caption).keys()
        groups = [group for group in (hour, lamp) if group] or [rest]
        return all(not shown.isdisjoint(group) for group in groups)

    hours = at if at in AT_HOURS or (hour == {"overcast"} and at != "overcast") else _lit(at)
    parts = [part for part in (hours if at else "", _lit(by) if by else "") if part]
    said_so = " ".join(f"{'at' if part in AT_HOURS else 'in'} {part}" for part in parts)
    return Wish("lighting", said_so, ", ".join(parts), look)


def _worded(text: str, said: claims.Claims, group: Iterable[str]) -> str:
    """The words that claim a group of classes, each once, in their order in the text."""
    phrases = {said[claim] for claim in group}
    whole = [one for one in phrases if not any(one != other and one in other for other in phrases)]
    return " ".join(sorted(whole, key=unnamed(text).find))


def _lit(phrase: str) -> str:
    """A light in words: "warm lamp light", "daylight"."""
    if phrase.endswith(("light", "lit")) or "light" in phrase.split():
        return phrase
    return f"{phrase.removesuffix('s')} light"


# --------------------------------------------------------------------------- places, clothes, things


def _place(text: str) -> Wish | None:
    """The first place that is named, with the words of it that stand together: "church nave"."""
    spoken = words(unnamed(text))
    places = [place for place, word in enumerate(spoken) if is_place(word)]
    if not places:
        return None
    end = places[0] + 1
    while end in places:
        end += 1
    value = " ".join(spoken[places[0] : end])
    named, kinds = set(lemmas(value)), claims.place_value(value).keys()

    def look(value: str | None, caption: str) -> bool:
        shown = unnamed(caption) if value is None else value
        return not named.isdisjoint(lemmas(shown)) or not kinds.isdisjoint(claims.place_value(shown))

    return Wish("background", f'the setting "{value}"', value, look)


def _outfit(text: str) -> Wish | None:
    asked = wear.worn(text)
    if not asked:
        return None

    def look(value: str | None, caption: str) -> bool:
        worn = wear.garments(value) if value is not None else wear.worn(caption)
        return all(any(one.name == other.name and one.may_be(other) for other in worn) for one in asked)

    value = ", ".join(" ".join([*sorted(one.hues - {"many"})[:1], one.name]) for one in asked)
    return Wish("wardrobe", f'the outfit "{value}"', value, look)


def _thing(text: str, known: Wish | None) -> Wish | None:
    """What the first words of a prompt name: the last noun of the phrase, and of what it consists."""
    phrase, heads = _opening(text)
    if not heads or names_view(phrase) or (known and any(head in words(known.value) for head in heads)):
        return None
    stems = {lemma(head) for head in heads}
    alike = wear.things(" ".join(heads))

    def look(value: str | None, caption: str) -> bool:
        shown = f"{value or ''} {unnamed(caption)}"
        if not stems.isdisjoint(content(lemmas(shown))):
            return True
        return any(wear.one_thing(mine, other) for mine in alike for other in wear.things(shown))

    return Wish("subject", f'"{phrase}"', phrase, look)


def _opening(text: str) -> tuple[str, list[str]]:
    """The noun phrase that a prompt begins with, and its heads: "rows of velvet seats" has rows and seats."""
    clause = re.split(r"[,;:.!?]", text.lower(), maxsplit=1)[0]
    taken: list[str] = []
    heads: list[str] = []
    spoken = words(clause)
    for word, after in zip(spoken, (*spoken[1:], "of"), strict=True):
        nouns = [one for one in taken if one not in FUNCTION_WORDS]
        states = nouns and word.endswith(PARTICIPLES) and after in FUNCTION_WORDS
        if word == "of" and nouns:
            heads.append(nouns[-1])
        elif word in PHRASE_ENDS or states or not VERBS.isdisjoint({word, lemma(word)}):
            break
        taken.append(word)
    named = [one for one in taken if one not in FUNCTION_WORDS]
    heads += [named[-1]] if named else []
    return " ".join(taken), [head for head in dict.fromkeys(heads) if FORMS.isdisjoint({head, lemma(head)})]
