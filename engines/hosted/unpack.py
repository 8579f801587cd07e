"""The LoRA files in what a host gave back: a tar, a tar.gz, a zip, or the bare file. Nothing else is taken out.

An archive is not trusted. It is read through once, and only if nothing in it is wrong are the files taken out, each
under a name of its own in one folder, whole or not at all. Neither `extractall` nor an entry's path is ever used.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO

from loradeck.engines import files
from loradeck.engines.errors import BadWeights
from loradeck.engines.hosted import kinds

SUFFIX = ".safetensors"
PICKLES = (".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth")
CHUNK = 1 << 20
"""Bytes that are in memory at a time, and the most that a header may ask for at once."""

TROUBLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    zlib.error,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""What reading a damaged or hostile archive raises: gzip's errors are OSError, zipfile's also RuntimeError.

An empty name in a zip is an IndexError, a year out of range an OverflowError."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most. Trainers return one to twenty files of 20 MB to 3 GB.

    `entries` counts folders too; `largest` and `total` are in bytes, unpacked; `ratio` is how many times larger than
    the archive its contents may be, a mebibyte let off: weights hardly shrink, while a bomb grows a thousandfold.
    """

    entries: int = 2000
    largest: int = 8 << 30
    total: int = 16 << 30
    ratio: int = 50


LIMITS = Limits()
RATIO_FREE = 1 << 20
ZIP_LOCKED = 0x1
"""The flag of an entry that is encrypted."""
LONGEST_STEM = 80
HUGE = "unpacks to far more than weights would"


@dataclass(frozen=True)
class _Entry:
    """A file or folder in an archive, by what the archive says of it; `plain` is a file that is one and can be read."""

    name: str
    size: int
    plain: bool
    folder: bool
    opened: Callable[[], IO[bytes]]


def unpack(path: Path, folder: Path, limits: Limits = LIMITS) -> tuple[Path, ...]:
    """The .safetensors files in what came back, as files of `folder`, in the archive's order.

    Raises:
        BadWeights: it is no archive, is damaged or hostile, or holds no .safetensors file; nothing was written then.
        NoRoom, CannotWrite: a file cannot be written.
    """
    try:
        kind = kinds.kind(path)
    except OSError as error:
        raise BadWeights(f"What the host gave back, {path.name}, is not there any more; fetch it again.") from error
    if kind == "safetensors":
        return _bare(path, folder)
    if kind not in ("zip", "tar", "gzip"):
        raise BadWeights(f"{path.name} {kinds.WORDS[kind]}; look at the run at the host, and fetch its weights again.")
    with _reading(path.name):
        wanted = _wanted(path, kind, limits)
    return _taken(path, kind, folder, wanted, limits)


def _bare(path: Path, folder: Path) -> tuple[Path, ...]:
    target = folder / f"{_stem(path.name)}{SUFFIX}"
    with path.open("rb") as source:
        _copy(source, target, path.stat().st_size, path.name)
    return (target,)


def _wanted(path: Path, kind: kinds.Kind, limits: Limits) -> dict[int, str]:
    """The names to be given to the files that are wanted, by their place in the archive. Raises BadWeights."""
    found: dict[int, str] = {}
    pickles, total = 0, 0
    most = min(limits.total, limits.ratio * path.stat().st_size + RATIO_FREE)
    for place, entry in enumerate(_entries(path, kind, most)):
        total += entry.size
        _check(path.name, entry, limits)
        if place >= limits.entries:
            raise BadWeights(_refused(path.name, f"holds more than {limits.entries} entries"))
        if total > most:
            raise BadWeights(_refused(path.name, HUGE))
        base = entry.name.replace("\\", "/").rpartition("/")[2]
        pickles += base.lower().endswith(PICKLES)
        if base.lower().endswith(SUFFIX) and not entry.folder and not base.startswith("._"):
            found[place] = _unique(_stem(base), found.values())
    if not found:
        what = "weights as a pickle alone, which can run any program" if pickles else f"no {SUFFIX} file"
        raise BadWeights(f"{path.name} holds {what}; look at the run at the host for its weights.")
    return found


def _check(name: str, entry: _Entry, limits: Limits) -> None:
    """Raise BadWeights for an entry that an honest archive of weights does not have."""
    parts = entry.name.replace("\\", "/").split("/")
    if entry.name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry.name) or ".." in parts or "\0" in entry.name:
        raise BadWeights(_refused(name, f"names a file outside of itself ({_shown(entry.name)})"))
    if not (entry.plain or entry.folder):
        raise BadWeights(_refused(name, f"holds a link, a device or a locked file ({_shown(entry.name)})"))
    if not 0 <= entry.size <= limits.largest:
        raise BadWeights(_refused(name, f"holds a file that is larger than weights are ({_shown(entry.name)})"))


