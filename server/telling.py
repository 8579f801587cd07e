"""What is told of a call and what is not: how far it is, without repetition, and no addresses in logs."""

from __future__ import annotations

import logging
import time

from loradeck.server.opening import Progress

REPEAT_SECONDS = 5.0
CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "anthropic")
"""Libraries that log each request with its address."""


def hush() -> None:
    """Keep addresses out of logs: those of hosted services carry signatures and the marks of purchases."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


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
