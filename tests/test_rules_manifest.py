"""The manifest and the tests agree both ways; verdicts, waivers, fingerprints; the page of rules is current."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rules import TRIGGER, balanced, facts, image

from loradeck.tools import catalogue
from loradeck.tools.contracts import Profile, Severity, TargetModel, Verdict
from loradeck.tools.rulebook import docs, manifest, tables
from loradeck.tools.rulebook.fingerprint import fingerprint
from loradeck.tools.rulebook.judge import judge, judge_captions, verdict
from loradeck.tools.rulebook.words import tidy
from loradeck.tools.write_captions.mend import mended

HERE = Path(__file__).parent
ROOT = HERE.parent
RULE_ID = re.compile(r"\b[A-Z]{3}-[A-Z]+\b")
NO_RULES = {"DCT-II"}


def marked(decorator: str) -> set[str]:
    """The rule ids that tests declare with a decorator."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in HERE.glob("test_*.py")]
    calls = [
        call
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == decorator
    ]
    return {str(argument.value) for call in calls for argument in call.args if isinstance(argument, ast.Constant)}


def test_every_rule_id_that_the_source_names_is_in_the_manifest_and_the_other_way_round() -> None:
    folders = ("engines", "prompts", "server", "state", "tools")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md"}]
    named = {word for path in files for word in RULE_ID.findall(path.read_text(encoding="utf-8"))}
    assert named - NO_RULES == {rule.id for rule in manifest.EVERY}


def test_every_property_has_a_test_that_keeps_it() -> None:
    assert marked("keeps") == {rule.id for rule in manifest.EVERY if not rule.severities}


def test_every_rule_has_a_test_that_breaks_it() -> None:
    assert manifest.IDS - marked("breaks") == set()


def test_every_rule_has_a_test_that_passes_it() -> None:
    assert manifest.IDS - marked("passes") == set()


def test_no_test_names_a_rule_that_is_not_in_force() -> None:
    assert (marked("breaks") | marked("passes")) - manifest.IDS == set()


def test_every_rule_says_what_it_wants_and_where_it_comes_from() -> None:
    assert [rule.id for rule in manifest.EVERY if not (rule.says and rule.source and rule.told_by)] == []


def test_a_rule_is_told_by_tools_that_there_are() -> None:
    tellers = {name for rule in manifest.EVERY for name in rule.told_by.split(", ")}
    assert tellers - set(catalogue.TOOLS) == set()


def test_the_page_of_rules_is_current() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert page == docs.page(), "run: python -m loradeck.tools.rulebook.docs docs/rules.md"


def test_every_profile_and_target_model_has_its_numbers() -> None:
    assert set(tables.PROFILES) == set(Profile)
    assert set(tables.TARGETS) == set(TargetModel)


def test_the_rules_load_no_pictures_network_or_store() -> None:
    heavy = ("PIL", "torch", "httpx", "mcp", "sqlite3", "numpy", "rapidfuzz", "simplemma")
    code = f"import sys, loradeck.tools.rulebook.judge as j; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --------------------------------------------------------------------------- verdicts and waivers


def test_errors_come_first_and_the_worst_severity_is_the_verdict() -> None:
    findings = judge(facts(balanced()[:12]))
    order = [list(Severity).index(finding.severity) for finding in findings]
    assert order == sorted(order)
    assert verdict(findings) == Verdict.FAIL
    assert verdict([one for one in findings if one.severity != Severity.ERROR]) == Verdict.WARN
    assert verdict([]) == Verdict.PASS


def test_a_waived_rule_is_told_as_an_info_and_no_longer_counts() -> None:
    few = facts([image(n, f"{TRIGGER}.") for n in range(1, 6)])
    told = [one for one in judge(few, frozenset({"COV-COUNT"})) if one.rule_id == "COV-COUNT"]
    assert [one.severity for one in told] == [Severity.INFO]
    assert told[0].why.startswith("Waived: ")


