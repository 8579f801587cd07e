"""CAP-CONSTANT: no words for what the LoRA takes from the pixels anyway: style, camera, film stock, quality.

The same words are wanted when they are said of a thing in the scene, so it is judged where they stand: look_phrases.py
reads the phrases between two marks, speaking.py the sentences whose subject is the picture.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice

from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts, phrase_pattern
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.look_phrases import looks
from loradeck.tools.rulebook.looks import WORD, Segment, segments, without_quotes
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.speaking import of_the_picture
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import body, content, lemmas

Span = tuple[int, int]

NUMBERS = any_of(vocabulary("constant")["patterns"]["numbers"])
NEEDLESS = "aiogTPcV"
"""Tags of the words before a look that are cut with it: "with soft", "in an", "a piece of"."""
SENTENCE = re.compile(r"[^\s.!?](?:[^.!?]|[.!?](?!\s|$))*")
LEAST_REST = 2
"""Words of a sentence that are not worth keeping."""
COPULAS = frozenset({"is", "are", "was", "has", "have"})


def boilerplate(text: str) -> list[Span]:
    """Where a text (lower case, trigger removed) says it, each place as long as what can be cut there."""
    shown = without_quotes(text)
    found = [match.span() for match in NUMBERS.finditer(shown)]
    found += of_the_picture(shown)
    found += (_cut(shown, segment, *place) for segment in segments(shown) for place in looks(segment))
    return _without_rests(shown, _merged(shown, found)) if found else []


def _cut(text: str, segment: Segment, first: int, after: int) -> Span:
    """Where to cut a look: with small words that only it needs, with its "of", or with the clause that it begins."""
    tags = segment.tags
    if segment.word(after) == "of":
        while first and tags[first - 1] in "aTP":
            first -= 1
        return segment.span(first, after + 1)
    if after == len(tags) or tags[after] in "ic":
        while first and tags[first - 1] in NEEDLESS:
            first -= 1
            if segment.words[first] in COPULAS and not segment.opens:
                first = 0
    if first == 0 and tags[after : after + 1] not in {"", "i"} and _begins_sentence(text, segment):
        after = len(tags)
    return segment.span(first, after)


def _begins_sentence(text: str, segment: Segment) -> bool:
    start = segment.spans[0][0]
    return text[max(0, start - 3) : start].rstrip().endswith((".", "!", "?"))


def _without_rests(text: str, spans: list[Span]) -> list[Span]:
    """The spans, grown to the whole of a later sentence where next to nothing would be left of it."""
    grown, starts = list(spans), [start for start, _ in spans]
    for sentence in islice(SENTENCE.finditer(text), 1, None):
        start, end = sentence.span()
        inside = spans[bisect_left(starts, start) : bisect_left(starts, end)]
        if inside and inside[-1][1] <= end and len(WORD.findall(_outside(text, start, end, inside))) <= LEAST_REST:
            grown.append((start, end))
    return _merged(text, grown)


def _outside(text: str, start: int, end: int, spans: list[Span]) -> str:
    edges = [start, *(edge for span in spans for edge in span), end]
    return " ".join(text[one:other] for one, other in zip(edges[::2], edges[1::2], strict=True))


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
def no_boilerplate(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No style, camera, film-stock or quality boilerplate: the LoRA takes from the pixels what never varies.

    What a brand image is said to show, by its own attribute, may be called by that name: an icon of "video".
    """
    text = body(caption, facts.trigger)
    judged = facts.judged_words(text).lower()
    shown = set(lemmas(image.known("subject") or "")) if facts.profile in BRAND else set()
    found = [
        phrase
        for start, end in boilerplate(judged)
        if not shown.issuperset(content(lemmas(phrase := judged[start:end])) or [""])
    ]
    barred = [phrase for phrase in facts.house.forbidden if phrase_pattern(phrase).search(text)]
    if barred:
        yield Remark(f"The caption says {quoted(barred)}, which this team forbids.", "write_captions again without it.")
    if found:
        yield Remark(
            f"The caption says {quoted(found)}: style, camera or quality words that are learned from the pixels.",
            "write_captions again without them; say what differs from image to image.",
        )
