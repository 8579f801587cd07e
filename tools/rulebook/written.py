"""What a caption quotes from the picture itself: signs, titles, names. Those words are seen, whatever they say."""

from __future__ import annotations

import re
from functools import lru_cache

BLANK = "…"
"""Stands where such words stood: no word, and no end of a clause."""
QUOTED = re.compile(r"(?<!\w)[\"“„«‹‘'](?=\S)[^\"“”„«»‹›\n]{1,80}?[\"”“»›’'](?!\w)")
CAPITALS = re.compile(
    r"(?<![\w-])(?:[A-Z] )?[A-Z]{2,}[A-Z0-9'’&.:,!?-]*(?: (?:[A-Z0-9&'’][A-Z0-9'’&.:,!?-]*(?![a-z])))*"
)
NAME = re.compile(r"(?<=[^\s.!?:;…–—-] )[A-Z][\w'’-]*[a-z]\w*")
MOSTLY = 0.6


@lru_cache(maxsize=5_000)
def own_words(text: str) -> str:
    """A text, lower case, without quotations, words in capitals, and names inside a sentence.

    A text that is in capitals altogether shouts rather than quotes, and keeps them.
    """
    bare = QUOTED.sub(BLANK, text)
    if not shouted(bare):
        bare = NAME.sub(BLANK, CAPITALS.sub(BLANK, bare))
    return bare.replace("’", "'").lower()


def shouted(text: str) -> bool:
    """True when most of its letters are capitals."""
    letters = [char for char in text if char.isalpha()]
    return sum(char.isupper() for char in letters) > MOSTLY * max(1, len(letters))
