"""Pictures as the documents hold them: a photograph as a JPEG, since as a PNG it makes a PDF that no mail takes.

Sixty noisy PNGs of 1024 x 576 made a PDF of 105 MB that took seconds to set; as JPEGs of this quality 13 MB and half a
second (`bench/deck.py`). Flat drawings are small as PNG and would get rings around their edges: they stay.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.written import Written

MOST_BYTES_A_PIXEL = 0.6
"""PNGs above this hold a photograph or something like it: those of the preview base have 0.1 to 0.5."""
QUALITY = 92
OF = "made-from"
"""JPEG comment that names the PNG's bytes, so that one that is there is not made again."""


def embedded(page: Page, written: Written) -> Page:
    """The page with a JPEG beside each picture that is better held as one. Raises what `Written.save` raises."""
    return replace(page, pictures=tuple(_embedded(picture, written) for picture in page.pictures))


def _embedded(picture: PagePicture, written: Written) -> PagePicture:
    width, height = picture.size
    data = picture.path.read_bytes()
    if len(data) <= MOST_BYTES_A_PIXEL * width * height:
        return picture
    path = picture.path.with_suffix(".jpg")
    mark = f"{OF} {hashlib.sha256(data).hexdigest()}".encode()
    if not (written.is_ours(path) and _mark_of(path) == mark):
        content = BytesIO()
        with Image.open(BytesIO(data)) as opened:
            opened.convert("RGB").save(content, format="JPEG", quality=QUALITY, subsampling="4:4:4", comment=mark)
        written.save(path, content.getvalue())
    return replace(picture, shown_as=path)


def _mark_of(path: Path) -> bytes | None:
    with Image.open(path) as opened:
        found = opened.info.get("comment")
    return found if isinstance(found, bytes) else None
