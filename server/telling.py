"""Telling a person or a client how far a call is, without saying the same thing over and over."""

from __future__ import annotations

import time

from loradeck.server.opening import Progress

REPEAT_SECONDS = 5.0


def seldom(tell: Progress) -> Progress:
    """The same, told a standing once and again every `REPEAT_SECONDS`: clients take progress as a sign of life."""
    told: tuple[float, float | None, str] | None = None
    again = 0.0

    def tell_seldom(done: float, total: float | None, message: str) -> None:
        nonlocal told, again
        if (done, total, message) != told or time.monotonic() >= again:
            told, again = (done, total, message), time.monotonic() + REPEAT_SECONDS
            tell(done, total, message)

    return tell_seldom
