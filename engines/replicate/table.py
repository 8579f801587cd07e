"""What is asked for at Replicate: endpoints, names of their inputs, prices, and the day all was checked.

Checked against the source of the trainers and drawers that Replicate publishes (replicate/flux-fine-tuner,
replicate/cog-flux), the schemas on the models' pages and Replicate's price list; the inputs of the fast trainer, the
multi-angle model and the Qwen editor against what public programs send there. Replicate's API tells no price.
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
from loradeck.engines.replicate import turns

CHECKED = "2026-11-28"
PRICE_NOT_CHECKED = ""
"""Where the price is not from a page of Replicate's: it was read elsewhere, and its worst case is wide."""
T4_USD, L40S_USD, A100_USD, H100_USD = 0.000225, 0.000975, 0.0014, 0.001525
"""USD per second of a machine, by Replicate's price list."""
FLUX_LICENCE = "FLUX.1 [dev] non-commercial licence; Replicate's terms say what its pictures may be used for"

TRAINED = (OutputRow(("weights",)), OutputRow(("version",), "version"))
PICTURE = (OutputRow((0,), "image"),)
"""The host gives a picture as a list even where the model gave it alone."""

OSTRIS_PRICE = PriceRow(H100_USD, "second", seconds=1200.0, worst=2.0)
"""20 to 30 minutes on one H100 are told for 1000 steps, and "under 2 USD"; 20 minutes are 1.83 USD. The time hangs on
the set, rank and batch, therefore twice that as the worst."""
FAST_PRICE = PriceRow(8 * H100_USD, "second", seconds=120.0, worst=2.0)
"""About 2 minutes by its page, on eight H100 as what people paid shows (1.46 USD, up to 2)."""
TRAINED_PRICE = PriceRow(H100_USD, "second", seconds=10.0, worst=3.0)
"""A trained model draws on the machine of its trainer, an H100, and only its working time is billed. 10 seconds for 28
steps at 1 megapixel are an estimate; three times that where it fetches its weights first."""
OTHER_PRICE = PriceRow(H100_USD, "second", seconds=1200.0, worst=3.0)
"""What a model costs that is not in the table: its machine is not told, so the dearest single one is assumed."""
SAID = 1.5
"""The worst case of a price by picture that was not read on Replicate's own page."""

RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
DRAWN = {"num_outputs": 1, "output_format": "png", "go_fast": False}
"""`go_fast` draws in 8 bits: not repeatable by the seed, and a LoRA acts 1.5 times as strongly."""
LOCAL_LORA = (
    "Replicate fetches a LoRA from a public address and not from what is uploaded to it, so this one cannot be drawn "
    "with there: publish it where it has an https address that ends in .safetensors, train it with engine=replicate, "
    "or draw with engine=fal or engine=local."
)

TRAINERS = (
    TrainerRow(
        base_model="flux1-dev",
        endpoint="ostris/flux-dev-lora-trainer",
        zip_field="input_images",
        fields={
            "trigger": "trigger_word",
            "steps": "steps",
            "learning_rate": "learning_rate",
            "rank": "lora_rank",
            "batch_size": "batch_size",
        },
        fixed={"autocaption": False, "caption_dropout_rate": 0.05, "resolution": "512,768,1024"},
        # The trainer's own words: "try higher values when training a style".
        by_profile={"style": {"caption_dropout_rate": 0.1}},
        bounds={"steps": (3, 6000), "rank": (1, 128)},
        defaults={"steps": 1000, "learning_rate": 4e-4, "rank": 16, "batch_size": 1},
        price=OSTRIS_PRICE,
        outputs=TRAINED,
        minutes=(4.0, 20.0),
        licence=FLUX_LICENCE,
        told=(
            "It trains at 512, 768 and 1024 pixels in turn, whatever resolution says.",
            "Its alpha is always the rank, and it takes no seed: the same training twice gives two LoRAs.",
            "It gives no checkpoints and no sample pictures on the way.",
        ),
        least_images=2,
        checked=CHECKED,
    ),
    TrainerRow(
        base_model="flux1-dev",
        endpoint="replicate/fast-flux-trainer",
        zip_field="input_images",
        fields={"trigger": "trigger_word"},
        fixed={"lora_type": "subject"},
        by_profile={"style": {"lora_type": "style"}, "premium": {"lora_type": "style"}},
        defaults={"steps": 1000, "learning_rate": 4e-4, "rank": 16, "batch_size": 1},
        price=FAST_PRICE,
        outputs=TRAINED,
        minutes=(4.0, 0.0),
        licence=FLUX_LICENCE,
        told=(
            "It has a recipe of its own: steps, rank, learning rate, batch size and resolution are not taken.",
            "It gives no checkpoints and no sample pictures on the way.",
        ),
        least_images=2,
        checked=PRICE_NOT_CHECKED,
    ),
)

