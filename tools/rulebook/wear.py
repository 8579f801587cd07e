"""What a text says is worn, drawn and in which colours, and whether two texts can speak of the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from loradeck.tools.rulebook import nouns
from loradeck.tools.rulebook.colouring import HUES, NAMES, colours, hues
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, any_of, vocabulary
from loradeck.tools.rulebook.nouns import CLASSES, forms, noun_class
from loradeck.tools.rulebook.scene import own, unnamed
from loradeck.tools.rulebook.words import content, lemma, lemmas, words

DATA = vocabulary("agrees")

# --------------------------------------------------------------------------- wardrobe

SLOTS: dict[str, list[frozenset[str]]] = {
    slot: [frozenset(line.split()) for line in lines]
    for slot, lines in DATA["wardrobe"].items()
    if slot not in ("bare", "sleeves", "materials")
}
BARE = {slot: any_of(phrases) for slot, phrases in DATA["wardrobe"]["bare"].items()}
GARMENT_SLOTS = {garment: slot for slot, lines in SLOTS.items() for line in lines for garment in line}
SLEEVES = {length: any_of(phrases) for length, phrases in DATA["wardrobe"]["sleeves"].items()}
MATERIALS = frozenset(DATA["wardrobe"]["materials"].split())
WORN = re.compile(
    r"\b(?:in|wears|wearing|dressed in|clad in|sports|sporting|has on|with)\s+"
    r"((?:(?!(?:wears|wearing|dressed in|clad in)\b)[\w'-]+\s?,?\s?){1,14})"
)
JOINED = {
    "pea coat": "peacoat",
    "boiler suit": "boiler",
    "trench coat": "trench",
    "bare feet": "barefoot",
    "rain coat": "raincoat",
    "lab coat": "labcoat",
    "life jacket": "lifejacket",
    "life vest": "lifejacket",
    "swimming costume": "swimsuit",
    "bathing suit": "swimsuit",
    "bathing costume": "swimsuit",
    "swimming trunks": "trunks",
    "one-piece swimsuit": "swimsuit",
    "sun dress": "sundress",
    "dressing gown": "dressing-gown",
    "sports coat": "blazer",
    "tank top": "tank",
    "dinner jacket": "tuxedo",
    "full-body suit": "bodysuit",
    "tail coat": "tailcoat",
}
WINTER = frozenset({"parka", "overcoat", "greatcoat", "duffel", "coat", "anorak", "sweater", "jumper"})
SUMMER = frozenset({"bikini", "swimsuit", "trunks", "swimwear", "tank", "singlet", "sundress", "shorts"})
"""What nobody wears with the other, unless it is said to be over it."""
ONE_LAYER = frozenset({"outer", "torso", "whole"})
FURTHEST = 5


@dataclass(frozen=True)
class Garment:
    """A garment, the hues that its adjectives give, and what it is made of."""

    name: str
    hues: frozenset[str]
    materials: frozenset[str]

    def may_be(self, other: Garment) -> bool:
        """False for another colour or another material."""
        told = ((self.hues, other.hues), (self.materials, other.materials))
        return not any(mine and others and mine.isdisjoint(others) for mine, others in told)


def _before(spoken: tuple[str, ...], place: int) -> tuple[str, ...]:
    """The adjectives that lead up to a garment."""
    before = spoken[max(0, place - FURTHEST) : place]
    last = len(before) - 1
    stops = (
        number + 1
        for number, one in enumerate(before)
        if one in FUNCTION_WORDS
        or (one in GARMENT_SLOTS and not (number == last and _same_garment(one, spoken[place])))
    )
    return before[max(stops, default=0) :]


@lru_cache(maxsize=20_000)
def garments(text: str) -> tuple[Garment, ...]:
    """The garments of a text, an attribute's for one."""
    lower = text.lower()
    for phrase, word in JOINED.items():
        lower = lower.replace(phrase, word)
    spoken = words(lower)
    found = []
    for place, word in enumerate(spoken):
        if word in GARMENT_SLOTS and _same_garment(word, *spoken[place + 1 : place + 2]):
            continue  # a duffel coat is one garment
        if name := next((form for form in (word, word.removesuffix("s")) if form in GARMENT_SLOTS), None):
            near = _before(spoken, place)
            shades = frozenset(hue for one in near if one in NAMES or "-" in one for hue in hues(one))
            found.append(Garment(name, shades, MATERIALS.intersection(near)))
    return tuple(found)


def worn(text: str) -> tuple[Garment, ...]:
    """The garments that a caption says the figure wears."""
    return garments(" , ".join(match[1] for match in WORN.finditer(own(text))))


@lru_cache(maxsize=20_000)
def _same_garment(one: str, other: str = "") -> bool:
    return any({one, other} <= line for lines in SLOTS.values() for line in lines)


