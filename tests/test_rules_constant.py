"""CAP-CONSTANT and CAP-PROSE: the look said of the picture and of things in the scene; sentences and lists of tags."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rules import TRIGGER, breaks, on_caption, passes

from loradeck.tools.contracts import Finding, Profile, Severity
from loradeck.tools.rulebook.constant import boilerplate
from loradeck.tools.write_captions.mend import mended

Findings = list[Finding]

# --------------------------------------------------------------------------- a look, said of the picture


@breaks("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "Shot on Kodak Vision3 500T.",
        "CineStill 800T.",
        "Nikon D850, f/8, ISO 200.",
        "captured with a Canon EOS R5 and an 85mm lens.",
        "Filmed on an ARRI Alexa with anamorphic lenses.",
        "Photographed in black and white.",
        "faded VHS look.",
    ],
)
def test_camera_lens_and_film_stock_are_refused(words: str) -> Findings:
    return on_caption(f"{TRIGGER} leans on a car. {words}")


@breaks("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "Unreal Engine 5 render.",
        "rendered in Blender Cycles.",
        "concept art.",
        "a gouache illustration.",
        "botanical illustration.",
        "oil on canvas.",
        "in a comic-book style.",
        "in the style of Greg Rutkowski.",
        "as a Pixar-style animation.",
        "Corporate Memphis style.",
        "painted in the manner of the Impressionists.",
        "rendered as a linocut print.",
        "It looks like a frame from an old home movie.",
        "The whole picture is graded in teal and orange.",
        "rounded corners throughout.",
    ],
)
def test_medium_engine_and_manner_are_refused(words: str) -> Findings:
    return on_caption(f"{TRIGGER}, a fox on a wall. {words}", Profile.STYLE)


@breaks("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "best quality.",
        "4K ultra HD.",
        "in an award-winning photo.",
        "a stunning image with intricate details.",
        "The image quality is outstanding.",
        "It is a crisp studio-quality image.",
        "trending on ArtStation.",
    ],
)
def test_praise_and_resolution_are_refused(words: str) -> Findings:
    return on_caption(f"{TRIGGER} leans on a car. {words}")


@breaks("CAP-CONSTANT")
@pytest.mark.parametrize(
    "opening",
    ["a watercolour rendering of", "in a stock photo of", "this is a flat vector illustration of", "the image shows"],
)
def test_an_opening_that_names_the_picture_is_refused(opening: str) -> Findings:
    return on_caption(f"{TRIGGER}, {opening} a harbour at dawn.", Profile.STYLE)


# --------------------------------------------------------------------------- the same words, said of a thing


@passes("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "walks past a Kodak shop sign",
        "holds an old film camera",
        "loads a roll of 35mm film",
        "looks through a telephoto lens on a tripod",
        "sits beneath an oil painting of a ship",
        "wears a high-quality leather jacket",
        "cooks in a professional kitchen",
        "studies a highly detailed map",
        "watches a cartoon on the TV",
        "drags a chair in the style of Louis XV",
        "waits in an art-deco-style lobby",
        "reads a comic book",
        "stands before a banner that says “Masterpiece 4K”",
        "holds a photograph of a soldier; the photograph shows a torn corner",
        "frowns at a 3D printer",
        "has a bored look",
    ],
)
def test_a_thing_in_the_scene_is_no_look(words: str) -> Findings:
    return on_caption(f"{TRIGGER} {words}.")


@passes("CAP-CONSTANT")
@pytest.mark.parametrize(
    "words",
    [
        "medium shot from across the table",
        "close-up from the left in flat light",
        "sharp shadows under a white sky",
        "the camera pans left and the camera looks down",
        "in a Victorian dress before a half-timbered house",
    ],
)
def test_light_angle_movement_and_wardrobe_are_wanted(words: str) -> Findings:
    return on_caption(f"{TRIGGER}, {words}.")


@passes("CAP-CONSTANT")
@pytest.mark.parametrize("thing", ["a video", "an image", "a camera with a blue lens", "a pencil and two lines"])
def test_what_an_icon_draws_is_no_look(thing: str) -> Findings:
    return on_caption(f"{TRIGGER}. Here is {thing}, in purple and blue.", Profile.ICONS)


# --------------------------------------------------------------------------- what is cut for a proposal


@pytest.mark.parametrize(
    ("caption", "proposal"),
    [
        ("leans on a car, in an award-winning photo.", "leans on a car."),
        ("leans on a car. The shot has a shallow depth of field.", "leans on a car."),
        ("leans on a car. This image shows a wet street.", "leans on a car. A wet street."),
        ("an anime-style illustration of a girl.", "a girl."),
        ("reads by a window with soft bokeh behind her.", "reads by a window behind her."),
        ("laughs, captured with a Canon EOS R5 and an 85mm f/1.4 lens.", "laughs."),
        ("stands still, eyes shut, in a stock photo of a harbour.", "stands still, eyes shut, in a harbour."),
        ("kneads dough. Heavy film grain and crushed blacks give the frame its look.", "kneads dough."),
        ("kneads dough. The footage is smooth 4K with film grain.", "kneads dough."),
        ("looks up — Kodak Portra 400.", "looks up."),
        ("sits by a lake under cinematic lighting from the left.", "sits by a lake from the left."),
    ],
)
def test_what_is_left_of_a_mended_caption_reads_well(caption: str, proposal: str) -> None:
    assert mended(f"{TRIGGER} {caption}", TRIGGER, cut_boilerplate=True) == f"{TRIGGER} {proposal}"


@given(
    st.text(max_size=120)
    | st.lists(st.sampled_from(["4k", "photo", ",", ". ", " ", "style", "in", "“", "ß", "f/2"])).map("".join)
)
@settings(max_examples=200, deadline=None)
def test_what_can_be_cut_lies_in_order_within_the_text(text: str) -> None:
    spans = boilerplate(text.lower())
    assert all(0 <= start < end <= len(text.lower()) for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


# --------------------------------------------------------------------------- sentences, and lists of tags


@breaks("CAP-PROSE")
@pytest.mark.parametrize(
    "tags",
    [
        ", close-up, rain, red neon, wet street",
        " | close-up | red neon | chin on hands",
        " - back view - wall of posters - dark room - rain",
        ": padlock / keyhole / navy / gold",
        "; close-up; window; rain; tears",
        ". Climbing. Ladder. Grain store. Tilt up. Dust.",
        "\nclose-up\nsleeping\nnight train\nsodium light",
        " #sleeping #towels #window",
        ", (frown:1.2), standing on a beach",
        ", jumping off a wall, <lora:detail:0.6>",
        ", view: front, light: soft, pose: seated",
        ", a laptop, a mug, a fern, a round window",
        ", rooftop at blue hour, laundry lines, two water tanks, and a string of bulbs.",
        " sits on a fountain and laughs at a pigeon, smiling, outdoors, day, city, masterpiece",
        " walks a dog, park, morning, fog",
        " stands in a bakery and yawns. bakery, flour, oven light, full body, apron",
    ],
)
def test_a_list_of_tags_is_refused_whatever_separates_them(tags: str) -> Findings:
    return on_caption(f"{TRIGGER}{tags}")


@passes("CAP-PROSE")
@pytest.mark.parametrize(
    "text",
    [
        "leans on a rail, chin lifted, one boot on the lower bar, mouth tight.",
        "in close-up at a bar. Eyes half shut, mouth slack. Neon from the right.",
        "seen from the front. Medium shot from the left. Cool overhead light on wet stone.",
        "waits. Wind lifts his scarf. A gull lands.",
        "stands behind ropes, buoys, nets, crates and one red boot.",
        "counts on her fingers: one, two, three, four.",
        "yawns, stretches, drops her bag and looks round.",
        "stares ahead, tired, wet, cold, in a doorway.",
        "peering out of a tent at first light, one paw showing, frost on the grass.",
        "stands under a sign that says “rain, sun, moon, stars, night”.",
    ],
)
def test_sentences_and_described_fragments_are_prose(text: str) -> Findings:
    return on_caption(f"{TRIGGER} {text}")


@passes("CAP-PROSE")
@pytest.mark.parametrize("text", ["two goats climb a hill, low sun, long shadows.", "a clock in #0F6CBD and #FFB900."])
def test_a_plural_that_acts_and_colour_codes_are_prose(text: str) -> Findings:
    return on_caption(f"{TRIGGER}, {text}", Profile.ICONS)


@passes("CAP-CONSTANT")
def test_a_picture_that_is_drawn_in_an_icon_is_the_thing_itself() -> list[Finding]:
    return on_caption(f"{TRIGGER}, a blue picture shows a pale mountain and a white sun.", Profile.ICONS)


@passes("CAP-CONSTANT")
@pytest.mark.parametrize("thing", ["video", "camera", "photo album"])
def test_an_icon_of_a_picture_is_called_by_its_name(thing: str) -> list[Finding]:
    return on_caption(f"{TRIGGER}. A {thing}, orange and yellow, on a white ground.", Profile.ICONS, subject=thing)


@breaks("CAP-CONSTANT", Severity.WARNING)
def test_an_icon_of_something_else_is_no_video() -> list[Finding]:
    return on_caption(f"{TRIGGER}. A video of a bell, orange and yellow.", Profile.ICONS, subject="bell")
