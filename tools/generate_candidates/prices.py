"""What candidates cost: the engine's estimate pass by pass, for a whole plan or for what a run has left to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loradeck.engines.base import Cost, Engine
from loradeck.engines.errors import BadSpec
from loradeck.tools.errors import BadArgument
from loradeck.tools.generate_candidates.chain import ORDER, WHY, Candidate, Pass
from loradeck.tools.generate_candidates.passes import request_for

NOWHERE = Path("planned")
"""Stands for the folder of a run that there is not yet."""


@dataclass(frozen=True)
class Price:
    """The cost of all, `each` in USD by a candidate's number (None: not known), and a sentence on each pass."""

    cost: Cost
    each: Mapping[int, float | None]
    said: tuple[str, ...]


def priced(
    engine: Engine,
    candidates: Sequence[Candidate],
    parents: Mapping[str, Path],
    base: str,
    side: int,
    wanted: Callable[[Candidate, Pass], bool] | None = None,
) -> Price:
    """Ask the engine for the price of every pass, or of those that are `wanted`; it is the same for each candidate.

    Raises BadArgument where the engine cannot do one.
    """
    each: dict[int, float | None] = {one.number: 0.0 for one in candidates}
    total = Cost(minutes=0.0, usd=0.0, worst_usd=0.0)
    said: list[str] = []
    for step in ORDER:
        group = [one for one in candidates if step in one.passes and (wanted is None or wanted(one, step))]
        if not group:
            continue
        try:
            cost = engine.estimate(request_for(step, group, NOWHERE, parents, base, side))
        except BadSpec as error:
            raise BadArgument(f"{engine.name} cannot do the pass {step}: {error} Nothing was started.") from error
        total = _with(total, cost)
        share = None if cost.usd is None else cost.usd / len(group)
        for one in group:
            each[one.number] = _sum(each[one.number], share)
        at = f" at {share:.3f} USD" if share else ""
        pictures = f"{len(group)} picture{'s' * (len(group) != 1)}{at}"
        said.append(f"{step} {WHY[step]}: {pictures}." + (f" {cost.basis}" if cost.basis else ""))
    return Price(total, each, tuple(said))


def _with(total: Cost, cost: Cost) -> Cost:
    worst = cost.worst_usd if cost.worst_usd is not None else cost.usd
    return replace(
        total,
        minutes=_sum(total.minutes, cost.minutes),
        usd=_sum(total.usd, cost.usd),
        worst_usd=_sum(total.worst_usd, worst),
        price_source="table" if "table" in {total.price_source, cost.price_source} else cost.price_source,
        price_date=min(filter(None, [total.price_date, cost.price_date]), default=""),
    )


def _sum(one: float | None, other: float | None) -> float | None:
    """Unknown where either is."""
    return None if one is None or other is None else round(one + other, 6)
