"""Z-Image and Z-Image base: latents, text of its own length, a clock that runs backwards, and key names.

The maths is that of diffusers' `ZImagePipeline` and ``train_dreambooth_lora_z_image.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from PIL.Image import Image

from loradeck.engines.local.families.common import DiffusersFamily, at_every_step, filled_up, generators
from loradeck.engines.local.families.portable import PREFIX, folded

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")

FUSED = ".attention.qkv.lora_"
OUT = ".attention.out.lora_"


class ZImage(DiffusersFamily):
    """Z-Image. Draws from words alone."""

    pipeline_class = ZImagePipeline
    transformer_class = ZImageTransformer2DModel

    @torch.no_grad()
    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """The mode of the posterior, less the VAE's shift and times its scale."""
        vae = pipeline.vae
        latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
        scaled: torch.Tensor = (latents - vae.config.shift_factor) * vae.config.scaling_factor
        return scaled

    @torch.no_grad()
    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """The last layer of Qwen3 but one, by the pipeline's `encode_prompt`.

        The transformer gets a prompt's own tokens alone, whose number is in `lengths` (see `filled_up`).
        """
        said, _ = pipeline.encode_prompt(
            prompt=list(prompts),
            device=pipeline.text_encoder.device,
            do_classifier_free_guidance=False,
            max_sequence_length=max_tokens,
        )
        return filled_up(said, max_tokens)

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """One pass; the transformer's clock runs from noise (0) to picture (1), and so does what it predicts."""
        predicted = transformer(list(noisy.unsqueeze(2).unbind()), 1 - sigma, words(text), return_dict=False)[0]
        return -torch.stack(predicted).squeeze(2)

    def targets(self, transformer: Any) -> list[str]:
        """Attention of the layers and of both refiners, as the script's default has it."""
        config = transformer.config
        blocks = [f"layers.{i}" for i in range(config.n_layers)] + [
            f"{refiner}.{i}" for refiner in ("noise_refiner", "context_refiner") for i in range(config.n_refiner_layers)
        ]
        return [f"{block}.attention.{name}" for block in blocks for name in PROJECTIONS]

    def shared_inputs(self, transformer: Any) -> list[list[str]]:  # noqa: ARG002 - none in any Z-Image
        """None: the file holds q, k and v apart, each with a down-projection of its own, as the script's does."""
        return []

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Diffusers' module names after `diffusion_model.`, which ComfyUI maps onto its fused q, k and v.

        The fused names (`attention.qkv`) would be ComfyUI's alone: diffusers does not split them.
        """
        return {f"{PREFIX}{key}": value.contiguous().clone() for key, value in weights.items()}

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whatever key names diffusers can read for Z-Image, and the original model's own. Raises ValueError."""
        state = ZImagePipeline.lora_state_dict(_split(folded(tensors)))
        return {key.removeprefix("transformer."): value.float() for key, value in state.items()}

    def draw(
        self,
        pipeline: Any,
        text: Text,
        empty: Text,
        seeds: Sequence[int],
        size: tuple[int, int],
        steps: int,
        guidance: float,
        on_step: Callable[[], None],
        references: Sequence[Image] = (),  # noqa: ARG002 - most_references is 0
    ) -> list[Image]:
        """The pipeline's own sampling. Guidance counts from 0 (none, for the turbo); Z-Image base draws at 4 or so."""
        pictures: list[Image] = pipeline(
            prompt_embeds=words(text),
            negative_prompt_embeds=words(empty) * len(seeds),
            generator=generators(seeds),
            width=size[0],
            height=size[1],
            num_inference_steps=steps,
            guidance_scale=guidance,
            callback_on_step_end=at_every_step(on_step),
        ).images
        return pictures


def words(text: Text) -> list[torch.Tensor]:
    """Every prompt's tokens ``(length, d)``, without what filled them up."""
    return [states[:length] for states, length in zip(text["states"], text["lengths"].tolist(), strict=True)]


def _split(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The original model's `attention.qkv` as three with the same A, and its `attention.out` by diffusers' name."""
    found: dict[str, torch.Tensor] = {}
    for key, value in tensors.items():
        before, fused, after = key.partition(FUSED)
        if not fused:
            found[key.replace(OUT, ".attention.to_out.0.lora_")] = value
            continue
        parts = value.chunk(3) if after.startswith("B.") else (value,) * 3
        for name, part in zip(PROJECTIONS[:3], parts, strict=True):
            found[f"{before}.attention.{name}.lora_{after}"] = part
    return found


FAMILY = ZImage()
