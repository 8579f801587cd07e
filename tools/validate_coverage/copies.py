"""The size of a training copy, read from its first bytes: enough to see a missing, foreign or wrongly sized file."""

from __future__ import annotations

import struct
from pathlib import Path

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
IHDR = struct.Struct(">8sI4sII")


def png_size(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels of a PNG file, or None when it is not there or no PNG."""
    try:
        with path.open("rb") as file:
            head = file.read(IHDR.size)
    except OSError:
        return None
    if len(head) < IHDR.size:
        return None
    signature, _, chunk, width, height = IHDR.unpack(head)
    return (width, height) if (signature, chunk) == (PNG_HEAD, b"IHDR") else None
