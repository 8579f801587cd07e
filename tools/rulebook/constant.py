"""CAP-CONSTANT: no words for what the LoRA takes from the pixels anyway: style, camera, film stock, quality."""

from __future__ import annotations

from collections.abc import Iterable

from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts, phrase_pattern
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.words import body

BOILERPLATE = any_of(vocabulary("constant")["boilerplate"])


def boilerplate(text: str) -> list[tuple[int, int]]:
    """Where a text (lower case, trigger removed) says it."""
    return [match.span() for match in BOILERPLATE.finditer(text)]


@caption_rule("CAP-CONSTANT", graded(ERROR, WARNING), f"{GUIDE}: the redundancy rule")
def no_boilerplate(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No style, camera, film-stock or quality boilerplate: the LoRA takes from the pixels what never varies."""
    text = body(caption, facts.trigger)
    judged = facts.judged_words(text).lower()
    found = [judged[start:end] for start, end in boilerplate(judged)]
    barred = [phrase for phrase in facts.house.forbidden if phrase_pattern(phrase).search(text)]
    if barred:
        yield Remark(f"The caption says {quoted(barred)}, which this team forbids.", "write_captions again without it.")
    if found:
        yield Remark(
            f"The caption says {quoted(found)}: style, camera or quality words that are learned from the pixels.",
            "write_captions again without them; say what differs from image to image.",
        )
