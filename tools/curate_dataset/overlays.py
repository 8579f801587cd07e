"""Which text was laid over a picture, and which belongs to its scene: judged from where lines stand, pictures unseen.

Dates, credits and caption bars stand level at a margin; a shop's sign seldom does. A page or a screen has text
everywhere, so that what stands at its margin is its own. A mark that many pictures carry in one place belongs to none
of their scenes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rapidfuzz import fuzz, process

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
    """The images that carry words which two others or more carry at the same place: a watermark.

    Every line is compared with all on its shelf at once: thousands of pictures may carry one mark.
    """
    import numpy as np  # here, since the rules on captions need none of it

    names = list(by_image)
    shelves: dict[int, list[tuple[int, Placed]]] = defaultdict(list)
    for owner, name in enumerate(names):
        for line in by_image[name]:
            shelves[_shelf(line)].append((owner, line))
    marked = np.zeros(len(names), np.bool_)
    for shelf, lines in shelves.items():
        near = [pair for at in (shelf - 1, shelf, shelf + 1) for pair in shelves.get(at, ())]
        others = Beside([line for _, line in near])
        owners = np.array([owner for owner, _ in near])
        for _, line in lines:
            carriers = owners[others.same_as(line)]
            if not marked[carriers].all() and len(np.unique(carriers)) >= LEAST_REPEATED:
                marked[carriers] = True
    return {names[place] for place in np.flatnonzero(marked)}


class Beside:
    """Lines on one shelf and on those next to it, to be compared with one of them."""

    def __init__(self, lines: Sequence[Placed]) -> None:
        import numpy as np

        edges = np.array([(line.left, line.top, line.right, line.bottom) for line in lines])
        self._left, self._top, self._right, self._bottom = edges.T
        self._different = list(dict.fromkeys(line.words.casefold() for line in lines))
        places = {words: place for place, words in enumerate(self._different)}
        self._words = np.array([places[line.words.casefold()] for line in lines])
        self._alike: dict[str, NDArray[np.bool_]] = {}

    def same_as(self, one: Placed) -> NDArray[np.bool_]:
        """For every line, true for alike words at one place; where a line is cut short, within the other."""
        import numpy as np

        moved = np.abs((one.top + one.bottom) - (self._top + self._bottom)) / 2 > SAME_PLACE
        height, heights = one.bottom - one.top, self._bottom - self._top
        uneven = np.maximum(height, heights) > SAME_HEIGHT * np.minimum(height, heights)
        shared = np.minimum(one.right, self._right) - np.maximum(one.left, self._left)
        apart = shared < LEAST_SHARED * np.minimum(one.right - one.left, self._right - self._left)
        return np.asarray(~(moved | uneven | apart) & self._are_alike(one.words.casefold())[self._words], np.bool_)

    def _are_alike(self, words: str) -> NDArray[np.bool_]:
        """For each of the different words, whether these are alike."""
        import numpy as np

        if words not in self._alike:
            ratios = process.cdist([words], self._different, scorer=fuzz.ratio, dtype=np.float64)[0]
            self._alike[words] = ratios >= ALIKE
        return self._alike[words]


def _shelf(line: Placed) -> int:
    """Lines that may be at one place are on the same shelf or on one next to it."""
    return int((line.top + line.bottom) / 2 / SAME_PLACE)


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
