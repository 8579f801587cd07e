"""The report on a set in words: two sentences, the next step, the findings with the dataset's name in their fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loradeck.tools.contracts import Finding, Severity, ValidateResult, Verdict
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.fingerprint import fingerprint
from loradeck.tools.rulebook.judge import verdict
from loradeck.tools.validate_coverage.coverage import coverage
from loradeck.tools.validate_coverage.shots import shot_list
from loradeck.tools.wording import addressed


def report(
    dataset_id: str,
    name: str,
    report_id: str,
    facts: SetFacts,
    findings: Sequence[Finding],
    asked: Sequence[Mapping[str, str]] = (),
) -> ValidateResult:
    """The answer of validate_coverage for facts and their findings (errors first); `asked` are shots a deck wants."""
    told = addressed(findings, dataset_id)
    judged = verdict(told)
    return ValidateResult(
        summary=_summary(name, facts, told, judged),
        next_step=_next_step(dataset_id, told, judged),
        dataset_id=dataset_id,
        report_id=report_id,
        verdict=judged,
        findings=told,
        coverage=coverage(facts),
        shot_list=shot_list(facts, asked),
        fingerprint=fingerprint(facts),
        kept=len(facts.images),
        captioned=len(facts.captioned),
    )


def counted(findings: Sequence[Finding]) -> str:
    """How many errors and warnings, in words: "2 errors and 1 warning"."""
    parts = []
    for severity in (Severity.ERROR, Severity.WARNING):
        count = sum(finding.severity == severity for finding in findings)
        if count:
            parts.append(f"{count} {severity}{'' if count == 1 else 's'}")
    return " and ".join(parts) or "nothing to mend"


def _summary(name: str, facts: SetFacts, findings: Sequence[Finding], judged: Verdict) -> str:
    said = {
        Verdict.PASS: "passes",
        Verdict.WARN: "may train, with warnings",
        Verdict.FAIL: "is not ready to train",
    }[judged]
    first = (
        f"{name!r} {said}: {len(facts.images)} kept images, {len(facts.captioned)} with captions, judged as "
        f"{facts.profile} for {facts.target_model}, {counted(findings)}."
    )
    worst = next((finding for finding in findings if finding.severity != Severity.INFO), None)
    return f"{first} {worst.rule_id}: {worst.why}" if worst else f"{first} Nothing stands in the way of training."


def _next_step(dataset_id: str, findings: Sequence[Finding], judged: Verdict) -> str:
    train = f'start_training(dataset_id="{dataset_id}")'
    if judged != Verdict.FAIL:
        return train if judged == Verdict.PASS else f"{train}, or mend the warnings first."
    errors = [finding for finding in findings if finding.severity == Severity.ERROR]
    return f"Mend {errors[0].rule_id}: {errors[0].fix} Then validate_coverage again."
