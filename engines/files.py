"""Files of an engine, written so that a cut leaves the old one whole."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loradeck.disk import replaced
from loradeck.disk import sha256_file as sha256_file
from loradeck.engines.errors import CannotWrite, NoRoom

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system answers when there is no room: on the disk, or in what this user may take of it."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path that replaces `path` when the block ends well (see `loradeck.disk.replaced`).

    Raises NoRoom when the disk is full and CannotWrite when it may not be written; whatever was at `path` stays.
    """
    with writing(path), replaced(path) as temporary:
        yield temporary


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says while a file is written becomes NoRoom (the disk is full) or CannotWrite."""
    try:
        yield
    except OSError as error:
        message = (
            f"{path.name} could not be written ({error.strerror or 'unknown reason'}); free some room or make the "
            "folder writable, then start the run again: it goes on from what is there."
        )
        raise (NoRoom(message, path.parent) if error.errno in FULL else CannotWrite(message)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises NoRoom and CannotWrite."""
    with _sized(data), atomic(path) as temporary:
        temporary.write_bytes(data)


def write_proved(path: Path, data: bytes) -> str:
    """Write a file that takes its place only once it was read back as it should be; returns its SHA-256.

    Raises NoRoom, and CannotWrite when the disk gives back other bytes; whatever was at `path` stays.
    """
    wanted = hashlib.sha256(data).hexdigest()
    with _sized(data), atomic(path) as temporary:
        temporary.write_bytes(data)
        if _on_the_disk(temporary) != wanted:
            raise CannotWrite(
                f"{path.name} was written, and the disk gave back other bytes; check the drive, or move the workspace "
                "to another one (LORADECK_HOME), then start the run again: it goes on from the file before."
            )
    return wanted


@contextmanager
def _sized(data: bytes) -> Iterator[None]:
    """Add to NoRoom how much was needed."""
    try:
        yield
    except NoRoom as error:
        error.needed = len(data)
        raise


def _on_the_disk(path: Path) -> str:
    """SHA-256 of a file as the disk has it, where the system can be made to forget what it remembers of it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()
