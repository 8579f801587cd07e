"""FLUX.2 klein: latents, ids, text and key names, as diffusers' own pipeline and training script have them.

The script (``train_dreambooth_lora_flux2_klein.py``) reads text layers 10/20/30; the pipeline, which draws,
reads 9/18/27. Text is encoded by the pipeline itself here, so that training and drawing cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel
from PIL.Image import Image

from loradeck.engines.local.families.common import DiffusersFamily, at_every_step, generators

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

PREFIX = "diffusion_model."

SINGLE = {"attn.to_qkv_mlp_proj": "linear1", "attn.to_out": "linear2"}
DOUBLE = {"attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj"}
FUSED = {
    ("attn.to_q", "attn.to_k", "attn.to_v"): "img_attn.qkv",
    ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"): "txt_attn.qkv",
}


class Klein(DiffusersFamily):
    """FLUX.2 klein (any size)."""

    pipeline_class = Flux2KleinPipeline
    transformer_class = Flux2Transformer2DModel
    most_references = 10

    @torch.no_grad()
    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """The mode of the posterior, patchified and normalised with the VAE's running statistics."""
        vae = pipeline.vae
        latents = pipeline._patchify_latents(vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode())
        mean = vae.bn.running_mean.view(1, -1, 1, 1)
        deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
        normalised: torch.Tensor = (latents - mean) / deviation
        return normalised

    @torch.no_grad()
    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """`states` ``(m, tokens, d)``: layers 9, 18 and 27 of Qwen3 side by side, by the pipeline's `encode_prompt`."""
        return {"states": pipeline.encode_prompt(prompt=list(prompts), max_sequence_length=max_tokens)[0]}

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """One pass; klein takes the timestep as sigma itself (t / 1000) and no guidance."""
        tokens = transformer(
            hidden_states=Flux2KleinPipeline._pack_latents(noisy),
            timestep=sigma,
            guidance=None,
            encoder_hidden_states=text["states"],
            txt_ids=Flux2KleinPipeline._prepare_text_ids(text["states"]).to(noisy.device),
            img_ids=Flux2KleinPipeline._prepare_latent_ids(noisy).to(noisy.device),
            return_dict=False,
        )[0]
        # The ids are the plain row-major grid, so that unpacking by ids is a reshape.
        flow: torch.Tensor = tokens.transpose(1, 2).reshape(noisy.shape)
        return flow

    def targets(self, transformer: Any) -> list[str]:
        """Attention of both streams and the single blocks; never the shared modulation or the time embedding.

        ComfyUI's key map has neither of those two, so that a LoRA on them would be dropped there in silence.
        """
        double = [*DOUBLE, *(name for group in FUSED for name in group)]
        config = transformer.config
        return [f"transformer_blocks.{i}.{name}" for i in range(config.num_layers) for name in double] + [
            f"single_transformer_blocks.{i}.{name}" for i in range(config.num_single_layers) for name in SINGLE
        ]

    def shared_inputs(self, transformer: Any) -> list[list[str]]:
        """q, k and v of a stream: the original model holds them as one matrix, and so do the files."""
        return [
            [f"transformer_blocks.{i}.{name}" for name in group]
            for i in range(transformer.config.num_layers)
            for group in FUSED
        ]

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The original model's names (`diffusion_model.double_blocks.0.img_attn.qkv ...`), q, k and v as one.

        ComfyUI and diffusers both load these; diffusers' own names for the fused single-block projection are not
        in every ComfyUI's map. Since q, k and v share A, the fused matrix keeps the rank.
        """
        modules = {key.rsplit(".lora_", 1)[0] for key in weights}
        portable: dict[str, torch.Tensor] = {}
        for first, names in sorted(_fused_names(modules).items()):
            down = weights[f"{names[0]}.lora_A.weight"]
            up = torch.cat([weights[f"{name}.lora_B.weight"] for name in names])
            portable[f"{PREFIX}{first}.lora_A.weight"] = down
            portable[f"{PREFIX}{first}.lora_B.weight"] = up
        return {key: value.contiguous().clone() for key, value in portable.items()}

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whatever key names diffusers can read for FLUX.2, by diffusers' own conversion. Raises ValueError."""
        state = Flux2KleinPipeline.lora_state_dict(tensors)
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
        references: Sequence[Image] = (),
    ) -> list[Image]:
        """The pipeline's own sampling; every picture has a generator of its own, whatever it is drawn with."""
        pictures: list[Image] = pipeline(
            image=list(references) or None,
            prompt_embeds=text["states"],
            negative_prompt_embeds=empty["states"].expand(len(seeds), -1, -1),
            generator=generators(seeds),
            width=size[0],
            height=size[1],
            num_inference_steps=steps,
            guidance_scale=guidance,
            callback_on_step_end=at_every_step(on_step),
        ).images
        return pictures


def _fused_names(modules: set[str]) -> dict[str, tuple[str, ...]]:
    """Original name of every adapted matrix, with the modules that make it up."""
    found: dict[str, tuple[str, ...]] = {}
    for index in {name.split(".")[1] for name in modules if name.startswith("transformer_blocks.")}:
        prefix = f"transformer_blocks.{index}."
        for name, original in DOUBLE.items():
            found[f"double_blocks.{index}.{original}"] = (prefix + name,)
        for group, original in FUSED.items():
            found[f"double_blocks.{index}.{original}"] = tuple(prefix + name for name in group)
    for index in {name.split(".")[1] for name in modules if name.startswith("single_transformer_blocks.")}:
        for name, original in SINGLE.items():
            found[f"single_blocks.{index}.{original}"] = (f"single_transformer_blocks.{index}.{name}",)
    return found


FAMILY = Klein()
