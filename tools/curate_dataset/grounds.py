"""Is the background of a picture plain, and of which colour: also where it shades off, or behind shoulders.

A smooth surface (constant, then linear, then quadratic in x and y) is grown over the picture from the commonest colour
of its border. What it explains and what hangs together with the border is the ground; the rest is the subject, which
may stand on the lower edge. A wall over a floor, or a sky over a land, is no plain ground: there the rest fills both
lower corners and climbs up the sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.colour import hexed

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORK_SIDE = 160
"""Pixels of the longer side on which grounds are looked for: the mean over a cell hides grain and JPEG noise."""
RING = 0.02
TOLERANCE = 6.0
"""Distance in CIELAB within which a pixel belongs to the surface."""
STEPS = (3, 3, 6, 6, 6)
"""Terms of the surface in each round of growing: three are linear, six quadratic."""
SAMPLED = 6000
ONE_COLOUR = 6.0
"""Distance between the ends of a surface (CIELAB) up to which it counts as one colour."""
FAR_SHADE, FAR_SHARE = 25.0, 0.7
"""A surface that changes more than this must hold more of the border, else it is a sky over something."""
LEAST_SHARE = 0.45
LEAST_SIDES = 0.52
MOST_PARTS = 4
"""A subject and what it holds cross the border at this many places; a pattern or twigs cross it at more."""
LEAST_AREA = 0.15
"""Less area than this with so much border is a frame."""
MOST_RESIDUAL = 2.2
MOST_ROUGHNESS = 3.3
"""Steepness of the third quartile of the ground, in CIELAB a cell: grass, sand and water lie above."""
BARE_FOOT, TALL_SIDE = 0.1, 0.8
"""A subject that fills the foot of the picture must leave one of the sides free to this height."""


@dataclass(frozen=True)
class Ground:
    """What lies behind the subject.

    `plain` is True for one colour and for a soft shade of one; `colour` is its median as #rrggbb, None where it is not
    plain; `kind` is "plain", "gradient" or "busy"; `share` (0 to 1) is how much of the outermost 2% belongs to it.
    """

    plain: bool
    colour: str | None
    kind: str
    share: float


@dataclass(frozen=True)
class Surface:
    """A smooth ground: `shade` its colour at every pixel (height, width, 3) in CIELAB, `region` where it is seen."""

    shade: Floats
    region: Mask


def ground_of(picture: Image.Image) -> Ground:
    """Judge the background of an RGB picture."""
    small = shrunk(picture, WORK_SIDE)
    lab = lab_of(small)
    surface = grown_surface(lab)
    ring = ring_of(*lab.shape[:2])
    share = round(float(surface.region[ring].mean()), 3)
    change = _change(surface)
    if not _behind(surface.region, share, change) or not _smooth(lab, surface):
        return Ground(plain=False, colour=None, kind="busy", share=share)
    red, green, blue = np.median(np.asarray(small)[surface.region & ring], axis=0).astype(int).tolist()
    kind = "plain" if change <= ONE_COLOUR else "gradient"
    return Ground(plain=True, colour=hexed((red, green, blue)), kind=kind, share=share)


def _change(surface: Surface) -> float:
    """How far the ends of the surface are apart, in CIELAB."""
    if not surface.region.any():
        return 0.0
    seen = surface.shade[surface.region]
    return float(np.linalg.norm(np.percentile(seen, 97, axis=0) - np.percentile(seen, 3, axis=0)))


def _behind(region: Mask, share: float, change: float) -> bool:
    """True when the region lies as a ground does: along most of the border, and beside the subject as well."""
    left, right, top, foot = (float(side.mean()) for side in (region[:, :2], region[:, -2:], region[:2], region[-2:]))
    if share < (FAR_SHARE if change > FAR_SHADE else LEAST_SHARE) or region.mean() < LEAST_AREA:
        return False
    if _parts(region) > MOST_PARTS:
        return False
    return (left + right + top) / 3 >= LEAST_SIDES and (foot >= BARE_FOOT or max(left, right) >= TALL_SIDE)


def _parts(region: Mask) -> int:
    """How often, going round the border, the ground is left for more than a hundredth of the way."""
    round_it = np.concatenate([region[0], region[:, -1], region[-1, ::-1], region[::-1, 0]]).astype(np.uint8)
    least = max(1, len(round_it) // 100)
    filled = cv2.erode(cv2.dilate(round_it[None], np.ones((1, least))), np.ones((1, least)))[0]
    return int(((filled == 1) & (np.roll(filled, -1) == 0)).sum())


def _smooth(lab: Floats, surface: Surface) -> bool:
    """True when the ground follows its surface and has no texture."""
    region = surface.region
    residual = float(np.median(np.linalg.norm(lab - surface.shade, axis=2)[region]))
    down = np.linalg.norm(lab[1:, :-1] - lab[:-1, :-1], axis=2)
    along = np.linalg.norm(lab[:-1, 1:] - lab[:-1, :-1], axis=2)
    steep = np.hypot(down, along)[region[:-1, :-1]]
    return residual <= MOST_RESIDUAL and float(np.percentile(steep, 75)) <= MOST_ROUGHNESS


def lab_of(picture: Image.Image) -> Floats:
    """An RGB picture as (height, width, 3) in CIELAB: L 0 to 100, a and b about -100 to 100."""
    return np.asarray(cv2.cvtColor(np.asarray(picture, dtype=np.float32) / 255, cv2.COLOR_RGB2LAB), dtype=np.float32)


def shrunk(picture: Image.Image, side: int) -> Image.Image:
    """The picture with its longer side at `side` pixels at most, cells averaged."""
    scale = side / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BOX)


def ring_of(height: int, width: int) -> Mask:
    """True in the outermost 2%."""
    band = max(1, round(min(height, width) * RING))
    ring = np.ones((height, width), dtype=np.bool_)
    ring[band:-band, band:-band] = False
    return ring


def grown_surface(lab: Floats) -> Surface:
    """The smooth surface that explains most of the border, and where it is seen in one piece with the border."""
    height, width = lab.shape[:2]
    ring = ring_of(height, width)
    shade = np.broadcast_to(_commonest(lab[ring]), lab.shape).astype(np.float32)
    region = seen_of(lab, shade, ring)
    terms = _terms(height, width)
    for count in STEPS:
        if region.sum() < 10 * count:
            break
        shade = _fitted(lab, region, terms[..., :count])
        region = seen_of(lab, shade, ring)
    return Surface(shade, region)


def _commonest(colours: Floats) -> Floats:
    """The colour of (n, 3) that has most others within the tolerance, as the median of those."""
    some = colours[:: max(1, len(colours) // 400)]
    near = np.linalg.norm(some[:, None] - some[None], axis=2) <= TOLERANCE
    return np.asarray(np.median(some[near[near.sum(axis=1).argmax()]], axis=0), dtype=np.float32)


def _terms(height: int, width: int) -> Floats:
    """1, x, y, xx, xy, yy at every pixel, x and y from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)


def _fitted(lab: Floats, region: Mask, terms: Floats) -> Floats:
    """The least-squares surface through the pixels of a region."""
    places = np.flatnonzero(region)
    places = places[:: max(1, len(places) // SAMPLED)]
    flat = terms.reshape(-1, terms.shape[2])
    factors, *_ = np.linalg.lstsq(flat[places], lab.reshape(-1, 3)[places], rcond=None)
    return np.asarray(flat @ factors, dtype=np.float32).reshape(lab.shape)


def seen_of(lab: Floats, shade: Floats, ring: Mask) -> Mask:
    """Where the surface explains the picture, in pieces that reach the border."""
    near = np.linalg.norm(lab - shade, axis=2) <= TOLERANCE
    _, labels = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    reaching = np.unique(labels[ring & near])
    return np.asarray(np.isin(labels, reaching[reaching > 0]), dtype=np.bool_)
