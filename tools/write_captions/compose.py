"""Captions built from attributes: the sentence shape is chosen by a hash of the image, so every run gives the same.

Only what is known is said, and nothing is made up to reach a length: a caption that stays short is told as short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import COLOURS, FUNCTION_WORDS, LIGHT_WORDS
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import mentions, words

MOST_COLOURS = 3
Shape = TypeVar("Shape")

COLOURED = (
    "{S} in {palette}, {detail}.",
    "{S} coloured {palette}, {detail}.",
    "One sees {s} in {palette}, {detail}.",
    "{Palette} for the colour of {s}, {detail}.",
    "Drawn in {palette}, {detail}, here is {s}.",
    "What shows in {palette} is {s}, {detail}.",
)
DETAILS = (
    (),
    (
        "with no second colour to speak of",
        "the whole of it in one hue",
        "and hardly any other colour besides",
        "kept to that single tone throughout",
        "one colour over all of it",
        "from one side to the other",
    ),
    (
        "the {c1} larger in area",
        "with {c2} in the smaller part",
        "more of the first than of the second",
        "mostly the {c1} of the two",
        "the {c2} only in some places",
        "{c1} ahead of {c2} by size",
    ),
    (
        "the {c1} largest in area",
        "with {c3} in the smallest part",
        "mostly the {c1} of the three",
        "the {c3} only in some places",
        "{c2} second by size and {c3} last",
        "led by a good deal of {c1}",
    ),
)
"""What is said of one, two and three colours, which come in the order of their area."""
UNCOLOURED = ("What is shown here is {s}.", "Here one sees {s} and nothing more.")
AGAIN = (
    "By area {c1} comes first{then}.",
    "Among the tones {c1} is the one that stands out{then}.",
    "Look for {c1} before anything else{then}.",
    "It would be known at once by its {c1}{then}.",
)
"""A second sentence, for target models that want more words than subject and colours need."""

FRAMINGS = {Framing.CLOSE_UP: "in close-up", Framing.MEDIUM: "from the waist up", Framing.FULL_BODY: "at full length"}
ANGLES = {
    Angle.THREE_QUARTER_LEFT: "turned three-quarters to the left",
    Angle.THREE_QUARTER_RIGHT: "turned three-quarters to the right",
    Angle.PROFILE_LEFT: "in profile to the left",
    Angle.PROFILE_RIGHT: "in profile to the right",
    Angle.BACK: "seen from behind",
    Angle.BACK_LEFT: "seen from behind and a little from the left",
    Angle.BACK_RIGHT: "seen from behind and a little from the right",
    Angle.LOW: "seen from below",
    Angle.HIGH: "seen from above",
}
FRONTS = ("facing the camera", "seen from the front", "looking straight ahead")
"""Said in turn of front views, which are the most in many sets: one phrase for all would be in half of the captions."""
ORDERS = (
    ("look", "view", "worn", "pose"),
    ("view", "look", "pose", "worn"),
    ("worn", "view", "look", "pose"),
    ("view", "worn", "pose", "look"),
)
"""In which order the first sentence tells what a figure does."""
SUBJECTS = (
    ("{S} with {place} behind", "{S} in view"),
    ("One sees {s}, and {place} around it", "Here one sees {s}"),
    ("{Place} surrounds {s}", "Here one finds {s}"),
    ("Set against {place} one finds {s}", "What shows is {s}"),
    ("Here, before {place}, one sees {s}", "One sees {s} here"),
    ("{S} as found in front of {place}", "There one finds {s}"),
)
"""The first sentence of a look, with and without a known setting."""
PLACES = (
    "The setting is {place}",
    "Behind lies {place}",
    "{Place} fills the background",
    "Around it one sees {place}",
    "The place is {place}",
    "{Place} can be made out behind",
)
LIGHTS = (
    "{Light} falls on the scene",
    "It is lit by {light}",
    "{Light} sets the mood",
    "All of it is under {light}",
    "{Light} comes in",
    "What reaches it is {light}",
)
GROUNDS = COLOURS | {
    "plain",
    "solid",
    "neutral",
    "dark",
    "bright",
    "light",
    "pale",
    "blurred",
    "blurry",
    "empty",
    "blank",
}
"""What an attribute may call a background without a noun: "plain", "dark grey"."""
MOST_TRIES = 12
"""So many shapes are tried for a caption that would be refused as too short."""
PLURAL_EXCEPTIONS = ("ss", "us", "is", "as", "os")
UNCOUNTED = frozenset({"people", "data", "food", "furniture", "music", "water", "bread", "money", "weather", "news"})


@dataclass(frozen=True)
class Known:
    """What is known of one image, as phrases; an empty one is left out of the caption. `seed` names the image."""

    seed: str
    subject: str = ""
    colours: tuple[str, ...] = ()
    place: str = ""
    light: str = ""
    pose: str = ""
    worn: str = ""
    look: str = ""
    view: str = ""


def what_is_known(facts: SetFacts, image: KeptImage, seed: str, colours: Sequence[str]) -> Known:
    """The phrases that the image's attributes give; `colours` serve where the attributes name none.

    What never varies in the set is left out: that is the redundancy rule.
    """
    light = _varying(facts, image, "lighting")
    worn = _with_article((image.known("wardrobe") or "").removeprefix("wearing "))
    expression = image.known("expression") if image.face_shows else None
    return Known(
        seed=seed,
        subject=_with_article(image.known("subject") or ""),
        colours=tuple(str(colour).lower() for colour in image.attributes.get("colors") or colours)[:MOST_COLOURS],
        place=_with_article(_with_noun(_varying(facts, image, "background"))),
        light=light if not light or mentions(light, LIGHT_WORDS) else f"{light} light",
        pose=image.known("pose") or "",
        worn=f"wearing {worn}" if worn and _share(facts, image, "wardrobe") < facts.limits.redundant_error else "",
        look=_expression(expression) if expression else "",
        view=_view(image, seed),
    )


def compose(facts: SetFacts, known: Known) -> str | None:
    """The caption, trigger in front; None when too little is known to say anything.

    Brand profiles need the subject, a look its subject or its setting, a figure anything at all.
    """
    if facts.is_figure:
        text = _figure(facts, known)
        return f"{facts.trigger}, {text}" if text else None
    text = _brand(facts, known) if facts.profile in BRAND else _look(known)
    return f"{facts.trigger}. {text}" if text else None


# --------------------------------------------------------------------------- captions by profile


def _brand(facts: SetFacts, known: Known) -> str:
    """Subject and colours, then surroundings that vary, then the colours once more where words are still wanted."""
    if not known.subject:
        return ""
    slots = {f"c{place}": colour for place, colour in enumerate(known.colours, 1)} | {"s": known.subject}
    slots["palette"] = _listed(known.colours)
    slots |= {"S": _upper(known.subject), "Palette": _upper(slots["palette"])}
    if known.colours:
        detail = _pick(DETAILS[len(known.colours)], known.seed, "detail").format(**slots)
        parts = [_pick(COLOURED, known.seed, "opening").format(detail=detail, **slots)]
    else:
        parts = [_pick(UNCOLOURED, known.seed, "opening").format(**slots)]
    parts += _surroundings(known)
    if known.colours and len(words(" ".join(parts))) < facts.caption_words[0]:
        then = f", and {_listed(known.colours[1:])} after that" if known.colours[1:] else ""
        parts.append(_pick(AGAIN, known.seed, "again").format(then=then, **slots))
    return " ".join(parts)


def _look(known: Known) -> str:
    """Subject in its setting, then the light."""
    slots = {"s": known.subject, "S": _upper(known.subject), "place": known.place, "Place": _upper(known.place)}
    if not known.subject:
        return " ".join(_surroundings(known)) if known.place else ""
    with_place, alone = _pick(SUBJECTS, known.seed, "opening")
    first = (with_place if known.place else alone).format(**slots)
    return " ".join([f"{first}.", *_surroundings(known, place=False)])


def _figure(facts: SetFacts, known: Known) -> str:
    """What the figure does, wears and how it is seen; then where, and in what light. Of the shapes of its sentences the
    first is taken that is not refused as too short; where none is long enough, the longest.
    """
    enough = facts.caption_words[0] * facts.limits.length_error_below
    seeds = [known.seed, *(f"{known.seed}+{again}" for again in range(1, MOST_TRIES))]
    texts = (_in_one_shape(facts, replace(known, seed=seed)) for seed in seeds)
    longest = ""
    for text in texts:
        longest = max(longest, text, key=lambda one: len(words(one)))
        if len(words(longest)) >= enough:
            break
    return longest


def _in_one_shape(facts: SetFacts, known: Known) -> str:
    """Pose and clothes give way when the target model wants fewer words."""
    around = " ".join(_surroundings(known))
    clauses = [name for name in _pick(ORDERS, known.seed, "order") if getattr(known, name)]
    high = facts.caption_words[1]
    for optional in ("", "pose", "worn"):
        clauses = [name for name in clauses if name != optional]
        first = ", ".join(getattr(known, name) for name in clauses)
        text = f"{first}. {around}".strip() if first else _lower(around)
        if len(words(text)) <= high:
            break
    return text


def _surroundings(known: Known, *, place: bool = True) -> list[str]:
    """A sentence on the place and one on the light, where they are known."""
    slots = {"place": known.place, "light": known.light, "Place": _upper(known.place), "Light": _upper(known.light)}
    said = []
    if place and known.place:
        said.append(_pick(PLACES, known.seed, "place").format(**slots) + ".")
    if known.light:
        said.append(_pick(LIGHTS, known.seed, "light").format(**slots) + ".")
    return said


# --------------------------------------------------------------------------- choices and phrases


def _pick(shapes: Sequence[Shape], seed: str, salt: str) -> Shape:
    """The shape that the image's hash chooses; the salt makes choices for one image independent of each other."""
    number = int.from_bytes(hashlib.sha256(f"{salt}:{seed}".encode()).digest()[:8], "big")
    return shapes[number % len(shapes)]


