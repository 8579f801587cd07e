"""Plain colour names for hex colours, as a person would say them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

HUES = (
    (13, "red"),
    (42, "orange"),
    (68, "yellow"),
    (160, "green"),
    (190, "teal"),
    (241, "blue"),
    (290, "purple"),
    (340, "pink"),
    (361, "red"),
)
"""(upper bound in degrees, name), going round the wheel."""
GREYS = ((0.12, "black"), (0.38, "dark gray"), (0.68, "gray"), (0.9, "light gray"), (1.01, "white"))
FAINT = 0.12
LIGHT, DARK = 0.78, 0.28
BROWN_BELOW = 0.42


def colour_name(colour: str) -> str:
    """The plain name of a #rrggbb colour: "#1679eb" is blue, "#b3e0ff" light blue, "#3b2412" brown."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, _ = colorsys.rgb_to_hls(red, green, blue)
    if max(red, green, blue) - min(red, green, blue) < FAINT:
        return next(name for bound, name in GREYS if lightness < bound)
    name = next(name for bound, name in HUES if hue * 360 < bound)
    if name == "orange" and lightness < BROWN_BELOW:
        return "brown"
    if lightness > LIGHT:
        return {"red": "pink", "orange": "peach", "yellow": "cream"}.get(name, f"light {name}")
    return f"dark {name}" if lightness < DARK else name


def colour_names(colours: Sequence[str], most: int = 3) -> list[str]:
    """Names of hex colours in their order, each once; a shade of a colour that was named is left out."""
    named: list[str] = []
    for colour in colours:
        name = colour_name(colour)
        if all(name.split()[-1] != other.split()[-1] for other in named):
            named.append(name)
    return named[:most]
