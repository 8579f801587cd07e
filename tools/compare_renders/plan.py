"""What a comparison draws: rows of prompts, columns of variants, a picture in each cell. Plain data in and out.

Beside the cells that were asked for there are those that tell the *leak*: each variant with a trigger also draws a few
prompts without it, and its base draws them alone, so that one sees how much of the look comes unasked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import Any

from loradeck.state.files import sha256_json
from loradeck.tools.library import safe_name
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, worded

LEAK_ROWS = 3
"""So many prompts are drawn without the trigger, each with its first seed."""


class Role(StrEnum):
    """Why a picture is drawn: asked for; the variant without its trigger; the base alone."""

    ASKED = "asked"
    UNMARKED = "unmarked"
    BASE = "base"


@dataclass(frozen=True)
class Row:
    """A prompt as it was given, and the seeds it is drawn with; `name` is a deck's frame, sizes are pixels."""

    prompt: str
    seeds: tuple[int, ...]
    width: int
    height: int
    name: str = ""


@dataclass(frozen=True)
class Column:
    """A variant: what it draws with. `checkpoint` is the step of the run that made its first LoRA.

    `pull` is the guidance that its base draws with for the leak: an engine may draw gentler with a LoRA than without,
    and that difference is not the look's.
    """

    label: str
    brush: Brush
    checkpoint: int | None = None
    pull: float | None = None

    @property
    def bare(self) -> bool:
        """True where the base draws alone."""
        return not self.brush.looks and not self.brush.references

    @property
    def triggers(self) -> list[str]:
        """The words that call its looks."""
        return list(dict.fromkeys(look.trigger for look in self.brush.looks if look.trigger))

    @property
    def place(self) -> tuple[str, str]:
        """Engine and base: columns that share them are drawn one after the other."""
        return self.brush.engine, self.brush.base_model


@dataclass(frozen=True)
class Cell:
    """One picture: `column` counts from 0, `row` from 1; `prompt` is as drawn."""

    column: int
    row: int
    seed: int
    prompt: str
    role: Role = Role.ASKED


@dataclass(frozen=True)
class Plan:
    """A whole comparison."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]

    @property
    def identity(self) -> str:
        """The hash of all that decides its pictures and labels."""
        return sha256_json(self.to_json())

    @property
    def asked(self) -> list[Cell]:
        """The cells of the grid, column by column."""
        return [
            Cell(place, number, seed, worded(row.prompt, column.brush)[0])
            for place, column in enumerate(self.columns)
            for number, row in enumerate(self.rows, 1)
            for seed in row.seeds
        ]

    @property
    def cells(self) -> list[Cell]:
        """All pictures: those of the grid, then those that tell the leak."""
        return [*self.asked, *self._unmarked(), *self._bases()]

    def groups(self, cells: list[Cell]) -> list[list[Cell]]:
        """Cells that one request can draw, since they share a brush; those of one base follow each other."""
        places = list(dict.fromkeys(column.place for column in self.columns))

        def order(cell: Cell) -> tuple[int, bool, int]:
            return places.index(self.columns[cell.column].place), cell.role == Role.BASE, cell.column

        return [list(group) for _, group in groupby(sorted(cells, key=order), key=order)]

    def brush_of(self, cell: Cell) -> Brush:
        """What a cell is drawn with."""
        column = self.columns[cell.column]
        if cell.role != Role.BASE:
            return column.brush
        return replace(column.brush, looks=(), references=(), guidance=column.pull)

    def stem(self, cell: Cell) -> str:
        """The file name of a cell without its suffix, and its id within the run: 02-fluent-v2_row03_seed7."""
        name = "base" if cell.role == Role.BASE else safe_name(self.columns[cell.column].label)
        mark = {Role.ASKED: "", Role.UNMARKED: "_without-trigger", Role.BASE: "_alone"}[cell.role]
        return f"{cell.column + 1:02}-{name}_row{cell.row:02}_seed{cell.seed}{mark}"

    def base_of(self, cell: Cell) -> Cell | None:
        """The picture of the base alone that belongs to a cell without trigger."""
        wanted = self._alone(cell), cell.seed
        for one in (*self.asked, *self._bases()):
            bare = one.role == Role.BASE or self.columns[one.column].bare
            if bare and (self._alone(one), one.seed) == wanted:
                return one
        return None

    def marked_of(self, cell: Cell) -> Cell:
        """The picture with the trigger that belongs to a cell without."""
        return next(one for one in self.asked if (one.column, one.row, one.seed) == (cell.column, cell.row, cell.seed))

    def _unmarked(self) -> list[Cell]:
        return [
            Cell(place, number, row.seeds[0], self._without(row, column), Role.UNMARKED)
            for place, column in enumerate(self.columns)
            if column.triggers
            for number, row in enumerate(self.rows[:LEAK_ROWS], 1)
        ]

    def _without(self, row: Row, column: Column) -> str:
        text, _ = worded(row.prompt, replace(column.brush, looks=()))
        return without(text, column.triggers)

    def _bases(self) -> Iterator[Cell]:
        """The base alone on the prompts without trigger, once a base, where no column is that already."""
        done = {self._alone(one) for one in self.asked if self.columns[one.column].bare}
        for cell in self._unmarked():
            if self._alone(cell) not in done:
                done.add(self._alone(cell))
                yield replace(cell, role=Role.BASE)

    def _alone(self, cell: Cell) -> tuple[Any, ...]:
        """What decides the base's own picture for a cell, but the seed."""
        column = self.columns[cell.column]
        return column.place, column.pull, cell.row, cell.prompt

    def to_json(self) -> dict[str, Any]:
        """As a run's specification keeps it."""
        return {"rows": [asdict(row) for row in self.rows], "columns": [asdict(column) for column in self.columns]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Plan:
        """Back from a run's specification."""
        rows = tuple(Row(**{**row, "seeds": tuple(row["seeds"])}) for row in data["rows"])
        return Plan(rows, tuple(_column(column) for column in data["columns"]))


def _column(data: dict[str, Any]) -> Column:
    brush = data["brush"]
    looks = tuple(Look(**look) for look in brush["looks"])
    references = tuple(Leaned.from_json(one) for one in brush["references"])
    whole = Brush(**{**brush, "looks": looks, "references": references})
    return Column(data["label"], whole, data["checkpoint"], data["pull"])


def without(prompt: str, triggers: list[str]) -> str:
    """A prompt with the trigger words taken out, and the commas and blanks that they leave behind."""
    for trigger in triggers:
        prompt = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", "", prompt, flags=re.IGNORECASE)
    parts = (" ".join(part.split()) for part in prompt.split(","))
    return ", ".join(part for part in parts if part)
