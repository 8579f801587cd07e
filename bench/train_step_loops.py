"""Three loops that take a training step on one transformer: loradeck's own, diffusers' script's and ai-toolkit's.

All three see the same random latents, noise, sigmas and texts, start from the same A matrices (B is zero) and learn
with AdamW of one rate, decay and epsilon. What else a tool does in a step is as it ships: where it keeps its weights,
in what numbers it multiplies, what it computes again, and what it waits for. The peers' tensors lie on the device
before a step begins, ours come from the host as in a training.

The script is diffusers 0.42.1's ``train_dreambooth_lora_flux.py`` and ``train_dreambooth_lora_flux2_klein.py``, its
lines restated; accelerate's part (autocast in bfloat16, the prediction in float32) is written out. By default it
checkpoints nothing, keeps the LoRA in the base's numbers, looks every sigma up in its schedule with ``.item()`` and
reads the loss of every step.

ai-toolkit's network (``toolkit.lora_special.LoRASpecialNetwork``) is its own class where a checkout is given and can
be imported, which takes torchaudio, torchao, optimum-quanto and more; else its forward is restated: the LoRA in
float32 beside every layer, the input cast to it, nothing under autocast. It checkpoints every block by default, and
reads the loss of every step. Its own version of the FLUX.2 transformer is not used: all loops run diffusers' classes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from diffusers import Flux2KleinPipeline, FluxPipeline
from diffusers.optimization import get_scheduler
from peft import LoraConfig
from torch import nn

from loradeck.engines.base import TrainSpec
from loradeck.engines.local import families, frozen, placing
from loradeck.engines.local.cache import Encoded
from loradeck.engines.local.families.flux1 import GUIDANCE
from loradeck.engines.local.learner import Learner, Noisy
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.material import Material, Pairs
from loradeck.engines.local.options import Options
from loradeck.engines.local.planner import Plan

RANK, SEED, RATE, DECAY, EPSILON = 16, 1, 1e-4, 1e-4, 1e-8
PICTURES = 4

OPTIONS = Options(
    preservation=0.0, timesteps="shifted", shift=3.16, schedule="constant", warmup_steps=0, weight_decay=DECAY
)
"""A step of the full-size bases as they come, but for the warm-up, which the peers do not have."""

SCRIPT_TARGETS = {
    "flux1": "attn.to_k attn.to_q attn.to_v attn.to_out.0 attn.add_k_proj attn.add_q_proj attn.add_v_proj "
    "attn.to_add_out ff.net.0.proj ff.net.2 ff_context.net.0.proj ff_context.net.2",
    "klein": "to_k to_q to_v to_out.0 to_qkv_mlp_proj "
    + " ".join(f"single_transformer_blocks.{i}.attn.to_out" for i in range(24)),
}
"""The layers that diffusers' scripts adapt by default."""


class Loop(Protocol):
    """A tool that learns: step `i` (0-based) gives its loss, as a number or still on the device."""

    def step(self, i: int) -> torch.Tensor | float:
        """Learn once."""


@dataclass(frozen=True)
class Case:
    """A transformer to train: how it is built, its latents ``(c, h, w)``, and the shape of each text tensor.

    `base` names the full-size base whose costs are known; None for a small one.
    """

    name: str
    family: str
    build: Callable[[], Any]
    latents: tuple[int, int, int]
    text: dict[str, tuple[int, ...]]
    base: str | None = None

    def transformer(self, device: torch.device, dtype: torch.dtype) -> Any:
        """The same random weights every time, made on the device, frozen."""
        torch.manual_seed(SEED)
        usual = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with device:
                made = self.build()
        finally:
            torch.set_default_dtype(usual)
        return made.requires_grad_(False).eval()

    def material(self) -> Material:
        """A few pictures and captions of random normal numbers (zeros would be multiplied faster)."""
        chance = torch.Generator().manual_seed(SEED)
        latents = tuple(torch.randn(self.latents, generator=chance) for _ in range(PICTURES))
        texts = {name: torch.randn(PICTURES, *shape, generator=chance) for name, shape in self.text.items()}
        every, none = torch.arange(PICTURES), torch.zeros(0, dtype=torch.long)
        empty = Pairs(none, none)
        return Material(Encoded(latents, texts), Pairs(every, every), empty, empty, empty, (), (), texts, texts, {})


def spec(steps: int, resolution: int) -> TrainSpec:
    """A training of one picture a step."""
    folder = Path()  # nothing is written
    return TrainSpec(
        "run_bench", folder, "bench", "", "", "style", steps, RANK, float(RANK), RATE, 1, resolution, SEED, steps, steps
    )


