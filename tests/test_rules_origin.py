"""CAP-ORIGIN on captions that came along: machines' are heard, people's are left alone, whoever looked is believed."""

from __future__ import annotations

import pytest
from support.rules import TRIGGER, breaks, image, on_set, passes

from loradeck.tools.contracts import HOSTED, IMPORTED, Finding, Profile, Severity
from loradeck.tools.rulebook.origin import machine_words


def came_along(caption: str, profile: Profile = Profile.CHARACTER, **values: object) -> list[Finding]:
    fields = {"mode": IMPORTED, "seen": False, **values}
    return on_set([image(1, f"{TRIGGER}, {caption}", **fields)], profile)


MACHINES = [
    "arafed woman in a white shirt standing in front of a building",
    "a close up of a person wearing a hat and a scarf",
    "1girl, solo, long hair, looking at viewer, smile, outdoors, blurry background",
    "The image shows a man standing in a kitchen. He is wearing a blue apron. The background is blurred.",
    "In this image, we can see a woman sitting on a bench.",
    "This is a high-resolution photograph of a young man with short brown hair and fair skin.",
    "there is a cat that is sitting on a chair next to a window",
    "A digital illustration of a fox, creating a sense of wonder and calm.",
    "a man with short black hair, likely in his late thirties, appears to be reading a letter.",
]
PEOPLE = [
    "seen from behind at the end of a pier, grey coat buttoned, flat morning light.",
    "She laughs with her eyes shut, close-up from the front, in a kitchen lit by one lamp.",
    "A bell with a clapper, orange and yellow, on a white ground.",
    "in a three-quarter view to the left, jaw set, under the strip lights of an archive.",
    "Standing in the picture window of a diner, medium shot, neon from the street.",
    "Full body on a rooftop at dusk; the wind takes the scarf. Looking down, lips pressed.",
]


@breaks("CAP-ORIGIN")
@pytest.mark.parametrize("caption", MACHINES)
def test_a_machines_caption_is_not_trusted_for_a_character(caption: str) -> list[Finding]:
    return came_along(caption)


@breaks("CAP-ORIGIN", Severity.WARNING)
def test_for_a_brand_it_is_a_warning() -> list[Finding]:
    return came_along(MACHINES[1], Profile.ICONS)


@passes("CAP-ORIGIN")
@pytest.mark.parametrize("caption", PEOPLE)
def test_what_a_person_wrote_beside_a_picture_is_taken(caption: str) -> list[Finding]:
    return came_along(caption)


@passes("CAP-ORIGIN")
@pytest.mark.parametrize("values", [{"mode": "given"}, {"seen": True}])
def test_whoever_writes_the_same_words_in_a_call_vouches_for_them(values: dict[str, object]) -> list[Finding]:
    return came_along(MACHINES[3], **values)


def test_what_betrays_the_machine_is_quoted() -> None:
    assert machine_words("A dog. The image captures a moment of joy.") == "the image captures"
    assert machine_words("Ein Hund läuft über die Straße, 雪の中で。") is None


@breaks("CAP-ORIGIN")
@pytest.mark.parametrize("caption", PEOPLE[:2])
def test_what_a_hosts_own_captioner_worded_is_not_trusted_however_it_reads(caption: str) -> list[Finding]:
    return came_along(caption, mode=HOSTED)


@passes("CAP-ORIGIN")
def test_whoever_looked_and_says_what_a_host_said_is_believed() -> list[Finding]:
    return came_along(PEOPLE[0], mode=HOSTED, seen=True)
