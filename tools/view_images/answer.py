"""What the views share: pages, the code that proves a look, a large picture with its words under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageDraw

from loradeck.state.files import new_id
from loradeck.state.records import RunRecord, SheetRecord
from loradeck.state.store import Store
from loradeck.tools.errors import BadArgument
from loradeck.tools.pictures.canvas import INK, PAPER, fitted, font, shortened
from loradeck.tools.pictures.jpeg import ANSWER_BYTES, SIDE, jpeg
from loradeck.tools.wording import PREVIEW_NOTE

Thing = TypeVar("Thing")
STRIP = 30


def paged(things: Sequence[Thing], page: int, size: int) -> tuple[list[Thing], int]:
    """One page of a list and how many pages there are. Raises BadArgument beyond the last one."""
    pages = max(1, -(-len(things) // size))
    if page > pages:
        raise BadArgument(f"There is no page {page}; the last page is {pages}.")
    return list(things[(page - 1) * size : page * size]), pages


def pieces(things: Sequence[Thing], size: int) -> list[list[Thing]]:
    """A list in pieces of at most `size`."""
    return [list(things[start : start + size]) for start in range(0, len(things), size)]


def sheet_code(store: Store, of: str, image_ids: list[str]) -> str:
    """The code of a sheet that shows those images; the same again for the same images."""
    with store.transaction():
        for sheet in store.where(SheetRecord, "of = ?", [of]):
            if sheet.image_ids == image_ids:
                return sheet.code
        code = new_id("sh")
        store.add(SheetRecord(code, of, image_ids))
    return code


def noted(store: Store, words: str, run_ids: Iterable[str | None]) -> str:
    """The words, and after them that the preview base drew, where one of the runs used it."""
    made_by = [store.find(RunRecord, run_id) for run_id in dict.fromkeys(run_ids) if run_id]
    return f"{words} {PREVIEW_NOTE}" if any(run and run.spec.get("preview") for run in made_by) else words


def jpegs(pictures: Sequence[Image.Image]) -> tuple[bytes, ...]:
    """Pictures as JPEGs that share the room of one answer."""
    return tuple(jpeg(picture, ANSWER_BYTES // max(len(pictures), 1)) for picture in pictures)


def large(path: Path, words: str) -> Image.Image:
    """One picture as large as an answer holds, with a line of words under it."""
    picture = fitted(path, SIDE, SIDE - STRIP)
    canvas = Image.new("RGB", (max(picture.width, 320), picture.height + STRIP), PAPER)
    canvas.paste(picture, ((canvas.width - picture.width) // 2, 0))
    face = font(16)
    text = shortened(words, canvas.width - 16, face)
    ImageDraw.Draw(canvas).text((8, picture.height + STRIP / 2), text, fill=INK, font=face, anchor="lm")
    return canvas
