"""Cut-outs with known masks, grounds to lay them on, and pictures that do not belong: for tests and benches."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import loradeck.server

DATA = Path(__file__).resolve().parents[1] / "data"
ICONS = sorted((Path(loradeck.server.__file__).parent / "demo_data" / "icons").glob("*.png"))
PHOTOS = sorted((DATA / "photos").glob("*.png"))
SIDE = 512


def opened(path: Path) -> Image.Image:
    """The middle square of a file in RGB, 512 pixels a side."""
    with Image.open(path) as raw:
        picture = raw.convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def heads() -> list[tuple[Path, bool]]:
    """The head renders, and whether each has a plain ground."""
    rows = [json.loads(line) for line in (DATA / "head_yaw" / "metadata.jsonl").read_text("utf-8").splitlines()]
    return [(DATA / "head_yaw" / row["file_name"], row["background"] == "plain") for row in rows]


@cache
def cut_heads() -> dict[str, tuple[Image.Image, Image.Image]]:
    """Name -> (render, mask) of the heads on pure white, whose outline is known to a pixel."""
    return {path.stem: _off_white(opened(path)) for path, _ in heads() if path.stem.startswith(("white", "pitch"))}


def cut_icon(path: Path) -> tuple[Image.Image, Image.Image]:
    """An icon and its mask: all that is not the white around it."""
    return _off_white(opened(path))


def _off_white(picture: Image.Image) -> tuple[Image.Image, Image.Image]:
    darkness = (255 - np.asarray(picture).astype(np.int16)).max(axis=2)
    _, labels = cv2.connectedComponents((darkness < 24).astype(np.uint8))
    around = np.unique(np.concatenate([labels[0], labels[:, 0], labels[:, -1], labels[-1]]))
    ground = np.isin(labels, around) & (darkness < 24)
    return picture, Image.fromarray(np.where(ground, 0, 255).astype(np.uint8))


def shaded(kind: str, seed: int) -> Image.Image:
    """A ground drawn from a seed: plain, linear, vignette, horizon or stripes."""
    random = np.random.default_rng(seed)
    colour = random.integers(60, 256, 3).astype(float)
    y, x = (axis[..., None] for axis in np.mgrid[0:SIDE, 0:SIDE] / SIDE)
    other = np.where(colour > 150, colour - 90, colour + 90)
    values = {
        "plain": np.broadcast_to(colour, (SIDE, SIDE, 3)),
        "linear": colour * (1 - random.uniform(0.2, 0.5) * (0.6 * x + 0.4 * y)),
        "vignette": colour * (1 - random.uniform(0.2, 0.6) * np.clip(np.hypot(x - 0.5, y - 0.45) / 0.75, 0, 1) ** 2),
        "horizon": np.where(y > random.uniform(0.45, 0.75), other, colour) * np.ones_like(x),
        "stripes": np.where(np.sin(x * random.uniform(30, 80)) > 0, other, colour) * np.ones_like(y),
    }[kind]
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def laid(cut: tuple[Image.Image, Image.Image], ground: Image.Image) -> Image.Image:
    """A cut-out on a ground."""
    picture = ground.copy()
    picture.paste(cut[0], (0, 0), cut[1])
    return picture


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after a save as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def shared(first: Image.Image, second: Image.Image) -> float:
    """Intersection over union of two masks, soft edges counted by their weight."""
    one, two = (np.asarray(mask, dtype=np.float64) for mask in (first, second))
    return float(np.minimum(one, two).sum() / np.maximum(one, two).sum())


def monochrome(path: Path) -> Image.Image:
    """An icon as an older style would draw it: its outline in one dark line."""
    mask = np.asarray(cut_icon(path)[1])
    line: NDArray[np.uint8] = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((13, 13), np.uint8))
    return Image.fromarray(255 - cv2.GaussianBlur(line, (0, 0), 1)).convert("RGB")
