"""What a file that came from a host is, told by its first bytes: names and content types are often wrong there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["safetensors", "zip", "gzip", "tar", "pickle", "page", "json", "empty", "unknown"]

TAR_MARK, TAR_PLACE = b"ustar", 257
"""What POSIX and GNU tar write into the header of the first entry, and where."""
STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
    (b"<", "page"),
    (b"{", "json"),
)
WORDS: dict[Kind, str] = {
    "zip": "is a zip archive",
    "gzip": "is a compressed file",
    "tar": "is a tar archive",
    "pickle": "is a pickle, which can run any program when it is opened",
    "page": "is a web page and no weights",
    "json": "is a message in JSON and no weights",
    "empty": "is empty",
    "unknown": "is of no format that is known here",
}
"""What can be said of a file that should have been another, to follow its name."""


def kind(path: Path) -> Kind:
    """What a file is, by its first bytes. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(TAR_PLACE + len(TAR_MARK))
    if not start:
        return "empty"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "safetensors"
    if start[TAR_PLACE:] == TAR_MARK:
        return "tar"
    return next((found for mark, found in STARTS if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(mark)), "unknown")
