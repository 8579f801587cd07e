"""Three versions of a text into one, line by line (Khanna, Kunal, Pierce 2007, "A formal investigation of diff3").

`base` is what both sides started from. Where only one side changed lines, its lines are taken; where both changed the
same lines in other ways, theirs stay and the place is counted as a conflict. What both left alone between two changes
parts them, so that changes on neighbouring lines do not fight. Where both put lines in at one place, all stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True)
class Merged:
    """The text that came out, and on how many places both sides had changed the same lines."""

    text: str
    conflicts: int


def merged(base: str, theirs: str, ours: str) -> Merged:
    """`theirs` with the changes that lead from `base` to `ours`; their lines win where both changed the same ones."""
    lines = [text.splitlines(keepends=True) for text in (base, theirs, ours)]
    out: list[str] = []
    conflicts = 0
    at = (0, 0, 0)
    for here, length in _common(*lines):
        old, their, our = (side[start:end] for side, start, end in zip(lines, at, here, strict=True))
        chosen = _chosen(old, their, our)
        conflicts += chosen is None
        out += their if chosen is None else chosen
        out += lines[1][here[1] : here[1] + length]
        at = (here[0] + length, here[1] + length, here[2] + length)
    return Merged("".join(out), conflicts)


def _chosen(old: list[str], their: list[str], our: list[str]) -> list[str] | None:
    """What becomes of lines between two that all share; None where both sides changed the same ones."""
    if their in (old, our):
        return our
    if our == old:
        return their
    if not old:
        return our + their
    for one, other in ((their, our), (our, their)):  # lines put in before or behind those that the other side changed
        if one[: len(old)] == old:
            return other + one[len(old) :]
        if one[-len(old) :] == old:
            return one[: -len(old)] + other
    return None


Place = tuple[int, int, int]


def _common(base: Sequence[str], theirs: Sequence[str], ours: Sequence[str]) -> list[tuple[Place, int]]:
    """Runs of lines that all three hold: where they start in each, how many; the end of all three comes last."""
    in_theirs, in_ours = _partners(base, theirs), _partners(base, ours)
    runs: list[tuple[Place, int]] = []
    for line in range(len(base)):
        if line not in in_theirs or line not in in_ours:
            continue
        place = (line, in_theirs[line], in_ours[line])
        last, length = runs[-1] if runs else ((0, 0, 0), 0)
        if runs and place == tuple(start + length for start in last):
            runs[-1] = (last, length + 1)
        else:
            runs.append((place, 1))
    return [*runs, ((len(base), len(theirs), len(ours)), 0)]


def _partners(base: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """Lines of the base by number, and which line of the other each became, unchanged."""
    blocks = SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + step: block.b + step for block in blocks for step in range(block.size)}
