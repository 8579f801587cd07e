"""Other trainers at Replicate, by name: how they are asked is read from their live schema."""

from __future__ import annotations

from collections.abc import Mapping

from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted.host import LiveField
from loradeck.engines.hosted.table import OutputRow, PriceRow, TrainerRow

ZIPS = ("input_images", "dataset", "images", "training_data", "training_images", "images_zip", "image_zip", "zip_file")
KNOWN = {
    "trigger": ("trigger_word", "trigger_phrase", "trigger", "token_string"),
    "steps": ("steps", "max_train_steps", "training_steps", "num_steps"),
    "learning_rate": ("learning_rate", "lr"),
    "rank": ("lora_rank", "rank", "network_rank", "network_dim"),
    "batch_size": ("batch_size", "train_batch_size"),
    "resolution": ("resolution", "train_resolution"),
    "seed": ("seed",),
}
"""Names under which trainers at Replicate have what we call otherwise, the likeliest first."""
OFF = ("autocaption", "auto_caption", "caption_images")
"""Switches of a trainer's own captioner: the captions are ours."""
OUTPUTS = (OutputRow(("weights",)), OutputRow(("version",), "version"))
NUMBERS = ("steps", "learning_rate", "rank", "batch_size", "resolution", "seed")


def row(base_model: str, endpoint: str, live: Mapping[str, LiveField], price: PriceRow, checked: str) -> TrainerRow:
    """The row of a trainer with those inputs. Raises BadSpec where nothing among them takes a zip of images."""
    zip_field = next((name for name in ZIPS if name in live), None)
    if zip_field is None:
        raise BadSpec(
            f"{endpoint} does not look like a trainer: none of its inputs ({', '.join(sorted(live)) or 'none'}) takes "
            "a zip of images; name another in advanced trainer, or leave it out."
        )
    found = {ours: name for ours, names in KNOWN.items() if (name := _known(ours, names, live))}
    return TrainerRow(
        base_model=base_model,
        endpoint=endpoint,
        zip_field=zip_field,
        fields=found,
        fixed={name: False for name in OFF if name in live},
        bounds={ours: ends for ours, name in found.items() if (ends := _ends(live[name]))},
        defaults={
            ours: float(default)
            for ours, name in found.items()
            if ours in NUMBERS and _number(default := live[name].default)
        },
        price=price,
        outputs=OUTPUTS,
        checked=checked,
        minutes=(4.0, price.seconds / 60.0),
        told=(
            f"{endpoint} is not in loradeck's table: its inputs are read from its live schema, its price is assumed to "
            "be that of an H100, and whether it trains this base is seen when its file comes back.",
        ),
    )


def _known(ours: str, names: tuple[str, ...], live: Mapping[str, LiveField]) -> str | None:
    """The trainer's name for an argument of ours, where it takes such a value: a number and no list of words."""
    there = next((name for name in names if name in live), None)
    if there is None or ours not in NUMBERS:
        return there
    field = live[there]
    return there if not field.choices and (field.default is None or _number(field.default)) else None


def _ends(field: LiveField) -> tuple[float, float] | None:
    if field.minimum is None and field.maximum is None:
        return None
    low = float("-inf") if field.minimum is None else field.minimum
    return low, float("inf") if field.maximum is None else field.maximum


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
