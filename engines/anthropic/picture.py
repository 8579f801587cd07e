"""A picture as it is sent: no larger than what pays, as JPEG, with nothing of what its file holds beside the pixels."""

from __future__ import annotations

import io
import math
from pathlib import Path

from loradeck.engines.anthropic.models import PATCH

MOST_SIDE = 1568
MOST_PATCHES = 1568
"""The standard resolution. What is larger is scaled down by older models and costs up to three times as much with newer
ones, and a caption is not the better for it. https://platform.claude.com/docs/en/build-with-claude/vision"""
QUALITY = 90


def fitted(width: int, height: int) -> tuple[int, int]:
    """The size in pixels at which a picture is sent: its own, or smaller in the same shape."""
    scale = min(1.0, MOST_SIDE / max(width, height), PATCH * math.sqrt(MOST_PATCHES / (width * height)))
    while True:
        size = max(1, int(width * scale)), max(1, int(height * scale))
        if math.ceil(size[0] / PATCH) * math.ceil(size[1] / PATCH) <= MOST_PATCHES:
            return size
        scale *= 0.99


def sent_size(path: Path) -> tuple[int, int]:
    """The size in pixels at which a file's picture is sent; its pixels are not read."""
    from PIL import Image

    with Image.open(path) as picture:
        return fitted(*picture.size)


def as_jpeg(path: Path) -> bytes:
    """The picture as JPEG, of the size that pays."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    size = fitted(*picture.size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.info.clear()  # a comment would be written along
    data = io.BytesIO()
    picture.save(data, format="JPEG", quality=QUALITY)
    return data.getvalue()
