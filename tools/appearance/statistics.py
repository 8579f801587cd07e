"""The eye that works everywhere: colours, edges, texture and ground of a picture, and where its colours lie.

The look is the 60 numbers that curation finds strangers with. What differs from that is the unit, which is fixed here
and not of one set, so that pictures of two sets are compared with one measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.appearance import eye
from loradeck.tools.appearance.eye import Floats, Seen
from loradeck.tools.curate_dataset.grounds import lab_of
from loradeck.tools.curate_dataset.outliers import TINT_WEIGHT, TINTS, look_vector
from loradeck.tools.curate_dataset.similarity import WORK_SIDE

LOOK_UNIT = 0.1
"""Mean difference of the 60 numbers at which likeness has fallen to 1/e. Measured on the sets that the rules were built
on: two icons of a set differ by 0.07, an icon and a photograph by 0.25."""
LAYOUT_UNIT = 0.2
"""Mean CIELAB distance of cells, over 100, at which likeness has fallen to 1/e."""
CELLS = 8
LOOK_NUMBERS, LAYOUT_NUMBERS = 60, 3 * CELLS * CELLS


class StatisticsEye:
    """Numbers of about 0 to 1: `look` (60,), `layout` (192,) the mean CIELAB colours of 8 x 8 cells."""

    def __init__(self, instead: str = "") -> None:
        """`instead` says which model could not be used, and why."""
        self.name = "colour, texture and structure statistics" + (f" (not a model: {instead})" if instead else "")

    def see(self, path: Path) -> Seen:
        """Look at a picture file; transparency counts as white."""
        return seen(opened(path))

    def alike(self, one: Seen, other: Seen) -> float:
        """The geometric mean of the likeness of looks and that of layouts."""
        look = float(self.distances(one, [other])[0]) / LOOK_UNIT
        cells = (one.layout - other.layout).reshape(-1, 3)
        layout = float(np.linalg.norm(cells, axis=1).mean()) / LAYOUT_UNIT
        return float(np.exp(-(look + layout) / 2))

    def distances(self, seen: Seen, others: Sequence[Seen]) -> Floats:
        """Mean absolute difference of the 60 numbers; which hue it has counts a fifth."""
        looks = np.stack([one.look for one in others])
        return np.asarray(np.abs(looks - seen.look) @ WEIGHTS, dtype=np.float32)

    def closeness(self, seen: Seen, look: Sequence[Seen]) -> float:
        """See `eye.closeness`."""
        return eye.closeness(self, seen, look)


def seen(picture: Image.Image) -> Seen:
    """What the statistics are of an RGB picture."""
    cells = picture.resize((CELLS, CELLS), Image.Resampling.BOX)
    return Seen(look_vector(picture), np.asarray(lab_of(cells) / 100, dtype=np.float32).ravel())


def opened(path: Path) -> Image.Image:
    """A picture file as RGB, on white where it is transparent. Raises OSError for one that cannot be read.

    One of twice WORK_SIDE or more is halved and so on, since nothing here looks closer.
    """
    try:
        with Image.open(path) as picture:
            whole = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f"{path.name} is no picture that opens") from error
    times = max(whole.size) // WORK_SIDE
    small = whole.reduce(times) if times > 1 else whole
    if small.mode == "RGB":
        return small
    return Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")


def _weights() -> NDArray[np.float32]:
    weights = np.ones(LOOK_NUMBERS, dtype=np.float32)
    weights[TINTS] = TINT_WEIGHT
    return np.asarray(weights / weights.sum(), dtype=np.float32)


WEIGHTS = _weights()
