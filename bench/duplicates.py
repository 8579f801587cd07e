"""Near-duplicates: how many copies are found, how many different pictures are joined, and how the search grows.

    python bench/duplicates.py copies FOLDER OUT [--half held-out] [--most 60]
        write originals and their copies to OUT, for every tool to look at the same files
    python bench/duplicates.py score OUT FOLDER
        for loradeck, and for each peer whose pairs `bench/duplicate_peers.py` wrote there: the share of copies found,
        a line for each change, and the pairs of different pictures that were joined; loradeck searches among 5,000
        more looks made of the corners of the tuned half of FOLDER
    python bench/duplicates.py growth FOLDER
        seconds to find and add 1,000 to 100,000 hashes and 1,000 to 10,000 looks, beside comparing with each

FOLDER holds folders of PNG pictures, one for each kind; pictures of one folder are near misses of one another.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
from copies import copies
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.duplicates import Lookup
from loradeck.tools.curate_dataset.hash_index import HashIndex
from loradeck.tools.curate_dataset.similarity import PHASH_MOST, Look, look_at, same_picture

Pair = tuple[str, str]
MOST_SIDE = 768
SEPARATOR = "~"
ORIGINAL = f"{SEPARATOR}original.png"
DRAWN = {"icons", "emoji"}
AMONG = 5_000
MADE_OF = 150
HASHES = ("phash", "dhash", "mirrored_phash", "mirrored_dhash")


# --------------------------------------------------------------------------- files


def write_copies(folder: Path, out: Path, half: str, most: int) -> None:
    """Every original of a half as `group~name~original.png`, and each copy as `group~name~change.png`."""
    out.mkdir(parents=True)
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = [path for path in sorted(group.iterdir()) if (half == "tuned") == _tuned(path)]
        random.Random(4).shuffle(files)
        for path in files[:most]:
            picture = Image.open(path).convert("RGB")
            picture.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
            made = {"original": picture, **copies(picture, zlib.crc32(path.name.encode()))}
            for change, copy in made.items():
                name = SEPARATOR.join((group.name, path.stem, change.replace("%", " percent")))
                copy.save(out / f"{name}.png", compress_level=1)


def _tuned(path: Path) -> bool:
    """Which half a picture is in, by its name alone."""
    return int(hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest(), 16) % 2 == 0


# --------------------------------------------------------------------------- score


def joined(originals: list[Path], others: list[Path], more: dict[str, Look]) -> Iterator[Pair]:
    """(original, file) that loradeck joins: originals come one after another, then each copy is asked for."""
    kept: dict[str, bytes] = {}

    def look(path: Path) -> Look:
        with Image.open(path) as picture:
            return look_at(picture.convert("RGB"))

    lookup = Lookup([], lambda name: more[name] if name in more else Look.from_bytes(kept[name]))
    for name, seen in more.items():
        lookup.add(name, name, seen)
    for path in originals:
        seen = look(path)
        kept[path.name] = seen.to_bytes()
        found = lookup.find(path.name, seen)
        if found is not None:
            yield found[0], path.name
        lookup.add(path.name, path.name, seen)
    for path in others:
        found = lookup.find(path.name, look(path))
        if found is not None:
            yield found[0], path.name


def score(out: Path, folder: Path) -> None:
    """Print recall for each change and the pairs of different pictures that were joined, for each tool."""
    files = sorted(out.glob("*.png"))
    originals = [path for path in files if path.name.endswith(ORIGINAL)]
    others = [path for path in files if not path.name.endswith(ORIGINAL)]
    more = _made_looks(_real_looks(folder), AMONG)
    start = time.process_time()
    told = {"loradeck": list(joined(originals, others, more))}
    print(f"loradeck: {len(files) / (time.process_time() - start):.1f} pictures a second of one core")
    for path in sorted(out.glob("*.pairs")):
        told[path.stem] = [tuple(line.split("\t")) for line in path.read_text().splitlines()]
    for kind, drawn in (("photographs", False), ("drawings", True)):
        within = {path.name for path in files if (path.name.split(SEPARATOR)[0] in DRAWN) == drawn}
        names = [path.name for path in others if path.name in within]
        if names:
            _table(kind, names, {tool: [pair for pair in pairs if pair[0] in within] for tool, pairs in told.items()})
    crossed = len(originals) * (len(originals) - 1) // 2 + len(others) * (len(originals) - 1)
    for tool, pairs in told.items():
        wrong = sorted(_split(pairs)[1])
        print(f"{tool}: {len(wrong)} of {crossed} different pairs joined ({len(wrong) / crossed:.4%})", *wrong[:5])


def _table(kind: str, names: list[str], told: dict[str, list[Pair]]) -> None:
    """A line for each change: which share of the copies each tool joins with their original."""
    asked = Counter(_change(name) for name in names)
    hits = {tool: Counter(_change(name) for _, name in _split(pairs)[0]) for tool, pairs in told.items()}
    print(f"{kind + f', {len(names)} copies':50}" + "".join(f"{tool:>17}" for tool in told))
    for change in asked:
        print(f"{change:50}" + "".join(f"{hits[tool][change] / asked[change]:17.1%}" for tool in told))
    print(f"{'all':50}" + "".join(f"{hits[tool].total() / len(names):17.2%}" for tool in told))


def _split(pairs: list[Pair]) -> tuple[set[Pair], set[Pair]]:
    """(original, copy) pairs of one picture, and pairs of different ones. Pairs of two copies count as nothing."""
    told = [sorted(pair, key=lambda name: not name.endswith(ORIGINAL)) for pair in pairs]
    known = {(one, other) for one, other in told if one.endswith(ORIGINAL) and one != other}
    right = {pair for pair in known if _source(pair[0]) == _source(pair[1])}
    return right, known - right


def _source(name: str) -> str:
    return name.rsplit(SEPARATOR, 1)[0]


def _change(name: str) -> str:
    return Path(name).stem.rsplit(SEPARATOR, 1)[1].replace(" percent", "%")


# --------------------------------------------------------------------------- growth


def growth(folder: Path) -> None:
    """Print what finding and adding takes, beside comparing with each."""
    for count in (1_000, 10_000, 100_000):
        hashes = np.random.default_rng(1).integers(0, 2**64, count, dtype=np.uint64)
        index, start = HashIndex(PHASH_MOST), time.process_time()
        for value in hashes.tolist():
            index.near(value)
            index.add(value)
        indexed = time.process_time() - start
        sampled = range(0, count, max(1, count // 1000))
        start = time.process_time()
        for number in sampled:
            np.flatnonzero(np.bitwise_count(hashes[:number] ^ hashes[number]) <= PHASH_MOST)
        each = (time.process_time() - start) * count / len(sampled)
        print(f"{count:7} hashes: {indexed:7.2f} s, comparing with each {each:7.2f} s, {each / indexed:5.1f} times")
    real = _real_looks(folder)
    for count in (1_000, 5_000, 10_000):
        _grow_looks(_made_looks(real, count))


def _real_looks(folder: Path) -> list[Look]:
    looks = []
    for path in [path for path in sorted(folder.glob("*/*.png")) if _tuned(path)][::4][:MADE_OF]:
        with Image.open(path) as picture:
            looks.append(look_at(picture.convert("RGB")))
    return looks


def _made_looks(real: list[Look], count: int) -> dict[str, Look]:
    """Each with hashes and pixels of a real picture, 24 bits of the hashes turned over, and with corners from all of
    them, a tenth of the bits turned over: as unevenly spread as real ones, and no two of them the same.
    """
    chance = np.random.default_rng(2)
    pool = np.concatenate([look.features.descriptors for look in real])
    looks = {}
    for number in range(count):
        look = real[number % len(real)]
        straight, mirrored = (
            replace(one, descriptors=_noisy(pool[chance.integers(0, len(pool), len(one.points))], chance))
            for one in (look.features, look.mirrored)
        )
        turned = sum(1 << int(bit) for bit in chance.choice(64, 24, replace=False))
        hashes = {name: getattr(look, name) ^ turned for name in HASHES}
        looks[f"{number}"] = replace(look, features=straight, mirrored=mirrored, **hashes)
    return looks


def _noisy(descriptors: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    return descriptors ^ np.packbits(chance.random((len(descriptors), 256)) < 0.1, axis=1)


def _grow_looks(looks: dict[str, Look]) -> None:
    count = len(looks)
    before = psutil.Process().memory_info().rss
    lookup = Lookup([], looks.__getitem__)
    start = time.process_time()
    for name, look in looks.items():
        if lookup.find(name, look) is None:
            lookup.add(name, name, look)
    taken = time.process_time() - start
    memory = (psutil.Process().memory_info().rss - before) / 1e6
    some = list(looks.values())[:20]
    start = time.process_time()
    for first in some:
        for second in some:
            same_picture(first, second)
    each = (time.process_time() - start) / len(some) ** 2 * count * (count - 1) / 2
    print(f"{count:7} looks: {taken:7.1f} s ({taken / count * 1e3:.1f} ms a picture), {memory:.0f} MB held,", end="")
    print(f" comparing with each {each:9.0f} s, {each / taken:5.0f} times")


def main() -> None:
    """Do what is asked for."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["copies", "score", "growth"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--half", choices=["tuned", "held-out"], default="held-out")
    parser.add_argument("--most", type=int, default=60)
    asked = parser.parse_args()
    if asked.what == "copies":
        write_copies(asked.folder, asked.out, asked.half, asked.most)
    elif asked.what == "score":
        score(asked.folder, asked.out)
    else:
        growth(asked.folder)


if __name__ == "__main__":
    main()
