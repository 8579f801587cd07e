"""Small pictures for tests, drawn from a seed, and a workbench over a store in a temporary folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loradeck.engines.errors import NotInstalled
from loradeck.state.store import Store
from loradeck.tools.contracts import CurateArgs, CurateResult
from loradeck.tools.curate_dataset.tool import TOOL
from loradeck.tools.workbench import Workbench

SIDE = 512
SMALL_COPIES = 64


class NoEngines:
    """Curation needs none; it only asks who could train."""

    def names(self) -> list[str]:
        return []

    def open(self, name: str) -> Any:
        raise AssertionError(f"nobody should open {name}")

    def choose(self, base_model: str, ability: str) -> Any:
        raise NotInstalled(f"No installed engine can {ability} on {base_model}.")


def bench(tmp_path: Path, launch: Any = None) -> Workbench:
    """A workbench over a new store in `tmp_path / "home"`."""
    return Workbench(Store(tmp_path / "home"), NoEngines(), launch or (lambda run_id: None))


def curate(on: Workbench, **arguments: Any) -> CurateResult:
    """Call curate_dataset as a client would; a new dataset gets small copies unless the test says otherwise."""
    if "source" in arguments and "dataset_id" not in arguments:
        arguments.setdefault("resolution", SMALL_COPIES)
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    result = TOOL.handler(CurateArgs.model_validate(arguments), on)
    assert isinstance(result, CurateResult)
    return result


def picture(seed: int, width: int = SIDE, height: int | None = None) -> Image.Image:
    """Coloured blobs that differ from seed to seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse, "RGB").resize((width, height or width), Image.Resampling.BICUBIC)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    """Write a picture, its folder made, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def folder_of(path: Path, count: int, first_seed: int = 0, **sizes: int) -> Path:
    """A folder of `count` different pictures, a00.png and so on."""
    for number in range(count):
        save(picture(first_seed + number, **sizes), path / f"a{number:02d}.png", compress_level=1)
    return path


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG whose header announces width x height pixels and whose data is nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path
