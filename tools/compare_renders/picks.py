"""Which pictures people and assistants found best, and how sure a win rate is of so few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from loradeck.state.records import PickRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.plan import Cell, Plan
from loradeck.tools.contracts import CompareChoice
from loradeck.tools.errors import BadArgument

Z = 1.959964
"""The standard normal quantile of 97.5%: a two-sided range of 95%."""
VOTERS: dict[Literal["person", "assistant"], str] = {"person": "persons", "assistant": "assistants"}


@dataclass(frozen=True)
class Tally:
    """`wins` of `of` picks."""

    wins: int
    of: int

    @property
    def range(self) -> tuple[float, float]:
        """Between what shares the true win rate lies with 95% confidence."""
        return wilson(self.wins, self.of)

    def __str__(self) -> str:
        low, high = self.range
        share = self.wins / self.of
        return f"{self.wins} of {self.of}, {100 * share:.0f}% ({100 * low:.0f}-{100 * high:.0f}%)"


def wilson(wins: int, of: int) -> tuple[float, float]:
    """The Wilson score interval of a share, 0 to 1, at 95%.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am. Stat. Assoc. 22 (1927):
    unlike the share plus and minus its standard error it holds for few picks and for none won. Raises ValueError for
    no picks.
    """
    if of < 1 or not 0 <= wins <= of:
        raise ValueError("a share is of at least one pick")
    share, z2 = wins / of, Z * Z
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, centre - half), min(1.0, centre + half)


def keep(store: Store, run_id: str, plan: Plan, there: Sequence[Cell], choices: Sequence[CompareChoice]) -> None:
    """Store picks; a later one of the same row by the same voter takes the earlier one's place.

    Raises BadArgument, and stores none, where one names a row, variant, seed or picture that is not there.
    """
    made = [_checked(plan, there, choice) for choice in choices]
    with store.transaction():
        for choice in made:
            values = [run_id, choice.prompt, choice.by]
            same = "run_id = ? and prompt = ? and by = ?"
            if choice.seed is None:
                store.remove(PickRecord, same, values)
            else:
                store.remove(PickRecord, f"{same} and (seed is null or seed = ?)", [*values, choice.seed])
            store.add(PickRecord(run_id, choice.prompt, choice.variant, choice.by, choice.seed))


def picks_of(store: Store, run_id: str) -> list[PickRecord]:
    """The picks of a comparison, oldest first."""
    return store.where(PickRecord, "run_id = ?", [run_id], order="rowid")


def picked(plan: Plan, picks: Sequence[PickRecord]) -> set[Cell]:
    """The pictures that were picked; a pick of a whole row is of each seed's."""
    labels = [column.label for column in plan.columns]
    chosen = {(labels.index(pick.variant), pick.prompt, pick.seed) for pick in picks}
    return {
        cell
        for cell in plan.asked
        if (cell.column, cell.row, cell.seed) in chosen or (cell.column, cell.row, None) in chosen
    }


def tallies(plan: Plan, picks: Sequence[PickRecord], by: str) -> dict[str, Tally]:
    """Wins of each variant among the picks of one kind of voter; empty without any."""
    mine = [pick.variant for pick in picks if pick.by == by]
    return {column.label: Tally(mine.count(column.label), len(mine)) for column in plan.columns} if mine else {}


def wins(plan: Plan, picks: Sequence[PickRecord]) -> dict[str, str]:
    """By variant, its wins as a caller sees them; persons and assistants apart where both picked."""
    found = {name: tallies(plan, picks, by) for by, name in VOTERS.items()}
    voted = {name: tally for name, tally in found.items() if tally}
    return {
        column.label: "; ".join(
            f"{name} {tally[column.label]}" if len(voted) > 1 else str(tally[column.label])
            for name, tally in voted.items()
        )
        for column in plan.columns
    }


def verdicts(plan: Plan, picks: Sequence[PickRecord]) -> list[str]:
    """A sentence for each kind of voter: who leads, and whether the ranges tell a winner at all."""
    told = []
    for by, name in VOTERS.items():
        ranked = sorted(tallies(plan, picks, by).items(), key=lambda one: -one[1].wins)
        if ranked:
            told.append(_verdict(name, ranked))
    return told


def leader(plan: Plan, picks: Sequence[PickRecord]) -> str | None:
    """The variant with the most picks, persons before assistants; None without picks, or where two have as many."""
    for by in VOTERS:
        ranked = sorted(tallies(plan, picks, by).items(), key=lambda one: -one[1].wins)
        if ranked:
            return ranked[0][0] if ranked[0][1].wins > ranked[1][1].wins else None
    return None


def _verdict(name: str, ranked: Sequence[tuple[str, Tally]]) -> str:
    (first, best), (second, next_best) = ranked[:2]
    if best.wins == next_best.wins:
        return f"By the picks of {name} {first!r} and {second!r} stand level with {best} each: no winner can be told."
    lead = f"By the picks of {name} {first!r} leads with {best}, before {second!r} with {next_best}"
    if best.range[0] > next_best.range[1]:
        return f"{lead}; the ranges do not overlap, so it wins."
    return f"{lead}; the ranges overlap, so no winner can be told from {best.of} pick{'s' * (best.of != 1)} yet."


def _checked(plan: Plan, there: Sequence[Cell], choice: CompareChoice) -> CompareChoice:
    """A pick of pictures that are there. Raises BadArgument."""
    if choice.prompt > len(plan.rows):
        raise BadArgument(f"There is no prompt {choice.prompt}; the rows are 1 to {len(plan.rows)}.")
    labels = [column.label for column in plan.columns]
    if choice.variant not in labels:
        raise BadArgument(f"There is no variant {choice.variant!r}; they are {', '.join(map(repr, labels))}.")
    seeds = plan.rows[choice.prompt - 1].seeds
    if choice.seed is not None and choice.seed not in seeds:
        known = ", ".join(map(str, seeds))
        raise BadArgument(f"Prompt {choice.prompt} was not drawn with seed {choice.seed}; its seeds are {known}.")
    seed = seeds[0] if len(seeds) == 1 else choice.seed
    mine = [
        one
        for one in there
        if (one.column, one.row) == (labels.index(choice.variant), choice.prompt) and seed in {None, one.seed}
    ]
    if not mine:
        raise BadArgument(f"{choice.variant!r} has no picture of prompt {choice.prompt} yet; pick among those drawn.")
    return choice.model_copy(update={"seed": seed})
