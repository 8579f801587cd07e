"""A dataset's folder is a person's too: captions edited there are taken in, pictures replaced there are noticed.

Captions are compared as text. Pictures are hashed when their size or time differs from what was last seen, so that
looking at an unchanged folder reads no picture.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from loradeck.state.errors import StateError
from loradeck.state.files import sha256_file, write_text
from loradeck.state.records import CaptionRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CaptionMode
from loradeck.tools.datasets import captions_of, copy_path, kept_images
from loradeck.tools.encodings import as_text
from loradeck.tools.rulebook.words import tidy

SEEN_FILE = ".copies.json"
NAMED = 5
MOST_BYTES = 64 * 1024
"""A longer sidecar is no caption."""


def take_in_captions(store: Store, dataset_id: str) -> list[str]:
    """Save what was edited in the sidecars of kept images: the names of the files that were taken in.

    A sidecar that is gone is no edit: it is written again from what is known.
    """
    known = captions_of(store, dataset_id)
    edited: dict[str, CaptionRecord] = {}
    for image in kept_images(store, dataset_id):
        path = copy_path(store, image).with_suffix(".txt")
        text, row = _text(path), known.get(image.id)
        if not text or (row is not None and (tidy(row.text) == text or not _is_newer(path, row))):
            continue
        usual = CaptionRecord(image.id, dataset_id, text, CaptionMode.GIVEN)
        edited[path.name] = replace(usual, seen=row.seen) if row is not None else usual
    with store.transaction():
        for caption in edited.values():
            store.add(caption)
    return list(edited)


def _is_newer(path: Path, row: CaptionRecord) -> bool:
    """False for a sidecar older than its caption's row: the row changed, and the file is still to be written."""
    return path.stat().st_mtime > datetime.fromisoformat(row.updated_at).timestamp()


def told_edits(edited: Sequence[str]) -> list[str]:
    """A sentence on the captions that were taken in, or none."""
    if not edited:
        return []
    more = f" and {len(edited) - NAMED} more" if len(edited) > NAMED else ""
    return [f"Captions edited in the dataset's folder were taken in ({', '.join(edited[:NAMED])}{more})."]


def _text(path: Path) -> str:
    """A sidecar's text as captions are saved; empty where there is none, or one too long for a caption."""
    try:
        return tidy(as_text(path.read_bytes())) if path.stat().st_size <= MOST_BYTES else ""
    except OSError:
        return ""


def hashes_now(store: Store, dataset_id: str, images: Sequence[ImageRecord]) -> dict[str, str]:
    """Image id -> SHA-256 of its training copy as it lies on the disk; images without a file are left out."""
    memory = store.workspace.dataset(dataset_id) / SEEN_FILE
    before = _remembered(memory)
    after: dict[str, list[Any]] = {}
    hashes: dict[str, str] = {}
    for image in images:
        path = copy_path(store, image)
        try:
            stat = path.stat()
            seen = before.get(image.file)
            same = seen is not None and seen[:2] == [stat.st_size, stat.st_mtime_ns]
            hashes[image.id] = str(seen[2]) if seen is not None and same else sha256_file(path)
        except OSError:
            continue
        after[image.file] = [stat.st_size, stat.st_mtime_ns, hashes[image.id]]
    if after != before:
        _remember(memory, after)
    return hashes


def _remembered(path: Path) -> dict[str, list[Any]]:
    """File -> size, time in nanoseconds, hash; nothing where the file is missing or damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = rows.items() if isinstance(rows, dict) else ()
    return {str(name): row for name, row in known if isinstance(row, list) and len(row) == 3}


def _remember(path: Path, rows: dict[str, list[Any]]) -> None:
    """Kept for speed alone: where it cannot be written, the next look hashes again."""
    try:
        write_text(path, json.dumps(rows))
    except StateError:
        return
