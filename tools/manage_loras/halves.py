"""A LoRA for Wan 2.2 is two files, one for each of its two models: they find each other by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loradeck.engines import lora_origin
from loradeck.tools.contracts import TargetModel

MARK = re.compile(r"[-_. ]*(?<![a-z])(high|low)[-_. ]?noise(?![a-z])", re.IGNORECASE)
OTHER = {"high": "low", "low": "high"}
HALF = (
    'It is one of the two halves of a LoRA for wan-2.2: put the other beside it, named alike with "-high-noise" and '
    '"-low-noise" at the end, and import it again by path to have both as one.'
)


def together(path: Path) -> list[Path]:
    """A file alone, or with its other half that lies beside it: the one for low noise first.

    Raises BadWeights where a file is no whole LoRA of a base that is known here.
    """
    if TargetModel.WAN_22 not in lora_origin.look(path).bases:
        return [path]
    beside = next((one for one in _beside(path) if one.is_file()), None)
    if beside is None or TargetModel.WAN_22 not in lora_origin.look(beside).bases:
        return [path]
    return [beside, path] if _half(path) == "high" else [path, beside]


def name_of_both(path: Path) -> str:
    """The name of a half without what tells which it is."""
    return MARK.sub("", path.stem)


def _beside(path: Path) -> Iterator[Path]:
    """Where the other half may lie. Of the files that exports write, the one for low noise has no mark."""
    mark = MARK.search(path.stem)
    if mark is None:
        yield from (path.with_stem(f"{path.stem}{end}") for end in ("-high-noise", "_high_noise"))
        return
    start, stop = mark.span(1)
    other = OTHER[mark[1].lower()]
    same_case = other.upper() if mark[1].isupper() else other.title() if mark[1].istitle() else other
    yield path.with_stem(f"{path.stem[:start]}{same_case}{path.stem[stop:]}")
    if other == "low" and name_of_both(path):
        yield path.with_stem(name_of_both(path))


def _half(path: Path) -> str | None:
    mark = MARK.search(path.stem)
    return mark[1].lower() if mark else None
