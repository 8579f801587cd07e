"""Zip files: listed, judged, and unpacked beside the dataset, without trusting what they say of themselves."""

from __future__ import annotations

import hashlib
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from loradeck.state.files import atomic, sha256_file
from loradeck.tools.curate_dataset.names import safe_stem, shown
from loradeck.tools.curate_dataset.picture import announced_megapixels
from loradeck.tools.curate_dataset.sources import MOST_PICTURES, PICTURES, is_junk
from loradeck.tools.errors import BadArgument

MOST_FILE_BYTES = 512 * 1024 * 1024
MOST_TOTAL_BYTES = 8 * 1024 * 1024 * 1024
MOST_RATIO = 200
RATIO_FROM_BYTES = 4 * 1024 * 1024
BESIDE = {".txt", ".jsonl", ".json"}
CHUNK = 1024 * 1024
LONGEST_FOLDER = 160
"""Folders whose path in the zip is longer go by its hash: no system takes a path of any length."""
DAMAGED = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)
"""What `zipfile` and its decompressors raise on what they cannot open or read."""


@dataclass(frozen=True)
class Member:
    """A file in a zip that is worth unpacking; `inside` is its path in the zip."""

    info: zipfile.ZipInfo
    inside: str

    @property
    def is_picture(self) -> bool:
        """True for pictures, false for the texts beside them."""
        return PurePosixPath(self.inside).suffix.lower() in PICTURES


def members(archive: Path, refused: list[tuple[str, str]]) -> list[Member]:
    """The pictures and the texts beside them in a zip; what is dangerous goes to `refused` with the reason.

    Raises BadArgument for a file that is no zip, holds no picture, or unpacks to more than any set of images needs.
    """
    kept: list[Member] = []
    with _opened(archive) as zipped:
        for info in zipped.infolist():
            inside = info.filename.replace("\\", "/")
            parts = [part for part in inside.split("/") if part]
            if not info.filename or info.is_dir() or any(is_junk(part) and part != ".." for part in parts):
                continue
            suffix = PurePosixPath(inside).suffix.lower()
            if suffix not in PICTURES and suffix not in BESIDE:
                continue
            why = _danger(info, inside, parts)
            if why:
                refused.append((shown(inside), why))
            else:
                kept.append(Member(info, inside))
    _judge_whole(archive, kept, refused)
    return kept


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except DAMAGED as error:
        raise BadArgument(
            f"{shown(archive.name)!r} is damaged or no zip file; make it again, or give a folder."
        ) from error


def _danger(info: zipfile.ZipInfo, inside: str, parts: list[str]) -> str | None:
    """Why a member is refused, or None."""
    if inside.startswith("/") or ".." in parts or re.match(r"^[A-Za-z]:", inside):
        return "Its path in the zip points out of the zip."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "A link in a zip; put the file itself in."
    if info.flag_bits & 0x1:
        return "It is encrypted; make a zip without a password."
    if info.file_size > MOST_FILE_BYTES:
        return "It unpacks to more than 512 MB."
    if info.file_size > RATIO_FROM_BYTES and info.file_size > MOST_RATIO * max(1, info.compress_size):
        return f"It unpacks to {info.file_size // max(1, info.compress_size)} times its size, as zip bombs do."
    return None


def _judge_whole(archive: Path, kept: list[Member], refused: list[tuple[str, str]]) -> None:
    pictures = sum(member.is_picture for member in kept)
    if pictures == 0 and not refused:
        raise BadArgument(f"The zip {shown(archive.name)!r} holds no picture; put PNG, JPEG or WebP images in.")
    if pictures > MOST_PICTURES or sum(member.info.file_size for member in kept) > MOST_TOTAL_BYTES:
        raise BadArgument(
            f"The zip {shown(archive.name)!r} holds more than {MOST_PICTURES} pictures or unpacks to more than 8 GB; "
            "split it."
        )


def megapixels_inside(archive: Path, pictures: Sequence[Member]) -> Iterator[float]:
    """What the header of each picture announces; 0 where it cannot be read."""
    with _opened(archive) as zipped:
        for member in pictures:
            try:
                with zipped.open(member.info) as file:
                    announced = announced_megapixels(file)
            except DAMAGED:
                announced = 0.0
            yield announced


def unpack(archive: Path, folder: Path, refused: list[tuple[str, str]]) -> dict[str, Path]:
    """Unpack into a subfolder named after the zip's own hash; path in the zip -> file on the disk, pictures only.

    What is unpacked already stays. A member that is damaged or larger than it says goes to `refused`.
    """
    into = folder / sha256_file(archive)[:16]
    unpacked: dict[str, Path] = {}
    taken: set[Path] = set()
    with _opened(archive) as zipped:
        for member in members(archive, refused):
            target = _place(into, member.inside, taken)
            if not (target.is_file() and target.stat().st_size == member.info.file_size):
                why = _copy(zipped, member, target)
                if why:
                    refused.append((shown(member.inside), why))
                    continue
            if member.is_picture:
                unpacked[_unlike(member.inside, unpacked)] = target
    return unpacked


def _unlike(inside: str, taken: Container[str]) -> str:
    """A path in the zip that no other member has: a zip may hold one name twice."""
    pure, name, count = PurePosixPath(inside), inside, 1
    while name in taken:
        count += 1
        name = pure.with_name(f"{pure.stem}_{count}{pure.suffix}").as_posix()
    return name


def _place(into: Path, inside: str, taken: set[Path]) -> Path:
    """Where a member goes: its own path with every part made safe; texts keep the stem of the picture beside them.

    Folders lose their dots, so that none is called as a file is.
    """
    *parents, name = [part for part in inside.split("/") if part]
    pure = PurePosixPath(name)
    special = name in {"metadata.jsonl", "keystone_metadata.json"}
    under = "/".join(safe_stem(part).replace(".", "_") for part in parents)
    folder = into / (under if len(under) <= LONGEST_FOLDER else hashlib.sha256(under.encode()).hexdigest()[:16])
    target = folder / (name if special else safe_stem(pure.stem) + pure.suffix.lower())
    count = 1
    while target in taken:
        count += 1
        target = folder / f"{safe_stem(pure.stem)}_{count}{pure.suffix.lower()}"
    taken.add(target)
    return target


def _copy(zipped: zipfile.ZipFile, member: Member, target: Path) -> str | None:
    """Unpack one member, never more bytes than it announced; the reason when that fails."""
    try:
        source = zipped.open(member.info)
    except DAMAGED:
        return "It cannot be unpacked; make the zip again."
    try:
        with source, atomic(target) as temporary, temporary.open("wb") as out:
            for chunk in _chunks(source, member.info.file_size):
                out.write(chunk)
    except zipfile.BadZipFile:
        return "It is damaged inside the zip; make the zip again."
    return None


def _chunks(source: IO[bytes], announced: int) -> Iterator[bytes]:
    """The bytes of a member. Raises BadZipFile where they cannot be had, or are more or fewer than announced."""
    left = announced
    while True:
        try:
            chunk = source.read(min(CHUNK, left + 1))
        except DAMAGED as error:
            raise zipfile.BadZipFile("damaged") from error
        left -= len(chunk)
        if left < 0 or (left > 0 and not chunk):
            raise zipfile.BadZipFile("not as long as announced")
        if not chunk:
            return
        yield chunk
