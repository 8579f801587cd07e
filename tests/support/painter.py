"""An engine that draws with Pillow instead of a model, and a worker in this process, for tests of what is around."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw

from loradeck import LoradeckError
from loradeck.engines.base import (
    Availability,
    BaseModelInfo,
    Capabilities,
    Cost,
    Defaults,
    DrawJob,
    DrawRequest,
    DrawResult,
    EditRequest,
    Picture,
    Reporter,
    TrainSpec,
)
from loradeck.engines.errors import BadSpec, Cancelled, ProviderError
from loradeck.engines.story import leaned_on, save, story
from loradeck.state import runs
from loradeck.state.records import LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import job_for
from loradeck.tools.contracts import RunKind
from loradeck.tools.library import register_lora
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.workbench import Engines, Job, Workbench


@dataclass
class Painter:
    """Implements `engines.base.Engine`: colours follow from prompt, seed, LoRAs, references and guidance alone."""

    name: str = "painter"
    drawn: list[str] = field(default_factory=list)
    stop_after: int | None = None
    die_after: int | None = None
    colour: Callable[[str, int], tuple[int, int, int]] | None = None
    costs: bool = False
    elsewhere: bool = False
    tells: tuple[str, ...] = ()
    base: str = "preview"
    noisy: set[str] = field(default_factory=set)
    requests: list[DrawRequest] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        base = BaseModelInfo(self.base, frozenset({"draw"}), preview=self.base == "preview")
        return Capabilities(frozenset({"draw"}), (base,), self.costs, self.elsewhere)

    def available(self) -> Availability:
        return Availability(True)

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:
        return Defaults(1, 1, 1.0, 1.0, 1, 64, 1.0, 1)

    def check(self, spec: TrainSpec) -> list[str]:
        return []

    def maps(self, spec: TrainSpec) -> list[str]:
        return []

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        usd = 0.05 * len(spec.jobs) if self.costs and not isinstance(spec, TrainSpec) else 0.0
        return Cost(usd=usd, worst_usd=usd, price_source="live", price_date="2026-11-28")

    def train(self, spec: Any, dataset: Any, reporter: Reporter) -> Any:
        raise BadSpec("The painter does not learn.")

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        self.requests.append(request)
        pictures = []
        for number, job in enumerate(request.jobs):
            reporter.raise_if_cancelled()
            if not job.out.exists():
                self._act(len(self.drawn))
                self._paint(request, job)
                self.drawn.append(job.id)
            reporter.progress(number + 1, len(request.jobs))
            pictures.append(Picture(job.id, job.out, job.width, job.height, (256, 144)))
        return DrawResult(tuple(pictures), preview=True, told=self.tells)

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        raise BadSpec("The painter does not edit.")

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        raise BadSpec("The painter does not upscale.")

    def _act(self, done: int) -> None:
        if self.stop_after is not None and done >= self.stop_after:
            raise Cancelled("Stopped as asked; what was done is kept.")
        if self.die_after is not None and done >= self.die_after:
            raise SystemExit("killed")

    def _paint(self, request: DrawRequest, job: DrawJob) -> None:
        loras = [(lora.path.name, lora.strength, lora.sha256) for lora in request.loras]
        looked_at = [path.read_bytes() for path in request.references]
        painted_with = [(sha256, strength) for _, strength, sha256 in loras]
        told = (job.prompt, job.seed, painted_with, request.guidance, request.steps, looked_at)
        digest = hashlib.sha256(repr(told).encode()).digest()
        bright = tuple(128 + value // 2 for value in digest[:3])  # whatever the hash, neither too dark nor blank
        ground = self.colour(job.prompt, job.seed) if self.colour else bright
        picture = Image.new("RGB", (job.width, job.height), ground)
        x, y = job.width * digest[3] // 400, job.height * digest[4] // 400
        if not self.colour:
            disc = tuple(value // 4 for value in digest[5:8])
            ImageDraw.Draw(picture).ellipse((x, y, x + job.height // 2, y + job.height // 2), fill=disc)
        if job.id in self.noisy:
            picture = Image.effect_noise((job.width, job.height), 90).convert("RGB")
        notes = story(
            job,
            engine=self.name,
            base_model=request.base_model,
            loras=loras,
            references=[leaned_on(path) for path in request.references],
            steps=request.steps,
            guidance=request.guidance,
            native=(256, 144),
        )
        save(picture, job.out, notes)


class Buyer(Painter):
    """A painter at a host: `lost` pictures are bought, and cannot be fetched until later."""

    lost = True

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        for job in request.jobs:
            key = f"draw/{job.id}/{job.seed}"
            if reporter.purse.get(key) is None:
                reporter.purse.intend(key, "endpoint", 0.05)
                reporter.purse.submitted(key, f"req-{job.id}")
        if self.lost:
            raise ProviderError("The host cannot be reached; resume the run, and nothing is bought again.")
        for job in request.jobs:
            reporter.purse.settle(f"draw/{job.id}/{job.seed}", 0.05)
        return super().draw(request, reporter)


@dataclass
class OneEngine:
    """`tools.workbench.Engines` with a single engine."""

    engine: Painter

    def names(self) -> list[str]:
        return [self.engine.name]

    def open(self, name: str) -> Painter:
        assert name == self.engine.name
        return self.engine

    def choose(self, base_model: str, ability: str) -> Painter:
        return self.engine


def bench(store: Store, painter: Painter, several: Engines | None = None) -> Workbench:
    """A workbench whose worker runs in this process, before `launch` returns; with one engine, or `several`."""
    engines: Engines = several or OneEngine(painter)

    def launch(run_id: str) -> None:
        run = runs.claim(store, run_id)
        assert run is not None
        assert run.token is not None
        try:
            reporter = StoreReporter(store, run_id, run.token)
            result = job_for(RunKind(run.kind))(Job(run, store, engines, reporter))
        except Cancelled as error:
            runs.finish(store, run_id, run.token, "cancelled", message=str(error))
        except LoradeckError as error:
            runs.finish(store, run_id, run.token, "failed", error=str(error))
        except SystemExit:
            store.change(RunRecord, run_id, state="lost", token=None, pid=None)
        else:
            runs.finish(store, run_id, run.token, "succeeded", result=result.model_dump(mode="json"))

    return Workbench(store, engines, launch)


def trained(store: Store, name: str = "fluent", trigger: str | None = "fluentlook", **columns: Any) -> LoraRecord:
    """A LoRA in the library, of bytes that are its own."""
    source = store.workspace.home / "source.safetensors"
    source.write_bytes(repr((name, trigger, sorted(columns.items()))).encode() * 9)
    values: dict[str, Any] = {
        "source": source, "name": name, "base_model": "preview", "trigger": trigger, "rank": 8, "steps": 100,
        "dataset_id": None, "run_id": None, "parent_lora_id": None, "fingerprint": None, "preview": True, "meta": {},
    }  # fmt: skip
    return register_lora(store, **{**values, **columns})
