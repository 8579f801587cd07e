"""The cost of several steps together: what is unknown in one of them is unknown of the whole."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.engines.base import Cost


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


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
