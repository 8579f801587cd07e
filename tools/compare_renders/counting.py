"""What pictures were accepted, what they cost, and whose picks won: the columns with the picks in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loradeck.state.records import PickRecord
from loradeck.tools.compare_renders.measured import Measured, PictureRow
from loradeck.tools.compare_renders.picks import picked, wins
from loradeck.tools.compare_renders.plan import Plan, Role
from loradeck.tools.contracts import Compared


def counted(plan: Plan, measured: Measured, picks: Sequence[PickRecord]) -> list[Compared]:
    """The columns with what was accepted of them: what was picked, or while nothing was, what has no finding."""
    chosen = picked(plan, picks)
    keys = {(plan.columns[cell.column].label, cell.row, cell.seed) for cell in chosen}
    won = wins(plan, picks)
    columns = []
    for column in measured.variants:
        mine = [row for row in measured.pictures if row.variant == column.variant and row.role == Role.ASKED]
        good = sum((row.variant, row.row, row.seed) in keys if picks else not row.findings for row in mine)
        usd = spent(mine)
        columns.append(
            column.model_copy(
                update={
                    "accepted": good,
                    "usd": each(usd, len(mine)),
                    "usd_accepted": each(usd, good),
                    "wins": won[column.variant],
                }
            )
        )
    return columns


def spent(rows: Sequence[PictureRow]) -> float | None:
    """USD of pictures together; None where one of them is not known."""
    known = [row.usd for row in rows]
    return None if None in known else sum(usd for usd in known if usd is not None)


def each(usd: float | None, pictures: int) -> float | None:
    """USD of one, or None where it is not known or there is none."""
    return None if usd is None or not pictures else round(usd / pictures, 4)


def closer(mine: Mapping[tuple[int, int], float], others: Mapping[tuple[int, int], float]) -> tuple[int, int]:
    """On how many of the pictures that both have (by row and seed) the first is nearer to the look, of those untied."""
    pairs = [(mine[key], others[key]) for key in mine if key in others and mine[key] != others[key]]
    return sum(one > other for one, other in pairs), len(pairs)
