"""Open a picture safely and bring it to one form: upright, sRGB, no transparency, eight bits a channel.

What the header says is judged before any pixel is decoded, so that a bomb costs nothing.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from loradeck.tools.curate_dataset.colour import hexed
from loradeck.tools.curate_dataset.provenance import loras_of

MOST_MEGAPIXELS = 64
EVER_MEGAPIXELS = 178
"""Pillow decodes no more, whatever a `loradeck.toml` allows."""
MOST_BYTES = 512 * 1024 * 1024
MOST_GREY = 65535
SEEN = 1200
"""Pixels of the shorter side that are enough to judge by: faces are looked for in 1600 of the longer one."""
REDUCTIONS = (8, 4, 2)
LYING = 5
"""The EXIF orientation from which on width and height are exchanged."""
WHITE = (255, 255, 255)
FORMATS = {
    ".png": {"PNG"},
    ".jpg": {"JPEG", "MPO"},
    ".jpeg": {"JPEG", "MPO"},
    ".webp": {"WEBP"},
    ".tif": {"TIFF"},
    ".tiff": {"TIFF"},
    ".avif": {"AVIF"},
    ".bmp": {"BMP"},
    ".gif": {"GIF"},
    ".heic": {"HEIF"},
    ".heif": {"HEIF"},
}
pillow_heif.register_heif_opener(thumbnails=False)
Image.init()  # registers the decoders; none but those in KNOWN is ever tried on a file (MPO comes through JPEG's)
KNOWN = sorted(set().union(*FORMATS.values()) & set(Image.OPEN))
UNDRAWN = {".svg", ".psd", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".jxl", ".jp2"}
LOSSLESS = {"PNG", "TIFF", "BMP"}
LONG_TEXTS = ("Decompressed data too large", "Too much memory used in text chunks")
"""How Pillow refuses a PNG whose texts or colour profile unpack to more than any picture needs."""
# What Pillow and its decoders raise on damaged files.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


class Unfit(Exception):
    """A file cannot be used; `rule_id` and `why` (one sentence) say so. Never leaves this folder."""

    def __init__(self, rule_id: str, why: str) -> None:
        super().__init__(why)
        self.rule_id = rule_id
        self.why = why


@dataclass
class Upright:
    """An RGB picture as a person sees it, and what was done to get there.

    `size` is that of the whole picture, upright; `picture` has one pixel for `reduced` of it, across and down.
    """

    picture: Image.Image
    format: str
    size: tuple[int, int]
    reduced: int
    converted: list[str] = field(default_factory=list)
    alpha: Image.Image | None = None
    """Opacity, L of the picture's size, where the file had any that lets the ground through."""
    quantization: Mapping[int, Sequence[int]] | None = None
    """The tables that a JPEG was compressed by."""
    loras: list[str] = field(default_factory=list)
    """What the file's metadata says drew it."""


