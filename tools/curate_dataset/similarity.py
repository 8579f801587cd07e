"""Which pictures show the same: hashes and corners choose the pairs, an aligned comparison decides.

Hashes alone are unsafe on icons (a chat bubble, and the same with a small plus, differ in a few bits) and blind to
crops. So a pair counts only when the pictures agree, where they overlap, as a whole (correlation) *and* in their worst
tile. Drawn pictures must agree in colour and nearly whole; photographs, whose corners say that one lies in the other,
may differ in tone and be cut. Thresholds were tuned on one half of real pictures and measured on the other
(`bench/duplicates.py`, `docs/judgement.md`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.alignment import SIDE, Agreement, agreement
from loradeck.tools.curate_dataset.features import Features, Laid, corners, laid

HASH_SIDE = 8
PHASH_MOST = 14
DHASH_MOST = 12
LEAST_CORRELATION = 0.985
MOST_TILE_DIFFERENCE = 0.06
LEAST_OVERLAP = 0.7
CUT_CORRELATION = 0.97
CUT_TILE_DIFFERENCE = 0.09
CUT_OVERLAP = 0.25
MOST_ASPECT_CHANGE = 0.2
CORNERED = 100
"""Photographs with so many corners that do not lie on one another, and whose hashes are far apart, are not alike."""
DRAWN = 0.75
TRIM_TOLERANCE = 32
MOST_AWAY = 0.01
LEAST_LEFT = 0.2
WORK_SIDE = 512
PIXEL_QUALITY = 80
PLACES = 64
HEADER = struct.Struct("<4Q3f2H")


@dataclass(frozen=True)
class Look:
    """What is compared of one picture, of its trimmed part at 512 pixels on the longer side.

    Hashes are 64-bit. `jpeg` holds (128, 128, 3) pixels. `smooth` is the share of pixels without texture: high in
    what is drawn. Features are those of the picture and of its mirror image.
    """

    phash: int
    dhash: int
    mirrored_phash: int
    mirrored_dhash: int
    width: float
    height: float
    smooth: float
    jpeg: bytes
    features: Features
    mirrored: Features

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(128, 128, 3) uint8."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)

    def to_bytes(self) -> bytes:
        """About 15 KB, of any machine's byte order."""
        count = len(self.features.points)
        header = HEADER.pack(
            *(self.phash, self.dhash, self.mirrored_phash, self.mirrored_dhash),
            *(self.width, self.height, self.smooth),
            *(count, len(self.mirrored.points)),
        )
        kinds = (self.features, self.mirrored)
        places = [np.round(one.points * PLACES).astype("<u2").tobytes() for one in kinds]
        return b"".join([header, *places, *(one.descriptors.tobytes() for one in kinds), self.jpeg])

    @classmethod
    def from_bytes(cls, data: bytes) -> Look:
        """What `to_bytes` wrote."""
        *numbers, straight, mirrored = HEADER.unpack_from(data)
        at, points, descriptors = HEADER.size, [], []
        for count in (straight, mirrored):
            points.append(np.frombuffer(data, "<u2", 2 * count, at).reshape(-1, 2).astype(np.float32) / PLACES)
            at += 4 * count
        for count in (straight, mirrored):
            descriptors.append(np.frombuffer(data, np.uint8, 32 * count, at).reshape(-1, 32))
            at += 32 * count
        kinds = [Features(np.asarray(one, np.float32), bits) for one, bits in zip(points, descriptors, strict=True)]
        phash, dhash, mirrored_phash, mirrored_dhash, width, height, smooth = numbers
        hashes = (phash, dhash, mirrored_phash, mirrored_dhash)
        return cls(*hashes, width, height, smooth, data[at:], kinds[0], kinds[1])


