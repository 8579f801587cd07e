"""The pages of tables in docs/hosted.md, written from the engines' own rows.

`PYTHONPATH=tests python tests/support/endpoints.py docs/hosted.md` writes them anew between their marks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted.table import DrawerRow, EditorRow, PriceRow, Table, TrainerRow
from loradeck.engines.replicate.table import TABLE as REPLICATE

START, END = "<!-- tables -->", "<!-- end of tables -->"
HOSTS: dict[str, Table] = {"fal": FAL, "Replicate": REPLICATE}


def tables() -> str:
    """Markdown: what is trained, drawn and changed at each host."""
    return "\n\n".join(part for name, table in HOSTS.items() for part in _of(name, table))


def _of(name: str, table: Table) -> list[str]:
    trained = _rows(("base", "endpoint", "zip", "arguments", "price", "checked"), map(_trainer, table.trainers))
    drawn = _rows(("base", "endpoint", "LoRAs", "references", "price", "checked"), map(_drawer, table.drawers))
    changed = _rows(("change", "endpoint", "price", "checked"), map(_editor, table.editors))
    return [f"### {name}", "Training:", trained, "Drawing:", drawn, "Changing pictures:", changed]


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]] | map[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _trainer(row: TrainerRow) -> tuple[str, ...]:
    given = ", ".join(f"{ours} → `{theirs}`" for ours, theirs in row.fields.items())
    return row.base_model, f"`{row.endpoint}`", f"`{row.zip_field}`", given, price(row.price), _checked(row.checked)


def _drawer(row: DrawerRow) -> tuple[str, ...]:
    loras = {"list": f"up to {row.most_loras}", "single": "one", "destination": "its own", "none": "none"}
    endpoint = f"`{row.endpoint}`" if row.endpoint else "the trained model itself"
    references = f"up to {row.most_references}" if row.most_references else "none"
    return row.base_model, endpoint, loras[row.lora_style], references, price(row.price), _checked(row.checked)


def _editor(row: EditorRow) -> tuple[str, ...]:
    return row.model, f"`{row.endpoint}`", price(row.price), _checked(row.checked)


def _checked(day: str) -> str:
    return day or "price not checked"


def price(row: PriceRow) -> str:
    """A price in words: "2 USD a 1000 steps, at least 0.45"."""
    least = f", at least {row.least:g}" if row.least else ""
    return f"{row.usd:g} USD a {row.per}".replace("a image", "an image") + least


def renewed(text: str) -> str:
    """The page with its tables as they are now."""
    before, _, rest = text.partition(START)
    return f"{before}{START}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
