"""Text in a picture: where it stands and what it says, read by rapidocr with the models that its wheel brings.

Nothing is ever downloaded: the models are given by path. What is found is text of any kind; whether it was laid over
the picture or belongs to the scene is judged in `overlays`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rapidocr import RapidOCR

SIDE = 512
"""The longer side, in pixels, at which text is looked for: 0.39 s on one core, where 640 needs 0.71 s."""
STEP = 32  # the network takes multiples of this
LINE = 48  # and reads lines of this height
WIDEST_LINE = 960
LEAST_FOUND = 0.5
MOST_READ = 12
MARGIN = 0.16
"""A line whose middle lies in this outer share of the picture's width or height is at the margin."""

Quad = NDArray[np.float64]
"""Corners (4, 2) of a line in pixels: top left, top right, bottom right, bottom left."""


@dataclass(frozen=True)
class Lettering:
    """A line of text. `box` is (x, y, width, height) in pixels of the picture; `words` may be "" where none is read.

    `confidence` is how sure the reader is of the words, 0 to 1; how sure the finder is where nothing was read.
    """

    box: tuple[int, int, int, int]
    words: str
    confidence: float
    at_margin: bool


def find_text(picture: Image.Image) -> list[Lettering]:
    """The lines of text in an RGB picture, from the top. Safe to call from several threads, each on a core of its own.

    Of pictures with more than twelve lines, the outer ones are read and the others have no words.
    """
    with _engine() as engine:
        quads, found = _lines(engine, picture)
        outer_first = sorted(range(len(quads)), key=lambda i: _edge_distance(_box(quads[i]), picture.size))
        read = {i: _read(engine, picture, quads[i]) for i in outer_first[:MOST_READ]}
    lines = []
    for i, quad in enumerate(quads):
        box = _box(quad)
        words, confidence = read.get(i, ("", found[i]))
        lines.append(Lettering(box, words, round(confidence, 3), _edge_distance(box, picture.size) <= MARGIN))
    return lines


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


def _lines(engine: RapidOCR, picture: Image.Image) -> tuple[list[Quad], list[float]]:
    """Corners of the lines in pixels of the picture, and how sure the finder is of each."""
    scale = SIDE / max(picture.size)
    width, height = (max(STEP, round(side * scale / STEP) * STEP) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    found = engine(_bgr(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return [], []
    stretch = np.array([picture.width / width, picture.height / height])
    return [np.asarray(quad, dtype=np.float64) * stretch for quad in found.boxes], [float(s) for s in found.scores]


def _read(engine: RapidOCR, picture: Image.Image, quad: Quad) -> tuple[str, float]:
    """(words, confidence) of a line; one that stands upright is read both ways."""
    across, down = _sides(quad)
    if down <= 1.5 * across:
        return _read_strip(engine, _strip(picture, quad, across / down))
    ways = (np.roll(quad, -1, axis=0), np.roll(quad, 1, axis=0))
    return max((_read_strip(engine, _strip(picture, way, down / across)) for way in ways), key=lambda got: got[1])


def _sides(quad: Quad) -> tuple[float, float]:
    """Length along the line and its height, at least a pixel."""
    across = max(math.dist(quad[0], quad[1]), math.dist(quad[3], quad[2]), 1.0)
    down = max(math.dist(quad[0], quad[3]), math.dist(quad[1], quad[2]), 1.0)
    return across, down


def _strip(picture: Image.Image, quad: Quad, ratio: float) -> Image.Image:
    """The line cut out level, 48 pixels high, `ratio` times as wide."""
    corners = tuple(float(value) for i in (0, 3, 2, 1) for value in quad[i])  # Pillow goes down the left side first
    width = min(WIDEST_LINE, max(LINE // 2, round(LINE * ratio)))
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


def _edge_distance(box: Sequence[int], size: tuple[int, int]) -> float:
    """How far a line's middle is from the nearest edge, as a share of the side."""
    x, y = (box[0] + box[2] / 2) / size[0], (box[1] + box[3] / 2) / size[1]
    return min(x, 1 - x, y, 1 - y)
