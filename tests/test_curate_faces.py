"""Faces: found where they are, seen from the side that is told, never guessed; the square goes around them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from support.people import ASTRONAUT, RENDER, RENDERS, faceless, framed, opened, renders

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.curate_dataset.cropping import square_crop
from loradeck.tools.curate_dataset.faces import Face, find_faces
from loradeck.tools.curate_dataset.framing import dominant, framing_of, proposals

MIRRORED = {
    Angle.FRONT: Angle.FRONT,
    Angle.THREE_QUARTER_LEFT: Angle.THREE_QUARTER_RIGHT,
    Angle.THREE_QUARTER_RIGHT: Angle.THREE_QUARTER_LEFT,
}


def face(x: int, y: int, side: int, angle: Angle | None = None) -> Face:
    """A face as the detector tells it."""
    return Face((x, y, side, side), 1.0, angle)


# --------------------------------------------------------------------------- finding


@pytest.mark.slow
def test_no_view_of_the_renders_is_told_wrong_and_near_half_that_show_a_face_are_told() -> None:
    answers = [(render.view, dominant(find_faces(render.picture()))) for render in renders()]
    told = [(view, found.angle.value) for view, found in answers if found and found.angle]
    assert [pair for pair in told if pair[0] != pair[1]] == []
    assert len(told) >= 0.45 * sum(view not in {"profile", "back"} for view, _ in answers)
    assert {view for view, _ in told} == {"front", "three_quarter_left", "three_quarter_right"}


@pytest.mark.slow
def test_a_profile_and_a_back_have_no_face_and_an_unknown_angle() -> None:
    for render in renders():
        if render.view in {"profile", "back"}:
            assert find_faces(render.picture()) == [], render.path.name


@pytest.mark.slow
def test_pictures_without_people_have_no_face() -> None:
    assert [path.name for path in faceless() if find_faces(opened(path))] == []


def test_the_face_lies_where_the_astronaut_has_hers_and_what_she_wears_is_none() -> None:
    (found,) = find_faces(opened(ASTRONAUT.path))
    x, y, width, height = found.box
    assert x < 200
    assert x + width > 250
    assert y < 105
    assert y + height > 150
    assert width < 120
    assert height < 120
    assert found.angle == Angle.FRONT


def test_a_mirrored_picture_has_the_mirrored_angle() -> None:
    turned = renders()[4].picture()
    (there,), (mirrored,) = find_faces(turned), find_faces(ImageOps.mirror(turned))
    assert there.angle == Angle.THREE_QUARTER_LEFT
    assert mirrored.angle == MIRRORED[there.angle]


def test_faces_are_told_the_largest_first_in_pixels_of_the_picture() -> None:
    both = Image.new("RGB", (2000, 1000), "white")
    both.paste(opened(RENDER.path).resize((500, 500)), (0, 0))
    both.paste(opened(RENDER.path).resize((1000, 1000)), (1000, 0))
    large, small = find_faces(both)
    assert large.box[3] > 1.7 * small.box[3]
    assert small.box[0] + small.box[2] < 500
    assert large.box[0] > 1000


def test_a_box_ends_at_the_picture_s_edge() -> None:
    close = opened(RENDERS / "close_y+000.jpg")
    for found in find_faces(close):
        x, y, width, height = found.box
        assert x >= 0
        assert x + width <= close.width
        assert y >= 0
        assert y + height <= close.height


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (40, 40)])
def test_a_tiny_or_thin_picture_has_no_face(size: tuple[int, int]) -> None:
    assert find_faces(Image.new("RGB", size, "grey")) == []


def test_two_threads_find_what_one_finds() -> None:
    pictures = [render.picture() for render in renders()[3:10]]
    alone = [find_faces(picture) for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(find_faces, pictures * 2)) == alone * 2


# --------------------------------------------------------------------------- framing


@pytest.mark.slow
@pytest.mark.parametrize("part", ["tuned", "held out"])
def test_a_framing_that_is_told_is_right_and_most_are_told(part: str) -> None:
    answers = [(truth, framing_of(dominant(find_faces(image)), image.size)) for truth, image in framed(part)]
    told = [(truth, said) for truth, said in answers if said]
    assert sum(truth == said for truth, said in told) >= 0.95 * len(told)
    assert len(told) >= 0.6 * len(answers)
    assert {said for _, said in told} == {Framing.CLOSE_UP, Framing.MEDIUM, Framing.FULL_BODY}


def test_a_small_face_low_in_the_picture_is_no_full_body_since_the_legs_would_not_fit() -> None:
    assert framing_of(face(500, 100, 70), (1024, 1024)) == Framing.FULL_BODY
    assert framing_of(face(500, 600, 70), (1024, 1024)) is None


def test_two_faces_of_like_size_leave_framing_and_angle_unknown() -> None:
    pair = [face(100, 300, 200, Angle.FRONT), face(600, 300, 180, Angle.FRONT)]
    assert dominant(pair) is None
    assert proposals(pair, (1024, 1024)) == {}


def test_a_bystander_does_not_hide_the_one_that_the_picture_is_of() -> None:
    seen = [face(100, 300, 240, Angle.THREE_QUARTER_LEFT), face(800, 300, 60)]
    assert proposals(seen, (1024, 1024)) == {"framing": "medium", "angle": "three_quarter_left"}


def test_what_is_not_sure_is_not_proposed() -> None:
    assert proposals([], (1024, 1024)) == {}
    assert proposals([face(300, 300, 110)], (1024, 1024)) == {}


# --------------------------------------------------------------------------- cropping

SIDES = st.integers(16, 3000)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[int, int, tuple[int, int, int, int] | None, list[Face]]:
    """A picture, the part of it without bars or None, and faces that lie within the picture."""
    width, height = draw(SIDES), draw(SIDES)
    within = None
    if draw(st.booleans()):
        x, y = draw(st.integers(0, width - 8)), draw(st.integers(0, height - 8))
        within = (x, y, draw(st.integers(8, width - x)), draw(st.integers(8, height - y)))
    faces = []
    for _ in range(draw(st.integers(0, 4))):
        side = draw(st.integers(4, min(width, height)))
        faces.append(face(draw(st.integers(0, width - side)), draw(st.integers(0, height - side)), side))
    return width, height, within, sorted(faces, key=lambda one: -one.box[2])


@given(pictures())
def test_the_square_lies_within_has_the_shorter_side_and_holds_the_largest_face_that_fits(given_: tuple) -> None:
    width, height, within, faces = given_
    crop = square_crop(width, height, faces, within)
    left, top, wide, high = within or (0, 0, width, height)
    assert crop.width == crop.height == min(wide, high)
    assert left <= crop.x
    assert crop.x + crop.width <= left + wide
    assert top <= crop.y
    assert crop.y + crop.height <= top + high
    inside = [
        one.box
        for one in faces
        if left <= one.box[0] and one.box[0] + one.box[2] <= left + wide
        if top <= one.box[1] and one.box[1] + one.box[3] <= top + high
    ]
    if inside and inside[0] == faces[0].box:
        x, y, across, down = inside[0]
        assert crop.x <= x
        assert x + across <= crop.x + crop.width
        assert crop.y <= y
        assert y + down <= crop.y + crop.height


@given(pictures())
def test_without_a_face_the_square_is_the_whole_or_the_upper_centre(given_: tuple) -> None:
    width, height, _, _ = given_
    crop = square_crop(width, height)
    if width == height:
        assert (crop.x, crop.y, crop.reason) == (0, 0, "whole")
    elif width > height:
        assert (crop.x, crop.y, crop.reason) == ((width - height) // 2, 0, "upper centre")
    else:
        assert (crop.x, crop.y, crop.reason) == (0, int((height - width) * 0.2), "upper centre")


def test_the_square_is_centred_on_a_face_in_a_wide_picture() -> None:
    crop = square_crop(2000, 1000, [face(1200, 300, 200)])
    assert (crop.x, crop.y, crop.width, crop.reason) == (800, 0, 1000, "face")


def test_the_square_leaves_room_above_the_face_in_a_tall_picture() -> None:
    crop = square_crop(1000, 3000, [face(300, 1000, 700)])
    above, below = 1000 - crop.y, crop.y + 1000 - 1700
    assert above > below > 0


def test_the_square_holds_every_face_where_it_can_else_the_largest() -> None:
    near = square_crop(2000, 1000, [face(300, 300, 200), face(1000, 300, 190), face(450, 300, 50)])
    assert near.x <= 300
    assert near.x + near.width >= 1190
    far = square_crop(3000, 1000, [face(200, 300, 200), face(2500, 300, 190)])
    assert far.x <= 200
    assert far.x + far.width >= 400


def test_a_bystander_moves_the_square_no_more_than_it_must() -> None:
    alone = square_crop(3000, 1000, [face(1400, 300, 200)])
    beside = square_crop(3000, 1000, [face(1400, 300, 200), face(1960, 300, 60)])
    assert alone.x == 1000
    assert beside.x == 1020


def test_a_face_in_a_bar_that_was_trimmed_does_not_count() -> None:
    crop = square_crop(1000, 1600, [face(400, 20, 90)], (0, 200, 1000, 1400))
    assert crop.reason == "upper centre"
    assert (crop.y, crop.height) == (200 + int(400 * 0.2), 1000)


def test_a_square_part_is_taken_whole() -> None:
    assert square_crop(1400, 1000, [face(100, 100, 80)], (200, 0, 1000, 1000)).reason == "whole"
