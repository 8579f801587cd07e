"""What was seen of picture files, kept in the workspace's cache by their content: a training set is looked at once.

A picture costs about 40 ms to look at and 1 ms to remember. Losing the folder loses nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from loradeck.state.errors import StateError
from loradeck.state.files import told, write_bytes
from loradeck.tools.appearance import statistics
from loradeck.tools.appearance.eye import Seen
from loradeck.tools.appearance.statistics import LAYOUT_NUMBERS, LOOK_NUMBERS
from loradeck.tools.curate_dataset.similarity import Look, look_at

VERSION = 1
"""Counts up when what is seen of a picture changes."""
DIGEST = 32
NUMBERS = 4 * (LOOK_NUMBERS + LAYOUT_NUMBERS)


class Memory:
    """Looks and numbers of pictures, remembered in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, path: Path) -> tuple[Look, Seen]:
        """What is compared of a picture file, and what the statistics are. Raises OSError."""
        kept = self._folder / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}-v{VERSION}.look"
        known = _read(kept)
        if known is None:
            picture = statistics.opened(path)
            known = look_at(picture), statistics.seen(picture)
            _write(kept, *known)
        return known


def _read(kept: Path) -> tuple[Look, Seen] | None:
    """None where there is nothing, or not what was written."""
    if not kept.is_file():
        return None
    content = kept.read_bytes()
    body = content[DIGEST:]
    if hashlib.sha256(body).digest() != content[:DIGEST]:
        return None
    numbers = np.frombuffer(body, "<f4", LOOK_NUMBERS + LAYOUT_NUMBERS).astype(np.float32)
    return Look.from_bytes(body[NUMBERS:]), Seen(numbers[:LOOK_NUMBERS], numbers[LOOK_NUMBERS:])


def _write(kept: Path, look: Look, seen: Seen) -> None:
    """A full disk costs time at the next call, and no result."""
    body = np.concatenate([seen.look, seen.layout]).astype("<f4").tobytes() + look.to_bytes()
    try:
        with told(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(kept, hashlib.sha256(body).digest() + body)
    except StateError:
        return
