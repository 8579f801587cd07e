"""Pictures in and out: pixels for training, PNG files with their story."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from loradeck.engines.errors import BadSpec
from loradeck.engines.files import write_bytes
from loradeck.engines.story import as_text


def pixels(picture: Image.Image, width: int, height: int) -> torch.Tensor:
    """A picture as floats ``(3, height, width)`` in -1 to 1, scaled to cover the size and cut around the middle."""
    fitted = ImageOps.fit(picture.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(fitted, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)


def read(path: Path) -> Image.Image:
    """A training picture. Raises BadSpec when it cannot be read."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (OSError, SyntaxError) as error:
        raise BadSpec(f"The training image {path.name} cannot be read; curate the dataset again.") from error


def size(path: Path) -> tuple[int, int]:
    """Width and height of a training picture, from its header. Raises BadSpec when it cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, SyntaxError) as error:
        raise BadSpec(f"The training image {path.name} cannot be read; curate the dataset again.") from error


def scaled(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture at another size: Lanczos, covering, cut around the middle where the shape differs."""
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def write_png(picture: Image.Image, path: Path, story: Mapping[str, str]) -> None:
    """Write a PNG atomically, with text that says how it was made. Raises NoRoom and CannotWrite."""
    content = io.BytesIO()
    picture.save(content, format="PNG", pnginfo=as_text(story))
    write_bytes(path, content.getvalue())


def thumbnail(path: Path, side: int = 128) -> str:
    """A picture as a small JPEG in a data URI, which is how model files carry one."""
    content = io.BytesIO()
    with Image.open(path) as picture:
        picture.thumbnail((side, side))
        picture.convert("RGB").save(content, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def brightness(path: Path) -> float:
    """Mean luma of a picture, 0 to 255. Raises BadSpec when it cannot be read."""
    return float(np.asarray(read(path).convert("L"), dtype=np.float32).mean())


def read_story(path: Path) -> tuple[tuple[int, int], dict[str, str]]:
    """Size (width, height) and text of a PNG that is there already."""
    with Image.open(path) as picture:
        return picture.size, {str(key): str(value) for key, value in picture.info.items()}
