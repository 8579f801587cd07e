"""References are the opposite of training data: one clean plain ground, or none, and no more than a model takes.

Training wants backgrounds that vary; a picture handed to a model while it draws carries its background along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loradeck.tools.contracts import Finding, Severity

MOST_REFERENCES = {
    "flux1-kontext": 4,
    "flux2-dev": 10,
    "flux2-klein-4b": 10,
    "flux2-klein-9b": 10,
    "nano-banana-pro": 14,
    "nano-banana-flash": 3,
    "vace": 4,
}
"""How many references a model takes at most (rulebook, "References")."""
FREE_OF_GROUND = frozenset({"vace"})
"""Models that want the subject with no ground at all."""
ON_WHITE = (
    "Give them again with cut_out=true, which draws from copies on plain white; or make such copies in a set with "
    "curate_dataset(backgrounds={images, make})."
)
CUT_OUT = "Give pictures whose ground is transparent."


@dataclass(frozen=True)
class Reference:
    """A picture to lean on: its name, whether its ground is plain, and whether it is transparent there."""

    name: str
    plain: bool
    transparent: bool = False


def judge_references(references: Sequence[Reference], model: str) -> list[Finding]:
    """What REF-CLEAN and REF-COUNT say of the references of one render; errors first."""
    return [*_too_many(references, model), *_not_clean(references, model)]


def _too_many(references: Sequence[Reference], model: str) -> Iterator[Finding]:
    most = MOST_REFERENCES.get(model)
    if most is not None and len(references) > most:
        yield Finding(
            rule_id="REF-COUNT",
            severity=Severity.ERROR,
            where=[one.name for one in references[most:]],
            why=f"{len(references)} references were given, {model} takes at most {most}.",
            fix=f"Give the {most} that show the subject best: front first, the nearest angle next.",
        )


def _not_clean(references: Sequence[Reference], model: str) -> Iterator[Finding]:
    bare = model in FREE_OF_GROUND
    busy = [one for one in references if not (one.transparent or (one.plain and not bare))]
    if busy:
        wanted = "no ground at all (a transparent one)" if bare else "one plain clean ground, or none"
        yield Finding(
            rule_id="REF-CLEAN",
            severity=Severity.WARNING,
            where=[one.name for one in busy],
            why=f"{len(busy)} of {len(references)} references have a background of their own, wanted {wanted}: "
            "what stands in a reference is drawn along, unlike in training, where backgrounds should vary.",
            fix=CUT_OUT if bare else ON_WHITE,
        )
