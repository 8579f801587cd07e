"""What a caption describes of a body: lasting features, found as phrases; whose they are is `ownership`'s question.

A part of the body ("hair", "hands", "plating") is a feature where an adjective says how it lasts ("her long hair",
"his skin is pockmarked", "the deep brown of her skin"); in an action or a state ("closed eyes", "wind in his hair")
it is none. A mark ("beard", "scar", "tusks") is a feature by being named, and so are some adjectives ("lanky").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.lexicon import COLOURS, PLACE_WORDS, VERBS, any_of, vocabulary
from loradeck.tools.rulebook.ownership import (
    BEINGS,
    CLOSED,
    DETERMINERS,
    GRAMMAR,
    NOMINATIVE,
    PLURALS,
    POSSESSIVE,
    PREPOSITIONS,
    STOPS,
    SUBJECT,
    Scene,
    with_plurals,
)

_DATA = vocabulary("identity")
ALLOWED = any_of(_DATA["allowed"])
ADJECTIVES = {name: frozenset(text.split()) for name, text in _DATA["adjectives"].items()}
COLOUR = COLOURS | ADJECTIVES["colour"]
LASTING = COLOUR.union(*(ADJECTIVES[name] for name in ("length", "texture", "shape", "build", "personal")))
MATERIAL = ADJECTIVES["material"]
ADJUNCTS = ADJECTIVES["adjuncts"]
PASSING = ADJECTIVES["passing"]
PERSONAL = ADJECTIVES["personal"]
OF_PERSONS = PERSONAL | ADJECTIVES["before_persons"]
PARTS = {family: with_plurals(table["nouns"]) for family, table in _DATA["parts"].items()}
BARRED = {family: frozenset(table["barred"].split()) for family, table in _DATA["parts"].items()}
MARKS = {
    family: with_plurals(nouns) for family, nouns in _DATA["marks"].items() if family not in {"doubtful", "persons"}
}
DOUBTFUL = frozenset(_DATA["marks"]["doubtful"].split())
PERSON_FEATURES = with_plurals(_DATA["marks"]["persons"])
COMPOUND_HEADS = frozenset(_DATA["compounds"]["heads"].split())
EVERYWHERE = ("hair", "eyes", "skin", "face", "body")
ONLY = {
    "creature": {SubjectKind.CREATURE},
    "machine": {SubjectKind.ROBOT, SubjectKind.OBJECT},
    "robot": {SubjectKind.ROBOT},
}
SURFACES = {"hair", "eyes", "skin", "creature", "machine"}


@dataclass(frozen=True)
class Feature:
    """A phrase that describes a body: words `start` to `end`, the noun it hangs on, and its family."""

    family: str
    start: int
    end: int
    head: int


COMPOUND = re.compile(
    r"(.+)-(?:eyed|haired|skinned|faced|cheeked|legged|shouldered|bearded|nosed|chested|lipped|toothed|jawed|chinned|"
    r"browed|headed|necked|bellied|waisted|bodied|limbed|armed|fingered|eared|tailed|horned|winged|"
    r"clawed|furred|scaled|feathered|maned|snouted|complexioned|featured|built|boned|hipped|backed|bosomed|breasted|"
    r"nailed|muscled|moustached|mustached|tusked|toed|antlered|shelled|spined|beaked|finned|wheeled|knuckled|spotted)"
)
LIKE = re.compile(
    r".+-(?:colou?red|length|shaped|toned|tipped|like|striped|sized|hued|darkened|browned|worn|beaten|hardened|roughened|creased|burned|burnt|capped)"
)
ADJECTIVAL = re.compile(r".*(?:ed|en|ish|y|ing|less|ous|ful|ic|al|ive|ant|ent|able|ible|some)|.+-.+")
PASSING_STEMS = ADJECTIVES["passing_stems"]
PHRASES = {family: any_of(alternatives) for family, alternatives in _DATA["phrases"].items()}
WORDS = {name: frozenset(text.split()) for name, text in _DATA["words"].items()}


@lru_cache(maxsize=50_000)
def is_compound(word: str) -> bool:
    """True for "blue-eyed" and "three-legged", not for "wide-eyed", "red-faced" and "cross-legged"."""
    found = COMPOUND.fullmatch(word)
    if found is None:
        return False
    stem = found.group(1)
    flushed = stem in ADJECTIVES["flushes"] and word.endswith(
        ("faced", "cheeked", "nosed", "lipped", "knuckled", "eared")
    )
    return not flushed and PASSING_STEMS.isdisjoint({stem, stem.split("-")[-1]}) and word not in PASSING


@lru_cache(maxsize=50_000)
def is_lasting(word: str, family: str, kind: SubjectKind) -> bool:
    """True for an adjective that says how a part of this family lasts."""
    barred = BARRED[family] if kind == SubjectKind.PERSON else BARRED[family] & WORDS["states"]
    if word in barred:
        return False
    if word in LASTING or word in ADJUNCTS or (kind != SubjectKind.PERSON and word in MATERIAL):
        return True
    if LIKE.fullmatch(word) or is_compound(word):
        return True
    pieces = word.split("-")
    return len(pieces) > 1 and pieces[-1] in LASTING - barred


@lru_cache(maxsize=50_000)
def is_adjective(word: str) -> bool:
    """True for a word that may stand before a noun as its adjective."""
    if word in ADJUNCTS or word in COLOUR or word == "round":
        return True
    if word in CLOSED or word in BEINGS:
        return word in GRAMMAR["numbers"]
    return word in LASTING or word in MATERIAL or word in PASSING or ADJECTIVAL.fullmatch(word) is not None


def first_modifier(scene: Scene, head: int) -> int:
    """Where the adjectives before a noun start; a thing's parts may be named by one noun more ("neck joint")."""
    start, lone, nouns = head, head, 0 if scene.kind == SubjectKind.PERSON else 1
    for place in range(head - 1, max(-1, head - 9), -1):
        word = scene.words[place]
        if word in {"and", ","} and place + 1 == start and is_adjective(scene.words[start]):
            if not is_adjective(scene.at(place - 1)):
                break
            continue
        if not is_adjective(word):
            if not nouns or word in CLOSED or word in BEINGS:
                break
            nouns -= 1
        start, lone = place, lone if "," in scene.words[place:head] or "and" in scene.words[place:head] else place
    joined = scene.at(start - 1) in DETERMINERS | {"with", "of", "'s"}
    return start if joined else lone


