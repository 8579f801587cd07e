"""Whether a text names a view, a place, a light, an expression, a thing: by families of words and where they stand."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from loradeck.tools.rulebook.colouring import NAMES
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS
from loradeck.tools.rulebook.nouns import CARRIERS, forms, noun_class
from loradeck.tools.rulebook.nouns import PLACES as CLASSES_OF_PLACES
from loradeck.tools.rulebook.scene import DATA, LOADED, NAMED, WORD_LISTS, directed, heard, own, shown, unnamed
from loradeck.tools.rulebook.words import lemma, words

# --------------------------------------------------------------------------- view and light

VIEW = heard(DATA["views"]["view"])
COMPOSITION = heard(DATA["views"]["composition"])
LIGHT = heard([pattern for patterns in DATA["lights"].values() for pattern in patterns])
HINTS = {name: heard(patterns) for name, patterns in DATA["hints"].items()}
"""Weaker evidence, looked for where none was found: an unneeded finding costs more than a missed one."""


@lru_cache(maxsize=20_000)
def names_view(text: str) -> bool:
    """True when a text names a framing or a camera angle."""
    scene = directed(text)
    return VIEW.search(scene) is not None or HINTS["view"].search(scene) is not None


@lru_cache(maxsize=20_000)
def names_composition(text: str) -> bool:
    """True when a text tells how the picture is laid out."""
    return names_view(text) or COMPOSITION.search(unnamed(text)) is not None


@lru_cache(maxsize=20_000)
def names_light(text: str) -> bool:
    """True when a text tells what lights the scene; lamps for sale and light blue shirts do not."""
    scene = LOADED.sub(" ", unnamed(text))
    return LIGHT.search(scene) is not None or HINTS["light"].search(scene) is not None


# --------------------------------------------------------------------------- places

PLACES = WORD_LISTS["places"]
STATIONS = WORD_LISTS["stations"]
BELONGINGS = WORD_LISTS["belongings"]
NO_PLACES = WORD_LISTS["no_places"]
PLACE_ENDINGS = tuple(WORD_LISTS["place_endings"])
SHORTEST_STEM = 3
PARTICIPLE = re.compile(r"(?<!bik)[aeiu]shed$")
"""What ends like a shed and was done to something: tarnished, brushed, washed."""
LIGHTS = frozenset(
    ["light", "lights", "lamp", "lamps", "lamplight", "daylight", "glow", "glare", "lighting", "sunlight"]
)
TURNED = frozenset({"square", "level", "flat", "parallel", "tracks", "hull", "roof"})
"""What is a place as a noun and the way a figure stands as an adjective: square to the lens."""
MADE = frozenset({"person", "animal", "food", "garment", "fabric", "instrument", "artefact"})
"""Classes of things that a place in front of them only tells apart."""
AT_PLACE = WORD_LISTS["at"]
BESIDE = WORD_LISTS["beside"]
HELD = WORD_LISTS["held"]
NO_SITES = WORD_LISTS["no_sites"]
LEADING = WORD_LISTS["leading"]
DETERMINERS = frozenset({"a", "an", "the", "two", "three", "some", "one"})
PARTS_OF_PLACES = frozenset(
    ["view", "shot", "corner", "middle", "back", "edge", "foot", "heart", "depths", "pit", "floor", "ruins", "rest"]
)
AFAR = frozenset({"behind", "beyond"})
OPENING = frozenset({"on", "in", "at", "by", "aboard", "inside", "under", "beneath", "behind", "beside", "near"})
MOST_BEFORE = 3
MOST_ADJECTIVES = 2
GARMENT_WORDS = WORD_LISTS["garments"]
BESIDE_ANY = WORD_LISTS["unknown"]
LOOKS = WORD_LISTS["looks"]
VIEWED = frozenset(
    [
        "camera",
        "lens",
        "viewer",
        "frame",
        "picture",
        "viewpoint",
        "sun",
        "moon",
        "sky",
        "wind",
        "cold",
        "point",
        "end",
        "edge",
        "rest",
        "others",
        "other",
    ]
)
SURROUNDINGS = frozenset({"artefact", "plant", "vehicle", "furniture", "instrument"})
MOST_BETWEEN = 4
ARTICLES = frozenset({"a", "an", "the"})
STOPS = frozenset(",.;:!?—")
WORD_OR_STOP = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,.;:!?—]")
PLACE_LIGHT = re.compile(
    r"\b(?!street|stage|porch|sky|city|window|ceiling|flat|square|plain|common|court|low|strip|spot)"
    r"(\w+) (?:lights?|lamps?|tubes?)\b"
)
"""A light that tells where it is: ward lights, stadium lights."""
SITES = heard(DATA["sites"]["phrases"])
TRADE = re.compile(
    r"\b(?:at|in|outside|into|of|behind) (?:a|an|the|his|her) (?:[\w-]+ )?"
    r"[\w-]+(?:er|or|ist|ian|man|smith|grocer|monger|chemist)'s(?! (?:hand|arm|bench-end|coat|hat|cap|jacket|shirt))\b"
)
IN_TOWN = re.compile(
    r"\b(?:in|near|outside|above|off|across|through|at|around|over|along)(?: the| old| downtown| central)? "
    r"[A-ZÀ-ÖØ-Þ][\w-]+(?:[ -][A-ZÀ-ÖØ-Þ][\w-]+)*(?=[,.;:!?]|$| (?:in|at|on|under|and|with|by|from|as|beside|below)\b)"
)


def is_place(word: str) -> bool:
    """True for a word that names a place wherever it stands: a room, a building, land or water."""
    if word in NO_PLACES:
        return False
    known = forms(word)
    compound = any(
        form.endswith(PLACE_ENDINGS) and len(form) > SHORTEST_STEM + 4 and not PARTICIPLE.search(form) for form in known
    )
    return compound or not PLACES.isdisjoint(known)


@lru_cache(maxsize=20_000)
def _is_station(word: str) -> bool:
    """True for what is a place to whoever is in, on or at it: a sofa, a tram, a crypt."""
    if word in WORD_LISTS["parts"]:
        return False
    return not STATIONS.isdisjoint(forms(word)) or noun_class(word) in CLASSES_OF_PLACES | CARRIERS


def qualifies(word: str, after: str) -> bool:
    """True when a noun only says what kind of thing the next one is: a harbour pilot, a field jacket, a hotel towel."""
    if after in BELONGINGS or after in LIGHTS or (after == "to" and word in TURNED):
        return True
    kind = noun_class(after)
    return kind in MADE and not is_place(after) and not _is_station(after) and not is_place(f"{word}{after}")


def _stands_at(spoken: tuple[str, ...], place: int) -> bool:
    """True when a preposition of place leads up to a word, "on an open truck", or it opens a clause: ", a wall"."""
    reach = MOST_BETWEEN + (3 if "of" in spoken[max(0, place - MOST_BETWEEN) : place] else 0)
    before = spoken[max(0, place - reach) : place]
    stop = max((number for number, word in enumerate(before) if word in STOPS), default=None)
    opens = stop is not None and FUNCTION_WORDS.isdisjoint({*before[stop + 1 :]} - ARTICLES)
    return opens or not AT_PLACE.isdisjoint(before)


def _is_beside(spoken: tuple[str, ...], place: int) -> bool:
    """True for any thing that the figure is beside, behind or among: vending machines, ferns, "near the pithead"."""
    word, before = spoken[place], spoken[max(0, place - MOST_BETWEEN) : place]
    leads = [number for number, one in enumerate(before) if one in BESIDE]
    if not leads or not HELD.isdisjoint(forms(word)):
        return False
    lead, between = before[leads[-1]], before[leads[-1] + 1 :]
    if lead == "at" and leads[-1] and before[leads[-1] - 1] in LOOKS:
        return False
    if not FUNCTION_WORDS.isdisjoint({*between} - ARTICLES - {"two", "some"}):
        return False
    return noun_class(word) in SURROUNDINGS or (lead in BESIDE_ANY and between == ("the",) and _is_unknown(word))


def _opens_with(spoken: tuple[str, ...], place: int) -> bool:
    """True for whatever the figure is said to be on or in first of all: "on a moraine", "dozing in a couchette"."""
    word, ends = spoken[place], spoken[place + 1 : place + 2]
    if ends and ends[0] not in STOPS and ends[0] not in FUNCTION_WORDS:
        return False
    leads = [number for number in range(min(place, MOST_BEFORE)) if spoken[number] in OPENING]
    if not leads or spoken[leads[0] + 1] not in ARTICLES or not STOPS.isdisjoint(spoken[: leads[0]]):
        return False
    between = spoken[leads[0] + 2 : place]
    if len(between) > MOST_ADJECTIVES or not STOPS.union(FUNCTION_WORDS).isdisjoint(between):
        return False
    if any(one in NAMES or one.rsplit("-", 1)[-1] in NAMES for one in between):
        return False  # what has a colour is worn rather than stood on
    phrase = " ".join((spoken[leads[0]], *spoken[leads[0] + 1 : place + 1]))
    worn = GARMENT_WORDS.isdisjoint(forms(word)) and HELD.isdisjoint(forms(word))
    return worn and _is_plain(phrase) and (noun_class(word) in SURROUNDINGS or _is_unknown(word))


def _is_plain(phrase: str) -> bool:
    """True for a phrase that tells neither a view nor a light."""
    return not any(known.search(phrase) for known in (VIEW, LIGHT, HINTS["view"], HINTS["light"]))


def _is_somewhere(spoken: tuple[str, ...], place: int) -> bool:
    """True for a thing that is not held or worn, with a preposition before it, "on a strand", or "behind" after it."""
    word, ends = spoken[place], spoken[place + 1 : place + 2]
    if not HELD.isdisjoint(forms(word)) or not GARMENT_WORDS.isdisjoint(forms(word)) or word in NO_SITES:
        return False
    if word.endswith(("ed", "ing")):
        return False
    start = next((n for n in range(place - 1, max(-1, place - MOST_BETWEEN), -1) if spoken[n] in FUNCTION_WORDS), -1)
    if start < 0 or spoken[start] not in DETERMINERS or not STOPS.isdisjoint(spoken[start:place]):
        return False
    phrase = " ".join(spoken[start : place + 1])
    between = spoken[start + 1 : place]
    coloured = any(one in NAMES or one.rsplit("-", 1)[-1] in NAMES for one in between)
    if len(between) > MOST_ADJECTIVES or coloured:
        return False
    after = list(spoken[place + 1 : place + 1 + MOST_BETWEEN])
    after = after[: next((n for n, one in enumerate(after) if one in STOPS), len(after))]
    if not AFAR.isdisjoint(after):
        return (noun_class(word) in SURROUNDINGS or _is_unknown(word)) and _is_plain(phrase)
    headed = not ends or ends[0] in STOPS or ends[0] in FUNCTION_WORDS or ends[0].endswith("ing")
    led = spoken[max(0, start - 2) : start]
    leads = bool(led) and (led[-1] in LEADING or (led[-1] == "of" and led[0] in PARTS_OF_PLACES))
    return leads and headed and _is_unknown(word) and _is_plain(phrase)


def _is_unknown(word: str) -> bool:
    """True for a word that may be any noun: not a part of a face, a feeling, a light, a person."""
    known = FUNCTION_WORDS | FEELINGS | FACES | WORD_LISTS["parts"] | LIGHTS | STOPS | VIEWED | NAMES
    return noun_class(word) is None and known.isdisjoint(forms(word)) and not word.endswith("ly")


@lru_cache(maxsize=20_000)
def names_place(text: str) -> bool:
    """True when a text tells where it is: a place, a thing to be at, or a town."""
    scene = shown(text)
    if IN_TOWN.search(scene) or TRADE.search(scene.lower()) or SITES.search(unnamed(text)):
        return True
    spoken = tuple(WORD_OR_STOP.findall(NAMED.sub(_last_word, scene).lower()))
    told = any(
        word not in STOPS
        and (
            is_place(word)
            or (_is_station(word) and _stands_at(spoken, place))
            or _is_beside(spoken, place)
            or _opens_with(spoken, place)
            or _is_somewhere(spoken, place)
        )
        and not qualifies(word, after)
        for place, (word, after) in enumerate(pairwise((*spoken, ".")))
    )
    return told or HINTS["place"].search(unnamed(text)) is not None or _has_place_light(unnamed(text))


def _has_place_light(scene: str) -> bool:
    return any(is_place(one[1]) or _is_station(one[1]) for one in PLACE_LIGHT.finditer(scene))


def _last_word(name: re.Match[str]) -> str:
    """Of a name its last word, which may say what it is: Victoria Park, Moonlight Diner."""
    parts = name.group().split()
    return f" {parts[-1]} " if len(parts) > 1 else " "


# --------------------------------------------------------------------------- faces

EXPRESSIONS: dict[str, frozenset[str]] = {
    family: frozenset(text.split()) for family, text in DATA["expressions"].items()
}
FEELINGS = frozenset[str]().union(*EXPRESSIONS.values())
FACES = WORD_LISTS["faces"]
SIGNS = heard(DATA["faces"]["signs"])
HIDDEN = heard(DATA["faces"]["hidden"])
OF_THINGS = ARTICLES | {"of", "some", "two", "three", "his", "her", "its", "their", "in", "on"}
OF_SCENES = frozenset(
    {"calm", "serene", "tranquil", "peaceful", "sleepy", "angry", "lonely", "desolate", "gloomy", "hostile"}
)
"""What a sea, a village or a sky is as well."""
LOOKS_WORN = WORD_LISTS["worn"]
"""What a face wears may itself do something: a smile creasing the cheeks."""
OF_MATTER = frozenset(
    {"wooden", "iron", "stone", "gold", "golden", "silver", "red", "white", "black", "brass", "tin", "plain"}
)
FACE_LIKE = re.compile(r"\b(?:face|eyes|expression|mouth|look|smile|grin) (?:\w+ )?like\b")
ALONE = re.compile(r"(?<=,) ([a-z]{4,}(?:-[a-z]+)?)(?=[,.;])")
NOT_FELT = NAMES | FUNCTION_WORDS | WORD_LISTS["parts"] | GARMENT_WORDS | WORD_LISTS["alone"]
AMBIGUOUS = frozenset({"stern", "cross", "content", "spent", "arch", "strain", "resolve", "worn", "alarm", "calm"})


@lru_cache(maxsize=20_000)
def names_expression(text: str) -> bool:
    """True when a text says what the face does, by name or by its signs."""
    scene = unnamed(text)
    if SIGNS.search(scene):
        return True
    spoken = (".", *WORD_OR_STOP.findall(shown(text).lower()), ".")
    known = {*WORD_OR_STOP.findall(scene)}
    told = any(
        word in FEELINGS and word in known and is_felt(before, word, after)
        for before, word, after in zip(spoken, spoken[1:], spoken[2:], strict=False)
    )
    return told or _hints_at_expression(text, scene)


def _hints_at_expression(text: str, scene: str) -> bool:
    alone = any(_may_be_felt(word) for word in ALONE.findall(f", {scene}."))
    return alone or HINTS["face"].search(own(text)) is not None or FACE_LIKE.search(text.lower()) is not None


def _may_be_felt(word: str) -> bool:
    """True for a word that stands alone between commas and is nothing else that is known: ", beaten,"."""
    if word.endswith(("deep", "high", "long", "up", "on", "s")) and not word.endswith(("ss", "ous")):
        return False  # knee-deep; what it does, "sniffs"
    return noun_class(word) in {None, "feeling"} and not is_place(word) and word not in NOT_FELT and _is_plain(word)


def is_felt(before: str, word: str, after: str) -> bool:
    """False for a feeling that is another thing's: two laughing girls, a calm sea, the stern of a ferry."""
    if word in LOOKS_WORN and after.endswith(("ing", "s", "ed")) and noun_class(after) not in {"person", "animal"}:
        return True
    if word in AMBIGUOUS and (before in ARTICLES or before in OF_MATTER or after == "of") and after not in FACES:
        return False
    ends = after in STOPS or after in FUNCTION_WORDS or after in FACES or after in FEELINGS or after.endswith("ly")
    return ends or not (before in OF_THINGS or word in OF_SCENES)


@lru_cache(maxsize=20_000)
def hides_face(text: str) -> bool:
    """True when a text says that no face shows."""
    return HIDDEN.search(unnamed(text)) is not None


# --------------------------------------------------------------------------- subjects

GROUND_FIRST = re.compile(r"^\W*(?:on|against|above|over|before) (?:a|an|the) [^,.;:]*?(?=\bwith\b|[,.;:]|$)")
"""What the subject lies on, told first: "on a slate-grey table with"."""
TONES = re.compile(r"\b(?:tones|shades|tints|hues) of \w+")
"""Colours by the name of anything: in two tones of clay."""
FORMS = frozenset(DATA["forms"]["words"].split())


@lru_cache(maxsize=20_000)
def names_subject(text: str) -> bool:
    """True when a text names a thing, not only colours, forms and light."""
    spoken = words(LIGHT.sub(" ", TONES.sub(" ", GROUND_FIRST.sub(" ", unnamed(text)))))
    return any(
        word not in FUNCTION_WORDS
        and word not in NAMES
        and not {word, lemma(word)} & FORMS
        and not word.endswith("ly")
        and not word[0].isdigit()
        for word in spoken
    )
