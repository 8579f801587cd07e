"""The LoRAs on a pipeline: loaded once while requests want them, stacked with strengths that change freely."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from loradeck.engines import files
from loradeck.engines.base import LoraRef
from loradeck.engines.errors import BadWeights
from loradeck.engines.local import lora_file, lora_header
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family


@dataclass(frozen=True)
class Stacked:
    """What a request's pictures tell of its LoRAs: file name, strength and SHA-256 of each, and what may be off."""

    loras: tuple[tuple[str, float, str], ...]
    told: tuple[str, ...]


@dataclass(frozen=True)
class _On:
    """A LoRA on the transformer: what its file said of itself, and what of it does not act."""

    metadata: dict[str, str]
    told: tuple[str, ...]


class Stack:
    """The LoRAs on the transformer of a pipeline, as adapters named by the SHA-256 of their files."""

    def __init__(self, base: Base, family: Family, pipeline: Any, dtype: torch.dtype) -> None:
        self._base, self._family, self._pipeline, self._dtype = base, family, pipeline, dtype
        self._on: dict[str, _On] = {}

    def put_on(self, loras: Sequence[LoraRef]) -> Stacked:
        """Let exactly these act, summed with their strengths, which may be zero or negative.

        Raises BadWeights. A file that is on already is not loaded again; one that is not wanted any more is let go.
        """
        digests = [self._digest(lora) for lora in loras]
        strengths: dict[str, float] = {}
        for lora, digest in zip(loras, digests, strict=True):
            strengths[digest] = strengths.get(digest, 0.0) + lora.strength  # a file named twice acts with both
        self._let_go([digest for digest in self._on if digest not in strengths])
        for lora, digest in zip(loras, digests, strict=True):
            if digest not in self._on:
                self._load(lora, digest)
        if strengths:
            names = [_name(digest) for digest in strengths]
            self._pipeline.transformer.set_adapters(names, list(strengths.values()))
        return Stacked(
            tuple((lora.path.name, lora.strength, digest) for lora, digest in zip(loras, digests, strict=True)),
            self._told(loras, digests),
        )

    def _digest(self, lora: LoraRef) -> str:
        if lora.base_model != self._base.name:
            raise BadWeights(
                f"{lora.path.name} belongs to the base {lora.base_model}, not {self._base.name}; choose a LoRA for "
                f"{self._base.name} or draw on {lora.base_model}."
            )
        if not lora.path.is_file():
            raise BadWeights(lora_file.gone(lora.path))
        return files.sha256_file(lora.path)

    def _load(self, lora: LoraRef, digest: str) -> None:
        transformer = self._pipeline.transformer
        file = lora_file.read(lora.path, self._family, transformer, self._base.name)
        state = {f"transformer.{key}": value.to(self._dtype) for key, value in file.weights.items()}
        with warnings.catch_warnings():  # peft warns of a second adapter; stacking them is the point
            warnings.simplefilter("ignore", UserWarning)
            transformer.load_lora_adapter(state, adapter_name=_name(digest), _pipeline=self._pipeline)
        self._on[digest] = _On(file.metadata, tuple(file.told(lora.path.name)))

    def _let_go(self, digests: Sequence[str]) -> None:
        if digests:
            self._pipeline.transformer.delete_adapters([_name(digest) for digest in digests])
        for digest in digests:
            del self._on[digest]

    def _told(self, loras: Sequence[LoraRef], digests: Sequence[str]) -> tuple[str, ...]:
        told: dict[str, None] = {}
        for lora, digest in zip(loras, digests, strict=True):
            told |= dict.fromkeys(self._on[digest].told)
            if lora_header.is_of_other_weights(self._on[digest].metadata, self._base.digest):
                told[
                    f"{lora.path.name} was trained on an earlier {self._base.name} base and its look may be off on "
                    "this one; train it again with start_training."
                ] = None
        return tuple(told)


def _name(digest: str) -> str:
    """An adapter's name in peft, which takes no dots in it."""
    return f"lora_{digest}"
