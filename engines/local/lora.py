"""The adapter in training: where it sits, how it starts, how it is switched off, how it leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn import functional
from torch.nn.utils import skip_init

from loradeck.engines.errors import BadSpec
from loradeck.engines.local.families import Family
from loradeck.engines.local.lora_file import LoraFile
from loradeck.engines.local.seeds import stream
from loradeck.engines.local.shrink import shrunk

ADAPTER = "look"


class Matrix(torch.nn.Linear):
    """One matrix of the LoRA: kept in float32, multiplied in the type of what comes in.

    peft would bring what comes in to float32 instead, a copy for every layer that holds on to it until the backward.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x @ weight.T`` in the type of x."""
        return functional.linear(x, self.weight.to(x.dtype))


class Adapter:
    """A LoRA on a frozen transformer, through peft.

    Layers that read the same input share one down-projection A (see the family), which is how the original models
    hold q, k and v and how the exported file holds the LoRA. Its matrices are float32 whatever the base's are: a step
    is too small for bfloat16, which would round it away (diffusers' scripts do the same, `cast_training_params`).
    """

    def __init__(self, transformer: Any, family: Family, rank: int, alpha: float, seed: int) -> None:
        self._family = family
        self._scale = alpha / rank
        targets = family.targets(transformer)
        transformer.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets), ADAPTER)
        modules = dict(transformer.named_modules())
        self._layers: dict[str, Any] = {name: modules[name] for name in targets}
        self._shared, self._rank = family.shared_inputs(transformer), rank
        for layer in self._layers.values():
            layer.cast_input_dtype_enabled = False  # peft's own switch: x stays as it is
            for part in (layer.lora_A, layer.lora_B):
                made = part[ADAPTER]
                shape = (made.in_features, made.out_features)
                matrix = skip_init(Matrix, *shape, bias=False, device=made.weight.device)  # type: ignore[no-untyped-call]
                part[ADAPTER] = matrix
        for group in self._shared:
            for name in group[1:]:
                self._layers[name].lora_A[ADAPTER].weight = self._layers[group[0]].lora_A[ADAPTER].weight
        self._start(seed)

    def _start(self, seed: int) -> None:
        """A is gaussian with deviation 1 / rank as in the official script, B is zero."""
        with torch.no_grad():
            for index, layer in enumerate(self._layers.values()):
                down = layer.lora_A[ADAPTER].weight
                down.copy_(torch.randn(down.shape, generator=stream(seed, "lora", index)) / down.shape[0])
                layer.lora_B[ADAPTER].weight.zero_()

    def warm_start(self, file: LoraFile) -> None:
        """Start from another LoRA. One of lower rank fills the first rows; the rest starts as new.

        Raises:
            BadSpec: the file's rank is higher, or its q, k and v do not share a down-projection.
        """
        rank = next(iter(self._layers.values())).lora_A[ADAPTER].weight.shape[0]
        if file.rank > rank:
            raise BadSpec(f"The LoRA to start from has rank {file.rank}; set rank to {file.rank} or more.")
        with torch.no_grad():
            for name in file.modules:
                if name not in self._layers:
                    raise BadSpec(f"The LoRA to start from adapts {name}, which this training does not; start afresh.")
                down, up = file.weights[f"{name}.lora_A.weight"], file.weights[f"{name}.lora_B.weight"]
                layer = self._layers[name]
                layer.lora_A[ADAPTER].weight[: down.shape[0]] = down
                layer.lora_B[ADAPTER].weight[:, : up.shape[1]] = up / self._scale
        self._check_shared(file)

    def _check_shared(self, file: LoraFile) -> None:
        """Raise BadSpec where layers that share a down-projection have different ones in the file."""
        for group in self._shared:
            downs = [file.weights[f"{name}.lora_A.weight"] for name in group if name in file.modules]
            if not all(torch.equal(downs[0], down) for down in downs):
                raise BadSpec("The LoRA to start from keeps q, k and v apart, which cannot be continued; start afresh.")

    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by a stable name; a shared matrix comes once."""
        found: dict[str, torch.nn.Parameter] = {}
        seen: set[int] = set()
        for name, layer in self._layers.items():
            for part in ("lora_A", "lora_B"):
                weight = getattr(layer, part)[ADAPTER].weight
                if id(weight) not in seen:
                    seen.add(id(weight))
                    found[f"{name}.{part}"] = weight
        return found

    @torch.no_grad()
    def restore(self, kept: Mapping[str, torch.Tensor]) -> bool:
        """Put back the weights that `parameters` named; False where they had a higher rank and were shrunk to fit.

        What the optimiser remembers of a higher rank says nothing of this one.
        """
        trained = self.parameters()
        if all(weight.shape == kept[name].shape for name, weight in trained.items()):
            for name, weight in trained.items():
                weight.copy_(kept[name])
            return True
        for names in self._groups():
            down, ups = shrunk(kept[f"{names[0]}.lora_A"], [kept[f"{name}.lora_B"] for name in names], self._rank)
            trained[f"{names[0]}.lora_A"].copy_(down)
            for name, up in zip(names, ups, strict=True):
                trained[f"{name}.lora_B"].copy_(up)
        return False

    def _groups(self) -> list[list[str]]:
        """Every layer once, those that share a down-projection together."""
        shared = [group for group in self._shared if group[0] in self._layers]
        grouped = {name for group in shared for name in group}
        return [*shared, *([name] for name in self._layers if name not in grouped)]

    @contextmanager
    def off(self) -> Iterator[None]:
        """The frozen base alone, for as long as the block lasts."""
        self._switch(False)
        try:
            yield
        finally:
            self._switch(True)

    def _switch(self, on: bool) -> None:
        for layer in self._layers.values():
            tuner: BaseTunerLayer = layer
            tuner.enable_adapters(on)

    def weights(self) -> dict[str, torch.Tensor]:
        """The LoRA by module name with alpha folded into B, float32, detached."""
        found: dict[str, torch.Tensor] = {}
        for name, layer in self._layers.items():
            found[f"{name}.lora_A.weight"] = layer.lora_A[ADAPTER].weight.detach()
            found[f"{name}.lora_B.weight"] = layer.lora_B[ADAPTER].weight.detach() * self._scale
        return found

    @torch.no_grad()
    def norm(self) -> float:
        """Frobenius norm of the change to all matrices together; of B A without making it, as the trace of products."""
        total = 0.0
        for layer in self._layers.values():
            down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
            total += float(((up.T @ up) * (down @ down.T)).sum())
        return self._scale * math.sqrt(max(0.0, total))

    def portable(self) -> dict[str, torch.Tensor]:
        """The LoRA under the key names that other tools read."""
        return self._family.to_portable(self.weights())
