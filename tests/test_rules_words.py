"""The words that rules on captions hear: any wording, any script, in time, and only where they mean it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from support.corpus import developed, score
from support.rules import TRIGGER, breaks, facts, image, on_caption, passes

from loradeck.tools.contracts import Finding, Profile, Severity, SubjectKind
from loradeck.tools.rulebook.alternation import Families, WholeWords, prefixes_of, split
from loradeck.tools.rulebook.judge import judge_captions
from loradeck.tools.rulebook.named import names_expression, names_light, names_place, names_view
from loradeck.tools.rulebook.nouns import kinds_of, noun_class, one_thing

Findings = list[Finding]

# --------------------------------------------------------------------------- long lists of patterns

ALTERNATIVES = ["(?:a|b)c", "x?yz", "(?<!un)lit", "s(?:e+|i)t", "[kg]ap", "\\w+ rink", "deep-?sea|shore", "(?:un)?done"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ac",
        "bc xyz",
        "yz",
        "unlit",
        "lit",
        "seet sit",
        "gap kap",
        "ice rink",
        "deepsea deep-sea shores shore",
        "undone",
    ],
)
def test_a_list_of_patterns_finds_what_one_long_pattern_finds(text: str) -> None:
    plain = re.compile(rf"(?<!\w)(?:{'|'.join(ALTERNATIVES)})(?!\w)")
    quick = WholeWords(ALTERNATIVES)
    assert [match.span() for match in quick.finditer(text)] == [match.span() for match in plain.finditer(text)]
    assert quick.sub("_", text) == plain.sub("_", text)


def test_a_pattern_is_split_at_its_outermost_level_alone() -> None:
    assert split("a(?:b|c)|[|]d|\\|e") == ["a(?:b|c)", "[|]d", "\\|e"]


def test_the_first_letters_of_a_pattern_are_known_where_they_can_be() -> None:
    assert prefixes_of("(?:sun|moon)lit", 3) == {"sun", "moo"}
    assert prefixes_of("\\w+ rink", 3) == {""}
    assert prefixes_of("x?yz", 3) == {"xyz", "yz"}


def test_families_tell_the_first_match_of_each() -> None:
    found = Families.of({"night": ["night", "moonlit"], "day": ["noon"]}).first("a moonlit night after noon")
    assert {family: match.group() for family, match in found.items()} == {"night": "moonlit", "day": "noon"}


# --------------------------------------------------------------------------- nouns


def test_a_noun_has_a_class_in_either_number_and_as_an_owner() -> None:
    assert [noun_class(word) for word in ("alleys", "pilot's", "terriers", "tramcar")] == [
        "way",
        "person",
        "animal",
        "vehicle",
    ]
    assert noun_class("gently") is None


def test_a_mare_is_a_horse_and_an_animal_and_no_goat() -> None:
    assert {"horse", "animal"} <= kinds_of("mare")
    assert one_thing("mare", "horse")
    assert not one_thing("mare", "goat")


# --------------------------------------------------------------------------- places, views, lights, faces


@pytest.mark.parametrize(
    "text",
    [
        "in the narthex.", "beside a vending machine.", "near the pithead.", "on a moraine.", "dozing in a couchette.",
        "among tall ferns.", "at a lathe, bent low.", "aboard a trawler.", "in the back of a rickshaw.",
    ],
)  # fmt: skip
def test_a_place_is_heard_by_where_the_figure_is_said_to_be(text: str) -> None:
    assert names_place(text)


@pytest.mark.parametrize(
    "text",
    [
        "in a hotel towel.", "with a harbour pilot's badge.", "in a desert-camouflage smock.", "square to the lens.",
        "with the sunset and a beach on his phone.", "dreaming of the sea.", "as calm as a lake.", "peering at a map.",
        "behind a fan.", "in a palm-patterned shirt.", "hugging a map of the island.",
    ],
)  # fmt: skip
def test_what_is_worn_held_pictured_likened_or_dreamt_of_is_no_place(text: str) -> None:
    assert not names_place(text)


@pytest.mark.parametrize(
    "text",
    [
        "label to the lens.",
        "from two rows back.",
        "the camera is across the street.",
        "telephoto.",
        "small, from the roof.",
    ],
)
def test_a_view_may_be_told_by_where_the_camera_is(text: str) -> None:
    assert names_view(text)


@pytest.mark.parametrize(
    "text",
    [
        "lit from behind.", "hard sun from the right.", "light slanting in from the left.", "wind from the left.",
        "a bag slung over one shoulder.", "a dog watching him from below.", "the camera glides down beside the rail.",
    ],
)  # fmt: skip
def test_where_light_wind_and_others_come_from_is_no_view(text: str) -> None:
    assert not names_view(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("two tapers burning.", True),
        ("the flash has gone off.", True),
        ("the sky is a sheet of silver.", True),
        ("leaf shade dancing.", True),
        ("the reading light on.", True),
        ("a lamp gathers dust.", False),
        ("a shop that sells lanterns.", False),
        ("a candle-shaped earring.", False),
    ],
)
def test_light_is_heard_of_any_source_that_shines(text: str, said: bool) -> None:
    assert names_light(text) is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a smile creasing his cheeks.", True),
        ("her face falls.", True),
        ("hollow-eyed.", True),
        ("ears flattened, gums bared.", True),
        ("below a wooden cross.", False),
        ("before a poster on which a woman screams.", False),
    ],
)
def test_a_face_is_heard_by_what_it_does(text: str, said: bool) -> None:
    assert names_expression(text) is said


@breaks("CAP-COVERS", Severity.WARNING)
def test_a_creature_has_a_face_too() -> Findings:
    return on_a_creature("hauls a cart up a lane, three-quarter front, in sheeting rain and slate light.")


@passes("CAP-COVERS")
def test_a_creature_that_bares_its_teeth_tells_its_face() -> Findings:
    return on_a_creature("hauls a cart up a lane, teeth bared, three-quarter front, in slate light.")


def on_a_creature(text: str) -> Findings:
    """What is said of a creature's caption."""
    alone = facts([image(1, f"{TRIGGER} {text}")], subject_kind=SubjectKind.CREATURE)
    return judge_captions(alone, alone.images).get(alone.images[0].id, [])