def wardrobe_contradiction(text: str, value: str) -> str | None:
    """The garment of a caption that cannot be of the outfit: another colour of the same, or another in its place."""
    outfit = garments(value)
    mine = own(text)
    for slot, pattern in BARE.items():
        if (match := pattern.search(mine)) and any(GARMENT_SLOTS[one.name] == slot for one in outfit):
            return match.group()
    for length, pattern in SLEEVES.items():
        other = SLEEVES["long" if length == "short" else "short"]
        if (match := pattern.search(mine)) and other.search(value.lower()) and not pattern.search(value.lower()):
            return match.group()
    dressed = worn(text)
    alike = {one: [other for other in outfit if _same_garment(one.name, other.name)] for one in dressed}
    for garment, others in alike.items():
        if others and not any(garment.may_be(other) for other in others):
            return garment.name
    if any(alike.values()):
        return None
    return next((one.name for one in dressed if any(_excludes(one, other) for other in outfit)), None)


def _excludes(one: Garment, other: Garment) -> bool:
    """True when nobody wears both: in one place, an outfit and a part of one, or outermost in two colours."""
    slots = {GARMENT_SLOTS[one.name], GARMENT_SLOTS[other.name]}
    if len(slots) == 1 or slots <= {"whole", "torso"} or slots <= {"whole", "legs"}:
        return True
    if all(kind.intersection((one.name, other.name)) for kind in (WINTER, SUMMER)):
        return True
    return slots <= ONE_LAYER and bool(one.hues) and bool(other.hues) and one.hues.isdisjoint(other.hues)


# --------------------------------------------------------------------------- subject

KINDS: dict[str, frozenset[str]] = {
    kind: frozenset(text.split()) for kind, text in DATA["subject"].items() if kind not in ("same", "generic")
}
SAME = [frozenset(line.split()) for line in DATA["subject"]["same"]]
GENERIC: dict[str, frozenset[str]] = {
    kind: frozenset(text.split()) for kind, text in DATA["subject"]["generic"].items()
}
THINGS = frozenset(KINDS).union(*KINDS.values(), *SAME)


CONCRETE = frozenset({"animal", "plant", "food", "vehicle", "building", "instrument", "furniture", "artefact"})
"""Classes of things of which one is plainly not another; people have many parts to play."""


def things(text: str) -> list[str]:
    """The things that a text names, each once."""
    spoken = words(text)
    found = []
    for word, after in pairwise((*spoken, "")):
        form = next((one for one in dict.fromkeys((word, lemma(word), *forms(word))) if _is_thing(one)), None)
        if form and not (noun_class(after) in CONCRETE and form not in THINGS):
            found.append(form)
    return list(dict.fromkeys(found))


def _is_thing(word: str) -> bool:
    return word in THINGS or CLASSES.get(word) in CONCRETE


def _widest(thing: str) -> frozenset[str]:
    """The words that any thing of its class may be called by."""
    kind = noun_class(thing) or ("artefact" if thing in KINDS["object"] else "")
    return GENERIC.get(kind, frozenset())


def one_thing(one: str, other: str) -> bool:
    """True for a thing and its kind, or two words for one thing."""
    family = {one, other}
    if one in _widest(other) or other in _widest(one) or nouns.one_thing(one, other):
        return True
    is_kind = other in KINDS.get(one, ()) or one in KINDS.get(other, ())
    people = {kind for kind in ("child", "adult", "worker") for word in family if word in KINDS[kind]}
    return is_kind or any(family <= line for line in SAME) or people == {"adult", "worker"}


def subject_contradiction(text: str, value: str) -> str | None:
    """The thing that a caption names where the subject is another, both well known."""
    told = unnamed(text)
    meant = things(value)
    said = things(told)
    stems = {token[:4] for token in content(lemmas(value))}
    if not meant or not said or any(token[:4] in stems for token in content(lemmas(told))):
        return None
    if any(one == other or one_thing(one, other) for one in said for other in meant):
        return None
    return said[0]


# --------------------------------------------------------------------------- colours

MANY = 3
"""Of so many colours an image may well have one more, where the caption names some of them."""
ANY_HUE = HUES["many"]
UNCOUNTED = frozenset({"white", "black", "grey", "beige"})
"""Hues that an image has beside its listed colours: a white plus sign, a black outline."""


def _shades(value: str) -> list[frozenset[str]]:
    """The hues of each colour that an attribute lists: "cobalt blue, silver" are two."""
    listed = []
    for part in re.split(r",|\band\b|\bwith\b|\bon\b", value):
        of_each = [hues(name) for name in colours(f"in {part.strip()}")]
        if of_each:
            listed.append(frozenset.intersection(*of_each) or of_each[-1])
    return listed


def colours_contradiction(text: str, value: str) -> str | None:
    """The colour of a caption that is none of the image's, while one of the image's goes unsaid."""
    said, shades = colours(text), _shades(value)
    several = {*said, *colours(f"in {value}")}
    if not said or not shades or not ANY_HUE.isdisjoint(several) or any(name.startswith("#") for name in said):
        return None
    strange = [name for name in said if all(hues(name).isdisjoint(shade) for shade in shades)]
    unsaid = [shade for shade in shades if all(hues(name).isdisjoint(shade) for name in said)]
    if len(strange) < len(said):
        strange = [] if len(shades) >= MANY else [name for name in strange if hues(name).isdisjoint(UNCOUNTED)]
    return strange[0] if strange and unsaid else None
