"""The words of start_training's answers."""

from __future__ import annotations

from loradeck.state.records import DatasetRecord, RunRecord
from loradeck.tools.contracts import (
    Estimate,
    RunState,
    Severity,
    StartTrainingResult,
    TrainingPlan,
    ValidateResult,
)
from loradeck.tools.rulebook.tables import NEVER_WAIVED
from loradeck.tools.run_lookup import resume_call
from loradeck.tools.wording import PREVIEW_NOTE


def summary(
    run: RunRecord, plan: TrainingPlan, estimate: Estimate, *, again: bool = False, resumed_from: int | None = None
) -> str:
    """What happened and what is being trained, in two sentences."""
    what = f"{run.id} trains {run.name!r}: {plan.steps} steps on {plan.images} images with {plan.engine} on "
    what += f"{plan.base_model}{_minutes(estimate)}."
    return f"{_what_happened(run, again, resumed_from)} {what}" + (" Preview base." if preview_note(run) else "")


def _what_happened(run: RunRecord, again: bool, resumed_from: int | None) -> str:
    match RunState(run.state):
        case RunState.SUCCEEDED:
            return "The very same training is done already." if again else "The training is done."
        case RunState.FAILED:
            return f"The training failed: {run.error}"
        case RunState.CANCELLED | RunState.LOST:
            return f"The training stopped: {run.message}"
    if resumed_from is not None:
        return f"The training goes on from its last checkpoint (it had come to step {resumed_from})."
    return "The very same training is under way already." if again else "The training has started."


def _minutes(estimate: Estimate) -> str:
    if estimate.minutes is None:
        return ""
    return f", about {max(1, round(estimate.minutes))} min"


def next_step(run: RunRecord) -> str:
    """The call to make next."""
    match RunState(run.state):
        case RunState.SUCCEEDED | RunState.FAILED:
            return f'check_status(run_id="{run.id}") for what it left.'
        case RunState.CANCELLED | RunState.LOST:
            return f"{resume_call(run)} to go on from its last checkpoint."
    return f'check_status(run_id="{run.id}", wait_seconds=20), again and again until it ended; stop_run ends it early.'


def preview_note(run: RunRecord) -> str | None:
    """Set when the embedded preview base is trained."""
    return PREVIEW_NOTE if run.spec.get("preview") else None


def refusal(dataset: DatasetRecord, report: ValidateResult) -> StartTrainingResult:
    """Nothing was started: what blocks, and what to do about the first of it."""
    errors = [finding for finding in report.findings if finding.severity == Severity.ERROR]
    rules = list(dict.fromkeys(finding.rule_id for finding in errors))
    count = "1 finding that blocks" if len(errors) == 1 else f"{len(errors)} findings that block"
    return StartTrainingResult(
        summary=f"Nothing was started: {dataset.name!r} has {count} ({', '.join(rules)}). {errors[0].why}",
        next_step=(
            f'{errors[0].fix} validate_coverage(dataset_id="{dataset.id}") judges the set without training; when it '
            f"does not fail, start_training again.{_waivable(rules)}"
        ),
        dataset_id=dataset.id,
        findings=errors,
    )


def _waivable(rules: list[str]) -> str:
    """Which of the rules that block may be set aside; nothing where one of them never can be."""
    if not NEVER_WAIVED.isdisjoint(rules):
        return ""
    return f" Or set {', '.join(rules)} aside with waive=[{{rule_id, reason}}], where the person says so."
