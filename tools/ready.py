"""Engines that are ready for what a call wants done."""

from __future__ import annotations

from collections.abc import Set

from loradeck.engines.base import Ability, Engine
from loradeck.engines.choosing import first_ready
from loradeck.engines.errors import NotInstalled
from loradeck.tools.errors import Refused
from loradeck.tools.workbench import Workbench


def drawing_engine(bench: Workbench, name: str, base: str) -> Engine:
    """A ready engine that draws on a base; "auto" is the first. Raises NotInstalled or Refused."""
    engine = bench.engines.choose(base, "draw") if name == "auto" else bench.engines.open(name)
    info = engine.capabilities.base(base)
    if info is None or "draw" not in info.abilities:
        known = ", ".join(one.name for one in engine.capabilities.base_models if "draw" in one.abilities) or "none"
        raise Refused(f"The engine {engine.name} does not draw on {base}; the bases it draws on: {known}.")
    _require_ready(engine)
    return engine


def editing_engine(bench: Workbench, name: str, needed: Set[Ability]) -> Engine:
    """A ready engine with these abilities, which need no base. Raises NotInstalled or Refused.

    "auto" is the first, of those that cost nothing if any.
    """
    if name != "auto":
        engine = bench.engines.open(name)
        if not needed <= engine.capabilities.abilities:
            raise Refused(f"The engine {engine.name} cannot {_listed(needed)} pictures; {INSTEAD}")
        _require_ready(engine)
        return engine
    found, reasons = first_ready(
        bench.engines.names(), bench.engines.open, lambda engine: needed <= engine.capabilities.abilities
    )
    if found is not None:
        return found
    told = f" ({' '.join(reasons)})" if reasons else ""
    raise NotInstalled(f"No engine here is ready to {_listed(needed)} pictures{told}; {INSTEAD}")


INSTEAD = (
    'set up a hosted engine that does, or draw from words with mode="text", which the local engine does for nothing.'
)


def _require_ready(engine: Engine) -> None:
    ready = engine.available()
    if not ready.ready:
        raise Refused(f"The engine {engine.name} is not ready: {ready.why} {ready.fix}")


def _listed(abilities: Set[Ability]) -> str:
    return " and ".join(sorted(abilities))
