"""JPEG thumbnails for an answer: small enough for every client, as good as the room allows."""

from __future__ import annotations

import io

from PIL import Image

SIDE = 768
"""Pixels of the longer side at most."""

ANSWER_BYTES = 480_000
"""All JPEGs of one answer together, so that it stays under 700,000 characters once it is base64."""


def jpeg(picture: Image.Image, limit: int = ANSWER_BYTES) -> bytes:
    """The picture as JPEG, at most 768 pixels a side and `limit` bytes: quality gives way first, then the size."""
    small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    while True:
        for quality in (88, 78, 65, 50):
            data = io.BytesIO()
            # Not optimised: Pillow's buffer for that is too small for noise.
            small.save(data, format="JPEG", quality=quality, subsampling=0 if quality > 80 else 2)
            if data.tell() <= limit:
                return data.getvalue()
        small.thumbnail((small.width * 3 // 4, small.height * 3 // 4), Image.Resampling.LANCZOS)
