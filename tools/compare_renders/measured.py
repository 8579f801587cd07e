"""All that was measured of a comparison, as its folder keeps it: a row for each picture and one for each variant."""

from __future__ import annotations

import csv
import io

from pydantic import BaseModel, Field, ValidationError

from loradeck.state.files import write_json, write_text
from loradeck.state.store import Store
from loradeck.tools.compare_renders.folder import MEASURED, TABLE
from loradeck.tools.compare_renders.plan import Role
from loradeck.tools.contracts import Artefact, Compared

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Characters at which a spreadsheet takes a cell for a formula (OWASP, "CSV Injection")."""


class PictureRow(BaseModel):
    """One picture; `row` counts from 1, `file` is relative to the run's folder, `prompt` as drawn."""

    variant: str
    row: int
    seed: int
    role: Role
    prompt: str
    file: str
    closeness: float | None = None
    copy_of: str | None = None
    findings: list[str] = Field(default_factory=list)
    usd: float | None = None


class Measured(BaseModel):
    """A comparison in numbers; `variants` before anybody picked, `missing` pictures that were not drawn."""

    pictures: list[PictureRow]
    variants: list[Compared]
    measured_by: str
    missing: int = 0
    told: list[str] = Field(default_factory=list)
    grids: list[str] = Field(default_factory=list)


def write(store: Store, run_id: str, measured: Measured) -> None:
    """Write the table as JSON and as CSV, atomically."""
    folder = store.workspace.run(run_id)
    write_json(folder / MEASURED, measured.model_dump(mode="json"))
    write_text(folder / TABLE, as_csv(measured.pictures))


def read(store: Store, run_id: str) -> Measured | None:
    """What was measured so far; None where nothing was, or where the file is damaged: the run then measures again."""
    path = store.workspace.run(run_id) / MEASURED
    try:
        return Measured.model_validate_json(path.read_bytes()) if path.is_file() else None
    except ValidationError:
        return None


def remove(store: Store, run_id: str) -> None:
    """Forget what was measured: the run measures again."""
    (store.workspace.run(run_id) / MEASURED).unlink(missing_ok=True)


def files_of(store: Store, run_id: str) -> list[Artefact]:
    """The files that are there: both tables and the pages of the grid."""
    measured, folder = read(store, run_id), store.workspace.run(run_id)
    if measured is None:
        return []
    kinds = [("table", TABLE), ("table", MEASURED), *(("comparison_grid", name) for name in measured.grids)]
    paths = [(kind, folder / name) for kind, name in kinds]
    return [Artefact(kind=kind, path=str(path), bytes=path.stat().st_size) for kind, path in paths if path.is_file()]


def as_csv(pictures: list[PictureRow]) -> str:
    """A line for each picture, after one of names; no text of it is run as a formula."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(PictureRow.model_fields)
    for one in pictures:
        row = one.model_dump(mode="json") | {"findings": " ".join(one.findings)}
        lines.writerow([_safe(value) for value in row.values()])
    return text.getvalue()


def _safe(value: object) -> object:
    """A cell that a spreadsheet shows as it stands: text that begins like a formula gets an apostrophe in front."""
    text = isinstance(value, str) and value.lstrip(" ").startswith(FORMULA)
    return f"'{value}" if text else value
