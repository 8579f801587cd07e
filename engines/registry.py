"""Which engines there are, and the only place that opens one.

Engines are found in the entry-point group ``loradeck.engines``; each entry is a zero-argument factory that
imports nothing heavy. The local engine is built in and always first, then the two hosts, which cost money.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points

from loradeck.engines import fal, local, replicate
from loradeck.engines.base import Captioner, Engine
from loradeck.engines.choosing import first_ready
from loradeck.engines.errors import NotInstalled

GROUP = "loradeck.engines"
DEFAULT = "local"
Factory = Callable[[], Engine]
CAPTIONERS = ("anthropic", "replicate", "fal")
"""Who describes pictures, in the order in which "auto" asks: one that heeds instructions, then hosts' own."""


def discover() -> dict[str, Factory]:
    """Factories by name: the built-in engines, the local one first, then what packages registered, by name."""
    found: dict[str, Factory] = {DEFAULT: local.create, "fal": fal.create, "replicate": replicate.create}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name not in found:
            found[entry.name] = lambda entry=entry: entry.load()()  # type: ignore[misc]
    return found


def _captioner(name: str) -> Callable[[], Captioner]:
    """The factory of a captioner, whose module is loaded when it is asked."""

    def create() -> Captioner:
        made: Captioner = import_module(f"loradeck.engines.{name}.captioner").create()
        return made

    return create


class Registry:
    """Engines by name, each opened once and only when asked for. Implements `tools.workbench.Engines`."""

    def __init__(
        self,
        factories: Mapping[str, Factory] | None = None,
        captioners: Mapping[str, Callable[[], Captioner]] | None = None,
    ) -> None:
        self._captioners = captioners or {name: _captioner(name) for name in CAPTIONERS}
        self._given = factories
        self._found: Mapping[str, Factory] | None = factories
        self._opened: dict[str, Engine] = {}

    @property
    def _factories(self) -> Mapping[str, Factory]:
        if self._found is None:
            self._found = discover()
        return self._found

    def names(self) -> list[str]:
        """Installed engines, the embedded default first."""
        return list(self._factories)

    def open(self, name: str) -> Engine:
        """The engine of that name. Raises NotInstalled with the known names when there is none."""
        if name not in self._opened:
            self._opened[name] = self._make(name)
        return self._opened[name]

    def _make(self, name: str) -> Engine:
        factory = self._factories.get(name)
        if factory is None:
            near = difflib.get_close_matches(name, self.names(), n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise NotInstalled(f"There is no engine named {name!r}; installed are {', '.join(self.names())}.{hint}")
        try:
            return factory()
        except (ImportError, AttributeError) as error:
            raise NotInstalled(
                f"The engine {name!r} is registered but does not load ({error}); reinstall its package or choose "
                "another engine."
            ) from error

    def choose(self, base_model: str, ability: str) -> Engine:
        """The engine that "auto" means for a base: the first ready one that can, of those that cost nothing if any.

        Raises NotInstalled.
        """

        def able(engine: Engine) -> bool:
            base = engine.capabilities.base(base_model)
            return base is not None and ability in base.abilities

        engine, reasons = first_ready(self.names(), self.open, able)
        if engine is not None:
            return engine
        raise NotInstalled(self._nobody(base_model, ability, reasons))

    def captioner(self, name: str) -> Captioner:
        """Who describes pictures: the one of that name, or for "auto" the first that is ready. Raises NotInstalled."""
        if name != "auto" and name not in self._captioners:
            known = ", ".join(self._captioners)
            raise NotInstalled(f"There is no captioner named {name!r}; there are {known}, and auto.")
        reasons: list[str] = []
        for one in self._captioners if name == "auto" else [name]:
            captioner = self._captioners[one]()
            ready = captioner.available()
            if ready.ready:
                return captioner
            reasons.append(f"{one}: {ready.why} {ready.fix}")
        raise NotInstalled(
            f"Nobody is ready to describe pictures ({'; '.join(reasons)}). Or look with view_images and write the "
            "captions yourself (mode=given)."
        )

    def _nobody(self, base_model: str, ability: str, reasons: list[str]) -> str:
        if reasons:
            return f"No engine is ready to {ability} on {base_model}: {'; '.join(reasons)}"
        bases = [base for name in self.names() for base in self.open(name).capabilities.base_models]
        known = ", ".join(sorted({base.name for base in bases if ability in base.abilities})) or "no base"
        return (
            f"No installed engine can {ability} on {base_model}; what is installed can {ability} on {known}: choose "
            "that as base_model."
        )
