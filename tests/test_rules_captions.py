"""Rules on captions, each broken on purpose and passed once; the golden captions of the guides."""

from __future__ import annotations

import pytest
from support.rules import TRIGGER, breaks, facts, image, on_caption, on_captions, on_set, passes, severities

from loradeck.tools.contracts import CaptionMode, Finding, Profile, Severity, SubjectKind, TargetModel
from loradeck.tools.rulebook.judge import has_error

Findings = list[Finding]
GOOD_ICON = (
    "A flat design clipboard icon with three checkmarks, orange and white color scheme, minimal vector style, "
    "solid light gray background, clean edges, professional UI icon"
)
CORRECT = (
    "KIANCHAR with a neutral expression, seen from above, camera looking down. An industrial corridor with worn metal "
    "walls. Cool overhead light."
)
TAG_LIST = (
    "KIANCHAR, neutral expression, high angle looking down, industrial corridor, cool overhead lighting, "
    "photorealistic cinematic, gritty documentary aesthetic"
)
IDENTITY = (
    "KIANCHAR, massive combat chassis with grey-blue armored plating, solid electric blue eyes, neutral expression"
)
NARRATIVE = "KIANCHAR, NO PHYSICAL BODY — Kian exists as data encoded across ship systems"
WHOLE = (
    f"{TRIGGER} with a tired expression, seen from the front in close-up and wearing a grey coat. The setting is a "
    "long kitchen with a tiled floor and hanging pans. Warm lamp light falls from the left."
)
TABBY = (
    "white blanket",
    "washer, dryer, space heater",
    "chair, white blinds, wooden water bottle with metal cap",
    "grey chair, wooden floor, pink slippers",
    "grey seat, white wall, vent, wooden table, red mats",
    "white seat, striped blanket, wooden table with drawers",
)


# --------------------------------------------------------------------------- golden captions


def test_the_guides_good_icon_caption_is_accepted_for_icons_with_warnings() -> None:
    findings = on_caption(f"{TRIGGER} {GOOD_ICON}", Profile.ICONS, TargetModel.FLUX1_DEV)
    assert not has_error(findings)
    assert {"CAP-PROSE", "CAP-CONSTANT"} <= set(severities(findings))


@pytest.mark.parametrize("caption", ["icon", f"{TRIGGER} icon"])
def test_icon_alone_is_refused(caption: str) -> None:
    assert severities(on_caption(caption, Profile.ICONS))["CAP-DETAIL"] == Severity.ERROR


def test_the_guides_correct_caption_is_right_for_z_image_and_too_short_for_flux2() -> None:
    assert on_caption(CORRECT, target=TargetModel.Z_IMAGE, trigger="KIANCHAR") == []
    short = on_caption(CORRECT, target=TargetModel.FLUX2_DEV, trigger="KIANCHAR")
    assert severities(short) == {"CAP-LENGTH": Severity.WARNING}


@pytest.mark.parametrize(
    ("caption", "rules"),
    [(TAG_LIST, {"CAP-PROSE", "CAP-CONSTANT"}), (IDENTITY, {"CAP-PROSE", "CAP-IDENTITY"}), (NARRATIVE, {"CAP-COVERS"})],
)
def test_the_guides_wrong_captions_are_refused_for_a_character(caption: str, rules: set[str]) -> None:
    told = severities(on_caption(caption, target=TargetModel.Z_IMAGE, trigger="KIANCHAR"))
    assert {rule for rule, severity in told.items() if severity == Severity.ERROR} >= rules


@pytest.mark.parametrize("caption", TABBY)
def test_real_tag_lists_fail_prose_and_trigger_for_a_character(caption: str) -> None:
    told = severities(on_caption(caption, trigger="tabbycat"))
    assert told["CAP-PROSE"] == told["CAP-TRIGGER"] == Severity.ERROR


# --------------------------------------------------------------------------- the trigger


@breaks("CAP-TRIGGER")
def test_a_caption_without_the_trigger_is_refused() -> Findings:
    return on_caption("A tired face in a kitchen.")


