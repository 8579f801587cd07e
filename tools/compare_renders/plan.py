"""What a comparison draws: rows of prompts, columns of variants, a picture in each cell. Plain data in and out.

Beside the cells that were asked for there are those that tell the *leak*: each variant with a trigger also draws a few
prompts without it, and its base draws them without LoRAs, so that one sees how much of the look comes unasked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import groupby, islice
from typing import Any

from loradeck.state.files import sha256_json
from loradeck.tools.library import safe_name
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, alone, worded

LEAK_ROWS = 3
"""So many prompts are drawn without the trigger, each with its first seed."""


class Role(StrEnum):
    """Why a picture is drawn: asked for; the variant without its trigger; without its LoRAs, the base alone."""

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
    and that difference is not the look's. `name` is what its files and purchases are called by for good, once it was
    drawn; labels and places may change.
    """

    label: str
    brush: Brush
    checkpoint: int | None = None
    pull: float | None = None
    name: str = ""

    @property
    def bare(self) -> bool:
        """True where the base draws without LoRAs."""
        return not self.brush.looks

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
        """The hash of all that decides its pictures, whatever the columns are called and in which order they stand."""
        columns = sorted(sha256_json(asdict(replace(one, label="", name=""))) for one in self.columns)
        return sha256_json([[asdict(row) for row in self.rows], columns])

    def named(self, before: Plan | None) -> Plan:
        """The plan with names for columns without: those of `before`, a plan of the same identity, else new ones."""
        known = {(one.brush, one.checkpoint): one.name for one in before.columns} if before is not None else {}
        columns = []
        for place, one in enumerate(self.columns, 1):
            name = one.name or known.get((one.brush, one.checkpoint)) or f"{place:02}-{safe_name(one.label)}"
            columns.append(replace(one, name=name))
        return Plan(self.rows, tuple(columns))

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
        return replace(column.brush, looks=(), guidance=column.pull)

    def stem(self, cell: Cell) -> str:
        """The file name of a cell without its suffix, and its id within the run: 02-fluent-v2_row03_seed7."""
        name = self.columns[cell.column].name
        name = f"{name[:2]}-base" if cell.role == Role.BASE else name
        mark = {Role.ASKED: "", Role.UNMARKED: "_without-trigger", Role.BASE: "_alone"}[cell.role]
        return f"{name}_row{cell.row:02}_seed{cell.seed}{mark}"

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
        """Up to three prompts of each column without its triggers; one that is nothing else is left out."""
        columns = [(place, column) for place, column in enumerate(self.columns) if column.triggers]
        return [cell for place, column in columns for cell in islice(self._left_over(place, column), LEAK_ROWS)]

    def _left_over(self, place: int, column: Column) -> Iterator[Cell]:
        for number, row in enumerate(self.rows, 1):
            text, _ = worded(row.prompt, replace(column.brush, looks=()))
            left = without(text, column.triggers)
            if re.search(r"\w", left):
                yield Cell(place, number, row.seeds[0], left, Role.UNMARKED)

    def _bases(self) -> Iterator[Cell]:
        """The base alone on the prompts without trigger, once a base, where no column is that already."""
        done = {self._alone(one) for one in self.asked if self.columns[one.column].bare}
        for cell in sorted(self._unmarked(), key=lambda cell: self.columns[cell.column].name):  # in whatever order
            if self._alone(cell) not in done:
                done.add(self._alone(cell))
                yield replace(cell, role=Role.BASE)

    def _alone(self, cell: Cell) -> tuple[Any, ...]:
        """What decides the base's own picture for a cell, but the seed."""
        column = self.columns[cell.column]
        return column.place, column.pull, column.brush.references, cell.row, cell.prompt

    def to_json(self) -> dict[str, Any]:
        """As a run's specification keeps it."""
        return {"rows": [asdict(row) for row in self.rows], "columns": [asdict(column) for column in self.columns]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Plan:
        """Back from a run's specification."""
        rows = tuple(Row(**{**row, "seeds": tuple(row["seeds"])}) for row in data["rows"])
        plan = Plan(rows, tuple(_column(column) for column in data["columns"]))
        return plan.named(None)  # one that was kept before columns had names gets those that its files have


def _column(data: dict[str, Any]) -> Column:
    brush = data["brush"]
    looks = tuple(Look(**look) for look in brush["looks"])
    references = tuple(Leaned.from_json(one) for one in brush["references"])
    whole = Brush(**{**brush, "looks": looks, "references": references})
    return Column(data["label"], whole, data["checkpoint"], data["pull"], data.get("name", ""))


def without(prompt: str, triggers: list[str]) -> str:
    """A prompt with the trigger words taken out, and the commas and blanks around them that they leave behind."""
    word = alone(triggers)

    def joint(found: re.Match[str]) -> str:
        before, after = prompt[: found.start()], prompt[found.end() :]
        if not before or not after or after[0] in ".;:!?)":
            return ""
        return ", " if "," in found[1] + found[2] else found[1] or found[2]

    return re.sub(rf"(?<![\s,])([\s,]*){word}(?:[\s,]*{word})*([\s,]*)", joint, prompt, flags=re.IGNORECASE)
