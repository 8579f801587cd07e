"""What loradeck wrote last of a deck, so that a file that a person put there or edited is never lost."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from pathlib import Path

from loradeck.state.files import sha256_file, told, write_bytes, write_json
from loradeck.tools.render_deck_visuals.output_folder import left_in, remember

RECORD = ".written.json"
NUMBERED = re.compile(r"\d\d_.*\.(png|jpg)$")


class Written:
    """Writes a deck's files, in its own folder and in others. `kept` are sentences on files that were moved aside.

    The record in the deck's folder holds the SHA-256 of each file as loradeck left it. A file that differs from it is
    a person's: it gets a free name before another takes its place. After a kill between a file and its record, that
    file is taken for a person's too, which costs a copy and loses nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: list[str] = []
        self._record = folder / RECORD
        self._known: dict[str, str] = _read(self._record)

    def save(self, path: Path, data: bytes, mode: int = 0o644) -> None:
        """Write a file, unless it holds these bytes already. Raises DiskFull, WorkspaceReadOnly or StateError."""
        name = self._name(path)
        digest = hashlib.sha256(data).hexdigest()
        there = sha256_file(path) if path.is_file() else None
        if there != digest:
            if there is not None and there != self._known.get(name):
                self._move_aside(path)
            write_bytes(path, data, mode)
        if self._known.get(name) != digest:
            self._known[name] = digest
            write_json(self._record, self._known)

    def leave(self, path: Path, data: bytes, mode: int = 0o644, record: Path | None = None) -> None:
        """Save a file in a person's folder, over an earlier one of whichever deck, and remember it in a folder there.

        The `record` is kept in the file's own folder unless another is named.
        """
        record = record or path.parent
        if path.is_file() and left_in(record).get(path.name) == sha256_file(path):
            self.take_over(path)
        self.save(path, data, mode)
        remember(record, {path.name: hashlib.sha256(data).hexdigest()})

    def clear(self, folder: Path, keep: Collection[str]) -> None:
        """Take away the numbered pictures of slides that are gone from a folder, those that are as they were left.

        Their takes stay in the deck's folder. Raises StateError.
        """
        for path in self.files():
            gone = path.parent == folder and NUMBERED.match(path.name) and path.name not in keep
            if not gone or not self.is_ours(path) or not self.left_last(path):
                continue
            with told(path):
                path.unlink()
            del self._known[self._name(path)]
            write_json(self._record, self._known)

    def files(self) -> list[Path]:
        """Every file that was ever written, in the deck's folder and elsewhere."""
        return [self.folder / name for name in self._known]

    def take_over(self, path: Path) -> None:
        """A file that is as loradeck left it for another deck may be replaced."""
        self._known[str(path)] = sha256_file(path)

    def knows(self, path: Path) -> bool:
        """True for a file that loradeck wrote once, whoever changed it since."""
        return self._name(path) in self._known

    def is_ours(self, path: Path) -> bool:
        """True for a file that is as loradeck left it."""
        return self.knows(path) and path.is_file() and sha256_file(path) == self._known[self._name(path)]

    def left_last(self, path: Path, record: Path | None = None) -> bool:
        """False for a file in a person's folder that was replaced by one of another deck since; see `leave`."""
        left = left_in(record or path.parent).get(path.name)
        return left is None or left == self._known.get(self._name(path))

    def taken_in(self, path: Path, data: bytes) -> None:
        """What a person made of a file was taken over: while it holds these bytes, another may take its place."""
        self._known[self._name(path)] = hashlib.sha256(data).hexdigest()
        write_json(self._record, self._known)

    def holds_in(self, folder: Path) -> bool:
        """True when a file was ever written into that folder."""
        return any(Path(name).parent == folder for name in self._known)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)

    def _move_aside(self, path: Path) -> None:
        number = 1
        while (free := path.with_stem(f"{path.stem}-kept-{number}")).exists():
            number += 1
        with told(path):
            path.rename(free)
        self.kept.append(f"{path.name} in {path.parent.name} was not as loradeck had left it: it is {free.name} now.")


def _read(record: Path) -> dict[str, str]:
    """What is known of files; nothing where the record is missing or damaged: they are taken for a person's then."""
    try:
        known: dict[str, str] = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return known