def _share(facts: SetFacts, image: KeptImage, name: str) -> float:
    """The share of the kept images that have this image's value of an attribute."""
    value = image.known(name)
    return facts.values(name)[value] / max(1, len(facts.images)) if value else 0.0


def _varying(facts: SetFacts, image: KeptImage, name: str) -> str:
    """An attribute's value, unless half the set of a look or a family has it too; a figure's is always said."""
    value = image.known(name) or ""
    return value if facts.is_figure or _share(facts, image, name) < facts.limits.redundant_warning else ""


def _view(image: KeptImage, seed: str) -> str:
    angle = _pick(FRONTS, seed, "front") if image.angle == Angle.FRONT else image.angle and ANGLES[image.angle]
    framing = FRAMINGS.get(image.framing) if image.framing else None
    return " and ".join(part for part in (framing, angle) if part)


def _expression(value: str) -> str:
    return f"with {_with_article(value)} expression" if len(words(value)) == 1 else f"showing {value}"


def _listed(names: Sequence[str]) -> str:
    """Names in a row: "blue, red and pink"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _with_noun(phrase: str) -> str:
    """A background that is told by an adjective alone gets its noun: a plain backdrop."""
    spoken = words(phrase)
    return f"{phrase} backdrop" if spoken and GROUNDS.issuperset(spoken) else phrase


def _with_article(phrase: str) -> str:
    """A phrase with "a" or "an" in front; plurals, uncounted things and phrases that have an article already stay."""
    spoken = words(phrase)
    if not spoken or spoken[0] in FUNCTION_WORDS or spoken[0].isdigit():
        return phrase
    head = next((word for word, after in pairwise(spoken) if after in FUNCTION_WORDS), spoken[-1])
    plural = head.endswith("s") and not head.endswith(PLURAL_EXCEPTIONS)
    if plural or not UNCOUNTED.isdisjoint((spoken[0], head)):
        return phrase
    return f"{'an' if spoken[0][0] in 'aeiou' else 'a'} {phrase}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
