"""What is going wrong with a run, why, and the call that remedies it. Pure: facts in, diagnoses out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from loradeck.tools.contracts import Diagnosis, RunState, TrainingPlan

Curve = list[tuple[int, float]]
ENOUGH_POINTS = 3
BARELY = 0.995
"""A held-out loss above this share of its first value has not fallen: its noise is fixed, so that little counts."""
GIVEN_BACK = 0.5
"""A held-out loss that lost this share of what it had gained has turned."""
WAITING_SECONDS = 60.0


@dataclass(frozen=True)
class RunFacts:
    """What a diagnosis may look at. `error_kind` is the name of the error's class; losses are (step, value)."""

    run_id: str
    state: RunState
    resume: str
    dataset_id: str | None = None
    error: str | None = None
    error_kind: str | None = None
    step: int = 0
    steps: int = 0
    held_out: Curve = field(default_factory=list)
    plan: TrainingPlan | None = None
    queued_seconds: float = 0.0
    claimed: bool = True


def diagnose(facts: RunFacts) -> list[Diagnosis]:
    """Everything that is worth saying, the gravest first; empty when all is well."""
    return [*_ended(facts), *_memory(facts), *_diverged(facts), *_losses(facts), *_nobody(facts)]


def _ended(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.state == RunState.LOST:
        yield Diagnosis(
            what="The worker is gone",
            why="Its process was ended from outside, or the machine restarted; checkpoints and pictures are kept.",
            remedy=facts.resume,
        )


def _memory(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.error_kind != "OutOfMemory":
        return
    yield Diagnosis(what="Out of memory", why=facts.error or "", remedy=_smaller(facts))


def _smaller(facts: RunFacts) -> str:
    """The rulebook's order: batch 1, then rank 8, then a smaller or quantised base."""
    plan = facts.plan
    if plan is None:
        return f"Close other programs, then {facts.resume}."
    if plan.batch_size > 1:
        return f'start_training(dataset_id="{facts.dataset_id}", batch_size=1)'
    if plan.rank > 8:
        return f'start_training(dataset_id="{facts.dataset_id}", batch_size=1, rank=8)'
    return f'start_training(dataset_id="{facts.dataset_id}", batch_size=1, rank=8) on a smaller base_model'


def _diverged(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.error_kind != "Diverged" or facts.plan is None:
        return
    slower = facts.plan.learning_rate / 3
    yield Diagnosis(
        what="The training diverged (TRN-FINITE)",
        why=facts.error or "",
        remedy=f'start_training(dataset_id="{facts.dataset_id}", learning_rate={slower:.1e})',
    )


def _losses(facts: RunFacts) -> Iterator[Diagnosis]:
    """The held-out loss must fall (TRN-LOSS), and is told when it turns (TRN-CONVERGED)."""
    curve = facts.held_out
    if len(curve) < ENOUGH_POINTS or facts.state in {RunState.FAILED, RunState.LOST} or 2 * facts.step < facts.steps:
        return
    first, last = curve[0][1], curve[-1][1]
    low_step, low = min(curve, key=lambda point: point[1])
    if low < BARELY * first and last - low > GIVEN_BACK * (first - low):
        yield Diagnosis(
            what="The held-out loss rises: over-fitting (TRN-CONVERGED)",
            why=f"It was lowest at step {low_step} ({low:.4f}) and is {last:.4f} now.",
            remedy=f'stop_run(run_id="{facts.run_id}"), then start_training with steps={low_step}.',
        )
    elif last > BARELY * first:
        rate = f", learning_rate={2 * facts.plan.learning_rate:.1e}" if facts.plan else ""
        yield Diagnosis(
            what="The held-out loss does not fall (TRN-LOSS)",
            why=f"{first:.4f} before the first step, {last:.4f} at step {curve[-1][0]} of {facts.steps}.",
            remedy=(
                f'Look at the captions first (view_images(of="{facts.dataset_id}"), write_captions), then '
                f'start_training(dataset_id="{facts.dataset_id}"{rate}).'
            ),
        )


def _nobody(facts: RunFacts) -> Iterator[Diagnosis]:
    if facts.state == RunState.QUEUED and not facts.claimed and facts.queued_seconds > WAITING_SECONDS:
        yield Diagnosis(
            what="No worker has taken the run",
            why="Workers that the server starts do not live long enough, as under clients that end their children.",
            remedy="Ask the person to run `loradeck worker` in a terminal; it takes what waits.",
        )