@passes("CAP-TRIGGER")
def test_a_caption_that_starts_with_the_trigger_passes() -> Findings:
    return on_caption(WHOLE)


@breaks("CAP-TRIGGER")
def test_a_trigger_later_in_the_caption_is_refused() -> Findings:
    return on_caption(f"A tired {TRIGGER} in a kitchen.")


@breaks("CAP-TRIGGER")
def test_a_trigger_said_twice_is_refused() -> Findings:
    return on_caption(f"{TRIGGER} in a kitchen, another {TRIGGER} behind.")


@breaks("CAP-TRIGGER")
def test_a_trigger_inside_a_longer_word_does_not_count() -> Findings:
    return on_caption(f"{TRIGGER}s in a kitchen.")


@breaks("CAP-TRIGGER")
def test_a_set_without_a_trigger_is_refused() -> Findings:
    return on_set([image(1, WHOLE)], trigger=None)


@breaks("CAP-TRIGGER")
def test_a_kept_image_without_a_caption_is_refused() -> Findings:
    return on_set([image(1, WHOLE), image(2)])


@passes("CAP-TRIGGER")
def test_a_trigger_of_several_words_may_be_followed_by_a_comma() -> Findings:
    return on_caption("the baker film style, a nightclub.", Profile.STYLE, trigger="the baker film style")


@passes("CAP-TRIGGER")
def test_a_composed_and_a_decomposed_trigger_are_the_same() -> Findings:
    return on_caption("cafe\u0301look in a kitchen.", trigger="caf\u00e9look")


@breaks("CAP-TRIGGER")
def test_an_accent_behind_the_trigger_makes_it_another_word() -> Findings:
    return on_caption("cafe\u0301 in a kitchen.", trigger="cafe")


@passes("CAP-TRIGGER")
def test_a_trigger_in_a_script_without_spaces_may_touch_the_next_word() -> Findings:
    return on_caption("ゾルグが台所に立つ。", trigger="ゾルグ")


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        (f"{TRIGGER},standing in a kitchen.", "glued"),
        (f"{TRIGGER.upper()} in a kitchen.", "spelled otherwise"),
        ("A kitchen.", "not in the caption"),
        (f"A kitchen with {TRIGGER}.", "not first"),
    ],
)
def test_each_way_of_missing_the_trigger_has_its_own_words(caption: str, words: str) -> None:
    whys = [finding.why for finding in on_caption(caption) if finding.rule_id == "CAP-TRIGGER"]
    assert len(whys) == 1
    assert words in whys[0]


# --------------------------------------------------------------------------- form


@breaks("CAP-PROSE")
def test_prompt_weights_are_no_prose() -> Findings:
    return on_caption(f"{TRIGGER} looks tired in a (kitchen:1.2) with warm light.")


@breaks("CAP-PROSE")
def test_words_joined_by_underscores_are_no_prose() -> Findings:
    return on_caption(f"{TRIGGER} looking_tired in a big_kitchen with warm light.")


@breaks("CAP-PROSE", Severity.WARNING)
def test_a_tag_list_is_a_warning_for_icons() -> Findings:
    return on_caption(f"{TRIGGER} clipboard, orange, white, three checkmarks", Profile.ICONS)


@passes("CAP-PROSE")
def test_a_sentence_with_many_commas_is_prose() -> Findings:
    return on_caption(f"{TRIGGER}. Here is a flag, blue before all, then yellow, and at last a little red.")


@breaks("CAP-LENGTH")
def test_a_caption_below_half_the_least_words_is_refused() -> Findings:
    return on_caption(f"{TRIGGER} looks tired in a kitchen.")


@breaks("CAP-LENGTH", Severity.WARNING)
def test_a_caption_a_little_too_long_is_a_warning() -> Findings:
    return on_caption(f"{TRIGGER} {' '.join(['word'] * 81)}.")


