"""Rules on what a caption tells: a copied description, an emotion without its signs, a story behind the picture."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rules import TRIGGER, breaks, facts, image, on_caption, passes

from loradeck.tools.contracts import Finding, Profile, Severity
from loradeck.tools.rulebook.judge import judge_captions
from loradeck.tools.rulebook.tables import House

Findings = list[Finding]
MINER = (
    "A broad-backed miner of forty with coal-grey eyes, a broken nose, a burn mark on the left cheek and two gold "
    "teeth, always in a patched canvas jacket."
)


def on_described(caption: str, subject: str = MINER, profile: Profile = Profile.CHARACTER) -> Findings:
    """What the rules on single captions say, in a dataset that describes its subject."""
    alone = facts([image(1, caption)], profile, subject=subject)
    return judge_captions(alone, alone.images).get(alone.images[0].id, [])


def on_style(caption: str) -> Findings:
    return on_caption(caption, Profile.STYLE)


def whys(findings: Findings, rule_id: str) -> str:
    return " ".join(finding.why for finding in findings if finding.rule_id == rule_id)


def fixes(findings: Findings, rule_id: str) -> str:
    return " ".join(finding.fix for finding in findings if finding.rule_id == rule_id)


# --------------------------------------------------------------------------- a copied description


@breaks("CAP-HERO")
def test_a_caption_that_is_the_subjects_description_is_refused() -> Findings:
    return on_described(f"{TRIGGER}, {MINER}")


@breaks("CAP-HERO")
def test_capitals_and_spelling_hide_no_copy() -> Findings:
    return on_described(f"{TRIGGER}, {MINER.replace('grey', 'gray').upper()}")


@breaks("CAP-HERO")
def test_a_description_in_another_order_is_a_copy_still() -> Findings:
    caption = "Two gold teeth, a burn mark on the left cheek, a broken nose and coal-grey eyes: a broad-backed miner."
    return on_described(f"{TRIGGER} waits at a lift. {caption}")


@breaks("CAP-HERO")
def test_a_short_description_copied_whole_is_a_copy() -> Findings:
    return on_described(
        f"{TRIGGER}, bent old ferryman, one eye, braided beard.", "Bent old ferryman, one eye, braided beard."
    )


@passes("CAP-HERO")
def test_the_outfit_of_the_description_may_be_named_in_a_scene() -> Findings:
    return on_described(
        f"{TRIGGER} in a patched canvas jacket drinks from a tin mug on a rock, seen from the left at dusk."
    )


@passes("CAP-HERO")
def test_one_leaked_feature_is_no_copy() -> Findings:
    return on_described(
        f"{TRIGGER} turns a broken nose to the lamp in a tunnel, close-up in profile, cold light from above."
    )


@passes("CAP-HERO")
def test_words_of_the_description_that_belong_to_the_scene_are_no_copy() -> Findings:
    return on_described(f"{TRIGGER} stands before a grey wall with a gold frame on the left, a broken chair beside it.")


@passes("CAP-HERO")
@pytest.mark.parametrize("subject", ["", "the baker", "a girl with glasses"])
def test_a_class_name_is_no_description_to_copy(subject: str) -> Findings:
    return on_described(f"{TRIGGER}, the baker, a girl with glasses, in a kitchen.", subject)


@passes("CAP-HERO")
def test_a_brand_may_describe_its_own_look() -> Findings:
    look = "Flat shapes in two tones, round corners, soft inner shadow, pale ground."
    return on_described(f"{TRIGGER}, {look}", look, Profile.ICONS)


def test_the_finding_quotes_what_was_copied() -> None:
    told = whys(
        on_described(f"{TRIGGER} at a lift, coal-grey eyes, a broken nose, a burn mark on the left cheek."), "CAP-HERO"
    )
    assert '"coal-grey eyes, a broken nose, a burn mark on the left cheek"' in told


# --------------------------------------------------------------------------- emotions and what they look like


@breaks("CAP-PHYSICAL", Severity.INFO)
@pytest.mark.parametrize(
    "said",
    [
        "with an angry expression",
        "looking sad",
        "with a look of contempt",
        "proudly holds up a fish",
        "lost in grief",
        "in a bad mood",
        "beside a poster of a smiling woman, furious",
        "on the brow of a hill, worried",
    ],
)
def test_an_emotion_that_is_only_named_is_told(said: str) -> Findings:
    return on_caption(f"{TRIGGER} {said}, seen from the front in a tiled hall. Cold light from above.")


@passes("CAP-PHYSICAL")
@pytest.mark.parametrize(
    "said",
    [
        "angry, brows drawn down, jaw set",
        "exhausted, heavy-lidded eyes and a slight frown",
        "with a sad smile",
        "grieving, head bowed, both hands over the face",
        "guilty, ears flat, tail tucked",
        "with a neutral expression",
        "under an angry red sky",
        "in a distressed leather jacket",
        "next to a weeping willow",
        "under a sign that reads PRIDE ROCK",
        "with a novel called Anxious People",
        "who shows no emotion",
    ],
)
def test_an_emotion_that_is_shown_or_that_is_not_ones_own_passes(said: str) -> Findings:
    return on_caption(f"{TRIGGER} {said}, seen from the front in a tiled hall. Cold light from above.")


@passes("CAP-PHYSICAL")
def test_signs_may_stand_sentences_after_the_emotion() -> Findings:
    return on_caption(f"{TRIGGER} on a bench, ashamed. A long corridor, green walls, one window. The eyes are lowered.")


@breaks("CAP-PHYSICAL", Severity.INFO)
def test_a_look_names_the_emotions_of_its_people_by_their_signs_too() -> Findings:
    return on_style(f"{TRIGGER}, three fishermen hauling a net, all of them cheerful, spray against a dark sea.")


@passes("CAP-PHYSICAL")
def test_a_place_without_people_has_a_mood_and_no_face() -> Findings:
    return on_style(f"{TRIGGER}, a melancholy park in November, leafless avenues, a furious sea behind the wall.")


@passes("CAP-PHYSICAL")
def test_a_brand_may_draw_a_happy_cupcake() -> Findings:
    return on_caption(f"{TRIGGER}, a happy cupcake with pink icing.", Profile.ICONS)


@pytest.mark.parametrize(
    ("said", "descriptor"), [("furious", "jaw set"), ("weary", "heavy-lidded eyes"), ("ashamed", "flushed cheeks")]
)
def test_the_remedy_names_what_that_very_emotion_looks_like(said: str, descriptor: str) -> None:
    assert descriptor in fixes(on_caption(f"{TRIGGER} in a lift, {said}, seen from above."), "CAP-PHYSICAL")


# --------------------------------------------------------------------------- a story behind the picture


def in_a_scene(said: str) -> str:
    return f"{TRIGGER} {said}. Medium shot from the front in a tiled hall, cold light from above."


@breaks("CAP-NARRATIVE")
@pytest.mark.parametrize(
    "said",
    [
        "haunted by the war",
        "who used to be a sailor",
        "wears a coat that belonged to a late uncle",
        "stands there, unaware of the letter",
        "waits for a ship that will never arrive",
        "remembers the house by the sea",
        "leans on the wall, evoking a sense of dread",
        "holds a lamp, symbolising hope",
        "at a stove, the smell of onions in the air",
        "by a chapel while a distant voice echoes",
        "in her second life",
        "three days after the crash",
        "in a close-up, NO PHYSICAL BODY",
    ],
)
def test_what_the_picture_cannot_show_is_refused(said: str) -> Findings:
    return on_caption(in_a_scene(said))


@passes("CAP-NARRATIVE")
@pytest.mark.parametrize(
    "said",
    [
        "kneels before a mirror, without a hat, an empty chair alongside",
        "walks past a three-story house",
        "on the last step of a ladder, the sea still as glass",
        "in a ghost costume with two eye holes",
        "under a sign that reads NO ENTRY",
        "next to boxes labelled FUTURE and PAST",
        "reads a note with the words “he will never know”",
        "waits at a bus stop",
        "nods once and then turns to the door",
        "with a sad smile and wet cheeks",
    ],
)
def test_what_the_picture_shows_passes_however_like_a_story_it_sounds(said: str) -> Findings:
    return on_caption(in_a_scene(said))


@breaks("CAP-NARRATIVE", Severity.WARNING)
def test_a_brand_is_warned_of_a_message() -> Findings:
    return on_caption(f"{TRIGGER}, a blue shield, a sign of our commitment to trust.", Profile.ICONS)


@breaks("CAP-NARRATIVE")
def test_a_look_is_not_told_what_it_means() -> Findings:
    return on_style(f"{TRIGGER}, two boys on a jetty. The scene speaks to the fragility of childhood.")


@passes("CAP-NARRATIVE")
def test_a_phrase_that_the_team_allows_is_no_story() -> Findings:
    caption = f"{TRIGGER} under the eternal clock in a tiled hall, seen from the left."
    alone = facts([image(1, caption)], house=House(allowed=("eternal clock",)))
    return judge_captions(alone, alone.images).get(alone.images[0].id, [])


@passes("CAP-NARRATIVE")
def test_what_an_image_is_said_to_show_may_be_called_by_its_name() -> Findings:
    return on_caption(f"{TRIGGER}. One sees future innovation in blue.", Profile.ICONS, subject="future_innovation")


def test_the_finding_says_what_kind_of_story_and_where() -> None:
    told = whys(on_caption(in_a_scene("sits beside the man who will leave")), "CAP-NARRATIVE")
    assert "what will happen" in told
    assert '"who will leave"' in told


# --------------------------------------------------------------------------- any text at all

WILD = st.text(max_size=120) | st.lists(
    st.sampled_from(
        ["angry", "jaw", "set", "NO", "BODY", "will", "“", "’s", "…", ",", ". ", " ", "\u0301", "İ", "former"]
    )
).map("".join)


@given(WILD, WILD, st.sampled_from(list(Profile)))
@settings(max_examples=150, deadline=None)
def test_no_caption_and_no_description_is_wild_enough_to_break_these_rules(
    caption: str, subject: str, profile: Profile
) -> None:
    told = on_described(caption, subject, profile)
    assert all(finding.why and finding.fix for finding in told)
