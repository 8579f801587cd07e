"""What is measured on a picture's colours: the border's colour, dominant colours."""

from __future__ import annotations

import numpy as np
from PIL import Image

PLAIN_SHARE = 0.95
PLAIN_TOLERANCE = 12
LEAST_SHARE = 0.03


def hexed(colour: tuple[int, int, int]) -> str:
    """#rrggbb of 0-255 values."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def border_colour(picture: Image.Image) -> tuple[tuple[int, int, int], float]:
    """(median colour of the outermost 2% of an RGB picture, share of it that lies within 12 of that colour)."""
    pixels = np.asarray(picture)
    band = max(1, min(picture.size) // 50)
    strips = (pixels[:band], pixels[-band:], pixels[:, :band], pixels[:, -band:])
    border = np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.int16)
    middle = np.median(border, axis=0).astype(np.int16)
    share = float((np.abs(border - middle).max(axis=1) <= PLAIN_TOLERANCE).mean())
    return (int(middle[0]), int(middle[1]), int(middle[2])), share


def dominant_colours(picture: Image.Image, without: tuple[int, int, int] | None, most: int = 5) -> list[str]:
    """Up to `most` hex colours that fill the picture, commonest first, the plain background left out."""
    small = picture.resize((96, 96), Image.Resampling.BOX)
    reduced = small.quantize(12, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    counted = sorted(reduced.getcolors() or [], reverse=True)
    chosen: list[tuple[int, int, int]] = []
    for count, index in counted:
        place = 3 * int(index) if isinstance(index, int) else 0
        colour = (palette[place], palette[place + 1], palette[place + 2])
        near = [other for other in [*chosen, *([without] if without else [])] if _near(colour, other)]
        if count >= LEAST_SHARE * 96 * 96 and not near:
            chosen.append(colour)
    return [hexed(colour) for colour in chosen[:most]]


def _near(first: tuple[int, int, int], second: tuple[int, int, int]) -> bool:
    """Closer than a glance would part: 40 of 255 in the channel that differs most."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) < 40
