"""CAP-TERMS: synonyms for one environment, outfit or light are pointed out."""

from __future__ import annotations

import pytest
from support.rules import breaks, image, on_set, passes

from loradeck.tools.contracts import Finding, Severity
from loradeck.tools.rulebook.terms import same_meanings

INFO = Severity.INFO


@breaks("CAP-TERMS", INFO)
@pytest.mark.parametrize(
    ("attribute", "usual", "rare"),
    [
        ("background", "narrow street", "narrow alley"),
        ("wardrobe", "grey coat", "gray overcoat"),
        ("lighting", "soft daylight", "diffuse sunlight"),
    ],
)
def test_two_names_for_one_thing_are_pointed_out(attribute: str, usual: str, rare: str) -> list[Finding]:
    images = [image(1, **{attribute: usual}), image(2, **{attribute: usual}), image(3, **{attribute: rare})]
    findings = on_set(images)
    (told,) = [finding for finding in findings if finding.rule_id == "CAP-TERMS"]
    assert f'"{usual}" and "{rare}"' in told.why
    assert f'Call it "{usual}"' in told.fix
    assert told.where == ["img_00000003"]
    return findings


@passes("CAP-TERMS")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("narrow street", "wide street"),
        ("kitchen", "kitchen at night"),
        ("industrial corridor", "corridor, industrial"),
    ],
)
def test_things_that_differ_and_other_word_orders_pass(one: str, other: str) -> list[Finding]:
    return on_set([image(1, background=one), image(2, background=other)])


def test_a_synonym_holds_for_its_own_attribute_alone() -> None:
    assert list(same_meanings(["bar", "pub"], "background")) == [("bar", "pub")]
    assert list(same_meanings(["bar", "pub"], "wardrobe")) == []
