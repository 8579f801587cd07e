"""Whether a text is English, by its script, the words that it lives on, and the share of them that English knows."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, vocabulary

STRANGE_ANYWAY = 1
"""Unknown words that any caption may have: a loan, a name, a rarity."""
STRANGE_SHARE = 0.25
"""And this share of its words besides."""
MOST_OTHER_LETTERS = 0.4
"""Share of letters that are not Latin; a sign on a wall stays below it."""
WIDE_LETTER = 3
"""A character of a script without spaces stands for about as much as three Latin letters."""

_WORDS = vocabulary("english")["words"]
SHARED = frozenset(_WORDS["shared"].split())
FOREIGN = frozenset(_WORDS["foreign"].split()) - SHARED

PLAIN_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
QUOTED = re.compile(r"“[^”]*”|«[^»]*»|„[^“”]*[“”]|(?<!\w)[‘'][^‘’'\n]*[’'](?!\w)|\"[^\"]*\"")
CONTRACTION = re.compile(r"['’](?:s|t|d|m|ll|re|ve)$")


def unquoted(text: str) -> str:
    """A text without what stands in quotation marks: signs, labels, titles."""
    return QUOTED.sub(" ", text)


@lru_cache(maxsize=50_000)
def _is_strange(word: str) -> bool:
    """True for a lower-case word that the English dictionary does not know, or that other languages live on."""
    import simplemma

    if word in FOREIGN:
        return True
    stem = CONTRACTION.sub("", word)
    return stem not in FUNCTION_WORDS and not simplemma.is_known(stem, lang="en")


def _is_latin(letter: str) -> bool:
    return letter.isascii() or unicodedata.name(letter, "").startswith("LATIN")


def _in_another_script(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    other = [char for char in letters if not _is_latin(char)]
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in other)
    weight = len(other) + (WIDE_LETTER - 1) * wide
    return weight > MOST_OTHER_LETTERS * (len(letters) - len(other) + weight)


def _telling_words(text: str) -> list[str]:
    """The words that tell the language: no names (capital letters), none that several languages share."""
    spoken: list[str] = PLAIN_WORD.findall(text)
    common = [word for word in spoken if word[0].islower()] or [word.lower() for word in spoken]
    return [word for word in common if word not in SHARED]


@lru_cache(maxsize=20_000)
def is_english(text: str) -> bool:
    """True unless a text, its trigger removed, is plainly in another language: short ones have the benefit of doubt."""
    said = unquoted(unicodedata.normalize("NFC", text))
    if _in_another_script(said):
        return False
    telling = _telling_words(said)
    strange = sum(map(_is_strange, telling))
    return strange <= STRANGE_ANYWAY + STRANGE_SHARE * len(telling)
