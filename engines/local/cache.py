"""Latents and encoded prompts, each computed once and kept on the disk by content, for this run and later ones.

A file's name is the hash of everything that its content depends on, so that a changed picture, caption, size or base is
never met with an old file. Each picture and prompt is encoded alone: what is kept must not depend on what it happened
to be encoded together with, in the last bit either.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL.Image import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from loradeck.engines import files
from loradeck.engines.local import pictures, texts
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

LARGEST = 20_000_000_000
"""Bytes that a cache may hold; beyond, what was not used for longest goes first."""


@dataclass(frozen=True)
class Picture:
    """A picture to encode: the hash of its content, the file or the picture itself, and the size (width, height)."""

    sha256: str
    source: Path | Image
    size: tuple[int, int]


@dataclass(frozen=True)
class Encoded:
    """Latents ``(c, h, w)`` of every picture and the encoded prompts, in the order given, on the CPU."""

    latents: tuple[torch.Tensor, ...]
    texts: Text


class Encoder:
    """Encodes what is not kept yet; `open_base` gives the pipeline with its encoders and is called when one is needed.

    Args:
        digest: what names the base's weights.
        tell: hears how many of how many are encoded.
    """

    def __init__(
        self,
        base: Base,
        digest: str,
        family: Family,
        open_base: Callable[[], Any],
        folder: Path,
        tell: Callable[[int, int], None],
    ) -> None:
        self._base, self._digest, self._family, self._open, self._folder = base, digest, family, open_base, folder
        self._tell = tell

    def encode(self, images: Sequence[Picture], prompts: Sequence[str]) -> Encoded:
        """Latents and encoded prompts, read back where they are kept. Raises BadSpec, CannotWrite, NotInstalled."""
        of, latents, said = len(images) + len(prompts), [], []
        for done, image in enumerate(images):
            self._tell(done, of)
            latents.append(self._kept(["picture", image.sha256, *image.size], partial(self._latents, image))["it"])
        for done, prompt in enumerate(prompts, len(images)):
            self._tell(done, of)
            said.append(self._kept(["prompt", self._base.max_tokens, prompt], partial(self._text, prompt)))
        self._prune()
        return Encoded(tuple(latents), texts.join(said))

    def _latents(self, image: Picture) -> dict[str, torch.Tensor]:
        picture = pictures.read(image.source) if isinstance(image.source, Path) else image.source
        pixels = pictures.pixels(picture, *image.size)[None]
        return {"it": self._family.encode_images(self._open(), pixels)[0]}

    def _text(self, prompt: str) -> Text:
        return self._family.encode_prompts(self._open(), [prompt], self._base.max_tokens)

    def _kept(self, what: list[Any], make: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        name = hashlib.sha256(json.dumps([self._digest, *what]).encode()).hexdigest()[:32]
        path = self._folder / f"{name}.safetensors"
        found = _read(path)
        if found is None:
            found = {key: value.detach().cpu().contiguous() for key, value in make().items()}
            files.write_bytes(path, save(found))
        return found

    def _prune(self) -> None:
        """Drop what was not used for longest until the cache is within its bounds."""
        there = sorted(
            ((path.stat(), path) for path in self._folder.glob("*.safetensors")), key=lambda it: it[0].st_mtime
        )
        over = sum(stat.st_size for stat, _ in there) - LARGEST
        for stat, path in there:
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= stat.st_size


def _read(path: Path) -> dict[str, torch.Tensor] | None:
    """What is kept, marked as used now; None when there is nothing or the file is broken (it is then made again)."""
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
        os.utime(path)
    except (SafetensorError, OSError):
        return None
    return tensors or None
