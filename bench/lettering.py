"""How well text laid over pictures is found: recall by kind of overlay, false overlays, pictures per second.

    python bench/lettering.py --photographs FOLDER [--script NAME=FONT ...] [--each N] [--half 0|1] [--wrong] [--sets]

FOLDER holds photographs named in tests/corpus/lettering/photographs.json (the public imagenet-sample-images), which
says which hold no text, text of their scene, or text laid over them by others. Overlays are drawn on those without
text (`tests/support/overlaid.py`). Half 0 was tuned on; half 1, the default, was not. `--script chinese=FONT` adds
credits in another script (chinese, arabic, devanagari).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image
from support.corpus import wilson_low
from support.overlaid import (
    ARABIC,
    CHINESE,
    DEVANAGARI,
    KINDS,
    MARK_KINDS,
    OPACITIES,
    half,
    other_script,
)

from loradeck.tools.curate_dataset.lettering import find_text
from loradeck.tools.curate_dataset.overlays import overlay_of
from loradeck.tools.curate_dataset.watermarks import Trace, common_marks, trace_of

ROOT = Path(__file__).resolve().parents[1]
LABELS = ROOT / "tests" / "corpus" / "lettering" / "photographs.json"
ICONS = ROOT / "server" / "demo_data" / "icons"
SCRIPTS = {"chinese": CHINESE, "arabic": ARABIC, "devanagari": DEVANAGARI}


@dataclass(frozen=True)
class Case:
    """A picture to judge, made when it is needed."""

    kind: str
    name: str
    make: Callable[[], Image.Image]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--script", action="append", default=[], metavar="NAME=FONT")
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--half", type=int, default=1, choices=(0, 1))
    parser.add_argument("--wrong", action="store_true", help="list the pictures that are judged wrong")
    parser.add_argument("--sets", action="store_true", help="only the sets that repeat a mark")
    options = parser.parse_args()
    labels = {
        kind: [options.photographs / name for name in names if half(name) == options.half]
        for kind, names in json.loads(LABELS.read_text()).items()
    }
    if options.sets:
        sets(labels["none"], options.each)
    else:
        fonts = dict(pair.split("=", 1) for pair in options.script)
        single_pictures([*clean_cases(labels), *drawn_cases(labels["none"], options.each, fonts)], wrong=options.wrong)
        speed(labels["none"][:24])


def single_pictures(cases: Sequence[Case], *, wrong: bool) -> None:
    """Judge every picture for itself, two at a time, and print the table."""
    with ThreadPoolExecutor(2) as pool:
        report(cases, list(pool.map(judge, cases)), wrong=wrong)


def clean_cases(labels: dict[str, list[Path]]) -> Iterator[Case]:
    """Pictures as they are."""
    for kind, title in (("overlay", "overlaid by others"), ("scene", "text of the scene"), ("none", "no text")):
        yield from (Case(title, path.name, lambda path=path: opened(path)) for path in labels[kind])
    yield from (Case("drawn icon", path.name, lambda path=path: opened(path)) for path in sorted(ICONS.glob("*.png")))


def drawn_cases(photographs: Sequence[Path], each: int, fonts: dict[str, str]) -> Iterator[Case]:
    """`each` pictures of every kind of overlay."""
    makers: dict[str, Callable[[Image.Image, int], Image.Image]] = {
        kind: lambda picture, seed, draw=draw: draw(picture, seed).picture for kind, draw in KINDS.items()
    }
    for kind, mark in MARK_KINDS.items():
        for opacity in OPACITIES:
            makers[f"{kind} {opacity:.0%}"] = lambda picture, seed, mark=mark, opacity=opacity: (
                mark(picture, seed, opacity).picture
            )
    for script, font in fonts.items():
        makers[f"{script} credit"] = lambda picture, seed, words=SCRIPTS[script], font=font: (
            other_script(picture, seed, words[seed % len(words)], Path(font)).picture
        )
    for row, (kind, make) in enumerate(makers.items()):
        for column in range(each):
            seed = 1000 + row * each + column
            path = photographs[seed % len(photographs)]
            yield Case(
                kind, f"{path.name} seed {seed}", lambda make=make, path=path, seed=seed: make(opened(path), seed)
            )


def opened(path: Path) -> Image.Image:
    with Image.open(path) as raw:
        return raw.convert("RGB")


def judge(case: Case) -> tuple[str, str]:
    """(kind of overlay or "none", its words)."""
    picture = case.make()
    found = overlay_of(find_text(picture), picture.size)
    return (found.kind, found.words) if found else ("none", "")


def report(cases: Sequence[Case], judged: Sequence[tuple[str, str]], *, wrong: bool) -> None:
    clean = {"text of the scene", "no text", "drawn icon"}
    print(f"{'kind':<20} {'n':>4}  margin (low)   margin or elsewhere (low)")
    for kind in dict.fromkeys(case.kind for case in cases):
        got = [verdict for case, (verdict, _) in zip(cases, judged, strict=True) if case.kind == kind]
        margin, said = got.count("margin"), len(got) - got.count("none")
        shown = " ".join(f"{n / len(got):.2f} ({wilson_low(n, len(got)):.2f})   " for n in (margin, said))
        print(f"{kind:<20} {len(got):>4}  {shown}")
    verdicts = [(case.kind in clean, verdict) for case, (verdict, _) in zip(cases, judged, strict=True)]
    for title, counted in (("margin", {"margin"}), ("either", {"margin", "scene"})):
        told = [is_clean for is_clean, verdict in verdicts if verdict in counted]
        right = told.count(False)
        print(
            f"precision of {title}: {right}/{len(told)} = {right / len(told):.3f} ({wilson_low(right, len(told)):.3f})"
        )
    for case, (verdict, words) in zip(cases, judged, strict=True) if wrong else []:
        if (verdict == "margin") == (case.kind in clean):
            print(f"    {verdict:<6} {case.kind}: {case.name} {words!r}")


def sets(photographs: Sequence[Path], each: int) -> None:
    """Marks found in sets of 8 and 12 pictures that all carry one, and in sets that carry none."""
    pictures = [picture for picture in map(opened, photographs) if picture.size in {(500, 375), (500, 374)}]
    for count in (8, 12):
        groups = [pictures[at : at + count] for at in range(0, len(pictures) - count + 1, count)]
        false = sum(len(common_marks(traces(group))) for group in groups)
        print(f"{len(groups)} sets of {count} without a mark: {false} pictures said to carry one")
        for kind, mark in MARK_KINDS.items():
            for opacity in OPACITIES[:2]:
                found = []
                for seed in range(2000, 2000 + each):
                    group = [mark(picture, seed, opacity).picture for picture in groups[seed % len(groups)]]
                    found.append(len(common_marks(traces(group))))
                read, carried = sum(map(bool, found)), sum(found)
                print(
                    f"{kind} {opacity:.0%}, sets of {count}: {read}/{each} read, {carried}/{each * count} pictures told"
                )


def traces(pictures: Sequence[Image.Image]) -> dict[str, Trace]:
    return {str(number): trace_of(picture) for number, picture in enumerate(pictures)}


def speed(photographs: Sequence[Path]) -> None:
    """Pictures per second on photographs that are decoded already."""
    pictures = [opened(path) for path in photographs]
    find_text(pictures[0])
    for threads in (1, 2):
        start, cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(find_text, pictures))
        took, used = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"{threads} thread(s): {len(pictures) / took:.2f} pictures a second, "
            f"{used / len(pictures):.2f} s of a core for each"
        )


if __name__ == "__main__":
    main()
