"""FLUX.1: latents, ids, text and key names, as diffusers' own pipeline and training script have them.

The script is ``train_dreambooth_lora_flux.py``. Text is encoded by the pipeline itself, so that training and drawing
cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from PIL.Image import Image

from loradeck.engines.local.families import flux1_names as names
from loradeck.engines.local.families.common import DiffusersFamily, at_every_step, generators
from loradeck.engines.lora_naming import Matrix

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

GUIDANCE = 1.0
"""The guidance that a distilled model is told while it learns.

kohya's guide (``--guidance_scale 1.0``) and ai-toolkit train so; the official script's default is 3.5.
"""


class Flux1(DiffusersFamily):
    """FLUX.1 (dev, and models of the same architecture)."""

    pipeline_class = FluxPipeline
    transformer_class = FluxTransformer2DModel
    text_parts = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")

    @torch.no_grad()
    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """The mode of the posterior, shifted and scaled, ``(b, 16, h, w)``.

        The script draws a new sample of the posterior whenever it sees a picture. Here a picture is encoded once and
        kept: one sample for ever would be noise to learn, and the mode is what samples scatter around, and what
        diffusers' Kontext pipeline encodes its references to.
        """
        vae = pipeline.vae
        latents = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
        normalised: torch.Tensor = (latents - vae.config.shift_factor) * vae.config.scaling_factor
        return normalised

    @torch.no_grad()
    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """`states` ``(m, tokens, 4096)`` of T5 and `pooled` ``(m, 768)`` of CLIP, by the pipeline's `encode_prompt`."""
        states, pooled, _ = pipeline.encode_prompt(
            prompt=list(prompts), max_sequence_length=max_tokens, device=pipeline.text_encoder.device
        )
        return {"states": states, "pooled": pooled}

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """One pass; FLUX.1 takes the timestep as sigma itself (t / 1000)."""
        rows, channels, height, width = noisy.shape
        told = torch.full((rows,), GUIDANCE, device=noisy.device) if transformer.config.guidance_embeds else None
        words, places = ids(text["states"].shape[1], height // 2, width // 2, noisy.device)
        tokens = transformer(
            hidden_states=FluxPipeline._pack_latents(noisy, rows, channels, height, width),
            timestep=sigma,
            guidance=told,
            pooled_projections=text["pooled"],
            encoder_hidden_states=text["states"],
            txt_ids=words,
            img_ids=places,
            return_dict=False,
        )[0]
        # Told a scale factor of 1, the pipeline's function takes the height and width of the latents themselves.
        flow: torch.Tensor = FluxPipeline._unpack_latents(tokens, height, width, 1)
        return flow

    def targets(self, transformer: Any) -> list[str]:
        """Attention and MLP of both streams and of the single blocks; never the modulation or the embeddings."""
        return [module for matrix in _matrices(transformer) for module in matrix.modules]

    def shared_inputs(self, transformer: Any) -> list[list[str]]:
        """What the original model holds as one matrix: q, k and v of a stream, in a single block the MLP with them."""
        return [list(matrix.modules) for matrix in _matrices(transformer) if len(matrix.modules) > 1]

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The original model's names, where diffusers reads them; else diffusers' own, which ComfyUI reads too.

        diffusers knows original names of FLUX.1 by kohya's endings alone (`lora_down`), passes over others in silence,
        and cuts fused matrices at FLUX.1's own width: a smaller model of the architecture must go by its module names.
        """
        if _diffusers_reads_originals(weights):
            named = names.to_original(weights, ".lora_down.weight", ".lora_up.weight")
            portable = {f"diffusion_model.{key}": value for key, value in named.items()}
        else:
            portable = {f"transformer.{key}": value for key, value in weights.items()}
        return {key: value.contiguous().clone() for key, value in portable.items()}

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whatever names `flux1_names` knows, at any width. Raises ValueError."""
        return names.to_modules(tensors)

    def looking_at(self, references: Sequence[Image], size: tuple[int, int]) -> dict[str, Any]:  # noqa: ARG002
        """What the pipeline is given to draw with reference pictures; FLUX.1 itself takes none."""
        return {}

    def draw(
        self,
        pipeline: Any,
        text: Text,
        empty: Text,  # noqa: ARG002 - guidance is told to the model, not drawn against an empty prompt
        seeds: Sequence[int],
        size: tuple[int, int],
        steps: int,
        guidance: float,
        on_step: Callable[[], None],
        references: Sequence[Image] = (),
    ) -> list[Image]:
        """The pipeline's own sampling; every picture has a generator of its own, whatever it is drawn with."""
        pictures: list[Image] = pipeline(
            prompt_embeds=text["states"],
            pooled_prompt_embeds=text["pooled"],
            generator=generators(seeds),
            width=size[0],
            height=size[1],
            num_inference_steps=steps,
            guidance_scale=guidance,
            callback_on_step_end=at_every_step(on_step),
            **self.looking_at(references, size),
        ).images
        return pictures


@lru_cache(maxsize=64)
def ids(tokens: int, height: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of the words ``(tokens, 3)``, all zero, and of the places ``(height * width, 3)``.

    Kept on the device: made anew, they would be copied from the host at every step.
    """
    places = FluxPipeline._prepare_latent_image_ids(1, height, width, device, torch.float32)
    return torch.zeros(tokens, 3, device=device), places


def _matrices(transformer: Any) -> list[Matrix]:
    """Every matrix that is trained, as deep as the model is."""
    return list(names.NAMING.trained(transformer.config.num_layers, transformer.config.num_single_layers))


def _diffusers_reads_originals(weights: dict[str, torch.Tensor]) -> bool:
    widths = {value.shape[1] for key, value in weights.items() if key.endswith("attn.to_q.lora_A.weight")}
    double, single = names.NAMING.depths(weights)
    return widths == {names.READ_WIDTH} and double <= names.READ_DOUBLE and single <= names.READ_SINGLE


FAMILY = Flux1()
