"""What is asked for at fal: endpoints, names of their inputs, prices, and the day all was checked.

Names of inputs and outputs were checked against the types that fal generates for its own JavaScript client
(@fal-ai/client 1.10.1) and the endpoints' pages (llms.txt); prices against those pages. Where a price is not told on a
page that could be read, `checked` is empty: the live price, which is asked for first, counts. Licences are those of the
makers of the bases.
"""

from __future__ import annotations

from loradeck.engines.hosted.table import (
    CaptionerRow,
    DrawerRow,
    EditorRow,
    OutputRow,
    PriceRow,
    Table,
    TrainerRow,
)

CHECKED = "2026-11-28"
PRICE_NOT_CHECKED = ""
KLEIN = "fal-ai/flux-2/klein"

FLUX1_LICENCE = "FLUX.1 [dev] non-commercial licence: what it draws may be used, the model and a LoRA may not be sold"
FLUX2_LICENCE = "FLUX.2 [dev] non-commercial licence: what it draws may be used, the model and a LoRA may not be sold"
KLEIN_9B_LICENCE = "FLUX.2 [klein] 9B non-commercial licence: ask Black Forest Labs before commercial use of the model"
FLUX3_LICENCE = "FLUX.3 [klein]: look at Black Forest Labs' licence for it"
APACHE = "Apache-2.0: free for commercial use"

LOOKS = ("style", "icons", "product", "logo", "premium")
"""Profiles that teach a look and not one subject."""
LORA = (OutputRow(("diffusers_lora_file", "url")), OutputRow(("config_file", "url"), "config"))
PICTURES = (OutputRow(("images", 0, "url"), "image"),)
ONE_PICTURE = {"num_images": 1, "output_format": "png"}
DRAWN = {**ONE_PICTURE, "enable_safety_checker": True, "acceleration": "none"}
"""Acceleration leaves steps out, and fine detail with them."""
DRAWING = {"prompt": "prompt", "seed": "seed", "guidance": "guidance_scale", "steps": "num_inference_steps"}
RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")

NO_REGULARISATION = (
    "There are no regularisation images at fal: variety of outfit, background and light in the set does their work."
)
NO_SEED = (
    "The same training twice gives two LoRAs, as it takes no seed; there are no checkpoints or samples on the way."
)
DEFAULT_CAPTION = (
    "default_caption is for images without a caption, of which there are none: captions teach the trigger."
)
TOLD = (NO_SEED, NO_REGULARISATION)

FLUX2_FIELDS = {"steps": "steps", "learning_rate": "learning_rate", "trigger": "default_caption"}
FLUX2_BOUNDS = {"steps": (100.0, 10_000.0), "learning_rate": (1e-6, 1e-2)}
COMFY = {"output_lora_format": "comfy"}
"""The layout that ComfyUI and diffusers both load; fal's own drawers take either."""


def _flux2_trainer(base: str, endpoint: str, rate: float, price: PriceRow, licence: str, checked: str) -> TrainerRow:
    """The trainers of the FLUX.2 family share one form. Their own learning rate, 5e-5, is too low for a character."""
    return TrainerRow(
        base_model=base,
        endpoint=endpoint,
        zip_field="image_data_url",
        fields=FLUX2_FIELDS,
        fixed=COMFY,
        bounds=FLUX2_BOUNDS,
        defaults={"steps": 1000, "learning_rate": rate},
        price=price,
        outputs=LORA,
        minutes=(5.0, 20.0),
        licence=licence,
        told=(DEFAULT_CAPTION, *TOLD),
        checked=checked,
    )


def _z_image_trainer(
    base: str, endpoint: str, rate: float, price: PriceRow, checked: str, training_type: bool = False
) -> TrainerRow:
    return TrainerRow(
        base_model=base,
        endpoint=endpoint,
        zip_field="image_data_url",
        fields=FLUX2_FIELDS,
        fixed={"training_type": "content"} if training_type else {},
        by_profile={look: {"training_type": "style"} for look in LOOKS} if training_type else {},
        bounds=FLUX2_BOUNDS,
        defaults={"steps": 1500, "learning_rate": rate},
        price=price,
        outputs=LORA,
        minutes=(4.0, 10.0),
        licence=APACHE,
        told=(DEFAULT_CAPTION, *TOLD),
        checked=checked,
    )


