"""One reference picture as it is kept: read once, and what was judged is what is drawn from.

It is kept as a PNG of its own: upright, sRGB, eight bits, at most two megapixels, since bases draw at about one.
Nothing that a camera or an editor wrote into the file goes along. What it was made from it tells by hash
(`engines.story`), so that a copy of it elsewhere is still known for what it shows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from math import sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from loradeck.engines.base import LEAST_REFERENCE_SIDE, MOST_REFERENCE_ASPECT
from loradeck.engines.story import as_png, seen_as, seen_in
from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.picture import MOST_BYTES, Unfit, open_upright
from loradeck.tools.curate_dataset.replacing import clears_ground, shows_anything
from loradeck.tools.errors import BadArgument
from loradeck.tools.render_deck_visuals.cutting import on_white
from loradeck.tools.render_deck_visuals.plan import Leaned
from loradeck.tools.rulebook.references import Reference

MOST_PIXELS = 2_000_000
LONGEST_NAME = 60


@dataclass(frozen=True)
class Taken:
    """A reference with the bytes that are kept of it, and how it is judged.

    `cut` tells whether they are a copy on plain white; `trouble` what stood in the way of a better cut, or None.
    """

    leaned: Leaned
    content: bytes
    judged: Reference
    cut: bool = False
    trouble: str | None = None


def take(path: Path, *, cut_out: bool) -> Taken:
    """A reference from its file, with `cut_out` laid on plain white where its subject can be told from the rest.

    Raises BadArgument for a file that cannot be used.
    """
    content = _bytes_of(path)
    picture, alpha = _seen(path, content)
    hashes = (hashlib.sha256(content).hexdigest(), *seen_in(BytesIO(content)))
    cut = on_white(picture, alpha) if cut_out else None
    if cut is not None and cut.picture is not None:
        plain = alpha is not None or ground_of(cut.picture).plain
        return Taken(*_kept(path, cut.picture, hashes), Reference(path.name, plain), cut=plain, trouble=cut.trouble)
    judged = Reference(path.name, ground_of(picture).plain, transparent=alpha is not None)
    own = picture if alpha is None else _see_through(picture, alpha)
    return Taken(*_kept(path, own, hashes), judged, trouble=cut.trouble if cut is not None else None)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise BadArgument(f"There is no reference picture {path.name!r} at that path; give the full path of the file.")
    try:
        with path.open("rb") as file:  # one byte more than is taken: a larger file is refused where it is judged
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadArgument(
            f"The reference {path.name!r} cannot be read ({error.strerror}); give another file."
        ) from None


def _seen(path: Path, content: bytes) -> tuple[Image.Image, Image.Image | None]:
    """The picture (RGB, on white where it lets the ground through), and its opacity where that clears the ground."""
    try:
        upright = open_upright(path, enough=sqrt(MOST_PIXELS), content=content)
    except Unfit as unfit:
        raise BadArgument(f"The reference {path.name!r} cannot be used: {unfit.why}") from unfit
    if upright.alpha is not None and not shows_anything(upright.alpha):
        raise BadArgument(f"The reference {path.name!r} is transparent all over; give a picture that shows something.")
    picture, alpha = _shrunk(upright.picture), None if upright.alpha is None else _shrunk(upright.alpha)
    long, short = max(picture.size), min(picture.size)
    if short < LEAST_REFERENCE_SIDE or long > MOST_REFERENCE_ASPECT * short:
        raise BadArgument(
            f"The reference {path.name!r} is {picture.width} x {picture.height} pixels; give one whose sides have "
            f"{LEAST_REFERENCE_SIDE} pixels or more and where neither is over {MOST_REFERENCE_ASPECT} times the other."
        )
    return picture, alpha if alpha is not None and clears_ground(alpha) else None


def _shrunk(layer: Image.Image) -> Image.Image:
    """A picture or its opacity in as many pixels as are of use."""
    scale = sqrt(MOST_PIXELS / (layer.width * layer.height))
    if scale >= 1:
        return layer
    size = (max(1, round(layer.width * scale)), max(1, round(layer.height * scale)))
    return layer.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _see_through(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    """The picture without the white that it was laid on; laid on white again it is the same."""
    cover = np.asarray(alpha, dtype=np.float32)[..., None] / 255
    own = 255 + (np.asarray(picture, dtype=np.float32) - 255) / np.maximum(cover, 1 / 255)
    clear = Image.fromarray(np.round(np.clip(own, 0, 255)).astype(np.uint8))
    clear.putalpha(alpha)
    return clear


def _kept(path: Path, picture: Image.Image, hashes: tuple[str, ...]) -> tuple[Leaned, bytes]:
    """The picture as the deck keeps it; `hashes` are of its file and of what that says was drawn from or made from."""
    picture.info.clear()  # a colour profile of before, which would be written along
    content = as_png(picture, seen_as(hashes))
    name = f"{path.stem[:LONGEST_NAME]}.png"
    return Leaned(name, hashlib.sha256(content).hexdigest(), hashes[0], hashes[1:]), content
