"""What one call of a hosted engine works with: the host, the run's reporter, the watch, and the orders it placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loradeck.engines.base import Purchase, Reporter
from loradeck.engines.errors import EngineError
from loradeck.engines.hosted import purchase
from loradeck.engines.hosted.host import Host
from loradeck.engines.hosted.sending import Sending
from loradeck.engines.hosted.watch import Watch

Sleep = Callable[[float], None]
Now = Callable[[], datetime]


@dataclass(frozen=True)
class Order:
    """One paid request as it is sent; `worst_usd` is the most that it can cost."""

    endpoint: str
    inputs: dict[str, Any]
    worst_usd: float
    destination: str = ""


@dataclass(frozen=True)
class Clocks:
    """Time as an engine has it; tests have their own."""

    sleep: Sleep
    clock: Callable[[], float]
    now: Now


class Counter:
    """Places the orders of one run, each once."""

    def __init__(self, host: Host, reporter: Reporter, clocks: Clocks) -> None:
        self.host, self.reporter, self._now, self.sleep = host, reporter, clocks.now, clocks.sleep
        self.watch = Watch(host, reporter, sleep=clocks.sleep, clock=clocks.clock)
        self.sending = Sending(host, reporter, clocks.now)
        self._met: dict[str, Exception] = {}

    def has(self, key: str) -> bool:
        """Whether something was bought under that key, or may have been: it is gone on with."""
        there = self.reporter.purse.get(key)
        return there is not None and there.state != "void"

    def place(self, key: str, make: Callable[[], Order]) -> Purchase:
        """Buy what `make` gives, or go on with what was bought under that key.

        The order is on the disk before it is sent: after a crash it is looked for by the same inputs. Raises as
        `purchase.buy`, and what `make` raises.
        """
        kept = self.reporter.journal.get(_place(key)) if self.has(key) else None
        if kept is None:
            self.watch.hear()
            order = make()
            self.reporter.journal.put(_place(key), vars(order))
        else:
            order = Order(**kept)
        return purchase.buy(
            self.host,
            self.reporter.purse,
            key,
            order.endpoint,
            order.inputs,
            order.worst_usd,
            order.destination,
            sleep=self.watch.wait,
            now=self._now,
            met=self._met.pop(key, None),
        )

    def send_ahead(self, wanted: Sequence[tuple[str, Callable[[], Order]]]) -> set[str]:
        """Send new orders side by side; gives the keys of those that the host took.

        `place` is then called for each all the same, and goes on with whatever became of it: all waiting, looking and
        telling is done there, one after the other. Raises as `Watch.hear`.
        """
        self.watch.hear()
        ahead: list[purchase.Ahead] = []
        for key, make in wanted:
            if self.has(key) or any(one.key == key for one in ahead):
                continue
            try:
                order = make()
            except EngineError:
                break  # `place` meets it again, and it is told there
            self.reporter.journal.put(_place(key), vars(order))
            ahead.append(purchase.Ahead(key, **vars(order)))
        self._met |= purchase.send_together(self.host, self.reporter.purse, ahead)
        return {one.key for one in ahead if self.has(one.key) and one.key not in self._met}


def _place(key: str) -> str:
    """The journal's key of an order."""
    return f"order/{key}"
