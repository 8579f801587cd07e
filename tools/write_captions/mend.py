"""Mechanical repairs of a refused caption: the trigger put first and once, boilerplate cut. Never loses the trigger."""

from __future__ import annotations

import re

from loradeck.tools.rulebook.constant import boilerplate
from loradeck.tools.rulebook.words import body, tidy

GAPS = (
    (re.compile(r"\s+([,.;:!?])"), r"\1"),
    (re.compile(r"([,;:])(?:\s*[,;:])+"), r"\1"),
    (re.compile(r"[,;:]+(\s*[.!?])"), r"\1"),
    (re.compile(r"([.!?])(?:\s*[,;:.])+"), r"\1"),
    (re.compile(r"\s+[—–-]+(?=[,.;:!?]|$)"), ""),
    (re.compile(r"\s{2,}"), " "),
)
"""What cutting a phrase leaves behind: doubled marks and spaces."""


def mended(caption: str, trigger: str, *, cut_boilerplate: bool) -> str:
    """The caption with the trigger first and only once; where asked, without style, camera and quality phrases."""
    rest = body(tidy(caption), trigger)
    lower = rest.lower()
    if cut_boilerplate and len(lower) == len(rest):
        rest = body(_cut(rest, boilerplate(lower)), trigger)
    if not rest:
        return trigger
    return f"{trigger}. {rest}" if rest[0].isupper() else f"{trigger} {rest}"


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without the spans, its punctuation closed up; unchanged when nothing is cut."""
    if not spans:
        return text
    for start, end in reversed(spans):
        before, rest = text[:start], text[end:].lstrip(" ,;:")
        opens = before.rstrip().endswith((".", "!", "?"))
        text = before + (rest[:1].upper() + rest[1:] if opens else text[end:])
    for pattern, replacement in GAPS:
        text = pattern.sub(replacement, text)
    return text.strip(" ,;:")
