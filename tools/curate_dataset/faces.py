"""Where the faces of a picture are, and from which side each is seen.

The detector is dlib's frontal one: five views of a face as gradient histograms, compiled into the library, so nothing
is downloaded. It knows faces that are turned by up to about 60 degrees. A profile, a back, most masks, statues and
drawings have no face to it: then nothing is said, and the angle stays unknown.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.contracts import Angle

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""
Place = tuple[float, float, float]
"""x and y of a face's middle and its side, in pixels."""
Views = tuple[float, float, float]
"""Scores of the frontal, the left and the right view."""

WINDOW = 80
"""Pixels of the smallest face that the detector finds."""
LONGER = 800
"""Pixels of the longer side where faces are looked for: a tenth of it is the smallest."""
FINER_FROM = 1000
"""Pixels of the longer side from which on there is more to see at twice LONGER."""
FINER_PART = 0.6
"""The upper part of a picture that is then looked at."""
CANDIDATE = 0.0
"""dlib's own threshold: a window at this score or above may be a face."""
CONFIRMED = 0.3
"""What a candidate must score on the average of closer looks; false ones live at one size and not in the mirror."""
CLOSE = ((170, 0), (210, 0))
TILTED = ((190, -15), (190, 15))
"""The closer looks, each also mirrored: the side in pixels to which the face's surroundings are brought, and their tilt
in degrees."""
AROUND = 1.7
"""The side of these surroundings, in sides of the box."""
LOWEST = -1.5
"""The score of a view that finds nothing."""
FRONT_LEAD = 0.4
TURNED_LEAD = 0.45
"""A face is seen from the front where the frontal view scores FRONT_LEAD above the better side view; it is turned where
a side view leads by TURNED_LEAD when each has its best tilt, since a head that leans looks turned to upright views.
Between the two, at about 10 to 25 degrees, it is unknown."""
LOOKED_AT = 0.5
"""Faces of at least this share of the largest one's height get an angle; bystanders need none."""
FRONT, LEFT, RIGHT = range(3)
"""The order of dlib's views: frontal, nose to the picture's left, nose to its right (then two of tilted heads)."""
VIEWS = 5
HEADER = 19
WEIGHTS = 10 * 10 * 31 + 1
"""Integers before the first view in dlib's saved detector; weights of a view: cells of its window times gradient
features, and the threshold."""
ONE = b"\x01\x01"
"""The integer 1 as dlib saves it: the number of bytes, then the bytes."""


@dataclass(frozen=True)
class Face:
    """A face. `box` reaches from the forehead to the chin, in pixels of the picture given; hair stands above it.

    `confidence` is dlib's score as it is, the distance from the decision's border: 0 is barely a face, 1 a sure one,
    3 about the most. `angle` is front, three_quarter_left or three_quarter_right, or None where that is not sure.
    Left is the subject's left, where the camera stands: it sees the left cheek, and the nose points to the picture's
    left (which captions call turned, or in profile, to the left).
    """

    box: Box
    confidence: float
    angle: Angle | None


def find_faces(picture: Image.Image, closely: bool = True) -> list[Face]:
    """The faces of an upright RGB picture, the largest first. Safe to call from several threads.

    Looked at `closely`, a picture of FINER_FROM pixels or more in which none is found is looked at again twice as fine,
    in its upper part, where the face of a person who shows from head to toe is.
    """
    longer = max(picture.size)
    found = _search(picture, LONGER / longer)
    if found or longer < FINER_FROM or not closely:
        return found
    upper = picture.crop((0, 0, picture.width, round(FINER_PART * picture.height)))
    return _search(upper, 2 * LONGER / longer, 2 * WINDOW)


def _search(picture: Image.Image, scale: float, below: float = math.inf) -> list[Face]:
    """The faces found when the picture is brought to a scale, in pixels of the picture, the largest first.

    At that scale they are less than `below` pixels high: larger ones were seen, and refused, at a coarser scale.
    """
    small = picture.resize(
        (max(1, round(scale * picture.width)), max(1, round(scale * picture.height))), Image.Resampling.LANCZOS
    )
    boxes, scores, _ = _own.every.run(np.asarray(small), 0, CANDIDATE)
    faces: list[Face] = []
    for window, score in sorted(zip(boxes, scores, strict=True), key=lambda one: one[0].height(), reverse=True):
        if window.height() >= below:
            continue
        place = _place(window, scale)
        upright = _views(picture, place, CLOSE)
        if max(upright) < CONFIRMED:
            continue
        near = not faces or window.height() / scale >= LOOKED_AT * faces[0].box[3]
        angle = _angle(picture, place, upright) if near else None
        faces.append(Face(_inside(window, scale, picture.size), round(float(score), 3), angle))
    return sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)


