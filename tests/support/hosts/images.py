"""Pictures that a host draws: real files, painted from prompt and seed, so that other prompts look otherwise."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
SHAPES = 7


def paint(prompt: str, seed: int, size: tuple[int, int]) -> Image.Image:
    """A sky in two colours and some shapes before it."""
    dice = random.Random(hashlib.sha256(f"{seed} {prompt}".encode()).digest())
    width, height = size
    top, bottom = (Image.new("RGB", size, _colour(dice)) for _ in range(2))
    picture = Image.composite(bottom, top, Image.linear_gradient("L").resize(size))
    brush = ImageDraw.Draw(picture)
    for _ in range(SHAPES):
        x, y = dice.randrange(width), dice.randrange(height)
        box = (x, y, x + dice.randrange(width // 8, width), y + dice.randrange(height // 8, height))
        dice.choice((brush.ellipse, brush.rectangle))(box, fill=_colour(dice))
    return picture


def edited(references: Sequence[bytes], prompt: str, seed: int, size: tuple[int, int] | None) -> Image.Image:
    """The first reference, with a breath of what the prompt would give."""
    first = opened(references[0])
    first = first.resize(size) if size else first
    return Image.blend(first, paint(prompt, seed, first.size), 0.3)


def enlarged(picture: bytes, factor: float) -> Image.Image:
    """The picture, larger."""
    found = opened(picture)
    return found.resize((round(found.width * factor), round(found.height * factor)))


def opened(data: bytes) -> Image.Image:
    """A picture from its bytes. Raises `ValueError` where it is none."""
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except OSError as error:
        raise ValueError("Failed to load the image. Please ensure the image file is not corrupted.") from error


def described(picture: bytes) -> str:
    """What a captioner says: the same words for the same picture, others for another."""
    colour = opened(picture).resize((1, 1)).getpixel((0, 0))
    return f"A painting of round and square shapes before a sky, in the colour {colour}."


def black(size: tuple[int, int]) -> Image.Image:
    """What a safety checker leaves."""
    return Image.new("RGB", size)


def encoded(picture: Image.Image, form: str) -> bytes:
    """The bytes of a file: `png`, `jpeg` or `webp`."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **({"compress_level": 1} if form == "png" else {"quality": 85}))
    return buffer.getvalue()


def _colour(dice: random.Random) -> tuple[int, int, int]:
    return dice.randrange(256), dice.randrange(256), dice.randrange(256)
