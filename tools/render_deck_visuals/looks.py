"""First looks at rendered pictures by machine: facts in, findings out. Pure: what was measured comes as `Facts`.

RND-SIZE, RND-BLANK, RND-DARK and RND-TWIN on the pictures alone; RND-COPY and RND-OFFSTYLE where the training pictures
of the LoRA are known; REF-CLEAN on the panels of a reference sheet. What each threshold was measured on: docs/looks.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from loradeck.tools.contracts import Finding, Severity

BLANK_SPREAD = 4.0
"""Standard deviation over all pixels (0-255, the widest channel) under which nothing can be seen."""

DARK_MEAN = 46.0
DARK_HIGHLIGHT = 120.0
"""Mean luma, and luma of the brightest twentieth (0-255): a night scene with a lamp in it is not too dark."""

PART = 16

BLACK = 16.0
"""Mean luma (0-255) up to which a picture of one colour is black: hosts blacken what their safety filter withholds."""

TWIN_DISTANCE = 2.5
"""Mean difference of two 16 x 16 thumbnails (0-255 a channel) under which they show the same."""


STRONGER, MOST_STRENGTH = 1.6, 2.5
"""What an off-style picture is drawn with again: measured to bring back what the base had drawn (docs/looks.md)."""

WHITE_LEAST = 245
"""Every channel of a ground that counts as plain white is this bright or more (0-255)."""


@dataclass(frozen=True)
class Copied:
    """The training picture that a picture is a near-copy of: its file's stem, how well they agree (correlation)."""

    of: str
    correlation: float
    mirrored: bool = False


@dataclass(frozen=True)
class Style:
    """How far a picture is from the training look, in usual distances of the training pictures from one another.

    It is off-style beyond `limit`; `base` is how far what the base draws alone is, None where that is not known.
    `lora_id` drew it, at `strength`.
    """

    away: float
    limit: float
    base: float | None
    lora_id: str
    strength: float


@dataclass(frozen=True)
class Facts:
    """What was measured on one picture; `tiny` is its 16 x 16 RGB thumbnail as 768 numbers of 0-255.

    `copied` and `style` are None where nothing was found or nothing is known to compare with. `ground` is the colour of
    its plain ground as #rrggbb, "" where the ground is not plain, None where nobody wants a white one. `plate`
    is True for one that is black but for a few bright marks without colour.
    """

    slide: str
    asked: tuple[int, int]
    size: tuple[int, int]
    spread: float
    luma_mean: float
    luma_high: float
    tiny: tuple[int, ...]
    copied: Copied | None = None
    style: Style | None = None
    ground: str | None = None
    plate: bool = False


def judge(pictures: Sequence[Facts]) -> dict[str, list[Finding]]:
    """Findings by slide; where nothing is to be said the list is empty. Of a blank picture only that is said."""
    found = {facts.slide: list(_alone(facts)) for facts in pictures}
    for one, other in combinations(pictures, 2):
        if one.slide == other.slide or min(one.spread, other.spread) < BLANK_SPREAD:
            continue
        distance = _distance(one.tiny, other.tiny)
        if distance < TWIN_DISTANCE:
            found[other.slide].append(_twin(one.slide, other.slide, distance))
    return found


def _distance(one: Sequence[int], other: Sequence[int]) -> float:
    """Mean difference of two thumbnails; only a lower bound of it, from the sums of parts, where that is enough."""
    parts = [slice(start, start + PART) for start in range(0, len(one), PART)]
    least = sum(abs(sum(one[part]) - sum(other[part])) for part in parts) / len(one)
    if least >= TWIN_DISTANCE:
        return least
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


AGAIN = "Render it again: "
QUOTE = '"'
"""Around the name of a training image, in the sentence that tells of a copy."""
SHORT = {
    "RND-SIZE": "wrong size",
    "RND-BLANK": "blank",
    "RND-DARK": "dark",
    "RND-OFFSTYLE": "off-style",
    "RND-TWIN": "twin",
    "REF-CLEAN": "ground not white",
}
"""Findings in the few words that fit the corner of a tile."""


def short(findings: Sequence[Finding]) -> str:
    """What is wrong with a picture, in the order in which it was found: "dark, off-style"; "" where nothing is."""
    return ", ".join(dict.fromkeys(_shortly(one) for one in findings))


def _shortly(finding: Finding) -> str:
    if finding.rule_id == "RND-COPY":
        return f"copy of {finding.why.split(QUOTE)[1]}"
    return SHORT[finding.rule_id]


def call_of(finding: Finding, deck_id: str) -> str:
    """The call that a finding advises, for a deck."""
    arguments = finding.fix.removeprefix(AGAIN).partition("; or ")[0].partition(", which")[0].rstrip(".")
    return f'render_deck_visuals(deck_id="{deck_id}", {arguments})'


