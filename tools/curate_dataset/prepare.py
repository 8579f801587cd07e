"""One picture from file to training copy: decode, measure, cut the square, write the copy, look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from loradeck.state.files import atomic, sha256_file
from loradeck.tools.contracts import Crop, ImageFacts
from loradeck.tools.curate_dataset.colour import PLAIN_SHARE, border_colour, dominant_colours, hexed, sharpness
from loradeck.tools.curate_dataset.picture import Unfit, open_upright
from loradeck.tools.curate_dataset.similarity import Look, look_at

SMALLEST_SIDE = 512
PNG_LEVEL = 3
THREADS = 2
UPPER = 0.2


@dataclass(frozen=True)
class Task:
    """A picture to prepare: where it lies, where its copy goes, and the copy's side in pixels."""

    original: Path
    copy: Path
    resolution: int


@dataclass(frozen=True)
class Prepared:
    """What became of a picture. `look` and `crop` are missing where it could not be read; `unfit` is (rule, why)."""

    sha256: str
    facts: ImageFacts
    copy_sha256: str | None = None
    crop: Crop | None = None
    look: Look | None = None
    unfit: tuple[str, str] | None = None


def prepare(task: Task) -> Prepared:
    """Make the copy of one picture and measure it. Only the workspace's own errors (DiskFull ...) are raised."""
    try:
        sha256 = sha256_file(task.original)
        size = task.original.stat().st_size
    except OSError:
        gone = ImageFacts(width=0, height=0, format="unknown", bytes=0)
        return Prepared("", gone, unfit=("IMG-READABLE", "The file cannot be opened; check that it is there."))
    try:
        upright = open_upright(task.original)
    except Unfit as unfit:
        suffix = task.original.suffix.lstrip(".").upper() or "unknown"
        facts = ImageFacts(width=0, height=0, format=suffix, bytes=size)
        return Prepared(sha256, facts, unfit=(unfit.rule_id, unfit.why))
    crop = square_crop(*upright.picture.size)
    square = cut(upright.picture, crop, task.resolution)
    border, share = border_colour(square)
    plain = share >= PLAIN_SHARE
    facts = ImageFacts(
        width=upright.picture.width,
        height=upright.picture.height,
        format=upright.format,
        bytes=size,
        sharpness=sharpness(square),
        plain_background=plain,
        background_color=hexed(border) if plain else None,
        dominant_colors=dominant_colours(square, border if plain else None),
        converted=upright.converted,
    )
    return Prepared(
        sha256, facts, save(square, task.copy), crop, look_at(upright.picture), too_small(*upright.picture.size)
    )


def prepare_all(tasks: Sequence[Task], check: Callable[[], None]) -> Iterator[Prepared]:
    """Prepare in order, two at a time. `check` may raise to stop between pictures."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="curate") as pool:
        waiting = [pool.submit(prepare, task) for task in tasks]
        try:
            for future in waiting:
                check()
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def square_crop(width: int, height: int) -> Crop:
    """The square that trains: all of a square picture, else the upper centre, since there is no face detector yet."""
    side = min(width, height)
    if width == height:
        return Crop(x=0, y=0, width=side, height=side, reason="whole")
    return Crop(x=(width - side) // 2, y=int((height - side) * UPPER), width=side, height=side, reason="upper centre")


def cut(picture: Image.Image, crop: Crop, resolution: int) -> Image.Image:
    """The crop of an upright RGB picture at resolution x resolution pixels."""
    square = picture.crop((crop.x, crop.y, crop.x + crop.width, crop.y + crop.height))
    if square.size == (resolution, resolution):
        return square
    return square.resize((resolution, resolution), Image.Resampling.LANCZOS)


def save(square: Image.Image, copy: Path) -> str:
    """Write the copy as PNG, atomically, without the original's metadata; returns the SHA-256 of its bytes."""
    with atomic(copy) as temporary:
        bare = Image.frombytes("RGB", square.size, square.tobytes())
        bare.save(temporary, "PNG", compress_level=PNG_LEVEL)
        return sha256_file(temporary)


def too_small(width: int, height: int) -> tuple[str, str] | None:
    """(IMG-SIZE, why) under 512 pixels on the shorter side, else None."""
    if min(width, height) >= SMALLEST_SIDE:
        return None
    return "IMG-SIZE", f"{width}x{height}: the shorter side has {min(width, height)} pixels, at least 512 are needed."
