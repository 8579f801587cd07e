"""Whose a thing in a caption is: the subject's, or another person's, an animal's, a picture's, a thing's. Pure.

A caption becomes a `Scene`: its words, with the trigger as one word of its own (`SUBJECT`), and the beings named in it,
each the subject's own (`ours`) or another's. `Scene.is_ours` then tells of any noun phrase whether it is the subject's:

    who owns it by grammar ("her", "the cat's", "an old man with ..."), else
    the last being before it in its clause, else whom the clause is about, else the subject.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.lexicon import VERBS, vocabulary
from loradeck.tools.rulebook.words import trigger_spans, words

SUBJECT = "\ue000"
"""Stands for the trigger among the words of a scene."""
TOKEN = re.compile(rf"{SUBJECT}|[’']s(?!\w)|[^\W_]+(?:[’'\-](?!s(?!\w))[^\W_]+)*|[.!?;:,()\"“”—–\n]")
STOPS = frozenset('.!?;:()"“”—–\n')
MASCULINE, FEMININE, PLURAL, NEUTER = "he", "she", "they", "it"
PRONOUNS = {
    "he": MASCULINE, "his": MASCULINE, "him": MASCULINE, "himself": MASCULINE,
    "she": FEMININE, "her": FEMININE, "herself": FEMININE, "hers": FEMININE,
    "they": PLURAL, "their": PLURAL, "them": PLURAL, "it": NEUTER, "its": NEUTER,
}  # fmt: skip
NOMINATIVE = frozenset({"he", "she", "they", "it"})
POSSESSIVE = frozenset({"his", "her", "its", "their"})

_DATA = vocabulary("ownership")


def with_plurals(text: str) -> frozenset[str]:
    """The nouns of a list, each as it stands and with a plural s."""
    nouns = text.split()
    regular = {f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeou" else f"{noun}s" for noun in nouns}
    hissing = {f"{noun}es" for noun in nouns if noun.endswith(("s", "x", "ch", "sh"))}
    return frozenset({*nouns, *regular, *hissing})


MALE, FEMALE, PEOPLE = (with_plurals(_DATA["people"][name]) for name in ("male", "female", "either"))
ANIMALS = with_plurals(_DATA["animals"]["names"])
MACHINES = with_plurals(_DATA["machines"]["names"])
DEPICTIONS = with_plurals(_DATA["depictions"]["names"])
PERSONS = MALE | FEMALE | PEOPLE
DOUBTFUL = with_plurals(_DATA["doubtful"]["names"])
BEINGS = PERSONS | ANIMALS | MACHINES | DEPICTIONS
GENERIC = with_plurals(_DATA["people"]["any"])
PLURALS = frozenset(noun for noun in BEINGS if noun.endswith("s") and noun[:-1] in BEINGS) | frozenset(
    _DATA["people"]["plural"].split()
)
GRAMMAR = {name: frozenset(text.split()) for name, text in _DATA["grammar"].items()}
DETERMINERS, INDEFINITE, PREPOSITIONS = (GRAMMAR[name] for name in ("determiners", "indefinite", "prepositions"))
CLOSED = (
    DETERMINERS
    | PREPOSITIONS
    | GRAMMAR["conjunctions"]
    | GRAMMAR["pronouns"]
    | GRAMMAR["copulas"]
    | STOPS
    | {",", "'s", SUBJECT}
)
KIN = {
    SubjectKind.PERSON: PERSONS,
    SubjectKind.CREATURE: ANIMALS | PERSONS,
    SubjectKind.ROBOT: MACHINES | PERSONS,
    SubjectKind.OBJECT: DEPICTIONS | MACHINES,
}


@dataclass(frozen=True)
class Being:
    """A noun phrase for a being or a picture of one: words `start` to `head`, and whether it is the subject."""

    start: int
    head: int
    ours: bool
    pronoun: str


@dataclass(frozen=True)
class Scene:
    """The words of a caption in lower case, where each stood, and what kind of thing the subject is."""

    text: str
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    kind: SubjectKind
    names: frozenset[str] = frozenset()
    """Words of the dataset's own description of its subject."""

    # ------------------------------------------------------------------ words

    def at(self, place: int) -> str:
        """The word there; a full stop outside the caption."""
        return self.words[place] if 0 <= place < len(self.words) else "."

    def phrase(self, start: int, end: int) -> str:
        """The caption's own text from word `start` to word `end`, lower case."""
        return " ".join(self.text[self.spans[start][0] : self.spans[end][1]].split())

    @cached_property
    def clauses(self) -> tuple[int, ...]:
        """For each word, where its clause starts: behind a stop, a comma between phrases or a conjunction."""
        starts, start = [], 0
        for place, word in enumerate(self.words):
            if word in STOPS or word == ",":
                start = place + 1
            elif word in GRAMMAR["clause_openers"] and word not in {"and", "before", "after", "since"}:
                start = place
            starts.append(start)
        return tuple(starts)

    @cached_property
    def sentences(self) -> tuple[int, ...]:
        """For each word, where its sentence starts."""
        starts, start = [], 0
        for place, word in enumerate(self.words):
            starts.append(start)
            if word in STOPS:
                start = place + 1
        return tuple(starts)

    def sentence_end(self, place: int) -> int:
        """The place of the stop that ends the sentence."""
        return next((end for end in range(place, len(self.words)) if self.words[end] in STOPS), len(self.words))

    # ------------------------------------------------------------------ beings

    @cached_property
    def gender(self) -> str | None:
        """The pronoun of the subject: the first that nobody else named before it in its sentence can be meant by."""
        for place, word in enumerate(self.words):
            if word in PRONOUNS and (word not in {"it", "its"} or self.kind != SubjectKind.PERSON):
                named = self.words[self.sentences[place] : place]
                if not any(other in BEINGS and _pronoun_of(other) in {PRONOUNS[word], NEUTER} for other in named):
                    return PRONOUNS[word]
        return None

    @cached_property
    def beings(self) -> tuple[Being, ...]:
        """Everybody who is named, in order: the subject, what refers to it, and others."""
        found: list[Being] = []
        for place, word in enumerate(self.words):
            if word == SUBJECT or (word in NOMINATIVE and self._may_be_subject(word)):
                found.append(Being(place, place, True, self.gender or NEUTER))
            elif word in BEINGS and self._is_named(place):
                start = self.phrase_start(place)
                found.append(Being(start, place, self._is_subject(start, place, found), _pronoun_of(word)))
            elif (
                word == "one" and self.at(place + 1) == "of" and self.at(place + 2) in {"them", "the", "these", "those"}
            ):
                found.append(Being(place, place, False, NEUTER))
        return tuple(found)

    def _may_be_subject(self, pronoun: str) -> bool:
        if PRONOUNS[pronoun] == NEUTER and self.kind == SubjectKind.PERSON:
            return False
        return self.gender in {None, PRONOUNS[pronoun]}

    def _is_named(self, place: int) -> bool:
        """False where the word only names the kind of another noun ("toy robot", "hunter's moon"), or is a verb."""
        following = self.at(place + 1)
        if following in BEINGS:
            return False
        start = self.phrase_start(place)
        several = self.words[place] in PLURALS and self.at(start - 1) in PREPOSITIONS
        return self.words[place] not in DOUBTFUL or several or self.words[start] in DETERMINERS

    def phrase_start(self, head: int) -> int:
        """Where the noun phrase with this head starts: at its determiner, or behind a word of another kind."""
        start = head
        while start > 0 and head - start < 7:
            before = self.words[start - 1]
            if before in DETERMINERS:
                start -= 1
                if before not in GRAMMAR["numbers"] | {"own", "other"}:
                    break
            elif before == "," and self.at(start - 2) not in CLOSED and self.at(start - 3) in DETERMINERS:
                start -= 1
            elif before in CLOSED:
                break
            else:
                start -= 1
        return start

    def _is_subject(self, start: int, head: int, before: list[Being]) -> bool:
        """True for a noun phrase that is another name of the subject."""
        word, opening, previous = self.words[head], self.words[start], self.at(start - 1)
        if previous == SUBJECT or (previous == "," and self.at(start - 2) == SUBJECT):
            return opening not in {"another", "other", "two", "three", "some"}
        if word not in KIN[self.kind] or _pronoun_of(word) == PLURAL:
            return False
        if self.kind == SubjectKind.PERSON and GRAMMAR["made"] & {*self.words[start:head]}:
            return False
        if previous in GRAMMAR["copulas"]:
            return bool(before) and before[-1].ours and self.sentences[before[-1].head] == self.sentences[head]
        if self._is_pictured(start) or (previous == "as" and self.at(start - 2) in GRAMMAR["shown"]):
            return True
        if opening in {"the", "this", "that"}:
            known = word in GENERIC or word in self.names or word in ANIMALS
            again = any(not one.ours and self.words[one.head] == word for one in before)
            return known and not again and self._opens_clause(start) and not self._is_elsewhere(head)
        return opening in {"a", "an"} and self._is_apposition(start, head, before)

    def _is_pictured(self, start: int) -> bool:
        """True for what a caption opens with the picture of: "TRIGGER, a photo of a young man"."""
        if self.at(start - 1) not in {"of", "shows", "depicts"} or self.at(start - 2) not in GRAMMAR["openers"]:
            return False
        return set(self.words[: self.phrase_start(start - 2)]) <= {SUBJECT, *STOPS, ","}

    def _opens_clause(self, start: int) -> bool:
        return start == self.clauses[start] or self.at(start - 1) in GRAMMAR["clause_openers"]

    def _is_apposition(self, start: int, head: int, before: list[Being]) -> bool:
        """True for "..., a heavyset man with a beard." and "A stooped old woman, she ...": no verb follows it."""
        if self.at(head + 1) not in GRAMMAR["appositive_next"] or self._is_elsewhere(head):
            return False
        sentence = self.sentences[start]
        named = next((one for one in before if one.head == start - 2 and self.at(start - 1) == ","), None)
        if named is not None:
            return named.ours
        if start == sentence:
            return (
                self._is_resumed(head) or set(self.words[:start]) <= {SUBJECT, *STOPS, ","} or self._is_fragment(head)
            )
        mine = [one for one in before if one.head >= sentence]
        return self.at(start - 1) in {",", "—", "–", "("} and (not mine or mine[0].ours)

    def _is_resumed(self, head: int) -> bool:
        """True where the sentence goes on with ", she ..."."""
        rest = range(head, self.sentence_end(head) - 1)
        return any(self.words[place] == "," and self.words[place + 1] in {*NOMINATIVE, SUBJECT} for place in rest)

    def _is_fragment(self, head: int) -> bool:
        """True for "A boxer of fifty with a thin scar, in a gym.": nothing in it looks like a verb in the present."""
        for place in range(head + 1, self.sentence_end(head)):
            word, following = self.words[place], self.at(place + 1)
            if word in VERBS or (word.endswith("s") and following not in {",", "and", *STOPS} and word not in CLOSED):
                return False
        return True

    def _is_elsewhere(self, head: int) -> bool:
        """True where the rest of the clause says that the being is beside the subject, or what it does there."""
        for place in range(head + 1, min(head + 16, len(self.words))):
            word = self.words[place]
            if word in STOPS or word == ",":
                return False
            if word in GRAMMAR["elsewhere_words"] and self.words[place - 1] != "from":
                return True
        return False

    # ------------------------------------------------------------------ owners

    def is_ours(self, start: int) -> bool:
        """True when the noun phrase that starts at this word is the subject's, as far as the words say."""
        opening, previous = self.words[start], self.at(start - 1)
        if self._is_likeness(start):
            return False
        if opening in POSSESSIVE or previous in POSSESSIVE:
            return self._pronoun_is_ours(start, opening if opening in POSSESSIVE else previous)
        if previous == "whose":
            return (self._last_being(start) or Being(0, 0, True, NEUTER)).ours
        if GRAMMAR["drawn"] & {*self.words[self.clauses[start] : start]}:
            return False
        if previous == "'s":
            return self._genitive_is_ours(start - 2)
        holder = self._last_being(start)
        if holder is not None and holder.head == self.sentences[start] - 2 and self.at(holder.head + 1) == ":":
            return holder.ours
        if holder is not None and holder.head >= self.clauses[start]:
            return holder.ours
        return self._topic_is_ours(start)

    def _is_likeness(self, start: int) -> bool:
        """True for "a dress printed with blue eyes", "a map of scars" and "like a bald head"."""
        joins, host = self.at(start - 1), self.at(start - 2)
        if "like" in {joins, host} and joins in {"like", "a", "an"}:
            return True
        return (joins == "with" and host in GRAMMAR["patterned"]) or (joins == "of" and host in GRAMMAR["collections"])

    def is_of_another(self, head: int) -> bool:
        """True for "the face of a cliff" and "the skin of the drum"."""
        place = head + 2
        if self.at(head + 1) != "of" or self.at(place) not in {"a", "an", "the", "another"}:
            return False
        return not any(one.start <= place <= one.head and one.ours for one in self.beings)

    def carries(self, start: int) -> bool:
        """True for what a thing in the hand has: "lifts a pumpkin with round eyes"; not for a dress or a place."""
        place = next((i for i in range(start - 1, self.clauses[start], -1) if self.words[i] == "with"), None)
        if place is None or self.host(start) is None:
            return False
        verb = self.at(self.phrase_start(place - 1) - 1)
        return verb not in CLOSED and not verb.startswith("wear")

    def host(self, start: int) -> str | None:
        """The thing that "with" hangs this phrase on: "door" in "a door with a lock and a long scar"; no being."""
        clause = self.clauses[start]
        place = next((i for i in range(start - 1, clause - 1, -1) if self.words[i] == "with"), None)
        if place is None or set(self.words[place + 1 : start]) & PREPOSITIONS:
            return None
        head = place - 1
        if self.at(self.phrase_start(head)) not in DETERMINERS or any(one.head == head for one in self.beings):
            return None
        return self.at(head)

    def _genitive_is_ours(self, place: int) -> bool:
        if self.at(place) == SUBJECT:
            return True
        owner = next((one for one in self.beings if one.head == place), None)
        return owner is not None and owner.ours

    def _last_being(self, place: int) -> Being | None:
        return next((one for one in reversed(self.beings) if one.head < place), None)

    def _pronoun_is_ours(self, place: int, pronoun: str) -> bool:
        meant = PRONOUNS[pronoun]
        if meant == NEUTER and self.kind == SubjectKind.PERSON:
            return False
        if self.gender is not None and meant != self.gender and PLURAL not in {meant, self.gender}:
            return False
        clause = self.clauses[place]
        last = self._last_being(place)
        if (
            last
            and not last.ours
            and place - 2 <= last.head + 1
            and self.at(last.head + 1) in {"by", "on", "with", "in"}
        ):
            return last.pronoun not in {meant, NEUTER} or (last.pronoun == NEUTER and self.gender == meant)
        near = [one for one in self.beings if clause <= one.head < place]
        if near:
            unsure = near[0].pronoun == NEUTER and (self.gender != meant or self._leads(near[0]))
            return near[0].ours or not (near[0].pronoun == meant or unsure)
        return self._topic_is_ours(place, meant)

    def _topic_is_ours(self, place: int, meant: str | None = None) -> bool:
        """True unless the clause goes on about another being that a clause before it in the sentence began with."""
        sentence, clause = self.sentences[place], self.clauses[place]
        topics = [one for one in self.beings if sentence <= one.head < clause and self._leads(one)]
        if not topics:
            return True
        last = topics[-1]
        return last.ours or (meant is not None and last.pronoun not in {meant, NEUTER})

    def _leads(self, one: Being) -> bool:
        """True for the being that a clause is about: no verb and no preposition stands before it in the clause."""
        start = self.clauses[one.start]
        led = self.words[start : one.start]
        return not led or led[-1] in GRAMMAR["clause_openers"]


def _pronoun_of(noun: str) -> str:
    if noun in PLURALS:
        return PLURAL
    return MASCULINE if noun in MALE else FEMININE if noun in FEMALE else NEUTER


def read_scene(text: str, trigger: str | None, kind: SubjectKind, subject: str = "") -> Scene:
    """The scene of a caption; a capitalised word of a longer trigger stands for the subject too ("Hamish's")."""
    marked = unicodedata.normalize("NFC", text.replace(SUBJECT, " "))
    for start, end in reversed(trigger_spans(marked, unicodedata.normalize("NFC", trigger)) if trigger else []):
        marked = f"{marked[:start]} {SUBJECT} {marked[end:]}"
    for part in (trigger or "").split():
        if part[0].isupper() and part.isalpha() and " " in (trigger or ""):
            marked = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", SUBJECT, marked)
    lowered = marked.lower() if len(marked.lower()) == len(marked) else marked
    found = list(TOKEN.finditer(lowered))
    tokens = tuple(match.group().lower().replace("’", "'") for match in found)
    return Scene(lowered, tokens, tuple(match.span() for match in found), kind, frozenset(words(subject)))
