"""CAP-IDENTITY: whose a feature is, and whether it is described; the labelled captions as a whole."""

from __future__ import annotations

import pytest
from support.corpus import labelled, score
from support.rules import TRIGGER, breaks, facts, image, on_caption, passes

from loradeck.tools.contracts import Finding, SubjectKind
from loradeck.tools.rulebook.identity import identity_words
from loradeck.tools.rulebook.judge import judge_captions

Findings = list[Finding]


def on_kind(kind: SubjectKind, caption: str) -> Findings:
    """What the rules on single captions say of a caption whose subject is of this kind."""
    alone = facts([image(1, caption)], subject_kind=kind)
    return judge_captions(alone, alone.images).get(alone.images[0].id, [])


# --------------------------------------------------------------------------- whether it is described


@breaks("CAP-IDENTITY")
@pytest.mark.parametrize(
    "said",
    [
        "her long brown hair loose on a bench",
        "his skin pale and freckled in the sun",
        "the deep green of her eyes very clear",
        "one eye blue and the other brown",
        "thick, dark eyebrows drawn together",
        "hair tied back in a kitchen",
        "hands like shovels on the table",
        "gaunt and hollow-cheeked",
        "a braid over one shoulder",
        "in her late twenties",
        "with a gap-toothed grin",
        "a shock of white hair over her brow",
        "a streak of grey in his beard",
        "her nails long and yellow",
        "arms like tree trunks",
        "the mole under her left eye doubled in a mirror",
        "rail-thin and red-haired",
        "a stocky welder at rest",
    ],
)
def test_what_lasts_is_refused(said: str) -> Findings:
    return on_caption(f"{TRIGGER}, {said}, in a kitchen.")


@passes("CAP-IDENTITY")
@pytest.mark.parametrize(
    "said",
    [
        "the wind in her hair",
        "water streaming from his hair",
        "eyes wide and mouth open",
        "lips pressed thin",
        "hands folded on wet knees",
        "nose wrinkled",
        "wide-eyed and cross-legged",
        "with a thin-lipped smile",
        "shoulders hunched",
        "eyebrows drawn together",
        "face red with effort",
        "ashen-faced and white-knuckled",
        "fur hat pulled low",
        "cheeks hollowed round a straw",
        "in a blond wig with face paint on both cheeks",
    ],
)
def test_an_action_or_a_state_passes(said: str) -> Findings:
    return on_caption(f"{TRIGGER}, {said}, in a kitchen.")


# --------------------------------------------------------------------------- whose it is


@passes("CAP-IDENTITY")
@pytest.mark.parametrize(
    "said",
    [
        "waits while an old man with white hair counts coins in the background.",
        "feeds a brown dog with long shaggy hair.",
        "looks at a poster of a blond man with a moustache.",
        "sits in front of a cat's yellow eyes.",
        "kicks a bald tyre beside slender white trunks.",
        "stands by a marble torso with a broken nose.",
        "waits outside a tattoo parlour. The plaster is scarred and pitted.",
        "looks at the scarred face of a cliff.",
        "sleeps. In the front row a girl with red plaits looks up.",
        "nods at a cellist with grey curls.",
        "hugs her grandmother, whose silver hair is pinned up.",
        "carries an old woman on his back, her thin arms round his neck.",
        "plays cards with three old men. One of them has a scar on his chin.",
        "leans on the bar. The barman, bald and heavyset, polishes a glass.",
        "wears a dress printed with blue eyes.",
        "lifts a pumpkin with round eyes.",
        "combs her daughter's long black hair.",
    ],
)
def test_features_of_another_pass(said: str) -> Findings:
    return on_caption(f"{TRIGGER} {said}")


@breaks("CAP-IDENTITY")
@pytest.mark.parametrize(
    "said",
    [
        "looks at a boy, her freckled cheeks in the light.",
        "is an elderly gentleman with a newspaper.",
        "is a young woman in a kitchen.",
        "frowns. The woman’s thick eyebrows draw together.",
        "stirs a pot, a heavyset man with a salt-and-pepper beard.",
        "goes out. A stooped old woman with a white bun, she listens.",
        "'s face is round and soft.",
        ", a photo of a young man with a beard.",
        "sits in a gym. A boxer of fifty with a thin scar, in flat light.",
        "waits. Old and bent, he leans on a cane.",
    ],
)
def test_features_of_the_subject_under_another_name_are_refused(said: str) -> Findings:
    return on_caption(f"{TRIGGER} {said}".replace(f"{TRIGGER} '", f"{TRIGGER}'").replace(" ,", ","))


# --------------------------------------------------------------------------- creatures, robots, objects


@breaks("CAP-IDENTITY")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (SubjectKind.CREATURE, "lies on a rug, striped tail curled, mottled green scales wet"),
        (SubjectKind.CREATURE, "lowers two curved horns"),
        (SubjectKind.ROBOT, "lifts six spindly arms"),
        (SubjectKind.ROBOT, "turns, yellow stripes running down both shoulders"),
        (SubjectKind.OBJECT, "stands on a beach, its two-tone bodywork wet"),
        (SubjectKind.OBJECT, "lies open, its red silk lining torn"),
        (SubjectKind.ROBOT, "looks up, cables hanging from its neck"),
        (SubjectKind.CREATURE, "turns, a white star on its forehead"),
    ],
)
def test_the_body_of_what_is_no_person_is_refused(kind: SubjectKind, said: str) -> Findings:
    return on_kind(kind, f"{TRIGGER} {said}.")


@passes("CAP-IDENTITY")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (SubjectKind.CREATURE, "spreads its wings, ears flat, horns lowered"),
        (SubjectKind.CREATURE, "watches a dog with a black coat and a torn ear"),
        (SubjectKind.ROBOT, "mends a toy robot with red eyes and a rusty shell"),
        (SubjectKind.ROBOT, "rests while light rakes across the plating"),
        (SubjectKind.OBJECT, "stands by a red door with a brass handle"),
    ],
)
def test_a_pose_of_it_and_the_body_of_another_pass(kind: SubjectKind, said: str) -> Findings:
    return on_kind(kind, f"{TRIGGER} {said}.")


# --------------------------------------------------------------------------- as a whole


def test_the_finding_names_the_family_and_quotes_each_phrase_once() -> None:
    said = f"{TRIGGER}, long red hair, red hair under a hat, pale blue eyes."
    found = identity_words(said, TRIGGER, SubjectKind.PERSON)
    assert found == {"hair": ["long red hair", "red hair"], "eyes": ["pale blue eyes"]}


@pytest.mark.parametrize(
    "text", ["", "\ue000", "'s", ",,;", "İİİ's hair, İ", "頭髪は長い", "a\u0301 with\u200b \ud800 hair"]
)
def test_any_text_is_safe(text: str) -> None:
    for kind in SubjectKind:
        for trigger in (None, "İİİ", TRIGGER):
            identity_words(text, trigger, kind)


def test_the_captions_it_was_tuned_on_are_judged_right() -> None:
    got, _ = score(labelled("CAP-IDENTITY", held_out=False))
    assert min(got.precision, got.recall) >= 0.97
