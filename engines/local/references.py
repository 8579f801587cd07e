"""Reference pictures: what a base takes of them, and reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from loradeck.engines import files
from loradeck.engines.errors import BadSpec
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family

TAKERS = ("flux2-klein-4b", "flux2-klein-9b", "flux2-dev", "flux1-kontext")
"""Bases that learned to look at references."""

LEAST_SIDE = 64
MOST_ASPECT = 8
"""What diffusers' FLUX.2 pipelines take (`Flux2ImageProcessor.check_image_input`)."""


@dataclass(frozen=True)
class Reference:
    """A picture to lean on, upright and RGB; `sha256` is of the file's bytes."""

    name: str
    sha256: str
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
        digest = files.sha256_file(path)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadSpec(
            f"The reference {path.name} cannot be read as a picture; give a PNG or JPEG file that opens elsewhere."
        ) from error
    width, height = picture.size
    if min(width, height) < LEAST_SIDE or max(width, height) > MOST_ASPECT * min(width, height):
        raise BadSpec(
            f"The reference {path.name} is {width} x {height} pixels; give one whose sides have {LEAST_SIDE} pixels or "
            f"more and where neither is over {MOST_ASPECT} times the other."
        )
    return Reference(path.name, digest, picture)


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB, what is transparent turned white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
