"""Running the rules: one caption, a whole set, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loradeck.tools.contracts import Finding, Severity, Verdict
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.manifest import CAPTION_RULES, RULES
from loradeck.tools.rulebook.rule import SET, Scope
from loradeck.tools.rulebook.tables import NEVER_WAIVED

GRAVEST_FIRST = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
MOST_IDS = 50


def judge_captions(facts: SetFacts, images: Sequence[KeptImage]) -> dict[str, list[Finding]]:
    """Image id -> what the rules on single captions say of its caption; images without findings are left out."""
    found: dict[str, list[Finding]] = {}
    for rule in CAPTION_RULES:
        for finding in rule.judge(facts, images):
            found.setdefault(finding.where[0], []).append(finding)
    return {image_id: gravest_first(findings) for image_id, findings in found.items()}


def judge(facts: SetFacts, waived: frozenset[str] = frozenset()) -> list[Finding]:
    """All findings on a set, errors first, the same remark on many captions gathered into one.

    A waived rule is still told, as an info, unless it can never be waived.
    """
    findings = [finding for rule in RULES for finding in gathered(rule.judge(facts), len(facts.images))]
    return gravest_first(set_aside(findings, waived))


def set_aside(findings: Iterable[Finding], waived: frozenset[str]) -> list[Finding]:
    """The findings, those of waived rules as infos."""
    return [_waive(finding) if finding.rule_id in waived else finding for finding in findings]


def verdict(findings: Iterable[Finding]) -> Verdict:
    """The worst severity: any error fails, any warning warns, infos never count."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.FAIL
    return Verdict.WARN if Severity.WARNING in severities else Verdict.PASS


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then infos; within each as they came."""
    return sorted(findings, key=lambda finding: GRAVEST_FIRST[finding.severity])


def has_error(findings: Iterable[Finding]) -> bool:
    """True when something blocks."""
    return any(finding.severity == Severity.ERROR for finding in findings)


def _waive(finding: Finding) -> Finding:
    if finding.rule_id in NEVER_WAIVED:
        return finding
    return finding.model_copy(update={"severity": Severity.INFO, "why": f"Waived: {finding.why}"})


def judge_images(facts: SetFacts) -> list[Finding]:
    """What the rules on images say of a set, errors first."""
    return gravest_first(finding for rule in RULES if rule.scope == Scope.IMAGE for finding in rule.judge(facts))


def to_rewrite(facts: SetFacts) -> list[Finding]:
    """Errors and warnings on single captions, errors first, each rule's gathered into one."""
    found = [
        finding
        for rule in CAPTION_RULES
        for finding in gathered(rule.judge(facts), len(facts.captioned))
        if finding.severity != Severity.INFO
    ]
    return gravest_first(found)


def gathered(findings: Sequence[Finding], images: int) -> list[Finding]:
    """One finding for a rule that says much the same of several images; at most 50 ids are named, all as "set"."""
    groups: dict[tuple[Severity, str, bool], list[Finding]] = {}
    for finding in findings:
        single = len(finding.where) == 1 and finding.where[0].startswith("img_")
        key = finding.why if not single else ""
        groups.setdefault((finding.severity, key, single), []).append(finding)
    return [_one_of(group, images) for group in groups.values()]


def _one_of(group: list[Finding], images: int) -> Finding:
    first = group[0]
    where = list(dict.fromkeys(place for finding in group for place in finding.where))
    why = first.why if len(group) == 1 else f"{len(where)} captions; the first: {first.why}"
    everywhere = len(where) == images > 1
    return first.model_copy(update={"where": [SET] if everywhere else where[:MOST_IDS], "why": why})
