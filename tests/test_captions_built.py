"""Captions built from attributes pass the rules that they are judged by: measured on the real icons, and on figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.rules import balanced, facts, image, severities

import loradeck.server
from loradeck.tools.contracts import Profile, Severity, TargetModel
from loradeck.tools.curate_dataset.colour import border_colour, dominant_colours
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.judge import has_error, judge, judge_captions
from loradeck.tools.rulebook.tables import TARGETS
from loradeck.tools.rulebook.words import body, words
from loradeck.tools.write_captions.colours import colour_name, colour_names
from loradeck.tools.write_captions.compose import compose, what_is_known

ICONS = sorted((Path(loradeck.server.__file__).parent / "demo_data" / "icons").glob("*.png"))
TRIGGER = "fluentlook"


@pytest.fixture(scope="module")
def icons() -> list[KeptImage]:
    """The Fluent icons that ship: subjects by file name, colours as measured."""
    made = []
    for number, path in enumerate((path for path in ICONS if path.stem != "paw"), 1):
        with Image.open(path) as opened:
            small = opened.convert("RGB").resize((256, 256))
        colours = colour_names(dominant_colours(small, border_colour(small)[0]))
        given: dict[str, Any] = {"subject": path.stem.replace("_", " "), "colors": colours}
        sources = dict.fromkeys(given, "metadata")
        made.append(image(number, sources=sources, mode="attributes", **given))
    return made


def captioned(given: SetFacts) -> SetFacts:
    texts = {one.id: compose(given, what_is_known(given, one, one.sha256, [])) for one in given.images}
    return replace(given, images=tuple(replace(one, caption=texts[one.id]) for one in given.images))


def test_captions_of_the_real_icons_pass_every_rule_but_where_no_colour_was_found(icons: list[KeptImage]) -> None:
    done = captioned(facts(icons, Profile.ICONS, TargetModel.PREVIEW, TRIGGER))
    found = judge(done)
    assert not has_error(found)
    colourless = {one.id for one in icons if not one.attributes["colors"]}
    assert len(colourless) <= 1
    told = [finding for finding in found if not set(finding.where) <= colourless]
    assert told == []


def test_captions_of_the_real_icons_have_the_length_that_the_preview_base_reads(icons: list[KeptImage]) -> None:
    low, high = TARGETS[TargetModel.PREVIEW].words
    done = captioned(facts(icons, Profile.ICONS, TargetModel.PREVIEW, TRIGGER))
    counts = [len(words(body(one.caption or "", TRIGGER))) for one in done.images]
    assert low <= min(counts) <= max(counts) <= high


@pytest.mark.parametrize("target", [TargetModel.PREVIEW, TargetModel.Z_IMAGE, TargetModel.FLUX2_DEV])
def test_captions_of_a_person_break_no_caption_rule(target: TargetModel) -> None:
    told = severities(judge(captioned(facts(balanced(25), Profile.CHARACTER, target, "KIANCHAR"))))
    assert {rule for rule, severity in told.items() if severity == Severity.ERROR and rule.startswith("CAP")} == set()
    assert "CAP-REDUNDANT" not in told
    assert "CAP-TEMPLATE" not in told
    assert "CAP-COVERS" not in told


@pytest.mark.parametrize("framing", ["close_up", "medium", "full_body"])
@pytest.mark.parametrize("target", [target for target in TargetModel if target != TargetModel.WAN_22])
def test_captions_of_which_only_framing_ground_and_light_are_known_are_never_refused(
    target: TargetModel, framing: str
) -> None:
    heads = [image(number, framing=framing, background="plain", lighting="soft") for number in range(1, 38)]
    done = captioned(facts(heads, Profile.CHARACTER, target, "KIANCHAR"))
    judged = judge_captions(done, done.images)
    assert [rule for found in judged.values() if has_error(found) for rule in severities(found)] == []


def test_a_background_told_by_an_adjective_gets_a_noun() -> None:
    done = captioned(facts([image(1, framing="medium", background="dark grey", lighting="soft")]))
    assert "dark grey backdrop" in (done.images[0].caption or "").lower()


def test_captions_of_a_look_name_subject_setting_and_light() -> None:
    subjects = ("owl", "altar", "old car", "dancers", "loaf of bread", "mirror", "horse")
    scenes = [
        image(n, subject=subjects[n % 7], background=f"{place} hall", lighting=light)
        for n, (place, light) in enumerate(
            zip(("marble", "wooden", "empty") * 7, ("candle", "day", "neon") * 7, strict=True), 1
        )
    ]
    found = judge(captioned(facts(scenes, Profile.STYLE, TargetModel.PREVIEW, "the baker film style")))
    assert [one.rule_id for one in found if one.rule_id.startswith("CAP") and one.severity == Severity.ERROR] == []
    assert "CAP-COVERS" not in {one.rule_id for one in found}


def test_an_outfit_that_never_changes_is_left_out() -> None:
    same = [replace(one, attributes={**one.attributes, "wardrobe": "grey coat"}) for one in balanced()]
    assert not any("grey coat" in (one.caption or "") for one in captioned(facts(same)).images)
    assert any("grey coat" in (one.caption or "") for one in captioned(facts(balanced())).images)


def test_from_behind_no_expression_is_said() -> None:
    back = image(1, angle="back", expression="tired", background="kitchen")
    caption = captioned(facts([back])).images[0].caption
    assert caption is not None
    assert "tired" not in caption
    assert "from behind" in caption


def test_nothing_known_gives_no_caption() -> None:
    assert captioned(facts([image(1)])).images[0].caption is None
    assert captioned(facts([image(1, colors=["red"])], Profile.ICONS)).images[0].caption is None


def test_what_is_known_of_one_image_does_not_change_the_caption_of_another(icons: list[KeptImage]) -> None:
    all_of_them = captioned(facts(icons, Profile.ICONS, TargetModel.PREVIEW, TRIGGER)).images
    ten = captioned(facts(icons[:10], Profile.ICONS, TargetModel.PREVIEW, TRIGGER)).images
    assert [one.caption for one in all_of_them[:10]] == [one.caption for one in ten]


@pytest.mark.parametrize(
    ("subject", "said"),
    [("clipboard", "a clipboard"), ("apple", "an apple"), ("headphones", "headphones"), ("the key", "the key"),
     ("cactus", "a cactus"), ("people team", "people team"), ("loaf of bread", "a loaf of bread")],
)  # fmt: skip
def test_subjects_get_the_article_that_they_want(subject: str, said: str) -> None:
    caption = captioned(facts([image(1, subject=subject, colors=["red"])], Profile.ICONS)).images[0].caption or ""
    assert said in caption.lower()


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#ffffff", "white"), ("#000000", "black"), ("#808080", "gray"), ("#ff0000", "red"), ("#1679eb", "blue"),
        ("#b3e0ff", "light blue"), ("#0a1f44", "dark blue"), ("#3b2412", "brown"), ("#fc8923", "orange"),
        ("#20ac9d", "teal"), ("#7f40dd", "purple"), ("#f24d9a", "pink"), ("#ffd54a", "yellow"), ("#2ecc71", "green"),
    ],
)  # fmt: skip
def test_colours_have_plain_names(colour: str, name: str) -> None:
    assert colour_name(colour) == name


def test_shades_of_one_colour_are_named_once() -> None:
    assert colour_names(["#1679eb", "#b3e0ff", "#fc8923", "#ffffff", "#000000"]) == ["blue", "orange", "white"]