@pytest.mark.parametrize("rule_id", ["CAP-TRIGGER", "IMG-READABLE"])
def test_rules_that_can_never_be_waived_stay_errors(rule_id: str) -> None:
    broken = facts([image(1, "no trigger here", copy_size=None)])
    told = {one.severity for one in judge(broken, frozenset({rule_id})) if one.rule_id == rule_id}
    assert told == {Severity.ERROR}


# --------------------------------------------------------------------------- fingerprints

CHANGES: dict[str, dict[str, Any]] = {
    "bytes of a copy": {"sha256": "b" * 64},
    "crop": {"crop": {"x": 1}},
    "attributes": {"attributes": {"pose": "sitting"}},
    "caption": {"caption": "other"},
    "having been seen": {"seen": False},
    "size of the copy": {"copy_size": (512, 512)},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_fingerprint_changes_with_an_images(what: str) -> None:
    before = balanced()
    after = [replace(before[0], **CHANGES[what]), *before[1:]]
    assert fingerprint(facts(before)) != fingerprint(facts(after))


def test_the_fingerprint_changes_with_what_the_set_declares() -> None:
    base = facts(balanced())
    others = [
        replace(base, trigger="other"),
        replace(base, profile=Profile.MOTION),
        replace(base, target_model=TargetModel.PREVIEW),
        replace(base, categories=("a", "b")),
        replace(base, resolution=512),
        replace(base, images=base.images[1:]),
    ]
    assert len({fingerprint(one) for one in [base, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    "house",
    [
        tables.House(thresholds=replace(tables.Thresholds(), near_duplicate=90.0)),
        tables.House(forbidden=("Acme",)),
        tables.House(allowed=("oil painting",)),
        tables.House(caption_words={TargetModel.FLUX2_DEV: (20, 90)}),
    ],
)
def test_the_fingerprint_changes_with_the_numbers_and_phrases_in_force(house: tables.House) -> None:
    before = facts(balanced())
    assert fingerprint(replace(before, house=house)) != fingerprint(before)


def test_the_fingerprint_does_not_know_ids_or_numbers() -> None:
    renamed = [replace(one, id=f"x{one.number}", number=one.number + 7) for one in balanced()]
    assert fingerprint(facts(renamed)) == fingerprint(facts(balanced()))


@given(st.randoms())
@settings(max_examples=20, deadline=None)
def test_the_fingerprint_does_not_depend_on_the_order_of_images(source: random.Random) -> None:
    shuffled = balanced()
    source.shuffle(shuffled)
    assert fingerprint(facts(shuffled)) == fingerprint(facts(balanced()))


# --------------------------------------------------------------------------- wild captions

WILD = st.text(max_size=200) | st.lists(
    st.sampled_from(["zorgicon", "ZORGICON", ",", ". ", " ", "(a:1.2)", "\u0301", "8K", "hair", "\n", "ß", "İ", "a_b"])
).map("".join)


@given(WILD, st.sampled_from(list(Profile)), st.sampled_from(list(TargetModel)))
@settings(max_examples=150, deadline=None)
def test_no_caption_is_wild_enough_to_break_a_rule(caption: str, profile: Profile, target: TargetModel) -> None:
    wild = facts(
        [image(1, caption), image(2, caption), *(image(n, f"{n} {caption}") for n in range(3, 7))], profile, target
    )
    assert {place for finding in judge(wild) for place in finding.where} <= {"set", *(one.id for one in wild.images)}
    assert len(fingerprint(wild)) == 64


@given(WILD, st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_mended_caption_starts_with_the_trigger_and_says_it_once(caption: str, cut: bool) -> None:
    wording = mended(caption, TRIGGER, cut_boilerplate=cut)
    one = image(1, wording)
    told = judge_captions(facts([one], Profile.ICONS), [one]).get(one.id, [])
    assert [finding.why for finding in told if finding.rule_id == "CAP-TRIGGER"] == []


@given(WILD)
@settings(max_examples=150, deadline=None)
def test_tidying_a_caption_twice_changes_nothing_more(caption: str) -> None:
    assert tidy(tidy(caption)) == tidy(caption)