# --------------------------------------------------------------------------- agreement


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("indoors by the stove.", "background", "mountain ridge"),
        ("in the middle of a wheat field.", "background", "subway carriage"),
        ("in a hospital corridor.", "background", "vineyard"),
        ("in a sleeveless vest.", "wardrobe", "long-sleeved wool jumper"),
        ("in a mustard duffel coat.", "wardrobe", "purple duffel coat"),
        ("in a swimming costume.", "wardrobe", "black tuxedo"),
        ("with only an outline to be seen.", "lighting", "flat frontal flash"),
        ("under thunderclouds.", "lighting", "cloudless noon"),
        ("dead into the lens.", "angle", "back"),
        ("close on one hand.", "framing", "full_body"),
        ("on the brink of tears.", "expression", "amused"),
    ],
)
@breaks("CAP-AGREES")
def test_opposites_in_other_words_contradict(text: str, attribute: str, value: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}", **{attribute: value})


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("lit from behind.", "angle", "front"),
        ("with light from the left.", "angle", "profile_right"),
        ("in an orchard.", "background", "outdoors"),
        ("in a crowded subway car.", "background", "train interior"),
        ("in an emerald parka, beside a man in a red one.", "wardrobe", "green parka"),
        ("in a canary swimsuit.", "wardrobe", "yellow one-piece"),
        ("by two tapers.", "lighting", "candlelight"),
        ("calm. Below, a stone angel smiles.", "expression", "neutral"),
        ("as calm as a lake at dawn.", "lighting", "midday sun"),
    ],
)
@passes("CAP-AGREES")
def test_the_same_in_other_words_agrees(text: str, attribute: str, value: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}", **{attribute: value})


