"""CAP-PROSE: sentences, not a tag list.

A caption is cut into the parts between its marks. A part that nothing ties to a sentence (no article, no pronoun, no
verb, no "while") may be a tag; several in a row, or most of a caption without a verb, are a list of tags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, VERBS, VIEW, vocabulary
from loradeck.tools.rulebook.looks import without_quotes
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.words import body, words

MOST_WORDS = 6
"""A longer part is no tag."""
TAGS_IN_A_ROW = 4
TAGS_IN_A_TAIL = 3
"""So many behind a clause, when one of them is a lone "outdoors" or "night"."""
SHARE = 0.65
"""Of a caption without a verb, this share of tags makes it a list."""
FEW_TIES = 0.12
"""A list has no more than this share of articles, pronouns and the like."""
NOUN_PHRASE = 4
"""With an article, a part of a list without any verb has so many words at most: "a round window"."""

PROMPT_SYNTAX = re.compile(r"\([^()]*:\s*\d+(?:\.\d+)?\)|<\w+:[^>]*>|\(\(|\[\[|\bBREAK\b|(?<!\S)--\w+ \S|::\s*-?\d")
HASHTAG = re.compile(r"(?<!\w)#(?![0-9a-fA-F]{3,8}\b)[^\W\d]")
UNDERSCORE = re.compile(r"\w_\w")
FIELD = re.compile(r"(?:^|[.;,|\n])\s*[^\W\d_]+(?: [^\W\d_]+)?\s*[:=]\s*\S")
MARK = re.compile(r"[,;:|•·~\n]|[.!?…]+(?=\s|$)|[—–]|(?<=\s)(?:-+|/+|\++|>+|\*+)(?=\s)")

_WORDS = {name: frozenset(text.split()) for name, text in vocabulary("prose")["words"].items()}
ARTICLES, TIES, LONE = _WORDS["articles"], _WORDS["ties"], _WORDS["lone"]
ABOUT_THE_PICTURE = LONE | _WORDS["about_the_picture"]
PLAIN_VERBS = (VERBS - _WORDS["nouns_too"]) | {f"{verb}s" for verb in _WORDS["verbs"]}
BASE_VERBS = _WORDS["verbs"]
PLURAL = ("s", "people", "men", "children")
JOINS = frozenset({"and", "or"})
PREPOSITIONS = FUNCTION_WORDS - ARTICLES - TIES - JOINS
ABSOLUTE = re.compile(
    r"(?:\w+ed|\w+en|\w+ing|shut|set|bent|up|down|back|out|off|low|high|wide|slack|tight|bare|loose|askew|still|apart|away)$"
)
"""How a part ends that tells the state of something: "head tilted", "one knee up"."""


@dataclass(frozen=True)
class Part:
    """The words between two marks, the number of their sentence, and where they stand in it."""

    words: tuple[str, ...]
    sentence: int
    opens: bool
    """True for the first of a caption."""
    after_colon: bool
    closed: bool
    """True when a full stop ends it."""

    @property
    def tied(self) -> bool:
        """True when a word ties it to a sentence, or it is too long for a tag."""
        return (
            len(self.words) > MOST_WORDS
            or not TIES.isdisjoint(self.words)
            or not ARTICLES.isdisjoint(self.words)
            or (self.opens and self.words[0] in PLAIN_VERBS)
            or self.words[0] in JOINS
            or self.words[0] in PREPOSITIONS
        )

    @property
    def noun_phrase(self) -> bool:
        """True for a short "a round window", which only a caption without a verb uses as a tag."""
        rest = self.words[1:]
        return self.words[0] in ARTICLES and len(self.words) <= NOUN_PHRASE and FUNCTION_WORDS.isdisjoint(rest)

    @property
    def absolute(self) -> bool:
        """True for "head tilted": prose next to a sentence, a tag in a list."""
        return len(self.words) > 1 and ABSOLUTE.search(self.words[-1]) is not None

    @property
    def joined(self) -> bool:
        """True when it holds an "and"."""
        return not JOINS.isdisjoint(self.words)


def parts(text: str) -> Iterator[Part]:
    """The parts of a text that hold a word, in order."""
    start, sentence, opens, colon = 0, 0, True, False
    for match in [*MARK.finditer(text), None]:
        end = match.start() if match else len(text)
        mark = match[0] if match else ""
        spoken = words(text[start:end].lower())
        if spoken:
            yield Part(spoken, sentence, opens, colon, closed=mark[:1] in set(".!?"))
            opens = colon = False
        sentence += mark[:1] in set(".!?;\n")
        colon = mark == ":" and bool(spoken)
        start = match.end() if match else end


def tag_list_reason(text: str) -> str | None:
    """Why a text (trigger removed) is a tag list rather than sentences, or None."""
    reason = _syntax_reason(text)
    if reason or not is_english(text):
        return reason
    return _parts_reason(list(parts(without_quotes(text))), text)


def _syntax_reason(text: str) -> str | None:
    """A notation that only prompts use."""
    if PROMPT_SYNTAX.search(text):
        return "it carries prompt weights or switches such as (word:1.2)"
    if len(UNDERSCORE.findall(text)) > 1:
        return "it joins words with underscores"
    if len(HASHTAG.findall(text)) > 1:
        return "it is written in hashtags"
    if len(FIELD.findall(text)) > 2:
        return "it fills in a form of fields such as view: front"
    return None


def _parts_reason(every: Sequence[Part], text: str) -> str | None:
    """Tags in a row, or nothing but tags."""
    for row in _rows(every):
        enough = len(row) >= TAGS_IN_A_ROW or (len(row) == TAGS_IN_A_TAIL and _is_tail(row, every))
        if enough and not _enumerates(row, every):
            return f'{len(row)} of its {len(every)} parts stand in a row as tags ("{" ".join(row[0].words)}", ...)'
    return None if _has_verb(every) else _verbless_reason(every, text)


def _verbless_reason(every: Sequence[Part], text: str) -> str | None:
    """Most of a caption without a verb is tags, or things that nothing relates, or a few bare words."""
    spoken = [word for part in every for word in part.words]
    tags = sum(not part.tied for part in every)
    ties = sum(word in TIES or word in ARTICLES for word in spoken)
    telegraphic = ties <= FEW_TIES * len(spoken) and len(every) > (3 if ties else 2)
    if (telegraphic and tags > SHARE * len(every)) or _noun_phrases(every):
        return f"{tags or len(every)} of its {len(every)} parts are tags, and no verb makes a sentence of them"
    stopped = text.rstrip().endswith((".", "!", "?"))
    if spoken and tags == len(every) and FUNCTION_WORDS.isdisjoint(spoken) and not stopped:
        return f"it is {len(spoken)} bare word{'' if len(spoken) == 1 else 's'} without a verb or a full stop"
    return None


def _is_tail(row: tuple[Part, ...], every: Sequence[Part]) -> bool:
    """True for tags behind a clause: "walks a dog, park, morning, fog", but not "..., smiling, full body, noon"."""
    clause = any(part.sentence == row[0].sentence and part.tied for part in every)
    lone = any(len(part.words) == 1 and part.words[0] in LONE for part in row)
    described = any(
        (part.words[-1].endswith("ing") and part.words[-1] not in LONE) or VIEW.search(" ".join(part.words))
        for part in row
    )
    return clause and lone and not described


def _noun_phrases(every: Sequence[Part]) -> bool:
    """True for things that nothing relates to each other: "a laptop, a mug, a round window, green tones"."""
    return len(every) >= TAGS_IN_A_ROW and all(part.noun_phrase or not part.tied for part in every)


def _rows(every: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """The runs of parts that nothing ties to a sentence: within one, or each a sentence of its own."""
    alone = {number for number, times in Counter(part.sentence for part in every).items() if times == 1}

    def kind(part: Part) -> tuple[bool, int]:
        return not part.tied and not part.absolute, -1 if part.sentence in alone else part.sentence

    for (loose, _), run in groupby(every, key=kind):
        if loose:
            yield tuple(run)


def _enumerates(row: tuple[Part, ...], every: Sequence[Part]) -> bool:
    """True for things that a sentence counts up: "..., ropes, buoys, nets and boots", "fruit: plums, figs, pears."."""
    place = next(index for index, part in enumerate(every) if part is row[0])
    before, after = every[place - 1 : place], every[place + len(row) : place + len(row) + 1]
    if any(_meta(part) for part in row) or row[0].sentence != row[-1].sentence:
        return False
    if row[0].after_colon:
        return bool(before) and before[0].sentence == row[0].sentence and len(before[0].words) > 2
    if any(part.sentence == row[-1].sentence and part.joined for part in (row[-1], *after)):
        return _has_verb([part for part in every if part.sentence == row[0].sentence])
    inside = bool(before) and before[0].sentence == row[0].sentence and before[0].tied
    return inside and row[-1].closed and all(len(part.words) == 1 for part in row)


def _meta(part: Part) -> bool:
    """True for what only a tag says: the view, the hour, how the picture is meant."""
    return not ABOUT_THE_PICTURE.isdisjoint(part.words) or VIEW.search(" ".join(part.words)) is not None


def _has_verb(every: Sequence[Part]) -> bool:
    """True when a verb that can be told as one makes a sentence of some part."""
    begins = every[0].words if every else ()
    if len(begins) > 2 and _in_s(begins[0]) and begins[1] != "of":
        return True
    return any(_verb_at(part.words, place) for part in every for place in range(len(part.words)))


def _verb_at(spoken: tuple[str, ...], place: int) -> bool:
    """True for a known verb, for "goats climb", and for "locks an iron gate"."""
    word, following = spoken[place], spoken[place + 1 : place + 2]
    if word in PLAIN_VERBS or (word in BASE_VERBS and place and spoken[place - 1].endswith(PLURAL)):
        return True
    return bool(following) and _in_s(word) and (following[0] in ARTICLES or following[0] in TIES)


def _in_s(word: str) -> bool:
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "'s"))


@caption_rule("CAP-PROSE", graded(ERROR, WARNING), f"{GUIDE}: text encoders were trained on sentences")
def prose(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Sentences, not a comma-separated tag list."""
    reason = tag_list_reason("\n".join(body(line, facts.trigger) for line in caption.splitlines()))
    if reason:
        yield Remark(
            f"The caption reads as a tag list: {reason}; sentences are wanted.",
            "write_captions again in one to three plain sentences that say the same.",
        )
