"""Reference pictures: what a base takes of them, and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from loradeck.engines.base import LEAST_REFERENCE_SIDE, MOST_REFERENCE_ASPECT
from loradeck.engines.errors import BadSpec
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family
from loradeck.engines.story import leaned_on

TAKERS = ("flux2-klein-4b", "flux2-klein-9b", "flux2-dev", "flux1-kontext")
"""Bases that learned to look at references."""


@dataclass(frozen=True)
class Reference:
    """A picture to lean on, upright and RGB, and how the story of what is drawn tells it."""

    told: dict[str, Any]
    picture: Image.Image


def read(paths: Sequence[Path], base: Base, family: Family) -> tuple[Reference, ...]:
    """The references of a request, in its order.

    Raises:
        BadSpec: the base takes none or not so many, or a file cannot be used.
    """
    most = family.most_references if base.most_references is None else base.most_references
    if paths and most == 0:
        raise BadSpec(
            f"The base {base.name} never learned to look at reference pictures; leave the references out, or draw on "
            f"{', '.join(TAKERS[:-1])} or {TAKERS[-1]}."
        )
    if len(paths) > most:
        raise BadSpec(
            f"{len(paths)} references were given and the base {base.name} takes {most} at most; give the {most} that "
            "show the subject best."
        )
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Reference:
    try:
        with Image.open(path) as opened:
            picture = _on_white(ImageOps.exif_transpose(opened))
        told = leaned_on(path)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadSpec(
            f"The reference {path.name} cannot be read as a picture; give a PNG or JPEG file that opens elsewhere."
        ) from error
    width, height = picture.size
    if min(width, height) < LEAST_REFERENCE_SIDE or max(width, height) > MOST_REFERENCE_ASPECT * min(width, height):
        raise BadSpec(
            f"The reference {path.name} is {width} x {height} pixels; give one whose sides have {LEAST_REFERENCE_SIDE} "
            f"pixels or more and where neither is over {MOST_REFERENCE_ASPECT} times the other."
        )
    return Reference(told, picture)


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB, what is transparent turned white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
