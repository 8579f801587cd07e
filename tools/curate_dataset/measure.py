"""What is measured on a picture, as facts: on the whole of it, and on the square that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from PIL import Image

from loradeck.tools.contracts import Crop, ImageFacts, as_box
from loradeck.tools.contracts import Face as FaceFact
from loradeck.tools.contracts import Lettering as LetteringFact
from loradeck.tools.curate_dataset.colour import dominant_colours
from loradeck.tools.curate_dataset.faces import Face
from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.lettering import find_text
from loradeck.tools.curate_dataset.overlays import Lettering, overlay_of
from loradeck.tools.curate_dataset.picture import Upright
from loradeck.tools.curate_dataset.quality import measure_quality

READ_SIDE = 768
"""Smaller copies are read at this size, since text is lost in them before it is in what they are cut from."""
THOUSAND = 1000
SIDES = (THOUSAND, THOUSAND)


def picture_facts(upright: Upright, square: Image.Image, has_plain_ground: bool) -> dict[str, Any]:
    """Sharpness, compression and tones of an upright picture and of its square."""
    quality = measure_quality(upright.picture, square, upright.quantization, has_plain_ground, upright.reduced)
    return {name: _rounded(value) for name, value in asdict(quality).items()}


def square_facts(square: Image.Image, legible: Image.Image) -> dict[str, Any]:
    """Ground, colours and text of what trains; `legible` is the same square, large enough to be read."""
    ground = ground_of(square)
    colour = ground.colour
    border = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)) if colour else None
    return {
        "plain_background": ground.plain,
        "background_color": colour,
        "dominant_colors": dominant_colours(square, border),
        "text": [_line(one, legible.width) for one in find_text(legible)],
    }


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 4) if isinstance(value, float) else value


def _line(line: Lettering, side: int) -> LetteringFact:
    x, y, width, height = (round(THOUSAND * value / side) for value in line.box)
    return LetteringFact(
        box=(x, y, width, height), words=line.words, confidence=line.confidence, at_margin=line.at_margin
    )


def faces_as_facts(faces: Sequence[Face]) -> list[FaceFact]:
    """What is kept of the faces, in pixels of the upright original."""
    return [FaceFact(box=face.box, confidence=round(face.confidence, 3), angle=face.angle) for face in faces]


def in_square(box: Sequence[int], crop: Crop, side: int) -> tuple[int, int, int, int]:
    """A box of the upright original in pixels of a copy that was cut by `crop` and brought to `side`."""
    scale = side / crop.width
    x, y, width, height = box
    return round((x - crop.x) * scale), round((y - crop.y) * scale), round(width * scale), round(height * scale)


def text_laid_over(facts: ImageFacts) -> str | None:
    """Why an image has text laid over it, as far as it alone can tell; None where it has not."""
    lines = [Lettering(as_box(line.box), line.words, line.confidence, line.at_margin) for line in facts.text or []]
    laid = overlay_of(lines, SIDES)
    if laid is None or laid.kind != "margin":
        return None
    said = f"{laid.words!r}" if laid.words else "letters that could not be read"
    return f"Text is laid over its margin: {said}. Crop it off with crops, or keep it where it belongs to the picture."
