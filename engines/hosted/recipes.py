"""How the arguments of a training reach an endpoint: checked against its row, mapped to its inputs, and told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loradeck.engines.base import Defaults, TrainSpec
from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted.table import DrawerRow, TrainerRow

NUMBERS = ("steps", "learning_rate", "rank", "alpha", "batch_size", "resolution", "seed")
"""Arguments of a training that an endpoint takes, bounds or ignores."""
FALLBACK = {"steps": 1000, "rank": 16, "learning_rate": 1e-4, "batch_size": 1, "resolution": 1024}
"""What a plan shows where an endpoint has a recipe of its own."""
DRAWING_FALLBACK = {"guidance": 3.5, "steps": 28}
NO_REGULARISATION = "No regularisation images are taken there: vary background, outfit and light in the set instead."


def defaults(trainer: TrainerRow | None, drawer: DrawerRow | None) -> Defaults:
    """The recipe of an endpoint, ours where it has none."""
    recipe = FALLBACK | (dict(trainer.defaults) if trainer else {})
    drawn = DRAWING_FALLBACK | (dict(drawer.defaults) if drawer else {})
    return Defaults(
        steps=int(recipe["steps"]),
        rank=int(recipe["rank"]),
        alpha=float(recipe["rank"]),
        learning_rate=float(recipe["learning_rate"]),
        batch_size=int(recipe["batch_size"]),
        resolution=int(recipe["resolution"]),
        guidance=float(drawn["guidance"]),
        draw_steps=int(drawn["steps"]),
    )


def inputs(row: TrainerRow, spec: TrainSpec, zip_url: str) -> dict[str, Any]:
    """What is sent: our numbers under the endpoint's names, and what is always sent there."""
    given: dict[str, Any] = {row.zip_field: zip_url, **row.fixed, **row.by_profile.get(spec.profile, {})}
    values = {"trigger": spec.trigger, "name": spec.name, **{name: getattr(spec, name) for name in NUMBERS}}
    return given | {field: values[ours] for ours, field in row.fields.items() if ours in values}


def steps_of(row: TrainerRow, spec: TrainSpec) -> int:
    """The steps that it takes there: its own where it does not let us say."""
    return spec.steps if "steps" in row.fields else int(row.defaults.get("steps", FALLBACK["steps"]))


def must_take(row: TrainerRow, spec: TrainSpec, images: int | None = None) -> None:
    """Raises BadSpec, with all that is wrong, for what the endpoint would reject; `images` where they are counted."""
    wrong = [
        f"{name} may be {least:g} to {most:g} at {row.endpoint}, not {value:g}."
        for name, (least, most) in row.bounds.items()
        if name in row.fields and not least <= (value := getattr(spec, name)) <= most
    ]
    if spec.warm_start is not None:
        wrong.append(
            f"{row.endpoint} cannot go on from a LoRA; leave continue_from out to train anew, or use engine=local."
        )
    if images is not None and not row.least_images <= images <= row.most_images:
        wrong.append(f"{row.endpoint} takes {row.least_images} to {row.most_images} images, and these are {images}.")
    if wrong:
        raise BadSpec(" ".join(wrong))


def remarks(row: TrainerRow, spec: TrainSpec) -> list[str]:
    """What was asked for and is ignored there."""
    usual = defaults(row, None)
    ignored = [
        f"{name} {getattr(spec, name):g}"
        for name in ("steps", "learning_rate", "rank", "batch_size", "resolution")
        if name not in row.fields and getattr(spec, name) != getattr(usual, name)
    ]
    if "alpha" not in row.fields and spec.alpha != spec.rank:
        ignored.append(f"alpha {spec.alpha:g}")
    return [f"{row.endpoint} has its own recipe and ignores {', '.join(ignored)}."] if ignored else []


def maps(row: TrainerRow, spec: TrainSpec, host: str) -> list[str]:
    """How each argument reaches the endpoint, a sentence each."""
    named = row.fields.get("trigger")
    told = [
        f"trigger: {f'goes to {named}, and stands' if named else 'written'} at the start of every caption"
        f"{'' if named else ', since the endpoint has no field for it'}.",
        "captions: as they are, a .txt beside each image in one flat zip; auto-captioning off.",
    ]
    for name in NUMBERS:
        field = row.fields.get(name)
        told.append(f"{name} {getattr(spec, name):g} -> {field}." if field else f"{name}: ignored there.")
    always = {**row.fixed, **row.by_profile.get(spec.profile, {})}
    if always:
        told.append(f"Always sent for the profile {spec.profile}: {_listed(always)}.")
    if not any("regularisation" in sentence for sentence in row.told):
        told.append(NO_REGULARISATION)
    told.extend(row.told)
    told.append(f"The images and captions go to {host} ({row.endpoint}). {row.licence}".strip())
    return told


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
