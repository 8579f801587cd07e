"""How a picture was drawn, as text in its PNG: enough to draw it again (`tools.render_deck_visuals.remake`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loradeck.engines.base import DrawJob

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo


def story(
    job: DrawJob,
    *,
    engine: str,
    base_model: str,
    loras: Sequence[tuple[str, float, str]],
    references: Sequence[tuple[str, str]],
    steps: int | None,
    guidance: float | None,
    native: tuple[int, int],
) -> dict[str, str]:
    """Key to text. `loras` are file name, strength and SHA-256, `references` file name and SHA-256, of their bytes.

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
        told["references"] = json.dumps([{"file": name, "sha256": sha} for name, sha in references])
    return told


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


def save(picture: Image.Image, path: Path, told: Mapping[str, str]) -> None:
    """Write a picture with its story as a PNG file; whoever calls sees to it that a cut does no harm."""
    picture.save(path, format="PNG", pnginfo=as_text(told))
