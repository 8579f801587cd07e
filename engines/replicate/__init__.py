"""The engine that trains and draws at Replicate. Importing it loads neither httpx nor Pillow."""

from __future__ import annotations

from loradeck.engines.base import Engine


def create() -> Engine:
    """The engine, ready to be asked; nothing is sent, and no key is read."""
    from loradeck.engines.hosted.engine import HostedEngine
    from loradeck.engines.replicate.host import ReplicateHost
    from loradeck.engines.replicate.table import TABLE

    return HostedEngine(ReplicateHost(), TABLE)
