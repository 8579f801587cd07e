"""How far a training is, read from the progress bar in its log."""

from __future__ import annotations

import re
from collections.abc import Sequence

BAR = re.compile(r"(\d+)/(\d+) \[")
"""tqdm's bar, which the trainers of all hosts print: `35%|###5 | 354/1000 [02:11<03:59, loss: 3.1e-01]`."""


def steps_told(lines: Sequence[str]) -> tuple[int, int] | tuple[None, None]:
    """Steps done and steps in all, by the last line that tells them."""
    for line in reversed(lines):
        if found := BAR.search(line):
            return int(found[1]), int(found[2])
    return None, None