def part_family(word: str, kind: SubjectKind) -> str | None:
    """The family of a part of the body that this kind of subject has."""
    families = [*EVERYWHERE, *(name for name, kinds in ONLY.items() if name in PARTS and kind in kinds)]
    return next((name for name in families if word in PARTS[name]), None)


# --------------------------------------------------------------------------- parts that are described


def parts(scene: Scene) -> Iterator[Feature]:
    """Parts of the body with a lasting description: before the noun, behind "is", or as "the brown of her skin"."""
    for head, word in enumerate(scene.words):
        family = part_family(word, scene.kind)
        if family is None or scene.at(head + 1) in COMPOUND_HEADS or scene.is_of_another(head):
            continue
        start = first_modifier(scene, head)
        if family == "body" and scene.kind == SubjectKind.PERSON and _of_stuff(scene, head):
            continue
        if word in WORDS["owned"] and scene.at(start - 1) not in POSSESSIVE | {"'s"}:
            continue
        if family == "creature" and _on_a_thing(scene, start, head):
            continue
        if described_before(scene, start, head, family):
            yield Feature(family, start, head, head)
        elif end := described_behind(scene, head, family):
            yield Feature(family, start, end, head)
        elif tone := described_by_of(scene, start, family):
            yield Feature(family, tone, head, head)


OPENED = frozenset({"open", "opened", "closed", "shut", "agape"})
"""Behind "wide" these tell of a state: a mouth wide open is no wide mouth."""


def _of_stuff(scene: Scene, head: int) -> bool:
    """True for "long fingers of metal tubing"."""
    return scene.at(head + 1) == "of" and scene.at(head + 2) not in POSSESSIVE | {SUBJECT}


def described_before(scene: Scene, start: int, head: int, family: str) -> bool:
    """Adjectives as in "long brown hair", and a number as in the six arms of a robot."""
    before = scene.words[start:head]
    if not OPENED.isdisjoint(before):
        before = tuple(word for word in before if word != "wide")
    if any(is_lasting(word, family, scene.kind) for word in before):
        return True
    counts = {*before, scene.at(start - 1)} & WORDS["many"]
    if scene.words[head] in {"legs", "feet", "paws"}:
        counts -= {"four"}
    return bool(counts) and scene.kind != SubjectKind.PERSON and scene.words[head] in WORDS["counted"]


