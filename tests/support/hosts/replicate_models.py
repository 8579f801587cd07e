"""The models that the fake of Replicate knows: their inputs, what they give, and what they cost."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from support.hosts.schemas import Schema, choice, flag, inputs, number, text, url, urls, whole

PRICES = {
    "gpu-t4": 0.000225,
    "gpu-l40s": 0.000975,
    "gpu-a100-large": 0.0014,
    "gpu-h100": 0.001525,
    "gpu-h100-8x": 0.0122,
}
"""USD a second."""

RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
}


@dataclass
class Model:
    """One model at Replicate.

    A trainer has `training` (its training input) and the `base` it trains. `official` ones run by name and are paid by
    picture; the others run by version and are paid by the second of `hardware`.
    """

    owner: str
    name: str
    schema: Schema
    kind: str = "draw"
    official: bool = False
    hardware: str = "gpu-h100"
    usd: float = 0.0
    many: bool = True
    training: Schema | None = None
    base: str = ""
    visibility: str = "public"
    versions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.versions and self.visibility == "public":
            self.versions.append(version_id(self.id))

    @property
    def id(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    def openapi(self) -> dict[str, Any]:
        """The schema as cog writes it: `components.schemas.Input`, and `TrainingInput` for a trainer."""
        one = {"type": "string"} if self.kind == "caption" else {"type": "string", "format": "uri"}
        output = {"type": "array", "items": one, "title": "Output"} if self.many else {**one, "title": "Output"}
        schemas = {"Input": self.schema, "Output": output}
        if self.training:
            schemas["TrainingInput"] = {**self.training, "title": "TrainingInput"}
        info = {"title": "Cog", "version": "0.1.0"}
        return {"openapi": "3.0.2", "info": info, "paths": {}, "components": {"schemas": schemas}}


def version_id(text: str) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


RATIO = choice(*RATIOS, default="1:1")
DRAWN: dict[str, Schema] = {
    "num_outputs": whole(1, 4, 1),
    "seed": whole(),
    "num_inference_steps": whole(1, 50, 28),
    "output_format": choice("webp", "jpg", "png", default="webp"),
    "output_quality": whole(0, 100, 80),
    "disable_safety_checker": flag(False),
}

FLUX_DEV_LORA = inputs(
    "prompt",
    prompt=text(),
    aspect_ratio=RATIO,
    image=url(),
    prompt_strength=number(0, 1, 0.8),
    guidance=number(0, 10, 3),
    go_fast=flag(True),
    megapixels=choice("1", "0.25", default="1"),
    lora_weights=text(),
    lora_scale=number(-1, 3, 1),
    extra_lora=text(),
    extra_lora_scale=number(-1, 3, 1),
    **DRAWN,
)

TRAINED = inputs(
    "prompt",
    prompt=text(),
    model=choice("dev", "schnell", default="dev"),
    aspect_ratio=choice(*RATIOS, "custom", default="1:1"),
    width=whole(256, 1440),
    height=whole(256, 1440),
    image=url(),
    mask=url(),
    prompt_strength=number(0, 1, 0.8),
    guidance_scale=number(0, 10, 3),
    go_fast=flag(False),
    megapixels=choice("1", "0.25", default="1"),
    lora_scale=number(-1, 3, 1),
    extra_lora=text(),
    extra_lora_scale=number(-1, 3, 1),
    replicate_weights=text(),
    **DRAWN,
)
"""The input of a model that ostris' trainer made."""

LUCATACO = inputs(
    "prompt",
    prompt=text(),
    hf_lora=text(),
    lora_scale=number(0, 1, 0.8),
    aspect_ratio=RATIO,
    image=url(),
    prompt_strength=number(0, 1, 0.8),
    guidance_scale=number(0, 10, 3.5),
    **DRAWN,
)

KONTEXT_DEV = inputs(
    "prompt",
    "input_image",
    prompt=text(),
    input_image=url(),
    aspect_ratio=choice("match_input_image", *RATIOS, default="match_input_image"),
    guidance=number(0, 10, 2.5),
    num_inference_steps=whole(4, 50, 30),
    go_fast=flag(True),
    seed=whole(),
    output_format=choice("webp", "jpg", "png", default="webp"),
    output_quality=whole(0, 100, 80),
    disable_safety_checker=flag(False),
)

KONTEXT_PRO = inputs(
    "prompt",
    prompt=text(),
    input_image=url(),
    aspect_ratio=choice("match_input_image", *RATIOS, default="match_input_image"),
    seed=whole(),
    output_format=choice("jpg", "png", default="png"),
    safety_tolerance=whole(0, 6, 2),
    prompt_upsampling=flag(False),
)

MULTIANGLE = inputs(
    "image",
    image=url(),
    prompt=text(),
    rotate_degrees=whole(-90, 90, 0),
    move_forward=whole(0, 10, 0),
    vertical_tilt=whole(-1, 1, 0),
    use_wide_angle=flag(False),
    aspect_ratio=choice("match_input_image", *RATIOS, default="match_input_image"),
    lora_weights=text(),
    lora_scale=number(0, 4, 1.25),
    go_fast=flag(True),
    seed=whole(),
    output_format=choice("webp", "jpg", "png", default="webp"),
    output_quality=whole(0, 100, 95),
    disable_safety_checker=flag(False),
)

