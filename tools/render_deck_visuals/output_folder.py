"""A person's folder that a deck's files are copied to: their own files of the same names are never replaced.

What loradeck wrote into a folder stands in a record there, whichever deck it was of, so that a later deck may take the
place of an earlier one's copies and of nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from loradeck.state.files import sha256_file, write_json
from loradeck.tools.contracts import DeckSpec
from loradeck.tools.errors import Refused
from loradeck.tools.render_deck_visuals.frames import frames

RECORD = ".loradeck.json"
DOCUMENTS = ("contact_sheet.png", "deck.typ", "loradeck.typ", "deck.pdf", "deck.pptx", "parity.json")
SHEETS = ("_sheet.png", "_sheet_clear.png")
MOST_NAMED = 4


def left_in(folder: Path) -> dict[str, str]:
    """What loradeck wrote into a folder: names to the SHA-256 that each was left with; empty where that is unknown."""
    try:
        told = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in told.items()} if isinstance(told, dict) else {}


def remember(folder: Path, files: Mapping[str, str]) -> None:
    """Add names and SHA-256 to the folder's record. Raises DiskFull, WorkspaceReadOnly or StateError."""
    before = left_in(folder)
    if (now := {**before, **files}) != before:
        write_json(folder / RECORD, now)


def still_ours(folder: Path, name: str) -> bool:
    """Whether a file there is as loradeck left it, for any deck."""
    path = folder / name
    return path.is_file() and left_in(folder).get(name) == sha256_file(path)


def require_free(folder: Path, deck: DeckSpec, known: Iterable[Path]) -> None:
    """Raise Refused where the folder holds files that loradeck never wrote, under names that the deck's files have.

    `known` are files that were written there for this very deck: what a person edited of those is kept aside later.
    """
    ours = left_in(folder).keys() | {path.name for path in known if path.parent == folder}
    names = [*(f"{frame.stem}.{kind}" for frame in frames(deck) for kind in ("png", "jpg")), *DOCUMENTS]
    names += [f"{frame.number:02}_{frame.slide}{end}" for frame in frames(deck) for end in SHEETS]
    theirs = [name for name in dict.fromkeys(names) if name not in ours and (folder / name).exists()]
    if theirs:
        more = f" and {len(theirs) - MOST_NAMED} more" if len(theirs) > MOST_NAMED else ""
        raise Refused(
            f"The folder {folder.name!r} holds files of your own that the deck's would replace: "
            f"{', '.join(theirs[:MOST_NAMED])}{more}. Name another output_dir, or move them; nothing was drawn."
        )
