"""Whether a call's pictures are work for a run: guessed from what their headers announce, before any is decoded.

The guess is in seconds of a quiet core, scaled from what `bench/curate.py` measured on a busy one. New pictures are
prepared two at a time, so that a call ends well within 20 seconds even where one core is busy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from loradeck.state.records import ImageRecord
from loradeck.tools.curate_dataset.archives import Member, megapixels_inside, members
from loradeck.tools.curate_dataset.picture import announced_megapixels
from loradeck.tools.curate_dataset.sources import Found, Survey

SECONDS_IN_CALL = 15.0
A_PICTURE = 0.6
"""Looking for text and faces, at a size of their own whatever the picture's."""
A_MEGAPIXEL = 0.03
"""Of the original: 0.01 where it is a JPEG, 0.035 where it is a PNG."""
A_COPY_MEGAPIXEL = 0.18
A_MEGABYTE_READ = 0.004
A_MEGABYTE_UNPACKED = 0.01
MEGA = 1e6


def needs_a_run(seen: Survey, rows: Sequence[ImageRecord], again: Sequence[ImageRecord], side: int) -> bool:
    """True when it may outlast a call to bring a source in and to make the copies of `again` anew.

    Fetching always may, since a server can be silent for longer than that. `rows` are the images that are there
    already, `side` is that of the copies. Raises BadArgument for a zip that cannot be taken.
    """
    zipped = [(archive, members(archive, [])) for archive in seen.archives]  # first of all, since this refuses
    if seen.urls:
        return True
    left = SECONDS_IN_CALL
    remade = (seconds(_megapixels(row), side) for row in again)
    for needed in chain(_for_files(seen.found, rows, side), _for_zips(zipped, side), remade):
        left -= needed
        if left < 0:
            return True
    return False


def seconds(megapixels: float, side: int) -> float:
    """What one picture takes, from the original to a copy of that side."""
    return A_PICTURE + A_MEGAPIXEL * megapixels + A_COPY_MEGAPIXEL * side * side / MEGA


def _for_files(files: Sequence[Found], rows: Sequence[ImageRecord], side: int) -> Iterator[float]:
    """What each file takes; one that is there already is only read, to see whether it changed."""
    there = {(row.rights.get("origin"), row.facts.get("bytes")) for row in rows}
    for found in files:
        size = _size(found.path)
        is_new = (found.origin, size) not in there
        yield seconds(announced_megapixels(found.path), side) if is_new else A_MEGABYTE_READ * size / MEGA


def _for_zips(zipped: Sequence[tuple[Path, Sequence[Member]]], side: int) -> Iterator[float]:
    """What each picture in each zip takes."""
    for archive, inside in zipped:
        pictures = [member for member in inside if member.is_picture]
        for member, megapixels in zip(pictures, megapixels_inside(archive, pictures), strict=True):
            yield seconds(megapixels, side) + A_MEGABYTE_UNPACKED * member.info.file_size / MEGA


def _megapixels(row: ImageRecord) -> float:
    return float(row.facts.get("width", 0) * row.facts.get("height", 0) / MEGA)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