class Ours:
    """The engine's learner, its transformer held and arranged as the plan says."""

    def __init__(self, case: Case, material: Material, plan: Plan) -> None:
        family, hold = families.get(case.family), placing.hold(plan)
        transformer = case.transformer(hold.device, hold.dtype)
        if plan.base != "full":
            frozen.quantise(transformer, plan.base, device=hold.device)
        self.adapter = Adapter(transformer, family, RANK, float(RANK), SEED)
        placing.arranged(transformer, plan)
        self.targets = family.targets(transformer)
        self.learner = Learner(
            family, transformer, self.adapter, material, spec(plan.ask.steps, plan.ask.resolution), OPTIONS, hold
        )

    def step(self, i: int) -> torch.Tensor:
        """The loss stays on the device; a training reads those of five steps together."""
        return self.learner.step(i).loss


@dataclass(frozen=True)
class Given:
    """What the peers are given: rows of every step on the device, the layers to adapt and the A matrices of ours."""

    case: Case
    device: torch.device
    dtype: torch.dtype
    rows: Sequence[Noisy]
    targets: Sequence[str]
    downs: dict[str, torch.Tensor]


def given(case: Case, ours: Ours, steps: int) -> Given:
    """The same for peers as for a loop of ours."""
    hold = ours.learner.hold

    def there(rows: Noisy) -> Noisy:
        text = {name: value.to(hold.device, hold.dtype) for name, value in rows.text.items()}
        image, noise = (tensor.to(hold.device, hold.dtype) for tensor in (rows.image, rows.noise))
        return Noisy(image, noise, rows.sigma.to(hold.device), text)

    rows = [there(ours.learner.learning_rows(i)) for i in range(steps)]
    downs = {
        key.removesuffix(".lora_A.weight"): value.clone()
        for key, value in ours.adapter.weights().items()
        if key.endswith(".lora_A.weight")
    }
    return Given(case, hold.device, hold.dtype, rows, ours.targets, downs)


def asked(transformer: Any, family: str, noisy: torch.Tensor, timesteps: torch.Tensor, text: Any) -> torch.Tensor:
    """The prediction ``(b, c, h, w)``; both tools make the ids on the host at every step."""
    if family == "flux1":
        return _asked_flux1(transformer, noisy, timesteps, text)
    ids = Flux2KleinPipeline._prepare_latent_ids(noisy).to(noisy.device)
    tokens = transformer(
        hidden_states=Flux2KleinPipeline._pack_latents(noisy),
        timestep=timesteps / 1000,
        guidance=None,
        encoder_hidden_states=text["states"],
        txt_ids=Flux2KleinPipeline._prepare_text_ids(text["states"]).to(noisy.device),
        img_ids=ids,
        return_dict=False,
    )[0]
    flow: torch.Tensor = Flux2KleinPipeline._unpack_latents_with_ids(tokens, ids)
    return flow