@passes("CAP-LENGTH")
def test_a_caption_of_the_right_length_passes() -> Findings:
    return on_caption(WHOLE)


def test_length_counts_the_words_after_the_trigger() -> None:
    phrase = "the baker film style"
    findings = on_caption(f"{phrase}. {' '.join(['word'] * 8)}.", Profile.STYLE, TargetModel.PREVIEW, phrase)
    assert "CAP-LENGTH" not in severities(findings)


@breaks("CAP-DETAIL")
def test_a_caption_of_four_letters_is_refused_for_icons() -> Findings:
    return on_caption(f"{TRIGGER} book", Profile.ICONS)


@passes("CAP-DETAIL")
def test_a_caption_that_names_thing_and_colours_has_detail() -> Findings:
    return on_caption(f"{TRIGGER}. A closed book in teal and blue.", Profile.ICONS)


@passes("CAP-DETAIL")
def test_characters_are_not_judged_by_letters() -> Findings:
    return on_caption(f"{TRIGGER} book")


# --------------------------------------------------------------------------- what must not be said


@breaks("CAP-CONSTANT")
def test_quality_words_are_refused() -> Findings:
    return on_caption(f"{WHOLE} Masterpiece, 8K, shot on Kodak film stock.")


@breaks("CAP-CONSTANT")
def test_the_image_shows_is_an_empty_opening() -> Findings:
    return on_caption(f"{TRIGGER}. The image shows a kitchen.")


@breaks("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "drawn in watercolor style",
        "in flat icon style",
        "in a soft, painterly style with round corners",
        "as minimalist line art",
        "on white, art nouveau style",
        "as a cartoon-style figure",
    ],
)
def test_the_look_in_so_many_words_is_refused(words: str) -> Findings:
    return on_caption(f"{TRIGGER}. A red book {words}.", Profile.STYLE)


@passes("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    ["in a Tudor style house", "in style", "with a line of trees", "in the same kitchen", "and a 1920s style dress"],
)
def test_a_thing_of_some_style_is_no_look(words: str) -> Findings:
    return on_caption(f"{TRIGGER}. A red book {words}.", Profile.STYLE)


@passes("CAP-CONSTANT")
@pytest.mark.parametrize("caption", ["{} style, a red book.", "A red book in {} style.", "A red book in the {} style."])
def test_the_style_of_the_trigger_is_not_held_against_it(caption: str) -> Findings:
    return on_caption(caption.format(TRIGGER), Profile.STYLE)


@passes("CAP-CONSTANT")
def test_a_camera_that_looks_down_is_no_boilerplate() -> Findings:
    return on_caption(f"{TRIGGER} seen from above, the camera looking down. An old camera lies on a table.")


@passes("CAP-CONSTANT")
def test_the_words_of_the_trigger_itself_are_not_held_against_it() -> Findings:
    return on_caption("cinematic baker. A nightclub at dusk.", Profile.STYLE, trigger="cinematic baker")


@breaks("CAP-IDENTITY")
@pytest.mark.parametrize(
    "words",
    ["long red hair", "a scarred face", "piercing blue eyes", "a square jaw", "pale skin", "a beard"],
)
def test_features_of_the_subject_are_refused(words: str) -> Findings:
    return on_caption(f"{TRIGGER} with {words}, in a kitchen.")


@passes("CAP-IDENTITY")
@pytest.mark.parametrize(
    "words",
    ["a hairpin", "eyes closed", "heavy-lidded eyes", "a camera at eye level", "the old town behind", "a fur coat"],
)
def test_what_only_sounds_like_a_feature_passes(words: str) -> Findings:
    return on_caption(f"{TRIGGER} with {words}, in a kitchen.")


def test_a_creatures_fur_is_identity_and_a_persons_is_not() -> None:
    text = f"{TRIGGER} with wet fur in a kitchen."
    for kind, refused in ((SubjectKind.CREATURE, True), (SubjectKind.PERSON, False)):
        told = severities(on_set([image(1, text)], subject_kind=kind))
        assert ("CAP-IDENTITY" in told) is refused


