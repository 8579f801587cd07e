"""Precision and recall of the caption rules on the labelled captions of `tests/corpus/captions`, with Wilson bounds.

    python bench/caption_judgement.py [RULE ...] [--held-out | --development | --fresh] [--wrong]

Without --held-out only the captions that the rules were tuned on are judged; with --development those of
`tests/corpus/development`, which CAP-COVERS and CAP-AGREES were tuned on; with --fresh those of
`tests/corpus/held_out_2`, on which nothing was. --wrong lists what is judged wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.corpus import DEVELOPMENT, FOLDER, FRESH, Labelled, developed, fresh, labelled, score, wilson_low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", metavar="RULE")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-out", action="store_true")
    which.add_argument("--development", action="store_true")
    which.add_argument("--fresh", action="store_true", help="captions that another hand held out")
    parser.add_argument("--wrong", action="store_true")
    options = parser.parse_args()
    print(f"{'rule':<16} {'pos':>4} {'neg':>4}  precision (low)  recall (low)")
    folder = DEVELOPMENT if options.development else FRESH if options.fresh else FOLDER
    for rule_id in options.rules or sorted(path.stem for path in folder.glob("*.jsonl")):
        captions = _chosen(rule_id, options)
        got, wrong = score(captions)
        told, due = got.true_positives + got.false_positives, got.true_positives + got.false_negatives
        print(
            f"{rule_id:<16} {due:>4} {len(captions) - due:>4}  "
            f"{got.precision:.3f} ({wilson_low(got.true_positives, told):.3f})    "
            f"{got.recall:.3f} ({wilson_low(got.true_positives, due):.3f})"
        )
        for one in wrong if options.wrong else []:
            print(f"    {'missed' if one.must_speak else 'false '} {one.caption}  [{one.why}]")


def _chosen(rule_id: str, options: argparse.Namespace) -> list[Labelled]:
    if options.development:
        return developed(rule_id)
    return fresh(rule_id) if options.fresh else labelled(rule_id, options.held_out)


if __name__ == "__main__":
    main()
