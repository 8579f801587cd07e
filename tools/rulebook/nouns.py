"""What a noun stands for: its class, and which things are kinds of which, as `nouns.toml` lists them."""

from __future__ import annotations

from functools import lru_cache

from loradeck.tools.rulebook.lexicon import vocabulary

_DATA = vocabulary("nouns")
CLASSES: dict[str, str] = {word: kind for kind, words in _DATA["classes"].items() for word in words.split()}
"""Noun -> person, animal, food, garment, room, land ..."""
PARENTS: dict[str, list[str]] = {}
for _parent, _children in _DATA["kinds"].items():
    for _child in _children.split():
        PARENTS.setdefault(_child, []).append(_parent)
SAME: dict[str, frozenset[str]] = {
    word: frozenset(row.split()) for row in _DATA["same"]["rows"] for word in row.split()
}
PLACES = frozenset({"room", "building", "way", "area", "structure", "land"})
"""Classes of what a figure may be in or at."""
CARRIERS = frozenset({"vehicle", "furniture"})
"""Classes of what it may be on or aboard."""
HISSING = ("ses", "xes", "zes", "ches", "shes", "oes")
"""Endings that have an "e" in the plural only: churches, but not bares."""


def forms(word: str) -> tuple[str, ...]:
    """A word as written, without the ending of a plural, and the last part of a compound."""
    word = word.removesuffix("'s").removesuffix("’s")
    last = word.rsplit("-", 1)[-1]
    plain = [word, word.removesuffix("s")]
    if word.endswith(HISSING):
        plain.append(word.removesuffix("es"))
    if word.endswith("ies"):
        plain.append(f"{word[:-3]}y")
    return (*dict.fromkeys(plain), last, last.removesuffix("s"))


@lru_cache(maxsize=50_000)
def noun_class(word: str) -> str | None:
    """The class of a noun in either number, None for a word that is no noun or not known."""
    return next((CLASSES[form] for form in forms(word) if form in CLASSES), None)


@lru_cache(maxsize=20_000)
def kinds_of(word: str) -> frozenset[str]:
    """All that a thing is a kind of: a mare is a horse and an animal."""
    found: set[str] = set()
    wanted = list(PARENTS.get(word, ()))
    while wanted:
        parent = wanted.pop()
        if parent not in found:
            found.add(parent)
            wanted += PARENTS.get(parent, ())
    return frozenset(found)


@lru_cache(maxsize=20_000)
def one_thing(one: str, other: str) -> bool:
    """True for two words for one thing, or for a thing and what it is a kind of."""
    return one == other or other in SAME.get(one, ()) or other in kinds_of(one) or one in kinds_of(other)
