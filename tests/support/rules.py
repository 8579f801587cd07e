"""Sets of facts for rule tests, and the marks that tie each test to the rule that it breaks, passes or keeps.

A marked test returns what was told, findings or sentences; the mark asserts that the rule is among it (`breaks`) or
is not (`passes`), so that a mark can never stand on a test that does not exercise its rule. A sentence (an error, a
diagnosis) names its rule, and is as hard as the manifest says. What nothing tells, a property, a test `keeps`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from loradeck.tools.contracts import Finding, Profile, Severity, TargetModel
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.judge import judge, judge_captions
from loradeck.tools.rulebook.manifest import EVERY

Told = Finding | str
Test = Callable[..., Iterable[Told]]
TRIGGER = "zorgicon"


def breaks(rule_id: str, severity: Severity = Severity.ERROR) -> Callable[[Test], Callable[..., None]]:
    """What the test returns holds this rule, at this severity."""

    def mark(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            told = [found for one in test(*args, **kwargs) for found in named(one)]
            assert (rule_id, severity) in told

        return run

    return mark


def passes(*rule_ids: str) -> Callable[[Test], Callable[..., None]]:
    """What the test returns holds none of these rules, at any severity."""

    def mark(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            told = [(rule_id, one) for one in test(*args, **kwargs) for rule_id, _ in named(one)]
            assert [one for rule_id, one in told if rule_id in rule_ids] == []

        return run

    return mark


def keeps(rule_id: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The test shows that this property holds; there is no finding to look for."""
    assert rule_id in {rule.id for rule in EVERY if not rule.severities}
    return lambda test: test


def named(told: Told) -> set[tuple[str, Severity]]:
    """The rule of a finding, or the rules that a sentence names, each with its severity."""
    if isinstance(told, Finding):
        return {(told.rule_id, told.severity)}
    return {(rule.id, severity) for rule in EVERY if rule.id in told for severity in rule.severities.values()}


def image(number: int = 1, caption: str | None = None, **values: Any) -> KeptImage:
    """A kept image that no image rule minds; attributes are given by name, other fields as they are called."""
    fields = {name: values.pop(name) for name in list(values) if name in KeptImage.__dataclass_fields__}
    made = KeptImage(
        id=f"img_{number:08d}",
        number=number,
        sha256=f"{number:064x}",
        original_size=(1024, 1024),
        copy_size=(1024, 1024),
        attributes=values,
        caption=caption,
        mode="given",
        seen=True,
    )
    return replace(made, **fields)


def facts(
    images: Sequence[KeptImage],
    profile: Profile = Profile.CHARACTER,
    target: TargetModel = TargetModel.FLUX2_DEV,
    trigger: str | None = TRIGGER,
    **values: Any,
) -> SetFacts:
    """A set of images under a profile and a target model."""
    return SetFacts(profile, target, trigger, tuple(images), 1024, **values)


def on_caption(
    caption: str,
    profile: Profile = Profile.CHARACTER,
    target: TargetModel = TargetModel.FLUX2_DEV,
    trigger: str = TRIGGER,
    **attributes: Any,
) -> list[Finding]:
    """What the rules on single captions say of one caption."""
    alone = facts([image(1, caption, **attributes)], profile, target, trigger)
    return judge_captions(alone, alone.images).get(alone.images[0].id, [])


def on_set(images: Sequence[KeptImage], profile: Profile = Profile.CHARACTER, **values: Any) -> list[Finding]:
    """What all rules say of a set."""
    return judge(facts(images, profile, **values))


def on_captions(captions: Sequence[str], profile: Profile = Profile.STYLE, **values: Any) -> list[Finding]:
    """What all rules say of a set of captions on images of which nothing else is known."""
    return on_set([image(number, text) for number, text in enumerate(captions, 1)], profile, **values)


VIEWS = (
    ("close_up", "front", "neutral"), ("medium", "profile_left", "neutral"), ("full_body", "front", "neutral"),
    ("close_up", "three_quarter_right", "neutral"), ("medium", "front", "tired"), ("full_body", "front", "angry"),
    ("other", "back", None), ("close_up", "three_quarter_left", "neutral"), ("medium", "profile_right", "neutral"),
    ("full_body", "three_quarter_right", "neutral"), ("close_up", "front", "tired"), ("medium", "front", "smiling"),
    ("full_body", "low", "neutral"), ("other", "back_left", None), ("close_up", "front", "smiling"),
    ("medium", "three_quarter_left", "worried"), ("full_body", "front", "smiling"), ("close_up", "front", "worried"),
    ("medium", "three_quarter_right", "tired"), ("close_up", "front", "angry"),
)  # fmt: skip
"""Framing, angle and expression of twenty images, the eight keystones among them."""
BACKGROUNDS = ("city street", "kitchen", "forest path", "library", "rooftop", "workshop")
LIGHTS = ("soft daylight", "warm lamp light", "cool overhead light", "evening sun")
OUTFITS = ("grey coat", "blue overall", "red dress")


def balanced(count: int = 20) -> list[KeptImage]:
    """Images of a person that no coverage rule minds: framings, angles, expressions and surroundings vary as wanted."""
    return [
        image(
            place + 1,
            framing=framing,
            angle=angle,
            **({"expression": expression} if expression else {}),
            background=BACKGROUNDS[place % len(BACKGROUNDS)],
            lighting=LIGHTS[place % len(LIGHTS)],
            wardrobe=OUTFITS[place % len(OUTFITS)],
        )
        for place in range(count)
        for framing, angle, expression in [VIEWS[place % len(VIEWS)]]
    ]


def changed(images: Sequence[KeptImage], **attributes: Any) -> list[KeptImage]:
    """The images with some attributes set alike in all of them."""
    return [replace(one, attributes={**one.attributes, **attributes}) for one in images]


def severities(findings: Sequence[Finding]) -> dict[str, Severity]:
    """Rule id -> the gravest severity it was told with (findings come errors first)."""
    told: dict[str, Severity] = {}
    for finding in findings:
        told.setdefault(finding.rule_id, finding.severity)
    return told
