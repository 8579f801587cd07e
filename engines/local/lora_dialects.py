"""LoRA files of other tools, made plain before a family reads their names: the transformer alone, at scale 1.

kohya and those who follow it write `lora_down` and `lora_up`, and a scale beside them (`alpha`, over the rank);
diffusers and peft write `lora_A` and `lora_B`. Names with underscores for dots (`lora_unet_...`) keep kohya's endings,
by which diffusers knows them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from loradeck.engines import tensor_file

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

DOWN = (".lora_A.weight", ".lora_down.weight", ".lora_A.default.weight")
UP = (".lora_B.weight", ".lora_up.weight", ".lora_B.default.weight")
"""How the names of A and of B end: peft's and diffusers', kohya's, and peft's before diffusers trims them."""

ALPHA = ".alpha"
FLAT = ("lora_", "lycoris_")
"""How names with underscores for dots begin."""

ELSEWHERE = ("lora_te", "text_encoder", "bundle_emb")
"""How names begin that belong to text encoders: kohya's, diffusers' and ComfyUI's, OneTrainer's embeddings."""
BESIDE = (".diff", ".diff_b", ".bias")
"""How names end that hold a change of a norm, of a bias or of a whole matrix, and not one of low rank."""

OTHER_KINDS = {".dora_scale": "DoRA", ".lora_magnitude_vector": "DoRA", ".lokr_": "LoKr", ".hada_": "LoHa"}
"""Marks of what is trained like a LoRA but is not the product of two matrices."""

ADAPTER_METADATA = "lora_adapter_metadata"
"""Where diffusers keeps an adapter's alpha, when it is not folded in."""
NAME = re.compile(r"\^?[\w.-]+")


def other_kind(names: Iterable[str]) -> str | None:
    """What the file holds in place of a LoRA, going by the names of its tensors."""
    return next((kind for key in names for mark, kind in OTHER_KINDS.items() if mark in key), None)


def told_scale(metadata: Mapping[str, str]) -> Callable[[str, int], float]:
    """The scale that only diffusers' adapter metadata tells, by module and rank; 1 where it tells none.

    Raises:
        ValueError: what stands there is no such metadata, or no number of it can be a scale.
    """
    told = tensor_file.object_in(metadata, ADAPTER_METADATA)
    try:
        own = told.get("transformer.alpha_pattern") or {}
        alphas = [_alpha(told.get("transformer.lora_alpha") or 0), *map(_alpha, own.values())]
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{ADAPTER_METADATA} is not as diffusers writes it") from error
    places = {_name(pattern): place for place, pattern in reversed([*enumerate(own, 1)])}
    power = 0.5 if told.get("transformer.use_rslora") else 1.0

    def scale(module: str, rank: int) -> float:
        """As peft does: the first pattern acts that is the module's name, or its end behind a dot."""
        parts = module.split(".")
        ends = [f"^{module}", *(".".join(parts[start:]) for start in range(len(parts)))]
        alpha = alphas[min((places[end] for end in ends if end in places), default=0)]
        return alpha / rank**power if alpha else 1.0

    return scale


def _alpha(told: Any) -> float:
    """A number over which a rank can be. Raises TypeError, ValueError, OverflowError."""
    alpha = float(told)
    if not math.isfinite(alpha):
        raise ValueError("an alpha is not finite")
    return alpha


def _name(pattern: str) -> str:
    """A pattern of peft's that is a name, as all are that diffusers' trainers write; `^` in front binds its beginning.

    Raises ValueError for other patterns: a stranger's can take hours to be matched.
    """
    name = pattern.replace("\\.", ".")
    if not NAME.fullmatch(name):
        raise ValueError("a pattern is no module's name")
    return name


def plain(tensors: Tensors) -> tuple[Tensors, list[str]]:
    """The transformer's matrices with their scale folded into B, and the names of what a transformer's LoRA lacks.

    Raises:
        KeyError: a scale stands beside one matrix without the other.
    """
    left_out = {key for key in tensors if key.startswith(ELSEWHERE) or key.endswith(BESIDE)}
    kept = {key: value for key, value in tensors.items() if key not in left_out}
    return {_named(key): value for key, value in _folded(kept).items()}, sorted(left_out)


def _folded(tensors: Tensors) -> Tensors:
    """Every pair at scale 1; a scale that belongs to no pair is dropped."""
    found = {key: value for key, value in tensors.items() if not key.endswith(ALPHA)}
    for key in tensors.keys() - found.keys():
        path = key.removesuffix(ALPHA)
        up = next((path + ending for ending in UP if path + ending in found), None)
        if up is not None:
            rank = found[path + DOWN[UP.index(up.removeprefix(path))]].shape[0]
            found[up] = found[up].float() * (float(tensors[key]) / rank)
    return found


def _named(key: str) -> str:
    """The name with diffusers' endings, unless it is one of those that kohya's endings belong to."""
    if key.startswith(FLAT):
        return key
    for plain_ending, endings in ((DOWN[0], DOWN), (UP[0], UP)):
        for ending in endings:
            if key.endswith(ending):
                return key.removesuffix(ending) + plain_ending
    return key


def rows(tensors: Tensors) -> int:
    """Rows of all B together, which cutting a fused matrix into its parts leaves as they are."""
    return sum(value.shape[0] for key, value in tensors.items() if key.endswith(UP))
