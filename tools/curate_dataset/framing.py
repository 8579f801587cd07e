"""How much of a person shows, from how high the face stands in the picture; and what a detector may propose."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.tools.contracts import Framing
from loradeck.tools.curate_dataset.faces import Face

CLOSE_UP = 0.42
"""Share of the picture's height from which on the face fills it: a headshot or closer. A head, crown to chin, is 1.5 to
1.7 boxes high, so it has two thirds of the height or more."""
MEDIUM = (0.14, 0.33)
"""From the thighs up to the chest up. Between the two lies a bust, of which people say both: nothing is proposed."""
FULL_BODY = 0.085
"""A person stands 12 boxes high (7.5 heads of 1.6 boxes), so no more than this is the face's."""
BELOW = 10
"""Boxes from the face's lower edge to the soles of one who stands."""
ALIKE = 0.6
"""A second face at least this high against the first leaves no dominant one: whose framing would it be?"""


def dominant(faces: Sequence[Face]) -> Face | None:
    """The one face that the picture is of: the largest, where no other is of like size. `faces` come largest first."""
    if not faces or (len(faces) > 1 and faces[1].box[3] >= ALIKE * faces[0].box[3]):
        return None
    return faces[0]


def framing_of(face: Face | None, picture_size: tuple[int, int]) -> Framing | None:
    """The framing of the picture (width, height in pixels) that `face` dominates; None without one or where unsure.

    The face must be in pixels of that picture: give the square that trains, not its original, to know how that is
    framed.
    """
    if face is None:
        return None
    _, y, _, height = face.box
    share = height / picture_size[1]
    if share >= CLOSE_UP:
        return Framing.CLOSE_UP
    if MEDIUM[0] <= share <= MEDIUM[1]:
        return Framing.MEDIUM
    if share <= FULL_BODY and y + (1 + BELOW) * height <= picture_size[1]:
        return Framing.FULL_BODY
    return None


def proposals(faces: Sequence[Face], picture_size: tuple[int, int]) -> dict[str, str]:
    """The attributes (framing, angle) that a detector may propose: only those that it is sure of."""
    face = dominant(faces)
    framing = framing_of(face, picture_size)
    sure = {"framing": framing, "angle": face.angle if face else None}
    return {name: value.value for name, value in sure.items() if value}
