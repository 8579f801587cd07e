"""Pictures from prompts, with any number of LoRAs and references. A picture that exists is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL.Image import Image

from loradeck.engines.base import DrawJob, DrawRequest, DrawResult, Picture, Reporter
from loradeck.engines.errors import OutOfMemory
from loradeck.engines.local import batching, memory, pictures, references
from loradeck.engines.local.abreast import abreast, shared_out
from loradeck.engines.local.bases import Base
from loradeck.engines.local.opened import OpenBase
from loradeck.engines.local.placement import free_bytes
from loradeck.engines.local.references import Reference
from loradeck.engines.story import story

Size = tuple[int, int]


@dataclass(frozen=True)
class Settings:
    """How every picture of a request is drawn."""

    steps: int
    guidance: float
    loras: tuple[tuple[str, float, str], ...]  # file name, strength, sha256
    references: tuple[Reference, ...] = ()

    def story(self, base: Base, job: DrawJob, native: Size) -> dict[str, str]:
        """What is written into the PNG."""
        return story(
            job,
            engine="local",
            base_model=base.name,
            loras=self.loras,
            references=[one.told for one in self.references],
            steps=self.steps,
            guidance=self.guidance,
            native=native,
        )


def nearest_size(base: Base, width: int, height: int) -> Size:
    """The native size whose shape is nearest to the one asked for."""
    asked = math.log(width / height)
    return min(base.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - asked))


class Drawer:
    """A base in memory, with the LoRAs of the last request on it."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self._open = OpenBase(base)

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw what is not there yet. Raises BadSpec, BadWeights, NotInstalled, OutOfMemory, Cancelled, CannotWrite."""
        leaned_on = references.read(request.references, self.base, self._open.family)
        missing = [job for job in request.jobs if not job.out.exists()]
        prompts = ["", *(job.prompt for job in missing), *request.upcoming]
        self._open.encode(prompts, reporter.raise_if_cancelled)
        stacked = self._open.stack.put_on(request.loras)
        settings = Settings(request.steps or self.base.draw_steps, self._guidance(request), stacked.loras, leaned_on)
        done = len(request.jobs) - len(missing)
        reporter.progress(done, len(request.jobs), "drawing")
        for size, jobs in _by_size(self.base, missing).items():
            for job, picture in self._drawn(jobs, size, settings, reporter):
                pictures.write_png(picture, job.out, settings.story(self.base, job, size))
                done += 1
                reporter.progress(done, len(request.jobs), "drawing")
        return DrawResult(tuple(_there(job) for job in request.jobs), self.base.preview, stacked.told)

    def _guidance(self, request: DrawRequest) -> float:
        """What was asked for, or what suits: with a LoRA on, prompts pull harder by themselves."""
        if request.guidance is not None:
            return request.guidance
        return self.base.recipe.guidance if request.loras else self.base.guidance

    def _drawn(
        self, jobs: Sequence[DrawJob], size: Size, settings: Settings, reporter: Reporter
    ) -> Iterator[tuple[DrawJob, Image]]:
        """The pictures of one native size, as they are done; a batch that memory does not hold is halved."""
        left, most = list(jobs), self._at_once(size, settings)
        while left:
            with closing(self._batches(left, most, size, settings, reporter.raise_if_cancelled)) as batches:
                for batch, drawn in batches:
                    if drawn is None:
                        most = len(batch) // 2
                        words = f"Memory does not hold {len(batch)} pictures at once; going on with {most}."
                        reporter.event(words, "warning")
                        break
                    yield from zip(batch, drawn, strict=True)
                    left = [job for job in left if job not in batch]
            if left:
                memory.give_back()

    def _batches(
        self, jobs: Sequence[DrawJob], most: int, size: Size, settings: Settings, check: Callable[[], None]
    ) -> Generator[tuple[Sequence[DrawJob], list[Image] | None]]:
        """Batches of `most` and their pictures, None where those are too many; `check` hears a stop and raises."""
        if lanes := self._open.lanes:
            batches = shared_out(jobs, most, len(lanes))
            yield from abreast(batches, lanes, partial(self._tried, size=size, settings=settings), check)
            return
        for start in range(0, len(jobs), most):
            check()
            batch = jobs[start : start + most]
            yield batch, self._tried(self._open.pipeline, batch, check, size=size, settings=settings)

    def _at_once(self, size: Size, settings: Settings) -> int:
        """How many pictures of a size are drawn together, by the memory that is free."""
        layers = self._open.pipeline.transformer.modules()
        widest = max(getattr(layer, "out_features", 1) for layer in layers)
        pixels = math.prod(size) + sum(math.prod(one.picture.size) for one in settings.references)
        tokens = self.base.max_tokens + pixels // self._open.family.stride**2
        each = batching.bytes_a_picture(tokens, widest, self._open.dtype.itemsize)
        return batching.at_once(free_bytes(self._open.device), each)

    def _tried(
        self, pipeline: Any, jobs: Sequence[DrawJob], on_step: Callable[[], None], size: Size, settings: Settings
    ) -> list[Image] | None:
        """The pictures of a batch, or None where several are too many. Raises OutOfMemory where one is."""
        width, height = size
        try:
            with memory.told(
                f"A picture of {width} x {height} pixels does not fit beside this base; close other programs and call "
                "again: pictures that are done are kept."
            ):
                return self._draw(pipeline, jobs, on_step, size, settings)
        except OutOfMemory:
            if len(jobs) == 1:
                raise
            return None

    def _draw(
        self, pipeline: Any, jobs: Sequence[DrawJob], on_step: Callable[[], None], size: Size, settings: Settings
    ) -> list[Image]:
        """The pictures of a batch at the sizes asked for; `on_step` is called at every step and may raise."""
        drawn = self._open.family.draw(
            pipeline,
            self._open.texts(job.prompt for job in jobs),
            self._open.texts([""]),
            [job.seed for job in jobs],
            size,
            settings.steps,
            settings.guidance,
            on_step,
            [one.picture for one in settings.references],
        )
        return [pictures.scaled(picture, job.width, job.height) for job, picture in zip(jobs, drawn, strict=True)]


def _by_size(base: Base, jobs: Sequence[DrawJob]) -> dict[Size, list[DrawJob]]:
    """Jobs by the native size that each is drawn at, in their order."""
    found: dict[Size, list[DrawJob]] = {}
    for job in jobs:
        found.setdefault(nearest_size(base, job.width, job.height), []).append(job)
    return found


def _there(job: DrawJob) -> Picture:
    (width, height), told = pictures.read_story(job.out)
    across, down = told.get("native", f"{width}x{height}").split("x")
    return Picture(job.id, job.out, width, height, (int(across), int(down)))


_drawers: dict[str, Drawer] = {}


def draw(base: Base, request: DrawRequest, reporter: Reporter) -> DrawResult:
    """Draw with a base that stays in memory for the next request of this process."""
    held = _drawers.get(base.name)
    if held is None or held.base != base:
        reporter.progress(0, len(request.jobs), f"loading the {base.name} base")
        held = None
        _drawers.clear()  # one base at a time: a second full-size one would not fit
        memory.give_back()
        held = _drawers[base.name] = Drawer(base)
    return held.draw(request, reporter)
