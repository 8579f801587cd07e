"""Another ground behind a subject: find the subject, choose a colour, lay it on.

A mask is exact where the file had an alpha channel that clears its ground. On a plain ground it follows from the
distance to that ground. On anything else GrabCut guesses, from several seeds, and only a guess that stands all checks
is given back: a background that stays is better than a head with a bite taken out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.colour import hexed
from loradeck.tools.curate_dataset.grounds import (
    WORK_SIDE,
    Floats,
    Mask,
    ground_of,
    grown_surface,
    lab_of,
    ring_of,
    seen_of,
    shrunk,
)
from loradeck.tools.write_captions.colours import colour_name as name_of

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

LEAST_SUBJECT, MOST_SUBJECT = 0.01, 0.95
CLEAR, LEAST_CLEAR = 16, 0.25
"""Opacity (of 255) under which nothing is seen, and how much of the border must be so: more than rounded corners."""
CUT_SIDE = 256
GUESSES = ((0.02, 0.62), (0.05, 0.72), (0.08, 0.82))
"""(margin that is surely ground, size of the ellipse that is probably subject), both as shares of the sides."""


def subject_mask(picture: Image.Image, face_box: Box | None, alpha: Image.Image | None) -> Image.Image | None:
    """The subject of an RGB picture as a mask ("L", of the picture's size, 255 where it is opaque).

    `face_box` is (left, top, right, bottom) in pixels; `alpha` is the channel that the file had, of the picture's size.
    None where no mask can be trusted.
    """
    if alpha is not None and clears_ground(alpha):
        return alpha if shows_anything(alpha) else None
    mask = _off_plain(picture) if ground_of(picture).plain else _cut_out(picture, face_box)
    return None if mask is None else Image.fromarray(mask)


def clears_ground(alpha: Image.Image) -> bool:
    """Whether an alpha channel ("L") leaves the ground out; a few see-through pixels do not."""
    opacity = np.asarray(alpha)
    return float((opacity[ring_of(*opacity.shape)] < CLEAR).mean()) >= LEAST_CLEAR


def shows_anything(alpha: Image.Image) -> bool:
    """Whether an alpha channel ("L") lets any of its picture be seen."""
    return bool(np.asarray(alpha).max() >= CLEAR)


# --------------------------------------------------------------------------- on a plain ground

NEAR = 4.0
"""Distance to the ground (CIELAB) under which a pixel is ground; three times the noise where that is more."""
RINGING, RINGING_REACH = 0.2, 64
"""Beside an edge JPEG's ringing reaches a fifth of its height; it dies out within a 64th of the side."""
SPECK = 0.0004
SCRAP = 0.05
"""A piece at the border with less than this share of the largest piece is a dark corner, no subject."""
FIRM_STEP, FIRM_SHARE = 7.0, 0.85
"""So much of the outline must differ so much (CIELAB) from the ground a few pixels inside; else it leaks."""
STEEP = 0.5
"""So much of what the colour changes in the next pixels must come at the outline: a shadow on black comes slowly."""
LOCAL_ROUNDS, LOCAL_SIGMA = 8, 5.0
HOLE_CHROMA, HOLE_NEAR = 12.0, 2.5


def _off_plain(picture: Image.Image) -> NDArray[np.uint8] | None:
    """The mask on a plain or softly shaded ground."""
    lab = cv2.medianBlur(lab_of(picture), 3)
    height, width = lab.shape[:2]
    shade, region = _local_shade(lab_of(shrunk(picture, WORK_SIDE)))
    shade = cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR)
    away = np.linalg.norm(lab - shade, axis=2).astype(np.float32)
    seen = cv2.resize(region.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    reach = max(3, round(max(height, width) / RINGING_REACH)) | 1
    ringing = RINGING * cv2.dilate(away, np.ones((reach, reach), np.uint8))
    near = away < np.maximum(max(NEAR, 3 * float(np.median(away[seen]))), ringing)
    subject = _without_scraps(_without_specks(~_ground(near, away, shade)))
    if not LEAST_SUBJECT <= subject.mean() <= MOST_SUBJECT or not _firm(away, subject):
        return None
    return _softened(np.asarray(picture, dtype=np.float32), subject, away)


def _local_shade(lab: Floats) -> tuple[Floats, Mask]:
    """The ground's surface bent to what is seen of it nearby, and grown from there: dark corners are no parabola."""
    surface = grown_surface(lab)
    shade, region, ring = surface.shade, surface.region, ring_of(*lab.shape[:2])
    for _ in range(LOCAL_ROUNDS):
        weight = cv2.GaussianBlur(region.astype(np.float32), (0, 0), LOCAL_SIGMA)
        off = cv2.GaussianBlur((lab - surface.shade) * region[..., None], (0, 0), LOCAL_SIGMA)
        shade = (surface.shade + off / np.maximum(weight, 0.02)[..., None]).astype(np.float32)
        region = seen_of(lab, shade, ring)
    return shade, region


def _ground(near: Mask, away: Floats, shade: Floats) -> Mask:
    """The pieces that reach the border once hairline bridges are cut.

    What lies enclosed stays the subject's (paper, teeth), unless the ground has a hue and the piece exactly that.
    """
    opened = cv2.morphologyEx(near.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels = cv2.connectedComponents(opened, connectivity=4)
    kept = np.zeros(count, dtype=np.bool_)
    kept[np.unique(labels[ring_of(*near.shape)])] = True
    if float(np.median(np.linalg.norm(shade[..., 1:], axis=2))) >= HOLE_CHROMA:
        size = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
        kept |= np.bincount(labels.ravel(), weights=away.ravel(), minlength=count) / size <= HOLE_NEAR
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.bool_)


def _without_specks(subject: Mask) -> Mask:
    """The subject without dust."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(subject.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= SPECK * subject.size
    large[0] = False
    return np.asarray(large[labels], dtype=np.bool_)


def _without_scraps(subject: Mask) -> Mask:
    """The subject without small pieces at the border."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(subject.astype(np.uint8), connectivity=8)
    kept = np.ones(len(stats), dtype=np.bool_)
    at_border = np.unique(labels[ring_of(*subject.shape)])
    kept[at_border] = stats[at_border, cv2.CC_STAT_AREA] >= SCRAP * stats[1:, cv2.CC_STAT_AREA].max(initial=0)
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.bool_)