@pytest.mark.parametrize(("text", "subject"), [("a bluebell.", "flower"), ("a mare.", "horse"), ("a wrench.", "tools")])
@passes("CAP-AGREES")
def test_a_thing_agrees_with_its_kind(text: str, subject: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}", Profile.ICONS, subject=subject)


@pytest.mark.parametrize("rule_id", ["CAP-COVERS", "CAP-AGREES"])
def test_the_captions_of_development_are_judged_as_they_were(rule_id: str) -> None:
    got, _ = score(developed(rule_id))
    assert min(got.precision, got.recall) >= 0.95


# --------------------------------------------------------------------------- real captions


@pytest.mark.parametrize(
    "text",
    [
        "looks at the viewer with a grin, in a kitchen.",
        "has long sleeves and sits at a vanity table.",
        "is in a boat driven by a motor, two hands belonging to someone off-screen on the rail.",
    ],
)
@passes("CAP-NARRATIVE")
def test_what_captions_say_of_viewers_hands_and_furniture_is_no_story(text: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}")


@passes("CAP-IDENTITY")
def test_a_mouth_wide_open_is_no_wide_mouth() -> Findings:
    return on_caption(f"{TRIGGER}, whose mouth is wide open in a yawn, her wide open eyes on the lens.")


@passes("CAP-PHYSICAL")
def test_a_cart_driven_by_a_man_is_not_driven() -> Findings:
    return on_caption(f"{TRIGGER} in a cart driven by a man.")


# --------------------------------------------------------------------------- any script

WHOLE = "café visitor’s half-smile, waist up, in a naïve décor of Málaga’s café, soft daylight"


def rules_of(findings: Findings) -> set[str]:
    """The rules that speak."""
    return {finding.rule_id for finding in findings}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("trigger", ["зоя", "絵師風", "نورا", "Öresund_k", "नीला", "ZØE"])
@passes("CAP-TRIGGER", "CAP-COVERS", "CAP-AGREES", "CAP-LANGUAGE")
def test_a_trigger_of_any_script_in_any_form_stands_before_any_caption(trigger: str, form: str) -> Findings:
    caption = unicodedata.normalize(form, f"{trigger} with a {WHOLE}.")
    return on_caption(caption, trigger=trigger, background="café", expression="smiling", lighting="daylight")


@pytest.mark.parametrize(
    "text",
    [
        "smiles in front of a café’s door, waist up, soft light.",
        "in her friend’s kitchen, “Good Night” on a sign, neutral, front view.",
        "blinks at the señor’s piñata, close-up, Málaga at dusk.",
        "scowls — cheeks puffed — under the “Café Noir” awning, profile, sodium lamps.",
    ],
)
def test_accents_in_parts_and_straight_quotes_change_no_verdict(text: str) -> None:
    said = rules_of(on_caption(f"{TRIGGER} {text}"))
    straight = text.replace("’", "'").replace("“", '"').replace("”", '"')
    assert rules_of(on_caption(unicodedata.normalize("NFD", f"{TRIGGER} {text}"))) == said
    assert rules_of(on_caption(f"{TRIGGER} {straight}")) == said


@pytest.mark.parametrize("mark", ["\u200f", "\u200e", "\u2068", "\ufeff", "\u00a0"])
def test_marks_of_direction_and_hard_spaces_change_no_verdict(mark: str) -> None:
    text = "smiles in a kitchen, waist up, soft daylight."
    assert rules_of(on_caption(f"{TRIGGER} {mark}{text}")) == rules_of(on_caption(f"{TRIGGER} {text}"))


@pytest.mark.parametrize("text", ["", " ", "🙂", "…", "a" * 5000, "(((", "in in in in", "—", "，。", "'’'", "# - ' ,"])
def test_any_text_is_judged_without_an_error(text: str) -> None:
    attributes = {"background": "kitchen", "wardrobe": "red coat", "lighting": "night", "pose": "sitting"}
    assert all(finding.why for finding in on_caption(f"{TRIGGER} {text}", **attributes))
