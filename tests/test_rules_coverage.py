"""Rules on coverage and on kept images, each broken on purpose and passed once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.rules import balanced, breaks, changed, image, on_set, passes, severities

from loradeck.tools.contracts import Finding, Profile, Severity, SubjectKind
from loradeck.tools.rulebook.coverage import expression_family, same_thing
from loradeck.tools.rulebook.keystones import KEYSTONES, Keystone
from loradeck.tools.rulebook.tables import PROFILES

Findings = list[Finding]
WARNING = Severity.WARNING


def icons(count: int = 40) -> list:
    return [image(number, subject=f"thing {chr(96 + number % 26)}{number}") for number in range(1, count + 1)]


def scenes(count: int = 30, **attributes: str) -> list:
    places = ("church", "estate", "club", "cemetery", "harbour", "kitchen")
    lights = ("candle light", "daylight", "neon")
    return changed(
        [image(n, background=places[n % 6], lighting=lights[n % 3]) for n in range(1, count + 1)], **attributes
    )


def test_a_balanced_set_of_a_person_has_nothing_to_mend_in_coverage() -> None:
    told = severities(on_set(balanced()))
    assert [rule for rule in told if rule.startswith(("COV", "IMG"))] == []


def test_a_balanced_set_of_icons_has_nothing_to_mend_in_coverage() -> None:
    told = severities(on_set(icons(), Profile.ICONS))
    assert [rule for rule in told if rule.startswith(("COV", "IMG"))] == []


# --------------------------------------------------------------------------- how many, and what is known


@breaks("COV-COUNT")
@pytest.mark.parametrize("profile", list(Profile))
def test_fewer_images_than_the_profile_needs_is_an_error(profile: Profile) -> Findings:
    return on_set([image(n) for n in range(1, PROFILES[profile].block_below)], profile)


@breaks("COV-COUNT", WARNING)
@pytest.mark.parametrize("profile", list(Profile))
def test_a_few_too_few_or_too_many_is_a_warning(profile: Profile) -> Findings:
    row = PROFILES[profile]
    few = on_set([image(n) for n in range(1, row.warn_below)], profile)
    assert severities(few)["COV-COUNT"] == WARNING
    return on_set([image(n) for n in range(1, row.warn_above + 2)], profile)


@passes("COV-COUNT")
@pytest.mark.parametrize("profile", list(Profile))
def test_the_best_number_of_images_passes(profile: Profile) -> Findings:
    return on_set([image(n) for n in range(1, PROFILES[profile].best[0] + 1)], profile)


@breaks("COV-KNOWN")
def test_more_than_a_tenth_unknown_is_an_error_that_names_them() -> Findings:
    findings = on_set([*balanced()[:17], *changed(balanced()[17:], angle="unknown")])
    known = next(finding for finding in findings if finding.rule_id == "COV-KNOWN")
    assert "angle of 3 of 20" in known.why
    assert "18, 19, 20" in known.why
    return findings


@breaks("COV-KNOWN", WARNING)
def test_one_unknown_attribute_is_a_warning() -> Findings:
    return on_set([*balanced()[:19], *changed(balanced()[19:], lighting=None)])


@passes("COV-KNOWN")
def test_a_robot_without_clothes_or_expressions_lacks_nothing() -> Findings:
    return on_set(changed(balanced(), wardrobe=None, expression=None), subject_kind=SubjectKind.ROBOT)


@breaks("COV-KNOWN", WARNING)
def test_icons_of_unknown_subjects_are_a_warning() -> Findings:
    return on_set([image(n) for n in range(1, 41)], Profile.ICONS)


# --------------------------------------------------------------------------- from where


@breaks("COV-FRAMING")
def test_a_framing_that_is_missing_is_an_error() -> Findings:
    return on_set(changed(balanced(), framing="close_up"))


@breaks("COV-FRAMING", WARNING)
def test_a_framing_far_out_of_its_band_is_a_warning() -> Findings:
    return on_set([*changed(balanced()[:12], framing="close_up"), *balanced()[12:]])


@passes("COV-FRAMING")
def test_framings_in_their_bands_pass() -> Findings:
    return on_set(balanced())


def test_no_back_view_at_all_is_a_warning_and_never_an_error() -> None:
    front = [one for one in balanced(40) if one.framing_class != "back_or_other"]
    whys = [f for f in on_set(front) if f.rule_id == "COV-FRAMING" and "back or other" in f.why]
    assert [finding.severity for finding in whys] in ([], [WARNING])


@breaks("COV-ANGLE")
def test_two_camera_angles_are_an_error() -> Findings:
    return on_set([*changed(balanced()[:10], angle="low"), *changed(balanced()[10:], angle="high")])


@breaks("COV-ANGLE", WARNING)
def test_four_camera_angles_are_a_warning() -> Findings:
    quarters = [changed(balanced()[n::4], angle=a) for n, a in enumerate(("low", "high", "back", "profile_left"))]
    return on_set([one for part in quarters for one in part])


@passes("COV-ANGLE")
def test_five_and_more_camera_angles_pass() -> Findings:
    return on_set(balanced())


@breaks("COV-FRONTAL")
def test_front_facing_neutral_over_and_over_is_an_error() -> Findings:
    return on_set([*changed(balanced()[:16], angle="front", expression="neutral"), *balanced()[16:]])


@breaks("COV-FRONTAL", WARNING)
def test_three_of_five_front_facing_neutral_is_a_warning() -> Findings:
    return on_set([*changed(balanced()[:12], angle="front", expression="calm"), *changed(balanced()[12:], angle="low")])


@passes("COV-FRONTAL")
def test_front_facing_with_other_expressions_passes() -> Findings:
    return on_set(changed(balanced(), angle="front", expression="smiling"))


# --------------------------------------------------------------------------- expressions


def with_expressions(*shares: tuple[str, int]) -> list:
    names = [name for name, count in shares for _ in range(count)]
    return [changed([one], expression=name)[0] for one, name in zip(balanced(len(names)), names, strict=True)]


@breaks("COV-EXPRESSION")
def test_two_kinds_of_expression_are_an_error() -> Findings:
    return on_set(with_expressions(("neutral", 12), ("angry", 4), ("furious", 4)))


@breaks("COV-EXPRESSION", WARNING)
def test_eight_kinds_of_expression_are_a_warning() -> Findings:
    kinds = ("angry", "sad", "afraid", "tired", "defiant", "surprised", "smiling")
    return on_set(with_expressions(("neutral", 6), *((kind, 2) for kind in kinds)))


@passes("COV-EXPRESSION")
def test_five_kinds_of_expression_pass() -> Findings:
    return on_set(balanced())


@breaks("COV-NEUTRAL")
def test_neutral_behind_another_expression_is_an_error() -> Findings:
    return on_set(with_expressions(("neutral", 5), ("angry", 7), ("tired", 4), ("smiling", 4)))


@breaks("COV-NEUTRAL", WARNING)
def test_too_much_neutral_is_a_warning() -> Findings:
    return on_set(with_expressions(("neutral", 12), ("angry", 2), ("tired", 2), ("smiling", 2), ("sad", 2)))


@passes("COV-NEUTRAL")
def test_neutral_at_two_in_five_passes() -> Findings:
    return on_set(balanced())


@breaks("COV-REPEAT")
def test_another_expression_in_two_of_five_images_is_an_error() -> Findings:
    return on_set(with_expressions(("neutral", 8), ("angry", 8), ("tired", 2), ("smiling", 2)))


@breaks("COV-REPEAT", WARNING)
def test_another_expression_in_one_of_four_images_is_a_warning() -> Findings:
    return on_set(with_expressions(("neutral", 8), ("angry", 5), ("tired", 3), ("smiling", 3), ("sad", 1)))


@passes("COV-REPEAT")
def test_expressions_that_few_images_share_pass() -> Findings:
    return on_set(balanced())


def test_near_synonyms_are_one_family_of_expression() -> None:
    assert expression_family("intense") == expression_family("a defiant stare") == "resolve"
    assert expression_family("zany") == "zany"


INFO = Severity.INFO


@breaks("COV-OVERLAP", INFO)
def test_two_words_for_one_expression_are_told() -> Findings:
    findings = on_set([*balanced(), image(21, framing="close_up", angle="front", expression="furious")])
    (told,) = [finding.why for finding in findings if finding.rule_id == "COV-OVERLAP"]
    assert told == '"angry", "furious" count as one expression (anger).'
    return findings


@passes("COV-OVERLAP", "COV-EXTREME", "COV-COUPLING", "COV-COMBO", "COV-SOURCE", "COV-KEYSTONE")
def test_a_balanced_set_has_no_expression_or_view_to_tell_of() -> Findings:
    return on_set(balanced())


@breaks("COV-EXTREME", INFO)
@pytest.mark.parametrize("expression", ["screaming in rage", "exaggerated joy", "sobbing", "mouth wide agape"])
def test_a_theatrical_extreme_is_told(expression: str) -> Findings:
    return on_set([*balanced(), image(21, framing="close_up", angle="front", expression=expression)])


@passes("COV-EXTREME")
@pytest.mark.parametrize("expression", ["quiet anger", "laughing", "tears in the eyes", "intense stare"])
def test_a_strong_expression_is_no_extreme(expression: str) -> Findings:
    return on_set([*balanced(), image(21, framing="close_up", angle="front", expression=expression)])


@breaks("COV-COUPLING", INFO)
@pytest.mark.parametrize("angle", ["profile_left", "profile_right", "low", "high"])
def test_an_expression_where_it_is_hardly_read_is_told(angle: str) -> Findings:
    return on_set([*balanced(), image(21, framing="medium", angle=angle, expression="angry")])


@breaks("COV-COUPLING", INFO)
def test_three_expressions_on_three_quarter_views_are_told() -> Findings:
    return on_set([*balanced(), image(21, framing="medium", angle="three_quarter_left", expression="angry")])


@breaks("COV-COUPLING", INFO)
def test_an_expression_that_one_angle_alone_shows_is_told() -> Findings:
    findings = on_set([*balanced(), image(21, framing="close_up", angle="high", expression="disgusted")])
    (told,) = [finding.why for finding in findings if finding.rule_id == "COV-COUPLING"]
    assert told.startswith('"disgust" is seen from high only')
    return findings


@breaks("COV-COMBO", INFO)
def test_the_same_view_in_the_same_light_twice_is_told() -> Findings:
    return on_set([*balanced(), replace(balanced()[0], id="img_00000021", number=21, sha256="f" * 64)])


@passes("COV-COMBO")
def test_the_same_view_in_another_light_is_not() -> Findings:
    (again,) = changed([replace(balanced()[0], number=21, sha256="f" * 64)], lighting="neon")
    return on_set([*balanced(), again])


@breaks("COV-SOURCE", WARNING)
def test_a_set_that_one_engine_made_is_a_warning() -> Findings:
    return on_set(changed(balanced(), source_engine="nano banana pro"))


@passes("COV-SOURCE")
def test_two_engines_pass() -> Findings:
    return on_set([*changed(balanced()[:10], source_engine="a"), *changed(balanced()[10:], source_engine="b")])


@passes("COV-SOURCE")
def test_a_few_candidates_among_photographs_pass() -> Findings:
    return on_set([*changed(balanced()[:9], source_engine="a"), *balanced()[9:]])


@breaks("COV-KEYSTONE", WARNING)
@pytest.mark.parametrize("keystone", KEYSTONES, ids=lambda keystone: keystone.name)
def test_each_missing_keystone_is_named(keystone: Keystone) -> Findings:
    findings = on_set([one for one in balanced() if not keystone.shown_by(one)])
    (told,) = [finding.why for finding in findings if finding.rule_id == "COV-KEYSTONE"]
    assert keystone.name in told
    return findings


@breaks("COV-KEYSTONE", WARNING)
def test_a_keystone_that_is_not_neutral_is_missing() -> Findings:
    smiling = changed(balanced(), expression="smiling")
    return on_set(smiling)


@passes("COV-KEYSTONE")
def test_a_set_of_which_no_angle_is_known_is_asked_for_its_angles_first() -> Findings:
    return on_set(changed(balanced(), angle=None))


# --------------------------------------------------------------------------- what surrounds


@breaks("COV-WARDROBE")
def test_one_outfit_in_twenty_images_is_an_error() -> Findings:
    return on_set(changed(balanced(), wardrobe="grey coat"))


@breaks("COV-WARDROBE", WARNING)
def test_two_outfits_are_a_warning() -> Findings:
    return on_set([*changed(balanced()[:10], wardrobe="grey coat"), *changed(balanced()[10:], wardrobe="red dress")])


@passes("COV-WARDROBE")
def test_three_outfits_pass() -> Findings:
    return on_set(balanced())


@breaks("COV-BACKGROUND")
def test_plain_white_everywhere_is_an_error_for_a_person() -> Findings:
    return on_set(changed(balanced(), background="plain white studio"))


@breaks("COV-BACKGROUND")
def test_plain_as_measured_counts_where_nothing_was_said() -> Findings:
    return on_set([image(n, plain_background=True) for n in range(1, 21)])


@breaks("COV-BACKGROUND", WARNING)
def test_one_environment_in_half_of_the_images_is_a_warning() -> Findings:
    return on_set([*changed(balanced()[:10], background="kitchen"), *balanced()[10:]])


@passes("COV-BACKGROUND")
def test_six_environments_pass() -> Findings:
    return on_set(balanced())


@passes("COV-BACKGROUND")
def test_a_white_ground_is_right_for_icons() -> Findings:
    return on_set([changed([one], background="white")[0] for one in icons()], Profile.ICONS)


@breaks("COV-BACKGROUND")
def test_two_subjects_are_an_error_for_icons() -> Findings:
    return on_set([*changed(icons()[:20], subject="book"), *changed(icons()[20:], subject="chat")], Profile.ICONS)


def test_wordings_of_the_same_place_count_once() -> None:
    assert same_thing("an industrial corridor") == same_thing("corridors, industrial")


@breaks("COV-LIGHTING")
def test_one_light_is_an_error_for_a_person() -> Findings:
    return on_set(changed(balanced(), lighting="soft daylight"))


@breaks("COV-LIGHTING", WARNING)
def test_one_light_is_a_warning_for_a_look() -> Findings:
    return on_set(scenes(lighting="candle light"), Profile.STYLE)


@passes("COV-LIGHTING")
def test_three_lights_pass() -> Findings:
    return on_set(scenes(), Profile.STYLE)


@passes("COV-LIGHTING")
def test_icons_have_no_light_to_vary() -> Findings:
    return on_set(changed(icons(), lighting="even"), Profile.ICONS)


CATEGORIES = ("estate", "church", "club")


def categorised(*names: str) -> list:
    return [changed([one], category=name)[0] for one, name in zip(scenes(len(names)), names, strict=True)]


@breaks("COV-CATEGORY")
def test_a_declared_category_without_images_is_an_error() -> Findings:
    return on_set(categorised(*["estate"] * 15, *["church"] * 15), Profile.STYLE, categories=CATEGORIES)


@breaks("COV-CATEGORY", WARNING)
def test_a_category_that_holds_most_of_the_set_is_a_warning() -> Findings:
    names = [*["estate"] * 21, *["church"] * 5, *["club"] * 5]
    return on_set(categorised(*names), Profile.STYLE, categories=CATEGORIES)


@passes("COV-CATEGORY")
def test_categories_of_like_size_pass() -> Findings:
    names = [*["estate"] * 10, *["church"] * 10, *["Club"] * 10]
    return on_set(categorised(*names), Profile.STYLE, categories=CATEGORIES)


@passes("COV-CATEGORY")
def test_a_set_without_declared_categories_is_not_asked_for_any() -> Findings:
    return on_set(scenes(), Profile.STYLE)


@pytest.mark.parametrize("profile", [Profile.ICONS, Profile.LOGO, Profile.STYLE])
def test_looks_are_never_judged_by_framing_angle_or_expression(profile: Profile) -> None:
    front = changed(balanced(60), angle="front", framing="close_up", expression="neutral", wardrobe="grey coat")
    told = set(severities(on_set(front, profile)))
    assert not told & {
        "COV-FRAMING", "COV-ANGLE", "COV-FRONTAL", "COV-EXPRESSION", "COV-NEUTRAL", "COV-REPEAT", "COV-WARDROBE"
    }  # fmt: skip


# --------------------------------------------------------------------------- kept images


@breaks("IMG-READABLE")
def test_a_copy_that_is_gone_is_an_error() -> Findings:
    return on_set([*balanced()[:19], image(20, copy_size=None)])


@passes("IMG-READABLE")
def test_copies_that_open_pass() -> Findings:
    return on_set(balanced())


@breaks("IMG-UNIFORM")
def test_a_copy_of_another_size_is_an_error() -> Findings:
    return on_set([*balanced()[:19], image(20, copy_size=(1024, 768))])


@passes("IMG-UNIFORM")
def test_copies_of_one_size_pass() -> Findings:
    return on_set(balanced())


@breaks("IMG-SIZE")
def test_an_original_under_512_pixels_is_an_error() -> Findings:
    return on_set([image(1, original_size=(2000, 511))])


@breaks("IMG-SIZE", WARNING)
def test_an_original_under_1024_pixels_is_a_warning() -> Findings:
    return on_set([image(1, original_size=(2000, 1023))])


@breaks("IMG-SIZE", WARNING)
def test_a_small_image_that_was_kept_on_purpose_is_a_warning() -> Findings:
    return on_set([image(1, original_size=(256, 256), overruled=frozenset({"IMG-SIZE"}))])


@passes("IMG-SIZE")
def test_an_original_of_1024_pixels_passes() -> Findings:
    return on_set([image(1, original_size=(1024, 3000))])


@breaks("IMG-DUPLICATE")
def test_two_kept_images_of_the_same_pixels_are_an_error() -> Findings:
    return on_set([image(1, sha256="a" * 64), image(2, sha256="a" * 64)])


@breaks("IMG-DUPLICATE", WARNING)
def test_a_duplicate_that_was_kept_on_purpose_is_a_warning() -> Findings:
    again = image(2, sha256="a" * 64, overruled=frozenset({"IMG-DUPLICATE"}))
    return on_set([image(1, sha256="a" * 64), again])


@passes("IMG-DUPLICATE")
def test_images_that_differ_are_no_duplicates() -> Findings:
    return on_set(balanced())