def look_at(picture: Image.Image) -> Look:
    """Look at a whole upright RGB picture. Uniform borders are cut off first, so that padding does not hide a copy."""
    first = _work(picture) if max(picture.size) > WORK_SIDE else picture  # enlarging would soften where strips end
    within = content(first, picture.size)
    small = _work(first if within is None else picture.crop(within))
    size, work = small.size, np.asarray(small)
    grey = np.asarray(cv2.cvtColor(work, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    coefficients = _low_frequencies(_shrunk(grey, 32, 32))
    steps = _shrunk(grey, HASH_SIDE + 1, HASH_SIDE)
    mirror_signs = np.where(np.arange(HASH_SIDE) % 2 == 0, 1.0, -1.0)
    _, jpeg = cv2.imencode(".jpg", _shrunk(work, SIDE, SIDE), [cv2.IMWRITE_JPEG_QUALITY, PIXEL_QUALITY])
    features, mirrored = corners(grey)
    return Look(
        phash=_pack(coefficients > np.median(coefficients)),
        dhash=_pack(steps[:, 1:] > steps[:, :-1]),
        mirrored_phash=_pack((flipped := coefficients * mirror_signs) > np.median(flipped)),
        mirrored_dhash=_pack((back := steps[:, ::-1])[:, 1:] > back[:, :-1]),
        width=size[0],
        height=size[1],
        smooth=float((np.abs(cv2.Laplacian(grey, cv2.CV_16S)) <= 1).mean()),
        jpeg=jpeg.tobytes(),
        features=features,
        mirrored=mirrored,
    )


def _work(picture: Image.Image) -> Image.Image:
    """The picture with WORK_SIDE pixels on its longer side."""
    scale = WORK_SIDE / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


def content(small: Image.Image, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of a picture of that size without uniform strips at its sides, seen in a small one.

    None where there are no strips, or nearly all is uniform.
    """
    pixels = np.asarray(small).astype(np.int16)
    top, bottom = _content(pixels)
    left, right = _content(pixels[top:bottom].swapaxes(0, 1))
    top, bottom = (top + (span := _content(pixels[top:bottom, left:right]))[0], top + span[1])
    if (bottom - top) < LEAST_LEFT * small.height or (right - left) < LEAST_LEFT * small.width:
        return None
    across, down = size[0] / small.width, size[1] / small.height
    box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
    return None if box == (0, 0, *size) else box


def _content(pixels: NDArray[np.int16]) -> tuple[int, int]:
    """(first, last + 1) of the rows between strips of one colour at the start and at the end."""
    if pixels.size == 0:
        return 0, len(pixels)
    first = _strip(pixels)
    return (first, len(pixels) - _strip(pixels[::-1])) if first < len(pixels) else (0, len(pixels))


def _strip(rows: NDArray[np.int16]) -> int:
    """How many of the rows, from the first on, hold one colour but for a hundredth of their pixels."""
    colour = np.median(rows[0], axis=0)
    for number, row in enumerate(rows):
        away = np.abs(row - colour) > TRIM_TOLERANCE
        if float((away[:, 0] | away[:, 1] | away[:, 2]).mean()) > MOST_AWAY:
            return number
    return len(rows)


def same_picture(first: Look, second: Look) -> bool:
    """True when one is a copy of the other: resized, recompressed, toned, padded, cropped or mirrored."""
    drawn = min(first.smooth, second.smooth) >= DRAWN
    for features, mirror in ((second.features, False), (second.mirrored, True)):
        found = laid(first.features, features)
        if found is not None and _same_where_laid(first, second, mirror, found, drawn):
            return True
    if abs(first.width * second.height / (first.height * second.width) - 1) > MOST_ASPECT_CHANGE:
        return False
    cornered = min(len(first.features.points), len(second.features.points)) >= CORNERED
    if cornered and not drawn and not _hashes_near(first, second):
        return False
    return any(_same_whole(agreement(first.pixels, second.pixels[:, ::step])) for step in (1, -1))


def _same_whole(found: Agreement) -> bool:
    return (
        found.colour.correlation >= LEAST_CORRELATION
        and found.colour.worst_tile <= MOST_TILE_DIFFERENCE
        and found.overlap >= LEAST_OVERLAP
    )


def _same_where_laid(first: Look, second: Look, mirror: bool, found: Laid, drawn: bool) -> bool:
    measured = where_laid(first, second, mirror, found)
    if drawn:
        return _same_whole(measured)
    return (
        measured.tone.correlation >= CUT_CORRELATION
        and measured.tone.worst_tile <= CUT_TILE_DIFFERENCE
        and measured.overlap >= CUT_OVERLAP
    )


def where_laid(first: Look, second: Look, mirror: bool, found: Laid) -> Agreement:
    """How two pictures agree where the corners lay them, the one that shows less on the one that shows more."""
    one, other = first.pixels, second.pixels[:, ::-1] if mirror else second.pixels
    start = _start(found, first, second)
    if start[0] * start[2] < 1:
        one, other = other, one
        start = _start(found.back(), second, first)
    return agreement(one, other, start)


def _start(found: Laid, first: Look, second: Look) -> tuple[float, float, float, float]:
    """Where the second lies under the first: (scale x, shift x, scale y, shift y) in units of half a side."""
    return (
        found.scale * first.width / second.width,
        (found.scale * first.width + 2 * found.right) / second.width - 1,
        found.scale * first.height / second.height,
        (found.scale * first.height + 2 * found.down) / second.height - 1,
    )


def _shrunk(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _low_frequencies(square: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The 8 x 8 lowest coefficients of the two-dimensional cosine transform (DCT-II) of a square array."""
    side = square.shape[0]
    waves = np.cos(np.pi * np.outer(np.arange(HASH_SIDE), 2 * np.arange(side) + 1) / (2 * side)).astype(np.float32)
    return np.asarray(waves @ square.astype(np.float32) @ waves.T, dtype=np.float32)


def _pack(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def _hashes_near(first: Look, second: Look) -> bool:
    """True when the hashes of one picture lie near another's, as it is or mirrored."""
    near = [(first.phash, value, PHASH_MOST) for value in (second.phash, second.mirrored_phash)]
    near += [(first.dhash, value, DHASH_MOST) for value in (second.dhash, second.mirrored_dhash)]
    return any((one ^ other).bit_count() <= most for one, other, most in near)