def _taken(path: Path, kind: kinds.Kind, folder: Path, wanted: Mapping[int, str], limits: Limits) -> tuple[Path, ...]:
    """Take the wanted files out; none of them stays where one is damaged."""
    taken: list[Path] = []
    try:
        with _reading(path.name):
            for place, entry in enumerate(_entries(path, kind, limits.total)):
                if place in wanted:
                    target = folder / wanted[place]
                    with entry.opened() as source:
                        _copy(source, target, entry.size, path.name)
                    taken.append(target)
    except BadWeights:
        for target in taken:
            target.unlink()
        raise
    return tuple(taken)


def _copy(source: IO[bytes], target: Path, size: int, name: str) -> None:
    """Copy as many bytes as were announced, atomically. Raises BadWeights where they are fewer, or damaged."""
    left = size
    with files.atomic(target) as temporary, temporary.open("wb") as file:
        while left:
            with _reading(name):
                part = source.read(min(left, CHUNK))
            if not part:
                raise BadWeights(_damaged(name))
            file.write(part)
            left -= len(part)


# --------------------------------------------------------------------------- formats


def _entries(path: Path, kind: kinds.Kind, most: int) -> Iterator[_Entry]:
    """What an archive holds, in its order; an entry is opened, if at all, before the next one is asked for."""
    yield from _zipped(path) if kind == "zip" else _tarred(path, kind, most)


def _zipped(path: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            sort = stat.S_IFMT(info.external_attr >> 16)
            plain = sort in (0, stat.S_IFREG) and not info.flag_bits & ZIP_LOCKED
            yield _Entry(info.filename, info.file_size, plain, info.is_dir(), partial(archive.open, info))


def _tarred(path: Path, kind: kinds.Kind, most: int) -> Iterator[_Entry]:
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if kind == "gzip" else raw as stream:
        archive = tarfile.TarFile(fileobj=_Onward(stream, most, path.name))
        while (member := archive.next()) is not None:
            plain = member.isreg() and not member.issparse()
            yield _Entry(member.name, member.size, plain, member.isdir(), partial(_member, archive, member))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member)
    if opened is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return opened


class _Onward(io.RawIOBase):
    """A stream that only goes forward, to `most` bytes and no further, and gives no more than `CHUNK` at once.

    tarfile reads headers whole, whatever size they claim, and follows offsets backwards into endless loops.
    """

    def __init__(self, stream: io.BufferedIOBase, most: int, name: str) -> None:
        super().__init__()
        self._stream, self._most, self._name = stream, most, name

    def read(self, size: int = -1) -> bytes:
        """Up to so many bytes."""
        if not 0 <= size <= CHUNK or self.tell() + size > self._most + CHUNK:
            raise BadWeights(_refused(self._name, HUGE))
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place from the start."""
        if whence != io.SEEK_SET or offset < self.tell():
            raise BadWeights(_refused(self._name, "points back into itself"))
        if offset > self._most + CHUNK:
            raise BadWeights(_refused(self._name, HUGE))
        return self._stream.seek(offset)

    def tell(self) -> int:
        """The place from the start, unpacked."""
        return self._stream.tell()


# --------------------------------------------------------------------------- names and words


def _stem(name: str) -> str:
    """A name without its suffix, of characters that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name)
    return plain.strip("._-")[:LONGEST_STEM] or "lora"


def _unique(stem: str, taken: Collection[str]) -> str:
    """A name that no other file has, whatever the case."""
    known = {name.lower() for name in taken}
    names = (f"{stem}{f'-{number}' if number > 1 else ''}{SUFFIX}" for number in count(1))
    return next(name for name in names if name.lower() not in known)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What reading raises becomes a sentence."""
    try:
        yield
    except TROUBLE as error:
        raise BadWeights(_damaged(name)) from error


def _damaged(name: str) -> str:
    return f"{name} is damaged or cut short; fetch it again from the host while it is kept there."


def _refused(name: str, why: str) -> str:
    return f"{name} {why}, so nothing was taken out of it; look at the run at the host for its weights."


def _shown(name: str) -> str:
    """A name from outside, short and without control characters."""
    return repr(name[:60])