DRAWERS = (
    DrawerRow(
        base_model="flux1-dev",
        endpoint="black-forest-labs/flux-dev-lora",
        fields={"prompt": "prompt", "seed": "seed", "guidance": "guidance", "steps": "num_inference_steps"},
        lora_style="single",
        lora_fields=("lora_weights", "lora_scale"),
        lora_refusal=LOCAL_LORA,
        most_loras=1,
        size_style="aspect_ratio",
        ratios=RATIOS,
        most_side=1536,
        fixed={**DRAWN, "megapixels": "1"},
        defaults={"guidance": 3.0, "steps": 28},
        price=PriceRow(0.032, "image", worst=SAID),
        outputs=PICTURE,
        licence=FLUX_LICENCE,
        seconds=12.0,
        checked=PRICE_NOT_CHECKED,
    ),
    DrawerRow(
        base_model="flux1-dev",
        # The model that was trained draws by itself; its name and version stand in the LoRA's metadata.
        endpoint="",
        fields={"prompt": "prompt", "seed": "seed", "guidance": "guidance_scale", "steps": "num_inference_steps"},
        lora_style="destination",
        lora_fields=("", "lora_scale"),
        most_loras=1,
        size_style="width_height",
        most_side=1440,
        fixed={**DRAWN, "model": "dev", "aspect_ratio": "custom"},
        defaults={"guidance": 3.0, "steps": 28},
        price=TRAINED_PRICE,
        outputs=PICTURE,
        licence=FLUX_LICENCE,
        seconds=TRAINED_PRICE.seconds,
        checked=CHECKED,
    ),
    DrawerRow(
        base_model="flux1-dev",
        endpoint="lucataco/flux-dev-lora",
        fields={"prompt": "prompt", "seed": "seed", "guidance": "guidance_scale", "steps": "num_inference_steps"},
        lora_style="single",
        lora_fields=("hf_lora", "lora_scale"),
        lora_refusal=LOCAL_LORA,
        most_loras=1,
        size_style="aspect_ratio",
        ratios=RATIOS,
        most_side=1536,
        fixed={"num_outputs": 1, "output_format": "png"},
        defaults={"guidance": 3.5, "steps": 28},
        # 0.038 USD a picture is told of it, which is 25 seconds of an H100.
        price=PriceRow(H100_USD, "second", seconds=25.0, worst=3.0),
        outputs=PICTURE,
        licence=FLUX_LICENCE,
        seconds=25.0,
        checked=CHECKED,
    ),
    DrawerRow(
        base_model="flux1-kontext",
        endpoint="black-forest-labs/flux-kontext-dev",
        fields={
            "prompt": "prompt",
            "seed": "seed",
            "guidance": "guidance",
            "steps": "num_inference_steps",
            "references": "input_image",
        },
        size_style="aspect_ratio",
        ratios=RATIOS,
        most_side=1536,
        least_references=1,
        most_references=1,
        fixed={"output_format": "png", "go_fast": False},
        defaults={"guidance": 2.5, "steps": 28},
        price=PriceRow(0.025, "image"),
        outputs=PICTURE,
        licence=FLUX_LICENCE,
        seconds=12.0,
        checked=CHECKED,
    ),
)

EDITORS = (
    EditorRow(
        model="multi_angle",
        endpoint="qwen/qwen-edit-multiangle",
        fields={"images": "image", "prompt": "prompt", "seed": "seed"},
        turn=turns.moves,
        many=False,
        fixed={"aspect_ratio": "match_input_image", "output_format": "png", "go_fast": False},
        price=PriceRow(0.03, "image", worst=SAID),
        outputs=PICTURE,
        checked=PRICE_NOT_CHECKED,
    ),
    EditorRow(
        model="restyle",
        endpoint="google/nano-banana-pro",
        fields={"images": "image_input", "prompt": "prompt"},
        most_images=14,
        # 1K and 2K cost the same, 4K twice that.
        fixed={"aspect_ratio": "match_input_image", "resolution": "2K", "output_format": "png"},
        price=PriceRow(0.15, "image", worst=SAID),
        outputs=PICTURE,
        seconds=30.0,
        checked=PRICE_NOT_CHECKED,
    ),
    EditorRow(
        model="edit",
        endpoint="qwen/qwen-image-edit-plus",
        fields={"images": "image", "prompt": "prompt", "seed": "seed"},
        most_images=3,
        fixed={"aspect_ratio": "match_input_image", "output_format": "png", "go_fast": False},
        price=PriceRow(0.03, "image", worst=SAID),
        outputs=PICTURE,
        checked=PRICE_NOT_CHECKED,
    ),
    EditorRow(
        model="upscale",
        # No SeedVR2 model that takes pictures was found at Replicate; this one draws nothing new.
        endpoint="nightmareai/real-esrgan",
        fields={"images": "image"},
        many=False,
        fixed={"scale": 2, "face_enhance": False},
        # 10 to 30 seconds on a T4 are told for large pictures.
        price=PriceRow(T4_USD, "second", seconds=16.0, worst=4.0),
        outputs=PICTURE,
        seconds=16.0,
        checked=CHECKED,
    ),
)

CAPTIONER = CaptionerRow(
    endpoint="zsxkib/blip-3",
    image_field="image",
    fixed={"caption": False, "question": "Describe this picture in one plain sentence: what is seen, where, how lit."},
    # Its page names no machine that lasts; the dearest of those that it ran on is counted.
    price=PriceRow(A100_USD, "second", seconds=5.0, worst=4.0),
    output=OutputRow((0,), "text"),
    checked=PRICE_NOT_CHECKED,
)

_NONE_FOUND = "No trainer for {base} was found at Replicate on {date}; {instead}"
_FAL_OR_LOCAL = "engine=fal trains it, and engine=local on a machine with a GPU."
INSTEAD = {
    base: _NONE_FOUND.format(base=base, date=CHECKED, instead=instead)
    for base, instead in {
        "flux2-dev": _FAL_OR_LOCAL,
        "flux2-klein-4b": _FAL_OR_LOCAL,
        "flux2-klein-9b": _FAL_OR_LOCAL,
        "z-image": _FAL_OR_LOCAL,
        "z-image-base": _FAL_OR_LOCAL,
        "wan-2.2": "engine=fal trains it.",
    }.items()
}

TABLE = Table(TRAINERS, DRAWERS, EDITORS, CAPTIONER, INSTEAD)