TRAINERS = (
    TrainerRow(
        base_model="flux1-dev",
        endpoint="fal-ai/flux-lora-fast-training",
        zip_field="images_data_url",
        fields={"trigger": "trigger_word", "steps": "steps"},
        # With captions in the zip it writes none of its own; is_style turns its masks and captions off besides.
        fixed={"is_style": False, "create_masks": True, "is_input_format_already_preprocessed": False},
        by_profile={look: {"is_style": True, "create_masks": False} for look in LOOKS},
        bounds={"steps": (1.0, 10_000.0)},
        defaults={"steps": 1500},
        price=PriceRow(2.0, "1000 steps"),
        outputs=LORA,
        minutes=(3.0, 4.0),
        licence=FLUX1_LICENCE,
        told=(
            "It leaves trigger_word out where captions are given, as they are: captions teach the trigger.",
            *TOLD,
        ),
        checked=CHECKED,
    ),
    _flux2_trainer("flux2-dev", "fal-ai/flux-2-trainer", 1.2e-4, PriceRow(6.4, "1000 steps"), FLUX2_LICENCE, CHECKED),
    _flux2_trainer(
        "flux2-dev", "fal-ai/flux-2-trainer-v2", 1.2e-4, PriceRow(8.0, "1000 steps"), FLUX2_LICENCE, CHECKED
    ),
    # Priced by the page of its sibling for pairs, which tells 0.0046 USD a step before its factor for references.
    _flux2_trainer(
        "flux2-klein-4b",
        "fal-ai/flux-2-klein-4b-base-trainer",
        1.5e-4,
        PriceRow(4.6, "1000 steps", worst=1.1),
        APACHE,
        PRICE_NOT_CHECKED,
    ),
    _flux2_trainer(
        "flux2-klein-9b",
        "fal-ai/flux-2-klein-9b-base-trainer",
        1.5e-4,
        PriceRow(8.6, "1000 steps"),
        KLEIN_9B_LICENCE,
        CHECKED,
    ),
    _z_image_trainer(
        "z-image",
        "fal-ai/z-image-trainer",
        1e-4,
        PriceRow(2.26, "1000 steps", least=0.226),
        CHECKED,
        training_type=True,
    ),
    _z_image_trainer("z-image", "fal-ai/z-image-turbo-trainer-v2", 5e-4, PriceRow(0.85, "1000 steps"), CHECKED),
    # The price of its dearer sibling.
    _z_image_trainer(
        "z-image-base", "fal-ai/z-image-base-trainer", 5e-4, PriceRow(2.26, "1000 steps"), PRICE_NOT_CHECKED
    ),
    TrainerRow(
        base_model="wan-2.2",
        endpoint="fal-ai/wan-22-image-trainer",
        zip_field="training_data_url",
        fields={"trigger": "trigger_phrase", "steps": "steps", "learning_rate": "learning_rate"},
        fixed={
            "include_synthetic_captions": False,
            "is_style": False,
            "use_masks": True,
            "use_face_detection": True,
            "use_face_cropping": False,
        },
        by_profile={look: {"is_style": True, "use_masks": False, "use_face_detection": False} for look in LOOKS},
        # Fewer than 100 steps are charged as 100.
        bounds={"steps": (100.0, 6000.0), "learning_rate": (1e-6, 1.0)},
        defaults={"steps": 1000, "learning_rate": 7e-4},
        price=PriceRow(4.5, "1000 steps", least=0.45),
        outputs=(*LORA, OutputRow(("high_noise_lora", "url"), "high_noise_lora")),
        minutes=(6.0, 20.0),
        licence=APACHE,
        told=("It gives two files, for high and for low noise, and both are needed to draw.", *TOLD),
        checked=CHECKED,
    ),
    TrainerRow(
        base_model="flux3-klein",
        endpoint="blackforestlabs/flux-3/klein/base/trainer",
        zip_field="images_data_url",
        fields={"trigger": "trigger_phrase", "steps": "steps"},
        bounds={"steps": (100.0, 10_000.0)},
        defaults={"steps": 1000},
        price=PriceRow(4.3, "1000 steps"),
        outputs=(OutputRow(("lora_file", "url")),),
        minutes=(5.0, 20.0),
        licence=FLUX3_LICENCE,
        told=TOLD,
        checked=CHECKED,
    ),
)


