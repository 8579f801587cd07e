"""Run as a program: trains in FOLDER/run with the journal FOLDER/journal.json and dies at step N without a word."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from support import tiny
from support.reporter import MemoryJournal, MemoryReporter

from loradeck.engines.local.engine import LocalEngine


class Dying(MemoryReporter):
    def progress(self, step: int, steps: int, message: str = "") -> None:
        if step >= int(sys.argv[2]):
            os._exit(9)


def main() -> None:
    folder = Path(sys.argv[1])
    base = tiny.base(folder / "weights")
    journal = MemoryJournal(folder / "journal.json")
    LocalEngine({"preview": lambda: base}).train(
        tiny.spec(folder / "run"), tiny.dataset(folder / "images"), Dying(journal)
    )


if __name__ == "__main__":
    main()
