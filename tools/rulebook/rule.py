"""What a rule is: an id, a severity per profile, where it comes from; for a set, a function from facts to remarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loradeck.tools.contracts import Finding, Profile, Severity
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.tables import BRAND, FIGURES, STRICT

SET = "set"
GUIDE = "character LoRA practice"
BRAND_GUIDE = "brand icon training guide"
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


class Scope(StrEnum):
    """What a rule judges."""

    CAPTION = "captions, one by one"
    CAPTION_SET = "captions, as a set"
    IMAGE = "images"
    COVERAGE = "coverage"
    TRAINING = "training"
    RENDER = "renders"
    REFERENCE = "references"


TOLD_BY = {
    Scope.CAPTION: "write_captions, validate_coverage",
    Scope.CAPTION_SET: "validate_coverage",
    Scope.IMAGE: "curate_dataset, validate_coverage",
    Scope.COVERAGE: "validate_coverage",
}
"""The tools that tell what a rule on a set finds; start_training judges it again."""


@dataclass(frozen=True)
class Remark:
    """What a rule has to say; the rule adds its id and, unless one is given here, its severity for the profile."""

    why: str
    fix: str
    where: tuple[str, ...] = (SET,)
    severity: Severity | None = None


Severities = Mapping[Profile, Severity]
Look = Callable[[SetFacts, Sequence[KeptImage]], Iterable[Remark]]


@dataclass(frozen=True)
class Statement:
    """What a rule in force says, how hard it is, and the tools that tell what it finds.

    Profiles that `severities` leaves out are not judged by it; one without any is a property of what those tools do,
    of which nothing can be found.
    """

    id: str
    says: str
    source: str
    scope: Scope
    severities: Severities
    told_by: str


@dataclass(frozen=True)
class Rule(Statement):
    """A rule that is judged here, on a set and its images."""

    look: Look

    def judge(self, facts: SetFacts, images: Sequence[KeptImage] | None = None) -> list[Finding]:
        """The findings on a set, or (for rules on single captions) on some of its images."""
        usual = self.severities.get(facts.profile)
        if usual is None:
            return []
        remarks = self.look(facts, facts.images if images is None else images)
        changed = "; ".join(facts.house.changes.get(self.id, ()))
        by_house = f" (By loradeck.toml: {changed}.)" if changed else ""
        return [
            Finding(
                rule_id=self.id,
                severity=remark.severity or usual,
                where=list(remark.where),
                why=remark.why + by_house,
                fix=remark.fix,
            )
            for remark in remarks
        ]


def everywhere(severity: Severity) -> Severities:
    """The same severity in every profile."""
    return dict.fromkeys(Profile, severity)


def graded(strict: Severity, brand: Severity) -> Severities:
    """One severity for character, style and motion, another for the brand profiles."""
    return {**dict.fromkeys(STRICT, strict), **dict.fromkeys(BRAND, brand)}


def for_brand(severity: Severity) -> Severities:
    """Brand profiles only."""
    return dict.fromkeys(BRAND, severity)


def for_figures(severity: Severity) -> Severities:
    """Character and motion only."""
    return dict.fromkeys(FIGURES, severity)


def but(severities: Severities, *profiles: Profile) -> Severities:
    """The same, but not for some profiles."""
    return {profile: severity for profile, severity in severities.items() if profile not in profiles}


def set_rule(
    rule_id: str, scope: Scope, severities: Severities, source: str
) -> Callable[[Callable[[SetFacts], Iterable[Remark]]], Rule]:
    """Make a rule on the whole set; the function's docstring is what the rule says."""

    def make(look: Callable[[SetFacts], Iterable[Remark]]) -> Rule:
        return Rule(rule_id, _says(look), source, scope, severities, TOLD_BY[scope], lambda facts, _: look(facts))

    return make


def caption_rule(
    rule_id: str, severities: Severities, source: str
) -> Callable[[Callable[[str, KeptImage, SetFacts], Iterable[Remark]]], Rule]:
    """Make a rule on one caption, called with its text, its image and the set; images without a caption are skipped."""

    def make(look: Callable[[str, KeptImage, SetFacts], Iterable[Remark]]) -> Rule:
        def each(facts: SetFacts, images: Sequence[KeptImage]) -> Iterable[Remark]:
            for image in images:
                if image.caption is not None:
                    for remark in look(image.caption, image, facts):
                        yield Remark(remark.why, remark.fix, (image.id,), remark.severity)

        return Rule(rule_id, _says(look), source, Scope.CAPTION, severities, TOLD_BY[Scope.CAPTION], each)

    return make


def _says(look: Callable[..., object]) -> str:
    return " ".join((look.__doc__ or "").split())
