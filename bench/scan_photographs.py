"""Photographs of 12 megapixels made of real ones, with faults and copies planted whose truth is written beside them.

    python bench/scan_photographs.py OUT --photographs N --folder DIR [--folder DIR ...]

Every real photograph is used once, cut to 4:3, enlarged and given a sensor's grain, so that it is as much work to read
as one from a camera. One in five of the files is planted: copies (byte for byte, resized, recompressed, cropped,
mirrored) and faults (blurred, dark, bright, odd-sized). `truth.json` says which.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.damage import exposed, gaussian

SIZE = (4000, 3000)
QUALITY = 92
GRAIN = 3.0
"""Standard deviation (0-255) of the grain: files of 4 to 5 MB, as a telephone's are."""
LEAST_SIDE = 240
SHARP_FROM = 1000
"""Shorter side of a real photograph from which on it holds what 1024 pixels a side can show."""
EVERY = 5
"""One file in so many is planted."""
SUFFIXES = {".jpg", ".jpeg", ".png"}
HERE = Path(__file__).resolve().parents[1] / "tests/data/photos"
Make = Callable[[Image.Image], Image.Image]

COPIES: dict[str, Make] = {
    "exact": lambda picture: picture,
    "resized": lambda picture: picture.resize((2000, 1500), Image.Resampling.LANCZOS),
    "recompressed": lambda picture: picture,
    "cropped": lambda picture: picture.crop((300, 200, 3500, 2600)),
    "mirrored": ImageOps.mirror,
}
FAULTS: dict[str, Make] = {
    "blurred": lambda picture: gaussian(picture, 12.0),
    "dark": lambda picture: exposed(picture, -4.0),
    "bright": lambda picture: exposed(picture, 3.0),
    "odd-sized": lambda picture: picture.resize((320, 240), Image.Resampling.LANCZOS),
}
PLANTED = [*COPIES, *FAULTS]


@dataclass(frozen=True)
class Planned:
    """One file: what it is made of, what is done to it ("" for nothing), and for a copy the file that it repeats."""

    name: str
    source: str
    what: str
    of: str
    is_sharp: bool


def plan(folders: Sequence[Path], count: int) -> list[Planned]:
    """Which files to make of the photographs in folders. Raises ValueError where those are too few."""
    found = _photographs([HERE, *folders])
    planned: list[Planned] = []
    for number in range(count):
        turn, rest = divmod(number, EVERY)
        what = PLANTED[turn % len(PLANTED)] if rest == EVERY - 1 else ""
        if what in COPIES:
            other = planned[-1 - turn % (EVERY - 1)]
            planned.append(Planned(f"{number:05}-copy.jpg", other.source, what, other.name, other.is_sharp))
            continue
        if (source := next(found, None)) is None:
            raise ValueError(f"{number} files can be made of these photographs; give more folders.")
        planned.append(Planned(f"{number:05}.jpg", str(source[0]), what, "", source[1]))
    return planned


def _photographs(folders: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Each photograph that is large enough, and whether it is sharp at 1024 pixels."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.name != "page.png":
                with Image.open(path) as picture:
                    shorter, mode = min(picture.size), picture.mode
                if shorter >= LEAST_SIDE and mode == "RGB":
                    yield path, shorter >= SHARP_FROM


@cache
def _grain() -> NDArray[np.int16]:
    random = np.random.default_rng(1)
    return random.normal(0, GRAIN, (SIZE[1], SIZE[0])).astype(np.int16)


def photograph(source: str, number: int) -> Image.Image:
    """The photograph at full size, with grain of its own."""
    with Image.open(source) as raw:
        raw.draft("RGB", SIZE)
        whole = ImageOps.fit(raw.convert("RGB"), SIZE, Image.Resampling.BICUBIC)
    grain = np.roll(_grain(), (number * 331 % SIZE[1], number * 797 % SIZE[0]), (0, 1))
    pixels = cv2.add(np.asarray(whole).astype(np.int16), cv2.merge([grain] * 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _make(one: Planned, out: Path) -> None:
    number = int((one.of or one.name)[:5])
    picture = photograph(one.source, number)
    if one.what:
        picture = (COPIES | FAULTS)[one.what](picture)
    picture.save(out / one.name, quality=60 if one.what == "recompressed" else QUALITY)


def make(out: Path, folders: Sequence[Path], count: int) -> None:
    """Write the files on two cores, then `truth.json` beside their folder."""
    planned = plan(folders, count)
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        waiting = [pool.submit(_make, one, out) for one in planned if one.what != "exact"]
        for one in waiting:
            one.result()
    for one in planned:
        if one.what == "exact":
            shutil.copyfile(out / one.of, out / one.name)
    truth_of(out).write_text(json.dumps([asdict(one) for one in planned], indent=1), encoding="utf-8")


def truth_of(out: Path) -> Path:
    """Where the truth of a folder lies: beside it, so that nobody scans it."""
    return out.with_name(f"{out.name}.truth.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--folder", type=Path, action="append", default=[])
    asked = parser.parse_args()
    make(asked.out, asked.folder, asked.photographs)


if __name__ == "__main__":
    main()
