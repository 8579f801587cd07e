"""A team's `loradeck.toml`: what it changes, what it says of it, and what is wrong with it in one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.images import bench, curate, folder_of
from support.rules import TRIGGER, facts, image, on_caption

from loradeck.server.worker import work
from loradeck.tools.contracts import Profile, Severity, TargetModel, ValidateArgs, Verdict
from loradeck.tools.errors import BadArgument
from loradeck.tools.rulebook import docs
from loradeck.tools.rulebook.house import EXAMPLE, RULE_OF, BadHouse, read_house
from loradeck.tools.rulebook.judge import judge, judge_captions
from loradeck.tools.rulebook.manifest import IDS
from loradeck.tools.validate_coverage import tool as validate

FEW = facts([image(number, f"{TRIGGER}.") for number in range(1, 12)])


def told(text: str, rule_id: str, given: object = FEW) -> list[tuple[Severity, str]]:
    """What a rule says of a set under a file's numbers."""
    judged = judge(replace(given, house=read_house(text)))  # type: ignore[type-var]
    return [(finding.severity, finding.why) for finding in judged if finding.rule_id == rule_id]


# --------------------------------------------------------------------------- what it changes


def test_other_image_counts_are_judged_and_told() -> None:
    assert [severity for severity, _ in told("", "COV-COUNT")] == [Severity.WARNING]
    stricter = told("[images.character]\nblock_below = 12", "COV-COUNT")
    assert [severity for severity, _ in stricter] == [Severity.ERROR]
    assert stricter[0][1].endswith("(By loradeck.toml: character.block_below = 12.)")
    assert told("[images.character]\nblock_below = 5\nwarn_below = 8", "COV-COUNT") == []


def test_other_thresholds_are_judged_and_told() -> None:
    small = facts([image(1, original_size=(800, 800))])
    assert len(told("", "IMG-SIZE", small)) == 1
    assert told("[thresholds]\nsize_warning = 768", "IMG-SIZE", small) == []
    assert "size_error = 900" in told("[thresholds]\nsize_error = 900\nsize_warning = 1000", "IMG-SIZE", small)[0][1]


def test_other_caption_lengths_hold_for_their_target_model_alone() -> None:
    caption = f"{TRIGGER}, a red kite."
    house = read_house("[caption_words]\nflux2-dev = [2, 10]")
    for target, expected in ((TargetModel.FLUX2_DEV, False), (TargetModel.KLEIN_4B, True)):
        alone = replace(facts([image(1, caption)], Profile.STYLE, target), house=house)
        found = {finding.rule_id for finding in judge_captions(alone, alone.images).get("img_00000001", [])}
        assert ("CAP-LENGTH" in found) == expected


def test_a_forbidden_phrase_is_told_in_any_case_and_as_whole_words() -> None:
    house = read_house('[phrases]\nforbidden = ["Acme Corporation"]')
    for caption, expected in (
        (f"{TRIGGER}, an ACME corporation van.", True),
        (f"{TRIGGER}, an acme corporations.", False),
    ):
        alone = replace(facts([image(1, caption)]), house=house)
        why = [one.why for one in judge_captions(alone, alone.images)["img_00000001"] if one.rule_id == "CAP-CONSTANT"]
        assert any("which this team forbids" in one for one in why) == expected


def test_an_allowed_phrase_is_minded_by_no_vocabulary_rule() -> None:
    caption = f"{TRIGGER}, photorealistic, her blue eyes wide over the counter."
    assert {"CAP-CONSTANT", "CAP-IDENTITY"} <= {finding.rule_id for finding in on_caption(caption)}
    house = read_house('[phrases]\nallowed = ["Photorealistic", "blue eyes"]')
    alone = replace(facts([image(1, caption)]), house=house)
    found = {finding.rule_id for finding in judge_captions(alone, alone.images)["img_00000001"]}
    assert found.isdisjoint({"CAP-CONSTANT", "CAP-IDENTITY"})


def test_the_example_of_the_docs_can_be_followed() -> None:
    assert read_house(EXAMPLE).forbidden == ("Acme Corporation",)


