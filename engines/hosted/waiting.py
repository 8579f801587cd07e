"""Waiting for a host without missing that a person said stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from loradeck.engines.base import Reporter

LOOK_SECONDS = 0.5


def waiter(reporter: Reporter, sleep: Callable[[float], None] = time.sleep) -> Callable[[float], None]:
    """A sleep of so many seconds that raises Cancelled (or LeaseLost) half a second after the reporter would."""

    def wait(seconds: float) -> None:
        while seconds > 0:
            reporter.raise_if_cancelled()
            sleep(min(LOOK_SECONDS, seconds))
            seconds -= LOOK_SECONDS
        reporter.raise_if_cancelled()

    return wait
