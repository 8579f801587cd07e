"""The labelled captions of `tests/corpus/captions`, and how well a rule judges them.

They were written from the rulebook by others than who wrote the rules, before the rules were tuned. A third, chosen by
a hash of the caption, is held out: rules are tuned on the rest alone (of CAP-COVERS and CAP-AGREES the third was looked
at, and tuned on too). `tests/corpus/development` holds captions that who tuned these two wrote, round by round.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support.rules import image

from loradeck.tools.contracts import IMPORTED, Profile, SubjectKind, TargetModel
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.judge import judge_captions

FOLDER = Path(__file__).resolve().parents[1] / "corpus" / "captions"
FRESH = Path(__file__).resolve().parents[1] / "corpus" / "held_out"
"""Written by another hand after those of `captions` had been looked at; CAP-COVERS and CAP-AGREES saw it too."""
DEVELOPMENT = FOLDER.with_name("development")
RULES = tuple(sorted(path.stem for path in FOLDER.glob("*.jsonl")))
Z = 1.96


@dataclass(frozen=True)
class Labelled:
    """A caption, whether its rule must speak, and what an expert sees in it."""

    rule_id: str
    caption: str
    must_speak: bool
    why: str
    row: dict[str, Any]

    @property
    def held_out(self) -> bool:
        """True for one caption in three."""
        return hashlib.sha256(self.caption.encode()).digest()[0] % 3 == 0

    def facts(self) -> SetFacts:
        """The caption alone in a dataset of its profile and target model."""
        alone = image(1, self.caption, **self.row.get("attributes") or {})
        if self.rule_id == "CAP-ORIGIN":
            alone = replace(alone, mode=IMPORTED, seen=False)
        return SetFacts(
            profile=Profile(self.row["profile"]),
            target_model=TargetModel(self.row["target_model"]),
            trigger=self.row["trigger"],
            images=(alone,),
            resolution=1024,
            subject_kind=SubjectKind(self.row.get("subject_kind") or "person"),
            subject=self.row.get("subject") or "",
        )

    def speaks(self) -> bool:
        """True when the rule finds something in it."""
        facts = self.facts()
        found = judge_captions(facts, facts.images).get(facts.images[0].id, [])
        return self.rule_id in {finding.rule_id for finding in found}


@dataclass(frozen=True)
class Score:
    """How often a rule was right: speaking and due, speaking and not due, silent and due, silent and not due."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """The share of findings that were due."""
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """The share of what was due that was found."""
        return self.true_positives / max(1, self.true_positives + self.false_negatives)


def wilson_low(right: int, of: int) -> float:
    """The lower end of the 95% Wilson score interval of a share."""
    if not of:
        return 0.0
    share, spread = right / of, Z * Z / of
    return (share + spread / 2 - Z * (share * (1 - share) / of + spread / (4 * of)) ** 0.5) / (1 + spread)


def labelled(rule_id: str, held_out: bool | None = None) -> list[Labelled]:
    """The captions of a rule: all, those held out, or those to tune on."""
    every = _labelled(FOLDER, rule_id)
    return [one for one in every if held_out is None or one.held_out == held_out]


def fresh(rule_id: str) -> list[Labelled]:
    """The captions of a rule that were held out whole."""
    return _labelled(FRESH, rule_id)


def developed(rule_id: str) -> list[Labelled]:
    """The captions that a rule was developed on; each row tells its `round`."""
    return _labelled(DEVELOPMENT, rule_id)


def _labelled(folder: Path, rule_id: str) -> list[Labelled]:
    lines = (folder / f"{rule_id}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return [Labelled(rule_id, row["caption"], row["label"] == "positive", row.get("why", ""), row) for row in rows]


def score(captions: Iterable[Labelled]) -> tuple[Score, list[Labelled]]:
    """How well the rule judges these captions, and those that it judges wrong."""
    judged = [(one, one.speaks()) for one in captions]
    counts = [
        sum(one.must_speak == due and spoke == told for one, spoke in judged)
        for due, told in ((True, True), (False, True), (True, False), (False, False))
    ]
    return Score(*counts), [one for one, spoke in judged if spoke != one.must_speak]
