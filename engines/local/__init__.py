"""The local engine: trains and draws on this machine. Importing it loads neither torch nor Pillow."""

from __future__ import annotations

from loradeck.engines.local.bases import shipped
from loradeck.engines.local.engine import LocalEngine


def create() -> LocalEngine:
    """The engine with the bases that this package ships; the factory of the entry point."""
    return LocalEngine(shipped())
