"""What a dataset checker finds in a folder, and how long it takes, for `bench/scan.py` to compare.

    python bench/scan_peers.py FOLDER --tool cleanvision|fastdup|imagededup --out FILE.json

Runs without loradeck, in an environment that holds the tool. Each is used as its own documentation shows first, with
two workers where it can be told. Seconds are of the wall, the tool's import left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

WORKERS = 2
FASTDUP_NEAR = 0.9
"""fastdup's own threshold for near duplicates."""
BLURRED, DARK, BRIGHT = 50, 13, 220.5
"""fastdup's own limits for its numbers (blur, mean, mean), as its galleries of issues show them."""
Found = dict[str, Any]


def cleanvision(folder: Path) -> Callable[[], Found]:
    """All its checks of single pictures, and both kinds of duplicates."""
    from cleanvision import Imagelab

    def look() -> Found:
        lab = Imagelab(data_path=str(folder))
        lab.find_issues(n_jobs=WORKERS, verbose=False)
        kinds = {"blurred": "blurry", "dark": "dark", "bright": "light", "odd-sized": "odd_size"}
        found: Found = {
            ours: [Path(path).name for path in lab.issues.index[lab.issues[f"is_{theirs}_issue"]]]
            for ours, theirs in kinds.items()
        }
        together = [*lab.info["exact_duplicates"]["sets"], *lab.info["near_duplicates"]["sets"]]
        found["pairs"] = [
            (Path(one).name, Path(other).name) for some in together for one, other in combinations(some, 2)
        ]
        return found

    return look


def fastdup(folder: Path) -> Callable[[], Found]:
    """Its embeddings and statistics in one run, at its own thresholds."""
    import fastdup as peer

    def look() -> Found:
        with tempfile.TemporaryDirectory() as work:
            lab = peer.create(work_dir=work, input_dir=str(folder))
            lab.run(num_images=0, num_threads=WORKERS, ccthreshold=FASTDUP_NEAR, print_summary=False)
            numbers, near = lab.img_stats(), lab.similarity()
            near = near[near["distance"] >= FASTDUP_NEAR]
            pairs = zip(near["filename_from"], near["filename_to"], strict=True)
            return {
                "blurred": _names(numbers[numbers["blur"] < BLURRED]),
                "dark": _names(numbers[numbers["mean"] < DARK]),
                "bright": _names(numbers[numbers["mean"] > BRIGHT]),
                "pairs": sorted({(min(pair), max(pair)) for pair in ((Path(a).name, Path(b).name) for a, b in pairs)}),
            }

    return look


def _names(rows: Any) -> list[str]:
    return [Path(path).name for path in rows["filename"]]


def imagededup(folder: Path) -> Callable[[], Found]:
    """Its perceptual hash at its own threshold: duplicates alone."""
    from imagededup.methods import PHash

    def look() -> Found:
        hasher = PHash(verbose=False)
        hashes = hasher.encode_images(image_dir=str(folder), num_enc_workers=WORKERS)
        near = hasher.find_duplicates(encoding_map=hashes, num_dist_workers=WORKERS)
        return {"pairs": sorted({(min(a, b), max(a, b)) for a, others in near.items() for b in others})}

    return look


TOOLS: dict[str, Callable[[Path], Callable[[], Found]]] = {
    one.__name__: one for one in (cleanvision, fastdup, imagededup)
}


def main() -> None:
    """Write what was found and the seconds that it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tool", choices=list(TOOLS), required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    look = TOOLS[asked.tool](asked.folder)
    start = time.perf_counter()
    found = look()
    found["seconds"] = time.perf_counter() - start
    asked.out.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
