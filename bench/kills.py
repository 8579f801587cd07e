"""Trainings that are killed with SIGKILL, each gone on with and held against one that nobody killed, bit for bit.

    python bench/kills.py [--kills N] [--seed S]

A real training of the tiny random base: eight steps, a checkpoint after 3, 6 and 8, samples, an export. Every kill has
a run of its own. Half come at named moments in turn (tests/support/kills.py), half after a random time. A run counts as
equal when its weights and its rows (losses, checkpoints, samples) are those of the straight one. Needs POSIX.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from support import kills

AT_RANDOM = "after a random time"


def main() -> int:
    """Kill, go on, compare, and print a table; returns how many were not equal."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--kills", type=int, default=100)
    reader.add_argument("--seed", type=int, default=1)
    given = reader.parse_args()
    chance, moments = random.Random(given.seed), cycle(kills.MOMENTS)
    table: dict[str, list[bool]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        kills.straight(shared, shared / "warm")  # the first process waits for the others' parent to import torch
        whole, seconds = kills.straight(shared, shared / "straight")
        number = done = 0
        while done < given.kills:
            number += 1
            trial = kills.Trial.new(shared, shared / str(number))
            moment = next(moments) if number % 2 else None
            if not trial.attempt(moment, None if moment else seconds * chance.uniform(0.0, 1.0)):
                continue  # it was faster than the kill
            done += 1
            trial.attempt()
            equal = trial.equals(whole) and trial.rows() == whole.rows()
            table.setdefault(moment or AT_RANDOM, []).append(equal)
            print(f"{done:4} {moment or AT_RANDOM}: {'equal' if equal else 'NOT EQUAL'}", flush=True)
    print_table(table, time.monotonic() - began)
    return sum(results.count(False) for results in table.values())


def print_table(table: dict[str, list[bool]], seconds: float) -> None:
    """How many kills there were at each moment, and how many runs ended equal."""
    print(f"{'moment':44} {'kills':>6} {'equal':>6}")
    for moment in [*kills.MOMENTS, AT_RANDOM]:
        results = table.get(moment, [])
        print(f"{moment:44} {len(results):6} {results.count(True):6}")
    every = [result for results in table.values() for result in results]
    print(f"{'all':44} {len(every):6} {every.count(True):6}   in {seconds:.0f} s")


if __name__ == "__main__":
    raise SystemExit(main())
