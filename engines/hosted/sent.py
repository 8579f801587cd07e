"""What of a person's files left the machine in a run: the journal's key "sent", for the run's card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loradeck.engines.base import Journal

KEY = "sent"


def sent_row(what: str, files: Sequence[Path], content: bytes, to: str) -> dict[str, Any]:
    """One thing that goes to a host: `content`, made of these files."""
    return {
        "what": what,
        "files": [file.name for file in files],
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "to": to,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def note_sent(journal: Journal, rows: Sequence[dict[str, Any]]) -> None:
    """Write down what goes to a host: before it goes, so that nothing goes untold."""
    journal.put(KEY, [*(journal.get(KEY) or []), *rows])
