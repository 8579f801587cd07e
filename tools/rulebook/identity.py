"""CAP-IDENTITY: no features of the subject itself, which the pixels teach."""

from __future__ import annotations

from collections.abc import Iterable

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.rule import ERROR, GUIDE, Remark, caption_rule, for_figures
from loradeck.tools.rulebook.words import body

_DATA = vocabulary("identity")
ALLOWED = any_of(_DATA["allowed"])
IDENTITY = {family: any_of(alternatives) for family, alternatives in _DATA["identity"].items()}
CREATURE = any_of(_DATA["creature"]["body"])


def identity_words(text: str, kind: SubjectKind) -> dict[str, list[str]]:
    """Family -> phrases of a text that describe who the subject is; allow-listed phrases are taken out first."""
    rest = ALLOWED.sub(" ", text.lower())
    patterns = dict(IDENTITY)
    if kind == SubjectKind.CREATURE:
        patterns["body of a creature"] = CREATURE
    found = {family: [match.group() for match in pattern.finditer(rest)] for family, pattern in patterns.items()}
    return {family: phrases for family, phrases in found.items() if phrases}


@caption_rule("CAP-IDENTITY", for_figures(ERROR), f"{GUIDE}: identity is learned from the pixels")
def no_identity(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No identity features of the subject: face, body, scars, hair, eyes, skin, age, armour that is the body."""
    found = identity_words(facts.judged_words(body(caption, facts.trigger)), facts.subject_kind)
    if found:
        phrases = [phrase for family in found.values() for phrase in family]
        yield Remark(
            f"The caption describes the subject itself ({', '.join(found)}): {quoted(phrases)}.",
            "write_captions again without them: the trigger stands for who it is.",
        )
