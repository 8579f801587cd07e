"""The preview base: a small FLUX.2-klein pipeline that loradeck draws, trains and ships itself.

Importing this package loads neither torch nor Pillow. The folder :data:`WEIGHTS` is a plain
diffusers pipeline (``Flux2KleinPipeline.from_pretrained``); :func:`card` says what it is, how it was
made, what was measured on it and which LoRA recipe suits it. ``python -m
loradeck.engines.local.preview.build --out FOLDER`` makes it again from nothing.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

WEIGHTS: Path = Path(__file__).resolve().parent / "weights"
"""The shipped pipeline, in diffusers' folder layout."""


@cache
def card() -> dict[str, Any]:
    """The parsed ``card.json`` of the shipped weights (read once; treat it as read-only)."""
    parsed: dict[str, Any] = json.loads((WEIGHTS / "card.json").read_text(encoding="utf-8"))
    return parsed