def announced_megapixels(file: Path | IO[bytes]) -> float:
    """What a file's header says, nothing decoded; 0 for a file that would not be decoded either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=KNOWN) as raw:
                megapixels = raw.width * raw.height / 1e6
    except (Image.DecompressionBombError, *BROKEN):
        return 0.0
    return megapixels if megapixels <= MOST_MEGAPIXELS else 0.0


def open_upright(
    path: Path, most_megapixels: float = MOST_MEGAPIXELS, enough: float = math.inf, content: bytes | None = None
) -> Upright:
    """Decode a file whole, from its `content` where that was read already. Raises Unfit (IMG-READABLE) with the reason
    and what to do.

    A JPEG whose shorter side is at least twice, four or eight times `enough` pixels is decoded at a half, a quarter or
    an eighth of its size, which takes half the time: the cosine transform shrinks as well as any filter.
    """
    suffix = path.suffix.lower()
    if suffix in UNDRAWN:
        raise Unfit("IMG-READABLE", f"{suffix[1:].upper()} files cannot be read here; export it as PNG or JPEG.")
    with _opened(path, suffix, most_megapixels, content) as raw:
        whole = raw.size
        with _told(most_megapixels):
            reduced = _reduced(raw, enough)
            raw.load()
        return _normalised(raw, whole, reduced)


def enough_for(size: tuple[int, int], crop_side: int, resolution: int) -> float:
    """How many pixels the shorter side of a picture of that size must keep, so that a crop keeps what it trains with.

    Nothing is looked at in less than SEEN pixels.
    """
    return min(size) * max(resolution, SEEN) / crop_side


def _reduced(raw: Image.Image, enough: float) -> int:
    """Have a JPEG decoded at a whole part of its size that leaves enough; returns which."""
    times = next((one for one in REDUCTIONS if min(raw.size) // one >= enough), 1)
    if raw.format not in {"JPEG", "MPO"} or times == 1:
        return 1
    whole = raw.size
    raw.draft(None, (whole[0] // times, whole[1] // times))
    return round(max(whole) / max(raw.size))


def _opened(path: Path, suffix: str, most_megapixels: float, content: bytes | None) -> Image.Image:
    """The picture as it is in the file, its header judged. Raises Unfit."""
    with _told(most_megapixels):
        if (path.stat().st_size if content is None else len(content)) > MOST_BYTES:
            raise Unfit("IMG-READABLE", "The file is larger than 512 MB; export a smaller one.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            raw = Image.open(path if content is None else io.BytesIO(content), formats=KNOWN)
        _judge_header(raw, suffix, most_megapixels)
    return raw


@contextmanager
def _told(most_megapixels: float) -> Iterator[None]:
    """What decoders raise on a file, as Unfit."""
    try:
        yield
    except PermissionError as error:
        raise Unfit("IMG-READABLE", "The file may not be read; give read permission, then add it again.") from error
    except UnidentifiedImageError as error:
        raise Unfit("IMG-READABLE", "The file is no picture, or its beginning is damaged; export it again.") from error
    except Image.DecompressionBombError as error:
        raise Unfit("IMG-READABLE", _too_large("Well over 150", min(most_megapixels, EVER_MEGAPIXELS))) from error
    except BROKEN as error:
        if str(error).startswith(LONG_TEXTS):
            raise Unfit("IMG-READABLE", "Its texts or its profile unpack to megabytes; export it without.") from error
        raise Unfit("IMG-READABLE", "The file is cut short or damaged; copy or export it again.") from error


def _judge_header(raw: Image.Image, suffix: str, most_megapixels: float) -> None:
    """Format against suffix and pixels against the limit, before decoding."""
    wanted = FORMATS.get(suffix)
    if wanted is not None and raw.format not in wanted:
        raise Unfit("IMG-READABLE", f"The file is called {suffix} but is {raw.format} inside; rename or export it.")
    megapixels = raw.width * raw.height / 1e6
    if megapixels > most_megapixels:
        raise Unfit("IMG-READABLE", f"{raw.width}x{raw.height}: " + _too_large(f"{megapixels:.0f}", most_megapixels))


def _too_large(megapixels: str, most: float) -> str:
    return (
        f"{megapixels} megapixels, at most {most:g} are decoded; export a smaller one, or allow more by `megapixels` "
        "in a loradeck.toml beside the pictures."
    )


def _normalised(raw: Image.Image, whole: tuple[int, int], reduced: int) -> Upright:
    """Upright, eight bits, sRGB, flattened; every change is told. `whole` is the size that the file announces."""
    told: list[str] = []
    if raw.format != "MPO" and getattr(raw, "is_animated", False):
        told.append("first frame taken")
    profile = raw.info.get("icc_profile")
    picture, lies = _turned(raw, told)
    if picture.mode.startswith(("I", "F")):
        picture, told = _eight_bits(picture), [*told, "reduced to 8 bits"]
    alpha = _alpha(picture)
    picture = _flattened(picture, alpha, told)
    return Upright(
        _to_srgb(picture, profile, told),
        "JPEG" if raw.format == "MPO" else str(raw.format),
        whole[::-1] if lies else whole,
        reduced,
        told,
        alpha,
        getattr(raw, "quantization", None),
        loras_of(raw),
    )


def _turned(raw: Image.Image, told: list[str]) -> tuple[Image.Image, bool]:
    """The picture as the camera was held, and whether its width became its height. Damaged EXIF data counts as none."""
    try:
        orientation = raw.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation not in range(2, 9):
            return raw, False
        turned = ImageOps.exif_transpose(raw)
    except BROKEN:
        return raw, False
    told.append("turned upright (EXIF)")
    return turned, orientation >= LYING


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A 16-bit grey picture in 8 bits. Raises Unfit for floating-point and 32-bit values, whose range nobody knows."""
    if picture.mode == "F":
        raise Unfit("IMG-READABLE", "The picture holds floating-point values; export it with 8 bits a channel.")
    values = np.asarray(picture, dtype=np.int64)
    if values.min() < 0 or values.max() > MOST_GREY:
        raise Unfit("IMG-READABLE", "The picture holds 32-bit values; export it with 8 bits a channel.")
    return Image.fromarray(np.clip(values >> 8 if values.max() > 255 else values, 0, 255).astype(np.uint8), "L")


def _alpha(picture: Image.Image) -> Image.Image | None:
    """The opacity, where any pixel lets the ground through."""
    if not picture.has_transparency_data:
        return None
    alpha = picture.convert("RGBA").getchannel("A")
    return alpha if alpha.getextrema()[0] != 255 else None


def _flattened(picture: Image.Image, alpha: Image.Image | None, told: list[str]) -> Image.Image:
    """The picture without transparency: laid on white where it lets the ground through."""
    if alpha is None:
        return picture if picture.mode in {"RGB", "CMYK", "L", "LAB"} else picture.convert("RGB")
    clear = picture.convert("RGBA")
    ground = Image.new("RGBA", clear.size, (*WHITE, 255))
    told.append(f"alpha flattened on {hexed(WHITE)}")
    return Image.alpha_composite(ground, clear).convert("RGB")


def _to_srgb(picture: Image.Image, profile: bytes | None, told: list[str]) -> Image.Image:
    """Colours as sRGB. A profile that cannot be used is told, and the values are taken as they are."""
    if not profile:
        if picture.mode == "CMYK":
            told.append("CMYK without a profile converted to RGB")
        return picture.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).strip()
        if "srgb" in name.lower() and picture.mode == "RGB":
            return picture
        changed = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        told.append("colour profile did not fit, taken as sRGB")
        return picture.convert("RGB")
    told.append(f"colours converted from {name[:60] or 'another profile'} to sRGB")
    return changed if changed is not None else picture.convert("RGB")
