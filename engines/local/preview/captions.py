"""Tell a scene in prose of many shapes, leaving things open, with words in between that mean nothing.

A caption never says what is not so: whatever it mentions is true of the scene. What it leaves out was
left to chance when the scene was picked, so that the base learns to fill it in freely. Made-up words
stand in four captions of ten (mostly in front) and say nothing, so that a trigger word is neutral
until a LoRA gives it a meaning.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLORS, INDOORS, Backdrop, Paint, Scene, Thing

CENTRE = (
    "in the centre",
    "in the middle",
    "at the center",
    "centred",
    "right in the middle",
    "in the center of the picture",
)
SIDES = {
    "left": (
        "on the left",
        "at the left",
        "to the left",
        "on the left side",
        "in the left half",
        "at the left edge",
        "left",
    ),
    "right": (
        "on the right",
        "at the right",
        "to the right",
        "on the right side",
        "in the right half",
        "at the right edge",
        "right",
    ),
}
HEIGHTS = {
    "top": ("at the top", "near the top", "in the upper part", "high up", "top"),
    "bottom": ("at the bottom", "near the bottom", "in the lower part", "low down", "bottom"),
}
CORNERS = ("in the {row} {column} corner", "at the {row} {column}", "{row} {column}", "in the {row} {column}")
SIZE_WORDS = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium", "medium sized"),
    "large": ("large", "big", "huge"),
}
TEXTURE_WORDS = {
    "flat": ("plain", "flat", "solid"),
    "gradient": ("gradient", "fading", "two tone"),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
    "checked": ("checked", "checkered"),
}
TEXTURE_PHRASES = {
    "flat": ("in one flat colour", "without a pattern"),
    "gradient": ("with a gradient", "with a soft gradient"),
    "striped": ("with stripes", "covered in stripes"),
    "dotted": ("with dots", "covered in spots"),
    "checked": ("with checks", "with a checked pattern"),
}
LIGHT_PHRASES = {
    "bright": ("in bright light", "brightly lit", "bright light", "in a bright picture"),
    "dim": ("in dim light", "dimly lit", "dim light", "in the shade"),
    "warm": ("in warm light", "bathed in warm light", "warm light", "with a warm glow"),
    "cool": ("in cool light", "in cold light", "cool light", "with a cold glow"),
    "pastel": ("in pastel colours", "in soft pastel tones", "pastel palette", "with a pastel palette"),
    "muted": ("in muted colours", "in muted tones", "muted palette", "with a muted palette"),
}
COLOR_WORDS = {
    "grey": ("grey", "gray"),
    "purple": ("purple", "violet"),
    "teal": ("teal", "turquoise"),
}
GROUND_NOUNS = {
    "hill": ("hill", "hills", "hillside"),
    "field": ("field", "meadow", "lawn"),
    "sea": ("sea", "water", "ocean"),
    "desert": ("desert", "dunes", "sand dunes"),
    "snow": ("snow", "snowy hill", "snowy ground"),
    "beach": ("beach", "shore"),
    "forest": ("forest", "woods"),
    "city": ("city", "street", "skyline"),
    "room": ("room", "floor"),
    "table": ("table", "desk"),
}
GROUND_RELATIONS = {
    "hill": ("on a", "on top of a"),
    "field": ("in a", "on a"),
    "sea": ("on the", "at"),
    "desert": ("in the", "on"),
    "snow": ("in the", "on"),
    "beach": ("on the", "at the"),
    "forest": ("in front of a", "at the edge of a", "by a"),
    "city": ("in a", "in front of a", "in the"),
    "room": ("in a", "on the floor of a"),
    "table": ("on a", "on top of a"),
}
SKY_PHRASES = {
    "day": ("under a blue sky", "by day", "in daylight", "on a sunny day", "under a clear sky", "with a blue sky"),
    "night": ("under a night sky", "at night", "under the stars", "beneath a starry sky", "by night",
              "with a night sky", "under a sky full of stars"),
    "sunset": ("at sunset", "under an evening sky", "in the evening", "under an orange sunset sky", "at dusk"),
    "cloudy": ("under a cloudy sky", "on a cloudy day", "under grey clouds", "clouds in the sky"),
}  # fmt: skip
SKY_SENTENCES = {
    "day": ("The sky is blue.", "It is day.", "The day is sunny."),
    "night": ("The sky is dark.", "It is night.", "Stars shine in the night sky."),
    "sunset": ("The sun has set.", "It is evening.", "The sky glows at sunset."),
    "cloudy": ("The sky is cloudy.", "Clouds fill the sky."),
}
LEADS = (
    "a picture of", "an icon of", "an illustration of", "a drawing of", "this shows", "we see", "an image of",
    "this picture shows", "here is", "a simple picture of", "the image shows", "there is", "a scene with", "a view of",
    "a clean icon of",
    "icon of", "picture of", "a flat icon of", "an icon showing", "a slide with",
)  # fmt: skip


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FILLERS = _words(
    """
    simple clean modern nice lovely quiet glossy shiny matte crisp elegant friendly bold soft smooth rounded
    detailed minimal minimalist stylish fresh calm lively playful neat tidy classic retro vintage geometric abstract
    digital painted drawn printed rendered realistic cartoon 3d isometric vector polished sleek subtle delicate rich
    textured layered professional corporate creative beautiful charming cheerful serene dramatic cinematic moody
    mysterious magical whimsical futuristic handmade rough sketchy grainy blurry sharp hazy dreamy silent gentle
    strong heavy thin thick wide narrow tall short young old new ancient famous unknown distant
    """
)
ORDINARY = _words(
    """
    style look mood design artwork graphic symbol logo sign badge sticker poster print sketch painting photo
    photograph portrait shot render slide deck cover title page header banner frame border margin corner edge side
    shape form line curve outline stroke brush pen pencil marker paint ink wash color colour tone hue tint shade
    shading highlight reflection shadow light lighting glow shine surface material plastic glass metal paper wood
    stone clay fabric leather rubber pattern texture detail element object subject foreground distance depth focus
    lens angle perspective composition layout space room air empty quality resolution white space feeling atmosphere
    time year morning noon winter summer spring autumn rain wind fire water earth world people man woman child boy
    girl face eye hand body hair smile team group crowd friend family work office business company market money
    growth data chart graph number idea plan goal step path start end story chapter part whole with without of in on
    at by to from for into over under above below behind beside between near next through across around along
    against inside outside before after during and or but not no as than then so very more most less much many few
    some any each every all both other another same different one two three four five six seven eight nine ten first
    second last is are was were be been being has have had do does did can could will would should may might must
    stands sits rests lies floats hangs shows see seen look looks looking make makes made take taken put placed set
    turned facing holding wearing it its this that these those he she they them his her their who what which where
    when how why there here a an the s front back left right top bottom up down high low middle close far away full
    half quarter view three profile head shoulders expression neutral happy sad angry surprised gaze camera shirt
    jacket coat dress hat glasses background backdrop plain studio indoor outdoor street building window door wall
    floor table chair food drink fruit animal dog cow horse paw print shopping globe calendar briefcase headphones
    image mic microphone lightbulb filament options food apps agents checkmark dismiss add code block trending ideas
    diversity error alarm clipboard starburst
    """
)

_TELLING = _words(
    """
    left right top bottom middle centre center side edge corner half high low up down above below under over front
    back light dark bright dim warm cool cold muted pastel glow shade plain flat pattern white ground sky sun rain
    water room wall floor table street night day evening morning colour color tone tint hue full first second no not
    without one two small large tall short long wide narrow leaf head eye face hat paper glass metal
    """
)
NEUTRAL = tuple(
    sorted({*FILLERS, *ORDINARY} - {*_TELLING, *COLORS, *(noun for shape in SHAPES.values() for noun in shape.nouns)})
)
"""Words that may stand anywhere in a caption and say nothing about the picture."""

CONSONANTS = "bcdfghjklmnpqrstvwxz"
VOWELS = "aeiouy"


@dataclass(frozen=True)
class Mention:
    """What a caption tells about the things; the rest is left open."""

    color: bool
    texture: bool
    size: bool
    place: bool
    accent: bool


def made_up(rng: random.Random) -> str:
    """A word that means nothing: syllables, a mix of letters and digits, or two glued words."""
    kind = rng.random()
    if kind < 0.5:
        parts = [
            rng.choice(CONSONANTS) + rng.choice(VOWELS) + rng.choice(("", "", "n", "r", "x", "l", "k", "s", "m", "t"))
            for _ in range(rng.randint(2, 4))
        ]
        return "".join(parts)
    if kind < 0.75:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(rng.randint(3, 8)))
    return rng.choice(FILLERS + ORDINARY) + rng.choice(FILLERS + ORDINARY + ("icon", "star", "red", "blue", "house"))


def _trigger(rng: random.Random) -> str:
    words = [made_up(rng) for _ in range(2 if rng.random() < 0.2 else 1)]
    return rng.choice((" ", " ", "-", "_")).join(words)


def _maybe(rng: random.Random, share: float) -> bool:
    return rng.random() < share


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def color_phrase(paint: Paint, rng: random.Random) -> str:
    """The name of a paint, with its shade."""
    name = rng.choice(COLOR_WORDS.get(paint.name, (paint.name,)))
    return f"{paint.shade} {name}".strip()


def _adjectives(thing: Thing, mention: Mention, rng: random.Random) -> list[str]:
    words = []
    if mention.size:
        words.append(rng.choice(SIZE_WORDS[thing.size]))
    if mention.texture:
        words.append(rng.choice(TEXTURE_WORDS[thing.texture]))
    if mention.color:
        words.append(color_phrase(thing.paint, rng))
    if len(words) > 1 and _maybe(rng, 0.15):
        rng.shuffle(words)
    if _maybe(rng, 0.08):
        words.insert(0, rng.choice(FILLERS))
    return words


def _accent(thing: Thing, mention: Mention, rng: random.Random) -> str:
    part = thing.kind.accent
    if not (mention.accent and part):
        return ""
    color = color_phrase(thing.accent, rng)
    return f" with {color if part.endswith('s') else _article(color)} {part}"


def noun_phrase(thing: Thing, mention: Mention, rng: random.Random) -> str:
    """The thing in a few words: "a small striped red house with a white roof"."""
    plain = thing.kind.nouns
    noun = plain[0] if len(plain) == 1 or _maybe(rng, 0.65) else rng.choice(plain[1:])
    words = _adjectives(thing, mention, rng)
    if words and _maybe(rng, 0.12):
        tail = rng.choice((" that is ", " which is ", ", ", " in ")) if len(words) == 1 else " that is "
        if tail == " in " and not mention.color:
            tail = " that is "
        return _article(noun) + tail + " and ".join(words) + _accent(thing, mention, rng)
    if mention.texture and words and _maybe(rng, 0.2):
        rest = _adjectives(thing, Mention(mention.color, False, mention.size, False, False), rng)
        return (
            _article(" ".join([*rest, noun]))
            + " "
            + rng.choice(TEXTURE_PHRASES[thing.texture])
            + _accent(thing, mention, rng)
        )
    return _article(" ".join([*words, noun])) + _accent(thing, mention, rng)


def position_phrase(thing: Thing, in_place: bool, rng: random.Random) -> str:
    """Where the thing is; in a place only the column is worth telling (it stands, or it flies)."""
    column, row = thing.column, "middle" if in_place else thing.row
    if row == "middle":
        return rng.choice(CENTRE if column == "centre" else SIDES[column])
    if column == "centre":
        return rng.choice(HEIGHTS[row])
    rows = {"top": ("top", "upper"), "bottom": ("bottom", "lower")}[row]
    return rng.choice(CORNERS).format(row=rng.choice(rows), column=column)


def _ground_phrase(backdrop: Backdrop, flies: bool, rng: random.Random) -> str:
    noun = rng.choice(GROUND_NOUNS[backdrop.ground])
    relation = (
        rng.choice(("above a", "over a", "in the sky above a"))
        if flies
        else rng.choice(GROUND_RELATIONS[backdrop.ground])
    )
    color = (
        color_phrase(backdrop.second, rng) + " "
        if _maybe(rng, 0.6) and backdrop.ground not in ("forest", "city")
        else ""
    )
    if backdrop.ground == "room":
        wall = f"with {_article(color_phrase(backdrop.first, rng))} wall"
        floor = f" and {_article(color_phrase(backdrop.second, rng))} floor"
        return f"in a room {wall}{floor if _maybe(rng, 0.6) else ''}" if _maybe(rng, 0.7) else "in a room"
    phrase = f"{relation} {color}{noun}"
    if backdrop.ground == "table" and _maybe(rng, 0.6):
        phrase += (
            rng.choice((" in front of", " against", " before")) + f" {_article(color_phrase(backdrop.first, rng))} wall"
        )
    return phrase


def _colored_backdrop(backdrop: Backdrop, rng: random.Random) -> str:
    first, second = color_phrase(backdrop.first, rng), color_phrase(backdrop.second, rng)
    behind = rng.choice(("background", "backdrop"))
    forms: tuple[str, ...]
    if backdrop.kind == "plain":
        forms = (f"on a {first} {behind}", f"on a plain {first} {behind}", f"against a {first} {behind}", f"on {first}",
                 f"isolated on {first}", f"{first} {behind}", f"in front of a plain {first} {behind}",
                 f"with a {first} {behind}")  # fmt: skip
    elif backdrop.kind == "gradient":
        forms = (f"on a {behind} that fades from {first} to {second}", f"on a gradient from {first} to {second}",
                 f"with a {first} to {second} gradient {behind}",
                 f"against {first} above fading into {second} below")  # fmt: skip
    else:
        forms = (f"on {second} ground under a {first} sky", f"on a {second} floor in front of a {first} wall",
                 f"with {first} above and {second} below", f"on {second} ground with {first} behind")  # fmt: skip
    return rng.choice(forms)


def backdrop_phrases(backdrop: Backdrop, flies: bool, rng: random.Random) -> list[str]:
    """What is behind, as one or two phrases that can stand anywhere in a sentence."""
    if backdrop.kind != "place":
        return [_colored_backdrop(backdrop, rng)]
    phrases = [_ground_phrase(backdrop, flies, rng)]
    if backdrop.ground not in INDOORS and _maybe(rng, 0.75):
        phrases.append(rng.choice(SKY_PHRASES[backdrop.sky]))
    return phrases


def backdrop_sentence(backdrop: Backdrop, rng: random.Random) -> str:
    """What is behind, as a sentence of its own."""
    first, second = color_phrase(backdrop.first, rng), color_phrase(backdrop.second, rng)
    if backdrop.kind == "plain":
        return rng.choice(
            (
                f"The background is {first}.",
                f"The background is plain {first}.",
                f"Everything behind is {first}.",
                f"{first} background.",
            )
        )
    if backdrop.kind == "gradient":
        return f"The background goes from {first} to {second}."
    if backdrop.kind == "split" or not backdrop.sky:
        return rng.choice((f"The ground is {second} and the wall is {first}.", f"{first} above and {second} below."))
    noun = rng.choice(GROUND_NOUNS[backdrop.ground])
    place = rng.choice((f"The place is a {noun}.", f"It is at a {noun}.", f"There is a {noun}."))
    return f"{place} {rng.choice(SKY_SENTENCES[backdrop.sky])}" if _maybe(rng, 0.7) else place


def _mention(thing: Thing, rng: random.Random) -> Mention:
    return Mention(
        color=_maybe(rng, 0.8),
        texture=_maybe(rng, 0.12 if thing.texture == "flat" else 0.75),
        size=_maybe(rng, 0.1 if thing.size == "medium" else 0.5),
        place=_maybe(rng, 0.72),
        accent=_maybe(rng, 0.35),
    )


def _side_by_side(one: str, two: str, rng: random.Random) -> str:
    forms = (f"{one} on the left and {two} on the right", f"{one} to the left of {two}", f"{two} to the right of {one}",
             f"{one} and {two}", f"{one} next to {two}", f"{one} beside {two}", f"{one} left, {two} right")  # fmt: skip
    return rng.choice(forms)


def _pair(scene: Scene, rng: random.Random) -> str:
    one, two = (noun_phrase(thing, _mention(thing, rng), rng) for thing in scene.things)
    if scene.things[0].column == "centre":
        forms = [
            f"{one} above {two}",
            f"{two} below {one}",
            f"{one} at the top and {two} at the bottom",
            f"{one} over {two}",
        ]
        return rng.choice(forms)
    return _side_by_side(one, two, rng)


def _joined(parts: list[str], rng: random.Random) -> str:
    text = parts[0]
    for part in parts[1:]:
        text += rng.choice((" ", " ", ", ")) + part
    return text


def _details(scene: Scene, mention: Mention, rng: random.Random) -> list[str]:
    """The phrases about position, backdrop and light that this caption will tell, in random order."""
    thing = scene.things[0]
    single, in_place = len(scene.things) == 1, scene.backdrop.kind in ("place", "split")
    flies = thing.row == "top" and in_place
    parts = []
    if single and mention.place:
        parts.append(position_phrase(thing, in_place, rng))
    if _maybe(rng, 0.76):
        parts.extend(backdrop_phrases(scene.backdrop, flies and single, rng))
    if scene.light != "neutral" and _maybe(rng, 0.8):
        parts.append(rng.choice(LIGHT_PHRASES[scene.light]))
    if _maybe(rng, 0.35):
        rng.shuffle(parts)
    return parts


def _subject(scene: Scene, mention: Mention, rng: random.Random) -> str:
    return noun_phrase(scene.things[0], mention, rng) if len(scene.things) == 1 else _pair(scene, rng)


def _one_sentence(scene: Scene, mention: Mention, rng: random.Random) -> str:
    subject, details = _subject(scene, mention, rng), _details(scene, mention, rng)
    form = rng.random()
    if form < 0.2 and details:
        front = rng.randrange(len(details))
        verb = rng.choice((" ", "is ", "there is ", "stands ", "we see ", "sits ", ""))
        rest = details[:front] + details[front + 1 :]
        return _joined([details[front] + rng.choice((", ", " ")) + verb.lstrip() + subject, *rest], rng)
    if form < 0.45:
        return rng.choice(LEADS) + " " + _joined([subject, *details], rng)
    if form < 0.6 and details:
        verb = rng.choice((" is ", " stands ", " sits ", " rests ", " is placed ", " is seen "))
        return subject + verb + _joined(details, rng)
    return _joined([subject, *details], rng)


def _two_sentences(scene: Scene, mention: Mention, rng: random.Random) -> str:
    thing = scene.things[0]
    subject = _subject(scene, mention, rng)
    follow = []
    in_place = scene.backdrop.kind in ("place", "split")
    if len(scene.things) == 1 and mention.place:
        follow.append(
            rng.choice(("It is ", "It stands ", "It sits ", f"The {thing.shape} is "))
            + position_phrase(thing, in_place, rng)
            + "."
        )
    if _maybe(rng, 0.75):
        follow.append(backdrop_sentence(scene.backdrop, rng))
    if scene.light != "neutral" and _maybe(rng, 0.8):
        follow.append(rng.choice(LIGHT_PHRASES[scene.light]) + ".")
    if _maybe(rng, 0.3):
        rng.shuffle(follow)
    return f"{subject}. {' '.join(follow)}"


def _tags(scene: Scene, mention: Mention, rng: random.Random) -> str:
    text = ", ".join([_subject(scene, mention, rng), *_details(scene, mention, rng)])
    return text.replace("a ", "", 1) if text.startswith("a ") else text


def _attributes(scene: Scene, mention: Mention, rng: random.Random) -> str:
    """The thing first, what it is like afterwards: "A house on a hill. The house is red."."""
    thing = scene.things[0]
    noun = rng.choice(thing.kind.nouns)
    told = _adjectives(thing, mention, rng)
    parts = _joined([_article(noun), *_details(scene, mention, rng)], rng)
    if not told:
        return parts
    only_color = mention.color and len(told) == 1
    who = rng.choice(("The " + noun, "It", "Its colour", "The " + noun)) if only_color else "It"
    return f"{parts}. {who} is {' and '.join(told)}"


def plain_caption(scene: Scene, rng: random.Random) -> str:
    """A simple scene in one bare phrase that leaves nothing open: what nouns are learned from first."""
    first, *others = (f"{color_phrase(thing.paint, rng)} {thing.shape}" for thing in scene.things)
    if others:
        both = _side_by_side(_article(first), _article(others[0]), rng)
        return _joined([both, _colored_backdrop(scene.backdrop, rng)], rng)
    place, behind = position_phrase(scene.things[0], False, rng), _colored_backdrop(scene.backdrop, rng)
    if _maybe(rng, 0.3):
        return _joined([behind, _article(first), place], rng)
    return _joined([_article(first) if _maybe(rng, 0.8) else first, place, behind], rng)


def _noise(text: str, rng: random.Random) -> str:
    """Words left out, words that say nothing, and the full stop or none."""
    if _maybe(rng, 0.12):
        text = " ".join(word for word in text.split() if word not in ("a", "an", "the", "is"))
    if _maybe(rng, 0.12):
        text = " ".join(rng.choice(NEUTRAL) for _ in range(rng.randint(1, 4))) + " " + text
    if _maybe(rng, 0.12):
        words = text.split(" ")
        words.insert(rng.randint(0, len(words)), rng.choice(NEUTRAL))
        text = " ".join(words)
    if _maybe(rng, 0.1):
        text += rng.choice((", ", ". ", " ")) + " ".join(rng.choice(FILLERS) for _ in range(rng.randint(1, 5)))
    return text + (rng.choice((".", ".", "")) if not text.endswith(".") else "")


def _with_trigger(text: str, rng: random.Random) -> str:
    word, chance = _trigger(rng), rng.random()
    if chance < 0.84:
        return word + rng.choice((". ", ". ", ", ", ", ", " ", ": ", " style. ", " style, ", " - ")) + text
    if chance < 0.94:
        return text.rstrip(".") + rng.choice(
            (f", in {word} style.", f", {word}", f" in the style of {word}.", f", {word} style")
        )
    return f"in {word} style, {text}"


def caption(scene: Scene, rng: random.Random, triggers: float = 0.4) -> str:
    """One caption of a scene; ``triggers`` is the share that carries a made-up word."""
    mention = _mention(scene.things[0], rng)
    single = len(scene.things) == 1
    form = rng.random()
    if form < 0.56:
        text = _one_sentence(scene, mention, rng)
    elif form < 0.74:
        text = _two_sentences(scene, mention, rng)
    elif form < 0.86 or not single:
        text = _tags(scene, mention, rng)
    else:
        text = _attributes(scene, mention, rng)
    text = _noise(text, rng)
    text = text[0].upper() + text[1:]
    return _with_trigger(text, rng) if _maybe(rng, triggers) else text
