"""Files of an engine, written so that a cut leaves the old one whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loradeck.disk import replaced
from loradeck.disk import sha256_file as sha256_file
from loradeck.engines.errors import CannotWrite


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path that replaces `path` when the block ends well (see `loradeck.disk.replaced`).

    Raises CannotWrite when the disk is full or may not be written; whatever was at `path` stays.
    """
    try:
        with replaced(path) as temporary:
            yield temporary
    except OSError as error:
        raise CannotWrite(
            f"{path.name} could not be written ({error.strerror or 'unknown reason'}); free some room or make the "
            "folder writable, then start the run again: it goes on from what is there."
        ) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises CannotWrite."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)
