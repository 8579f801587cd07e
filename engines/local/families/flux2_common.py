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
from loradeck.engines.local.families.portable import PREFIX, folded

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

SINGLE = {"attn.to_qkv_mlp_proj": "linear1", "attn.to_out": "linear2"}
DOUBLE = {"attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj"}
FUSED = {
    ("attn.to_q", "attn.to_k", "attn.to_v"): "img_attn.qkv",
    ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"): "txt_attn.qkv",
}


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