def described_behind(scene: Scene, head: int, family: str) -> int | None:
    """Where it ends in "skin is pockmarked", "eyes a deep green", "hair, long and dark," or "paws of brass"."""
    if scene.at(head + 1) in WORDS["adverbs"]:
        head += 1
    first, second, third = (scene.at(head + step) for step in (1, 2, 3))
    lasts = [is_lasting(word, family, scene.kind) for word in (first, second, third)]
    surface = family in SURFACES
    if first in PREPOSITIONS - {"like", "of"}:
        return None
    if lasts[0] and second == "and" and (lasts[2] or third in COLOUR):
        return head + 3
    if lasts[0] and second == "as" and third in {"a", "an"}:
        return head + 1
    if first in WORDS["for_good"] and family in EVERYWHERE:
        return head + 1
    if first == "like" and family != "eyes" and second not in CLOSED - {"a", "an"}:
        return head + 2
    if first in GRAMMAR["copulas"] or (first in {"a", "an"} and surface):
        return _lasting_until(scene, head + 2, family)
    if (first == "," and surface and lasts[1]) or (first == "of" and second not in DETERMINERS):
        return _lasting_until(scene, head + 2, family)
    return _lasting_until(scene, head + 1, family) if surface and lasts[0] else None


def _lasting_until(scene: Scene, place: int, family: str) -> int | None:
    """The last of the lasting adjectives that stand together from here; none where a cause makes them a state."""
    last = None
    for here in range(place, min(place + 6, len(scene.words))):
        word = scene.words[here]
        if word == "wide" and scene.at(here + 1) in OPENED:
            return None
        if is_lasting(word, family, scene.kind):
            last = here
        elif word not in {"and", "a", "an"} | PASSING and not word.endswith("ly"):
            named = scene.words[place - 1] == "," or scene.words[here - 1] in WORDS["patterns"]
            by_cause = word in {"with", "from", "by"} and not named
            return None if by_cause else last
    return last


def described_by_of(scene: Scene, start: int, family: str) -> int | None:
    """Where "the deep brown of her skin" starts."""
    owner = scene.at(start - 1)
    if family == "body" or scene.at(start - 2) != "of" or (owner not in POSSESSIVE and owner != "the"):
        return None
    tone = start - 3
    return tone if scene.at(tone) in COLOUR | WORDS["tones"] else None


# --------------------------------------------------------------------------- what is a feature by being named


def marks(scene: Scene) -> Iterator[Feature]:
    """Beards, scars, tusks: named is described; not "wrinkles her nose", nor "like a scar in the land"."""
    for head, word in enumerate(scene.words):
        family = next(
            (name for name, nouns in MARKS.items() if word in nouns and scene.kind in ONLY.get(name, {scene.kind})),
            None,
        )
        if family is None or scene.at(head + 1) in COMPOUND_HEADS:
            continue
        if family in {"hair", "face", "body"} and scene.is_of_another(head):
            continue
        if word in {"scar", "scars"} and scene.at(head + 1) == "of":
            continue
        start = first_modifier(scene, head)
        if start == head and scene.at(head - 1) in BEINGS - PLURALS and scene.at(head - 2) in DETERMINERS:
            start = head - 1  # "a snake tattoo"
        if word in DOUBTFUL and start == head and not _is_noun(scene, head):
            continue
        if family != "hair" and _on_a_thing(scene, start, head):
            continue
        of_animals = scene.kind == SubjectKind.CREATURE and word in PARTS["creature"]
        if (family in ONLY or of_animals) and not _asserted(scene, start, head):
            continue
        yield Feature(family, start, head, head)


def _is_noun(scene: Scene, head: int) -> bool:
    """True for "a braid", "with curls", ", plaits over the shoulder"; not for "curls up" and "scars the wood"."""
    before, after = scene.at(head - 1), scene.at(head + 1)
    verb = after in DETERMINERS | {"and", ",", "up", "round", "around", "into", "back", "away", "off", "to", "against"}
    moves = scene.words[head] in {"curls", "braids", "plaits"} and after in {"in", "on", "under", "at", "by"}
    return before in DETERMINERS | {"with", "of", "'s"} or (before in {",", "."} and not verb and not moves)


