"""What a copy is made by: where it is cut, what its ground became, its side. A copy of another recipe is stale."""

from __future__ import annotations

from loradeck.state.records import ImageRecord


def recipe(row: ImageRecord, resolution: int) -> str:
    """The recipe of a row's copy at a resolution, in one line."""
    crop = row.crop or {}
    cut = ",".join(str(crop.get(name)) for name in ("x", "y", "width", "height"))
    return f"{resolution} {cut} {row.ground or 'own ground'}"
