"""validate_coverage through its handler: verdicts, stored reports, what is counted, what to add next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.datasets import ready_dataset, spoil
from support.images import bench
from support.rules import balanced, facts, image, on_set

from loradeck import prompts
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, ReportRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import (
    CandidatesArgs,
    Profile,
    Severity,
    Shot,
    TargetModel,
    ValidateArgs,
    ValidateResult,
    Verdict,
)
from loradeck.tools.datasets import captions_of, kept_images
from loradeck.tools.errors import NotFound
from loradeck.tools.rulebook.coverage import needed_attributes
from loradeck.tools.rulebook.facts import KeptImage
from loradeck.tools.rulebook.keystones import KEYSTONES
from loradeck.tools.rulebook.tables import PROFILES
from loradeck.tools.validate_coverage.copies import png_size
from loradeck.tools.validate_coverage.coverage import coverage
from loradeck.tools.validate_coverage.report import report
from loradeck.tools.validate_coverage.shots import shot_list
from loradeck.tools.validate_coverage.tool import TOOL, judge_now
from loradeck.tools.workbench import Workbench


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    """A workbench with a set of icons that passes."""
    made = bench(tmp_path)
    ready_dataset(made.store)
    return made


def validate(on: Workbench, dataset: str = "ready", target: TargetModel | None = None) -> ValidateResult:
    answer = TOOL.handler(ValidateArgs(dataset_id=dataset, target_model=target), on)
    assert isinstance(answer, ValidateResult)
    return answer


def rules(answer: ValidateResult, severity: Severity) -> set[str]:
    return {finding.rule_id for finding in answer.findings if finding.severity == severity}


def test_a_good_set_passes_and_training_is_the_next_step(on: Workbench) -> None:
    answer = validate(on)
    assert answer.verdict == Verdict.PASS
    assert answer.findings == []
    assert (answer.kept, answer.captioned) == (44, 44)
    assert answer.next_step == 'start_training(dataset_id="ds_ready")'


def test_one_caption_without_the_trigger_fails_the_set_and_names_the_image(on: Workbench) -> None:
    spoil(on.store, "ds_ready")
    answer = validate(on)
    assert answer.verdict == Verdict.FAIL
    assert answer.findings[0].rule_id == "CAP-TRIGGER"
    assert answer.findings[0].where == [kept_images(on.store, "ds_ready")[0].id]
    assert "CAP-TRIGGER" in answer.next_step


def test_the_report_is_stored_with_the_fingerprint_that_it_judged(on: Workbench) -> None:
    answer = validate(on)
    row = on.store.find(ReportRecord, answer.report_id)
    assert row is not None
    assert (row.fingerprint, row.verdict, row.dataset_id) == (answer.fingerprint, "pass", "ds_ready")
    assert ValidateResult.model_validate(row.report) == answer


def test_judging_twice_gives_the_same_fingerprint_and_a_change_another(on: Workbench) -> None:
    first = validate(on).fingerprint
    assert validate(on).fingerprint == first
    caption = next(iter(captions_of(on.store, "ds_ready").values()))
    on.store.add(replace(caption, text=caption.text + " It tilts."))
    assert validate(on).fingerprint != first


def test_another_target_model_judges_by_its_own_words(on: Workbench) -> None:
    answer = validate(on, target=TargetModel.FLUX2_DEV)
    assert "CAP-LENGTH" in rules(answer, Severity.ERROR)
    assert answer.fingerprint != validate(on).fingerprint
    assert on.store.where(DatasetRecord)[0].target_model == "preview"


def test_a_waived_rule_lets_the_set_through_and_is_still_told(on: Workbench) -> None:
    dataset = on.store.where(DatasetRecord)[0]
    for row in kept_images(on.store, dataset.id)[15:]:
        on.store.change(ImageRecord, row.id, status="rejected")
    assert judge_now(on.store, dataset).verdict == Verdict.FAIL
    waived = judge_now(on.store, dataset, waived=frozenset({"COV-COUNT"}))
    assert waived.verdict == Verdict.PASS
    assert rules(waived, Severity.INFO) == {"COV-COUNT"}


def test_rejected_images_are_not_judged(on: Workbench) -> None:
    spoil(on.store, "ds_ready")
    on.store.change(ImageRecord, kept_images(on.store, "ds_ready")[0].id, status="rejected")
    assert validate(on).verdict == Verdict.PASS


def test_a_copy_that_is_gone_or_of_another_size_fails_the_set(on: Workbench) -> None:
    folder = on.store.workspace.dataset("ds_ready")
    (folder / "001.png").unlink()
    Image.new("RGB", (32, 64)).save(folder / "002.png")
    assert rules(validate(on), Severity.ERROR) == {"IMG-READABLE", "IMG-UNIFORM"}


def test_an_unknown_dataset_is_told_with_the_nearest_name(on: Workbench) -> None:
    with pytest.raises(NotFound, match="'ready'"):
        validate(on, "raedy")


def test_fixes_name_the_dataset(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.store.add(DatasetRecord("ds_bare", "bare", "icons", "preview", 64))
    answer = validate(made, "bare")
    assert answer.verdict == Verdict.FAIL
    assert 'curate_dataset(dataset_id="ds_bare", trigger=' in answer.findings[0].fix


def test_a_character_set_without_attributes_is_asked_for_all_of_them_in_one_call(on: Workbench) -> None:
    on.store.change(DatasetRecord, "ds_ready", profile="character")
    answer = validate(on)
    unknown = [finding for finding in answer.findings if finding.rule_id == "COV-KNOWN"]
    assert len(unknown) == 6
    needed = ("framing", "angle", "background", "lighting", "expression", "wardrobe")
    call = f"{{image_id, attributes: {{{', '.join(f'{name}: ...' for name in needed)}}}}}"
    assert f'one write_captions(dataset_id="ds_ready", images=[{call}])' in unknown[0].fix
    assert {finding.fix for finding in unknown} == {unknown[0].fix}


def test_the_next_step_of_a_set_that_lacks_only_attributes_asks_for_all_of_them() -> None:
    bare = [replace(one, attributes={}) for one in balanced()]
    said = report("ds_a", "a", "rep_a", facts(bare), [one for one in on_set(bare) if one.rule_id.startswith("COV")])
    assert said.next_step.startswith('Mend COV-KNOWN: Look with view_images(of="ds_a")')
    assert "framing: ..., angle: ..., background: ..., lighting: ..., expression: ..., wardrobe: ..." in said.next_step


@pytest.mark.parametrize("text", ["instructions", "train_lora"])
def test_the_texts_for_assistants_name_every_attribute_that_coverage_needs(text: str) -> None:
    needed = {name for profile in Profile for name in needed_attributes(facts([], profile))}
    assert needed == {"subject", "background", "framing", "angle", "expression", "lighting", "wardrobe"}
    said = prompts.text(text)
    assert [name for name in needed if name not in said[said.index("attributes") :]] == []


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + b"0" * 40])
def test_a_file_that_is_no_png_has_no_size(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert png_size(tmp_path / "a.png") is None


# --------------------------------------------------------------------------- what is counted


def test_coverage_counts_each_attribute_in_the_classes_of_the_rules() -> None:
    table = coverage(facts([*balanced(20), image(21)]))
    assert table["framing"] == {"close_up": 7, "medium": 6, "full_body": 5, "back_or_other": 2, "unknown": 1}
    assert table["expression"]["joy"] == 3
    assert sum(table["angle"].values()) == 21
    assert "subject" not in table


def test_coverage_names_twenty_values_and_counts_the_rest() -> None:
    table = coverage(facts([image(n, subject=f"thing {n}") for n in range(1, 61)], Profile.ICONS))
    assert len(table["subject"]) == 21
    assert table["subject"]["others"] == 40


# --------------------------------------------------------------------------- what to add next


def test_an_empty_character_set_wants_the_eight_keystones_first_all_neutral() -> None:
    shots = shot_list(facts([]))
    wanted = [tuple(map(str, keystone.made_as)) for keystone in KEYSTONES]
    assert [(shot.attributes["framing"], shot.attributes["angle"]) for shot in shots[:8]] == wanted
    assert {shot.attributes["expression"] for shot in shots[:8]} == {"neutral"}
    assert [shot.worth for shot in shots] == sorted((shot.worth for shot in shots), reverse=True)


def test_shots_are_concrete_and_take_what_the_set_lacks() -> None:
    in_kitchens = [replace(one, attributes={**one.attributes, "background": "kitchen"}) for one in balanced()]
    shots = shot_list(facts(in_kitchens))
    assert shots
    assert all(
        {"framing", "angle", "expression", "background", "lighting", "wardrobe"} <= set(s.attributes) for s in shots
    )
    assert "kitchen" not in {shot.attributes["background"] for shot in shots}
    assert all(shot.attributes["background"] in shot.text for shot in shots)


def test_a_framing_that_falls_short_is_asked_for() -> None:
    close = [replace(one, attributes={**one.attributes, "framing": "close_up"}) for one in balanced()]
    framings = [shot.attributes["framing"] for shot in shot_list(facts(close))]
    assert framings.count("full_body") >= 3


def grown(images: Sequence[KeptImage], shots: Sequence[Shot]) -> list[KeptImage]:
    """The set with a picture for each shot, of exactly its attributes."""
    return [*images, *(image(1000 + place, **shot.attributes) for place, shot in enumerate(shots))]


ANY_IMAGE = st.fixed_dictionaries(
    {
        "framing": st.sampled_from(["close_up", "medium", "full_body", "other"]),
        "angle": st.sampled_from(["front", "front", "three_quarter_left", "profile_right", "back", "low"]),
        "expression": st.sampled_from(["neutral", "neutral", "smiling", "angry", "furious"]),
        "background": st.sampled_from(["kitchen", "kitchen", "street", "plain white"]),
        "lighting": st.sampled_from(["daylight", "lamp light"]),
        "wardrobe": st.sampled_from(["grey coat", "grey coat", "red dress"]),
    }
)


@given(st.lists(ANY_IMAGE, max_size=25), st.sampled_from([Profile.CHARACTER, Profile.MOTION]))
@settings(max_examples=60, deadline=None)
def test_the_shots_flip_the_verdict_on_coverage_of_any_figure(
    attributes: list[dict[str, str]], profile: Profile
) -> None:
    images = [image(number, **values) for number, values in enumerate(attributes, 1)]
    shots = shot_list(facts(images, profile))
    after = [one for one in on_set(grown(images, shots), profile) if one.rule_id.startswith("COV")]
    assert [one.rule_id for one in after if one.severity == Severity.ERROR] == []
    if len(images) + len(shots) < PROFILES[profile].warn_above:
        assert [one.rule_id for one in after if one.severity == Severity.WARNING] == []


@given(
    st.lists(st.sampled_from(["estate", "church", "club"]), max_size=40),
    st.sampled_from([Profile.STYLE, Profile.ICONS, Profile.LOGO, Profile.PREMIUM, Profile.PRODUCT]),
)
@settings(max_examples=40, deadline=None)
def test_the_shots_flip_the_verdict_on_coverage_of_any_look(categories: list[str], profile: Profile) -> None:
    images = [
        image(number, category=name, subject=f"{name} {number % 7}", background=f"{name} {number % 2}", lighting="dusk")
        for number, name in enumerate(categories, 1)
    ]
    declared = ("estate", "church", "club")
    shots = shot_list(facts(images, profile, categories=declared))
    after = on_set(grown(images, shots), profile, categories=declared)
    errors = [one.rule_id for one in after if one.rule_id.startswith("COV") and one.severity == Severity.ERROR]
    assert errors == []


@pytest.mark.parametrize("lacking", range(18))
def test_without_the_shots_the_verdict_stays(lacking: int) -> None:
    few = balanced()[:lacking]
    assert {one.rule_id for one in on_set(few) if one.rule_id.startswith("COV") and one.severity != Severity.INFO}
    assert shot_list(facts(few))


def test_a_set_that_lacks_nothing_gets_no_shots() -> None:
    assert shot_list(facts(balanced())) == []


def test_a_short_set_of_icons_wants_things_that_it_does_not_show() -> None:
    shots = shot_list(facts([image(n, subject=("bell", "camera")[n % 2]) for n in range(1, 31)], Profile.ICONS))
    subjects = [shot.attributes["subject"] for shot in shots]
    assert len(subjects) == 10
    assert not {"bell", "camera"} & set(subjects)


def test_an_empty_category_is_asked_for_first() -> None:
    images = [image(n, category="estate", background=f"place {n}") for n in range(1, 31)]
    shots = shot_list(facts(images, Profile.STYLE, categories=("estate", "church")))
    assert {shot.attributes["category"] for shot in shots} == {"church"}


def test_shots_go_into_generate_candidates_as_they_come_or_in_words() -> None:
    shots = shot_list(facts([]))
    as_sent = [*(shot.model_dump(mode="json") for shot in shots), "a profile by lamp light"]
    taken = CandidatesArgs.model_validate({"dataset_id": "ds_ready", "shots": as_sent})
    assert taken.shots == [*shots, "a profile by lamp light"]


def test_a_good_set_wants_nothing() -> None:
    assert shot_list(facts([image(n, subject=f"thing {n}") for n in range(1, 45)], Profile.ICONS)) == []


# --------------------------------------------------------------------------- size


def test_a_report_on_many_images_stays_small(on: Workbench) -> None:
    store: Store = on.store
    for caption in captions_of(store, "ds_ready").values():
        store.add(CaptionRecord(caption.image_id, "ds_ready", "masterpiece, 8k, icon, blue", "given"))
    assert len(validate(on).model_dump_json()) < 20_000
