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
