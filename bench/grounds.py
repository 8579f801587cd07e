"""How right backgrounds, masks and outliers are judged on the pictures that ship, with Wilson bounds, and how fast.

    python bench/grounds.py [--photos FOLDER]

FOLDER may hold photographs in `plain/` and `busy/`, as a person sorted them by their ground.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.corpus import wilson_low
from support.pictures import (
    ICONS,
    PHOTOS,
    as_jpeg,
    cut_heads,
    cut_icon,
    heads,
    laid,
    monochrome,
    opened,
    shaded,
    shared,
)

from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.outliers import look_vector, outliers
from loradeck.tools.curate_dataset.replacing import subject_mask

KINDS = ("plain", "linear", "vignette", "horizon", "stripes")
SETS = 20


def line(name: str, right: int, of: int, more: str = "") -> None:
    print(f"{name:<32} {right:>4} of {of:<4} {right / max(1, of):.2f} ({wilson_low(right, of):.2f}) {more}")


def judged_grounds(photos: Path | None) -> None:
    """A line for each kind of picture: how many grounds are judged as labelled."""
    rows = [("icons on white", opened(path), True) for path in ICONS]
    rows += [("heads", opened(path), plain) for path, plain in heads()]
    rows += [("photographs", opened(path), False) for path in PHOTOS if path.stem != "page"]
    for kind in KINDS:
        grounds = ((cut, shaded(kind, seed)) for seed, cut in enumerate(cut_heads().values(), 500))
        rows += [(f"heads on {kind}", laid(*both), kind not in {"horizon", "stripes"}) for both in grounds]
    for label in ("plain", "busy") if photos else ():
        rows += [
            (f"photographs, {label}", opened(path), label == "plain") for path in sorted((photos / label).iterdir())
        ]
    counts: dict[str, list[bool]] = defaultdict(list)
    start = time.process_time()
    for name, picture, plain in rows:
        counts[name].append(ground_of(picture).plain == plain)
    spent = time.process_time() - start
    for name, right in counts.items():
        line(name, sum(right), len(right))
    print(f"{1000 * spent / len(rows):.0f} ms a picture\n")


def masks() -> None:
    """A line for each kind of ground: masks that reach 0.95, how many are None, mean overlap."""
    busy = [opened(path) for path in PHOTOS if path.stem != "page"]
    for kind in ("white", "jpeg", *KINDS, "busy"):
        got, start = [], time.process_time()
        cuts = [*list(cut_heads().values())[::3], *(cut_icon(path) for path in ICONS[::9])]
        for seed, cut in enumerate(cuts, 900):
            ground = {"white": Image.new("RGB", (512, 512), "white"), "busy": busy[seed % len(busy)]}.get(kind)
            picture = laid(cut, ground or shaded("plain" if kind == "jpeg" else kind, seed))
            mask = subject_mask(as_jpeg(picture, 70) if kind == "jpeg" else picture, None, None)
            got.append(None if mask is None else shared(mask, cut[1]))
        spent, kept = time.process_time() - start, [value for value in got if value is not None]
        mean = f"mean {np.mean(kept):.3f}, least {min(kept):.3f}, " if kept else ""
        more = f"{mean}none {len(got) - len(kept)} of {len(got)}, {1000 * spent / len(got):.0f} ms"
        line(f"masks on {kind}", sum(value >= 0.95 for value in kept), len(kept), more)
    print()


def strangers() -> None:
    """A line for each kind of stranger among 16 icons: how many are found, and how many icons are told."""
    icons = {path.stem: look_vector(opened(path)) for path in ICONS}
    kinds = {
        "nobody": {},
        "photographs": {path.name: look_vector(opened(path)) for path in PHOTOS},
        "heads": {path.name: look_vector(opened(path)) for path, _ in heads()},
        "outlines": {f"{path.stem} line": look_vector(monochrome(path)) for path in ICONS},
    }
    random = np.random.default_rng(7)
    for kind, looks in kinds.items():
        found = due = false = 0
        for number in range(SETS):
            few = {name: icons[name] for name in random.choice(sorted(icons), 16, replace=False)}
            others = (
                {name: looks[name] for name in random.choice(sorted(looks), number % 3 + 1, replace=False)}
                if looks
                else {}
            )
            told = outliers({**few, **others}).keys()
            found, due, false = found + len(told & others.keys()), due + len(others), false + len(told & few.keys())
        line(f"strangers among icons: {kind}", found, due, f"false {false} of {16 * SETS}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    judged_grounds(parser.parse_args().photos)
    masks()
    strangers()


if __name__ == "__main__":
    main()
