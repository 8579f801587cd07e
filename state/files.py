"""The workspace's folders, ids, and files written so that a cut leaves the old one whole."""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loradeck.disk import replaced
from loradeck.disk import sha256_file as sha256_file
from loradeck.state.errors import DiskFull, FileInUse, StateError, WorkspaceReadOnly

SAYABLE = "23456789abcdefghjkmnpqrstvwxyz"
LONG_IDS = {"img": 8, "vis": 8}
OPEN_ELSEWHERE = {5, 32, 33}
"""What Windows answers when a file is to be replaced that another program holds: denied, shared, locked."""


def new_id(prefix: str) -> str:
    """A short id that can be read aloud: no 0/o, 1/l/i, u. 6 characters (8 for images and visuals)."""
    length = LONG_IDS.get(prefix, 6)
    return f"{prefix}_" + "".join(secrets.choice(SAYABLE) for _ in range(length))


def now() -> str:
    """UTC, ISO 8601, microseconds: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Workspace:
    """Where everything of one person lies."""

    home: Path

    @property
    def database(self) -> Path:
        """Path of loradeck.db."""
        return self.home / "loradeck.db"

    def dataset(self, dataset_id: str) -> Path:
        """The image folder that trainers read."""
        return self.home / "datasets" / dataset_id

    def run(self, run_id: str) -> Path:
        """Spec, log, checkpoints and samples of a run."""
        return self.home / "runs" / run_id

    def log(self, run_id: str) -> Path:
        """What the worker printed."""
        return self.run(run_id) / "worker.log"

    def deck(self, deck_id: str) -> Path:
        """Pictures and documents of a deck."""
        return self.home / "decks" / deck_id

    def loras(self, base_model: str) -> Path:
        """The library's files for one base."""
        return self.home / "loras" / base_model

    @property
    def cache(self) -> Path:
        """What runs need not compute again: latents and encoded prompts. It may be deleted at any time."""
        return self.home / "cache"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where everything but the database lies; each is made on first use."""
        return tuple(self.home / name for name in ("datasets", "runs", "loras", "decks"))

    def holds(self, path: Path) -> bool:
        """True when the path, links followed, lies in the workspace."""
        return path.resolve().is_relative_to(self.home.resolve())


@contextmanager
def told(where: Path) -> Iterator[None]:
    """Turn what the operating system refuses into one sentence with the next step."""
    try:
        yield
    except OSError as error:
        raise explained(error, where) from error


def explained(error: OSError, where: Path) -> StateError:
    """The state error that says what an OSError means for the workspace."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(
            f"The disk that holds {where} is full; free some room, then make the same call again: "
            "nothing that was there was changed."
        )
    if getattr(error, "winerror", None) in OPEN_ELSEWHERE and where.is_file():
        return FileInUse(f"{where} is open in another program; close it there, then make the same call again.")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return WorkspaceReadOnly(
            f"{where} cannot be written; make its folder writable or set LORADECK_HOME to another one, then call again."
        )
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return StateError(
            f"{where} needs a folder where a file is; move that file away or set LORADECK_HOME to another "
            "folder, then call again."
        )
    return StateError(
        f"Writing {where} failed ({error.strerror or 'unknown reason'}); "
        "check the folder with `loradeck doctor`, then call again."
    )


@contextmanager
def atomic(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary path that replaces `path` when the block ends well (see `loradeck.disk.replaced`).

    Raises DiskFull, FileInUse, WorkspaceReadOnly or StateError; whatever was at `path` stays as it was then.
    """
    with told(path), replaced(path, mode) as temporary:
        yield temporary


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file atomically; nobody sees it with other rights than `mode`."""
    with atomic(path, mode) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, hex: the same for equal values on every machine."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
