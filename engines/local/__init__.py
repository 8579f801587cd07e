"""The local engine: trains and draws on this machine. Importing it loads neither torch nor Pillow."""

from __future__ import annotations

from loradeck.engines.local import full_size
from loradeck.engines.local.bases import shipped
from loradeck.engines.local.engine import LocalEngine


def create() -> LocalEngine:
    """The engine with the shipped base and the full-size ones; the factory of the entry point."""
    return LocalEngine({**shipped(), **full_size.full_size()}, known=full_size.KNOWN)
