"""How a picture was drawn, as text in its PNG: enough to draw it again (`tools.render_deck_visuals.remake`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from loradeck.engines.base import DrawJob
from loradeck.engines.files import sha256_file

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

SEEN = "seen"
"""Key of the hashes of what else is seen in a picture: files that it was made from, in a form of their own."""
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def story(
    job: DrawJob,
    *,
    engine: str,
    base_model: str,
    loras: Sequence[tuple[str, float, str]],
    references: Sequence[Mapping[str, Any]],
    steps: int | None,
    guidance: float | None,
    native: tuple[int, int],
) -> dict[str, str]:
    """Key to text. `loras` are file name, strength and SHA-256 of the bytes, `references` as `leaned_on` tells them.

    What is None (a host's own default) is left out; `native` is the size in pixels that it was drawn at.
    """
    told = {
        "Software": "loradeck",
        "prompt": job.prompt,
        "seed": str(job.seed),
        "engine": engine,
        "base_model": base_model,
        "loras": json.dumps([{"file": name, "strength": strength, "sha256": sha} for name, strength, sha in loras]),
        "native": f"{native[0]}x{native[1]}",
    }
    if steps is not None:
        told["steps"] = str(steps)
    if guidance is not None:
        told["guidance"] = repr(guidance)
    if references:
        told["references"] = json.dumps(list(references))
    return told


def leaned_on(path: Path) -> dict[str, Any]:
    """A reference as stories tell it: file name, SHA-256 of its bytes, and hashes of what else is seen in it.

    Raises OSError.
    """
    told: dict[str, Any] = {"file": path.name, "sha256": sha256_file(path)}
    seen = seen_in(path)
    return told | {SEEN: list(seen)} if seen else told


def seen_in(file: Path | IO[bytes]) -> tuple[str, ...]:
    """SHA-256 of the pictures that a PNG says it was made or drawn from; none where it is no PNG or says nothing."""
    from PIL import Image  # late: a server's start does without

    try:
        with Image.open(file, formats=["PNG"]) as picture:
            told = " ".join(str(picture.info.get(key, "")) for key in ("references", SEEN))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ()
    return tuple(dict.fromkeys(SHA256.findall(told)))


def seen_as(hashes: Iterable[str]) -> dict[str, str]:
    """The text by which a picture made from others tells their hashes to `seen_in`; without any there is none."""
    told = " ".join(hashes)
    return {SEEN: told} if told else {}


def as_text(told: Mapping[str, str]) -> PngInfo:
    """The same as PNG text chunks, international ones where a text is not ASCII."""
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    for key, value in told.items():
        if value.isascii():
            info.add_text(key, value)
        else:
            info.add_itxt(key, value)
    return info


def as_png(picture: Image.Image, told: Mapping[str, str]) -> bytes:
    """A picture with its story as the bytes of a PNG file."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG", pnginfo=as_text(told))
    return buffer.getvalue()


def save(picture: Image.Image, path: Path, told: Mapping[str, str]) -> None:
    """Write a picture with its story as a PNG file; whoever calls sees to it that a cut does no harm."""
    picture.save(path, format="PNG", pnginfo=as_text(told))
