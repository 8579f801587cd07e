"""LoRA files as they lie on the disk: is it one, is it whole, is it for this base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from loradeck.engines.errors import BadWeights
from loradeck.engines.local import lora_dialects
from loradeck.engines.local.families import Family

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True)
class LoraFile:
    """The matrices of a LoRA by `<module>.lora_A.weight` / `.lora_B.weight`, scale 1, float32, and its metadata.

    `left_out` names the file's tensors that are not among them; empty where the whole file was read.
    """

    weights: dict[str, torch.Tensor]
    metadata: dict[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def modules(self) -> list[str]:
        """Names of the adapted modules, sorted."""
        return sorted({key.rsplit(".lora_", 1)[0] for key in self.weights})

    @property
    def rank(self) -> int:
        """The largest rank in the file."""
        return max(self.weights[f"{name}.lora_A.weight"].shape[0] for name in self.modules)

    def told(self, name: str) -> list[str]:
        """A sentence where not all of the file called `name` acts; nothing where all does."""
        if not self.left_out:
            return []
        first, *others = self.left_out
        more = f" and {len(others)} others" if others else ""
        return [
            f"{name} holds more than is used here: it goes without {first}{more} (text encoders, norms, unknown "
            "parts), so that its look may be weaker; raise its strength if it is."
        ]


def read(path: Path, family: Family, transformer: Any, base_name: str) -> LoraFile:
    """Read a LoRA, whichever tool wrote it, and check that it fits the base. Raises BadWeights with the reason."""
    tensors, metadata = _open(path)
    kind = lora_dialects.other_kind(tensors)
    if kind is not None:
        raise BadWeights(
            f"{path.name} is a {kind}, which this engine cannot draw with; get it as a plain LoRA, or train one with "
            "start_training."
        )
    try:
        plain, left_out = lora_dialects.plain(tensors)
        rows = lora_dialects.rows(plain)
        weights = family.from_portable(plain)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise BadWeights(
            f"{path.name} holds weights whose names do not belong to a LoRA for {base_name}; choose a LoRA that was "
            f"trained on {base_name}."
        ) from error
    _check_fit(path.name, weights, transformer, base_name)
    if lora_dialects.rows(weights) < rows:  # diffusers passes over names that it does not know
        left_out.append("matrices that diffusers does not know")
    return LoraFile(_scaled(path.name, weights, metadata), metadata, tuple(left_out))


def gone(path: Path) -> str:
    """The sentence on a file that is not there."""
    return f"The LoRA file {path.name} is not there any more; list_loras shows which ones are."


def _open(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    if not path.is_file():
        raise BadWeights(gone(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = dict(file.metadata() or {})
        return load_file(path), metadata
    except (SafetensorError, OSError) as error:
        raise BadWeights(
            f"{path.name} is not a whole .safetensors file (cut short, or of another format); get the file again."
        ) from error


def _scaled(name: str, weights: dict[str, torch.Tensor], metadata: dict[str, str]) -> dict[str, torch.Tensor]:
    """Fold in an alpha that only diffusers' adapter metadata tells, over the rank that each matrix has."""
    try:
        scale = lora_dialects.told_scale(metadata)
    except ValueError as error:
        raise BadWeights(f"{name} tells its scale in a way that cannot be read; get the file again.") from error
    scaled = dict(weights)
    for module in {key.removesuffix(UP) for key in weights if key.endswith(UP)}:
        factor = scale(module, weights[module + DOWN].shape[0])
        scaled[module + UP] = weights[module + UP] if factor == 1 else weights[module + UP] * factor
    return scaled


def _check_fit(name: str, weights: dict[str, torch.Tensor], transformer: Any, base_name: str) -> None:
    modules = dict(transformer.named_modules())
    names = sorted({key.rsplit(".lora_", 1)[0] for key in weights})
    pairs = {f"{module}.lora_{part}.weight" for module in names for part in "AB"}
    if not names or weights.keys() != pairs:
        raise BadWeights(f"{name} holds no LoRA, or half of one; choose a LoRA that was trained on {base_name}.")
    for module in names:
        layer = getattr(modules.get(module), "base_layer", modules.get(module))
        if layer is None or not _fits(weights, module, layer):
            raise BadWeights(
                f"{name} was trained for another base than {base_name}: {module} is not there or has another size. "
                f"Choose a LoRA for {base_name}."
            )


def _fits(weights: dict[str, torch.Tensor], module: str, layer: Any) -> bool:
    down, up = weights[f"{module}.lora_A.weight"], weights[f"{module}.lora_B.weight"]
    rank = down.shape[0]
    return tuple(down.shape) == (rank, layer.in_features) and tuple(up.shape) == (layer.out_features, rank)
