"""Which engine "auto" means: the first ready one that can, and of those one that costs nothing where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loradeck.engines.base import Engine
from loradeck.engines.errors import NotInstalled


def first_ready(
    names: Iterable[str], opened: Callable[[str], Engine], able: Callable[[Engine], bool]
) -> tuple[Engine | None, list[str]]:
    """The engine, or None with a reason from each that could and is not ready."""
    reasons: list[str] = []
    costly: Engine | None = None
    for name in names:
        try:
            engine = opened(name)
        except NotInstalled as error:
            reasons.append(str(error))
            continue
        if not able(engine):
            continue
        ready = engine.available()
        if ready.ready and not engine.capabilities.costs_money:
            return engine, []
        if ready.ready:
            costly = costly or engine
        reasons.append(f"{name} could, but {ready.why} {ready.fix}".strip())
    return costly, reasons
