"""What a plan wants the caller to know: numbers outside the rulebook's table, and what the engine makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loradeck.tools.contracts import Finding, Severity, TargetModel, TrainingPlan
from loradeck.tools.rulebook.judge import set_aside
from loradeck.tools.rulebook.tables import TARGETS

FLUX2 = {TargetModel.FLUX2_DEV, TargetModel.KLEIN_4B, TargetModel.KLEIN_9B}
CONVERGED = (800, 1200)
"""Steps by which FLUX.2 LoRAs have converged (TRN-CONVERGED)."""


def what_to_know(plan: TrainingPlan, target_model: str, engine_says: Sequence[str]) -> list[Finding]:
    """TRN-RANGE and TRN-CONVERGED on a plan, and the engine's own remarks on it. Nothing here blocks.

    What the plan waives is told as an info.

    `target_model` is the one whose caption rules the set follows.
    """
    said = [
        Finding(rule_id="TRN-RANGE", severity=Severity.WARNING, where=["set"], why=remark, fix="Change it, or go on.")
        for remark in engine_says
    ]
    found = [*_other_target(plan, target_model), *_outside(plan), *_converged(plan), *said]
    return set_aside(found, frozenset(waiver.rule_id for waiver in plan.waived))


def _other_target(plan: TrainingPlan, target_model: str) -> Iterator[Finding]:
    if plan.base_model == target_model:
        return
    words, wanted = TARGETS[TargetModel(target_model)].words, TARGETS[TargetModel(plan.base_model)].words
    yield Finding(
        rule_id="TRN-RANGE",
        severity=Severity.INFO,
        where=["set"],
        why=(
            f"The captions follow {target_model} ({words[0]}-{words[1]} words) and {plan.base_model} is trained "
            f"({wanted[0]}-{wanted[1]} words)."
        ),
        fix=f'validate_coverage(dataset_id=..., target_model="{plan.base_model}") judges them for what is trained.',
    )


def _outside(plan: TrainingPlan) -> Iterator[Finding]:
    """One finding for each number that lies outside its usual range."""
    row = TARGETS[TargetModel(plan.base_model)]
    for name, value, usual in (
        ("steps", plan.steps, row.steps),
        ("learning_rate", plan.learning_rate, row.learning_rate),
        ("rank", plan.rank, row.rank),
    ):
        if usual is not None and not usual[0] <= value <= usual[1]:
            yield Finding(
                rule_id="TRN-RANGE",
                severity=Severity.WARNING,
                where=["set"],
                why=f"{name} is {value:g}; usual for {plan.base_model} is {usual[0]:g} to {usual[1]:g}.",
                fix=f"Leave {name} out for the engine's own, or name one in the range.",
            )


def _converged(plan: TrainingPlan) -> Iterator[Finding]:
    if plan.base_model in FLUX2 and plan.steps > CONVERGED[1]:
        yield Finding(
            rule_id="TRN-CONVERGED",
            severity=Severity.INFO,
            where=["set"],
            why=f"{plan.steps} steps; LoRAs on {plan.base_model} converge by {CONVERGED[0]}-{CONVERGED[1]}.",
            fix="Watch the held-out loss in check_status and stop early when it turns.",
        )
