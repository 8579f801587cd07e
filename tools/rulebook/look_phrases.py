"""The phrases of a segment that speak of the picture's look. Each step knows one way of saying it, as tags of looks.py.

The same words may be said of a thing in the scene ("a Kodak sign", "high-quality leather"), which is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from loradeck.tools.rulebook.lexicon import COLOURS, any_of, vocabulary
from loradeck.tools.rulebook.looks import Segment, is_thing

Place = tuple[int, int]
"""The first word of a phrase, and the first after it."""
Step = Callable[[Segment], Iterator[Place]]

_DATA = vocabulary("constant")
_SETS = {name: frozenset(text.split()) for name, text in _DATA["sets"].items()}
_LIKENESS, _TO_THE_END, _MANNER_OF = (
    any_of(_DATA["patterns"][name]) for name in ("likeness", "to_the_end", "manner_of")
)

# A label is a segment with nothing but a look in it: all its tags are of LABEL, and a look is among them.
_LABEL = re.compile(r"[WTPQASsRGMZYFfCLVgioncan]+")
_LABEL_CORE = re.compile(r"[SQAR]|[PQSsRGT]n?M|P[TPsSG]*[LYF]|[sRG][Tnsc]*[ZYsMfFCL]|^F$")
_GEAR_LABEL = re.compile(r"[giVTn]*G")
_GRAPHIC_LABEL = re.compile(r"(?:[ic]?a?[Tgn]*T[Tcn]*[fF]+)+")
_COINED_LABEL = re.compile(r"[TPQSsRG]{0,3}[xW][TPQSsRG]{0,2}[MFLSs]|[TsSRG]+[Ls]")
_GEAR_AND_MORE = re.compile(r"[Tg]*G+[GTFfCxcn]{0,4}")
_PRAISE_LABEL = re.compile(r"[TPcg]+")
_CLOSING_LABEL = re.compile(r"a?[TPQSsRG]*[sM]+")

_STRONG = re.compile(r"[TPQSsRG]*A[AMZYFfLCQSsG]*")
_PRAISED = re.compile(r"[TPQSsRGA]*P[TPQSsRGc]*[FLYZA]+|[TPQSsRGA]*Q[TPQSsRGAc]*[FMLYZfC]*")
_STYLED = re.compile(r"[TPQSsRG]*[SsRGM][TPnsS]*(?:[YZ]+[MFA]*|(?<=[SGM])C+|(?<=[SsGM])F+)")
_COINED_STYLE = re.compile(r"(?:(?<=i)|^)a?[xTPSsRQGnWMFfL]{1,4}Z(?=$|c|i)")
_OPENING = re.compile(r"[ia]*[TPQSsRGAVZYc]*x?[TPQSsRGAZYc]*M+")
_AS_PICTURE = re.compile(r"i[ag]?[TPQSsRGAW]*[MW]+(?=$|o)")
_IN_STYLE = re.compile(r"ia?[PQTsSRG]*S(?=$)")
_MADE = re.compile(r"V+g?i[iag]*(?:[TPQASsRGMWFfCZYnco]|[ia]+(?=[TPQ]*[SsRGMWA]))+")
_MADE_OF = re.compile(r"[ASsRGMWf]|F$")
_LOOK = re.compile(r"[ASRGMs]")


def looks(segment: Segment) -> Iterator[Place]:
    """The looks of one segment: the whole of it, or the phrases in it."""
    if is_label(segment):
        yield 0, len(segment.words)
        return
    for step in STEPS:
        yield from (place for place in step(segment) if not of_a_thing(segment, *place))


def is_label(segment: Segment) -> bool:
    """True when a look stands alone between two marks: "vintage engraving style", "CineStill 800T"."""
    tags = segment.tags
    if not segment.opens and (tags.strip("M") == "" or _coined_label(segment)):
        return True
    if not _LABEL.fullmatch(tags):
        return False
    gear = _GEAR_LABEL.match(tags) and _named_gear(segment)
    return bool(gear or _LABEL_CORE.search(tags) or _GRAPHIC_LABEL.fullmatch(tags))


def _named_gear(segment: Segment) -> bool:
    """True for "Leica M6", not for "camera above"."""
    gear = {word for word, tag in zip(segment.words, segment.tags, strict=True) if tag == "G"}
    return not gear <= _SETS["common_gear"]


def _coined_label(segment: Segment) -> bool:
    """True for a label that ends as one: "botanical illustration", "... throughout", "a painting" at the very end."""
    tags, last = segment.tags, segment.words[-1]
    if last in _SETS["coinable"] and _COINED_LABEL.fullmatch(tags):
        return True
    if _GEAR_AND_MORE.fullmatch(tags) and _named_gear(segment) and not is_thing(last):
        return True
    if _PRAISE_LABEL.fullmatch(tags) and not _SETS["praised"].isdisjoint(segment.words):
        return True
    if segment.words[0] in _SETS["by_camera"] and re.search("[SGRA]", tags):
        return True
    if last in _SETS["throughout"] and re.search("[fF]", tags):
        return True
    return segment.closes and last in _SETS["prints"] and bool(_CLOSING_LABEL.fullmatch(tags))


def of_a_thing(segment: Segment, first: int, after: int) -> bool:
    """True when a phrase speaks of a thing in the scene: "a Kodak sign", "a roll of Portra", "high-quality leather"."""
    follows, tags, next_tag = segment.word(after), segment.tags[first:after], segment.tags[after : after + 1]
    if is_thing(follows) or segment.word(first - 1) in _SETS["says"] or ("M" in tags and follows in _SETS["places"]):
        return True
    if segment.tags[first - 1 : first] == "o" and is_thing(segment.word(first - 2)):
        return True
    if "R" in tags and "Z" in tags and not re.search("[SMGA]", tags):
        return next_tag == "x" or not _SETS["having_style"].isdisjoint(segment.words[:first])
    return "Q" in tags and not re.search("[MFLYZfCAS]", tags) and next_tag not in {"", "c"}


# --------------------------------------------------------------------------- the steps


def _matches(pattern: re.Pattern[str]) -> Step:
    return lambda segment: (match.span() for match in pattern.finditer(segment.tags))


def _coined_style(segment: Segment) -> Iterator[Place]:
    """A style of any name: "in a Corporate Memphis style"; not "in the same style" nor "dressed in 1920s style"."""
    for match in _COINED_STYLE.finditer(segment.tags):
        first, after = match.span()
        named = not _SETS["no_name"].issuperset(segment.words[first : after - 1])
        ends = after - first == len(segment.words) or segment.words[after - 1] == "style"
        if named and ends and _SETS["having_style"].isdisjoint(segment.words[:first]):
            yield first, after


def _opening(segment: Segment) -> Iterator[Place]:
    """The picture named as one at the start of a caption: "a watercolour rendering of a ferry"."""
    match = _OPENING.match(segment.tags) if segment.opens else None
    beside = segment.tags[0] == "i" and segment.words[0] not in _SETS["as_or_in"]
    if not match or beside or not _SETS["hung"].isdisjoint(segment.words):
        return
    if re.fullmatch("a?xM", match[0]) and segment.word(match.end() - 2) in COLOURS:
        return  # a picture of one colour is a thing that is drawn: "a blue picture shows a mountain"
    follows = segment.word(match.end())
    named = not follows and re.search("[^iaM]", match[0])
    if named or follows in _SETS["of"] or segment.tags[match.end() : match.end() + 1] == "V":
        yield 0, match.end() + (follows in _SETS["of"])


def _as_picture(segment: Segment) -> Iterator[Place]:
    """The picture named as one later on: "in an award-winning photo", "as an oil painting", "as a tarot card"."""
    for match in _AS_PICTURE.finditer(segment.tags):
        if segment.words[match.start()] in _SETS["as" if "W" in match[0] else "as_or_in"]:
            yield match.span()


def _in_style(segment: Segment) -> Iterator[Place]:
    """A medium or a genre at the end: "in loose watercolour"."""
    for match in _IN_STYLE.finditer(segment.tags):
        if segment.words[match.start()] == "in" and _SETS["painted"].isdisjoint(segment.words[: match.start()]):
            yield match.span()


def _made(segment: Segment) -> Iterator[Place]:
    """How the picture came to be: "shot on Kodak Vision3", "rendered as a linocut print"."""
    for match in _MADE.finditer(segment.tags):
        first, after = match.span()
        by_camera = segment.words[first] in _SETS["by_camera"] or "G" in match[0]
        painted = segment.word(first - 1) in _SETS["painted"]
        if _MADE_OF.search(match[0]) and not painted and (by_camera or after == len(segment.words)):
            yield first, after


def _likened(segment: Segment) -> Iterator[Place]:
    """The picture compared with others: "looks like a frame from a Super 8 home movie", "in the manner of Monet"."""
    text, end = " ".join(segment.words), len(segment.words)
    for match in _LIKENESS.finditer(text):
        first, after = text[: match.start()].count(" "), text[: match.end()].count(" ") + 1
        if _LOOK.search(segment.tags[after:]) or not _SETS["compared"].isdisjoint(segment.words[first:]):
            yield first, end
    for match in _TO_THE_END.finditer(text):
        yield text[: match.start()].count(" "), end
    for match in _MANNER_OF.finditer(text):
        first = text[: match.start()].count(" ")
        if segment.word(first - 1) not in _SETS["made_things"]:
            yield first, end


STEPS: tuple[Step, ...] = (
    _matches(_STRONG),
    _matches(_PRAISED),
    _matches(_STYLED),
    _coined_style,
    _opening,
    _as_picture,
    _in_style,
    _made,
    _likened,
)
