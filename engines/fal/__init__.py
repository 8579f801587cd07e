"""The engine that trains and draws at fal. Importing it loads neither httpx nor Pillow."""

from __future__ import annotations

from loradeck.engines.base import Engine


def create() -> Engine:
    """The engine, ready to be asked; nothing is sent, and no key is read."""
    from loradeck.engines.fal.host import FalHost
    from loradeck.engines.fal.table import TABLE
    from loradeck.engines.hosted.engine import HostedEngine

    return HostedEngine(FalHost(), TABLE)