def _angle(picture: Image.Image, place: Place, upright: Views) -> Angle | None:
    """The angle of a face whose upright views have these scores, None where the views do not tell it."""
    front, left, right = upright
    if front - max(left, right) >= FRONT_LEAD:
        return Angle.FRONT
    tilted = [_views(picture, place, [look]) for look in TILTED]
    front, left, right = (max(scores) for scores in zip(upright, *tilted, strict=True))
    if max(left, right) - front < TURNED_LEAD:
        return None
    return Angle.THREE_QUARTER_LEFT if left > right else Angle.THREE_QUARTER_RIGHT


class _Detectors(threading.local):
    """dlib's detectors of one thread: a run works in buffers of its object, so threads must not share one."""

    @cached_property
    def every(self) -> dlib.fhog_object_detector:
        """All five views at once: of windows that overlap the best is told."""
        return _loaded(_saved())

    @cached_property
    def views(self) -> list[dlib.fhog_object_detector]:
        """The frontal, the left and the right view, each alone."""
        return [_alone(view) for view in (FRONT, LEFT, RIGHT)]


_own = _Detectors()


def _views(picture: Image.Image, place: Place, looks: Sequence[tuple[int, int]]) -> Views:
    """How well the frontal, the left and the right view fit the face at a place, averaged over the looks."""
    x, y, size = place
    half = AROUND * size / 2
    found: list[Views] = []
    for side, tilt in looks:
        spare = 0 if tilt == 0 else 0.25
        reach, room = (1 + spare) * half, round(spare * side / 2)
        around = picture.crop((round(x - reach), round(y - reach), round(x + reach), round(y + reach)))
        around = around.resize((side + 2 * room, side + 2 * room), Image.Resampling.LANCZOS)
        if tilt:
            around = around.rotate(tilt, Image.Resampling.BICUBIC).crop((room, room, room + side, room + side))
        look = np.asarray(around)
        found.append(_scores(look))
        front, left, right = _scores(np.ascontiguousarray(look[:, ::-1]))
        found.append((front, right, left))
    front, left, right = (sum(scores) / len(found) for scores in zip(*found, strict=True))
    return front, left, right


def _scores(look: NDArray[np.uint8]) -> Views:
    """The best score of each of the three views in a look of height x width x RGB."""
    front, left, right = (max(view.run(look, 0, LOWEST)[1], default=LOWEST) for view in _own.views)
    return front, left, right


def _place(window: dlib.rectangle, scale: float) -> Place:
    """Middle and side of dlib's box, in pixels of the picture."""
    x, y = window.left() + window.width() / 2, window.top() + window.height() / 2
    return x / scale, y / scale, window.height() / scale


def _inside(box: dlib.rectangle, scale: float, size: tuple[int, int]) -> Box:
    """The box that dlib tells, in pixels of the picture, cut at its edges."""
    left, top = (max(0, round(at / scale)) for at in (box.left(), box.top()))
    right, bottom = (min(end, round(at / scale)) for at, end in zip((box.right(), box.bottom()), size, strict=True))
    return left, top, right - left, bottom - top


def _alone(view: int) -> dlib.fhog_object_detector:
    """A detector with one view alone.

    dlib tells only the best view of a face, and which one leads by how much is what tells the angle. Its saved form is
    a row of integers: a header that ends in the number of views, then for each view rows, columns, and mantissa and
    exponent of every weight. All views but one are left out of it.
    """
    saved = _saved()
    starts = list(_starts(saved))
    size = 2 + 2 * WEIGHTS
    if len(starts) != HEADER + VIEWS * size + 1:
        raise RuntimeError("dlib saves its face detector in another form than version 20 does.")
    begin = HEADER + view * size
    return _loaded(saved[: starts[HEADER - 1]] + ONE + saved[starts[begin] : starts[begin + size]])


@cache
def _saved() -> bytes:
    """The detector in its saved form; unpacking it takes most of a second, loading it from there little."""
    saved: bytes = dlib.get_frontal_face_detector().__getstate__()[0]
    return saved


def _loaded(saved: bytes) -> dlib.fhog_object_detector:
    """A detector from its saved form, as unpickling does it."""
    detector = dlib.fhog_object_detector.__new__(dlib.fhog_object_detector)
    detector.__setstate__((saved,))
    return detector


def _starts(saved: bytes) -> Iterator[int]:
    """Where each integer begins, and the end: a byte has the sign and the number of bytes that follow."""
    at = 0
    while at < len(saved):
        yield at
        at += 1 + (saved[at] & 0x0F)
    yield at
