"""What leaves this machine within a request itself, written down beside what is uploaded (see `sending.py`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from loradeck.engines.base import Journal
from loradeck.engines.hosted.sending import SENT


def sent_row(what: str, content: bytes, to: str, files: int = 1) -> dict[str, Any]:
    """One thing that goes to a host: `content`, made of so many files."""
    return {
        "what": what,
        "files": files,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "to": to,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "expires_at": "",
    }


def note_sent(journal: Journal, rows: Sequence[dict[str, Any]]) -> None:
    """Write down what goes to a host: before it goes, so that nothing goes untold."""
    journal.put(SENT, [*(journal.get(SENT) or []), *rows])
