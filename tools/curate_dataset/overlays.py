"""Which text was laid over a picture, and which belongs to its scene: judged from where lines stand, pictures unseen.

Dates, credits and caption bars stand level at a margin; a shop's sign seldom does. A page or a screen has text
everywhere, so that what stands at its margin is its own. A mark that many pictures carry in one place belongs to none
of their scenes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

LEAST_READ = 0.6
LEAST_READ_UPRIGHT = 0.75
"""Lines up a side are read both ways, and shelves and folds look like them; those that were laid over reach 0.84."""
LEAST_LETTERS = 4
LEAST_LENGTH = 2.5
"""A line that cannot be read, such as Arabic, counts only at a margin and if it is this many times as long as high."""
PAGE_LINES = 5
ALIKE = 75
"""Of 100, as rapidfuzz counts it: "shotstock" and "sholstook" are alike."""
SAME_PLACE = 0.02
"""Shares of the side by which a mark's middle may move, since the finder cuts it off unevenly."""
SAME_HEIGHT = 1.33
LEAST_SHARED = 0.8
LEAST_REPEATED = 3
"""Pictures of one product from a tripod carry its name in nearly one place too; in three of them it seldom agrees."""
FIRST_EAST_ASIAN = "\u2e80"
"""From here on a character is a syllable or a word, and counts twice."""


@dataclass(frozen=True)
class Lettering:
    """A line of text. `box` is (x, y, width, height) in pixels of the picture; `words` may be "" where none is read.

    `confidence` is how sure the reader is of the words, 0 to 1; how sure the finder is where nothing was read.
    """

    box: tuple[int, int, int, int]
    words: str
    confidence: float
    at_margin: bool


@dataclass(frozen=True)
class Overlay:
    """Text over a picture. "margin": laid over it, as far as one picture can tell; "scene": elsewhere in it, so that
    it may belong there. `box` is (x, y, width, height) in pixels; `words` are "" where they cannot be read.
    """

    kind: Literal["margin", "scene"]
    words: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Placed:
    """A line that was read, with its edges as shares (0 to 1) of the picture's width or height."""

    words: str
    left: float
    top: float
    right: float
    bottom: float


def overlay_of(letterings: Sequence[Lettering], size: tuple[int, int]) -> Overlay | None:
    """What a picture of `size` (width, height) carries: the surest line at a margin, else the largest elsewhere."""
    legible = [line for line in letterings if _is_text(line)]
    at_margin = [] if _is_page(legible) else [line for line in legible if line.at_margin]
    if at_margin:
        surest = max(at_margin, key=lambda line: (bool(line.words), line.confidence))
        return Overlay("margin", surest.words, _within(surest.box, size))
    read = [line for line in legible if line.words]
    if not read:
        return None
    largest = max(read, key=lambda line: line.box[2] * line.box[3])
    return Overlay("scene", largest.words, _within(largest.box, size))


def placed(letterings: Sequence[Lettering], size: tuple[int, int]) -> list[Placed]:
    """The lines that were read, as shares of a picture of `size` (width, height)."""
    width, height = size
    return [
        Placed(line.words, x / width, y / height, (x + wide) / width, (y + high) / height)
        for line in letterings
        if letters(line.words) >= LEAST_LETTERS
        for x, y, wide, high in [line.box]
    ]


def repeated(by_image: Mapping[str, Sequence[Placed]]) -> set[str]:
    """The images that carry words which two others or more carry at the same place: a watermark."""
    shelves: dict[int, list[tuple[str, Placed]]] = defaultdict(list)
    for name, own in by_image.items():
        for line in own:
            shelves[_shelf(line)].append((name, line))
    marked: set[str] = set()
    for shelf, lines in shelves.items():
        near = [pair for at in (shelf - 1, shelf, shelf + 1) for pair in shelves.get(at, ())]
        for _, line in lines:
            carriers = {name for name, other in near if _is_same(line, other)}
            if len(carriers) >= LEAST_REPEATED:
                marked |= carriers
    return marked


def _shelf(line: Placed) -> int:
    """Lines that may be at one place are on the same shelf or on one next to it."""
    return int((line.top + line.bottom) / 2 / SAME_PLACE)


def _is_same(one: Placed, other: Placed) -> bool:
    """True for alike words at one place; where a line is cut short, within the other."""
    if abs((one.top + one.bottom) - (other.top + other.bottom)) / 2 > SAME_PLACE:
        return False
    heights = sorted((one.bottom - one.top, other.bottom - other.top))
    shared = min(one.right, other.right) - max(one.left, other.left)
    shorter = min(one.right - one.left, other.right - other.left)
    if heights[1] > SAME_HEIGHT * heights[0] or shared < LEAST_SHARED * shorter:
        return False
    return fuzz.ratio(one.words.casefold(), other.words.casefold()) >= ALIKE


def _is_text(line: Lettering) -> bool:
    """True for a line that was read as more than a stray sign, or that has the shape of one, level at a margin."""
    _, _, width, height = line.box
    least = LEAST_READ if width >= height else LEAST_READ_UPRIGHT
    if line.words and line.confidence >= least:
        return letters(line.words) >= LEAST_LETTERS
    return line.at_margin and width >= LEAST_LENGTH * height


def letters(words: str) -> int:
    """Letters and digits, those of East Asian scripts twice."""
    return sum(2 if sign >= FIRST_EAST_ASIAN else 1 for sign in words if sign.isalnum())


def _is_page(legible: Sequence[Lettering]) -> bool:
    """True where many different lines fill the picture: a page, a screen, a menu."""
    different: list[str] = []
    for line in legible:
        if not line.at_margin and not any(fuzz.ratio(line.words, other) >= ALIKE for other in different):
            different.append(line.words)
    return len(different) >= PAGE_LINES


def _within(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a box that lies in the picture."""
    left, top = max(0, box[0]), max(0, box[1])
    return left, top, min(size[0], box[0] + box[2]) - left, min(size[1], box[1] + box[3]) - top