def _firm(away: Floats, subject: Mask) -> bool:
    """True when the outline is a step all along: a subject that fades into its ground has no outline to cut at."""
    shape = subject.astype(np.uint8)
    inner = max(3, round(max(subject.shape) / 170))
    line = (shape == 1) & (cv2.erode(shape, np.ones((3, 3), np.uint8), borderValue=1) == 0)
    inside = np.where(subject, away, 0).astype(np.float32)
    step, rise = (cv2.dilate(inside, np.ones((2 * reach + 1,) * 2, np.uint8))[line] for reach in (inner, 5 * inner))
    return bool(line.any()) and float(((step >= FIRM_STEP) & (step >= STEEP * rise)).mean()) >= FIRM_SHARE


def _softened(pixels: Floats, subject: Mask, away: Floats) -> NDArray[np.uint8]:
    """Coverage of each pixel: along the outline, how far its colour is from the ground's towards the subject's."""
    shape = subject.astype(np.uint8)
    far = cv2.dilate(shape, np.ones((3, 3), np.uint8)) == 0
    peak = cv2.dilate(away, np.ones((5, 5), np.uint8))
    core = (cv2.erode(shape, np.ones((5, 5), np.uint8), borderValue=1) > 0) | (subject & (away >= 0.95 * peak))
    inside, outside = _nearest(pixels, core), _nearest(pixels, far)
    span = inside - outside
    along = ((pixels - outside) * span).sum(axis=2) / np.maximum((span * span).sum(axis=2), 1)
    coverage = np.where(core, 1, np.where(far, 0, np.clip(along, 0, 1)))
    return np.round(255 * coverage).astype(np.uint8)


