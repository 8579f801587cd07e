"""What Replicate's models do on loopback: trainings that open their zip, pictures, and the log that grows with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.hosts import images, weights
from support.hosts.datasets import Dataset
from support.hosts.jobs import Failure, Job, Result
from support.hosts.replicate_models import RATIOS, TRAINED, Model, version_id

if TYPE_CHECKING:
    from support.hosts.replicate import Replicate

FAST_SECONDS, SECONDS_A_STEP, SECONDS_A_PICTURE = 120.0, 1.2, 4.0
"""How long things take there: the fast trainer in all, the others by step, a picture."""

FAST_STEPS = 1000
SOURCES = ("image", "input_image", "image_input")
LORAS = ("lora_weights", "hf_lora", "extra_lora", "replicate_weights")


def seconds(job: Job) -> float:
    """Time on the machine for the whole job."""
    if job.kind != "train":
        return SECONDS_A_PICTURE * job.input.get("num_outputs", 1)
    return job.input["steps"] * SECONDS_A_STEP if "steps" in job.input else FAST_SECONDS


def done(service: Replicate, job: Job) -> Result:
    """Do a job that ran to its end. Raises `Failure` or `ValueError`."""
    if job.kind == "train":
        return _trained(service, job)
    if job.meets("nsfw"):
        raise Failure("NSFW content detected. Try running it again, or try a different prompt.")
    if job.kind == "caption":
        return Result(images.described(service.fetched(job.input["image"])), seconds(job))
    pictures = _pictures(service, job)
    form = "jpeg" if (ending := job.input.get("output_format", "webp")) == "jpg" else ending
    names = [f"out-{index}.{ending}" for index in range(len(pictures))]
    addresses = [
        service.deliver(name, images.encoded(picture, form)) for name, picture in zip(names, pictures, strict=True)
    ]
    many = service.models[job.endpoint].many
    return Result(addresses if many else addresses[0], seconds(job), len(addresses))


def logs(job: Job, state: str, fraction: float) -> str:
    """The log so far: a training's bar by tenths of its steps, as its trainer prints it."""
    if state == "queued":
        return ""
    if job.kind != "train":
        return f"Using seed: {_seed(job)}\n"
    steps = job.input.get("steps", FAST_STEPS)
    at = round(steps * (fraction if state in ("running", "unknown") else job.share))
    reached = [step for step in sorted({steps * tenth // 10 for tenth in range(11)}) if step < at]
    return "".join(f"{_bar(step, steps)}\n" for step in [*reached, at])


def _bar(step: int, steps: int) -> str:
    share, loss = step / steps, 0.5 - 0.2 * step / steps
    bar = ("#" * int(share * 10)).ljust(10)
    took, left = divmod(int(step * SECONDS_A_STEP), 60), divmod(int((steps - step) * SECONDS_A_STEP), 60)
    times = f"{took[0]:02}:{took[1]:02}<{left[0]:02}:{left[1]:02}, {SECONDS_A_STEP:.2f}s/it"
    return f"flux_train_replicate: {share:4.0%}|{bar}| {step}/{steps} [{times}, lr: 4.0e-04 loss: {loss:.1e}]"


def _trained(service: Replicate, job: Job) -> Result:
    trainer = service.models[job.endpoint]
    job.dataset = Dataset.of(service.fetched(job.input.get("input_images") or job.input["dataset"]))
    file = weights.no_lora() if job.meets("not_a_lora") else weights.lora(trainer.base, len(job.dataset.images))
    config = f"job: extension\nconfig:\n  name: flux_train_replicate\n  trigger_word: {job.input.get('trigger_word')}\n"
    tar = weights.trained_tar(file, config, job.dataset.captions, climbing=job.meets("climbing_tar"))
    destination = service.models[job.extra["destination"]]
    version = version_id(job.id)
    _grown(destination, trainer, version)
    output = {"version": f"{destination.id}:{version}", "weights": service.deliver("trained_model.tar", tar)}
    return Result(output, seconds(job))


def _grown(destination: Model, trainer: Model, version: str) -> None:
    """The destination has a version, which draws as the trainer's model does."""
    destination.versions.append(version)
    destination.schema, destination.base, destination.hardware = TRAINED, trainer.base, "gpu-h100"


def _pictures(service: Replicate, job: Job) -> list[Any]:
    given, kind = job.input, service.models[job.endpoint].kind
    for name in LORAS:
        if str(given.get(name, "")).startswith((service.base_url, service.delivery_url)):
            service.fetched(given[name])
    sources = [service.fetched(address) for name in SOURCES if name in given for address in _listed(given[name])]
    count, prompt, seed = given.get("num_outputs", 1), given.get("prompt", ""), _seed(job)
    if job.meets("black"):
        return [images.black(_size(given) or (1024, 1024))] * count
    if kind == "upscale":
        return [images.enlarged(sources[0], _factor(given))]
    if sources:
        return [
            images.edited(sources, f"{prompt} {_angles(given)}", seed + index, _size(given)) for index in range(count)
        ]
    return [images.paint(prompt, seed + index, _size(given) or (1024, 1024)) for index in range(count)]


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _seed(job: Job) -> int:
    """The seed that was given, or one that follows from the job."""
    return int(job.input.get("seed", int(job.id[:7], 16)))


def _size(given: dict[str, Any]) -> tuple[int, int] | None:
    """Pixels of the picture that was asked for; None: those of the reference."""
    if given.get("aspect_ratio") == "custom":
        return given.get("width", 1024), given.get("height", 1024)
    return RATIOS.get(given.get("aspect_ratio", ""))


def _factor(given: dict[str, Any]) -> float:
    """How many times larger."""
    return float(given.get("scale", str(given.get("upscale_factor", "2x")).removesuffix("x")))


def _angles(given: dict[str, Any]) -> str:
    return " ".join(str(given.get(name, 0)) for name in ("rotate_degrees", "move_forward", "vertical_tilt"))
