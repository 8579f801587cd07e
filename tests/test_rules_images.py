"""The rules on single images as they stand in a set: text laid over, hidden faces, strangers, LoRAs, rights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.rules import balanced, breaks, image, on_set, passes

from loradeck.tools.contracts import Finding, Profile, Severity, SubjectKind
from loradeck.tools.rulebook.facts import KeptImage, Measured
from loradeck.tools.rulebook.references import MOST_REFERENCES, Reference, judge_references
from loradeck.tools.rulebook.tables import House, Thresholds

WARNING, INFO = Severity.WARNING, Severity.INFO


def measured(number: int, overruled: frozenset[str] = frozenset(), **values: Any) -> KeptImage:
    """A kept image of which this was measured."""
    return image(number, overruled=overruled, measured=Measured(**values))


# --------------------------------------------------------------------------- text


@breaks("IMG-TEXT")
@pytest.mark.parametrize("overlay", ["margin", "repeated"])
def test_text_at_the_margin_or_the_same_on_several_blocks(overlay: str) -> list[Finding]:
    return on_set([measured(1, overlay=overlay, words="© Acme 2024"), image(2)])


@breaks("IMG-TEXT", WARNING)
def test_text_elsewhere_may_belong_to_the_scene_and_is_asked_about() -> list[Finding]:
    return on_set([measured(1, overlay="scene", words="BAKERY"), image(2)])


@breaks("IMG-TEXT", WARNING)
def test_laid_over_text_that_was_kept_on_purpose_is_told_and_trains() -> list[Finding]:
    return on_set([measured(1, frozenset({"IMG-TEXT"}), overlay="margin", words="BAKERY"), image(2)])


@passes("IMG-TEXT")
def test_text_is_what_a_logo_is_made_of() -> list[Finding]:
    return on_set([measured(1, overlay="margin", words="Acme")], Profile.LOGO)


@passes("IMG-TEXT")
def test_scene_text_that_was_looked_at_and_kept_is_not_told_again() -> list[Finding]:
    return on_set([measured(1, frozenset({"IMG-TEXT"}), overlay="scene", words="BAKERY"), measured(2)])


# --------------------------------------------------------------------------- faces


def portraits(hidden: int, shown: int, **values: Any) -> list[Finding]:
    """A set of frontal close-ups in which the detector finds no face, or one."""
    faces = [0] * hidden + [1] * shown
    return on_set(
        [
            image(number, framing="close_up", angle="front", measured=Measured(faces=found))
            for number, found in enumerate(faces, 1)
        ],
        **values,
    )


@breaks("IMG-OCCLUDED", WARNING)
def test_a_front_close_up_without_a_face_is_told_where_the_others_have_one() -> list[Finding]:
    return portraits(hidden=1, shown=5)


@passes("IMG-OCCLUDED")
def test_a_drawn_figure_whose_face_the_detector_never_finds_is_not_judged() -> list[Finding]:
    return portraits(hidden=6, shown=1)


@passes("IMG-OCCLUDED")
def test_a_robot_has_no_face_that_must_show() -> list[Finding]:
    return portraits(hidden=1, shown=5, subject_kind=SubjectKind.ROBOT)


@passes("IMG-OCCLUDED")
def test_a_back_view_and_a_profile_need_no_face() -> list[Finding]:
    turned = [replace(one, measured=Measured(faces=int(one.angle in {"front"}))) for one in balanced()]
    return on_set([one for one in turned if one.angle in {"front", "back", "back_left", "profile_left"}])


# --------------------------------------------------------------------------- strangers


def a_stranger(profile: Profile) -> list[Finding]:
    return on_set([measured(1, strangeness=30.0), *(measured(n, strangeness=1.0) for n in range(2, 12))], profile)


@breaks("IMG-OUTLIER", WARNING)
@pytest.mark.parametrize("profile", [Profile.STYLE, Profile.ICONS, Profile.LOGO, Profile.PREMIUM])
def test_an_image_far_from_the_rest_is_told(profile: Profile) -> list[Finding]:
    return a_stranger(profile)


@passes("IMG-OUTLIER")
@pytest.mark.parametrize("profile", [Profile.CHARACTER, Profile.MOTION])
def test_a_figures_grounds_and_lights_may_differ(profile: Profile) -> list[Finding]:
    return a_stranger(profile)


@passes("IMG-OUTLIER")
def test_images_as_far_apart_as_is_usual_are_not_told() -> list[Finding]:
    return on_set([*(measured(n, strangeness=2.0) for n in range(1, 12)), measured(12)], Profile.STYLE)


# --------------------------------------------------------------------------- where they come from


@breaks("IMG-ORIGIN")
def test_an_image_that_a_lora_drew_blocks() -> list[Finding]:
    return on_set([measured(1, loras=("my-look",)), image(2)])


@breaks("IMG-ORIGIN")
def test_an_engine_that_carries_a_lora_is_heard_in_the_attributes() -> list[Finding]:
    return on_set([image(1, source_engine="flux-dev + LoRA"), image(2)])


@breaks("IMG-ORIGIN", WARNING)
def test_a_loras_picture_that_was_kept_on_purpose_is_told_and_trains() -> list[Finding]:
    return on_set([measured(1, frozenset({"IMG-ORIGIN"}), loras=("my-look",)), image(2)])


@passes("IMG-ORIGIN")
def test_an_engine_called_explorateur_is_no_lora() -> list[Finding]:
    return on_set([image(1, source_engine="explorateur flux"), image(2, source_engine="nano banana pro")])


@breaks("IMG-RIGHTS", INFO)
def test_images_of_unknown_origin_are_told() -> list[Finding]:
    return on_set([image(1, has_rights=False), image(2)])


@passes("IMG-RIGHTS")
def test_recorded_rights_are_not_asked_for_again() -> list[Finding]:
    return on_set([image(1), image(2)])


# --------------------------------------------------------------------------- references


def references(count: int, plain: bool = True, transparent: bool = False) -> list[Reference]:
    return [Reference(f"{number}.png", plain, transparent) for number in range(count)]


@breaks("REF-COUNT")
@pytest.mark.parametrize("model", sorted(MOST_REFERENCES))
def test_one_reference_more_than_a_model_takes_blocks(model: str) -> list[Finding]:
    return judge_references(references(MOST_REFERENCES[model] + 1, transparent=True), model)


@passes("REF-COUNT", "REF-CLEAN")
@pytest.mark.parametrize("model", sorted(MOST_REFERENCES))
def test_as_many_clean_references_as_a_model_takes_are_right(model: str) -> list[Finding]:
    return judge_references(references(MOST_REFERENCES[model], transparent=model == "vace"), model)


@breaks("REF-CLEAN", WARNING)
@pytest.mark.parametrize("model", ["kontext", "flux2-dev", "a model that nobody knows"])
def test_a_reference_with_a_background_of_its_own_is_told(model: str) -> list[Finding]:
    return judge_references(references(2, plain=False), model)


@breaks("REF-CLEAN", WARNING)
def test_a_plain_ground_is_too_much_for_a_model_that_wants_none() -> list[Finding]:
    return judge_references(references(1), "vace")


# --------------------------------------------------------------------------- how good it is


@breaks("IMG-SHARP", WARNING)
@pytest.mark.parametrize("values", [{"sharpness": 0.3, "enlarged": 0.5}, {"sharpness": 1.5, "enlarged": 0.95}])
def test_a_soft_or_enlarged_picture_is_told(values: dict[str, float]) -> list[Finding]:
    return on_set([measured(1, **values), image(2)])


@breaks("IMG-JPEG", WARNING)
@pytest.mark.parametrize("values", [{"jpeg_quality": 20, "blocking": 0.0}, {"jpeg_quality": 95, "blocking": 2.1}])
def test_a_file_of_low_quality_or_the_traces_of_one_are_told(values: dict[str, float]) -> list[Finding]:
    return on_set([measured(1, **values), image(2)])


TONES = {"brightness": 120.0, "highlight": 230.0, "crushed": 0.0, "blown": 0.0}


@breaks("IMG-EXPOSURE", WARNING)
@pytest.mark.parametrize(
    "change",
    [{"blown": 0.5}, {"crushed": 0.6}, {"brightness": 20.0, "highlight": 60.0}],
    ids=["white", "black", "dark"],
)
def test_lost_tones_are_told(change: dict[str, float]) -> list[Finding]:
    return on_set([measured(1, **{**TONES, **change}), image(2)])


@passes("IMG-SHARP", "IMG-JPEG", "IMG-EXPOSURE")
def test_a_good_picture_and_one_that_was_not_measured_are_left_alone() -> list[Finding]:
    good = measured(1, sharpness=1.6, enlarged=0.6, blocking=0.0, jpeg_quality=95, **TONES)
    night = measured(2, brightness=20.0, highlight=200.0, crushed=0.1, blown=0.0)
    even = measured(3, brightness=18.0, highlight=18.0, crushed=0.0, blown=0.0)
    return on_set([good, night, even, image(4)])


def test_a_house_may_be_stricter_on_sharpness_and_that_is_told() -> None:
    strict = House(Thresholds(sharpness=1.8), changes={"IMG-SHARP": ("sharpness = 1.8",)})
    soft = [one for one in on_set([measured(1, sharpness=1.6)], house=strict) if one.rule_id == "IMG-SHARP"]
    assert len(soft) == 1
    assert "at least 1.8 is wanted" in soft[0].why
    assert "sharpness = 1.8" in soft[0].why
