"""Photographs of 12 megapixels scanned on two cores: loradeck beside other dataset checkers, on the same files in turn.

    python bench/scan.py --photographs N --folder DIR [--made DIR] [--cleanvision PYTHON] [--fastdup PYTHON]
                         [--imagededup PYTHON] [--small N]

The photographs are made of the real ones in DIR (`bench/scan_photographs.py`), into DIR of --made where they stay, else
into a temporary folder. Each contender runs alone, as a program of its own, the others by the Python that holds them
(`bench/scan_peers.py`, `bench/scan_checks.py`). Then: what each further fact takes, a folder curated twice without a
change, and the memory that curating --small N small pictures takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from scan_photographs import COPIES, FAULTS, make, truth_of
from support.images import bench, curate

from loradeck.tools.curate_dataset import effort

HERE = Path(__file__).resolve().parent
FACTS_OF = 24
AGAIN = 60
MB = 1e6


@contextmanager
def peak_of(process: psutil.Process) -> Iterator[list[float]]:
    """The most memory (MB, shared pages divided) that a process and its children held together, ten times a second."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            held = 0.0
            for one in _family(process):
                try:
                    held += one.memory_full_info().pss / MB
                except psutil.Error:
                    continue
            most[0] = max(most[0], held)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def contend(python: str, script: str, folder: Path, *options: str) -> tuple[dict[str, Any], float]:
    """What a contender found, with the processor seconds that it took from start to end, and its peak memory in MB."""
    before = processor_seconds()
    with tempfile.TemporaryDirectory() as out:
        told = Path(out) / "found.json"
        command = [python, str(HERE / script), str(folder), "--out", str(told), *options]
        with (
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process,
            peak_of(psutil.Process(process.pid)) as most,
        ):
            _, error = process.communicate()
        if not told.exists():
            raise SystemExit(f"{' '.join(command)}\n{error[-2000:]}")
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return found | {"processor": processor_seconds() - before}, most[0]


def processor_seconds() -> float:
    """Of all programs that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(name: str, found: dict[str, Any], peak: float, truth: Sequence[dict[str, Any]]) -> None:
    """Speed, memory and what was found of what was planted, and how often it spoke where nothing was."""
    load = os.getloadavg()[0]
    speed, each = len(truth) / found["seconds"], 1000 * found["processor"] / len(truth)
    print(f"{name}: {speed:.1f} images/s, {each:.0f} ms of a processor each, {peak:.0f} MB at most")
    print(f"  load of the machine after it {load:.1f}")
    sources = {one["name"]: one["source"] for one in truth}
    pairs = {frozenset(pair) for pair in found["pairs"]}
    told = {name for pair in pairs if len({sources[name] for name in pair}) == 1 for name in pair}
    for what in COPIES:
        planted = [one["name"] for one in truth if one["what"] == what]
        print(f"  {what:13} {len(told & set(planted)):3} of {len(planted):3}")
    print(f"  pairs of different photographs: {sum(len({sources[name] for name in pair}) > 1 for pair in pairs)}")
    sharp = {one["name"] for one in truth if one["is_sharp"] and (not one["what"] or one["what"] in COPIES)}
    clean = {one["name"] for one in truth if not one["what"] or one["what"] in COPIES}
    for what in FAULTS:
        if what not in found:
            print(f"  {what:13} not looked for")
            continue
        planted = [one["name"] for one in truth if one["what"] == what]
        others, of = (sharp, "sharp ones") if what == "blurred" else (clean, "others")
        false = len(set(found[what]) & others)
        print(
            f"  {what:13} {len(set(found[what]) & set(planted)):3} of {len(planted):3}, {false} of {len(others)} {of}"
        )


def again(paths: Sequence[Path], root: Path) -> None:
    """A folder curated, and curated once more without a change."""
    source = linked(paths, root / "again")
    workbench, taken = bench(root / "workspace"), []
    for _ in range(3):
        start = time.perf_counter()
        curate(workbench, source=source, name="again", resolution=1024)
        taken.append(time.perf_counter() - start)
    second = min(taken[1:])
    print(f"{len(paths)} photographs curated in {taken[0]:.1f} s, again in {second:.2f} s: {second / taken[0]:.2%}")


def small(count: int, root: Path) -> None:
    """Memory while so many pictures of 640 x 512 are curated at 256 pixels."""
    source, random = root / "small", np.random.default_rng(0)
    source.mkdir()
    for number in range(count):
        coarse = random.integers(0, 256, (24, 30, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((640, 512), Image.Resampling.BICUBIC)
        picture.save(source / f"{number:05}.jpg", quality=90)
    with peak_of(psutil.Process()) as most:
        start = time.perf_counter()
        curate(bench(root / "many"), source=source, name="many", resolution=256)
        taken = time.perf_counter() - start
    print(f"{count} small pictures curated in {taken:.0f} s, {most[0]:.0f} MB at most")


def linked(paths: Sequence[Path], folder: Path) -> Path:
    """A folder that holds these files alone."""
    folder.mkdir(parents=True)
    for path in paths:
        os.link(path, folder / path.name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--made", type=Path)
    parser.add_argument("--small", type=int, default=0)
    parser.add_argument("--no-facts", action="store_true", help="compare alone")
    peers = ("fastdup", "imagededup", "cleanvision")
    for peer in peers:
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"the Python that has {peer}")
    asked = parser.parse_args()
    effort.SECONDS_IN_CALL = float("inf")  # here, not in a run
    with tempfile.TemporaryDirectory(dir=asked.made.parent if asked.made else None) as temporary:
        root = Path(temporary)
        made = asked.made or root / "made"
        if not truth_of(made).exists():
            make(made, asked.folder, asked.photographs)
        truth = json.loads(truth_of(made).read_text(encoding="utf-8"))[: asked.photographs]
        paths = [made / one["name"] for one in truth]
        photographs = linked(paths, root / "photographs")
        show("loradeck, the same checks", *contend(sys.executable, "scan_checks.py", photographs), truth)
        for peer in peers:
            if python := getattr(asked, peer):
                show(peer, *contend(python, "scan_peers.py", photographs, "--tool", peer), truth)
        if not asked.no_facts:
            found, _ = contend(sys.executable, "scan_checks.py", photographs, "--facts", str(FACTS_OF))
            for name, milliseconds in found["facts"].items():
                print(f"  {name:34} {milliseconds:6.0f} ms of one core a picture")
            again(paths[:AGAIN], root)
        if asked.small:
            small(asked.small, root)


if __name__ == "__main__":
    main()