def _alone(facts: Facts) -> Iterator[Finding]:
    """What is to be said of a picture by itself."""
    yield from _size(facts)
    if facts.plate or facts.spread < BLANK_SPREAD:
        yield _blank(facts)
        return
    for judged in (_dark, _copied, _offstyle, _not_white):
        yield from judged(facts)


def _size(facts: Facts) -> list[Finding]:
    if facts.size == facts.asked:
        return []
    why = f"It is {_by(facts.size)} pixels; {_by(facts.asked)} was asked for."
    fix = f"{AGAIN}only=[{_quoted(facts.slide)}], engine=<another>; or ask for {_by(facts.size)} in the deck."
    return [_finding("RND-SIZE", facts.slide, why, fix)]


def _blank(facts: Facts) -> Finding:
    other_seed = f"only=[{_quoted(facts.slide)}]"  # a frame that is named and not changed gets another seed
    if facts.plate or facts.luma_mean <= BLACK:
        what = "black but for a few grey marks" if facts.plate and facts.spread >= BLANK_SPREAD else "all black"
        why = f"It is {what}, as hosts leave a picture that their safety filter withheld."
        milder = f"{_again(facts.slide, prompt='<milder words>').rstrip('.')}; or with another seed, {other_seed}."
        return _finding("RND-BLANK", facts.slide, why, milder)
    why = f"It is one even colour (spread {facts.spread:.1f}; a picture has more than {BLANK_SPREAD:.0f})."
    return _finding("RND-BLANK", facts.slide, why, f"{AGAIN}{other_seed}, which takes another seed.")


def _dark(facts: Facts) -> list[Finding]:
    if facts.luma_mean >= DARK_MEAN or facts.luma_high >= DARK_HIGHLIGHT:
        return []
    why = (
        f"It is dark all over: mean brightness {facts.luma_mean:.0f} and highlights {facts.luma_high:.0f} of 255 "
        f"(wanted: {DARK_MEAN:.0f} and {DARK_HIGHLIGHT:.0f})."
    )
    return [_finding("RND-DARK", facts.slide, why, _again(facts.slide, add="bright daylight", guidance=2.5))]


def _copied(facts: Facts) -> list[Finding]:
    if facts.copied is None:
        return []
    turned = " in a mirror" if facts.copied.mirrored else ""
    why = (
        f"It is a near-copy of the training image {QUOTE}{facts.copied.of}{QUOTE}{turned} (correlation "
        f"{facts.copied.correlation:.2f}): the LoRA learned that picture by heart."
    )
    return [_finding("RND-COPY", facts.slide, why, _again(facts.slide, prompt="<what no training image shows>"))]


def _offstyle(facts: Facts) -> list[Finding]:
    style = facts.style
    if style is None or style.away <= style.limit:
        return []
    base = f"; what the base draws alone is {style.base:.1f} times as far" if style.base is not None else ""
    why = (
        f"It is {style.away:.1f} times as far from the training look as its images are from one another (off-style "
        f"from {style.limit:.1f} on{base})."
    )
    stronger = min(style.strength * STRONGER, MOST_STRENGTH)
    change = f'loras=[{{"lora_id": "{style.lora_id}", "strength": {stronger:g}}}]'
    fix = f"{AGAIN}only=[{_quoted(facts.slide)}], {change}; or with a prompt that names the thing and no scene."
    return [_finding("RND-OFFSTYLE", facts.slide, why, fix)]


def _not_white(facts: Facts) -> list[Finding]:
    """REF-CLEAN: video tools take the ground of a reference sheet along with the subject."""
    ground = facts.ground
    if ground is None or (ground and min(int(ground[n : n + 2], 16) for n in (1, 3, 5)) >= WHITE_LEAST):
        return []
    what = f"plain, but {ground} and not white" if ground else "not plain"
    why = f"Its ground is {what}; a panel of a reference sheet stands on plain white."
    return [_finding("REF-CLEAN", facts.slide, why, _again(facts.slide, add="on pure white, nothing behind it"))]


def _twin(one: str, other: str, distance: float) -> Finding:
    why = f"It shows the same as {one} (difference {distance:.1f} of 255; over {TWIN_DISTANCE} they would differ)."
    return _finding("RND-TWIN", other, why, _again(other, prompt="<other words>"))


def _finding(rule_id: str, slide: str, why: str, fix: str) -> Finding:
    return Finding(rule_id=rule_id, severity=Severity.WARNING, where=[slide], why=why, fix=fix)


def _again(slide: str, **change: str | float) -> str:
    return f"{AGAIN}only=[{_quoted(slide)}], edits=[{json.dumps({'slide': slide, **change}, ensure_ascii=False)}]."


def _quoted(slide: str) -> str:
    return json.dumps(slide)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
