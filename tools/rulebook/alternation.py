"""Long lists of patterns, searched quickly: where a word begins, only those are tried that can begin with its letters.

A regular expression of hundreds of alternatives is tried whole at every word; most words can begin none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

LENGTHS = (3, 1, 0)
"""So many first letters of a word are looked up."""
LONG = 3_000
"""Characters of a pattern from which on this pays (measured with bench/caption_speed.py)."""
LOOKS_AROUND = ("(?=", "(?!", "(?<=", "(?<!")
START = re.compile(r"\w+|(?<!\w)[^\w\s]")
QUANTIFIER = re.compile(r"(?:\{[^}]*\}|[?*+])\??")


class WholeWords:
    """One pattern for any of some alternatives, as whole words or phrases of lower-case text."""

    def __init__(self, alternatives: Iterable[str]) -> None:
        parts = [part for one in alternatives for part in split(one)]
        self.pattern = rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)"
        self._plain = re.compile(self.pattern) if len(self.pattern) < LONG else None
        self._tried = {
            prefix: re.compile(rf"(?:{'|'.join(those)})(?!\w)")
            for prefix, those in ({} if self._plain else by_prefix(parts)).items()
        }

    def search(self, text: str) -> re.Match[str] | None:
        """The first match, if there is one."""
        return next(self.finditer(text), None)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """The matches from left to right, none inside another."""
        if self._plain:
            yield from self._plain.finditer(text)
            return
        end = 0
        for place, prefix in candidates(text, self._tried):
            if place >= end and (match := self._tried[prefix].match(text, place)):
                yield match
                end = max(place + 1, match.end())

    def sub(self, put: str | Callable[[re.Match[str]], str], text: str) -> str:
        """The text with every match replaced."""
        parts, end = [], 0
        for match in self.finditer(text):
            parts += [text[end : match.start()], put if isinstance(put, str) else put(match)]
            end = match.end()
        return "".join([*parts, text[end:]])


@dataclass(frozen=True)
class Families:
    """Several such patterns, each a family with a name, searched at once."""

    tried: Mapping[str, list[tuple[str, re.Pattern[str]]]]

    @classmethod
    def of(cls, families: Mapping[str, list[str]]) -> Families:
        """The families by their names."""
        tried: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        for name, alternatives in families.items():
            parts = [part for one in alternatives for part in split(one)]
            for prefix, those in by_prefix(parts).items():
                tried.setdefault(prefix, []).append((name, re.compile(rf"(?:{'|'.join(those)})(?!\w)")))
        return cls(tried)

    def first(self, text: str) -> dict[str, re.Match[str]]:
        """Family -> its first match."""
        found: dict[str, re.Match[str]] = {}
        for place, prefix in candidates(text, self.tried):
            for name, pattern in self.tried[prefix]:
                if name not in found and (match := pattern.match(text, place)):
                    found[name] = match
        return found


def candidates(text: str, prefixes: Mapping[str, object]) -> list[tuple[int, str]]:
    """Where words begin with one of the prefixes, from left to right."""
    begins = _begins(text)
    return sorted((place, prefix) for prefix in prefixes.keys() & begins.keys() for place in begins[prefix])


@lru_cache(maxsize=2_000)
def _begins(text: str) -> dict[str, list[int]]:
    """First letters -> where words begin with them: "fog" with fog, with f, and with no letter at all."""
    begins: dict[str, list[int]] = {}
    for match in START.finditer(text):
        place = match.start()
        for length in LENGTHS:
            begins.setdefault(text[place : place + length], []).append(place)
    return begins


def by_prefix(alternatives: Iterable[str]) -> dict[str, list[str]]:
    """The alternatives by the letters that they can begin with; by none where that cannot be told."""
    grouped: dict[str, list[str]] = {}
    for alternative in alternatives:
        known = prefixes_of(alternative, LENGTHS[0])
        for prefix in sorted({prefix[: next(one for one in LENGTHS if one <= len(prefix))] for prefix in known}):
            grouped.setdefault(prefix, []).append(alternative)
    return grouped


def prefixes_of(pattern: str, count: int) -> frozenset[str]:
    """The first letters, at most so many, of what an alternative matches; fewer where the rest may be anything."""
    if not pattern or not count:
        return frozenset({""})
    if pattern.startswith(LOOKS_AROUND):
        return prefixes_of(pattern[_group_end(pattern) + 1 :], count)
    if pattern[0] == "(" and (pattern.startswith("(?:") or pattern[1] != "?"):
        end = _group_end(pattern)
        inside = pattern[3 if pattern.startswith("(?:") else 1 : end]
        firsts, rest = split(inside), pattern[end + 1 :]
    elif pattern[0].isalnum() or pattern[0] in " -,'’#":
        firsts, rest = [pattern[0]], pattern[1:]
    elif pattern[0] == "[":
        after = _class_end(pattern, 0) + 1
        if not pattern[1 : after - 1].replace(" ", "").replace("-", "").isalpha() or re.search(
            r"\w-\w", pattern[:after]
        ):
            return frozenset({""})
        firsts, rest = list(pattern[1 : after - 1]), pattern[after:]
    else:
        return frozenset({""})
    quantifier = QUANTIFIER.match(rest)
    behind = rest[quantifier.end() :] if quantifier else rest
    found: set[str] = set()
    for first in firsts:
        if len(first) == 1 and first not in ".^$\\":
            tails = frozenset({""}) if quantifier and quantifier[0][0] in "+*{" else prefixes_of(behind, count - 1)
            found |= {first + tail for tail in tails}
        else:
            found |= {""} if quantifier and quantifier[0][0] in "+*{" else prefixes_of(first + behind, count)
    if quantifier and (quantifier[0][0] in "?*" or quantifier[0].startswith("{0")):
        found |= prefixes_of(behind, count)
    return frozenset(found)


def split(pattern: str) -> list[str]:
    """The alternatives of a pattern, at its outermost level."""
    parts: list[str] = []
    depth = start = place = 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            place += 1
        elif char == "[":
            place = _class_end(pattern, place)
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and not depth:
            parts.append(pattern[start:place])
            start = place + 1
        place += 1
    return [*parts, pattern[start:]]


def _group_end(pattern: str) -> int:
    """Where the group that opens a pattern closes."""
    depth = place = 0
    while True:
        char = pattern[place]
        if char == "\\":
            place += 1
        elif char == "[":
            place = _class_end(pattern, place)
        elif char in "()":
            depth += 1 if char == "(" else -1
            if not depth:
                return place
        place += 1


def _class_end(pattern: str, start: int) -> int:
    """Where a class of characters closes."""
    place = start + 2
    while pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place
