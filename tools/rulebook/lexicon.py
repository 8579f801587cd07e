"""The words that rules read, from the `.toml` files of this folder: sets of words, and patterns for lower-case text.

`vocabulary.toml` holds what several rules share; a rule with a vocabulary of its own has a file of its own.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from loradeck.tools.rulebook.alternation import WholeWords


def vocabulary(name: str) -> dict[str, Any]:
    """The tables of a file of this folder."""
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


_DATA = vocabulary("vocabulary")


def _words(name: str) -> frozenset[str]:
    return frozenset(_DATA["words"][name].split())


def any_of(alternatives: list[str]) -> WholeWords:
    """One pattern for whole words or phrases."""
    hues = "|".join(sorted(COLOURS))
    return WholeWords([alternative.replace("COLOUR", hues) for alternative in alternatives])


FUNCTION_WORDS = _words("function")
VERBS = _words("verbs")
COLOURS = _words("colours")
PICTURE_WORDS = _words("pictures")
PLACE_WORDS = _words("places")
LIGHT_WORDS = _words("light")
PLAIN_GROUND = _words("plain_grounds")
GENERIC = _words("generic")
EXPRESSION_FAMILIES: dict[str, frozenset[str]] = {
    name: frozenset(text.split()) for name, text in _DATA["expressions"].items()
}
EXPRESSION_WORDS = _words("expression_signs").union(*EXPRESSION_FAMILIES.values())

EXTREME = any_of(_DATA["patterns"]["extreme"])
VIEW = any_of(_DATA["patterns"]["view"])
