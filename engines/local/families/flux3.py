"""FLUX.3 klein: FLUX.2's latents, a text of Qwen3-VL in windows of 80 tokens, and a pipeline put together from blocks.

There is no training script of diffusers' for it; the maths is that of its modular pipeline (`modular_pipelines/flux3`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKLFlux2, Flux3ModularPipeline, Flux3Transformer2DModel
from diffusers.modular_pipelines import ComponentSpec, ModularPipelineBlocks
from diffusers.modular_pipelines.flux3 import Flux3AutoBlocks
from diffusers.modular_pipelines.flux3.before_denoise import Flux3TextRoPEInputsStep, _prepare_image_ids
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep
from PIL.Image import Image
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from loradeck.engines.local.families.common import DiffusersFamily, filled_up, generators
from loradeck.engines.local.families.flux2_common import normalised_latents
from loradeck.engines.local.families.portable import PREFIX, folded

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

ROPE_SCALE = 0.5
"""The model was trained with places of latents scaled so (`Flux3PrepareLatentsStep`)."""

PARTS: dict[str, Any] = {
    "vae": AutoencoderKLFlux2,
    "text_encoder": Qwen3VLForConditionalGeneration,
    "transformer": Flux3Transformer2DModel,
}

ORIGINAL = {"attn.to_q": "q_proj", "attn.to_k": "k_proj", "attn.to_v": "v_proj", "attn.to_out.0": "attn_out"}
BLOCKS = {"mode_blocks.": "content_mode_blocks.", "single_transformer_blocks.": "single_blocks."}


class Words:
    """A tokenizer where the pipeline looks for a processor of text and pictures, which opens only with torchvision."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.apply_chat_template = tokenizer.apply_chat_template


class Encoded(ModularPipelineBlocks):  # type: ignore[misc]
    """Stands where the pipeline would encode a prompt, which is encoded already: keeps the encoder among its parts."""

    model_name = "flux3"

    @property
    def expected_components(self) -> list[ComponentSpec]:
        """The parts that `encode_prompts` works with."""
        parts: list[ComponentSpec] = Flux3TextEncoderStep().expected_components
        return parts

    def __call__(self, components: Any, state: Any) -> tuple[Any, Any]:
        """Changes nothing."""
        return components, state


class Ear(ModularPipelineBlocks):  # type: ignore[misc]
    """The last block of every step of a drawing: calls the pipeline's `on_step`."""

    model_name = "flux3"

    def __call__(self, components: Any, block_state: Any, **_: Any) -> tuple[Any, Any]:
        """Changes nothing."""
        components.on_step()
        return components, block_state