def _asserted(scene: Scene, start: int, head: int) -> bool:
    """True for "with wet fur" and "two horns"; not for "its fur", "fangs bared" and "with horns lowered"."""
    before = scene.at(start - 1)
    claimed = before in GRAMMAR["indefinite"] | {"with", "has", "have", "and"}
    return claimed and not (start == head and ADJECTIVAL.fullmatch(scene.at(head + 1)))


def _on_a_thing(scene: Scene, start: int, head: int) -> bool:
    """True for "a scar in the landscape" and "white feathers over a floor"; not for "with wet fur in a kitchen"."""
    placed = scene.at(head + 1) in WORDS["elsewhere"] and scene.at(head + 2) in {"the", "a", "an"}
    if scene.at(start - 1) == "with" or not placed:
        return False
    return not any(part_family(word, scene.kind) for word in scene.words[head + 3 : head + 6])


def phrases(scene: Scene) -> Iterator[Feature]:
    """Features of several words: "widow's peak", "in her twenties"."""
    for family, pattern in PHRASES.items():
        if scene.kind not in ONLY.get(family, {scene.kind}) | (
            {SubjectKind.CREATURE} if family == "machine" else set()
        ):
            continue
        for match in pattern.finditer(scene.text):
            inside = [
                place for place, (start, end) in enumerate(scene.spans) if match.start() < end and start < match.end()
            ]
            if inside:
                yield Feature(family, first_modifier(scene, inside[0]), inside[-1], inside[-1])


# --------------------------------------------------------------------------- adjectives of a whole person


def personal(scene: Scene) -> Iterator[Feature]:
    """Adjectives that describe the subject as a whole where they stand for it: "gaunt and hollow-cheeked, ..."."""
    for place, word in enumerate(scene.words):
        if word not in PERSONAL and not is_compound(word):
            continue
        following = _behind_adjectives(scene, place)
        noun = scene.at(following)
        if noun in BEINGS or part_family(noun, scene.kind):
            continue
        if noun in WORDS["expressions"]:
            if not word.endswith("lipped"):
                yield Feature("face", place, following, following)
        elif noun in CLOSED - {"'s"} or noun in VERBS:
            if _predicates(scene, place):
                yield Feature("body", place, place, place)
        elif _names_subject(scene, place):
            yield Feature("body", place, following, following)


def _behind_adjectives(scene: Scene, place: int) -> int:
    """The place of the first word behind the adjectives that stand together here."""
    while True:
        joined = place + 1 if scene.at(place) in {"and", ","} else place
        word = scene.at(joined)
        if word in DETERMINERS or not (word in OF_PERSONS or is_adjective(word)):
            return place
        place = joined + 1


def _names_subject(scene: Scene, place: int) -> bool:
    """True in "TRIGGER, a stocky welder" and "she is a stocky welder"."""
    start = place
    while start > 0 and scene.words[start - 1] not in CLOSED:
        start -= 1
    if scene.at(start - 1) not in {"a", "an", "the"}:
        return scene.at(start - 1) == SUBJECT
    before = scene.at(start - 2)
    return before == SUBJECT or (before == "," and scene.at(start - 3) == SUBJECT) or before in GRAMMAR["copulas"]


def looks(scene: Scene) -> Iterator[Feature]:
    """What a tree may be too: "TRIGGER, tall and thin, ...", "Old and bent, he ..." and "she is tall"."""
    told = WORDS["looks"] if scene.kind == SubjectKind.PERSON else WORDS["looks"] | LASTING | MATERIAL
    for place, word in enumerate(scene.words):
        if word not in told:
            continue
        end = _behind_adjectives(scene, place)
        before, after = scene.at(place - 1), scene.at(end)
        named = before == "," and scene.at(place - 2) == SUBJECT
        opens = place == scene.sentences[place] and scene.at(end + 1) in NOMINATIVE | {SUBJECT}
        says = before in {"is", "looks"} and is_being(scene, place - 2)
        if after in STOPS | {","} and (named or opens or says):
            yield Feature("body", place, end - 1, place)


