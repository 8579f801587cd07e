"""CAP-CONSTANT: no words for what the LoRA takes from the pixels anyway: style, camera, film stock, quality.

The same words are wanted when they are said of a thing in the scene, so it is judged where they stand: look_phrases.py
reads the phrases between two marks, speaking.py the sentences whose subject is the picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts, phrase_pattern
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.look_phrases import looks
from loradeck.tools.rulebook.looks import Segment, segments, without_quotes
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.speaking import of_the_picture
from loradeck.tools.rulebook.words import body

Span = tuple[int, int]

NUMBERS = any_of(vocabulary("constant")["patterns"]["numbers"])
NEEDLESS = "aiogTPcV"
"""Tags of the words before a look that are cut with it: "with soft", "in an", "a piece of"."""
COPULAS = frozenset({"is", "are", "was", "has", "have"})


def boilerplate(text: str) -> list[Span]:
    """Where a text (lower case, trigger removed) says it, each place as long as what can be cut there."""
    shown = without_quotes(text)
    found = [match.span() for match in NUMBERS.finditer(shown)]
    found += of_the_picture(shown)
    found += (_cut(segment, *place) for segment in segments(shown) for place in looks(segment))
    return _merged(shown, found)


def _cut(segment: Segment, first: int, after: int) -> Span:
    """Where to cut a look: at the end of a segment with the words before it that nothing else needs, or its clause."""
    if after == len(segment.words) or segment.tags[after] in "ic":
        while first and segment.tags[first - 1] in NEEDLESS:
            first -= 1
            if segment.words[first] in COPULAS and not segment.opens:
                first = 0
    return segment.span(first, after)


def _merged(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans in order; those that overlap, or have only a comma between them, as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and not re.search(r"\w|[.!?]", text[merged[-1][1] : start]):
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


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
