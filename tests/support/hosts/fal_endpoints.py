"""The endpoints that the fake of fal knows: their inputs, the keys of their output, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from support.hosts.schemas import Schema, choice, flag, inputs, number, text, url, urls, whole

SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}

RATIOS = {
    "21:9": (1536, 640),
    "16:9": (1344, 768),
    "3:2": (1216, 832),
    "4:3": (1152, 896),
    "5:4": (1088, 896),
    "1:1": (1024, 1024),
    "4:5": (896, 1088),
    "3:4": (896, 1152),
    "2:3": (832, 1216),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}

MODEL_SIZE = 14142
"""The longest side fal takes in pixels."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint at fal.

    A trainer gives its weights under `outputs` and names its zip `archive`; `unit` and `usd` are what the pricing API
    tells, and a trainer bills at least `least` units. One of `pairs` learns from pictures before and after.
    """

    id: str
    kind: str
    schema: Schema
    usd: float
    unit: str = "images"
    base: str = ""
    archive: str = ""
    outputs: tuple[str, ...] = ("diffusers_lora_file",)
    least: int = 0
    pairs: bool = False

    @property
    def app(self) -> str:
        """Owner and alias: where its requests are asked for."""
        return "/".join(self.id.split("/")[:2])

    def openapi(self) -> dict[str, Any]:
        """The schema as fal serves it: the input is what the POST of its path takes."""
        title = "".join(word.title() for word in self.id.replace("/", "-").split("-"))
        name = f"{title}Input"
        body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
        return {
            "openapi": "3.0.4",
            "info": {"title": f"Queue OpenAPI for {self.id}", "version": "1.0.0"},
            "components": {"schemas": {name: {**self.schema, "title": name}}},
            "paths": {f"/{self.id}": {"post": {"requestBody": {"required": True, **body}}}},
            "servers": [{"url": "https://queue.fal.run"}],
        }


SIZE: Schema = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"width": whole(1, MODEL_SIZE, 512), "height": whole(1, MODEL_SIZE, 512)},
            "additionalProperties": False,
        },
        choice(*SIZES),
    ],
    "default": "landscape_4_3",
}

LORA = inputs("path", path=text(), scale=number(0, 4, 1))


def loras(most: int | None = None) -> Schema:
    """LoRAs to draw with: `path` and `scale` of each."""
    return {"type": "array", "items": LORA, **({"maxItems": most} if most else {})}


def drawn(*required: str, most_loras: int | None = None, **more: Schema) -> Schema:
    """The input of an endpoint that draws with LoRAs."""
    return inputs(
        "prompt",
        *required,
        prompt=text(),
        image_size=SIZE,
        num_inference_steps=whole(1, 50, 28),
        guidance_scale=number(0, 35, 3.5),
        seed=whole(),
        num_images=whole(1, 4, 1),
        enable_safety_checker=flag(True),
        output_format=choice("jpeg", "png", "webp", default="png"),
        acceleration=choice("none", "regular", "high", default="regular"),
        sync_mode=flag(False),
        loras=loras(most_loras),
        **more,
    )


def trainer(archive: str, *required: str, **more: Schema) -> Schema:
    """The input of an endpoint that trains on a zip."""
    return inputs(archive, *required, **{archive: url()}, **more)


STEPS, RATE = whole(100, 10_000, 1000), number(0.000001, 0.01, 0.00005)
FORMAT = choice("fal", "comfy", default="fal")
CAPTION = text()

FLUX2_TRAINER = trainer(
    "image_data_url", steps=STEPS, learning_rate=RATE, default_caption=CAPTION, output_lora_format=FORMAT
)

Z_IMAGE_TYPED_TRAINER = trainer(
    "image_data_url",
    steps=STEPS,
    learning_rate=number(0.000001, 0.01, 0.0001),
    default_caption=CAPTION,
    training_type=choice("content", "style", "balanced", default="balanced"),
)

Z_IMAGE_TRAINER = trainer(
    "image_data_url", steps=STEPS, learning_rate=number(0.000001, 0.01, 0.0005), default_caption=CAPTION
)

FAST_TRAINER = trainer(
    "images_data_url",
    trigger_word=text(),
    create_masks=flag(True),
    steps=whole(1, 10_000, 1000),
    is_style=flag(False),
    is_input_format_already_preprocessed=flag(False),
    data_archive_format=text(),
)

WAN_TRAINER = trainer(
    "training_data_url",
    "trigger_phrase",
    trigger_phrase=text(),
    steps=whole(10, 6000, 1000),
    learning_rate=number(0.000001, 1, 0.0007),
    is_style=flag(False),
    include_synthetic_captions=flag(False),
    use_face_detection=flag(True),
    use_face_cropping=flag(False),
    use_masks=flag(True),
)

FLUX3_TRAINER = trainer(
    "images_data_url", trigger_phrase=text(), steps=STEPS, learning_rate=number(0.000001, 0.01, 0.0001)
)

NANO_BANANA = inputs(
    "prompt",
    "image_urls",
    prompt=text(),
    image_urls=urls(14),
    num_images=whole(1, 4, 1),
    seed=whole(),
    aspect_ratio=choice("auto", *RATIOS, default="auto"),
    resolution=choice("1K", "2K", "4K", default="1K"),
    output_format=choice("jpeg", "png", "webp", default="png"),
    safety_tolerance=choice("1", "2", "3", "4", "5", "6", default="4"),
    sync_mode=flag(False),
)

ANGLES = inputs(
    "image_urls",
    image_urls=urls(),
    horizontal_angle=number(0, 360, 0),
    vertical_angle=number(-30, 90, 0),
    zoom=number(0, 10, 5),
    additional_prompt=text(),
    lora_scale=number(0, 4, 1),
    image_size=SIZE,
    guidance_scale=number(1, 20, 4.5),
    num_inference_steps=whole(1, 50, 28),
    acceleration=choice("none", "regular", default="regular"),
    negative_prompt=text(),
    seed=whole(),
    num_images=whole(1, 4, 1),
    enable_safety_checker=flag(True),
    output_format=choice("jpeg", "png", "webp", default="png"),
    sync_mode=flag(False),
)

QWEN_EDIT = inputs(
    "prompt",
    "image_urls",
    prompt=text(),
    image_urls=urls(),
    image_size=SIZE,
    num_inference_steps=whole(1, 50, 28),
    guidance_scale=number(0, 20, 4.5),
    negative_prompt=text(),
    seed=whole(),
    num_images=whole(1, 4, 1),
    enable_safety_checker=flag(True),
    output_format=choice("jpeg", "png", "webp", default="png"),
    acceleration=choice("none", "regular", "high", default="regular"),
    sync_mode=flag(False),
)

CAPTION_INPUT = inputs("image_url", image_url=url())

UPSCALE = inputs(
    "image_url",
    image_url=url(),
    upscale_mode=choice("target", "factor", default="factor"),
    upscale_factor=number(1, 10, 2),
    target_resolution=choice("720p", "1080p", "1440p", "2160p", default="1080p"),
    noise_scale=number(0, 1, 0.1),
    output_format=choice("jpg", "png", "webp", default="jpg"),
    seed=whole(),
    sync_mode=flag(False),
)


def kontext(name: str, pictures: Schema) -> Schema:
    """The input of FLUX.1 Kontext, for one picture or several."""
    return inputs(
        "prompt",
        name,
        prompt=text(),
        **{name: pictures},
        aspect_ratio=choice(*RATIOS),
        num_images=whole(1, 4, 1),
        guidance_scale=number(1, 20, 3.5),
        seed=whole(),
        safety_tolerance=choice("1", "2", "3", "4", "5", "6", default="2"),
        output_format=choice("jpeg", "png", default="jpeg"),
        enhance_prompt=flag(False),
        sync_mode=flag(False),
    )


def _trainers() -> list[Endpoint]:
    steps = {"kind": "train", "unit": "steps"}
    zipped = {**steps, "archive": "image_data_url"}
    klein = "fal-ai/flux-2-klein"
    one = ("lora_file",)
    two = ("diffusers_lora_file", "high_noise_lora")
    archives = {"archive": "images_data_url"}
    return [
        Endpoint(
            "fal-ai/flux-lora-fast-training", schema=FAST_TRAINER, usd=0.002, base="flux1-dev", **steps, **archives
        ),
        Endpoint("fal-ai/flux-2-trainer", schema=FLUX2_TRAINER, usd=0.0064, base="flux2-dev", **zipped),
        Endpoint("fal-ai/flux-2-trainer-v2", schema=FLUX2_TRAINER, usd=0.008, base="flux2-dev", **zipped),
        Endpoint(f"{klein}-4b-base-trainer", schema=FLUX2_TRAINER, usd=0.0046, base="flux2-klein-4b", **zipped),
        Endpoint(f"{klein}-9b-base-trainer", schema=FLUX2_TRAINER, usd=0.0086, base="flux2-klein-9b", **zipped),
        Endpoint(
            "fal-ai/z-image-trainer", schema=Z_IMAGE_TYPED_TRAINER, usd=0.00226, base="z-image", least=100, **zipped
        ),
        Endpoint("fal-ai/z-image-turbo-trainer-v2", schema=Z_IMAGE_TRAINER, usd=0.00085, base="z-image", **zipped),
        Endpoint("fal-ai/z-image-base-trainer", schema=Z_IMAGE_TRAINER, usd=0.00226, base="z-image-base", **zipped),
        Endpoint(
            "fal-ai/wan-22-image-trainer",
            schema=WAN_TRAINER,
            usd=0.0045,
            base="wan-2.2",
            archive="training_data_url",
            outputs=two,
            least=100,
            **steps,
        ),
        Endpoint(
            "blackforestlabs/flux-3/klein/base/trainer",
            schema=FLUX3_TRAINER,
            usd=0.0043,
            base="flux3-klein",
            outputs=one,
            **steps,
            **archives,
        ),
    ]


def _pair_trainers() -> list[Endpoint]:
    """Those that learn a change, from pictures called `ROOT_start` and `ROOT_end`."""
    return [
        replace(one, id=f"{one.id}/edit", pairs=True)
        for one in _trainers()
        if one.base.startswith("flux2") and not one.id.endswith("v2")
    ]


def _drawers() -> list[Endpoint]:
    edited = drawn("image_urls", image_urls=urls(10))
    three = drawn(most_loras=3)
    sizes = [f"fal-ai/flux-2/klein/{size}" for size in ("4b", "9b", "4b/base", "9b/base")]
    found = [
        Endpoint("fal-ai/flux-lora", "draw", drawn(), 0.035, "megapixels"),
        Endpoint("fal-ai/flux-2/lora", "draw", three, 0.021, "megapixels"),
        Endpoint("fal-ai/flux-2/lora/edit", "edit", edited, 0.021, "megapixels"),
        Endpoint("fal-ai/z-image/turbo/lora", "draw", three, 0.0085, "megapixels"),
        Endpoint("fal-ai/z-image/base/lora", "draw", three, 0.012, "megapixels"),
    ]
    for size in sizes:
        found.append(Endpoint(f"{size}/lora", "draw", three, 0.02, "megapixels"))
        found.append(Endpoint(f"{size}/edit/lora", "edit", edited, 0.02, "megapixels"))
    return found


def known() -> dict[str, Endpoint]:
    """Every endpoint of the fake by its id."""
    others = [
        Endpoint("fal-ai/qwen-image-edit-2511-multiple-angles", "edit", ANGLES, 0.035, "megapixels"),
        Endpoint("fal-ai/qwen-image-edit-2511", "edit", QWEN_EDIT, 0.03, "megapixels"),
        Endpoint("fal-ai/nano-banana-pro/edit", "edit", NANO_BANANA, 0.15),
        Endpoint("fal-ai/flux-pro/kontext", "edit", kontext("image_url", url()), 0.04),
        Endpoint("fal-ai/flux-pro/kontext/multi", "edit", kontext("image_urls", urls(4)), 0.04),
        Endpoint("fal-ai/florence-2-large/more-detailed-caption", "caption", CAPTION_INPUT, 0.00125, "seconds"),
        Endpoint("fal-ai/seedvr/upscale/image", "upscale", UPSCALE, 0.001, "megapixels"),
    ]
    return {one.id: one for one in [*_trainers(), *_pair_trainers(), *_drawers(), *others]}
