"""What FLUX.2 dev and klein share: latents, ids, targets and key names, as diffusers' pipelines and scripts do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers import Flux2Pipeline, Flux2Transformer2DModel
from PIL.Image import Image

from loradeck.engines.errors import BadSpec
from loradeck.engines.local.families.common import DiffusersFamily, at_every_step, generators
from loradeck.engines.local.families.flux2_names import NAMING
from loradeck.engines.local.families.portable import PREFIX, folded
from loradeck.engines.lora_naming import Matrix

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text


class Flux2Family(DiffusersFamily):
    """The FLUX.2 architecture. A subclass names the pipeline, and says how guidance comes in."""

    transformer_class = Flux2Transformer2DModel
    most_references = 10
    trained_guidance: ClassVar[float | None] = None
    """The guidance that the transformer is told in training; None where it has no input for one."""
    draws_against_empty: ClassVar[bool] = False
    """True where a picture is guided away from what the empty prompt gives."""

    @torch.no_grad()
    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """The mode of the posterior, patchified and normalised with the VAE's running statistics."""
        return normalised_latents(pipeline.vae, pixels)

    @torch.no_grad()
    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """`states` ``(m, tokens, d)``: three layers of the text encoder side by side, by `encode_prompt` itself."""
        device = pipeline.text_encoder.device
        states = pipeline.encode_prompt(prompt=list(prompts), max_sequence_length=max_tokens, device=device)[0]
        return {"states": states}

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """One pass; the timestep is sigma itself (t / 1000)."""
        states = text["states"]
        tokens = transformer(
            hidden_states=Flux2Pipeline._pack_latents(noisy),
            timestep=sigma,
            guidance=None if self.trained_guidance is None else torch.full_like(sigma, self.trained_guidance),
            encoder_hidden_states=states,
            txt_ids=text_ids(states.shape[1], noisy.device).expand(len(states), -1, -1),
            img_ids=latent_ids(noisy.shape[2], noisy.shape[3], noisy.device).expand(len(noisy), -1, -1),
            return_dict=False,
        )[0]
        # The ids are the plain row-major grid, so that unpacking by ids is a reshape.
        flow: torch.Tensor = tokens.transpose(1, 2).reshape(noisy.shape)
        return flow

    def targets(self, transformer: Any) -> list[str]:
        """Attention of both streams and the single blocks; never the shared modulation or the time embedding.

        ComfyUI's key map has neither of those two, so that a LoRA on them would be dropped there in silence.
        """
        return [module for matrix in _matrices(transformer) for module in matrix.modules]

    def shared_inputs(self, transformer: Any) -> list[list[str]]:
        """q, k and v of a stream: the original model holds them as one matrix, and so do the files."""
        return [list(matrix.modules) for matrix in _matrices(transformer) if len(matrix.modules) > 1]

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The original model's names (`diffusion_model.double_blocks.0.img_attn.qkv ...`), q, k and v as one.

        ComfyUI and diffusers both load these; diffusers' own names for the fused single-block projection are not
        in every ComfyUI's map. Since q, k and v share A, the fused matrix keeps the rank.
        """
        portable: dict[str, torch.Tensor] = {}
        for matrix in NAMING.trained(*NAMING.depths(weights)):
            down = weights[f"{matrix.modules[0]}.lora_A.weight"]
            up = torch.cat([weights[f"{module}.lora_B.weight"] for module in matrix.modules])
            portable[f"{PREFIX}{matrix.original}.lora_A.weight"] = down
            portable[f"{PREFIX}{matrix.original}.lora_B.weight"] = up
        return {key: value.contiguous().clone() for key, value in portable.items()}

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whatever key names diffusers can read for FLUX.2, by diffusers' own conversion. Raises ValueError."""
        state = Flux2Pipeline.lora_state_dict(folded(tensors))
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
        """The pipeline's own sampling; every picture has a generator of its own, whatever it is drawn with.

        Raises:
            BadSpec: a reference is too small or too narrow.
        """
        guided: dict[str, Any] = {}
        if self.draws_against_empty:
            guided["negative_prompt_embeds"] = empty["states"].expand(len(seeds), -1, -1)
        pictures: list[Image] = pipeline(
            image=_taken(pipeline, references) or None,
            prompt_embeds=text["states"],
            generator=generators(seeds),
            width=size[0],
            height=size[1],
            num_inference_steps=steps,
            guidance_scale=guidance,
            callback_on_step_end=at_every_step(on_step),
            **guided,
        ).images
        return pictures


def normalised_latents(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels ``(b, 3, H, W)`` to the VAE's latents, 2 x 2 of them as channels of one, with its running statistics."""
    latents = Flux2Pipeline._patchify_latents(vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode())
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    normalised: torch.Tensor = (latents - mean) / deviation
    return normalised


def _taken(pipeline: Any, references: Sequence[Image]) -> list[Image]:
    """The references as the pipeline takes them: in three colours, and of a shape that it accepts."""
    for number, picture in enumerate(references, 1):
        try:
            pipeline.image_processor.check_image_input(picture)
        except ValueError as error:
            raise BadSpec(
                f"Reference {number} is {picture.width} x {picture.height} pixels; FLUX.2 takes pictures of 64 pixels "
                "a side or more whose long side is at most 8 times the short one. Give a larger or less narrow one."
            ) from error
    return [picture.convert("RGB") for picture in references]


@lru_cache(maxsize=64)
def text_ids(tokens: int, device: torch.device) -> torch.Tensor:
    """Places of text tokens ``(1, tokens, 4)``, made once: a copy from the host at every step would wait for it."""
    ids: torch.Tensor = Flux2Pipeline._prepare_text_ids(torch.empty(1, tokens, 0)).to(device)
    return ids


@lru_cache(maxsize=64)
def latent_ids(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Places of latents ``(1, height * width, 4)``, made once for every shape of picture."""
    ids: torch.Tensor = Flux2Pipeline._prepare_latent_ids(torch.empty(1, 0, height, width)).to(device)
    return ids


def _matrices(transformer: Any) -> list[Matrix]:
    """Every matrix that is trained, as deep as the model is."""
    return list(NAMING.trained(transformer.config.num_layers, transformer.config.num_single_layers))
