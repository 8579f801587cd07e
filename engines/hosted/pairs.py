"""The matrices of a LoRA file by what its header says: every A with its B, and the scale between them.

Tools end the names of the two differently, and put different things in front (see `lora_dialects`); what is between is
the matrix's own name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loradeck.engines.errors import BadWeights
from loradeck.engines.local.lora_dialects import ALPHA, BESIDE, DOWN, ELSEWHERE, UP, other_kind, told_scale

PREFIXES = re.compile(
    r"^(?:(?:model\.)?diffusion_model\.|transformer\.|base_model\.model\.|unet\.|lora_unet__?|lora_transformer_|lycoris_)+"
)


@dataclass(frozen=True)
class Tensor:
    """A tensor by its entry in the header: name in the file, type of its numbers, shape."""

    key: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A and B of one matrix, whose change is `scale` B A; `name` is the matrix's in the file, without what is around.

    `alpha` is the tensor of a scale that stands beside them, over the rank.
    """

    name: str
    down: Tensor
    up: Tensor
    alpha: str | None

    @property
    def rank(self) -> int:
        """Rows of A."""
        return self.down.shape[0]


@dataclass(frozen=True)
class Pairs:
    """The pairs of a file, and the names of tensors that are none and are left out."""

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    told_scale: Callable[[str, int], float]
    """What diffusers' adapter metadata says, by diffusers' module and rank."""


AT_THE_HOST = "look at the run at the host"


def read(file: str, tensors: Mapping[str, Any], metadata: Mapping[str, str], instead: str = AT_THE_HOST) -> Pairs:
    """The pairs that a header names.

    Raises BadWeights where it is no LoRA; its sentence calls the file `file` and ends with what to do `instead`.
    """
    kind = other_kind(tensors)
    if kind is not None:
        raise BadWeights(
            f"{file} is a {kind} and not a plain LoRA, which nothing here can draw with; train again with a trainer of "
            "plain LoRAs, or export it as one there."
        )
    left_out = {key for key in tensors if key.startswith(ELSEWHERE) or key.endswith(BESIDE)}
    ends = [_ends(key) for key in tensors.keys() - left_out]
    strange = sorted(path for path, end in ends if not end)
    if strange:
        raise BadWeights(f"{file} is no LoRA: it holds {strange[0][:80]!r}, which is neither half of one; {instead}.")
    down, up, alpha = (_by_path(tensors, ends, endings) for endings in (DOWN, UP, (ALPHA,)))
    if not down or down.keys() != up.keys():
        what = "half of a LoRA" if down or up else "no LoRA"
        raise BadWeights(f"{file} holds {what}; get the file again, or {instead}.")
    pairs = tuple(
        Pair(PREFIXES.sub("", path), down[path], up[path], alpha[path].key if path in alpha else None)
        for path in sorted(down)
    )
    _check_shapes(file, pairs, instead)
    try:
        return Pairs(pairs, tuple(sorted(left_out)), told_scale(metadata))
    except ValueError as error:
        raise BadWeights(f"{file} tells its scale in a way that cannot be read; get the file again.") from error


def _ends(key: str) -> tuple[str, str]:
    """A name without its ending, and the ending; the whole name and "" where it ends otherwise."""
    ending = next((ending for ending in (*DOWN, *UP, ALPHA) if key.endswith(ending)), "")
    return key.removesuffix(ending), ending


def _by_path(
    tensors: Mapping[str, Any], ends: Iterable[tuple[str, str]], endings: tuple[str, ...]
) -> dict[str, Tensor]:
    """The tensors that end so, by their names without it."""
    found = {path: path + ending for path, ending in ends if ending in endings}
    return {path: Tensor(key, tensors[key]["dtype"], tuple(tensors[key]["shape"])) for path, key in found.items()}


def _check_shapes(file: str, pairs: Iterable[Pair], instead: str) -> None:
    """Raise BadWeights where an A and a B are no matrices, or do not fit each other."""
    for pair in pairs:
        flat = len(pair.down.shape) == len(pair.up.shape) == 2
        if not flat or pair.down.shape[0] != pair.up.shape[1] or pair.rank == 0:
            raise BadWeights(
                f"{file} holds two halves for {pair.name[:80]} that do not fit each other; get the file again, or "
                f"{instead}."
            )
