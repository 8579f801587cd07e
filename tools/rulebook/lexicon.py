"""The vocabulary of `vocabulary.toml`, read once: sets of words and compiled patterns for lower-case text."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_DATA = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text(encoding="utf-8"))


def _words(name: str) -> frozenset[str]:
    return frozenset(_DATA["words"][name].split())


def _any_of(alternatives: list[str]) -> re.Pattern[str]:
    """One pattern for whole words or phrases."""
    hues = "|".join(sorted(COLOURS))
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives).replace('COLOUR', hues)})(?!\w)")


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

EXTREME = _any_of(_DATA["patterns"]["extreme"])
VIEW = _any_of(_DATA["patterns"]["view"])
BOILERPLATE = _any_of(_DATA["patterns"]["boilerplate"])
IDENTITY_ALLOWED = _any_of(_DATA["patterns"]["identity_allowed"])
IDENTITY: dict[str, re.Pattern[str]] = {
    family: _any_of(alternatives) for family, alternatives in _DATA["identity"].items()
}
CREATURE_IDENTITY = _any_of(_DATA["creature_identity"]["body"])
PROMPT_WEIGHT = re.compile(r"\([^()]*:\s*\d+(?:\.\d+)?\)")