def _klein(size: str, licence: str, checked: str) -> tuple[DrawerRow, DrawerRow]:
    """A klein base without references, and with them: each counts as a megapixel besides."""
    drawer = DrawerRow(
        base_model=f"flux2-klein-{size}",
        endpoint=f"{KLEIN}/{size}/base/lora",
        fields=DRAWING,
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        defaults={"guidance": 4.0, "steps": 50},
        price=PriceRow(0.02, "megapixel"),
        outputs=PICTURES,
        licence=licence,
        seconds=10.0,
        checked=checked,
    )
    edit = DrawerRow(
        base_model=drawer.base_model,
        endpoint=f"{KLEIN}/{size}/base/edit/lora",
        fields={**DRAWING, "references": "image_urls"},
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        most_references=4,
        defaults={"guidance": 4.0, "steps": 50},
        price=PriceRow(0.02, "megapixel", worst=5.0),
        outputs=PICTURES,
        licence=licence,
        seconds=15.0,
        checked=checked,
    )
    return drawer, edit


DRAWERS = (
    DrawerRow(
        base_model="flux1-dev",
        endpoint="fal-ai/flux-lora",
        fields=DRAWING,
        lora_style="list",
        most_loras=10,
        fixed=DRAWN,
        defaults={"guidance": 3.5, "steps": 28},
        price=PriceRow(0.035, "megapixel"),
        outputs=PICTURES,
        licence=FLUX1_LICENCE,
        seconds=8.0,
        checked=CHECKED,
    ),
    DrawerRow(
        base_model="flux1-kontext",
        # It has no LoRA, and takes its size as a ratio.
        endpoint="fal-ai/flux-pro/kontext/multi",
        fields={"prompt": "prompt", "seed": "seed", "guidance": "guidance_scale", "references": "image_urls"},
        size_style="aspect_ratio",
        ratios=RATIOS,
        fixed={**ONE_PICTURE, "enhance_prompt": False},
        least_references=1,
        most_references=4,
        defaults={"guidance": 3.5},
        price=PriceRow(0.04, "image", worst=2.0),
        outputs=PICTURES,
        licence="FLUX.1 Kontext [pro], by the terms of fal and Black Forest Labs",
        seconds=10.0,
        checked=PRICE_NOT_CHECKED,
    ),
    DrawerRow(
        base_model="flux2-dev",
        endpoint="fal-ai/flux-2/lora",
        least_side=512,
        fields=DRAWING,
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        defaults={"guidance": 2.5, "steps": 28},
        price=PriceRow(0.021, "megapixel"),
        outputs=PICTURES,
        licence=FLUX2_LICENCE,
        seconds=12.0,
        checked=CHECKED,
    ),
    DrawerRow(
        base_model="flux2-dev",
        endpoint="fal-ai/flux-2/lora/edit",
        least_side=512,
        fields={**DRAWING, "references": "image_urls"},
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        # FLUX.2 itself leans on ten; the endpoint drops all but the first three without a word.
        most_references=3,
        defaults={"guidance": 2.5, "steps": 28},
        price=PriceRow(0.021, "megapixel", worst=4.0),
        outputs=PICTURES,
        licence=FLUX2_LICENCE,
        seconds=20.0,
        checked=CHECKED,
    ),
    *_klein("4b", APACHE, PRICE_NOT_CHECKED),
    *_klein("9b", KLEIN_9B_LICENCE, CHECKED),
    DrawerRow(
        base_model="z-image",
        endpoint="fal-ai/z-image/turbo/lora",
        # A distilled base: it takes no guidance.
        fields={"prompt": "prompt", "seed": "seed", "steps": "num_inference_steps"},
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        defaults={"steps": 8},
        price=PriceRow(0.0085, "megapixel", worst=2.0),
        outputs=PICTURES,
        licence=APACHE,
        seconds=4.0,
        checked=PRICE_NOT_CHECKED,
    ),
    DrawerRow(
        base_model="z-image-base",
        endpoint="fal-ai/z-image/base/lora",
        fields=DRAWING,
        lora_style="list",
        most_loras=3,
        fixed=DRAWN,
        defaults={"guidance": 4.0, "steps": 28},
        price=PriceRow(0.012, "megapixel", worst=2.0),
        outputs=PICTURES,
        licence=APACHE,
        seconds=8.0,
        checked=PRICE_NOT_CHECKED,
    ),
)

