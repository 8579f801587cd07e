"""What preparing one picture takes, in seconds of one core, beside the guess by which curate_dataset starts a run.

Noisy photographs, which take longest to decode and to write. Processor time, so that a busy machine changes little.

    python bench/curate.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from loradeck.tools.curate_dataset.effort import SECONDS_IN_CALL, seconds
from loradeck.tools.curate_dataset.prepare import Task, prepare

SIZES = ((512, 512), (1024, 1024), (2400, 1700), (4000, 3000), (6000, 4000), (8000, 6000))
SUFFIXES = (".jpg", ".png")
SIDES = (256, 1024, 2048)


def photograph(width: int, height: int) -> Image.Image:
    """Soft shapes under the grain of a sensor."""
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (height // 40 + 1, width // 40 + 1, 3), dtype=np.uint8)
    shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = random.normal(0, 6, (height, width, 1)).astype(np.int16)
    return Image.fromarray(np.clip(np.asarray(shapes) + grain, 0, 255).astype(np.uint8))


def taken(original: Path, side: int) -> float:
    """Seconds of one core for one picture."""
    start = time.process_time()
    prepare(Task(original, original.with_name("copy.png"), side))
    return time.process_time() - start


def main() -> None:
    """Measure and print, a line for each picture and side."""
    with tempfile.TemporaryDirectory() as folder:
        for width, height in SIZES:
            picture, megapixels = photograph(width, height), width * height / 1e6
            for suffix in SUFFIXES:
                original = Path(folder) / f"original{suffix}"
                picture.save(original, **({"quality": 90} if suffix == ".jpg" else {"compress_level": 1}))
                for side in SIDES:
                    guess = seconds(megapixels, side)
                    line = f"{megapixels:5.1f} MP {suffix} to {side:4}: {taken(original, side):5.2f} s"
                    print(f"{line}, guess {guess:5.2f} s, in the call up to {SECONDS_IN_CALL / guess:3.0f}")


if __name__ == "__main__":
    main()
