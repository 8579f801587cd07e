"""What fal's endpoints do on loopback: trainings that open their zip, pictures, and the outputs in each one's keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from PIL import Image
from support.hosts import images, weights
from support.hosts.datasets import Dataset
from support.hosts.fal_endpoints import RATIOS, SIZES, Endpoint
from support.hosts.jobs import Failure, Job, Result

if TYPE_CHECKING:
    from support.hosts.fal import Fal

SECONDS_A_STEP, SECONDS_A_PICTURE = 0.5, 3.0
MEGAPIXEL = 1_000_000
HEIGHTS = {"720p": 720, "1080p": 1080, "1440p": 1440, "2160p": 2160}


def done(service: Fal, job: Job) -> Result:
    """Do a job that ran to its end. Raises `Failure` or `ValueError`."""
    endpoint = service.endpoints[job.endpoint]
    if endpoint.kind == "caption":
        return Result({"results": images.described(service.fetched(job.input["image_url"]))}, 1.0)
    return _trained(service, job, endpoint) if endpoint.kind == "train" else _drawn(service, job, endpoint)


def units(endpoint: Endpoint, job: Job, pictures: list[Image.Image]) -> float:
    """What is billed, in the endpoint's unit."""
    if endpoint.kind == "train":
        return max(endpoint.least, steps(endpoint, job))
    if endpoint.unit == "images":
        return float(len(pictures))
    return sum(max(1.0, round(one.width * one.height / MEGAPIXEL, 2)) for one in pictures)


def steps(endpoint: Endpoint, job: Job) -> int:
    """Steps of a training, the endpoint's own number where none was given."""
    return int(job.input.get("steps", endpoint.schema["properties"]["steps"]["default"]))


def logs(service: Fal, job: Job, fraction: float) -> list[dict[str, str]]:
    """The log so far; a training tells its steps."""
    endpoint, stamp = service.endpoints[job.endpoint], service.clock.iso(job.started or job.created)
    if endpoint.kind != "train":
        words = ["Drawing ..."]
    else:
        total = steps(endpoint, job)
        at = round(total * fraction)
        words = [f"Training:  {round(100 * at / total)}%|#####     | {at}/{total} [00:10<00:20, loss: 3.1e-01]"]
    return [{"message": one, "level": "INFO", "source": "USER", "timestamp": stamp} for one in words]


def _trained(service: Fal, job: Job, endpoint: Endpoint) -> Result:
    job.dataset = Dataset.of(service.fetched(job.input[endpoint.archive]))
    if endpoint.pairs and not any("_start." in name for name in job.dataset.images):
        raise Failure("No image pairs found: name them ROOT_start and ROOT_end", place=("body", endpoint.archive))
    if not job.dataset.captions and "default_caption" in endpoint.schema["properties"]:
        _need(job, "default_caption", "Captions are missing in the archive, and no default caption was given")
    output: dict[str, Any] = {}
    for index, key in enumerate(endpoint.outputs):
        form = job.input.get("output_lora_format", "fal")
        made = weights.no_lora() if job.meets("not_a_lora") else weights.lora(endpoint.base, index, form)
        output[key] = service.deliver("pytorch_lora_weights.safetensors", made, job=job)
    output["config_file"] = service.deliver("config.json", json.dumps(job.input).encode(), job=job)
    total = steps(endpoint, job)
    return Result(output, total * SECONDS_A_STEP, units(endpoint, job, []))


def _need(job: Job, name: str, words: str) -> None:
    if not job.input.get(name):
        raise Failure(words, "value_error", place=("body", name))


def _drawn(service: Fal, job: Job, endpoint: Endpoint) -> Result:
    if job.meets("nsfw") and endpoint.kind == "edit" and "enable_safety_checker" not in endpoint.schema["properties"]:
        words = "The content could not be processed because it contained material flagged by a content checker."
        raise Failure(words, "content_policy_violation", place=("body", "prompt"), value=job.input.get("prompt"))
    pictures = _pictures(service, job, endpoint)
    nsfw = job.meets("nsfw")
    if nsfw or job.meets("black"):
        pictures = [images.black(picture.size) for picture in pictures]
    asked = job.input.get("output_format", endpoint.schema["properties"]["output_format"]["default"])
    shown = [_shown(service, job, picture, asked) for picture in pictures]
    billed = units(endpoint, job, pictures)
    seconds = SECONDS_A_PICTURE * len(shown)
    if endpoint.kind == "upscale":
        return Result({"image": shown[0], "seed": _seed(job)}, seconds, billed)
    output: dict[str, Any] = {"images": shown, "seed": _seed(job), "prompt": job.input.get("prompt", "")}
    if "enable_safety_checker" in endpoint.schema["properties"]:
        output |= {"has_nsfw_concepts": [nsfw] * len(shown), "timings": {"inference": seconds}}
    return Result(output, seconds, billed)


def _shown(service: Fal, job: Job, picture: Image.Image, asked: str) -> dict[str, Any]:
    form = "jpeg" if asked == "jpg" else asked
    file = service.deliver(f"out.{form}", images.encoded(picture, form), images.TYPES[form], job)
    return {**file, "width": picture.width, "height": picture.height}


def _pictures(service: Fal, job: Job, endpoint: Endpoint) -> list[Image.Image]:
    given, seed, count = job.input, _seed(job), job.input.get("num_images", 1)
    for lora in given.get("loras", []):
        _checked(service, lora["path"])
    addresses = [*given.get("image_urls", []), *([given["image_url"]] if "image_url" in given else [])]
    sources = [service.fetched(address) for address in addresses]
    if endpoint.kind == "upscale":
        return [images.enlarged(sources[0], _factor(given, images.opened(sources[0]).height))]
    if endpoint.kind == "edit" and not sources:
        raise Failure("List should have at least 1 item after validation, not 0", "too_short", 422)
    angles = [given.get(name) for name in ("horizontal_angle", "vertical_angle", "zoom")]
    prompt = f"{given.get('prompt', '')} {angles}" if any(angles) else given.get("prompt", "")
    if sources:
        return [images.edited(sources, prompt, seed + index, _size(given)) for index in range(count)]
    return [images.paint(prompt, seed + index, _size(given) or SIZES["landscape_4_3"]) for index in range(count)]


def _checked(service: Fal, path: str) -> None:
    """Open the LoRA where it lies at this host; those on a hub are taken on trust."""
    if path.startswith((service.base_url, service.delivery_url)) and b"lora" not in service.fetched(path)[:65536]:
        raise Failure("Failed to load LoRA weights", "value_error", place=("body", "loras"), value=path)


def _seed(job: Job) -> int:
    """The seed that was given, or one that follows from the job."""
    return int(job.input.get("seed", int(job.id.replace("-", "")[:7], 16)))


def _size(given: dict[str, Any]) -> tuple[int, int] | None:
    """Pixels of the picture that was asked for; None: those of the reference."""
    asked = given.get("image_size")
    if isinstance(asked, dict):
        return asked.get("width", 512), asked.get("height", 512)
    return SIZES.get(asked) or RATIOS.get(given.get("aspect_ratio", ""))


def _factor(given: dict[str, Any], height: int) -> float:
    """How many times larger."""
    if given.get("upscale_mode", "factor") == "target":
        return HEIGHTS[given.get("target_resolution", "1080p")] / height
    return float(given.get("upscale_factor", 2))
