"""Small random transformers of every family, built from config, with an input for one pass each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel, ZImageTransformer2DModel
from peft import LoraConfig

WIDTH = 256  # 256 x 256 is the smallest layer that is quantised
TARGETS = (".to_q", ".to_k", ".to_v", ".to_out", ".to_out.0", ".to_qkv_mlp_proj", ".proj_out")


def flux(singles: int = 2) -> Any:
    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=singles,
        attention_head_dim=32,
        num_attention_heads=WIDTH // 32,
        joint_attention_dim=24,
        pooled_projection_dim=24,
        guidance_embeds=True,
        axes_dims_rope=(8, 12, 12),
    )


def flux2(singles: int = 2) -> Any:
    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=singles,
        attention_head_dim=32,
        num_attention_heads=WIDTH // 32,
        joint_attention_dim=24,
        timestep_guidance_channels=16,
        mlp_ratio=2.0,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )


def z_image(layers: int = 2) -> Any:
    return ZImageTransformer2DModel(
        in_channels=4,
        dim=WIDTH,
        n_layers=layers,
        n_refiner_layers=1,
        n_heads=WIDTH // 32,
        n_kv_heads=WIDTH // 32,
        cap_feat_dim=24,
        axes_dims=[8, 12, 12],
        axes_lens=[64, 64, 64],
    )


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def _flux_pass(transformer: Any) -> torch.Tensor:
    made: torch.Tensor = transformer(
        hidden_states=_noise(1, 16, 16),
        encoder_hidden_states=_noise(1, 5, 24),
        pooled_projections=_noise(1, 24),
        timestep=torch.tensor([0.4]),
        guidance=torch.tensor([1.0]),
        img_ids=torch.zeros(16, 3),
        txt_ids=torch.zeros(5, 3),
        return_dict=False,
    )[0]
    return made


def _flux2_pass(transformer: Any) -> torch.Tensor:
    made: torch.Tensor = transformer(
        hidden_states=_noise(1, 16, 16),
        encoder_hidden_states=_noise(1, 5, 24),
        timestep=torch.tensor([0.4]),
        img_ids=torch.zeros(1, 16, 4),
        txt_ids=torch.zeros(1, 5, 4),
        return_dict=False,
    )[0]
    return made


def _z_image_pass(transformer: Any) -> torch.Tensor:
    made: list[torch.Tensor] = transformer(
        [_noise(4, 1, 8, 8)], torch.tensor([0.6]), [_noise(5, 24)], return_dict=False
    )[0]
    return torch.stack(made)


@dataclass(frozen=True)
class Kind:
    """A family: how its transformer is made and how a pass is done."""

    name: str
    make: Callable[[int], Any]
    flow: Callable[[Any], torch.Tensor]

    def __str__(self) -> str:
        return self.name

    def frozen(self, last: int = 2) -> Any:
        """A frozen transformer, the same every time, with `last` blocks of its last kind."""
        torch.manual_seed(0)
        return self.make(last).requires_grad_(False).eval()

    def adapted(self, transformer: Any) -> Any:
        """With a LoRA of rank 4 on the attention, the same every time, and not at zero."""
        linear = [name for name, layer in transformer.named_modules() if isinstance(layer, torch.nn.Linear)]
        targets = [name for name in linear if name.endswith(TARGETS)]
        torch.manual_seed(2)
        transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights=False, target_modules=targets))
        return transformer


FLUX = Kind("flux", flux, _flux_pass)
FLUX2 = Kind("flux2", flux2, _flux2_pass)
Z_IMAGE = Kind("z-image", z_image, _z_image_pass)
KINDS = (FLUX, FLUX2, Z_IMAGE)


def trained(transformer: Any) -> dict[str, torch.nn.Parameter]:
    """The LoRA's matrices by name."""
    return {name: value for name, value in transformer.named_parameters() if value.requires_grad}


def loss_of(kind: Kind, transformer: Any) -> torch.Tensor:
    """How far a pass is from a fixed target."""
    flow = kind.flow(transformer)
    target = torch.randn(flow.shape, generator=torch.Generator().manual_seed(3))
    return (flow - target).square().mean()


def step(kind: Kind, transformer: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and the LoRA's gradients of one pass forward and back."""
    transformer.zero_grad()
    loss = loss_of(kind, transformer)
    loss.backward()
    gradients = {name: value.grad.clone() for name, value in trained(transformer).items() if value.grad is not None}
    assert gradients.keys() == trained(transformer).keys()
    return loss.detach(), gradients


def learn(kind: Kind, transformer: Any, steps: int) -> list[float]:
    """The loss of every step of a training on the fixed target."""
    optimizer = torch.optim.AdamW(trained(transformer).values(), lr=1e-2)
    losses = []
    for _ in range(steps):
        losses.append(step(kind, transformer)[0].item())
        optimizer.step()
    return losses
