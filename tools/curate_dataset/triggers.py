"""Trigger words: one to suggest, and whether one is made up enough."""

from __future__ import annotations

import re

VOWELS = set("aeiou")


def suggested(name: str) -> str:
    """A made-up word from a dataset's name: its consonants and an x ("Fluent icons" gives "flntcx")."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    short = "".join(letter for letter in letters if letter not in VOWELS)[:5]
    return f"{short if len(short) >= 2 else 'lrdk'}x"


def is_ordinary(trigger: str) -> bool:
    """True when every word of the trigger is an English word, so that the base has its own idea of it already."""
    import simplemma  # here, since its dictionary takes a moment to load

    words = re.findall(r"[a-z]+", trigger.lower())
    if re.search(r"[\d_]", trigger) or not words:
        return False
    return all(simplemma.is_known(word, lang="en") for word in words)
