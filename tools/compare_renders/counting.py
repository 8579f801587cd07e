"""What pictures were accepted, what they cost, and whose picks won: the columns with the picks in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import fsum

from loradeck.state.records import PickRecord
from loradeck.tools.compare_renders.measured import Measured
from loradeck.tools.compare_renders.picks import wins
from loradeck.tools.compare_renders.plan import Plan, Role
from loradeck.tools.contracts import Compared
from loradeck.tools.spending.sums import money


def counted(plan: Plan, measured: Measured, picks: Sequence[PickRecord]) -> list[Compared]:
    """The columns with what was accepted of them, which is what has no finding, and their wins; nothing is rounded.

    Picks say which is best, not which are good enough, so that they accept nothing.
    """
    won = wins(plan, picks)
    columns = []
    for column in measured.variants:
        mine = [row for row in measured.pictures if row.variant == column.variant and row.role == Role.ASKED]
        good = sum(not row.findings for row in mine)
        paid = None if column.usd is None else column.usd * column.images
        update = {"accepted": good, "usd_accepted": each(paid, good), "wins": won[column.variant]}
        columns.append(column.model_copy(update=update))
    return columns


def shown(column: Compared) -> Compared:
    """A column as callers see it: money to a hundredth of a cent, time to a hundredth of a second."""
    seconds = None if column.seconds is None else round(column.seconds, 2)
    update = {"usd": money(column.usd), "usd_accepted": money(column.usd_accepted), "seconds": seconds}
    return column.model_copy(update=update)


def together(amounts: Sequence[float | None]) -> float | None:
    """Their sum; None where one of them is not known."""
    return None if None in amounts else sum(amount for amount in amounts if amount is not None)


def each(usd: float | None, pictures: int) -> float | None:
    """USD of one, or None where it is not known or there is none."""
    return None if usd is None or not pictures else usd / pictures


def closer(mine: Mapping[tuple[int, int], float], others: Mapping[tuple[int, int], float]) -> tuple[int, int]:
    """On how many prompts the first is nearer to the look, of those untied; by row and seed, over the seeds both have.

    Seeds of one prompt are alike, so that they count as one.
    """
    both = sorted(mine.keys() & others.keys())
    gaps = [
        round(fsum(mine[key] - others[key] for key in keys), 6) for _, keys in groupby(both, key=lambda key: key[0])
    ]
    return sum(gap > 0 for gap in gaps), sum(gap != 0 for gap in gaps)
