"""Rules on what a caption covers, whether it agrees with the attributes, and whether it is in a language they know."""

from __future__ import annotations

import pytest
from support.rules import TRIGGER, breaks, on_caption, passes, severities

from loradeck.tools.contracts import Finding, Profile, Severity
from loradeck.tools.rulebook.english import is_english

Findings = list[Finding]
GERMAN = f"{TRIGGER} mit wütendem Blick vor einer Wand aus Beton, von vorn, kaltes Licht, meisterhaft, 8K."


# --------------------------------------------------------------------------- the language


@breaks("CAP-LANGUAGE", Severity.INFO)
def test_a_caption_in_another_language_is_told() -> Findings:
    return on_caption(GERMAN)


@passes("CAP-CONSTANT", "CAP-COVERS", "CAP-IDENTITY")
def test_the_rules_that_look_for_words_say_nothing_of_a_caption_that_is_not_english() -> Findings:
    return on_caption(GERMAN)


@pytest.mark.parametrize("profile", list(Profile))
def test_the_language_is_told_in_every_profile(profile: Profile) -> None:
    assert severities(on_caption(GERMAN, profile))["CAP-LANGUAGE"] == Severity.INFO


@passes("CAP-LANGUAGE")
def test_loan_words_and_names_of_places_are_english_enough() -> Findings:
    return on_caption(f"{TRIGGER} eats bouillabaisse at Chez Augustine in Marseille, half-length, content; late sun.")


@pytest.mark.parametrize(
    "text",
    [
        "primo piano, sorride, luce calda, in cucina.",
        "muskura rahi hai, chehra paas se, khidki se dhoop.",
        "微笑,特写,厨房里,柔和的窗光。",
        "с уморени очи, близък план отпред",
        "mtoto anasimama mbele ya nyumba",
        "rouge et blanc",
        "smiling, mit verschränkten Armen vor einer Hauswand",
    ],
)
def test_other_languages_are_known_with_or_without_their_accents_and_scripts(text: str) -> None:
    assert not is_english(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "asleep.",
        "eating fufu, front.",
        "tired, profile, bus stop",
        "below a red neon reading «ОТКРЫТО», medium shot",
        "waits by a door marked ‘Défense d’entrer’, chest up",
        "before a shutter with 本日休業 painted on it, puzzled, grey daylight",
        "RED DOOR IN THE RAIN",
        "crème brûlée, ramekin, blowtorch flame",
        "a sombrero, two maracas and a piñata, magenta, lime, tan.",
    ],
)
def test_short_texts_quoted_signs_and_loans_have_the_benefit_of_the_doubt(text: str) -> None:
    assert is_english(text)


# --------------------------------------------------------------------------- what a caption covers

WHOLE = "weary, from the chest up, on the quay at dusk."


@passes("CAP-COVERS")
def test_a_figures_caption_that_names_face_view_place_and_light_passes() -> Findings:
    return on_caption(f"{TRIGGER} {WHOLE}")


@breaks("CAP-COVERS", Severity.WARNING)
def test_one_thing_that_is_not_named_is_a_warning() -> Findings:
    return on_caption(f"{TRIGGER} weary, from the chest up, on the quay.")


@breaks("CAP-COVERS")
def test_two_things_that_are_not_named_are_an_error() -> Findings:
    return on_caption(f"{TRIGGER} weary, from the chest up.")


@pytest.mark.parametrize(
    "text",
    [
        "poker-faced, cropped at the elbows, in a noodle bar, neon spill across the steam.",
        "eyes brimming, in the galley of a narrowboat, knees to hat, a disc of sunshine on the wall.",
        "with a rueful smile at a zinc bar in Lyon; we lose him below the apron strings, one tube flickering.",
        "teeth bared, square to the camera, in a boatyard, the sky gone violet.",
        "from behind, in a multi-storey car park under sodium lamps.",
        "with the visor down, full figure, on a salt flat before sunrise.",
    ],
)
@passes("CAP-COVERS")
def test_unusual_words_for_view_place_light_and_face_are_heard(text: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}")


@pytest.mark.parametrize(
    "text",
    [
        "smirking, close-up, in a lamp shop crammed with unlit chandeliers, in a light blue shirt.",
        "bored, waist up, at the Moonlight Diner.",
        "smiling beside Dawn in a kitchen, front view.",
        "wry, full body, at a lighthouse, a light scarf blowing.",
        "grinning in a kitchen in a top with three-quarter sleeves, beside a full-length mirror, by candlelight.",
        "in a medium shot at the stern of a ferry, a poster of a laughing girl behind, hazy sun.",
        "scowling, full length, beside Florence in a Brooklyn sweatshirt, hard light.",
    ],
)
@breaks("CAP-COVERS", Severity.WARNING)
def test_words_for_other_things_are_not_heard(text: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}")


@breaks("CAP-COVERS", Severity.WARNING)
def test_words_inside_the_trigger_are_not_heard() -> Findings:
    return on_caption("golden hour kid sulks on the kerb, full body.", trigger="golden hour kid")


@passes("CAP-COVERS")
def test_a_look_needs_its_subject_its_setting_and_light_or_composition() -> Findings:
    return on_caption(f"{TRIGGER}, a tram in a snowed-up street, head-on.", Profile.STYLE)


@breaks("CAP-COVERS")
def test_a_look_without_setting_and_light_is_an_error() -> Findings:
    return on_caption(f"{TRIGGER}, a boxer taping his knuckles while a trainer kneels.", Profile.STYLE)


