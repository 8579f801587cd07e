"""How many captions a second all rules on single captions judge, and the processor time that each rule takes.

    python bench/caption_speed.py [--captions 5000] [--file CAPTIONS]

CAPTIONS holds one caption a line. Without it the labelled captions of `tests/corpus/captions` are judged, each with a
word of its own so that no two are alike and nothing is remembered from one to the next.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.corpus import RULES, labelled
from support.rules import facts, image

from loradeck.tools.rulebook.manifest import CAPTION_RULES


def captions_of(file: Path | None, count: int) -> list[str]:
    """So many captions, none like another."""
    known = (
        file.read_text(encoding="utf-8").splitlines()
        if file
        else [one.caption for rule in RULES for one in labelled(rule)]
    )
    return [f"{caption} {number}" for number, caption in enumerate(islice(cycle(known), count))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=5000)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    known = {"framing": "medium", "angle": "front", "expression": "neutral", "background": "kitchen"}
    known |= {"lighting": "daylight", "wardrobe": "blue coat", "pose": "standing"}
    captions = captions_of(options.file, options.captions)
    every = facts([image(number, caption, **known) for number, caption in enumerate(captions, 1)], trigger=None)
    start = time.process_time()
    for rule in CAPTION_RULES:
        began = time.process_time()
        found = len(list(rule.judge(every, every.images)))
        print(f"{rule.id:<16} {time.process_time() - began:7.2f} s  {found:>6} findings")
    took = time.process_time() - start
    print(f"{len(captions)} captions in {took:.2f} s: {len(captions) / took:.0f} a second")


if __name__ == "__main__":
    main()