def _nearest(pixels: Floats, where: Mask) -> Floats:
    """For every pixel the colour of the nearest one in `where`, evened over a few."""
    if not where.any():
        return pixels
    weight = where.astype(np.float32)
    mean = cv2.blur(pixels * weight[..., None], (5, 5)) / np.maximum(cv2.blur(weight, (5, 5)), 1e-6)[..., None]
    _, labels = cv2.distanceTransformWithLabels(
        (~where).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    place[labels[where]] = np.flatnonzero(where)
    return np.asarray(mean.reshape(-1, 3)[place[labels]], dtype=np.float32)


# --------------------------------------------------------------------------- on anything else

ROUNDS = 4
LEAST_CUT, MOST_CUT = 0.04, 0.8
LEAST_STABLE = 0.93
"""Intersection over union that any two guesses must have."""
LEAST_MAIN = 0.88
LEAST_EDGE, EDGE_STEP = 0.92, 4.0
"""So much of the outline must lie on a step of so much (CIELAB a pixel) in the picture."""
MOST_ALIKE = 0.24
"""Overlap of the colours inside and outside (Bhattacharyya, bins of 6 x 8 x 8): what is alike is parted by chance."""


def _cut_out(picture: Image.Image, face_box: Box | None) -> NDArray[np.uint8] | None:
    """GrabCut's mask where it agrees with itself and with the picture's edges."""
    small = shrunk(picture, CUT_SIDE)
    pixels = np.asarray(small)
    scale = small.width / picture.width
    face = None if face_box is None else tuple(round(value * scale) for value in face_box)
    guesses = [_guess(pixels, margin, size, face) for margin, size in GUESSES]
    if not _trusted(lab_of(small), guesses):
        return None
    return _refined(picture, np.mean(guesses, axis=0) >= 0.5)


def _guess(pixels: NDArray[np.uint8], margin: float, size: float, face: tuple[int, ...] | None) -> Mask:
    """One run of GrabCut from a border that is ground and a middle, or a face with shoulders, that is subject."""
    height, width = pixels.shape[:2]
    seed = np.full((height, width), cv2.GC_PR_BGD, dtype=np.uint8)
    if face is None:
        axes = (round(width * size / 2), round(height * size / 2))
        cv2.ellipse(seed, (width // 2, round(height * 0.52)), axes, 0, 0, 360, int(cv2.GC_PR_FGD), -1)
        inner = (round(axes[0] / 4), round(axes[1] / 4))
        cv2.ellipse(seed, (width // 2, round(height * 0.52)), inner, 0, 0, 360, int(cv2.GC_FGD), -1)
    else:
        _draw_person(seed, face, size)
    edge = max(1, round(min(height, width) * margin))
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    rim = (rows < edge) | (columns < edge) | (columns >= width - edge)
    seed[rim & (seed != cv2.GC_FGD) & (rows < 0.7 * height)] = cv2.GC_BGD
    cv2.setRNGSeed(1)
    cv2.grabCut(pixels, seed, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((seed == cv2.GC_FGD) | (seed == cv2.GC_PR_FGD), dtype=np.bool_)


def _draw_person(seed: NDArray[np.uint8], face: tuple[int, ...], size: float) -> None:
    """Head and shoulders below a face box, as probably subject, and the face itself as surely."""
    left, top, right, foot = face
    wide, tall = right - left, foot - top
    middle, centre = (left + right) // 2, (top + foot) // 2
    grown = size / 0.72
    cv2.ellipse(
        seed, (middle, round(centre - 0.1 * tall)), (round(0.75 * wide * grown), round(0.95 * tall * grown)),
        0, 0, 360, int(cv2.GC_PR_FGD), -1,
    )  # fmt: skip
    reach = round(1.3 * wide * grown)
    corners = [(middle - reach // 2, foot + tall // 3), (middle + reach // 2, foot + tall // 3)]
    corners += [(middle + reach, seed.shape[0] - 1), (middle - reach, seed.shape[0] - 1)]
    cv2.fillPoly(seed, [np.array(corners, dtype=np.int32)], int(cv2.GC_PR_FGD))
    cv2.ellipse(seed, (middle, centre), (round(0.4 * wide), round(0.45 * tall)), 0, 0, 360, int(cv2.GC_FGD), -1)


def _trusted(lab: Floats, guesses: Sequence[Mask]) -> bool:
    """True when the guesses agree with each other, with the picture's edges and with its colours."""
    mask = np.mean(guesses, axis=0) >= 0.5
    if not LEAST_CUT <= mask.mean() <= MOST_CUT:
        return False
    pairs = [(first, second) for place, first in enumerate(guesses) for second in guesses[:place]]
    if min((one & two).sum() / max(1, (one | two).sum()) for one, two in pairs) < LEAST_STABLE:
        return False
    shape = mask.astype(np.uint8)
    areas = cv2.connectedComponentsWithStats(shape)[2][1:, cv2.CC_STAT_AREA]
    return bool(
        areas.max() >= LEAST_MAIN * mask.sum()
        and _on_edges(lab, shape) >= LEAST_EDGE
        and _alike(lab, mask) <= MOST_ALIKE
    )


def _on_edges(lab: Floats, shape: NDArray[np.uint8]) -> float:
    """The share of the outline that lies on an edge of the picture."""
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1) / 8
    steps = cv2.dilate(np.sqrt((across**2 + down**2).sum(axis=2)), np.ones((3, 3), np.uint8))
    line = (shape == 1) & (cv2.erode(shape, np.ones((3, 3), np.uint8), borderValue=1) == 0)
    return float((steps[line] >= EDGE_STEP).mean()) if line.any() else 0.0


def _alike(lab: Floats, mask: Mask) -> float:
    """How far the colours inside and outside are the same: 0 not at all, 1 altogether."""
    bins = np.round(lab / np.array([6, 8, 8], dtype=np.float32)).astype(np.int64) + 32
    keys = bins @ np.array([64 * 64, 64, 1])
    inside = np.bincount(keys[mask], minlength=64**3) / mask.sum()
    outside = np.bincount(keys[~mask], minlength=64**3) / (~mask).sum()
    return float(np.sqrt(inside * outside).sum())


def _refined(picture: Image.Image, mask: Mask) -> NDArray[np.uint8]:
    """The small mask at the picture's size, its edge drawn to the picture's own by a guided filter (He et al. 2010)."""
    mask = _filled(_without_specks(mask))
    guide = (np.asarray(picture) / 255).astype(np.float32)
    height, width = guide.shape[:2]
    rough = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    reach = max(2, round(1.5 * max(height, width) / CUT_SIDE))
    soft = _guided(np.asarray(guide, dtype=np.float32), np.clip(rough, 0, 1).astype(np.float32), reach)
    steep = np.clip((soft - 0.5) * 2.2 + 0.5, 0, 1)
    band = (2 * reach + 1,) * 2
    sure = cv2.erode((rough > 0.5).astype(np.uint8), np.ones(band, np.uint8), borderValue=1) > 0
    near = cv2.dilate((rough > 0.5).astype(np.uint8), np.ones(band, np.uint8)) > 0
    return np.round(255 * np.where(sure, 1, np.where(near, steep, 0))).astype(np.uint8)


def _filled(mask: Mask) -> Mask:
    """The mask without pinholes."""
    return ~_without_specks(~mask)


def _guided(guide: Floats, rough: Floats, reach: int) -> Floats:
    """`rough` as a linear function of the guide's colours in every window: it follows the guide's edges."""
    size = (2 * reach + 1,) * 2

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, size), dtype=np.float32)

    middle, level = mean(guide), mean(rough)
    spread = mean((guide[..., :, None] * guide[..., None, :]).reshape(*rough.shape, 9)).reshape(*rough.shape, 3, 3)
    spread = spread - middle[..., :, None] * middle[..., None, :] + 1e-4 * np.eye(3, dtype=np.float32)
    shared = mean(guide * rough[..., None]) - middle * level[..., None]
    slope = np.linalg.solve(spread, shared[..., None])[..., 0].astype(np.float32)
    offset = level - (slope * middle).sum(axis=2)
    return np.asarray((mean(slope) * guide).sum(axis=2) + mean(offset), dtype=np.float32)


# --------------------------------------------------------------------------- the new ground

GOLDEN = 0.6180339887
LEAST_APART = 28.0
"""Distance in CIELAB from the subject's own edge, so that it does not sink into the new ground."""
TRIES = 24
LIGHTNESS = (30.0, 76.0)
CHROMA = (20.0, 42.0)


def solid_ground(seed_text: str, index: int, away_from: Sequence[Colour] = ()) -> Colour:
    """The colour of one ground of a set: the same on every run, never white, black or grey.

    Hues go round the wheel by golden steps from where the hash of `seed_text` starts, so that any few in a row differ;
    lightness and chroma go their own steps. Of 24 such colours the first far enough from `away_from` is taken.
    """
    start = hashlib.sha256(seed_text.encode()).digest()
    best, widest = (0, 0, 0), -1.0
    for attempt in range(TRIES):
        colour = _placed(start, index + 0.381966 * attempt, index + attempt)
        apart = _apart(colour, away_from)
        if apart >= LEAST_APART:
            return colour
        if apart > widest:
            best, widest = colour, apart
    return best


def _placed(start: bytes, turn: float, step: int) -> Colour:
    """The colour at a place of the three golden walks, drawn in towards grey until sRGB can show it."""
    hue = 2 * np.pi * ((int.from_bytes(start[:4], "big") / 2**32 + turn * GOLDEN) % 1)
    light = (int.from_bytes(start[4:8], "big") / 2**32 + step * 0.754877666) % 1
    vivid = (int.from_bytes(start[8:12], "big") / 2**32 + step * 0.569840291) % 1
    lightness = LIGHTNESS[0] + light * (LIGHTNESS[1] - LIGHTNESS[0])
    chroma = CHROMA[0] + vivid * (CHROMA[1] - CHROMA[0])
    lab = np.array([[[lightness, chroma * np.cos(hue), chroma * np.sin(hue)]]], dtype=np.float32)
    red, green, blue = np.clip(np.round(255 * cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0]), 0, 255).astype(int).tolist()
    return red, green, blue


def _apart(colour: Colour, others: Sequence[Colour]) -> float:
    """The distance in CIELAB to the nearest of other colours; without any, more than every colour has."""
    if not others:
        return 1000.0
    row = np.array([[colour, *others]], dtype=np.float32) / 255
    lab = cv2.cvtColor(row, cv2.COLOR_RGB2LAB)[0]
    return float(np.linalg.norm(lab[1:] - lab[0], axis=1).min())


def edge_colours(picture: Image.Image, mask: Image.Image) -> list[Colour]:
    """Up to four colours that the subject shows along its outline, commonest first."""
    inside = (np.asarray(mask) >= 250).astype(np.uint8)
    reach = max(3, round(max(inside.shape) / 60)) | 1
    line = (inside == 1) & (cv2.erode(inside, np.ones((reach, reach), np.uint8), borderValue=1) == 0)
    if not line.any():
        return []
    strip = Image.fromarray(np.asarray(picture)[line][None])
    reduced = strip.quantize(4, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    places = [3 * int(index) for _, index in sorted(reduced.getcolors() or [], reverse=True) if isinstance(index, int)]
    return [(palette[place], palette[place + 1], palette[place + 2]) for place in places]


def on_ground(picture: Image.Image, mask: Image.Image, colour: Colour) -> Image.Image:
    """A copy of an RGB picture with `colour` behind the subject.

    Half-covered pixels still hold the old ground: it is taken out of them (C = aF + (1-a)G, solved for F with G from
    the ground nearby), or, where little of the subject is left in them, the nearest colour of the subject is used.
    """
    pixels = np.asarray(picture, dtype=np.float32)
    cover = np.asarray(mask, dtype=np.float32)[..., None] / 255
    solid, clear = cover[..., 0] >= 0.98, cover[..., 0] <= 0.02
    own: Floats = pixels
    if clear.any():
        behind = _nearest(pixels, clear)
        own = np.clip(behind + (pixels - behind) / np.maximum(cover, 0.05), 0, 255)
    if solid.any():
        trust = np.clip((cover - 0.2) / 0.5, 0, 1)
        own = np.asarray(trust * own + (1 - trust) * _nearest(pixels, solid), dtype=np.float32)
    own = np.where(solid[..., None], pixels, own)
    laid = cover * own + (1 - cover) * np.array(colour, dtype=np.float32)
    return Image.fromarray(np.round(np.clip(laid, 0, 255)).astype(np.uint8))


def colour_name(colour: Colour) -> str:
    """A colour in plain words, as captions say it: (12, 70, 74) is "dark teal"."""
    return name_of(hexed(colour))
