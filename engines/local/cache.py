"""Latents and text states, computed once and kept on the disk by content.

The file's name is the hash of everything that its content depends on, so that a changed image, caption, size or base
is never met with an old file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from loradeck.engines import files
from loradeck.engines.local import pictures
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family
from loradeck.engines.local.layout import digest

BATCH = 8


@dataclass(frozen=True)
class Encoded:
    """Latents ``(n, c, h, w)`` of pictures and text states ``(m, tokens, d)`` of prompts, in the order given."""

    latents: torch.Tensor
    texts: torch.Tensor


def encode(
    base: Base,
    family: Family,
    pipeline: Any,
    images: Sequence[tuple[str, Path | Image]],
    prompts: Sequence[str],
    resolution: int,
    folder: Path,
) -> Encoded:
    """Encode pictures (content hash, and file or picture) and prompts, or read them back from `folder`."""
    content = [digest(base.weights), base.max_tokens, resolution, [key for key, _ in images], list(prompts)]
    name = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    path = folder / f"{name}.safetensors"
    kept = _read(path)
    if kept is not None:
        return kept
    latents, texts = [], []
    for i in range(0, len(images), BATCH):
        pixels = torch.stack([_pixels(image, resolution) for _, image in images[i : i + BATCH]])
        latents.append(family.encode_images(pipeline, pixels))
    for i in range(0, len(prompts), BATCH):
        texts.append(family.encode_prompts(pipeline, prompts[i : i + BATCH], base.max_tokens))
    encoded = Encoded(torch.cat(latents), torch.cat(texts))
    files.write_bytes(path, save({"latents": encoded.latents.contiguous(), "texts": encoded.texts.contiguous()}))
    return encoded


def _pixels(image: Path | Image, resolution: int) -> torch.Tensor:
    picture = pictures.read(image) if isinstance(image, Path) else image
    return pictures.pixels(picture, resolution, resolution)


def _read(path: Path) -> Encoded | None:
    """What is kept, or None when there is nothing or the file is broken (it is then made again)."""
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
        return Encoded(tensors["latents"], tensors["texts"])
    except (SafetensorError, KeyError, OSError):
        return None
