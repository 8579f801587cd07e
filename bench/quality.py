"""How well blur, JPEG blocks, lost tones and bars are told from real pictures that have none of them.

Every picture is damaged in known ways (`tests/support/damage.py`); a finding is due on the damaged and not due on the
original. Thresholds were tuned on half of the pictures (by a hash of the name); `--held-out` measures the other half.
More photographs can be named, files or folders of them; they are taken as they are to be without fault.

    python bench/quality.py [--held-out | --tuning] [FOLDER ...]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
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
PHOTOGRAPHS = {"photo", "more"}
Judge = Callable[[quality.Quality], str | None]


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


def measured(picture: Image.Image) -> quality.Quality:
    """All measures of a picture that comes without JPEG tables."""
    square = damage.training_square(picture)
    return quality.measure_quality(picture, square, None, border_colour(square)[1] >= PLAIN_SHARE)


def sources(more: list[Path], half: bool | None) -> Iterator[tuple[str, Path]]:
    """(kind, path) of all pictures of a half, or of both."""
    named = [file for path in more for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    every = [*damage.originals(), *(("more", file) for file in named if file.suffix.lower() in SUFFIXES)]
    return ((kind, path) for kind, path in every if half is None or damage.held_out(path) == half)


def is_right(found: tuple[int, int, int, int] | None, box: tuple[int, int, int, int]) -> bool:
    """True where both ends of both sides lie within `MOST_OFF` pixels."""
    if found is None:
        return False
    ends = [(one[0], one[1], one[0] + one[2], one[1] + one[3]) for one in (found, box)]
    return all(abs(a - b) <= MOST_OFF for a, b in zip(*ends, strict=True))


def judge(pictures: list[tuple[str, Path]]) -> None:
    """Damage every picture and print how it was judged."""
    sharp, blocks, tones, bars = Counts(), Counts(), Counts(), Counts()
    for kind, path in pictures:
        square = damage.training_square(damage.opened(path))
        clean = measured(square)
        for counts, rule in (
            (sharp, quality.is_blurred),
            (blocks, quality.is_blocky),
            (tones, quality.is_badly_exposed),
        ):
            counts.add(kind, rule(clean) is not None)
        bars.add(kind, content_box(damage.opened(path)) is not None)
        for name, make in damage.BLURS.items():
            sharp.add(name, quality.is_blurred(measured(make(square))) is not None)
        if kind not in PHOTOGRAPHS:
            continue
        for name, make in {**damage.BLOCKS, **damage.NO_BLOCKS}.items():
            blocks.add(name, quality.is_blocky(measured(make(square))) is not None)
        for name, make in {**damage.LOST, **damage.NOT_LOST}.items():
            tones.add(name, quality.is_badly_exposed(measured(make(square))) is not None)
        for name, shares in damage.BARS.items():
            for finish, (colour, grain, jpeg) in damage.FINISHES.items():
                barred, box = damage.barred(square, shares, colour, grain, jpeg)
                right = is_right(content_box(barred), box)
                bars.add(name, right)
                bars.add(finish, right)
    sharp.show("IMG-SHARP", set(damage.BLURS))
    blocks.show("IMG-JPEG", set(damage.BLOCKS))
    tones.show("IMG-EXPOSURE", set(damage.LOST))
    bars.show("bars", {*damage.BARS, *damage.FINISHES})


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
    parser = argparse.ArgumentParser()
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--held-out", action="store_const", const=True, dest="half")
    half.add_argument("--tuning", action="store_const", const=False, dest="half")
    parser.add_argument("more", nargs="*", type=Path)
    arguments = parser.parse_args()
    judge(list(sources(arguments.more, arguments.half)))
    times()


if __name__ == "__main__":
    main()
