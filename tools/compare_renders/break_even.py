"""After how many pictures a training pays for itself, from the comparison's own numbers. No price is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, log10

from loradeck.state.records import LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.counting import together
from loradeck.tools.compare_renders.plan import Column, Plan
from loradeck.tools.contracts import Compared

A_BOOK = 12
"""Pictures of a book."""


@dataclass(frozen=True)
class Training:
    """What a training took: USD and minutes, None where not known."""

    usd: float | None
    minutes: float | None
    estimated: bool = False


def break_even(store: Store, plan: Plan, columns: Sequence[Compared]) -> list[str]:
    """A sentence for each variant's cost of an accepted picture, and one for each training against what has none."""
    asked = sum(len(row.seeds) for row in plan.rows)
    told = [_cost(one, asked - one.images) for one in columns]
    pairs = list(zip(plan.columns, columns, strict=True))
    others = [(column, one) for column, one in pairs if not column.brush.looks]
    learned = [(column, one) for column, one in pairs if column.brush.looks]
    if learned and not others:
        told.append(
            'What a training saves is not told: compare with a variant without a LoRA too, {"loras": []} or one with '
            "references."
        )
    for column, mine in learned:
        training = training_of(store, column)
        for _, other in others:
            told.append(against(mine, other, training))
    return told


def training_of(store: Store, column: Column) -> Training | None:
    """What the trainings behind a column's LoRAs took together; None where one was not trained here."""
    runs = _trainings(store, column)
    if runs is None:
        return None
    costs = [_usd(run) for run in runs]
    usd, minutes = together([usd for usd, _ in costs]), together([_minutes(run) for run in runs])
    return Training(usd, minutes, estimated=any(guess for _, guess in costs))


def _trainings(store: Store, column: Column) -> list[RunRecord] | None:
    """The runs that made a column's LoRAs and those that they went on with, each once; None where one is not known."""
    found: dict[str, RunRecord] = {}
    left = [look.lora_id for look in column.brush.looks]
    while left:
        lora = store.find(LoraRecord, left.pop())  # one that was deleted since, too
        run = store.find(RunRecord, lora.run_id) if lora is not None and lora.run_id else None
        if lora is None or run is None:
            return None
        if run.id not in found and lora.parent_lora_id is not None:
            left.append(lora.parent_lora_id)
        found[run.id] = run
    return list(found.values())


def _cost(one: Compared, missing: int) -> str:
    less = f"; {missing} {'is' if missing == 1 else 'are'} not there" if missing else ""
    if not one.accepted:
        return f"{one.variant}: none of {one.images} pictures was accepted{less}, so an accepted one has no cost."
    costs = []
    if one.usd_accepted is not None:
        costs.append(f"{_usd_words(one.usd_accepted)} USD" if one.usd_accepted else "nothing")
    if one.seconds is not None:
        costs.append(f"{one.seconds * one.images / one.accepted:.1f} s")
    share = f"{one.accepted} of {one.images} accepted{less}"
    return f"{one.variant}: an accepted picture costs {' and '.join(costs) or 'an amount not known'} ({share})."


def against(mine: Compared, other: Compared, training: Training | None) -> str:
    """Whether and when training pays, against a variant that needs none."""
    pair = f"{mine.variant} against {other.variant}"
    if training is None:
        return f"{pair}: the LoRA or one before it was not trained here, so what its training cost is not known."
    if not mine.accepted:
        return f"{pair}: none of the LoRA's pictures was accepted, so its training does not pay by this comparison."
    if not other.accepted:
        return (
            f"{pair}: none of the pictures without the LoRA was accepted, so they cannot take its place at any price."
        )
    if training.usd is None or mine.usd_accepted is None or other.usd_accepted is None:
        return f"{pair}: a cost is not known, so the break-even is not told."
    if training.usd == 0 and mine.usd_accepted == 0 and other.usd_accepted == 0:
        return _in_time(pair, mine, other, training)
    saved = round(other.usd_accepted - mine.usd_accepted, 9)  # without the last bits of a float
    what = f"training ({training.usd:.2f} USD{' by its estimate' if training.estimated else ''}{_took(training)})"
    if saved <= 0:
        costs = f"{_usd_words(-saved)} USD more" if saved else "the same"
        return f"{pair}: {what} does not pay for itself in money, since an accepted picture costs {costs}."
    return f"{pair}: {what} pays for itself after {_pictures(training.usd / saved)}."


def _in_time(pair: str, mine: Compared, other: Compared, training: Training) -> str:
    """The same in seconds, where nothing costs money."""
    if training.minutes is None or mine.seconds is None or other.seconds is None:
        return f"{pair}: nothing costs money, and how long it takes is not known."
    saved = other.seconds * other.images / other.accepted - mine.seconds * mine.images / mine.accepted
    if saved <= 0:
        return (
            f"{pair}: nothing costs money, and training ({training.minutes:.1f} minutes) saves no time on an accepted "
            "picture: what it brings is the look."
        )
    return (
        f"{pair}: nothing costs money; training ({training.minutes:.1f} minutes) pays for itself in time after "
        f"{_pictures(training.minutes * 60 / saved)}."
    )


def _pictures(count: float) -> str:
    pictures = max(1, ceil(round(count, 6)))
    books = ceil(pictures / A_BOOK)
    counted = f"{pictures:,} accepted picture{'s' * (pictures != 1)}"
    return f"{counted} ({books:,} book{'s' * (books != 1)} of {A_BOOK} pages)"


def _usd_words(usd: float) -> str:
    """An amount to a tenth of a cent, or to two digits where it is smaller than a cent."""
    return f"{usd:.{max(3, 1 - floor(log10(usd)))}f}"


def _took(training: Training) -> str:
    return "" if training.minutes is None else f", {training.minutes:.1f} minutes"


def _usd(run: RunRecord) -> tuple[float | None, bool]:
    """What a training cost: as settled; else its estimate, and then True."""
    if run.cost_usd is not None:
        return run.cost_usd, False
    estimate = run.spec.get("estimate") or {}
    return estimate.get("usd"), estimate.get("usd") is not None and estimate["usd"] > 0


def _minutes(run: RunRecord) -> float | None:
    """From start to end; of one that was resumed, only by its steps' own times, which are not kept: not told."""
    if run.started_at is None or run.finished_at is None or run.attempt > 1:
        return None
    return (datetime.fromisoformat(run.finished_at) - datetime.fromisoformat(run.started_at)).total_seconds() / 60
