"""What a request costs, by the price that the host tells now or else the table's, and the most that it can come to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import get_args

from loradeck.engines.base import Cost
from loradeck.engines.hosted.host import LivePrice
from loradeck.engines.hosted.table import Per, PriceRow

PIXELS = 1_000_000
"""A megapixel, as hosts count; every begun one is charged."""
UNITS: dict[str, Per] = {
    "images": "image",
    "pictures": "image",
    "megapixels": "megapixel",
    "processed megapixel": "megapixel",
    "processed megapixels": "megapixel",
    "mp": "megapixel",
    "steps": "step",
    "training step": "step",
    "1000 training steps": "1000 steps",
    "1k steps": "1000 steps",
    "seconds": "second",
    "compute seconds": "second",
    "request": "run",
    "requests": "run",
    "training": "run",
    "generation": "run",
}
"""Units in the words of hosts."""


@dataclass(frozen=True)
class Amount:
    """How much of everything that can be charged one request takes."""

    steps: int = 0
    images: int = 1
    pixels: int = 0


@dataclass(frozen=True)
class Rate:
    """A price in force: USD per unit, whether it is "live" or the "table"'s, and its day (ISO 8601)."""

    usd: float
    per: Per
    source: str
    date: str
    row: PriceRow

    def expected(self, amount: Amount) -> float:
        """USD that a request is expected to cost."""
        return max(self.row.least, self.usd * quantity(self.per, amount, self.row.seconds))

    def worst(self, amount: Amount) -> float:
        """USD that it can come to."""
        return self.expected(amount) * self.row.worst


def rate(row: PriceRow, checked: str, live: LivePrice | None, today: date) -> Rate:
    """The price in force. A live one whose unit is not known, or cannot be counted here, leaves the table's."""
    per = None if live is None else per_of(live.unit)
    if live is None or per is None or (per == "second" and not row.seconds):
        return Rate(row.usd, row.per, "table", checked, row)
    return Rate(live.usd, per, "live", today.isoformat(), row)


def per_of(unit: str) -> Per | None:
    """The unit that a host's words name."""
    words = " ".join(unit.lower().replace(",", "").split()).removeprefix("per ")
    known: dict[str, Per] = {name: name for name in get_args(Per)}
    return (known | UNITS).get(words)


def quantity(per: Per, amount: Amount, seconds: float) -> float:
    """How many units a request takes; `seconds` is how long a picture or 1000 steps take."""
    match per:
        case "1000 steps":
            return amount.steps / 1000
        case "step":
            return float(amount.steps)
        case "image":
            return float(amount.images)
        case "megapixel":
            return float(amount.images * math.ceil(amount.pixels / PIXELS))
        case "second":
            return seconds * (amount.steps / 1000 if amount.steps else amount.images)
    return 1.0


def cost(rate: Rate, amounts: Iterable[Amount], minutes: float, endpoint: str) -> Cost:
    """The cost of several requests at one endpoint."""
    several = list(amounts)
    source = "told by the host now" if rate.source == "live" else f"by the table, checked {rate.date or 'never'}"
    return Cost(
        minutes=minutes,
        usd=sum(rate.expected(one) for one in several),
        basis=f"{rate.usd:g} USD per {rate.per} at {endpoint}, {source}.",
        worst_usd=sum(rate.worst(one) for one in several),
        price_source=rate.source,
        price_date=rate.date,
    )
