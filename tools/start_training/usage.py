"""How to draw with a LoRA elsewhere: in ComfyUI and in diffusers, by base model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from loradeck.state.records import LoraRecord
from loradeck.tools.library import second_file
from loradeck.tools.markdown import code

PIPELINES = {
    "flux1-dev": ("FluxPipeline", "black-forest-labs/FLUX.1-dev"),
    "flux2-dev": ("Flux2Pipeline", "black-forest-labs/FLUX.2-dev"),
    "flux2-klein-4b": ("Flux2KleinPipeline", "black-forest-labs/FLUX.2-klein-base-4B"),
    "flux2-klein-9b": ("Flux2KleinPipeline", "black-forest-labs/FLUX.2-klein-base-9B"),
    "z-image": ("ZImagePipeline", "Tongyi-MAI/Z-Image-Turbo"),
    "z-image-base": ("ZImagePipeline", "Tongyi-MAI/Z-Image"),
}
"""diffusers' pipeline class and the repository of each base."""
GENERAL = ("DiffusionPipeline", "FOLDER_OR_REPOSITORY_OF_THE_BASE")
PREVIEW = ("Flux2KleinPipeline", "FOLDER_OF_THE_PREVIEW_BASE")
SNIPPET = """```python
import torch
from diffusers import {pipeline}

pipe = {pipeline}.from_pretrained("{weights}", torch_dtype=torch.bfloat16).to("cuda")
pipe.load_lora_weights("{file}")
pipe({prompt}).images[0].save("picture.png")
```"""


def usage(lora: LoraRecord, files: Sequence[str] = ()) -> list[str]:
    """Paragraphs of Markdown; `files` names the weights under which it is passed on, where it is, diffusers' first."""
    pipeline, weights = PREVIEW if lora.preview else PIPELINES.get(lora.base_model, GENERAL)
    file = files[0] if files else Path(lora.path).name
    for_comfyui = next((name for name in files if "comfyui" in name), file)
    first = f"Put {code(lora.trigger)} first in the prompt. " if lora.trigger else ""
    prompt = json.dumps(f"{lora.trigger}, ..." if lora.trigger else "...", ensure_ascii=False)
    return [
        f"{first}{_comfy(lora, for_comfyui)}",
        SNIPPET.format(pipeline=pipeline, weights=weights, file=file, prompt=prompt),
        *_second(lora, file, files),
    ]


def _second(lora: LoraRecord, file: str, files: Sequence[str]) -> list[str]:
    """What a LoRA of two files needs besides."""
    second = second_file(lora)
    if second is None:
        return []
    passed_on = [name for name in files if Path(name).stem.replace("_", "-").endswith("-high-noise")]
    names = " or ".join(f"`{name}`" for name in passed_on or [second.name])
    return [
        f"It has a second file, {names}, for the model of {lora.base_model} that begins in high noise; `{file}` is for "
        "the one that ends in low noise. Load each into its own model, and keep the two together."
    ]


def _comfy(lora: LoraRecord, file: str) -> str:
    if lora.preview:
        return (
            "This LoRA is for loradeck's embedded preview base alone, which no other tool has: draw with it here. In "
            "diffusers it loads on the folder `engines/local/preview/weights` of the package:"
        )
    return (
        f"ComfyUI: put `{file}` into `models/loras` and a LoraLoaderModelOnly node (strength 1.0) between the loader "
        f"of {lora.base_model} and the sampler. diffusers:"
    )
