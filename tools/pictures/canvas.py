"""What every picture that loradeck draws itself shares: the shipped font, colours, fitting text and pictures.

The font is Inter (SIL Open Font License, beside the files), shipped so that pictures look the same on every machine.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from loradeck.state.files import write_bytes

FONTS = Path(__file__).parent / "fonts"
INK = "#1d2433"
FAINT = "#6b7385"
LINE = "#e3e6ec"
PAPER = "#ffffff"
TILE = "#eef0f4"
BLUE = "#2459c7"
ORANGE = "#d9640b"
RED = "#b3261e"


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Inter at a size in pixels, letter by letter: else it draws the x of an id such as 8x5 as a times sign."""
    file = FONTS / ("Inter-SemiBold.otf" if bold else "Inter-Regular.otf")
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def shortened(text: str, width: float, face: ImageFont.FreeTypeFont) -> str:
    """The text on one line, cut with an ellipsis where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, width: float, face: ImageFont.FreeTypeFont, lines: int) -> list[str]:
    """The text in at most `lines` lines of `width` pixels; the last one is cut with an ellipsis."""
    words, out = text.split(), [""]
    for index, word in enumerate(words):
        joined = f"{out[-1]} {word}".strip()
        if face.getlength(joined) <= width or not out[-1]:
            out[-1] = joined
        elif len(out) < lines:
            out.append(word)
        else:
            out[-1] = shortened(f"{out[-1]} {' '.join(words[index:])}", width, face)
            return out
    return [shortened(line, width, face) for line in out]


def fitted(path: Path, width: int, height: int) -> Image.Image:
    """The picture in a file, whole and in proportion, as RGB of at most width x height pixels."""
    with Image.open(path) as opened:
        return small(opened, width, height)


def small(opened: Image.Image, width: int, height: int) -> Image.Image:
    """A picture just opened, upright, whole and in proportion, as RGB of at most width x height pixels.

    A JPEG is decoded at the size that is needed; others are averaged down before they are resized.
    """
    opened.draft("RGB", (width, height))
    upright = ImageOps.exif_transpose(opened)
    if upright.has_transparency_data:
        flat = Image.new("RGBA", upright.size, PAPER)
        upright = Image.alpha_composite(flat, upright.convert("RGBA"))
    picture = upright.convert("RGB")
    factor = min(picture.width // (2 * width), picture.height // (2 * height))
    picture = picture.reduce(factor) if factor > 1 else picture
    return ImageOps.contain(picture, (width, height), Image.Resampling.LANCZOS)


def paste_centred(canvas: Image.Image, picture: Image.Image, box: tuple[int, int, int, int]) -> tuple[int, int]:
    """Put a picture in the middle of a box (left, top, right, bottom); returns where its left top corner went."""
    left, top, right, bottom = box
    spot = (left + (right - left - picture.width) // 2, top + (bottom - top - picture.height) // 2)
    canvas.paste(picture, spot)
    return spot


def label(
    draw: ImageDraw.ImageDraw, spot: tuple[float, float], text: str, size: int, *, color: str = INK, bold: bool = False
) -> None:
    """A line of text with its left top corner at a spot."""
    draw.text(spot, text, fill=color, font=font(size, bold), anchor="la")


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def save_png(picture: Image.Image, out: Path) -> None:
    """Write a PNG atomically."""
    write_bytes(out, png(picture))
