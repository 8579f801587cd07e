"""Pictures from prompts, with any number of LoRAs. A picture that exists is kept."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PIL.Image import Image

from loradeck.engines import files
from loradeck.engines.base import DrawJob, DrawRequest, DrawResult, LoraRef, Picture, Reporter
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.engines.local import families, lora_file, lora_header, pictures
from loradeck.engines.local.bases import Base
from loradeck.engines.local.pipeline import load
from loradeck.engines.local.texts import join

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

BATCH = 4
"""Pictures of one size drawn together; measured on two cores, see docs."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Settings:
    """How every picture of a request is drawn."""

    steps: int
    guidance: float
    loras: tuple[tuple[str, float, str], ...]  # file name, strength, sha256

    def story(self, base: Base, job: DrawJob, native: Size) -> dict[str, str]:
        """What is written into the PNG."""
        loras = [{"file": name, "strength": strength, "sha256": digest} for name, strength, digest in self.loras]
        return {
            "Software": "loradeck",
            "prompt": job.prompt,
            "seed": str(job.seed),
            "base_model": base.name,
            "loras": json.dumps(loras),
            "steps": str(self.steps),
            "guidance": repr(self.guidance),
            "native": f"{native[0]}x{native[1]}",
        }


def nearest_size(base: Base, width: int, height: int) -> Size:
    """The native size whose shape is nearest to the one asked for."""
    asked = math.log(width / height)
    return min(base.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - asked))


class Drawer:
    """A base in memory, with the LoRAs of the last request on it."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._family = families.get(base.family)
        self._pipeline = load(base, self._family)
        self._on: list[str] = []
        self._told: list[str] = []
        self._texts: dict[str, Text] = {}

    @cached_property
    def _base_sha256(self) -> str:
        return self.base.digest

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw what is not there yet. Raises BadSpec, BadWeights, Cancelled and CannotWrite."""
        settings = Settings(
            request.steps or self.base.draw_steps,
            self._guidance(request),
            self._put_on(request.loras),
        )
        missing = [job for job in request.jobs if not job.out.exists()]
        done = len(request.jobs) - len(missing)
        reporter.progress(done, len(request.jobs), "drawing")
        for size, jobs in self._batches(missing):
            reporter.raise_if_cancelled()
            for job, picture in zip(jobs, self._draw(jobs, size, settings, reporter), strict=True):
                pictures.write_png(picture, job.out, settings.story(self.base, job, size))
                done += 1
                reporter.progress(done, len(request.jobs), "drawing")
        return DrawResult(tuple(_drawn(job) for job in request.jobs), self.base.preview, tuple(self._told))

    def _guidance(self, request: DrawRequest) -> float:
        """What was asked for, or what suits: with a LoRA on, prompts pull harder by themselves."""
        if request.guidance is not None:
            return request.guidance
        return self.base.recipe.guidance if request.loras else self.base.guidance

    def _batches(self, jobs: Sequence[DrawJob]) -> Iterator[tuple[Size, list[DrawJob]]]:
        by_size: dict[Size, list[DrawJob]] = {}
        for job in jobs:
            by_size.setdefault(nearest_size(self.base, job.width, job.height), []).append(job)
        for size, group in by_size.items():
            for start in range(0, len(group), BATCH):
                yield size, group[start : start + BATCH]

    def _draw(self, jobs: list[DrawJob], size: Size, settings: Settings, reporter: Reporter) -> list[Image]:
        """The pictures of a batch at the sizes asked for; a stop is heard at every step."""
        prompts = [job.prompt for job in jobs]
        drawn = self._family.draw(
            self._pipeline,
            join([self._text(prompt) for prompt in prompts]),
            self._text(""),
            [job.seed for job in jobs],
            size,
            settings.steps,
            settings.guidance,
            reporter.raise_if_cancelled,
        )
        return [pictures.scaled(picture, job.width, job.height) for job, picture in zip(jobs, drawn, strict=True)]

    def _text(self, prompt: str) -> Text:
        """A prompt, encoded once for as long as the base is in memory."""
        if prompt not in self._texts:
            self._texts[prompt] = self._family.encode_prompts(self._pipeline, [prompt], self.base.max_tokens)
        return self._texts[prompt]

    def _put_on(self, loras: Sequence[LoraRef]) -> tuple[tuple[str, float, str], ...]:
        """Load the request's LoRAs in place of the last one's; returns what the PNGs tell of them."""
        transformer: Any = self._pipeline.transformer
        self._told = []
        if self._on:
            transformer.delete_adapters(self._on)
            self._on = []
        story = []
        for number, lora in enumerate(loras):
            if lora.base_model != self.base.name:
                raise BadWeights(
                    f"{lora.path.name} belongs to the base {lora.base_model}, not {self.base.name}; choose a LoRA for "
                    f"{self.base.name} or draw on {lora.base_model}."
                )
            file = lora_file.read(lora.path, self._family, transformer, self.base.name)
            self._told += file.told(lora.path.name)
            if lora_header.is_of_other_weights(file.metadata, self._base_sha256):
                self._told.append(
                    f"{lora.path.name} was trained on an earlier {self.base.name} base and its look may be off on "
                    "this one; train it again with start_training."
                )
            name = f"lora{number}"
            state = {f"transformer.{key}": value for key, value in file.weights.items()}
            with warnings.catch_warnings():  # peft warns of a second adapter; stacking them is the point
                warnings.simplefilter("ignore", UserWarning)
                transformer.load_lora_adapter(state, adapter_name=name, _pipeline=self._pipeline)
            self._on.append(name)
            story.append((lora.path.name, lora.strength, files.sha256_file(lora.path)))
        if self._on:
            transformer.set_adapters(self._on, [lora.strength for lora in loras])
        return tuple(story)


def _drawn(job: DrawJob) -> Picture:
    (width, height), story = pictures.read_story(job.out)
    across, down = story.get("native", f"{width}x{height}").split("x")
    return Picture(job.id, job.out, width, height, (int(across), int(down)))


_drawers: dict[str, Drawer] = {}


def draw(base: Base, request: DrawRequest, reporter: Reporter) -> DrawResult:
    """Draw with a base that stays in memory for the next request of this process."""
    if request.references:
        raise BadSpec(f"The base {base.name} draws from words alone; leave the references out.")
    key = str(base.weights)
    if key not in _drawers:
        reporter.progress(0, len(request.jobs), f"loading the {base.name} base")
        _drawers.clear()  # one base at a time: a second full-size one would not fit
        _drawers[key] = Drawer(base)
    return _drawers[key].draw(request, reporter)
