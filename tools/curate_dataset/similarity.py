"""Which pictures show the same: hashes choose the pairs, an aligned comparison decides.

Hashes alone are unsafe on icons (a chat bubble, and the same with a small plus, differ in a few bits), so a pair
counts only when the trimmed pictures agree as a whole (correlation) *and* in their worst tile. Thresholds were
measured on 60 icons with known truth, portraits and photographs, each recompressed, resized, mirrored and
toned; `tests/test_curate_similarity.py` holds the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.alignment import Floats, agreement
from loradeck.tools.curate_dataset.colour import border_colour

HASH_SIDE = 8
PHASH_MOST = 14
DHASH_MOST = 12
SIDE = 128
LEAST_CORRELATION = 0.985
MOST_TILE_DIFFERENCE = 0.06
LEAST_OVERLAP = 0.7
MOST_ASPECT_CHANGE = 0.2
TRIM_TOLERANCE = 32
WORK_SIDE = 512


@dataclass(frozen=True)
class Look:
    """What is compared of one picture. Hashes are 64-bit; `pixels` is (128, 128, 3), 0 to 1, trimmed."""

    phash: int
    dhash: int
    mirrored_phash: int
    mirrored_dhash: int
    pixels: Floats
    aspect: float


def look_at(picture: Image.Image) -> Look:
    """Hash and shrink an RGB picture. The uniform border is cut off first, so that padding does not hide a copy."""
    work = picture.copy()
    work.thumbnail((WORK_SIDE, WORK_SIDE), Image.Resampling.BOX)
    trimmed = trim(work)
    grey = trimmed.convert("L")
    coefficients = _low_frequencies(_pixels(grey, (32, 32)))
    steps = _pixels(grey, (HASH_SIDE + 1, HASH_SIDE))
    mirror_signs = np.where(np.arange(HASH_SIDE) % 2 == 0, 1.0, -1.0)
    small = trimmed.resize(
        (SIDE, SIDE), Image.Resampling.BOX if min(trimmed.size) >= SIDE else Image.Resampling.BICUBIC
    )
    return Look(
        phash=_pack(coefficients > np.median(coefficients)),
        dhash=_pack(steps[:, 1:] > steps[:, :-1]),
        mirrored_phash=_pack((flipped := coefficients * mirror_signs) > np.median(flipped)),
        mirrored_dhash=_pack((back := steps[:, ::-1])[:, 1:] > back[:, :-1]),
        pixels=np.asarray(small, dtype=np.float32) / 255.0,
        aspect=trimmed.width / trimmed.height,
    )


def trim(picture: Image.Image) -> Image.Image:
    """The picture without its uniform border; the picture itself where the border is not uniform or all is."""
    colour, share = border_colour(picture)
    if share < 0.95:
        return picture
    away = np.abs(np.asarray(picture, dtype=np.int16) - np.asarray(colour, dtype=np.int16)).max(axis=2) > TRIM_TOLERANCE
    rows, columns = np.flatnonzero(away.any(axis=1)), np.flatnonzero(away.any(axis=0))
    if rows.size == 0:
        return picture
    return picture.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


def worth_comparing(phash: int, dhash: int, new: Look) -> bool:
    """True when the stored hashes of one picture lie near another's, as it is or mirrored."""
    straight = _apart(phash, new.phash) <= PHASH_MOST or _apart(dhash, new.dhash) <= DHASH_MOST
    return (
        straight or _apart(phash, new.mirrored_phash) <= PHASH_MOST or _apart(dhash, new.mirrored_dhash) <= DHASH_MOST
    )


def same_picture(first: Look, second: Look) -> bool:
    """True when one is a copy of the other: resized, recompressed, toned, padded, slightly cropped or mirrored."""
    if abs(first.aspect / second.aspect - 1) > MOST_ASPECT_CHANGE:
        return False
    found = (agreement(first.pixels, pixels) for pixels in (second.pixels, second.pixels[:, ::-1]))
    return any(
        one.correlation >= LEAST_CORRELATION and one.worst_tile <= MOST_TILE_DIFFERENCE and one.overlap >= LEAST_OVERLAP
        for one in found
    )


def _pixels(grey: Image.Image, size: tuple[int, int]) -> Floats:
    """A grey picture shrunk to (width, height) as an array of (height, width)."""
    return np.asarray(grey.resize(size, Image.Resampling.LANCZOS), dtype=np.float32)


def _low_frequencies(square: Floats) -> Floats:
    """The 8 x 8 lowest coefficients of the two-dimensional cosine transform (DCT-II) of a square array."""
    side = square.shape[0]
    waves = np.cos(np.pi * np.outer(np.arange(HASH_SIDE), 2 * np.arange(side) + 1) / (2 * side)).astype(np.float32)
    return np.asarray(waves @ square @ waves.T, dtype=np.float32)


def _pack(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def _apart(first: int, second: int) -> int:
    """How many of 64 bits differ."""
    return (first ^ second).bit_count()
