"""The bases that the engine works on: what is known of each, opened when needed, got from the hub where missing."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping

from loradeck.engines.base import Reporter
from loradeck.engines.errors import BadSpec, NotInstalled
from loradeck.engines.local.bases import Base
from loradeck.engines.local.weights import sources
from loradeck.engines.local.weights.sources import Source

Fetch = Callable[[Source, Callable[[int, int], None]], object]
"""Gets the weights of a source and tells how many bytes of how many are there (see `weights.fetch`)."""


def from_hub(source: Source, tell: Callable[[int, int], None]) -> object:
    """Get weights from the hub; huggingface_hub is imported only here."""
    from loradeck.engines.local.weights.fetch import fetch

    return fetch(source, tell)


class Shelf:
    """Bases by name.

    Args:
        bases: opens each; what it raises says why it cannot be opened.
        known: what suits a base, for plans on a machine that lacks its weights.
        fetch: gets missing weights.
    """

    def __init__(
        self, bases: Mapping[str, Callable[[], Base]], known: Mapping[str, Base] | None = None, fetch: Fetch = from_hub
    ) -> None:
        self._bases, self._known, self._fetch = bases, known or {}, fetch

    @property
    def names(self) -> list[str]:
        """All of them, in the order given."""
        return list(self._bases)

    @property
    def shipped(self) -> list[str]:
        """Those that come with the package."""
        return [name for name in self._bases if name not in self._known]

    def trains(self, name: str) -> bool:
        """Whether a base learns; those that come with the package do, and are not opened to tell."""
        return name not in self._known or self._known[name].trains

    def facts(self, name: str) -> Base:
        """What is known of a base, its weights aside. Raises BadSpec for one that is not here."""
        return self._known[name] if name in self._known else self.open(name)

    def open(self, name: str) -> Base:
        """A base with its weights. Raises BadSpec for one that is not here, NotInstalled without weights."""
        if name in self._bases:
            return self._bases[name]()
        near = difflib.get_close_matches(name, self._bases, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f": it works on {', '.join(self._bases)}."
        raise BadSpec(f"The local engine does not work on the base {name!r}{hint}")

    def missing(self, name: str) -> Source | None:
        """What a training would get from the hub first; None where the weights are here.

        Raises NotInstalled where they are not and cannot be got without the person: a gated repository without a
        token, or a place named in the environment that does not hold them.
        """
        try:
            self.open(name)
        except NotInstalled:
            source = self.facts(name).source
            if source is None or os.environ.get(sources.variable(name)) or (source.gated and not _has_token()):
                raise
            return source
        return None

    def ready(self, name: str, reporter: Reporter) -> Base:
        """The base with its weights, got first where they are missing. Raises NotInstalled and Cancelled."""
        source = self.missing(name)
        if source is not None:
            reporter.event(
                f"Getting {source.title} ({source.gigabytes:.0f} GB) from {source.page} into this machine's cache."
            )

            def tell(got: int, of: int) -> None:
                reporter.raise_if_cancelled()
                reporter.progress(0, 0, f"getting {source.title}: {got / 1e9:.1f} of {of / 1e9:.1f} GB")

            self._fetch(source, tell)
        return self.open(name)


def _has_token() -> bool:
    """A token of the hub is set, or was kept by its login."""
    from huggingface_hub import get_token

    return get_token() is not None
