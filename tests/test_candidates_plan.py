"""What is drawn for a gap: which passes, from which keystone, in which words; told as rules of the chain alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from support.rules import TRIGGER, facts, image

from loradeck.engines.base import CameraTurn
from loradeck.tools.contracts import Angle, Framing, Intensity, Profile, Severity, Shot, SubjectKind, TargetModel
from loradeck.tools.errors import BadArgument
from loradeck.tools.generate_candidates.asked import asked
from loradeck.tools.generate_candidates.captions import given, with_captions
from loradeck.tools.generate_candidates.chain import Candidate, Chained, Pass, by_reference, in_words, three_passes
from loradeck.tools.generate_candidates.views import TWELVE, View, anchors, away, nearest, references
from loradeck.tools.generate_candidates.wording import environments, expression_of, expressions
from loradeck.tools.rulebook.coverage import expression_family
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.judge import judge_captions
from loradeck.tools.validate_coverage.shots import LIGHTS, shot_list

THREE = (Pass.TURN, Pass.RESTYLE, Pass.UPSCALE)
TWO = (Pass.TURN, Pass.UPSCALE)


def keystone(number: int, framing: str, angle: str, **values: Any) -> KeptImage:
    worn = {"wardrobe": "grey coat", "background": "studio wall", "lighting": "soft daylight"}
    return image(number, framing=framing, angle=angle, expression="neutral", keystone=True, **{**worn, **values})


KEYS = [
    keystone(1, "close_up", "front"),
    keystone(2, "medium", "profile_left"),
    keystone(3, "full_body", "back"),
    keystone(4, "full_body", "front"),
]


def chained(*shots: str | Shot, images: list[KeptImage] | None = None, **values: Any) -> Chained:
    made = facts(KEYS if images is None else images, **values)
    return three_passes(asked(shots, made), made, 0)


def by_view(made: Chained) -> dict[tuple[str, str], list[Candidate]]:
    found: dict[tuple[str, str], list[Candidate]] = {}
    for one in made.candidates:
        found.setdefault((one.attributes["framing"], one.attributes["angle"]), []).append(one)
    return found


# --------------------------------------------------------------------------- passes and faces


def test_all_twelve_views_with_their_faces_are_twenty_eight_pictures_21_of_them_in_three_passes() -> None:
    made = chained("all")
    assert len(by_view(made)) == len(TWELVE) == 12
    assert Counter(one.passes for one in made.candidates) == {THREE: 21, TWO: 7}


def test_front_and_both_close_ups_show_five_expressions_in_three_passes() -> None:
    views = by_view(chained("all"))
    for view in (("medium", "front"), ("close_up", "front"), ("close_up", "three_quarter_right")):
        faces = [one.attributes["expression"] for one in views[view]]
        assert faces == ["neutral", "tired", "focused", "wary", "furious"]
        assert {one.passes for one in views[view]} == {THREE}
    assert len({expression_family(face) for face in faces}) == 5


def test_three_quarter_views_show_neutral_tired_and_focused() -> None:
    views = by_view(chained("all"))
    for angle in ("three_quarter_left", "three_quarter_right"):
        assert [one.attributes["expression"] for one in views["medium", angle]] == ["neutral", "tired", "focused"]
        assert {one.passes for one in views["medium", angle]} == {THREE}


@pytest.mark.parametrize("angle", ["profile left", "profile right", "low", "high"])
def test_sides_low_and_high_are_neutral_in_two_passes(angle: str) -> None:
    (one,) = chained(angle).candidates
    assert (one.passes, one.attributes["expression"]) == (TWO, "neutral")


@pytest.mark.parametrize("angle", ["back", "back left", "back right"])
def test_a_back_takes_two_passes_and_shows_no_face_even_where_one_is_asked_for(angle: str) -> None:
    made = chained(f"{angle}, furious")
    (one,) = made.candidates
    assert one.passes == TWO
    assert "expression" not in one.attributes
    assert any("would turn the head" in words for words in made.told)


def test_a_face_that_is_asked_for_is_the_only_one_and_takes_three_passes_from_the_side_too() -> None:
    (one,) = chained("profile left, tired").candidates
    assert (one.passes, one.attributes["expression"], one.attributes["intensity"]) == (THREE, "tired", "moderate")


def test_what_shows_no_emotion_is_made_once_a_view() -> None:
    robots = [keystone(1, "medium", "front")]
    bare = [image(1, framing="medium", angle="front", keystone=True)]
    assert len(chained("all", images=bare, subject_kind=SubjectKind.ROBOT).candidates) == 12
    assert len(chained("all", images=robots, subject_kind=SubjectKind.ROBOT).candidates) == 28


# --------------------------------------------------------------------------- inputs


def test_the_first_pass_takes_the_nearest_keystone_and_the_second_only_what_the_first_made() -> None:
    views = by_view(chained("all"))
    assert {one.parents for ones in views.values() for one in ones} == {(key.id,) for key in KEYS}
    assert views["close_up", "front"][0].parents == (KEYS[0].id,)
    assert views["medium", "profile_left"][0].parents == (KEYS[1].id,)
    assert views["full_body", "back"][0].parents == (KEYS[2].id,)
    assert views["full_body", "low"][0].parents == (KEYS[3].id,), "a close-up does not show what stands below it"


def test_the_way_around_is_the_shorter_one() -> None:
    left = keystone(1, "medium", "three_quarter_left")
    assert away(View(Framing.MEDIUM, Angle.THREE_QUARTER_RIGHT), left) == 90


@pytest.mark.parametrize(
    ("words", "turn"),
    [
        ("close-up, front", CameraTurn(0, 0, 10)),
        ("three-quarter right", CameraTurn(45, 0, 5)),
        ("profile right", CameraTurn(90, 0, 5)),
        ("full body, back", CameraTurn(180, 0, 0)),
        ("3/4 left view", CameraTurn(315, 0, 5)),
        ("seen from below", CameraTurn(0, -30, 5)),
        ("high angle", CameraTurn(0, 60, 5)),
    ],
)
def test_the_camera_goes_where_angle_and_framing_say(words: str, turn: CameraTurn) -> None:
    (one, *_) = chained(words, images=[keystone(1, "medium", "front")]).candidates
    assert one.turn == turn


def test_a_turn_says_where_the_camera_stands_in_the_keystone() -> None:
    (one,) = chained("profile left").candidates
    assert one.turn == CameraTurn(270, 0, 5, start=270, start_zoom=5)


def test_images_marked_as_keystones_stand_for_the_identity_else_the_neutral_ones() -> None:
    tired = image(5, framing="close_up", angle="front", expression="tired")
    plain = image(6, framing="close_up", angle="front", expression="neutral")
    assert anchors([tired, plain, KEYS[1]]) == [KEYS[1]]
    assert anchors([tired, plain]) == [plain]
    assert nearest(View(Framing.MEDIUM, Angle.FRONT), []) is None


def test_nothing_is_chained_where_no_angle_is_known() -> None:
    assert chained("front", images=[image(1)]).candidates == []


def test_references_are_the_front_first_then_the_nearest_and_three_at_most() -> None:
    view = View(Framing.MEDIUM, Angle.PROFILE_LEFT)
    assert [one.number for one in references(view, anchors(KEYS), 3)] == [1, 2, 4]
    made = facts(KEYS)
    for one in by_reference(asked(["all"], made), made, 0).candidates:
        assert one.passes == (Pass.LEAN,)
        assert one.parents[0] == KEYS[0].id
        assert 2 <= len(one.parents) <= 3


def test_a_single_keystone_is_too_few_to_lean_on() -> None:
    made = facts(KEYS[:1])
    assert by_reference(asked(["front"], made), made, 0).candidates == []


# --------------------------------------------------------------------------- words


def test_places_rotate_through_eight_and_lights_with_them() -> None:
    restyled = [one for one in chained("all").candidates if Pass.RESTYLE in one.passes]
    places = [one.attributes["background"] for one in restyled]
    assert places[:9] == [*environments(), next(iter(environments()))]
    assert len(environments()) == 8
    assert {one.attributes["lighting"] for one in restyled} == set(LIGHTS)


def test_two_passes_claim_only_what_their_keystone_shows() -> None:
    made = chained("profile left, in a kitchen, warm lamp light")
    (one,) = made.candidates
    assert one.attributes["background"] == "studio wall"
    assert one.attributes["lighting"] == "soft daylight"
    assert any("keep their keystone's surroundings" in words for words in made.told)


def test_a_restyle_locks_the_skeleton_frees_the_muscles_and_asks_for_the_flaws_of_skin() -> None:
    (one,) = chained("close-up, front, tired, kitchen, warm lamp light").candidates
    assert one.prompt.startswith("Identity locked: DO NOT generate a new face.")
    for words in (
        "tired — slightly heavy eyelids, soft unfocused gaze, relaxed jaw", "wooden table", "warm lamp light",
        "permanent skeleton is locked", "Only the muscles are free", "visible pores", "not airbrushed", "85mm",
    ):  # fmt: skip
        assert words in one.prompt
    assert TRIGGER not in one.prompt
    assert "skeleton" not in one.said


def test_a_thing_has_a_form_to_lock_and_no_skin() -> None:
    cups = [keystone(1, "medium", "front")]
    (one,) = chained("front, neutral", images=cups, subject_kind=SubjectKind.OBJECT).candidates
    assert "permanent form is locked" in one.prompt
    assert "skin" not in one.prompt
    assert "face" not in one.prompt


def test_numbered_outfits_are_those_that_the_set_shows_most_and_an_unknown_one_is_told() -> None:
    red = keystone(5, "medium", "high", wardrobe="red dress")
    second = chained("front, neutral, second outfit", images=[*KEYS, red])
    assert second.candidates[0].attributes["wardrobe"] == "red dress"
    third = chained("front, neutral, third outfit", images=[*KEYS, red])
    assert third.candidates[0].attributes["wardrobe"] == "grey coat", "it stays as it was"
    assert any("third outfit" in words for words in third.told)


def test_an_expression_is_an_anchor_and_two_or_three_descriptors_in_three_tiers() -> None:
    tiers = Counter(one.intensity for one in expressions())
    assert set(tiers) == {Intensity.NEUTRAL, Intensity.MODERATE, Intensity.INTENSE}
    assert tiers[Intensity.INTENSE] < tiers[Intensity.MODERATE]
    assert all(2 <= len(one.descriptors.split(",")) <= 3 for one in expressions())


def test_other_words_for_a_face_get_the_descriptors_of_their_family_and_a_phrase_keeps_its_own() -> None:
    assert expression_of("weary").asked.startswith("weary — slightly heavy eyelids")
    assert expression_of("anger").anchor == "angry"
    assert expression_of("tired", "intense").anchor == "tired"
    assert expression_of("sly — one brow raised").descriptors == "one brow raised"


@pytest.mark.parametrize("face", [one.anchor for one in expressions()])
@pytest.mark.parametrize("target", [TargetModel.FLUX2_DEV, TargetModel.Z_IMAGE, TargetModel.PREVIEW])
def test_the_caption_of_every_face_passes_the_rules_that_a_person_s_captions_have(
    face: str, target: TargetModel
) -> None:
    made = facts(KEYS, target=target)
    captioned = with_captions(three_passes(asked([f"close-up, front, {face}"], made), made, 0), made)
    (one,) = captioned.candidates
    assert one.caption.startswith(TRIGGER)
    assert face in one.caption
    kept = image(9, one.caption, **one.attributes)
    found = judge_captions(facts([kept], target=target), [kept]).get(kept.id, [])
    assert [finding for finding in found if finding.severity == Severity.ERROR] == []


def test_what_the_shot_list_asks_for_goes_in_as_it_comes_or_in_words() -> None:
    made = facts(KEYS)
    listed = shot_list(made)
    assert asked(listed, made) == [shot.attributes for shot in listed]
    assert asked([shot.text for shot in listed], made) == [shot.attributes for shot in listed]


@pytest.mark.parametrize("shot", ["", "qwertz", Shot(text="odd", attributes={"angle": "sideways"}, worth=1)])
def test_a_shot_that_asks_for_nothing_known_is_refused(shot: str | Shot) -> None:
    with pytest.raises(BadArgument):
        asked([shot], facts(KEYS))


# --------------------------------------------------------------------------- from words alone

LOOK = "grandeur with decay, chiaroscuro"
HALL = (
    "A long dining hall with candles that burn low on a table set for one, dust on the velvet chairs, rain on the tall "
    "windows behind, and a portrait that hangs askew above the cold fireplace."
)


def look(**values: Any) -> SetFacts:
    return facts([], Profile.STYLE, subject=LOOK, **values)


def test_a_caption_is_drawn_with_the_look_s_words_and_trains_with_the_trigger_and_without_them() -> None:
    made = look()
    (one,) = with_captions(given([HALL, f"{TRIGGER}. {HALL}"][:1], made, 0), made).candidates
    assert one.prompt == f"{HALL} Grandeur with decay, chiaroscuro."
    assert one.caption == f"{TRIGGER}. {HALL}"
    assert one.passes == (Pass.DRAW,)
    (again,) = given([f"{TRIGGER}. {HALL}"], made, 0).candidates
    assert (again.prompt, again.caption) == (one.prompt, one.caption)


def test_captions_come_by_category_and_one_that_is_not_declared_is_named() -> None:
    made = look(categories=("estate", "church"))
    (one,) = given({"estate": [HALL]}, made, 0).candidates
    assert one.attributes["category"] == "estate"
    with pytest.raises(BadArgument, match="'club'"):
        given({"club": [HALL]}, made, 0)


def test_a_caption_that_a_rule_refuses_is_left_out_and_the_good_ones_are_drawn() -> None:
    made = look()
    captioned = with_captions(given(["masterpiece, 8k, hall", HALL], made, 0), made)
    assert [one.number for one in captioned.candidates] == [1]
    assert captioned.candidates[0].caption.endswith(HALL)
    assert any("CAP-" in words and "masterpiece" in words.lower() for words in captioned.told)


def test_shots_of_a_look_are_drawn_from_their_words() -> None:
    made = look()
    (one,) = in_words(asked(["a bell tower at dusk"], made), made, 7).candidates
    assert one.prompt == "A bell tower, dusk. Grandeur with decay, chiaroscuro."
    assert one.seed == 8


def test_a_figure_in_words_is_told_by_its_own_words_view_and_face() -> None:
    made = facts(KEYS, subject="a tall woman with red hair")
    (one,) = in_words(asked(["close-up, profile left, tired, kitchen"], made), made, 0).candidates
    assert one.prompt.startswith("A tall woman with red hair, in close-up and in profile to the left, tired — ")
    assert TRIGGER not in one.prompt


def test_a_candidate_comes_back_from_json_as_it_was() -> None:
    for one in chained("all").candidates:
        assert Candidate.from_json(one.to_json()) == one