QWEN_FLAWS = "blurry face, distorted features, deformed eyes, asymmetric face, smooth skin, plastic look"

EDITORS = (
    EditorRow(
        model="multi_angle",
        endpoint="fal-ai/qwen-image-edit-2511-multiple-angles",
        fields={
            "images": "image_urls",
            "prompt": "additional_prompt",
            "seed": "seed",
            "horizontal": "horizontal_angle",
            "vertical": "vertical_angle",
            "zoom": "zoom",
            "guidance": "guidance_scale",
            "steps": "num_inference_steps",
        },
        fixed=DRAWN,
        price=PriceRow(0.035, "megapixel"),
        outputs=PICTURES,
        seconds=25.0,
        checked=CHECKED,
    ),
    EditorRow(
        model="restyle",
        endpoint="fal-ai/nano-banana-pro/edit",
        # It has no input for a temperature; its model's own is the 1.0 that is wanted.
        fields={"images": "image_urls", "prompt": "prompt", "seed": "seed"},
        fixed={**ONE_PICTURE, "resolution": "1K"},
        most_images=14,
        price=PriceRow(0.15, "image"),
        outputs=PICTURES,
        seconds=35.0,
        checked=PRICE_NOT_CHECKED,
    ),
    EditorRow(
        model="edit",
        # The version whose own guidance (4.5) and steps (28) are those that lose detail in faces.
        endpoint="fal-ai/qwen-image-edit-2511",
        fields={
            "images": "image_urls",
            "prompt": "prompt",
            "seed": "seed",
            "guidance": "guidance_scale",
            "steps": "num_inference_steps",
        },
        fixed={**DRAWN, "guidance_scale": 3.5, "num_inference_steps": 45, "negative_prompt": QWEN_FLAWS},
        most_images=3,
        price=PriceRow(0.035, "megapixel", worst=2.0),
        outputs=PICTURES,
        seconds=30.0,
        checked=PRICE_NOT_CHECKED,
    ),
    EditorRow(
        model="upscale",
        endpoint="fal-ai/seedvr/upscale/image",
        fields={"images": "image_url", "seed": "seed"},
        many=False,
        fixed={"upscale_mode": "factor", "upscale_factor": 2, "output_format": "png"},
        price=PriceRow(0.001, "megapixel"),
        outputs=(OutputRow(("image", "url"), "image"),),
        seconds=10.0,
        checked=CHECKED,
    ),
)

CAPTIONER = CaptionerRow(
    endpoint="fal-ai/florence-2-large/more-detailed-caption",
    image_field="image_url",
    # It is billed by the second of its machine: the dearest that fal's price list has for a small model, an H200 at
    # 4.50 USD an hour, for about three seconds.
    price=PriceRow(0.00125, "second", seconds=3.0, worst=4.0),
    output=OutputRow(("results",), "text"),
    checked=PRICE_NOT_CHECKED,
)

TABLE = Table(
    trainers=TRAINERS,
    drawers=DRAWERS,
    editors=EDITORS,
    captioner=CAPTIONER,
    instead={"preview": "The preview base is trained by engine=local alone, on this machine and for nothing."},
)
