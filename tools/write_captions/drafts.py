"""Captions before they are saved: judged one by one, and mended mechanically where that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loradeck.tools.contracts import HOSTED, CaptionRefusal, CaptionRow, Finding
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.judge import has_error, judge_captions
from loradeck.tools.rulebook.tables import STRICT
from loradeck.tools.write_captions.mend import mended

ORIGIN = "CAP-ORIGIN"


@dataclass(frozen=True)
class Draft:
    """A caption to be: for which image, its words, how it was made (CaptionMode or HOSTED), and whether its writer saw
    the image.
    """

    image_id: str
    text: str
    mode: str
    seen: bool


@dataclass(frozen=True)
class Judged:
    """A draft and what the rules on single captions say of it; `proposal` is a mended wording that would pass."""

    draft: Draft
    findings: list[Finding]
    proposal: str | None = None

    @property
    def refused(self) -> bool:
        """True when a finding is an error. That a host worded it (CAP-ORIGIN) was bought on purpose: that is told."""
        return has_error(one for one in self.findings if (self.draft.mode, one.rule_id) != (HOSTED, ORIGIN))

    def row(self) -> CaptionRow:
        """As an answer tells a caption that was saved."""
        return CaptionRow(image_id=self.draft.image_id, caption=self.draft.text, findings=self.findings)

    def refusal(self) -> CaptionRefusal:
        """As an answer tells a caption that was not."""
        return CaptionRefusal(
            image_id=self.draft.image_id, caption=self.draft.text, findings=self.findings, proposal=self.proposal
        )


def judge_drafts(facts: SetFacts, drafts: Sequence[Draft]) -> list[Judged]:
    """Every draft with its findings; a refused one with a mended proposal, where that passes when judged again."""
    findings = _findings(facts, drafts)
    judged = [Judged(draft, findings.get(draft.image_id, [])) for draft in drafts]
    refused = [one for one in judged if one.refused]
    strict = facts.profile in STRICT
    tried = [
        replace(one.draft, text=mended(one.draft.text, facts.trigger or "", cut_boilerplate=strict)) for one in refused
    ]
    again = _findings(facts, tried)
    proposals = {
        trial.image_id: trial.text
        for trial, one in zip(tried, refused, strict=True)
        if trial.text != one.draft.text and not has_error(again.get(trial.image_id, []))
    }
    return [replace(one, proposal=proposals.get(one.draft.image_id)) for one in judged]


def with_drafts(facts: SetFacts, drafts: Sequence[Draft]) -> SetFacts:
    """The set as it would be with these captions."""
    new = {draft.image_id: draft for draft in drafts}
    images = (
        replace(image, caption=draft.text, mode=draft.mode, seen=draft.seen) if (draft := new.get(image.id)) else image
        for image in facts.images
    )
    return replace(facts, images=tuple(images))


def _findings(facts: SetFacts, drafts: Sequence[Draft]) -> dict[str, list[Finding]]:
    ids = {draft.image_id for draft in drafts}
    trial = with_drafts(facts, drafts)
    return judge_captions(trial, [image for image in trial.images if image.id in ids])