QWEN_EDIT = inputs(
    "prompt",
    "image",
    prompt=text(),
    image=urls(),
    aspect_ratio=choice("match_input_image", *RATIOS, default="match_input_image"),
    go_fast=flag(True),
    seed=whole(),
    output_format=choice("webp", "jpg", "png", default="webp"),
    output_quality=whole(0, 100, 95),
    disable_safety_checker=flag(False),
)

NANO_BANANA = inputs(
    "prompt",
    prompt=text(),
    image_input=urls(14),
    aspect_ratio=choice("match_input_image", *RATIOS, default="match_input_image"),
    resolution=choice("1K", "2K", "4K", default="2K"),
    output_format=choice("jpg", "png", default="jpg"),
    safety_filter_level=choice(
        "block_low_and_above", "block_medium_and_above", "block_only_high", default="block_only_high"
    ),
)

BLIP = inputs(
    "image",
    image=url(),
    question=text("What is shown in the image?"),
    caption=flag(False),
    context=text(""),
    system_prompt=text(),
    max_new_tokens=whole(1, 2048, 768),
    num_beams=whole(1, 10, 1),
    do_sample=flag(False),
    temperature=number(0, 1, 1),
    top_k=whole(0, None, 50),
    top_p=number(0, 1, 1),
)

OSTRIS = inputs(
    "input_images",
    input_images=url(),
    trigger_word=text("TOK"),
    autocaption=flag(True),
    autocaption_prefix=text(),
    autocaption_suffix=text(),
    steps=whole(3, 6000, 1000),
    learning_rate=number(default=0.0004),
    batch_size=whole(default=1),
    resolution=text("512,768,1024"),
    lora_rank=whole(1, 128, 16),
    caption_dropout_rate=number(0, 1, 0.05),
    optimizer=text("adamw8bit"),
    cache_latents_to_disk=flag(False),
    layers_to_optimize_regex=text(),
    gradient_checkpointing=flag(False),
    hf_repo_id=text(),
    hf_token=text(),
    wandb_api_key=text(),
    wandb_project=text(),
    wandb_run=text(),
    wandb_entity=text(),
    wandb_sample_interval=whole(1, None, 100),
    wandb_sample_prompts=text(),
    wandb_save_interval=whole(1, None, 100),
    skip_training_and_use_pretrained_hf_lora_url=text(),
)

FAST_FLUX = inputs(
    "input_images",
    "trigger_word",
    input_images=url(),
    trigger_word=text(),
    lora_type=choice("subject", "style", default="subject"),
)

QWEN_TRAINER = inputs(
    "dataset",
    dataset=url(),
    default_caption=text(),
    steps=whole(100, 6000, 1000),
    learning_rate=number(default=0.0002),
    lora_rank=whole(8, 128, 64),
    batch_size=choice("1", "2", "4", default="1"),
    optimizer=choice("adamw", "adamw8bit", "adam8bit", "prodigy", default="adamw"),
    seed=whole(),
)


def known() -> dict[str, Model]:
    """Every public model of the fake by owner and name."""
    upscaled = inputs("image", image=url(), scale=number(0, 10, 4), face_enhance=flag(False))
    topaz = inputs(
        "image",
        image=url(),
        enhance_model=choice("Standard V2", "Low Resolution V2", "CGI", "High Fidelity V2", "Text Refine"),
        upscale_factor=choice("None", "2x", "4x", "6x", default="2x"),
        output_format=choice("jpg", "png", default="jpg"),
        face_enhancement=flag(False),
    )
    models = [
        Model("ostris", "flux-dev-lora-trainer", TRAINED, training=OSTRIS, base="flux1-dev"),
        Model("replicate", "fast-flux-trainer", TRAINED, training=FAST_FLUX, base="flux1-dev", hardware="gpu-h100-8x"),
        Model("replicate", "qwen-image-lora-trainer", TRAINED, training=QWEN_TRAINER, base="qwen-image"),
        Model("black-forest-labs", "flux-dev-lora", FLUX_DEV_LORA, official=True, usd=0.032),
        Model("lucataco", "flux-dev-lora", LUCATACO, hardware="gpu-l40s"),
        Model("black-forest-labs", "flux-kontext-pro", KONTEXT_PRO, "edit", True, usd=0.04, many=False),
        Model("black-forest-labs", "flux-kontext-dev", KONTEXT_DEV, "edit", True, usd=0.025, many=False),
        Model("qwen", "qwen-edit-multiangle", MULTIANGLE, "edit", True, usd=0.03),
        Model("qwen", "qwen-image-edit-2511", QWEN_EDIT, "edit", True, usd=0.03),
        Model("qwen", "qwen-image-edit-plus", QWEN_EDIT, "edit", True, usd=0.03),
        Model("zsxkib", "blip-3", BLIP, "caption", hardware="gpu-a100-large", many=False),
        Model("google", "nano-banana-pro", NANO_BANANA, "edit", True, usd=0.15, many=False),
        Model("nightmareai", "real-esrgan", upscaled, "upscale", hardware="gpu-t4", many=False),
        Model("topazlabs", "image-upscale", topaz, "upscale", True, usd=0.05, many=False),
    ]
    return {model.id: model for model in models}
