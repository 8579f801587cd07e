"""The cost of several steps together: what is unknown in one of them is unknown of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from loradeck.engines.base import Cost
from loradeck.tools.contracts import Estimate


def total(costs: Sequence[Cost]) -> Cost:
    """Minutes, USD and worst case added up; the price's date is the oldest, and "live" only where all are."""
    usd = [cost.usd for cost in costs]
    minutes = [cost.minutes for cost in costs]
    worst = [cost.usd if cost.worst_usd is None else cost.worst_usd for cost in costs]
    return Cost(
        minutes=_sum(minutes),
        usd=_sum(usd),
        worst_usd=_sum(worst),
        basis="; ".join(dict.fromkeys(cost.basis for cost in costs if cost.basis)),
        price_source="live" if all(cost.price_source == "live" for cost in costs) else "table",
        price_date=min((cost.price_date for cost in costs if cost.price_date), default=""),
    )


def estimated(cost: Cost) -> Estimate:
    """A cost as callers see it: money to a hundredth of a cent."""
    return Estimate(**asdict(cost) | {"usd": money(cost.usd), "worst_usd": money(cost.worst_usd)})


def money(usd: float | None) -> float | None:
    """An amount without the last bits of a float."""
    return None if usd is None else round(usd, 4)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