def appositions(scene: Scene) -> Iterator[Feature]:
    """What a thing looks like in its other name: "TRIGGER, a green glass bottle"."""
    for place, word in enumerate(scene.words):
        if word != SUBJECT or scene.at(place + 1) != "," or scene.at(place + 2) not in {"a", "an", "the"}:
            continue
        end = place + 3
        while scene.at(end) not in CLOSED:
            end += 1
        said = set(scene.words[place + 3 : end - 1])
        if (
            scene.kind != SubjectKind.PERSON
            and said & (LASTING | MATERIAL)
            and scene.at(end - 1) not in WORDS["specks"]
        ):
            yield Feature("body", place + 3, end - 1, end - 1)


def fittings(scene: Scene) -> Iterator[Feature]:
    """Any part that a thing is said to own: "its red silk lining"; a scarf or a shadow is none."""
    if scene.kind not in ONLY["machine"]:
        return
    for place, word in enumerate(scene.words):
        end = place + 1
        while (
            word in POSSESSIVE | {"'s"}
            and scene.at(end) not in CLOSED - {"round"}
            and scene.at(end - 1) not in WORDS["belongings"]
        ):
            end += 1
        said = set(scene.words[place + 1 : end - 1]) - WORDS["states"]
        if said & (LASTING | MATERIAL) and scene.words[end - 1] not in WORDS["belongings"] | BEINGS:
            yield Feature("body", place + 1, end - 1, end - 1)


def _predicates(scene: Scene, place: int) -> bool:
    """False where it is said of something else: "the plaster is scarred", "nose wrinkled", "by a tree, bald and"."""
    start = place
    while start > 0 and (scene.words[start - 1] == "and" or is_adjective(scene.words[start - 1])):
        start -= 1
    before = scene.at(start - 1)
    if before in GRAMMAR["copulas"]:
        return is_being(scene, start - 2) or scene.at(start - 2) in {"who", "that", "which"}
    if before == ",":
        return not any(one.head == start - 2 and not one.ours for one in scene.beings)
    if before in PREPOSITIONS | DETERMINERS:
        return False
    return before in CLOSED or before in VERBS or is_being(scene, start - 1)


def is_being(scene: Scene, place: int) -> bool:
    """True where a being's noun phrase ends."""
    return any(one.head == place for one in scene.beings)


def persons(scene: Scene) -> Iterator[Feature]:
    """Nouns for the subject that are described, or that describe: "an elderly gentleman", "a redhead"."""
    for one in scene.beings:
        if one.ours and one.head > one.start - 1 and scene.words[one.head] in BEINGS:
            told = [w for w in scene.words[one.start : one.head] if w in OF_PERSONS or is_compound(w)]
            if scene.kind != SubjectKind.PERSON:
                told += [w for w in scene.words[one.start : one.head] if w in LASTING or w in MATERIAL]
            if told or scene.words[one.head] in PERSON_FEATURES:
                yield Feature("body", one.start, one.head, one.head)


# --------------------------------------------------------------------------- together


def features(scene: Scene) -> Iterator[Feature]:
    """Every feature of the subject that a scene describes, in no order."""
    silent = [match.span() for match in ALLOWED.finditer(scene.text)]
    for find in (parts, marks, phrases, personal, looks, appositions, fittings):
        for one in find(scene):
            at, until = scene.spans[one.head]
            allowed = any(start <= at and until <= end for start, end in silent)
            if not allowed and belongs(scene, one):
                yield one
    yield from persons(scene)


def belongs(scene: Scene, one: Feature) -> bool:
    """True when the feature is the subject's; what a machine and a street both have must be said to be its own."""
    if not scene.is_ours(one.start):
        return False
    host = scene.host(one.start)
    if one.family == "machine" and not (scene.kind == SubjectKind.ROBOT and scene.words[one.head] in WORDS["robotic"]):
        return host is None and _is_explicit(scene, one)
    if host is not None and one.family in {"hair", "eyes"}:
        return not scene.carries(one.start)
    in_place = scene.kind == SubjectKind.PERSON and host in PLACE_WORDS
    return host is None or in_place or scene.words[one.head] not in WORDS["shared"]


def _is_explicit(scene: Scene, one: Feature) -> bool:
    """True where "its" or "both" stands near, a part of a body is named, or "with" follows its name."""
    clause = scene.clauses[one.start]
    if {*scene.words[clause : one.end + 6]} & {*POSSESSIVE, "both", "'s"} or {
        *scene.words[one.start : one.end]
    } & PARTS["body"]:
        return True
    named = [being.head for being in scene.beings if being.ours and clause <= being.head < one.start]
    return bool(named) and "with" in scene.words[named[-1] : one.start]