class Flux3(DiffusersFamily):
    """FLUX.3 klein, the undistilled base."""

    transformer_class = Flux3Transformer2DModel
    most_references = 10

    def assembled(self, weights: Path, dtype: torch.dtype, without: Collection[str], single_file: Path | None) -> Any:
        """A modular pipeline that takes encoded prompts, of the parts in a folder."""
        opened = {
            name: kind.from_pretrained(weights, subfolder=name, dtype=dtype, local_files_only=True)
            for name, kind in PARTS.items()
            if name not in without and not (name == "transformer" and single_file)
        }
        if single_file is not None and "transformer" not in without:
            opened["transformer"] = self.transformer_alone(weights, dtype, single_file)
        if "tokenizer" not in without:
            opened["tokenizer"] = Words(AutoTokenizer.from_pretrained(weights / "tokenizer", local_files_only=True))
        pipeline: Any = _drawing_blocks().init_pipeline()
        pipeline.update_components(**opened)
        return pipeline

    def beside(self, pipeline: Any) -> Any:
        """With a guider of its own too, which counts the passes of a step."""
        other = super().beside(pipeline)
        other.guider = deepcopy(pipeline.guider)
        return other

    @torch.no_grad()
    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """As for FLUX.2 (`Flux3VaeEncoderStep`)."""
        return normalised_latents(pipeline.vae, pixels)

    @torch.no_grad()
    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """Eight layers of Qwen3-VL side by side, one prompt at a time, by the pipeline's own text step.

        `lengths` (see `filled_up`) are the windows that the transformer attends to: the prompt's tokens, rounded up
        to a multiple of 80.
        """
        said = [
            Flux3TextEncoderStep._get_qwen3_vl_prompt_embeds(
                pipeline.text_encoder, pipeline.tokenizer, prompt, max_sequence_length=max_tokens
            )[0]
            for prompt in prompts
        ]
        return filled_up(said, max_tokens)

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """A pass for every length of window among the rows; the timestep is sigma."""
        places, found = latent_ids(noisy.shape[2], noisy.shape[3], noisy.device), dict[int, torch.Tensor]()
        for length, rows in _windows(text).items():
            tokens = transformer(
                hidden_states=torch.stack([noisy[row] for row in rows]).flatten(2).transpose(1, 2),
                encoder_hidden_states=torch.stack([text["states"][row, :length] for row in rows]),
                timestep=torch.stack([sigma[row] for row in rows]),
                img_ids=places,
                txt_ids=text_ids(length, noisy.device),
                return_dict=False,
            )[0]
            found |= zip(rows, tokens.transpose(1, 2).unbind(), strict=True)
        return torch.stack([found[row] for row in range(len(noisy))]).reshape(noisy.shape)

    def targets(self, transformer: Any) -> list[str]:
        """Attention of the picture's and the text's own blocks and of the joint ones; references keep theirs."""
        config = transformer.config
        own = [f"{kind}.{i}" for kind in ("mode_blocks.image", "txt_mode_blocks") for i in range(config.num_layers)]
        joint = [f"single_transformer_blocks.{i}" for i in range(config.num_single_layers)]
        return [f"{block}.{name}" for block in own + joint for name in ORIGINAL]

    def shared_inputs(self, transformer: Any) -> list[list[str]]:  # noqa: ARG002 - none in any FLUX.3
        """None: the original model holds q, k and v apart."""
        return []

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The original model's names, `diffusion_model.single_blocks.0.q_proj ...`, which diffusers reads too."""
        return {_original(key): value.contiguous().clone() for key, value in weights.items()}

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Whatever key names diffusers can read for FLUX.3. Raises ValueError."""
        state = Flux3ModularPipeline.lora_state_dict(folded(tensors))
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
        """The pipeline's own sampling, the prompts of one length of window together, against the empty prompt."""
        pipeline.guider.guidance_scale, pipeline.on_step = guidance, on_step
        given: dict[str, Any] = {"image": [picture.convert("RGB") for picture in references]} if references else {}
        found: dict[int, Image] = {}
        for length, rows in _windows(text).items():
            drawn = pipeline(
                prompt_embeds=text["states"][rows, :length],
                negative_prompt_embeds=empty["states"][:, : int(empty["lengths"][0])].expand(len(rows), -1, -1),
                generator=generators([seeds[row] for row in rows]),
                width=size[0],
                height=size[1],
                num_inference_steps=steps,
                output="images",
                **given,
            )
            found |= zip(rows, drawn, strict=True)
        return [found[row] for row in range(len(seeds))]


@lru_cache(maxsize=64)
def text_ids(tokens: int, device: torch.device) -> torch.Tensor:
    """Places of text tokens ``(tokens, 4)``, made once: a copy from the host at every step would wait for it."""
    ids: torch.Tensor = Flux3TextRoPEInputsStep._prepare_text_ids(torch.empty(1, tokens, 0)).to(device)
    return ids


@lru_cache(maxsize=64)
def latent_ids(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Places of latents ``(height * width, 4)``, made once for every shape of picture."""
    ids: torch.Tensor = _prepare_image_ids(height, width, ROPE_SCALE).to(device)
    return ids


def _windows(text: Text) -> dict[int, list[int]]:
    """The rows of prompts by the length of their window."""
    found: dict[int, list[int]] = {}
    for row, length in enumerate(text["lengths"].tolist()):
        found.setdefault(length, []).append(row)
    return found


def _original(key: str) -> str:
    """Diffusers' name of a matrix of a LoRA to the original model's."""
    for theirs, original in BLOCKS.items():
        key = original + key.removeprefix(theirs) if key.startswith(theirs) else key
    for theirs, original in ORIGINAL.items():
        key = key.replace(f".{theirs}.", f".{original}.")
    return PREFIX + key


def _drawing_blocks() -> Any:
    """The blocks from encoded prompts to pictures, with an ear at the end of every step."""
    blocks: Any = Flux3AutoBlocks()
    del blocks.sub_blocks["prompt_upsampler"]
    blocks.sub_blocks["text_encoder"] = Encoded()
    for way in blocks.sub_blocks["denoise"].sub_blocks.values():
        loop = way.sub_blocks["denoise"]
        loop.sub_blocks.insert("ear", Ear(), len(loop.sub_blocks))
        loop.set_progress_bar_config(disable=True)
    return blocks


FAMILY = Flux3()
