"""One picture from file to training copy: decode, look, cut the square, measure, write the copy."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
from PIL import Image

from loradeck.state.files import atomic, sha256_file
from loradeck.tools.contracts import Box, Crop, ImageFacts
from loradeck.tools.curate_dataset.cropping import square_crop
from loradeck.tools.curate_dataset.faces import find_faces
from loradeck.tools.curate_dataset.margins import content_box
from loradeck.tools.curate_dataset.measure import (
    READ_SIDE,
    faces_as_facts,
    picture_facts,
    square_facts,
    text_laid_over,
)
from loradeck.tools.curate_dataset.names import shown
from loradeck.tools.curate_dataset.outliers import look_vector
from loradeck.tools.curate_dataset.picture import MOST_MEGAPIXELS, SEEN, Unfit, Upright, enough_for, open_upright
from loradeck.tools.curate_dataset.similarity import Look, look_at
from loradeck.tools.curate_dataset.watermarks import Trace, trace_of

log = logging.getLogger(__name__)
SMALLEST_SIDE = 512
PNG_LEVEL = 3
THREADS = 2
AHEAD = 8
"""How many pictures may be ready before they are taken: what waits holds memory."""
Reason = tuple[str, str]
"""Rule id, and why."""
UNMEASURED = (cv2.error, ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError)
"""What detectors and measures raise on a picture that they cannot take: it is set aside, and the others go on."""


@dataclass(frozen=True)
class Task:
    """A picture to prepare: where it lies, where its copy goes, and the copy's side in pixels.

    `closely` is true where small faces matter, those of a figure.
    """

    original: Path
    copy: Path
    resolution: int
    most_megapixels: float = MOST_MEGAPIXELS
    smallest_side: int = SMALLEST_SIDE
    closely: bool = False
    minds_text: bool = True


@dataclass(frozen=True)
class Prepared:
    """What became of a picture. `look` and `crop` are missing where it cannot be read; `vector` is packed float32."""

    sha256: str
    facts: ImageFacts
    copy_sha256: str | None = None
    crop: Crop | None = None
    look: Look | None = None
    vector: bytes = b""
    trace: Trace | None = None
    unfit: tuple[Reason, ...] = ()


def prepare(task: Task) -> Prepared:
    """Make the copy of one picture and measure it. Only the workspace's own errors (DiskFull ...) are raised."""
    try:
        sha256 = sha256_file(task.original)
        size = task.original.stat().st_size
    except OSError:
        gone = ImageFacts(width=0, height=0, format="unknown", bytes=0)
        return Prepared("", gone, unfit=(("IMG-READABLE", "The file cannot be opened; check that it is there."),))
    try:
        upright = open_upright(task.original, task.most_megapixels, max(task.resolution, SEEN))
        within = content_box(upright.picture)
        if within is not None and upright.reduced > 1:  # what is left must still hold what trains
            side = upright.reduced * min(within[2:])
            upright = open_upright(task.original, task.most_megapixels, enough_for(upright.size, side, task.resolution))
            within = content_box(upright.picture)
        return _measured(task, upright, within, sha256, size)
    except Unfit as unfit:
        reason = (unfit.rule_id, unfit.why)
    except UNMEASURED:
        log.exception("%s could not be measured", shown(task.original.name))
        reason = ("IMG-READABLE", "It opens, but cannot be measured; export it again as PNG, then add it again.")
    suffix = task.original.suffix.lstrip(".").upper() or "unknown"
    return Prepared(sha256, ImageFacts(width=0, height=0, format=suffix, bytes=size), unfit=(reason,))


def _measured(
    task: Task, upright: Upright, within: tuple[int, int, int, int] | None, sha256: str, size: int
) -> Prepared:
    """The picture looked at whole, cut, looked at again, and its copy written. `within` is in pixels as decoded."""
    picture = upright.picture
    faces = [replace(face, box=in_original(face.box, upright)) for face in find_faces(picture, closely=task.closely)]
    whole = upright if within is None else replace(upright, picture=_inside(picture, within))
    within = None if within is None else in_original(within, upright)
    crop = square_crop(*upright.size, faces, within)
    square = cut(picture, crop, task.resolution, upright.reduced)
    on_square = square_facts(square, legible(upright, crop, square))
    facts = ImageFacts(
        width=upright.size[0],
        height=upright.size[1],
        format=upright.format,
        bytes=size,
        content=within,
        faces=faces_as_facts(faces),
        converted=upright.converted,
        loras=upright.loras,
        **picture_facts(whole, square, on_square["plain_background"]),
        **on_square,
    )
    return Prepared(
        sha256,
        facts,
        save(square, task.copy),
        crop,
        look_at(picture),
        look_vector(square).tobytes(),
        trace_of(picture),
        tuple(_against(task, facts)),
    )


def _inside(picture: Image.Image, within: Box) -> Image.Image:
    x, y, width, height = within
    return picture.crop((x, y, x + width, y + height))


def in_original(box: Sequence[int], upright: Upright) -> tuple[int, int, int, int]:
    """A box in pixels of a picture as it was decoded, in those of the upright original."""
    left, top, width, height = (upright.reduced * value for value in box)
    return left, top, min(width, upright.size[0] - left), min(height, upright.size[1] - top)


def legible(upright: Upright, crop: Crop, square: Image.Image) -> Image.Image:
    """The square, as it trains or larger, so that text in it can be read."""
    return square if square.width >= READ_SIDE else cut(upright.picture, crop, READ_SIDE, upright.reduced)


def _against(task: Task, facts: ImageFacts) -> Iterator[Reason]:
    """What rules out a picture that could be read."""
    shorter = min(facts.width, facts.height)
    if shorter < task.smallest_side:
        yield (
            "IMG-SIZE",
            f"{facts.width}x{facts.height}: the shorter side has {shorter} pixels, at least {task.smallest_side} are "
            "needed.",
        )
    if facts.loras:
        yield "IMG-ORIGIN", f"Made with a LoRA ({', '.join(facts.loras)}), by the file's own metadata."
    laid = text_laid_over(facts) if task.minds_text else None
    if laid is not None:
        yield "IMG-TEXT", laid


def prepare_all(tasks: Sequence[Task], check: Callable[[], None]) -> Iterator[Prepared]:
    """Prepare in order, two at a time and a few ahead. `check` may raise to stop between pictures."""
    cv2.setNumThreads(1)  # both cores have a picture each; OpenCV's own threads would only wait for one another
    with ThreadPoolExecutor(THREADS, thread_name_prefix="curate") as pool:
        waiting: deque[Future[Prepared]] = deque()
        coming = iter(tasks)
        try:
            for _ in range(len(tasks)):
                while len(waiting) < AHEAD and (task := next(coming, None)) is not None:
                    waiting.append(pool.submit(prepare, task))
                check()
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def cut(picture: Image.Image, crop: Crop, resolution: int, reduced: int) -> Image.Image:
    """The crop of an upright picture, decoded at one part in `reduced`, at resolution x resolution pixels."""
    left, top, side = (value // reduced for value in (crop.x, crop.y, crop.width))
    square = picture.crop((left, top, left + side, top + side))
    if square.size == (resolution, resolution):
        return square
    return square.resize((resolution, resolution), Image.Resampling.LANCZOS)


def save(square: Image.Image, copy: Path) -> str:
    """Write the copy as PNG, atomically, without the original's metadata; returns the SHA-256 of its bytes."""
    with atomic(copy) as temporary:
        bare = Image.frombytes("RGB", square.size, square.tobytes())
        bare.save(temporary, "PNG", compress_level=PNG_LEVEL)
        return sha256_file(temporary)
