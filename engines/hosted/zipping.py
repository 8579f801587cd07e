"""The training set as one zip for a host: flat, pictures and captions alone, the same bytes for the same set.

Every trainer that takes captions reads `ROOT.ext` beside `ROOT.txt` from the top of the archive. What broke others is
kept out: a folder inside, `__MACOSX`, names beyond ASCII, two files of one name. Roots are numbers, so that no file's
name leaves the machine. Nothing is compressed: pictures are already, and compressors differ from one build to the next.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from loradeck.engines import files
from loradeck.engines.base import DatasetFolder, DatasetItem
from loradeck.engines.errors import BadSpec, CannotWrite

CHUNK = 1 << 20
"""Bytes that are in memory at a time."""

KINDS = {
    ".jpg": re.compile(rb"\xff\xd8\xff"),
    ".png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    ".webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
"""How the files begin that every host reads, by the suffix that they get."""
LONGEST_START = 12

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name."""
PLAIN_FILE = 0o100644 << 16
UNIX = 3
"""Who made the archive; the default depends on the system."""


@dataclass(frozen=True)
class Packed:
    """A zip as it lies on the disk: SHA-256 and size of the whole, and the names in it, in order."""

    path: Path
    sha256: str
    bytes: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Pair:
    """A picture and its caption under the names that they have in the archive."""

    item: DatasetItem
    image: str
    text: str
    caption: bytes


def pack(dataset: DatasetFolder, out: Path) -> Packed:
    """Write the zip of a training set atomically, and open it again to see that it holds what it should.

    Pictures come in the order of their bytes' hashes, so that neither names nor the order of the set change the zip.

    Raises:
        BadSpec: the set is empty, or a picture is missing, was changed, or is of a kind that hosts do not read.
        NoRoom, CannotWrite: the zip cannot be written, or the disk gives back something else.
    """
    if not dataset.items:
        raise BadSpec("The dataset holds no image to send; add some with curate_dataset.")
    pairs = list(_pairs(dataset))
    with files.atomic(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for pair in pairs:
                _add_image(archive, pair)
                archive.writestr(_entry(pair.text), pair.caption)
        _check(temporary, out.name, pairs)
        digest, size = files.sha256_file(temporary), temporary.stat().st_size
    return Packed(out, digest, size, tuple(name for pair in pairs for name in (pair.image, pair.text)))


def captioned(caption: str, trigger: str) -> str:
    """The caption with the trigger in front, where it does not begin with it: hosts without a trigger field need it."""
    words = caption.strip()
    if not trigger or re.match(rf"{re.escape(trigger)}(?!\w)", words):
        return words
    return f"{trigger}, {words}" if words else trigger


def _pairs(dataset: DatasetFolder) -> Iterator[_Pair]:
    ordered = sorted(dataset.items, key=lambda item: (item.sha256, item.caption))
    for number, item in enumerate(ordered, 1):
        root = f"{number:04d}"
        caption = captioned(item.caption, dataset.trigger)
        yield _Pair(item, root + _suffix(item.image), f"{root}.txt", caption.encode())


def _suffix(image: Path) -> str:
    """The suffix that belongs to what is in a file, whatever it is called. Raises BadSpec."""
    with _opened(image) as file:
        start = file.read(LONGEST_START)
    found = next((suffix for suffix, kind in KINDS.items() if kind.match(start)), None)
    if found is None:
        raise BadSpec(f"{image.name} is no JPEG, PNG or WebP, which hosts read; add it again with curate_dataset.")
    return found


def _opened(image: Path) -> IO[bytes]:
    try:
        return image.open("rb")
    except OSError as error:
        raise BadSpec(
            f"The image {image.name} cannot be read ({error.strerror}); curate the dataset again, then start anew."
        ) from error


def _entry(name: str, size: int = 0) -> zipfile.ZipInfo:
    """A file's entry without anything that differs from machine to machine."""
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.external_attr, entry.create_system, entry.file_size = PLAIN_FILE, UNIX, size
    return entry


def _add_image(archive: zipfile.ZipFile, pair: _Pair) -> None:
    """Copy a picture in, a part at a time. Raises BadSpec where its bytes are not those that the set names."""
    seen = hashlib.sha256()
    with _opened(pair.item.image) as source:
        size = os.fstat(source.fileno()).st_size
        with archive.open(_entry(pair.image, size), "w") as target:
            while part := source.read(CHUNK):
                seen.update(part)
                target.write(part)
    if seen.hexdigest() != pair.item.sha256:
        raise BadSpec(
            f"The image {pair.item.image.name} was changed since the dataset was read, so nothing was sent; "
            "validate the dataset again, then start anew."
        )


def _check(path: Path, name: str, pairs: list[_Pair]) -> None:
    """Read the archive back: names, pictures and captions are those of the set, and there is nothing else."""
    wanted = {pair.image: pair.item.sha256 for pair in pairs}
    wanted |= {pair.text: hashlib.sha256(pair.caption).hexdigest() for pair in pairs}
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.namelist()
            flat = all(entry.isascii() and "/" not in entry for entry in listed)
            whole = len(listed) == 2 * len(pairs) and {entry: _digest(archive, entry) for entry in listed} == wanted
    except zipfile.BadZipFile:
        flat = whole = False
    if not (flat and whole):
        raise CannotWrite(
            f"{name} was written, and the disk gave back something else, so nothing was sent; check the drive, then "
            "start the run again."
        )


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    """SHA-256 of an entry. Raises zipfile.BadZipFile where its own checksum does not fit."""
    seen = hashlib.sha256()
    with archive.open(name) as file:
        while part := file.read(CHUNK):
            seen.update(part)
    return seen.hexdigest()
