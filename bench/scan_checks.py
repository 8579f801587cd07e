"""What loradeck finds in a folder by the checks that other checkers have too, for `bench/scan.py` to compare.

    python bench/scan_checks.py FOLDER --out FILE.json [--facts N]

Decoded, hashed, sized, judged on sharpness, blocks and tones, and compared with each picture before it, in two threads
as `curate_dataset` prepares pictures; no copy is written, and faces and text are not looked for. Then what each further
fact takes, in processor milliseconds a picture over N of the pictures, the best of two rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.damage import badly_exposed, blocky, blurred

from loradeck.state.files import sha256_file
from loradeck.tools.contracts import Crop
from loradeck.tools.curate_dataset.colour import dominant_colours
from loradeck.tools.curate_dataset.cropping import square_crop
from loradeck.tools.curate_dataset.duplicates import Lookup
from loradeck.tools.curate_dataset.faces import find_faces
from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.lettering import find_text
from loradeck.tools.curate_dataset.margins import content_box
from loradeck.tools.curate_dataset.outliers import look_vector
from loradeck.tools.curate_dataset.picture import SEEN, Upright, open_upright
from loradeck.tools.curate_dataset.prepare import AHEAD, SMALLEST_SIDE, THREADS, Task, cut, prepare, save
from loradeck.tools.curate_dataset.quality import Quality, measure_quality
from loradeck.tools.curate_dataset.similarity import Look, look_at
from loradeck.tools.curate_dataset.watermarks import trace_of
from loradeck.tools.rulebook.tables import Thresholds

SIDE = 1024


def check(path: Path) -> tuple[str, tuple[int, int], Look, Quality]:
    """SHA-256, size, look and quality of one picture."""
    sha256 = sha256_file(path)
    upright = open_upright(path, enough=max(SIDE, SEEN))
    grey = upright.picture.convert("L")
    square = cut(grey, square_crop(*upright.size), SIDE, upright.reduced)
    quality = measure_quality(upright.picture, square, upright.quantization, False, upright.reduced)
    return sha256, upright.size, look_at(upright.picture), quality


def scan(paths: Sequence[Path]) -> dict[str, Any]:
    """The names that each check speaks of, and the pairs of copies."""
    found: dict[str, Any] = {name: [] for name in ("blurred", "dark", "bright", "blocky", "odd-sized", "pairs")}
    looks: dict[str, Look] = {}
    lookup = Lookup([], looks.__getitem__)
    cv2.setNumThreads(1)
    with ThreadPoolExecutor(THREADS) as pool:
        waiting = deque(pool.submit(check, path) for path in paths[:AHEAD])
        for number, path in enumerate(paths):
            sha256, size, look, quality = waiting.popleft().result()
            if number + AHEAD < len(paths):
                waiting.append(pool.submit(check, paths[number + AHEAD]))
            for name in _said(size, quality):
                found[name].append(path.name)
            twin = lookup.find(sha256, look)
            if twin is not None:
                found["pairs"].append((twin[0], path.name))
            else:
                looks[path.name] = look
                lookup.add(path.name, sha256, look)
    return found


def _said(size: tuple[int, int], quality: Quality) -> list[str]:
    """The checks that speak of a picture."""
    said = [name for name, why in (("blurred", blurred), ("blocky", blocky)) if why(quality) is not None]
    if badly_exposed(quality) is not None:
        said.append("bright" if quality.blown > Thresholds().blown else "dark")
    return [*said, "odd-sized"] if min(size) < SMALLEST_SIDE else said


@dataclass
class Seen:
    """A picture opened, and the square of it that trains."""

    path: Path
    copy: Path
    upright: Upright
    crop: Crop
    square: Image.Image


FACTS: dict[str, Callable[[Seen], object]] = {
    "the same checks": lambda seen: check(seen.path),
    "bars": lambda seen: content_box(seen.upright.picture),
    "faces": lambda seen: find_faces(seen.upright.picture, closely=False),
    "faces, of figures": lambda seen: find_faces(seen.upright.picture),
    "text": lambda seen: find_text(seen.square),
    "ground and colours": lambda seen: (ground_of(seen.square), dominant_colours(seen.square, None)),
    "look vector": lambda seen: look_vector(seen.square),
    "trace of a mark": lambda seen: trace_of(seen.upright.picture),
    "copy: crop and resize": lambda seen: cut(seen.upright.picture, seen.crop, SIDE, seen.upright.reduced),
    "copy: PNG": lambda seen: save(seen.square, seen.copy),
    "all of it, as curate_dataset does": lambda seen: prepare(Task(seen.path, seen.copy, SIDE)),
}


def further(paths: Sequence[Path]) -> dict[str, float]:
    """Processor milliseconds a picture that each further fact takes, the better of two turns."""
    cv2.setNumThreads(1)
    taken = dict.fromkeys(FACTS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            upright = open_upright(path, enough=max(SIDE, SEEN))
            crop = square_crop(*upright.size)
            square = cut(upright.picture, crop, SIDE, upright.reduced)
            seen = Seen(path, Path(folder) / "copy.png", upright, crop, square)
            for name, make in FACTS.items():
                taken[name] += min(_seconds(make, seen) for _ in range(2))
    return {name: 1000 * seconds / len(paths) for name, seconds in taken.items()}


def _seconds(make: Callable[[Seen], object], seen: Seen) -> float:
    start = time.process_time()
    make(seen)
    return time.process_time() - start


def main() -> None:
    """Write what was found and the seconds that it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--facts", type=int, default=0)
    asked = parser.parse_args()
    paths = sorted(asked.folder.iterdir())
    if asked.facts:
        found: dict[str, Any] = {"facts": further(paths[: asked.facts])}
    else:
        start = time.perf_counter()
        found = scan(paths)
        found["seconds"] = time.perf_counter() - start
    asked.out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
