"""Mechanical repairs of a refused caption: the trigger put first and once, boilerplate cut. Never loses the trigger."""

from __future__ import annotations

import re

from loradeck.tools.rulebook.lexicon import BOILERPLATE
from loradeck.tools.rulebook.words import body, tidy

GAPS = (
    (re.compile(r"\s+([,.;:!?])"), r"\1"),
    (re.compile(r"([,;:])(?:\s*[,;:])+"), r"\1"),
    (re.compile(r"[,;:]+(\s*[.!?])"), r"\1"),
    (re.compile(r"([.!?])(?:\s*[,;:.])+"), r"\1"),
    (re.compile(r"\s{2,}"), " "),
)
"""What cutting a phrase leaves behind: doubled marks and spaces."""


def mended(caption: str, trigger: str) -> str:
    """The caption with the trigger first and only once, and without style, camera and quality phrases."""
    rest = body(tidy(caption), trigger)
    lower = rest.lower()
    if len(lower) == len(rest):
        rest = _cut(rest, [match.span() for match in BOILERPLATE.finditer(lower)])
    rest = body(rest, trigger)
    return f"{trigger} {rest}" if rest else trigger


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without the spans, its punctuation closed up; unchanged when nothing is cut."""
    if not spans:
        return text
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    for pattern, replacement in GAPS:
        text = pattern.sub(replacement, text)
    return text.strip(" ,;:")
