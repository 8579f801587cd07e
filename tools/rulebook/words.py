"""Captions as words: the trigger found exactly, sentences, lemmas, phrases. Pure, and safe for any text."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
LEADING = " \t\n.,;:!?-–—"
INVISIBLE = {"\u200b", "\u2060", "\ufeff", "\u00ad"}


class Opening(StrEnum):
    """How a caption begins, as far as the trigger is concerned."""

    FIRST = "first"
    GLUED = "glued"
    OTHER_CASE = "other case"
    LATER = "later"
    ABSENT = "absent"


def tidy(text: str) -> str:
    """Text as it is saved: NFC, no invisible or control characters, single spaces, nothing at the ends."""
    shown = "".join(
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", text)
        if char not in INVISIBLE and (char.isspace() or unicodedata.category(char) not in {"Cc", "Cs"})
    )
    return " ".join(unicodedata.normalize("NFC", shown).split())


def _joins(left: str, right: str) -> bool:
    """True when two neighbouring characters belong to one word (a script without spaces never joins)."""
    if unicodedata.category(right).startswith("M"):
        return True
    wide = {unicodedata.east_asian_width(left), unicodedata.east_asian_width(right)} & {"W", "F"}
    return not wide and (left.isalnum() or left == "_") and (right.isalnum() or right == "_")


def trigger_spans(text: str, trigger: str) -> list[tuple[int, int]]:
    """Where the trigger stands as whole words in NFC text, in any case."""
    wanted = re.compile(re.escape(trigger), re.IGNORECASE)
    spans = []
    for match in wanted.finditer(text):
        start, end = match.span()
        whole_start = start == 0 or not _joins(text[start - 1], text[start])
        whole_end = end == len(text) or not _joins(text[end - 1], text[end])
        if whole_start and whole_end:
            spans.append((start, end))
    return spans


@lru_cache(maxsize=20_000)
def opening(caption: str, trigger: str) -> tuple[Opening, int]:
    """How the caption begins, and how often the trigger stands in it (in any case)."""
    text, wanted = unicodedata.normalize("NFC", caption), unicodedata.normalize("NFC", trigger)
    spans = trigger_spans(text, wanted)
    if not spans:
        return Opening.ABSENT, 0
    start, end = spans[0]
    if start != 0:
        return Opening.LATER, len(spans)
    if text[:end] != wanted:
        return Opening.OTHER_CASE, len(spans)
    glued = end + 1 < len(text) and text[end] in ",.;:" and not text[end + 1].isspace()
    return (Opening.GLUED if glued else Opening.FIRST), len(spans)


@lru_cache(maxsize=20_000)
def body(caption: str, trigger: str | None) -> str:
    """The caption without the trigger, wherever it stood."""
    text = unicodedata.normalize("NFC", caption)
    for start, end in reversed(trigger_spans(text, unicodedata.normalize("NFC", trigger)) if trigger else []):
        text = text[:start] + " " + text[end:]
    text = re.sub(r"\s+([,.;:!?])", r"\1", " ".join(text.split()))
    return text.lstrip(LEADING).rstrip()


@lru_cache(maxsize=20_000)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, lower case; "heavy-lidded" is one."""
    return tuple(word.lower() for word in WORD.findall(text))


@lru_cache(maxsize=50_000)
def lemma(word: str) -> str:
    """The dictionary form of a word: walls -> wall, worn -> wear."""
    import simplemma

    return word if word in FUNCTION_WORDS else str(simplemma.lemmatize(word, lang="en")).lower()


@lru_cache(maxsize=20_000)
def lemmas(text: str) -> tuple[str, ...]:
    """The lemmas of a text, in order."""
    return tuple(lemma(word) for word in words(text))


def content(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Without function words."""
    return tuple(token for token in tokens if token not in FUNCTION_WORDS)


def sentences(text: str) -> list[str]:
    """The sentences of a text; a line break ends one too."""
    return [part for part in SENTENCE_END.split(text.strip()) if part]


def mentions(text: str, vocabulary: frozenset[str]) -> bool:
    """True when a word of the text, as written, as a lemma or without a plural s, is in the vocabulary."""
    spoken = words(text)
    forms = {*spoken, *(word.removesuffix("s") for word in spoken), *lemmas(text)}
    return not vocabulary.isdisjoint(forms)
