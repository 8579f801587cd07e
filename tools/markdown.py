"""Markdown for cards: words that others wrote stand in it as words, in one line, and none of them acts as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable

MARKS = re.compile(r"[\\`\[\]<>]|^[#*+=~-]")
"""What begins code, a link, a picture or HTML anywhere, and a heading, a list or a rule at the start of a line."""


def plain(words: str) -> str:
    """Words as they are read, in one line."""
    return MARKS.sub(r"\\\g<0>", " ".join(words.split()))


def code(words: str) -> str:
    """Words as a code span, in one line; its fence is longer than any run of backticks in them."""
    line = " ".join(words.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    edge = " " if "`" in line[:1] + line[-1:] else ""
    return f"{fence}{edge}{line}{edge}{fence}"


def listed(lines: Iterable[str]) -> str:
    """A list, one line an entry."""
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)
