"""What lies beside a picture: `.txt` captions, `metadata.jsonl`, `keystone_metadata.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from loradeck.tools.contracts import Attributes, Rights
from loradeck.tools.encodings import as_text
from loradeck.tools.rulebook.words import tidy

LONGEST_CAPTION_BYTES = 64 * 1024
LARGEST_METADATA_BYTES = 32 * 1024 * 1024
LONGEST_CAPTION = 4000
ALIASES = {"light": "lighting", "color": "colors", "colours": "colors", "colour": "colors", "outfit": "wardrobe"}
RIGHTS_KEYS = {
    "source": ("source", "author", "credit", "attribution", "photographer"),
    "licence": ("licence", "license"),
    "consent": ("consent",),
    "may_leave": ("may_leave",),
}
CAPTION_KEYS = ("caption", "text", "prompt")
SPOKEN = {"closeup": "close_up", "close": "close_up", "full": "full_body"}


@dataclass(frozen=True)
class Notes:
    """What others wrote about one picture. Attribute values are those of `contracts.Attributes`."""

    attributes: dict[str, Any] = field(default_factory=dict)
    caption: str | None = None
    rights: dict[str, Any] = field(default_factory=dict)
    """As `contracts.Rights` has them."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is known of how it was made."""


class Beside:
    """Reads what lies beside pictures, each metadata file once, and never through a link out of `root`."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is the folder that the caller gave; None where single files were given."""
        self._root = root.resolve() if root is not None else None
        self._rows: dict[Path, dict[str, dict[str, Any]]] = {}

    def notes(self, picture: Path, name: str) -> Notes:
        """Attributes and caption for a picture, whose `name` is what it was called where it came from.

        Damaged files count as absent.
        """
        row: dict[str, Any] = {}
        for folder in dict.fromkeys([self._root or picture.parent, picture.parent]):
            known = self._metadata(folder)
            for key in (picture.name, PurePosixPath(name).name, name, _relative(picture, folder)):
                row |= known.get(key, {})
        sidecar = self._text(picture.with_suffix(".txt"), LONGEST_CAPTION_BYTES)
        caption = sidecar or next((row[key] for key in CAPTION_KEYS if isinstance(row.get(key), str)), None)
        tidy = " ".join(caption.split())[:LONGEST_CAPTION] if caption else ""
        return Notes(attributes_of(row), tidy or None, rights_of(row))

    def _metadata(self, folder: Path) -> dict[str, dict[str, Any]]:
        """File name -> row, of both metadata files of a folder."""
        if folder not in self._rows:
            rows = _lines(self._text(folder / "metadata.jsonl", LARGEST_METADATA_BYTES) or "")
            for name, row in _keystones(self._text(folder / "keystone_metadata.json", LARGEST_METADATA_BYTES)).items():
                rows[name] = rows.get(name, {}) | row
            self._rows[folder] = rows
        return self._rows[folder]

    def _text(self, path: Path, most: int) -> str | None:
        """A small text file's content; None where there is none, it is too large, or it lies outside the root."""
        try:
            outside = self._root is not None and not path.resolve().is_relative_to(self._root)
            if outside or not path.is_file() or path.stat().st_size > most:
                return None
            return as_text(path.read_bytes()).replace("\0", "")
        except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself
            return None


def _relative(picture: Path, folder: Path) -> str:
    return picture.relative_to(folder).as_posix() if picture.is_relative_to(folder) else picture.name


def _parsed(text: str) -> Any:
    """JSON whose texts can be written down: half a surrogate pair, which escapes may hold, is replaced."""
    value = json.loads(text)
    if "\\ud" not in text.lower():
        return value
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace"))


def _lines(text: str) -> dict[str, dict[str, Any]]:
    """Rows of a metadata.jsonl by their file name; lines that are no JSON object are passed over."""
    rows: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            row = _parsed(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("file_name"), str):
            nested = row.get("attributes")
            rows[row["file_name"]] = row | (nested if isinstance(nested, dict) else {})
    return rows


def _keystones(text: str | None) -> dict[str, dict[str, Any]]:
    """Rows of a keystone_metadata.json: {file: {angle, expression, lighting ...}}."""
    try:
        table = _parsed(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {str(name): row | {"keystone": True} for name, row in table.items() if isinstance(row, dict)}


def attributes_of(row: dict[str, Any]) -> dict[str, Any]:
    """The attributes that a metadata row holds; a value that does not fit is left out. `name` is the subject."""
    given = {ALIASES.get(key, key): value for key, value in row.items()}
    if "subject" not in given and isinstance(given.get("name"), str):
        given["subject"] = given["name"]
    found: dict[str, Any] = {}
    for key in Attributes.model_fields:
        if given.get(key) is None:
            continue
        try:
            read = Attributes.model_validate({key: _spoken(key, plain(given[key]))})
        except ValidationError:
            continue
        found |= read.model_dump(mode="json", exclude_none=True)
    return found


def rights_of(row: dict[str, Any]) -> dict[str, Any]:
    """What a metadata row says of rights; a value that does not fit is left out."""
    found: dict[str, Any] = {}
    for name, keys in RIGHTS_KEYS.items():
        read = (_right(name, row[key]) for key in keys if row.get(key) is not None)
        found |= next((one for one in read if one), {})
    return found


def _right(name: str, value: Any) -> dict[str, Any]:
    """One of `contracts.Rights`, on one line; nothing where the value does not fit."""
    try:
        return Rights.model_validate({name: plain(value)}).model_dump(exclude_none=True)
    except ValidationError:
        return {}


def plain(value: Any) -> Any:
    """A value of a metadata file or a call with its texts on one line, without control characters."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return tidy(value) if isinstance(value, str) else value


def _spoken(key: str, value: Any) -> Any:
    """A value as the enums spell it ("3/4 Left" is three_quarter_left); colours as a list."""
    if key == "colors" and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if key not in {"framing", "angle", "intensity"} or not isinstance(value, str):
        return value
    plain = value.strip().lower().replace("3/4", "three quarter").replace("-", "_").replace(" ", "_")
    return SPOKEN.get(plain, plain)
