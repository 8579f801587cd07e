"""Small helpers of the long build stages: one JSON line per report, and a clock for checkpoints."""

from __future__ import annotations

import json
import sys
import time


def say(stage: str, **facts: float | str) -> None:
    """Print one line of JSON about a stage; floats are rounded to five digits."""
    shown = {key: round(value, 5) if isinstance(value, float) else value for key, value in facts.items()}
    sys.stdout.write(json.dumps({"stage": stage, **shown}) + "\n")
    sys.stdout.flush()


class Cadence:
    """Says once every so many seconds that it is time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = time.monotonic()

    def due(self) -> bool:
        """True at most once in the given number of seconds."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
