"""What a host tells of its endpoints now, asked once in a while: live schemas and prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from loradeck.engines.errors import NotInstalled
from loradeck.engines.hosted import pricing, schema
from loradeck.engines.hosted.counter import Clocks
from loradeck.engines.hosted.host import Host, LivePrice
from loradeck.engines.hosted.table import PriceRow
from loradeck.engines.hosted.wire import Refused, WireError

HOLDS_SECONDS = 600.0
"""How long what a host told is taken to hold."""
QUIET_SECONDS = 60.0
"""So long a host that could not be reached is not asked again: each time takes the length of several tries."""
Told = TypeVar("Told")


class Knowledge:
    """The live schemas and prices of a host. Without network or key the table holds."""

    def __init__(self, host: Host, clocks: Clocks) -> None:
        self._host, self._clocks = host, clocks
        self._schemas: dict[str, tuple[float, schema.Live | None]] = {}
        self._prices: dict[str, tuple[float, LivePrice | None]] = {}
        self._quiet_until = float("-inf")

    def inputs(self, endpoint: str) -> schema.Live | None:
        """The live schema of an endpoint, or None where it cannot be read."""
        return self._asked(endpoint, self._schemas, self._host.inputs)

    def rate(self, endpoint: str, row: PriceRow, checked: str) -> pricing.Rate:
        """The price in force at an endpoint; `row` and `checked` are the table's."""
        live = self._asked(endpoint, self._prices, self._host.price)
        return pricing.rate(row, checked, live, self._clocks.now().date())

    def _asked(
        self, endpoint: str, kept: dict[str, tuple[float, Told | None]], ask: Callable[[str], Told | None]
    ) -> Told | None:
        now = self._clocks.clock()
        if endpoint not in kept or now - kept[endpoint][0] > HOLDS_SECONDS:
            if now < self._quiet_until:
                return None
            try:
                kept[endpoint] = now, ask(endpoint)
            except (Refused, NotInstalled):
                kept[endpoint] = now, None
            except WireError:
                self._quiet_until = now + QUIET_SECONDS
                return None
        return kept[endpoint][1]
