"""Whether the PDF and the PowerPoint file show the same: both are read back from the disk and compared page by page.

What Typst told that it placed (`Placed`) is what both are held against: words, sizes of type, boxes, pictures and what
is cut of them. Pages of a person's own in deck.typ have nothing placed by loradeck, and are in the PDF alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loradeck.state.files import sha256_file
from loradeck.tools.render_deck_visuals.pages import Placed
from loradeck.tools.render_deck_visuals.read_back import Page, Seen, pdf_pages, plain, pptx_pages
from loradeck.tools.render_deck_visuals.written import Written

NEAR = 1.0
"""Points that a box may lie elsewhere."""
NEAR_SIZE = 0.1
"""Points that type may be larger or smaller."""
NEAR_SHARE = 0.005
"""How much more of a picture's width or height may be cut off."""
STRETCHED = 0.01
"""How much more a picture may be scaled across than down."""


@dataclass(frozen=True)
class Parity:
    """How two files agree: pages and things compared, what differs, and pages that are a person's own."""

    pages: int
    things: int
    differences: tuple[str, ...]
    own_pages: int = 0

    def sentence(self) -> str:
        """For the answer of a render."""
        own = f" Pages of your own in deck.typ are in the PDF alone: {self.own_pages}." if self.own_pages else ""
        if not self.differences:
            return (
                f"The PDF and the PowerPoint file agree on all {self.pages} pages ({self.things} things compared).{own}"
            )
        first = self.differences[0]
        count = len(self.differences)
        return f"The PDF and the PowerPoint file differ in {count} of {self.things} things, first {first}.{own}"


def write_parity(placed: Sequence[Placed], written: Written) -> str:
    """Compare deck.pdf and deck.pptx of a deck's folder, write parity.json beside them, and say it in a sentence."""
    found = compare(written.folder / "deck.pdf", written.folder / "deck.pptx", placed)
    written.save(written.folder / "parity.json", json.dumps(asdict(found), indent=2, ensure_ascii=False).encode())
    return found.sentence()


def compare(pdf: Path, pptx: Path, placed: Sequence[Placed]) -> Parity:
    """Hold both files against what was placed; the pictures lie beside the PDF.

    Raises what the readers of PDF and PowerPoint raise for broken files.
    """
    numbers = sorted({one.page for one in placed})
    left, right = pdf_pages(pdf), pptx_pages(pptx)
    desk = _Desk(pdf.parent)
    desk.same("the number of pages", len(numbers), len(right))
    desk.same("the last page of the PDF", True, not numbers or max(numbers) <= len(left))
    for number, shown in zip(numbers, right, strict=False):
        if number > len(left):
            break
        desk.page = f"page {number}"
        desk.near("the size", left[number - 1].size, shown.size)
        for thing in (one for one in placed if one.page == number):
            desk.thing(thing, left[number - 1], shown)
        desk.order([one.name for one in placed if one.page == number], shown)
    own = len(left) - len(numbers) if len(left) > len(numbers) else 0
    return Parity(len(numbers), desk.things, tuple(desk.differences), own)


class _Desk:
    """Counts what is compared and notes what differs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.page, self.things = folder, "the files", 0
        self.differences: list[str] = []

    def note(self, what: str, said: Any, other: Any) -> None:
        self.differences.append(f"{self.page}, {what}: {said} against {other}")

    def same(self, what: str, one: Any, other: Any) -> None:
        self.things += 1
        if one != other:
            self.note(what, one, other)

    def near(self, what: str, one: Sequence[float], other: Sequence[float], within: float = NEAR) -> None:
        self.things += 1
        if len(one) != len(other) or any(abs(a - b) > within for a, b in zip(one, other, strict=False)):
            self.note(what, _rounded(one), _rounded(other))

    def thing(self, one: Placed, left: Page, right: Page) -> None:
        """One placed thing in both files."""
        shape = right.named.get(one.name)
        if shape is None:
            self.things += 1
            self.note(one.name, "it is in the PDF", "it is missing in the PowerPoint file")
            return
        self.near(f"{one.name}, where it stands in the PowerPoint file", _box(one), shape.box)
        if one.kind == "text":
            self._words(one, left, shape)
        elif one.kind == "picture":
            self._picture(one, left, shape)

    def _words(self, one: Placed, left: Page, shape: Seen) -> None:
        wanted = plain("".join(line.text for line in one.paragraphs))
        there = left.words_in(_box(one))
        self.same(f"{one.name}, its words in the PDF", wanted, there.text)
        self.same(f"{one.name}, its words in the PowerPoint file", wanted, plain(shape.text))
        bullets = tuple(line.bullet for line in one.paragraphs)
        self.same(f"{one.name}, its bullets in the PowerPoint file", bullets, shape.bullets)
        self.same(f"{one.name}, its colour in the PowerPoint file", (one.colour.lower(),), shape.colours)
        for where, sizes in (("PDF", there.sizes), ("PowerPoint file", shape.sizes)):
            odd = next((size for size in sizes if abs(size - one.size) > NEAR_SIZE), None)
            self.same(f"{one.name}, its size in the {where}", None, odd)

    def _picture(self, one: Placed, left: Page, shape: Seen) -> None:
        """The visible part and what is cut: the PDF's picture is larger than its clip, PowerPoint's says the shares."""
        there = left.picture_at(_box(one))
        if there is None:
            self.things += 1
            self.note(one.name, "it is missing in the PDF", "it is in the PowerPoint file")
            return
        same = shape.sha256 == sha256_file(self.folder / one.file)
        self.same(f"{one.name}, the picture that it is in the PowerPoint file", True, same)
        self.near(f"{one.name}, what of it shows in the PDF", _box(one), _clipped(there.box, _box(one)))
        x, y, width, height = there.box
        left_out = (one.x - x, one.y - y, x + width - one.x - one.width, y + height - one.y - one.height)
        cut = tuple(max(0.0, part / whole) for part, whole in zip(left_out, (width, height) * 2, strict=True))
        self.near(f"{one.name}, what is cut of it", cut, shape.cut, NEAR_SHARE)
        for where, seen in (("PDF", there), ("PowerPoint file", shape)):
            self.same(f"{one.name}, stretched in the {where}", False, abs(seen.stretch - 1) > STRETCHED)

    def order(self, names: Sequence[str], right: Page) -> None:
        """What lies over what is the same, and nothing else is there, or there twice."""
        self.same("the order of things", list(names), [name for name in right.named if name in set(names)])
        stray = [name for name in right.named if name not in set(names)] + right.twice
        self.same("what nobody placed", [], stray)


def _box(one: Placed) -> tuple[float, float, float, float]:
    return one.x, one.y, one.width, one.height


def _clipped(
    box: tuple[float, float, float, float], clip: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """The part of a box (left, top, width, height) that lies in another."""
    left, top = max(box[0], clip[0]), max(box[1], clip[1])
    right, bottom = min(box[0] + box[2], clip[0] + clip[2]), min(box[1] + box[3], clip[1] + clip[3])
    return left, top, right - left, bottom - top


def _rounded(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
