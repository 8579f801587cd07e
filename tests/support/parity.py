"""What the tests of every family's maths need: a learner on a tiny base, a LoRA that has learned, what it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from support import tiny

from loradeck.engines.local import families
from loradeck.engines.local.bases import Base
from loradeck.engines.local.learner import Learner
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.options import Options


def learner(base: Base, folder: Path) -> Learner:
    """A learner before its first step, with preservation."""
    torch.set_num_threads(1)
    family = families.get(base.family)
    loaded = family.load(base.weights)
    spec, dataset = tiny.spec(folder), tiny.dataset(folder / "images")
    options = Options(preservation=1.0)
    prepared = tiny.encoded(base, family, loaded, spec, dataset, options)
    adapter = Adapter(loaded.transformer, family, spec.rank, spec.alpha, spec.seed)
    return Learner(family, loaded.transformer, adapter, prepared, spec, options)


def marked(family: families.Family, transformer: Any) -> Adapter:
    """An adapter of rank 4, alpha 10, with random numbers everywhere."""
    adapter = Adapter(transformer, family, rank=4, alpha=10.0, seed=5)
    with torch.no_grad():
        for index, weight in enumerate(adapter.parameters().values()):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)) * 0.3)
    return adapter


def changes(tensors: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """What a LoRA adds to each weight, `B @ A` by the weight's name, with a prefix of the keys taken off."""
    modules = {key.removesuffix(".lora_A.weight") for key in tensors if key.endswith(".lora_A.weight")}
    return {
        f"{name.removeprefix(prefix)}.weight": tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
        for name in modules
    }


def agree(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    """True when both change the same weights in the same way, to 1e-6."""
    return ours.keys() == theirs.keys() and all(
        torch.allclose(ours[key], theirs[key], rtol=0, atol=1e-6) for key in ours
    )
