"""Pictures that came back: seen to show something, and written as PNG in the size that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loradeck.engines import files
from loradeck.engines.base import DrawJob, Picture
from loradeck.engines.hosted import blank
from loradeck.engines.story import save

Told = Callable[[tuple[int, int]], Mapping[str, str]]

SAME_SHAPE = 0.02
"""How far two shapes (width by height) may be apart to count as the same."""


def keep(job: DrawJob, came: Path, *, crop: bool, told: Told) -> Picture | str:
    """Write a picture to where the job wants it; or what is wrong with it, and nothing is written then.

    With `crop` it gets exactly the size of the job, scaled and cut evenly at its edges; else it keeps its shape, and
    is made smaller where its longer side is longer than the job's. `told` gives what the PNG says of itself, from the
    size that it came in. Raises NoRoom and CannotWrite.
    """
    wrong = blank.judge(came)
    if wrong is not None:
        return wrong
    from PIL import Image, ImageOps

    with Image.open(came) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    native = picture.size
    asked = (job.width, job.height) if crop else _within(native, max(job.width, job.height))
    if asked != native:
        picture = ImageOps.fit(picture, asked, Image.Resampling.LANCZOS)
    with files.atomic(job.out) as temporary:
        save(picture, temporary, told(native))
    return Picture(job.id, job.out, *asked, native)


def there(job: DrawJob) -> Picture | None:
    """The picture of a job that was finished before."""
    if not job.out.exists():
        return None
    from PIL import Image

    with Image.open(job.out) as picture:
        return Picture(job.id, job.out, *picture.size, native=picture.size)


def cropped(picture: Picture) -> bool:
    """Whether its edges were cut since the host drew another shape."""
    drawn, asked = picture.native[0] / picture.native[1], picture.width / picture.height
    return abs(drawn / asked - 1) > SAME_SHAPE


def _within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
