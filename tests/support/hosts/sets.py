"""A small zip of pictures and captions, as it is uploaded to a trainer."""

from __future__ import annotations

import io
import zipfile

from support.hosts.images import encoded, paint


def zipped(count: int = 2, caption: str = "a fox, TOK", side: int = 64) -> bytes:
    """`ROOT.png` and `ROOT.txt` of so many pictures, flat."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(count):
            archive.writestr(f"{index:03}.png", encoded(paint("a fox", index, (side, side)), "png"))
            archive.writestr(f"{index:03}.txt", caption)
    return buffer.getvalue()
