"""What loradeck takes at a host, held against the host's official client on the same loopback service, in turns.

    python bench/hosted.py [--rounds N] [--megabytes M] [--only WHAT]

A training with 30 small pictures and 64 pictures drawn, by loradeck (ledger and journal on the disk) and by the bare
client, no pause between polls on either side; a set of 200 images packed and sent, against `zipfile` and httpx;
64 pictures at a line that takes 200 ms each way, with creates one by one and side by side; and 64 that are waited for
in real time. Replicate over HTTP, fal over TLS, as its client speaks nothing else. The service is a process of its own
and takes most of the wall clock of both sides; processor time and memory are of our side alone. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

SIDES = Path(__file__).with_name("hosted_sides.py")
HOSTS = ("replicate", "fal")
KEY = "right-key"
PICTURES = 64
SMALL, LARGE = 30, 200
LATENCY = 0.2
"""Seconds that every answer is late."""
WAITED = 9
"""Polls until a picture is there: about 25 seconds at the intervals in which pictures are asked for."""


class At:
    """A host that runs, and the processes that are measured at it."""

    def __init__(self, host: str, told: dict[str, str], folder: Path) -> None:
        self.host, self.told, self.folder = host, told, folder
        place = told["api"].partition("//")[2]
        self.environment = {
            **os.environ,
            "REPLICATE_API_TOKEN": KEY, "REPLICATE_BASE_URL": told["api"], "REPLICATE_POLL_INTERVAL": "0",
            "FAL_KEY": KEY, "LORADECK_FAL_URL": told["api"], "FAL_RUN_HOST": place, "FAL_QUEUE_RUN_HOST": place,
            **({"SSL_CERT_FILE": told["authority"]} if told["authority"] else {}),
            **{f"LORADECK_MAX_{span}_USD": "1000" for span in ("RUN", "DAY", "TOTAL")},
        }  # fmt: skip

    def side(self, side: str, work: str, images: Path, *more: str) -> dict[str, float]:
        """One measured process, with a folder of its own."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            places = ["--folder", folder, "--images", str(images), "--api", self.told["api"]]
            return _told([side, self.host, "--work", work, *places, "--files", self.told["files"], *more], self)


@contextmanager
def hosted(host: str, folder: Path, *more: str) -> Iterator[tuple[At, dict[str, Any]]]:
    """A host in a process of its own; the dictionary holds what it was asked, once the block has ended."""
    command = [sys.executable, str(SIDES), "serve", host, *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        counted: dict[str, Any] = {}
        assert process.stdout is not None
        yield At(host, json.loads(process.stdout.readline()), folder), counted
        out, _ = process.communicate()
        counted.update(json.loads(out))


def _told(arguments: list[str], at: At) -> dict[str, float]:
    command = [sys.executable, str(SIDES), *arguments]
    done = subprocess.run(command, env=at.environment, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def pictures(folder: Path, count: int, bytes_each: int = 0) -> Path:
    """JPEGs of 256 pixels a side, filled up with random bytes behind their end."""
    folder.mkdir()
    dice = random.Random(7)
    for number in range(count):
        path = folder / f"{number:03}.jpg"
        Image.new("RGB", (256, 256), (number, 128, 255 - number)).save(path)
        with path.open("ab") as file:
            file.write(dice.randbytes(max(0, bytes_each - path.stat().st_size)))
    return folder


def in_turns(at: At, work: str, images: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of both sides (ours, bare)."""
    taken: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for _ in range(rounds):
        for side, told in taken.items():
            told.append(at.side(side, work, images))
    ours, bare = ({name: statistics.median(one[name] for one in told) for name in told[0]} for told in taken.values())
    return ours, bare


def overhead(folder: Path, given: argparse.Namespace) -> None:
    """A training and 64 pictures, against the official client."""
    images = pictures(folder / "small", SMALL)
    print("| host, work | wall, s: ours, bare (ratio) | processor, s: ours, bare (ratio) | more each, ms of one core |")
    print("|---|---|---|---|")
    for host in HOSTS:
        for work, count in (("train", 1), ("draw", PICTURES)):
            with hosted(host, folder) as (at, _):
                ours, bare = in_turns(at, work, images, given.rounds)
            each = f"{(ours['cpu'] - bare['cpu']) / count * 1e3:.0f}"
            print(f"| {host}, {work} | {_pair(ours, bare, 'wall')} | {_pair(ours, bare, 'cpu')} | {each} |")
            print(f"| memory added, MB | {ours['peak']:.0f}, {bare['peak']:.0f} | | |", flush=True)


def sending(folder: Path, given: argparse.Namespace) -> None:
    """A large set, packed and sent."""
    images = pictures(folder / "large", LARGE, given.megabytes * 10**6 // LARGE)
    print("| host | MB/s: ours, zipfile and httpx | processor, s | memory added, MB |\n|---|---|---|---|")
    for host in HOSTS:
        with hosted(host, folder) as (at, _):
            ours, bare = in_turns(at, "send", images, given.rounds)
        speed = ", ".join(f"{given.megabytes / one['wall']:.0f}" for one in (ours, bare))
        print(f"| {host} | {speed} | {_pair(ours, bare, 'cpu')} | {ours['peak']:.0f}, {bare['peak']:.0f} |", flush=True)


def far_away(folder: Path, _: argparse.Namespace) -> None:
    """64 pictures where every answer is late, with creates one by one and side by side."""
    print("| host, every answer 200 ms late | creates | wall, s | processor, s |\n|---|---|---|---|")
    for host in HOSTS:
        for several in (1, 8):
            with hosted(host, folder, "--delay", str(LATENCY)) as (at, _counted):
                taken = at.side("ours", "draw", folder, "--side-by-side", str(several))
            print(f"| {host} | {several} at a time | {taken['wall']:.1f} | {taken['cpu']:.1f} |", flush=True)


def waiting(folder: Path, _: argparse.Namespace) -> None:
    """64 pictures that take their time: how often it is slept, asked, and what that costs."""
    print(
        "| host | wall, s | sleeps a second | polls a second (a picture every) | of one core |\n|---|---|---|---|---|"
    )
    for host in HOSTS:
        with hosted(host, folder, "--polls", str(WAITED)) as (at, counted):
            taken = at.side("ours", "draw", folder, "--real-time")
        polls, wall = counted["calls"]["poll"], taken["wall"]
        print(
            f"| {host} | {wall:.1f} | {taken['sleeps'] / wall:.2f} | {polls / wall:.1f} "
            f"({PICTURES * wall / polls:.1f} s) | {taken['cpu'] / wall:.0%} |",
            flush=True,
        )


def _pair(ours: dict[str, float], bare: dict[str, float], name: str) -> str:
    return f"{ours[name]:.2f}, {bare[name]:.2f} ({ours[name] / bare[name]:.2f})"


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "overhead": overhead, "sending": sending, "far": far_away, "waiting": waiting,
}  # fmt: skip


def main() -> None:
    """All tables, or one."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--rounds", type=int, default=3)
    reader.add_argument("--megabytes", type=int, default=300)
    reader.add_argument("--only", choices=list(PARTS))
    given = reader.parse_args()
    for name, part in PARTS.items():
        if given.only in {None, name}:
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder), given)
            print()


if __name__ == "__main__":
    main()
