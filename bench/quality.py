"""How well blur, JPEG blocks, lost tones and bars are told from real pictures that have none of them.

Every picture is damaged in known ways (`tests/support/damage.py`); a finding is due on the damaged and not due on the
original. Without folders the repository's pictures are judged, which the thresholds were tuned on among others; in
folders every picture is taken for a photograph without fault.

    python bench/quality.py [FOLDER ...]
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import damage
from support.corpus import wilson_low

from loradeck.tools.curate_dataset import quality
from loradeck.tools.curate_dataset.colour import PLAIN_SHARE, border_colour
from loradeck.tools.curate_dataset.margins import content_box

SUFFIXES = {".png", ".jpg", ".jpeg"}
MOST_OFF = 6
"""Pixels that a box may be off at either end; its edges are softened by JPEG."""
FAULTLESS = quality.Quality(
    sharpness=2.0,
    enlarged=0.0,
    blocking=0.0,
    jpeg_quality=None,
    brightness=120.0,
    highlight=220.0,
    crushed=0.0,
    blown=0.0,
)


class Counts:
    """How often a rule spoke, by the kind of picture or damage."""

    def __init__(self) -> None:
        self.spoke: dict[str, list[bool]] = defaultdict(list)

    def add(self, name: str, spoke: bool) -> None:
        self.spoke[name].append(spoke)

    def show(self, title: str, due: set[str]) -> None:
        """A line for each kind: the share judged right, with its Wilson low; then precision and recall over all."""
        print(title)
        right_due = sum(sum(self.spoke[name]) for name in due)
        false = sum(sum(spoke) for name, spoke in self.spoke.items() if name not in due)
        for name, spoke in self.spoke.items():
            right = sum(one == (name in due) for one in spoke)
            verdict = "found" if name in due else "left alone"
            print(f"  {name:34} {verdict:10} {right:4} of {len(spoke):4}  ({wilson_low(right, len(spoke)):.2f})")
        told, of = right_due + false, sum(len(self.spoke[name]) for name in due)
        print(f"  precision {right_due / max(1, told):.3f} ({wilson_low(right_due, told):.2f})", end=", ")
        print(f"recall {right_due / max(1, of):.3f} ({wilson_low(right_due, of):.2f})")


def edges(square: Image.Image) -> bool:
    """True where IMG-SHARP would speak."""
    plane = quality.training_plane(square, square)
    sharpness, enlarged = quality.edge_sharpness(plane), quality.enlargement(plane)
    return damage.blurred(replace(FAULTLESS, sharpness=sharpness, enlarged=enlarged)) is not None


def grid(picture: Image.Image) -> bool:
    """True where IMG-JPEG would speak, the tables gone."""
    blocking = quality.blocking(np.asarray(picture.convert("L")))
    return damage.blocky(replace(FAULTLESS, blocking=blocking)) is not None


def exposure(square: Image.Image) -> bool:
    """True where IMG-EXPOSURE would speak."""
    brightness, highlight, crushed, blown = quality.tones(square, border_colour(square)[1] >= PLAIN_SHARE)
    seen = replace(FAULTLESS, brightness=brightness, highlight=highlight, crushed=crushed, blown=blown)
    return damage.badly_exposed(seen) is not None


def sources(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """(kind, path) of the pictures in folders, of the repository's without any."""
    if not folders:
        yield from damage.originals()
    for folder in folders:
        yield from (("photo", file) for file in sorted(folder.rglob("*")) if file.suffix.lower() in SUFFIXES)


def is_right(found: tuple[int, int, int, int] | None, box: tuple[int, int, int, int]) -> bool:
    """True where both ends of both sides lie within `MOST_OFF` pixels."""
    if found is None:
        return False
    ends = [(one[0], one[1], one[0] + one[2], one[1] + one[3]) for one in (found, box)]
    return all(abs(a - b) <= MOST_OFF for a, b in zip(*ends, strict=True))


def judge(pictures: list[tuple[str, Path]]) -> None:
    """Damage every picture and print how it was judged."""
    sharp, blocks, tones, bars = Counts(), Counts(), Counts(), Counts()
    for number, (kind, path) in enumerate(pictures):
        square = damage.training_square(damage.opened(path))
        sharp.add(kind, edges(square))
        blocks.add(kind, grid(damage.opened(path)))
        tones.add(kind, exposure(square))
        bars.add(kind, content_box(damage.opened(path)) is not None)
        if kind != "photo":
            continue
        for name, make in damage.BLURS.items():
            sharp.add(name, edges(make(square)))
        for name, make in {**damage.BLOCKS, **damage.NO_BLOCKS}.items():
            blocks.add(name, grid(make(square)))
        for name, make in {**damage.LOST, **damage.NOT_LOST}.items():
            tones.add(name, exposure(make(square)))
        for turn, (name, shares) in enumerate(damage.BARS.items()):
            finish = list(damage.FINISHES)[(number + turn) % len(damage.FINISHES)]
            barred, box = damage.barred(square, shares, *damage.FINISHES[finish])
            bars.add(name, is_right(content_box(barred), box))
    sharp.show("IMG-SHARP", set(damage.BLURS))
    blocks.show("IMG-JPEG", set(damage.BLOCKS))
    tones.show("IMG-EXPOSURE", set(damage.LOST))
    bars.show("bars", set(damage.BARS))


def times() -> None:
    """Processor milliseconds of each measure on a photograph of 12 megapixels."""
    picture = damage.opened(damage.ROOT / "tests/data/photos/coffee.png").resize((4000, 3000), Image.Resampling.BICUBIC)
    square = damage.training_square(picture)
    grey = np.asarray(picture.convert("L"))
    plane = quality.training_plane(picture, square)
    for name, call in {
        "grey": lambda: picture.convert("L"),
        "training_plane": lambda: quality.training_plane(picture, square),
        "edge_sharpness": lambda: quality.edge_sharpness(plane),
        "enlargement": lambda: quality.enlargement(plane),
        "blocking": lambda: quality.blocking(grey),
        "tones": lambda: quality.tones(picture, False),
        "measure_quality": lambda: quality.measure_quality(picture, square, None, False),
        "content_box": lambda: content_box(picture),
    }.items():
        taken = []
        for _ in range(5):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
        print(f"  {name:16} {1000 * min(taken):6.1f} ms")


def main() -> None:
    """Judge the pictures asked for, then time the measures."""
    judge(list(sources([Path(folder) for folder in sys.argv[1:]])))
    times()


if __name__ == "__main__":
    main()
