"""A run's ledger in memory. `crash_on` names what a killed process did last: "intend", "submitted", "settle" ..."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loradeck.engines.base import Purchase
from loradeck.engines.errors import OverBudget


class Killed(BaseException):
    """Stands for a killed process: nothing catches it."""


class MemoryPurse:
    """Keeps purchases as the real ledger does; give it to another reporter, and a crash lies between the two."""

    def __init__(self, limit_usd: float = 1000.0, now: str = "2026-11-28T12:00:00+00:00") -> None:
        self.limit_usd, self.now = limit_usd, now
        self.bought: dict[str, Purchase] = {}
        self.crash_on: str | None = None
        self.others: set[str] = set()
        self.heard: list[str] = []

    def get(self, key: str) -> Purchase | None:
        return self.bought.get(key)

    def all(self) -> list[Purchase]:
        return list(self.bought.values())

    def intend(self, key: str, endpoint: str, worst_usd: float) -> Purchase:
        there = self.bought.get(key)
        if there is not None and there.state != "void":
            return there
        if self.spoken_for() + worst_usd > self.limit_usd + 1e-9:
            raise OverBudget(f"{worst_usd:.2f} USD more would pass the limit of this run; raise max_cost_usd.")
        mark = f"ldk-{key}-{len(self.bought)}-{0 if there is None else int(there.mark[-1]) + 1}"
        return self._write("intend", Purchase(key, mark, "intended", endpoint, worst_usd, self.now))

    def submitted(self, key: str, provider_id: str, handle: dict[str, Any] | None = None) -> Purchase:
        told = {"state": "submitted", "provider_id": provider_id, "handle": handle or {}}
        return self._write("submitted", replace(self.bought[key], **told))

    def unknown(self, key: str, why: str) -> Purchase:
        return self._write("unknown", replace(self.bought[key], state="unknown"))

    def void(self, key: str, why: str) -> Purchase:
        if self.bought[key].provider_id is not None:
            return self.bought[key]
        return self._write("void", replace(self.bought[key], state="void"))

    def settle(self, key: str, usd: float | None) -> Purchase:
        return self._write("settle", replace(self.bought[key], state="settled", usd=usd))

    def held(self, provider_id: str) -> bool:
        return provider_id in self.others | {one.provider_id for one in self.bought.values()}

    def news(self, provider_id: str) -> bool:
        if provider_id not in self.heard:
            return False
        self.heard.remove(provider_id)
        return True

    def spoken_for(self) -> float:
        """USD that are spent or set aside."""
        return sum(one.worst_usd if one.usd is None else one.usd for one in self.bought.values() if one.state != "void")

    def _write(self, what: str, purchase: Purchase) -> Purchase:
        self.bought[purchase.key] = purchase
        if self.crash_on == what:
            self.crash_on = None
            raise Killed(f"killed after {what}")
        return purchase
