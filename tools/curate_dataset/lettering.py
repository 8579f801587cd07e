"""Text in a picture: where it stands and what it says, read by rapidocr with the models that its wheel brings.

Nothing is ever downloaded: the models are given by path. What is found is text of any kind; whether it was laid over
the picture or belongs to the scene is judged in `overlays`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rapidocr import RapidOCR

from loradeck.tools.curate_dataset.overlays import Lettering

SIDE = 512
"""The longer side, in pixels, at which text is looked for: 0.39 s on one core, where 640 needs 0.71 s."""
STEP = 32  # the network takes multiples of this
LINE = 48  # and reads lines of this height
WIDEST_LINE = 960
BAND = 0.12
"""The share of the width, at either side, that is looked at laid down."""
UPRIGHT = 1.5
LEAST_FOUND = 0.5
MOST_READ = 12
FAINT_STEP = 8
FEWEST_STEPS = 60
"""Steps of 8 of 255 from pixel to pixel, at 512 pixels: a word of three faint letters has more of them than this."""
UNREAD = ("", 0.0)
LEAST_READABLE = 0.5
MARGIN = 0.1
"""A level line whose middle lies in the uppermost or lowest tenth is at the margin; so is an upright one at a side."""
MOST_SLANT = 3.0
"""Degrees. Lines laid over a picture are level to one degree, as they are found; signs in the scene often slant."""

Quad = NDArray[np.float64]
"""Corners (4, 2) of a line in pixels, as who reads it names them: top left, top right, bottom right, bottom left."""


def find_text(picture: Image.Image) -> list[Lettering]:
    """The lines of text in an RGB picture, the outer ones first. Several threads may call it at once.

    Of pictures with more than twelve lines, the outer ones are read and the others have no words.
    """
    if not _may_hold_text(picture):
        return []
    with _engine() as engine:
        found = sorted(_lines(engine, picture), key=lambda line: _edge_distance(line[0], picture.size))
        read = [_read(engine, picture, quad) for quad, _ in found[:MOST_READ]] + [UNREAD] * len(found[MOST_READ:])
    lines = []
    for (quad, sure), (words, confidence) in zip(found, read, strict=True):
        if confidence < LEAST_READABLE:
            words, confidence = "", sure
        lines.append(Lettering(_box(quad), words, round(confidence, 3), _at_margin(quad, picture.size)))
    return lines


def _may_hold_text(picture: Image.Image) -> bool:
    """False for a picture so smooth that no letter can be in it: letters have edges, faint ones too."""
    small = picture.convert("L")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    return int((across >= FAINT_STEP).sum() + (down >= FAINT_STEP).sum()) >= FEWEST_STEPS


_IDLE: SimpleQueue[RapidOCR] = SimpleQueue()


@contextmanager
def _engine() -> Iterator[RapidOCR]:
    """A reader that no other thread uses meanwhile; readers are kept, since one takes 0.3 s to load."""
    try:
        engine = _IDLE.get_nowait()
    except Empty:
        engine = _new_engine()
    try:
        yield engine
    finally:
        _IDLE.put(engine)


def _new_engine() -> RapidOCR:
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            "Det.model_path": _model("det"),
            "Det.limit_type": "max",
            "Det.limit_side_len": 2 * SIDE,  # never reached: pictures come at their size
            "Det.box_thresh": LEAST_FOUND,
            "Rec.model_path": _model("rec"),
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,  # two pictures are prepared at once
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _model(task: str) -> str:
    """The path of the one model for `task` ("det" finds lines, "rec" reads one) in rapidocr's wheel."""
    spec = find_spec("rapidocr")
    folder = Path(str(spec.origin)).parent / "models" if spec else Path()
    (model,) = folder.glob(f"*_{task}_*.onnx")
    return str(model)


def _lines(engine: RapidOCR, picture: Image.Image) -> list[tuple[Quad, float]]:
    """The lines, and how sure the finder is of each.

    It is half blind to lines that run up a side, so both sides are looked at once more, laid down.
    """
    band = max(STEP, round(BAND * picture.width))
    lines = []
    for quad, sure in _found(engine, picture):
        if not _is_upright(quad):
            lines.append((quad, sure))
        elif band < quad[:, 0].mean() < picture.width - band:
            lines.append((np.roll(quad, 1, axis=0), sure))
    sides = _sides_laid_down(picture, band)
    laid_down = _found(engine, sides) if _may_hold_text(sides) else []
    return lines + [(_raised(quad, picture.size, band), sure) for quad, sure in laid_down if not _is_upright(quad)]