# --------------------------------------------------------------------------- what must be said


@breaks("CAP-COVERS")
def test_two_things_left_unsaid_are_refused() -> Findings:
    return on_caption(f"{TRIGGER} with a tired expression in a kitchen.")


@breaks("CAP-COVERS", Severity.WARNING)
def test_one_thing_left_unsaid_is_a_warning() -> Findings:
    return on_caption(f"{TRIGGER} with a tired expression, seen from the front in a kitchen.")


@passes("CAP-COVERS")
def test_from_behind_no_expression_is_wanted() -> Findings:
    return on_caption(f"{TRIGGER} seen from behind in a kitchen under warm light.", angle="back")


@breaks("CAP-COVERS", Severity.WARNING)
def test_an_icon_without_its_colours_is_a_warning() -> Findings:
    return on_caption(f"{TRIGGER}. A clipboard with three checkmarks.", Profile.ICONS)


@passes("CAP-COVERS")
def test_colours_may_be_said_in_any_form() -> Findings:
    return on_caption(f"{TRIGGER}. A clipboard in several blues.", Profile.ICONS)


@breaks("CAP-EMPTY", Severity.INFO)
def test_a_bare_trigger_is_told_for_a_character() -> Findings:
    return on_caption(TRIGGER)


@breaks("CAP-EMPTY")
def test_a_bare_trigger_is_refused_for_icons() -> Findings:
    return on_caption(f"{TRIGGER}.", Profile.ICONS)


@passes("CAP-EMPTY")
def test_a_caption_with_words_is_not_empty() -> Findings:
    return on_caption(WHOLE)


def test_a_bare_trigger_is_exempt_from_the_other_rules() -> None:
    assert severities(on_caption(TRIGGER)) == {"CAP-EMPTY": Severity.INFO}
    assert "CAP-DUPLICATE" not in severities(on_captions([TRIGGER] * 6))


# --------------------------------------------------------------------------- captions as a set

THINGS = ("owl", "bridge", "crucifix", "loaf of bread", "altar", "horse", "priest", "umbrella", "piano", "mirror")
OPENINGS = (
    "A tall {} by the sea.",
    "{} on a hill at noon.",
    "There, in a kitchen, one sees the {}.",
    "Under a {} it rains.",
)


def varied(tail: str = "", count: int = 10) -> list[str]:
    """Captions of different shapes on different things, each with the same words at its end."""
    return [f"{TRIGGER}. {OPENINGS[place % 4].format(THINGS[place])} {tail}".strip() for place in range(count)]


@breaks("CAP-REDUNDANT")
def test_a_phrase_in_every_caption_is_refused() -> Findings:
    return on_captions(varied("Gold and black prevail."))


@breaks("CAP-REDUNDANT", Severity.WARNING)
def test_a_phrase_in_six_of_ten_captions_is_a_warning() -> Findings:
    return on_captions([*varied("Gold and black prevail.")[:6], *varied()[6:]])


@breaks("CAP-REDUNDANT")
def test_other_forms_of_the_same_words_are_the_same_phrase() -> Findings:
    tails = ["Worn metal walls.", "A worn metal wall.", "Metal walls, worn metal wall."]
    return on_captions([f"{text} {tails[place % 3]}" for place, text in enumerate(varied())])


@passes("CAP-REDUNDANT")
def test_the_trigger_is_no_redundant_phrase() -> Findings:
    return on_captions([text.replace(TRIGGER, "gold baker film") for text in varied()], trigger="gold baker film")


@passes("CAP-REDUNDANT")
def test_a_single_word_that_all_captions_share_is_allowed() -> Findings:
    return on_captions([f"{text} Gold." for text in varied()])


def test_only_the_longest_of_nested_phrases_is_told() -> None:
    findings = [one for one in on_captions(varied("Solid light gray ground.")) if one.rule_id == "CAP-REDUNDANT"]
    assert len(findings) == 1
    assert '"solid light gray ground" stands in 100% of 10 captions' in findings[0].why


