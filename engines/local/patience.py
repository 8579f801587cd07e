"""A full disk is waited for: the training pauses with a sentence, and goes on by itself when there is room."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from loradeck.engines.base import Reporter
from loradeck.engines.errors import NoRoom

LOOK_SECONDS = 2.0
"""How often it is looked for room, and listened for a stop, while a training waits."""

Made = TypeVar("Made")


class Patience:
    """Does what writes files, again and again while the disk is full. Other trouble with writing is not waited for."""

    def __init__(self, reporter: Reporter, steps: int) -> None:
        self._reporter, self._steps = reporter, steps

    def through(self, write: Callable[[], Made], what: str, step: int) -> Made:
        """What `write` makes; it may be called more than once, each time when there seems to be room for it.

        `what` names the thing in the sentence, `step` is where the training stands. Raises Cancelled when the person
        says stop meanwhile, and whatever `write` raises but NoRoom.
        """
        waited = False
        while True:
            try:
                made = write()
            except NoRoom as error:
                self._reporter.raise_if_cancelled()
                if not waited:
                    self._reporter.pause(step, self._steps, _sentence(error.needed, what))
                waited = True
                self._until_room(error.folder, error.needed or 0)
                continue
            if waited:
                self._reporter.progress(step, self._steps, "going on")
                self._reporter.event("There is room on the disk again; the training goes on.")
            return made

    def _until_room(self, folder: Path, needed: int) -> None:
        """Wait for one look at least: a quota, unlike a full disk, does not show in what is free."""
        while True:
            time.sleep(LOOK_SECONDS)
            self._reporter.raise_if_cancelled()
            if shutil.disk_usage(_there(folder)).free >= needed:
                return


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that was made already."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _sentence(needed: int | None, what: str) -> str:
    short = f"there is no room for {what}" if needed is None else f"{_size(needed)} are needed for {what}"
    return f"The disk is full: {short}. The training waits; free some room and it goes on by itself."


def _size(count: int) -> str:
    """Bytes in words, rounded up so that making that much room is enough."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{-(-count * 10 // size) / 10:g} {unit}"
    return f"{-(-count // 1000)} kB"
