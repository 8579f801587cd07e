"""A caption's words, each tagged by what it may say of a look: a letter a word, so that rules read them as patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from loradeck.tools.rulebook.lexicon import vocabulary

LETTERS = {
    "plain": "x",
    "always": "A",
    "quality": "Q",
    "praise": "P",
    "picture": "M",
    "work": "W",
    "style": "S",
    "movement": "R",
    "weak": "s",
    "gear": "G",
    "style_word": "Z",
    "manner": "Y",
    "feature": "F",
    "graphic": "f",
    "colour": "C",
    "lit": "L",
    "maker": "V",
    "article": "a",
    "intro": "i",
    "of": "o",
    "join": "c",
    "glue": "g",
    "tint": "T",
}
"""The letter of each family, the first family that holds a phrase first."""
UNKNOWN = "x"
NUMBER = "n"

WORD = re.compile(r"(?:\d+|f)/\d+(?:\.\d+)?|[^\W_]+(?:['’.][^\W_]+)*")
SEGMENT_END = re.compile(r"[,;:!?()\[\]{}|\n]|\.(?=\s|$)|[—–…]|(?<=\s)-+(?=\s)")
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»")


def _phrases(text: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip()]


FAMILIES: dict[str, list[str]] = {name: _phrases(text) for name, text in vocabulary("constant")["families"].items()}
THINGS = frozenset(FAMILIES["thing"])
LEXICON: dict[str, str] = {phrase: letter for name, letter in reversed(LETTERS.items()) for phrase in FAMILIES[name]}
LONGEST = max(phrase.count(" ") + 1 for phrase in LEXICON)


@dataclass(frozen=True)
class Segment:
    """The words between two marks, their tags, and where they stand in the text."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    tags: str
    opens: bool
    """True for the first of a caption."""
    closes: bool
    """True for the last."""

    def span(self, first: int, after: int) -> tuple[int, int]:
        """Where the words from `first` to before `after` stand."""
        return self.spans[first][0], self.spans[after - 1][1]

    def word(self, place: int) -> str:
        """A word, or nothing outside of the segment."""
        return self.words[place] if 0 <= place < len(self.words) else ""


def without_quotes(text: str) -> str:
    """The text with what it quotes blanked out, as long as before: words on a sign belong to the scene."""
    return QUOTED.sub(lambda match: "·" * len(match[0]), text)


def segments(text: str) -> Iterator[Segment]:
    """The segments of a lower-case text that hold a word, in order."""
    ends = [0, *(mark.end() for mark in SEGMENT_END.finditer(text)), len(text)]
    parts = [found for start, end in pairwise(ends) if (found := list(WORD.finditer(text, start, end)))]
    for place, part in enumerate(parts, 1):
        words = tuple(word[0].replace("’", "'") for word in part)
        spans = tuple(word.span() for word in part)
        yield Segment(words, spans, tags(words), opens=place == 1, closes=place == len(parts))


@lru_cache(maxsize=20_000)
def tags(words: tuple[str, ...]) -> str:
    """A letter for each word; the longest phrase that is known decides."""
    letters = ""
    while len(letters) < len(words):
        letter, taken = _longest(words[len(letters) : len(letters) + LONGEST])
        letters += letter * taken
    return letters


def _longest(words: tuple[str, ...]) -> tuple[str, int]:
    """The letter of the longest known phrase that begins these words, and how many words it takes."""
    for taken in range(len(words), 0, -1):
        for phrase in singulars(" ".join(words[:taken])):
            if phrase in LEXICON:
                return LEXICON[phrase], taken
    return (NUMBER if words[0][0].isdigit() or words[0].startswith("f/") else UNKNOWN), 1


def singulars(phrase: str) -> tuple[str, ...]:
    """A phrase as written, and as it may be listed where it is a plural."""
    return phrase, phrase.removesuffix("s"), phrase.removesuffix("es")


def is_thing(word: str) -> bool:
    """True for a thing that takes a name or a look for itself: a sign, a shirt, a chair."""
    return not THINGS.isdisjoint(singulars(word))
