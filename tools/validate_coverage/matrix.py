"""From which angle which expression shows: every kept image of a figure in one cell, and the cells that the rules want.

COV-COUPLING says what belongs where: the full range on front views and close-ups; neutral and one or two mild ones
on three-quarter views; neutral alone on profile, low, high and back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook.coverage import NEUTRAL, expression_family, expressions
from loradeck.tools.rulebook.faces import NEUTRAL_ALONE
from loradeck.tools.rulebook.facts import (
    ANGLE_CLASSES,
    BACKS,
    CLOSE_UP_FRONT,
    CLOSE_UP_THREE_QUARTER,
    THREE_QUARTERS,
    UNKNOWN,
    KeptImage,
    SetFacts,
)
from loradeck.tools.validate_coverage.coverage import OTHERS
from loradeck.tools.validate_coverage.shots import EXPRESSIONS

FULL_RANGE = frozenset({Angle.FRONT, CLOSE_UP_FRONT, CLOSE_UP_THREE_QUARTER})
IMAGES = "images"
"""The one column of a subject without expressions."""


class Need(StrEnum):
    """What the rules have to say of a cell."""

    NOTHING = "nothing"
    WANTED = "wanted"
    ELSEWHERE = "elsewhere"
    """It holds images whose expression is hardly read from there."""


@dataclass(frozen=True)
class Cell:
    """How many images a cell holds, and what it needs: WANTED stands on empty cells, ELSEWHERE on filled ones."""

    count: int
    need: Need = Need.NOTHING


@dataclass(frozen=True)
class Matrix:
    """Angle classes down, families of expression across; `cells[row][column]`."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]

    def row_sum(self, row: int) -> int:
        """Images of one angle class."""
        return sum(cell.count for cell in self.cells[row])

    def column_sum(self, column: int) -> int:
        """Images of one family of expression."""
        return sum(cells[column].count for cells in self.cells)

    @property
    def wanted(self) -> list[tuple[str, str]]:
        """(angle class, family) of the empty cells that the rules want, row by row."""
        return [
            (row, column)
            for row, cells in zip(self.rows, self.cells, strict=True)
            for column, cell in zip(self.columns, cells, strict=True)
            if cell.need == Need.WANTED
        ]


def matrix(facts: SetFacts) -> Matrix:
    """Where the kept images of a figure stand. A back view counts as neutral, since no face shows in it."""
    columns = _columns(facts) if facts.emotes else [IMAGES]
    placed = [(image.angle_class or UNKNOWN, _column(image, columns), image) for image in facts.images]
    rows = [*ANGLE_CLASSES, *([UNKNOWN] if any(row == UNKNOWN for row, _, _ in placed) else [])]
    columns += [extra for extra in (OTHERS, UNKNOWN) if any(column == extra for _, column, _ in placed)]
    counts = Counter((row, column) for row, column, _ in placed)
    hidden = {(row, column) for row, column, image in placed if _is_hardly_read(image, column)}
    full = columns[: facts.limits.expressions[1]]

    def cell(row: str, column: str) -> Cell:
        count = counts[row, column]
        if count:
            return Cell(count, Need.ELSEWHERE if (row, column) in hidden else Need.NOTHING)
        return Cell(0, Need.WANTED if column in _wanted(row, full, counts) else Need.NOTHING)

    cells = tuple(tuple(cell(row, column) for column in columns) for row in rows)
    return Matrix(tuple(rows), tuple(columns), cells)


def _columns(facts: SetFacts) -> list[str]:
    """Neutral, then the families that are there by how often, filled up to as many as COV-EXPRESSION wants."""
    _, fewest, most = facts.limits.expressions
    seen = [family for family, _ in sorted(expressions(facts).items(), key=lambda item: (-item[1], item[0]))]
    usual = [expression_family(name) for name in EXPRESSIONS]
    names = list(dict.fromkeys([NEUTRAL, *seen[:most]]))[:most]
    return list(dict.fromkeys([*names, *usual]))[: max(len(names), fewest)]


def _column(image: KeptImage, columns: list[str]) -> str:
    if columns == [IMAGES]:
        return IMAGES
    if not image.face_shows:
        return NEUTRAL
    value = image.known("expression")
    if value is None:
        return UNKNOWN
    family = expression_family(value)
    return family if family in columns else OTHERS


def _is_hardly_read(image: KeptImage, column: str) -> bool:
    far = image.angle in NEUTRAL_ALONE and image.framing != Framing.CLOSE_UP
    return far and column not in {NEUTRAL, UNKNOWN, IMAGES}


def _wanted(row: str, full: list[str], counts: Counter[tuple[str, str]]) -> list[str]:
    """The families that an angle class should show. `full` is the range that front views want, neutral first."""
    if row in FULL_RANGE:
        return full
    if row in THREE_QUARTERS and not any(counts[row, family] for family in full[1:]):
        return [full[0], *_mildest(full)]
    return full[:1] if row in {*THREE_QUARTERS, *NEUTRAL_ALONE, *BACKS} else []


def _mildest(full: list[str]) -> list[str]:
    """The expression to begin with beside neutral: the first of the planned ones that the range holds."""
    return [family for name in EXPRESSIONS if (family := expression_family(name)) in full][:1]
