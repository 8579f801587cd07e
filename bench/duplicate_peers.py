"""The pairs that other tools join among the files that `bench/duplicates.py copies` wrote, for its `score` to read.

    python bench/duplicate_peers.py OUT --tool imagehash_phash|imagehash_dhash|cleanvision|fastdup

Runs without loradeck, in an environment that holds the tool.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

Pairs = Iterator[tuple[str, str]]
ORIGINAL = "~original.png"
HASH_RADIUS = 8
FASTDUP_LEAST = 0.9


def imagehash_phash(files: list[Path]) -> Pairs:
    """pHash, at most 8 bits apart."""
    return _hashed(files, "phash")


def imagehash_dhash(files: list[Path]) -> Pairs:
    """dHash, at most 8 bits apart."""
    return _hashed(files, "dhash")


def _hashed(files: list[Path], kind: str) -> Pairs:
    import imagehash

    hashed = {path.name: getattr(imagehash, kind)(Image.open(path)) for path in files}
    known = [name for name in hashed if name.endswith(ORIGINAL)]
    yield from ((one, other) for one in known for other in hashed if hashed[one] - hashed[other] <= HASH_RADIUS)


def cleanvision(files: list[Path]) -> Pairs:
    """Its sets of exact and near duplicates, as they come: every two of a set."""
    from cleanvision import Imagelab

    lab = Imagelab(filepaths=[str(path) for path in files])
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
    for kind in ("exact_duplicates", "near_duplicates"):
        for together in lab.info[kind]["sets"]:
            names = [Path(one).name for one in together]
            yield from ((one, other) for one in names if one.endswith(ORIGINAL) for other in names)


def fastdup(files: list[Path]) -> Pairs:
    """Pairs of a similarity of 0.9 or more, its own threshold for near duplicates."""
    import fastdup as peer

    work = files[0].parent / "fastdup"
    lab = peer.create(work_dir=str(work), input_dir=str(files[0].parent))
    lab.run(num_images=0, nearest_neighbors_k=40, ccthreshold=FASTDUP_LEAST)
    near = lab.similarity()
    for one, other, share in zip(near["filename_from"], near["filename_to"], near["distance"], strict=True):
        if share >= FASTDUP_LEAST:
            yield Path(one).name, Path(other).name
    shutil.rmtree(work, ignore_errors=True)


TOOLS: dict[str, Callable[[list[Path]], Pairs]] = {
    one.__name__: one for one in (imagehash_phash, imagehash_dhash, cleanvision, fastdup)
}


def main() -> None:
    """Write a tool's pairs beside the files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--tool", choices=list(TOOLS), required=True)
    asked = parser.parse_args()
    files = sorted(asked.out.glob("*.png"))
    start = time.process_time()
    pairs = sorted({tuple(pair) for pair in TOOLS[asked.tool](files) if pair[0] != pair[1]})
    seconds = time.process_time() - start
    (asked.out / f"{asked.tool}.pairs").write_text("\n".join("\t".join(pair) for pair in pairs))
    print(f"{asked.tool}: {len(pairs)} pairs, {len(files) / seconds:.1f} pictures a second of one core")


if __name__ == "__main__":
    main()