def _asked_flux1(transformer: Any, noisy: torch.Tensor, timesteps: torch.Tensor, text: Any) -> torch.Tensor:
    rows, _, height, width = noisy.shape
    tokens = transformer(
        hidden_states=FluxPipeline._pack_latents(noisy, *noisy.shape),
        timestep=timesteps / 1000,
        guidance=torch.tensor([GUIDANCE], device=noisy.device).expand(rows),
        pooled_projections=text["pooled"],
        encoder_hidden_states=text["states"],
        txt_ids=torch.zeros(text["states"].shape[1], 3).to(noisy.device, noisy.dtype),
        img_ids=FluxPipeline._prepare_latent_image_ids(rows, height // 2, width // 2, noisy.device, noisy.dtype),
        return_dict=False,
    )[0]
    flow: torch.Tensor = FluxPipeline._unpack_latents(tokens, 8 * height, 8 * width, 8)
    return flow


class DiffusersScript:
    """The loop of diffusers' DreamBooth LoRA scripts. `targets` are the layers, by default those of ours."""

    def __init__(self, given: Given, *, checkpointing: bool = False, targets: Sequence[str] | None = None) -> None:
        self._given = given
        self.transformer = given.case.transformer(given.device, given.dtype)
        if checkpointing:
            self.transformer.enable_gradient_checkpointing()
        layers = list(targets or given.targets)
        self.transformer.add_adapter(
            LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=layers)
        )
        with torch.no_grad():
            for name, down in given.downs.items():
                layer: Any = self.transformer.get_submodule(name)
                if hasattr(layer, "lora_A"):
                    layer.lora_A["default"].weight.copy_(down)
        self.transformer.train()
        trained = [weight for weight in self.transformer.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=DECAY, eps=EPSILON)
        self._schedule = get_scheduler("constant", optimizer=self._optimizer)
        # The scheduler's table, which holds the sigmas of ours, so that all loops see the same.
        self._sigmas = torch.cat([rows.sigma for rows in given.rows])
        self._timesteps = self._sigmas * 1000

    def step(self, i: int) -> float:
        """Learn, and read the loss."""
        rows, device = self._given.rows[i], self._given.device
        timesteps = rows.sigma * 1000
        with torch.autocast(device.type, torch.bfloat16, enabled=self._given.dtype == torch.bfloat16):
            sigmas = self._looked_up(timesteps, rows.image.dtype)
            noisy = (1.0 - sigmas) * rows.image + sigmas * rows.noise
            predicted = asked(self.transformer, self._given.case.family, noisy, timesteps, rows.text).float()
        target = rows.noise - rows.image
        loss = torch.mean(((predicted.float() - target.float()) ** 2).reshape(target.shape[0], -1), 1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        return float(loss.detach().item())

    def _looked_up(self, timesteps: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The script's `get_sigmas`."""
        places = [(self._timesteps == timestep).nonzero()[0].item() for timestep in timesteps]
        return self._sigmas.to(dtype)[places].flatten().view(-1, 1, 1, 1)


class AddedLora(nn.Module):
    """ai-toolkit's `LoRAModule`, its forward restated: stands in for the forward of a layer."""

    def __init__(self, layer: nn.Linear, device: torch.device) -> None:
        super().__init__()
        wide, high = layer.in_features, layer.out_features
        self.lora_down = nn.Linear(wide, RANK, bias=False, device=device, dtype=torch.float32)
        self.lora_up = nn.Linear(RANK, high, bias=False, device=device, dtype=torch.float32)
        nn.init.zeros_(self.lora_up.weight)
        self._scale, self._multiplier = torch.ones((), device=device), torch.ones(1, device=device)
        self._original = layer.forward
        layer.forward = self.forward  # type: ignore[method-assign]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(b, n, in)`` to ``(b, n, out)``: the layer, and the LoRA of the input in the LoRA's numbers."""
        out = self._original(x)
        added = self.lora_up(self.lora_down(x.to(self.lora_down.weight.dtype))) * self._scale
        multiplier = self._multiplier.repeat_interleave(len(added)).view(-1, *[1] * (added.dim() - 1))
        return out + (added * multiplier).to(out.dtype)


class AiToolkit:
    """ai-toolkit's loop, with its network class from the checkout at `path`, or restated where there is none."""

    def __init__(self, given: Given, path: Path | None = None, *, everywhere: bool = False) -> None:
        self._given = given
        self.transformer = given.case.transformer(given.device, given.dtype)
        layers = _block_layers(self.transformer) if everywhere else list(given.targets)
        self.transformer.enable_gradient_checkpointing()
        added = self._restated(layers) if path is None else self._shipped(path, layers)
        with torch.no_grad():
            for name, lora in added.items():
                if name in given.downs:
                    lora.lora_down.weight.copy_(given.downs[name])
        self.trained = [weight for lora in added.values() for weight in lora.parameters()]
        self._optimizer = torch.optim.AdamW(self.trained, lr=RATE, eps=EPSILON, weight_decay=DECAY)
        self._schedule = torch.optim.lr_scheduler.ConstantLR(self._optimizer, factor=1.0)

    def _restated(self, layers: Sequence[str]) -> dict[str, Any]:
        return {name: AddedLora(self.transformer.get_submodule(name), self._given.device) for name in layers}

    def _shipped(self, path: Path, layers: Sequence[str]) -> dict[str, Any]:
        """Its own network, made as `BaseSDTrainProcess` makes it; raises ImportError for packages it lacks."""
        sys.path.insert(0, str(path))
        from toolkit.lora_special import LoRASpecialNetwork  # type: ignore[import-not-found]

        network = LoRASpecialNetwork(
            text_encoder=None,
            unet=self.transformer,
            lora_dim=RANK,
            alpha=RANK,
            train_unet=True,
            train_text_encoder=False,
            is_transformer=True,
            target_lin_modules=[type(self.transformer).__name__],
            only_if_contains=[f"transformer.{name}" for name in layers],
        )
        network.force_to(self._given.device, dtype=torch.float32)
        network._update_torch_multiplier()
        network.apply_to(None, self.transformer, False, True)
        network.prepare_grad_etc(None, self.transformer)
        network.enable_gradient_checkpointing()
        network.is_active = True  # as within `with network:`, which every prediction of a training is
        self._network = network  # its modules know it by a weak reference
        return {lora.lora_name.removeprefix("transformer$$").replace("$$", "."): lora for lora in network.unet_loras}

    def step(self, i: int) -> float:
        """Learn, and read the loss."""
        rows = self._given.rows[i]
        self._optimizer.zero_grad()
        sigma = rows.sigma.view(-1, 1, 1, 1).to(rows.image.dtype)
        noisy = (1.0 - sigma) * rows.image + sigma * rows.noise
        predicted = asked(self.transformer, self._given.case.family, noisy, rows.sigma * 1000, rows.text)
        target = (rows.noise - rows.image).detach()
        loss = nn.functional.mse_loss(predicted.float(), target.float(), reduction="none").mean([1, 2, 3]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._schedule.step()
        return float(loss.item())


def _block_layers(transformer: Any) -> list[str]:
    """Every linear layer of the repeated blocks, the modulation of norms among them: what ai-toolkit adapts itself."""
    return [
        name
        for name, layer in transformer.named_modules()
        if isinstance(layer, nn.Linear) and "transformer_blocks" in name
    ]
