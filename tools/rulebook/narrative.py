"""CAP-NARRATIVE: nothing that the picture cannot show, such as back story, what will happen, inner life or meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loradeck.tools.rulebook.alternation import WholeWords
from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts, phrase_pattern
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.words import body
from loradeck.tools.rulebook.written import BLANK, own_words, shouted

_DATA = vocabulary("narrative")
_LISTS = {name: "|".join(text.split()) for name, text in _DATA["lists"].items()}
_NAMES = re.compile("|".join(_LISTS))


def _pattern(alternatives: list[str]) -> WholeWords:
    """One pattern, with the names of lists spelled out."""
    return any_of([_NAMES.sub(lambda name: _LISTS[name.group()], one) for one in alternatives])


TOLD = {kind: _pattern(alternatives) for kind, alternatives in _DATA["told"].items()}
LETTERING = any_of([re.escape(cue) for cue in _DATA["lettering"]["cues"].split()])
CAPITALS = re.compile(r"(?<![\w-])[A-Z][A-Z'’-]+(?: [A-Z0-9][A-Z0-9'’-]*)+(?![\w-])")
SHOUTED = any_of(_DATA["shouted"]["states"])
NEAR = 48
"""How many characters before capitals may tell that they are written in the picture; half as many behind them."""


def story(text: str) -> dict[str, list[str]]:
    """Kind of story -> phrases of a text that tell it; what is written in the picture tells none."""
    told = own_words(text)
    found = {kind: [match.group() for match in pattern.finditer(told)] for kind, pattern in TOLD.items()}
    found["a state of the story"] += [run for run in shouts(text) if SHOUTED.search(run.lower())]
    return {kind: phrases for kind, phrases in found.items() if phrases}


def shouts(text: str) -> list[str]:
    """Words in capitals that are no lettering in the picture: "NO PHYSICAL BODY", but not a NO ENTRY sign."""
    if shouted(text):
        return []
    return [match.group() for match in CAPITALS.finditer(text) if not _lettering(text, *match.span())]


def _lettering(text: str, start: int, end: int) -> bool:
    around = f"{text[max(0, start - NEAR) : start]} {text[end : end + NEAR // 2]}"
    return LETTERING.search(around.lower()) is not None


@caption_rule("CAP-NARRATIVE", graded(ERROR, WARNING), f"{GUIDE}: a story state contradicts the image")
def nothing_told(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Nothing the picture cannot show: back story, the future, inner life, meaning, sounds, "NO PHYSICAL BODY".

    What the image is said to show, by its own attribute, may be called by that name: an icon of "diversity".
    """
    said = facts.judged_words(body(caption, facts.trigger))
    subject = image.known("subject")
    found = story(phrase_pattern(subject).sub(BLANK, said) if subject else said)
    if found:
        phrases = [phrase for told in found.values() for phrase in told]
        yield Remark(
            f"The caption tells what the picture cannot show ({'; '.join(found)}): {quoted(phrases)}.",
            "write_captions again without it; say only what can be seen.",
        )