def _found(engine: RapidOCR, picture: Image.Image) -> list[tuple[Quad, float]]:
    scale = SIDE / max(picture.size)
    width, height = (max(STEP, round(side * scale / STEP) * STEP) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    found = engine(_bgr(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    stretch = np.array([picture.width / width, picture.height / height])
    return [(np.asarray(quad) * stretch, float(sure)) for quad, sure in zip(found.boxes, found.scores, strict=True)]


def _sides_laid_down(picture: Image.Image, band: int) -> Image.Image:
    """The left and, below it, the right `band` pixels of a picture, turned clockwise: (height, 2 * band) in size."""
    turned = Image.new("RGB", (picture.height, 2 * band))
    for y, left in ((0, 0), (band, picture.width - band)):
        side = picture.crop((left, 0, left + band, picture.height))
        turned.paste(side.transpose(Image.Transpose.ROTATE_270), (0, y))
    return turned


def _raised(quad: Quad, size: tuple[int, int], band: int) -> Quad:
    """Where a line of `_sides_laid_down` stands in the picture, as if it read upwards."""
    width, height = size
    inwards = width - 2 * band if quad[:, 1].mean() >= band else 0
    return np.stack([quad[:, 1] + inwards, height - quad[:, 0]], axis=1)


def _is_upright(quad: Quad) -> bool:
    across, down = quad.max(axis=0) - quad.min(axis=0)
    return bool(down > UPRIGHT * across)


def _read(engine: RapidOCR, picture: Image.Image, quad: Quad) -> tuple[str, float]:
    """(words, confidence) of a line; one that stands upright is read both ways."""
    ways = (quad, np.roll(quad, 2, axis=0)) if _is_upright(quad) else (quad,)
    return max((_read_strip(engine, _strip(picture, way)) for way in ways), key=lambda got: got[1])


def _strip(picture: Image.Image, quad: Quad) -> Image.Image:
    """The line cut out level, 48 pixels high and as long as it is, within bounds."""
    across = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2]))
    down = max(math.dist(quad[0], quad[3]), math.dist(quad[1], quad[2]), 1.0)
    corners = tuple(float(value) for i in (0, 3, 2, 1) for value in quad[i])  # Pillow goes down the left side first
    width = min(WIDEST_LINE, max(LINE, round(LINE * across / down)))
    return picture.transform((width, LINE), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


def _read_strip(engine: RapidOCR, strip: Image.Image) -> tuple[str, float]:
    read = engine(_bgr(strip), use_det=False, use_cls=False, use_rec=True)
    return (read.txts[0].strip(), float(read.scores[0])) if read.txts else ("", 0.0)


def _bgr(picture: Image.Image) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) in the order that the models were trained on."""
    return np.ascontiguousarray(np.asarray(picture, dtype=np.uint8)[:, :, ::-1])


def _box(quad: Quad) -> tuple[int, int, int, int]:
    left, top = np.floor(quad.min(axis=0)).astype(int)
    right, bottom = np.ceil(quad.max(axis=0)).astype(int)
    return int(left), int(top), int(right - left), int(bottom - top)


def _at_margin(quad: Quad, size: tuple[int, int]) -> bool:
    along = quad[1] - quad[0] + quad[2] - quad[3]
    slant = abs(math.degrees(math.atan2(along[1], along[0]))) % 90
    return min(slant, 90 - slant) < MOST_SLANT and _edge_distance(quad, size) <= MARGIN


def _edge_distance(quad: Quad, size: tuple[int, int]) -> float:
    """How far a line's middle is from the edge that it runs along, as a share of the picture's height or width."""
    x, y = (quad.min(axis=0) + quad.max(axis=0)) / 2 / size
    _, _, width, height = _box(quad)
    return float(min(y, 1 - y) if width >= height else min(x, 1 - x))
