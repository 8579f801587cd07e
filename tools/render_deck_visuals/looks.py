"""First looks at rendered pictures by machine: facts in, findings out (RND-SIZE, RND-BLANK, RND-DARK, RND-TWIN)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from loradeck.tools.contracts import Finding, Severity

BLANK_SPREAD = 4.0
"""Standard deviation over all pixels (0-255, the widest channel) under which nothing can be seen."""

DARK_MEAN = 46.0
DARK_HIGHLIGHT = 120.0
"""Mean luma, and luma of the brightest twentieth (0-255): a night scene with a lamp in it is not too dark."""

TWIN_DISTANCE = 2.5
"""Mean difference of two 16 x 16 thumbnails (0-255 a channel) under which they show the same."""


@dataclass(frozen=True)
class Facts:
    """What was measured on one picture; `tiny` is its 16 x 16 RGB thumbnail as 768 numbers of 0-255."""

    slide: str
    asked: tuple[int, int]
    size: tuple[int, int]
    spread: float
    luma_mean: float
    luma_high: float
    tiny: tuple[int, ...]


def judge(pictures: Sequence[Facts]) -> dict[str, list[Finding]]:
    """Findings by slide; where nothing is to be said the list is empty."""
    found: dict[str, list[Finding]] = {
        facts.slide: [*_size(facts), *_blank(facts), *_dark(facts)] for facts in pictures
    }
    for one, other in combinations(pictures, 2):
        distance = sum(abs(a - b) for a, b in zip(one.tiny, other.tiny, strict=True)) / len(one.tiny)
        blank = min(one.spread, other.spread) < BLANK_SPREAD
        if distance < TWIN_DISTANCE and not blank and one.slide != other.slide:
            found[other.slide].append(_twin(one.slide, other.slide, distance))
    return found


def _size(facts: Facts) -> list[Finding]:
    if facts.size == facts.asked:
        return []
    why = f"It is {_by(facts.size)} pixels; {_by(facts.asked)} was asked for."
    return [_finding("RND-SIZE", facts.slide, why, f"Ask for {_by(facts.size)}, or render with another engine.")]


def _blank(facts: Facts) -> list[Finding]:
    if facts.spread >= BLANK_SPREAD:
        return []
    why = f"It is one even colour (spread {facts.spread:.1f}; a picture has more than {BLANK_SPREAD:.0f})."
    return [_finding("RND-BLANK", facts.slide, why, _again(facts.slide, "seed=<another>"))]


def _dark(facts: Facts) -> list[Finding]:
    if facts.luma_mean >= DARK_MEAN or facts.luma_high >= DARK_HIGHLIGHT or facts.spread < BLANK_SPREAD:
        return []
    why = (
        f"It is dark all over: mean brightness {facts.luma_mean:.0f} and highlights {facts.luma_high:.0f} of 255 "
        f"(wanted: {DARK_MEAN:.0f} and {DARK_HIGHLIGHT:.0f})."
    )
    return [_finding("RND-DARK", facts.slide, why, _again(facts.slide, 'add="bright daylight", guidance=2.5'))]


def _twin(one: str, other: str, distance: float) -> Finding:
    why = f"It shows the same as {one} (difference {distance:.1f} of 255; over {TWIN_DISTANCE} they would differ)."
    return _finding("RND-TWIN", other, why, _again(other, "prompt=<other words>"))


def _finding(rule_id: str, slide: str, why: str, fix: str) -> Finding:
    return Finding(rule_id=rule_id, severity=Severity.WARNING, where=[slide], why=why, fix=fix)


def _again(slide: str, change: str) -> str:
    return f"Render it again: only=[{slide!r}], edits=[{{slide={slide!r}, {change}}}]."


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
