"""CAP-HERO: a caption is not the dataset's own description of its subject over again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise

from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, vocabulary
from loradeck.tools.rulebook.rule import ERROR, GUIDE, Remark, caption_rule
from loradeck.tools.rulebook.tables import STRICT
from loradeck.tools.rulebook.words import body, lemma

PART = re.compile(r"[^\W_]+(?:['’](?!s\b)[^\W_]+)*")
"""A word; those that a hyphen joins count one by one, and an 's is left behind."""
CLAUSE_END = re.compile(
    r"[,;:.()\n]|\b(?=(?:wear(?:s|ing)|dressed|clad|(?:usually|always|often) in|in (?:an?|his|her|their|its))\b)"
)
SPELLINGS = (("colour", "color"), ("grey", "gray"), ("blonde", "blond"), ("armour", "armor"), ("moustache", "mustache"))
CLOTHES = frozenset(vocabulary("hero")["clothes"].split())

REACH = 3
"""Neighbours in the description still are neighbours in a caption that puts up to two words between them."""
FEWEST, MOST = 4, 12
"""Fewer words copied are a shared class or one feature; more are a copy of however long a description."""
SHARE = 0.4


@dataclass(frozen=True)
class Token:
    """A content word in its dictionary form, and where it stands."""

    word: str
    start: int
    end: int


@lru_cache(maxsize=2_000)
def tokens(text: str) -> tuple[Token, ...]:
    """The content words of a text; spellings of one word are one."""
    found = (Token(_plain(match.group()), *match.span()) for match in PART.finditer(text))
    return tuple(token for token in found if token.word not in FUNCTION_WORDS and token.word != "s")


def _plain(word: str) -> str:
    plain = word.lower().replace("’", "'")
    for british, american in SPELLINGS:
        plain = plain.replace(british, american)
    return lemma(plain)


@lru_cache(maxsize=200)
def features(subject: str, worn_varies: bool) -> tuple[str, ...]:
    """The content words of a description, without the clauses on clothes where clothes may vary."""
    clauses = [[token.word for token in tokens(clause)] for clause in CLAUSE_END.split(subject)]
    lasting = [clause for clause in clauses if not (worn_varies and CLOTHES.intersection(clause))]
    return tuple(word for clause in lasting for word in clause)


def copied(described: Sequence[str], caption: Sequence[Token]) -> tuple[set[str], list[Token]]:
    """What both say side by side: the description's words, and where the caption has them.

    One word in common says nothing ("green" eyes, a "green" light); two neighbours that meet again do, in any order.
    """
    neighbours = {frozenset(pair) for pair in pairwise(described)}
    met = [
        (left, right)
        for place, left in enumerate(caption)
        for right in caption[place + 1 : place + 1 + REACH]
        if frozenset((left.word, right.word)) in neighbours
    ]
    places = {token for pair in met for token in pair}
    return {token.word for token in places}, [token for token in caption if token in places]


def stretches(text: str, caption: Sequence[Token], places: Sequence[Token]) -> list[str]:
    """The copied pieces of a caption as they stand there, longest first."""
    runs = (list(run) for taken, run in groupby(caption, set(places).__contains__) if taken)
    pieces = [text[run[0].start : run[-1].end] for run in runs]
    return sorted(pieces, key=len, reverse=True)


@caption_rule("CAP-HERO", dict.fromkeys(STRICT, ERROR), f"{GUIDE}: a hero prompt describes identity")
def no_copy(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Not a copy of the dataset's own description of its subject, or of its hero prompt; an outfit may be named."""
    described = features(facts.subject, facts.wears)
    if len(set(described)) < FEWEST:
        return
    text = body(caption, facts.trigger)
    said = tokens(text)
    shared, places = copied(described, said)
    total = len(set(described))
    if len(shared) >= min(max(FEWEST, SHARE * total), MOST):
        yield Remark(
            f"The caption copies the dataset's description of its subject, {len(shared)} of its {total} words "
            f"(clothes aside): {quoted(stretches(text, said, places))}.",
            "write_captions again without it: the trigger stands for the subject; say what this image alone shows.",
        )
