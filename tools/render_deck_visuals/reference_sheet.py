"""Pictures on clean white for tools that take them as references: single views, and the views of a sheet as one.

No words are drawn into them, since what stands in a reference is drawn along. Kontext and FLUX.2 want one plain ground;
VACE wants none, for which there is the same with nothing behind the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path

from PIL import Image

from loradeck.engines.story import as_png, seen_as, seen_in
from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.replacing import on_ground, subject_mask

WHITE = (255, 255, 255)
GAP = 32
"""Pixels between two views, and around them."""


def clean_white(path: Path) -> bytes | None:
    """The same picture as a PNG whose ground is exactly #ffffff, what it tells of itself kept.

    None where its ground is not plain, or where the subject cannot be told from it: then it is to be drawn again.
    """
    with Image.open(path) as opened:
        picture, texts = opened.convert("RGB"), getattr(opened, "text", {})
    mask = _mask(picture)
    return None if mask is None else as_png(on_ground(picture, mask, WHITE), texts)


def transparent(path: Path) -> bytes | None:
    """The same picture as a PNG with nothing behind the subject; None as for `clean_white`."""
    with Image.open(path) as opened:
        picture, texts = opened.convert("RGB"), getattr(opened, "text", {})
    mask = _mask(picture)
    if mask is None:
        return None
    cut = on_ground(picture, mask, WHITE)
    cut.putalpha(mask)
    return as_png(cut, texts)


@dataclass(frozen=True)
class Sheets:
    """The views that could be cleaned, as PNG files on white and with nothing behind them; None where there are none.

    `told` are sentences on the views that were left out.
    """

    white: bytes | None
    clear: bytes | None
    told: list[str]


def sheets(views: Sequence[Path]) -> Sheets:
    """Both sheets from the files of a slide's views, in their order."""
    cleaned = [(clean_white(path), transparent(path)) for path in views]
    left = [path.stem for path, (white, _) in zip(views, cleaned, strict=True) if white is None]
    told = []
    if left:
        told.append(
            f"Left out of the reference sheet, since the ground is not plain: {', '.join(left)}; render these again, "
            "with other seeds or 'isolated on a plain white background' in the prompt."
        )
    white, clear = (
        [Image.open(BytesIO(content)) for content in column if content is not None]
        for column in ([white for white, _ in cleaned], [clear for _, clear in cleaned])
    )
    if not white:
        return Sheets(None, None, told)
    shown = [path for path, (made, _) in zip(views, cleaned, strict=True) if made is not None]
    texts = seen_as(dict.fromkeys(one for path in shown for one in seen_in(path)))
    return Sheets(as_png(sheet(white), texts), as_png(sheet(clear), texts), told)


def sheet(pictures: Sequence[Image.Image], *, columns: int | None = None, gap: int = GAP) -> Image.Image:
    """The views side by side, all of one height and each in its own shape, in rows as near to a square as can be.

    RGB on white; RGBA with nothing between the views where every view is transparent. Raises ValueError for none.
    """
    if not pictures:
        raise ValueError("a sheet needs one picture or more")
    clear = all(picture.mode == "RGBA" for picture in pictures)
    height = min(picture.height for picture in pictures)
    scaled = [_of_height(picture, height) for picture in pictures]
    across = columns or ceil(sqrt(len(scaled)))
    rows = [scaled[start : start + across] for start in range(0, len(scaled), across)]
    width = max(sum(view.width + gap for view in row) for row in rows) + gap
    page = Image.new("RGBA", (width, len(rows) * (height + gap) + gap), (*WHITE, 0 if clear else 255))
    for number, row in enumerate(rows):
        left = gap + (width - gap - sum(view.width + gap for view in row)) // 2
        for view in row:
            page.alpha_composite(view.convert("RGBA"), (left, gap + number * (height + gap)))
            left += view.width + gap
    return page if clear else page.convert("RGB")


def _mask(picture: Image.Image) -> Image.Image | None:
    return subject_mask(picture, None, None) if ground_of(picture).plain else None


def _of_height(picture: Image.Image, height: int) -> Image.Image:
    if picture.height == height:
        return picture
    return picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS)