@pytest.mark.parametrize(
    "text",
    [
        "a padlock, amber body, charcoal shackle.",
        "headphones with round cups, mint and plum.",
        "an oak leaf inside a hexagon, bottle green on bone.",
        "an alarm clock in #0F6CBD.",
    ],
)
@passes("CAP-COVERS")
def test_a_brand_caption_names_the_thing_and_its_colours(text: str) -> Findings:
    return on_caption(f"{TRIGGER}, {text}", Profile.ICONS)


@pytest.mark.parametrize(
    "text",
    [
        "a rose and a folded letter on a windowsill.",
        "a knight above the word ‘Redwood’.",
        "a Black Forest cuckoo clock.",
        "a goldfish bowl beside a whiteboard.",
        "gold on deep green with a thin white border.",
        "a simple rounded symbol in teal.",
    ],
)
@breaks("CAP-COVERS", Severity.WARNING)
def test_a_thing_that_sounds_like_a_colour_is_none_and_colours_alone_are_no_subject(text: str) -> Findings:
    return on_caption(f"{TRIGGER}, {text}", Profile.ICONS)


# --------------------------------------------------------------------------- whether it agrees with the attributes


@breaks("CAP-AGREES")
def test_a_caption_that_says_profile_of_a_front_view_is_refused() -> Findings:
    return on_caption(f"{TRIGGER} in strict profile, {WHOLE}", angle="front")


def test_the_finding_says_both_sides_and_leaves_open_which_is_wrong() -> None:
    found = [one for one in on_caption(f"{TRIGGER} in profile.", angle="front") if one.rule_id == "CAP-AGREES"]
    assert 'says "profile", the angle is front' in found[0].why
    assert "correct its angle" in found[0].fix


@breaks("CAP-AGREES", Severity.WARNING)
def test_a_brand_caption_that_contradicts_is_a_warning() -> Findings:
    return on_caption(f"{TRIGGER} a padlock, amber.", Profile.ICONS, subject="alarm bell", colors=["amber"])


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("head to toe", {"framing": "close_up"}),
        ("from a bird's-eye view", {"angle": "low"}),
        ("in left profile", {"angle": "profile_right"}),
        ("seen from behind", {"angle": "three_quarter_left"}),
        ("grinning", {"expression": "sorrowful, tears"}),
        ("unsmiling", {"expression": "happy"}),
        ("on a court at night", {"lighting": "midday sun"}),
        ("warm light from a lamp", {"lighting": "cool overhead light"}),
        ("in a red coat", {"wardrobe": "blue coat"}),
        ("wearing a denim jacket", {"wardrobe": "leather jacket"}),
        ("barefoot on wet flagstones", {"wardrobe": "hiking boots and shorts"}),
        ("in a kitchen", {"background": "pine forest"}),
        ("against a white studio backdrop", {"background": "crowded market"}),
        ("lies flat on a lawn", {"pose": "running"}),
        ("arms crossed", {"pose": "arms raised"}),
    ],
)
@breaks("CAP-AGREES")
def test_a_contradiction_of_any_attribute_is_heard(text: str, attributes: dict[str, str]) -> Findings:
    return on_caption(f"{TRIGGER} {text}.", **attributes)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("in left profile", {"angle": "unknown"}),
        ("among sacks of cumin", {"background": "spice market", "angle": "front", "lighting": "soft light"}),
        ("from the chest up", {"framing": "close_up"}),
        ("facing the camera", {"angle": "three_quarter_left"}),
        ("from above", {"angle": "front"}),
        ("poker-faced, not smiling", {"expression": "neutral"}),
        ("a wistful smile", {"expression": "sad"}),
        ("deadpan in a room full of laughing children", {"expression": "neutral"}),
        ("beside a laughing girl", {"expression": "neutral"}),
        ("while a waiter with a furious face argues behind", {"expression": "happy"}),
        ("at dusk", {"lighting": "evening"}),
        ("at the Night Owl Diner", {"lighting": "daylight"}),
        ("below a painting of the moon over a black sea", {"lighting": "daylight"}),
        ("in a belted trench coat", {"wardrobe": "coat"}),
        ("in a teal windbreaker", {"wardrobe": "blue-green windbreaker"}),
        ("next to a woman in a red coat", {"wardrobe": "blue coat"}),
        ("in a pub", {"background": "bar"}),
        ("on his feet, two boys sit on the mat", {"pose": "standing"}),
    ],
)
@passes("CAP-AGREES")
def test_silence_the_unknown_other_words_and_other_people_are_no_contradiction(
    text: str, attributes: dict[str, str]
) -> Findings:
    return on_caption(f"{TRIGGER} {text}.", **attributes)


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("a clipboard, tangerine and white", {"subject": "clipboard", "colors": ["orange", "white"]}),
        ("a curled vixen, rust and cream", {"subject": "fox", "colors": ["rust", "cream"]}),
        ("a red pen", {"subject": "red pen", "colors": ["blue", "beige", "red"]}),
        ("a greenhouse in white", {"subject": "greenhouse", "colors": ["white"]}),
    ],
)
@passes("CAP-AGREES")
def test_synonyms_kinds_and_a_part_of_the_colours_agree(text: str, attributes: dict[str, object]) -> Findings:
    return on_caption(f"{TRIGGER} {text}.", Profile.LOGO, **attributes)


@passes("CAP-AGREES")
def test_a_caption_that_is_not_english_contradicts_nothing() -> Findings:
    return on_caption(f"{TRIGGER} de profil, visage neutre, devant un mur de briques, profile.", angle="front")
