"""CAP-IDENTITY: no features of the subject itself, which the pixels teach."""

from __future__ import annotations

from collections.abc import Iterable

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.features import features
from loradeck.tools.rulebook.ownership import read_scene
from loradeck.tools.rulebook.rule import ERROR, GUIDE, Remark, caption_rule, for_figures

NAMES = {"creature": "body of a creature", "machine": "body of a thing", "robot": "body of a thing"}


def identity_words(text: str, trigger: str | None, kind: SubjectKind, subject: str = "") -> dict[str, list[str]]:
    """Family -> phrases of a caption that describe who the subject is."""
    scene = read_scene(text, trigger, kind, subject)
    told = sorted(set(features(scene)), key=lambda one: (one.start, -one.end))
    found: dict[str, list[str]] = {}
    reached = -1
    for one in told:
        if one.end > reached:
            found.setdefault(NAMES.get(one.family, one.family), []).append(scene.phrase(one.start, one.end))
            reached = one.end
    return found


@caption_rule("CAP-IDENTITY", for_figures(ERROR), f"{GUIDE}: identity is learned from the pixels")
def no_identity(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No identity features of the subject: face, body, scars, hair, eyes, skin, age, armour that is the body."""
    found = identity_words(facts.judged_words(caption), facts.trigger, facts.subject_kind, facts.subject)
    if found:
        phrases = [phrase for family in found.values() for phrase in family]
        yield Remark(
            f"The caption describes the subject itself ({', '.join(found)}): {quoted(phrases)}.",
            "write_captions again without them: the trigger stands for who it is.",
        )
