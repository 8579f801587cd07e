"""Texts that people lay beside pictures, in whatever encoding their editor wrote them."""

from __future__ import annotations

import codecs

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""What a text begins with, and how it is read then; the longer mark of two that begin alike comes first."""


def as_text(content: bytes) -> str:
    """The text of a file: by its byte order mark, else as UTF-8, else as Windows-1252. What fits none is replaced."""
    named = next((encoding for mark, encoding in MARKS if content.startswith(mark)), None)
    if named is not None:
        return content.decode(named, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
