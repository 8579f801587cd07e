"""FLUX.1 Kontext: FLUX.1 that looks at reference pictures while it draws.

It learns as FLUX.1 does, from pictures and words. diffusers' pipeline takes one picture to look at; several are put
side by side, as ComfyUI's workflow for Kontext does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from diffusers import FluxKontextPipeline
from PIL import Image

from loradeck.engines.local.families.flux1 import Flux1


class Kontext(Flux1):
    """FLUX.1 Kontext (dev)."""

    pipeline_class = FluxKontextPipeline
    most_references = 4

    def looking_at(self, references: Sequence[Image.Image], size: tuple[int, int]) -> dict[str, Any]:
        """The references in a row, which has as many pixels as the picture, and the picture at its own size."""
        area = size[0] * size[1]
        return {
            "image": side_by_side(references, area) if references else None,
            "max_area": area,
            "_auto_resize": False,  # it would squeeze a row of pictures into the shape of one
        }


def side_by_side(references: Sequence[Image.Image], area: int) -> Image.Image:
    """The pictures in one row, each in its own shape and all of one height, with about `area` pixels together."""
    shapes = [picture.width / picture.height for picture in references]
    height = max(1, round(math.sqrt(area / sum(shapes))))
    scaled = [
        picture.convert("RGB").resize((max(1, round(height * shape)), height), Image.Resampling.LANCZOS)
        for picture, shape in zip(references, shapes, strict=True)
    ]
    row = Image.new("RGB", (sum(picture.width for picture in scaled), height))
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


FAMILY = Kontext()