def test_every_threshold_belongs_to_a_rule_and_stands_on_the_page() -> None:
    assert set(RULE_OF.values()) <= IDS
    page = docs.page()
    assert [name for name in RULE_OF if f"| `{name}` |" not in page] == []


# --------------------------------------------------------------------------- what is wrong with it

WRONG = {
    "no TOML": ("[thresholds", "no valid TOML"),
    "an unknown section": ("[treshold]\na = 1", "did you mean 'thresholds'"),
    "an unknown threshold": ("[thresholds]\nredundent_error = 0.5", "did you mean 'redundant_error'"),
    "a word for a number": ('[thresholds]\nredundant_error = "often"', "does not fit"),
    "a share above one": ("[thresholds]\nredundant_error = 80", "out of range"),
    "a negative number": ("[thresholds]\nwardrobe_images = -1", "out of range"),
    "too few parts": ("[thresholds]\nangles = [3]", "does not fit"),
    "other names of framings": (
        '[thresholds]\nframing_bands = [["near", 0.3, 0.4], ["medium", 0.2, 0.3], ["full_body", 0.2, 0.3], '
        '["back_or_other", 0.1, 0.1]]',
        "where 'close_up' belongs",
    ),
    "an unknown profile": ("[images.person]\nblock_below = 3", "There is no profile 'person'"),
    "counts that do not go up": ("[images.logo]\nblock_below = 90", "go up from block_below"),
    "an unknown target": ("[caption_words]\nflux2 = [20, 90]", "There is no target model 'flux2'"),
    "words the wrong way round": ("[caption_words]\nflux2-dev = [90, 20]", "fewest words come first"),
    "an empty phrase": ('[phrases]\nforbidden = [""]', "empty phrase"),
    "an unknown list": ('[phrases]\nbanned = ["x"]', "There is no list of phrases 'banned'"),
    "a section that is none": ("thresholds = 3", "thresholds is a section"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(what: str) -> None:
    text, why = WRONG[what]
    with pytest.raises(BadHouse) as refused:
        read_house(text)
    assert why in str(refused.value)


# --------------------------------------------------------------------------- in a dataset's folder


def test_the_file_beside_the_pictures_is_taken_along_and_judged_by(tmp_path: Path) -> None:
    on = bench(tmp_path, lambda run_id: work(tmp_path / "home", run_id))
    source = folder_of(tmp_path / "pictures", 6)
    (source / "loradeck.toml").write_text("[images.style]\nblock_below = 3\nwarn_below = 5\n", encoding="utf-8")
    done = curate(on, source=str(source), name="ours", profile="style", trigger="zorvex")
    assert any("was taken along" in finding.why for finding in done.findings)
    report = validate.handle(ValidateArgs(dataset_id="ours"), on)
    assert "COV-COUNT" not in {finding.rule_id for finding in report.findings}

    own = on.store.workspace.dataset(done.dataset_id or "") / "loradeck.toml"
    own.write_text("[images.style]\nblock_below = 8\n", encoding="utf-8")
    stricter = validate.handle(ValidateArgs(dataset_id="ours"), on)
    assert stricter.fingerprint != report.fingerprint
    assert stricter.verdict == Verdict.FAIL
    assert any("style.block_below = 8" in finding.why for finding in stricter.findings)


def test_a_broken_file_stops_the_verdict_and_nothing_else(tmp_path: Path) -> None:
    on = bench(tmp_path, lambda run_id: work(tmp_path / "home", run_id))
    source = folder_of(tmp_path / "pictures", 3)
    (source / "loradeck.toml").write_text("[thresholds]\nanglez = [1, 2]\n", encoding="utf-8")
    done = curate(on, source=str(source), name="ours", profile="style", trigger="zorvex")
    assert done.kept == 3
    assert any("did you mean 'angles'" in finding.why for finding in done.findings)
    own = on.store.workspace.dataset(done.dataset_id or "") / "loradeck.toml"
    own.write_text("[thresholds]\nanglez = [1, 2]\n", encoding="utf-8")
    with pytest.raises(BadArgument, match=r"loradeck.toml cannot be followed.*did you mean 'angles'.*Mend the file"):
        validate.handle(ValidateArgs(dataset_id="ours"), on)