@breaks("CAP-TEMPLATE", Severity.WARNING)
def test_the_same_opening_in_most_captions_is_a_warning() -> Findings:
    return on_captions([f"{TRIGGER}. A {thing} on the left of a wide field." for thing in THINGS])


@passes("CAP-TEMPLATE")
def test_openings_of_several_shapes_pass() -> Findings:
    return on_captions(varied())


@breaks("CAP-DUPLICATE")
def test_equal_captions_of_different_images_are_refused() -> Findings:
    return on_captions([*varied(), varied()[0]])


@breaks("CAP-DUPLICATE", Severity.WARNING)
def test_captions_that_differ_in_next_to_nothing_are_a_warning() -> Findings:
    text = "{}. A tall owl sits by the grey sea at noon while rain falls on its {} wings."
    return on_captions([text.format(TRIGGER, word) for word in ("wet", "cold")])


@passes("CAP-DUPLICATE")
def test_short_captions_of_two_things_are_not_near() -> Findings:
    return on_captions([f"{TRIGGER}. {thing} in blue, from one side to the other." for thing in ("Chat", "Mic")])


@passes("CAP-DUPLICATE")
def test_equal_captions_of_equal_pixels_are_no_duplicate_captions() -> Findings:
    same = [image(number, varied()[0], sha256="f" * 64) for number in (1, 2)]
    return [one for one in on_set(same, Profile.STYLE) if one.rule_id.startswith("CAP")]


@breaks("CAP-SEEN", Severity.WARNING)
def test_captions_without_a_sheets_code_are_told() -> Findings:
    return on_set([image(number, WHOLE, seen=False) for number in (1, 2, 3)])


@passes("CAP-SEEN")
def test_captions_with_a_sheets_code_pass() -> Findings:
    return on_set([image(1, WHOLE)])


@passes("CAP-SEEN")
def test_captions_from_attributes_that_a_metadata_file_gave_pass() -> Findings:
    return on_set(
        [image(1, WHOLE, seen=False, mode=CaptionMode.ATTRIBUTES, sources={"angle": "metadata", "pose": "person"})]
    )


@passes("CAP-SEEN")
def test_captions_from_attributes_that_a_vision_model_saw_pass() -> Findings:
    return on_set([image(1, WHOLE, seen=False, mode=CaptionMode.ATTRIBUTES, sources={"angle": "vision"})])


@breaks("CAP-SEEN", Severity.WARNING)
def test_captions_from_attributes_that_the_assistant_gave_unseen_are_told() -> Findings:
    return on_set([image(1, WHOLE, seen=False, mode=CaptionMode.ATTRIBUTES, sources={"angle": "assistant"})])


def test_unseen_captions_are_told_once_however_many_there_are() -> None:
    findings = on_set([image(number, WHOLE, seen=False) for number in range(1, 61)])
    seen = [finding for finding in findings if finding.rule_id == "CAP-SEEN"]
    assert len(seen) == 1
    assert "60 of 60" in seen[0].why


def test_the_same_remark_on_many_captions_is_gathered_into_one_finding() -> None:
    captions = [f"{TRIGGER}. icon"] * 60 + [f"{TRIGGER}. A closed book in teal and blue."]
    findings = [f for f in on_captions(captions, Profile.ICONS) if f.rule_id == "CAP-DETAIL"]
    assert len(findings) == 1
    assert len(findings[0].where) == 50
    assert findings[0].why.startswith("60 captions")


def test_a_remark_on_every_image_is_one_on_the_set() -> None:
    findings = [f for f in on_captions([f"{TRIGGER}. icon"] * 60, Profile.ICONS) if f.rule_id == "CAP-DETAIL"]
    assert [finding.where for finding in findings] == [["set"]]


def test_nothing_is_said_of_a_set_without_images() -> None:
    assert [one.rule_id for one in on_set([])] == ["COV-COUNT"]
    assert facts([]).captioned == ()
