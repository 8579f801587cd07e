"""An engine that edits and enlarges with Pillow, and fails where a test says so."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, PngImagePlugin
from support.painter import Painter

from loradeck.engines.base import (
    Ability,
    Availability,
    BaseModelInfo,
    Capabilities,
    Cost,
    DrawJob,
    DrawRequest,
    DrawResult,
    EditJob,
    EditRequest,
    Picture,
    Reporter,
    TrainSpec,
)

PRICES = {"multi_angle": 0.035, "restyle": 0.065, "upscale": 0.001, "edit": 0.04}
SIDE = 512
"""Small, so that tests are quick, and no smaller than what a set takes."""


@dataclass
class Editor(Painter):
    """Every picture is coloured squares of its model, its words, its turn and the bytes of its inputs.

    `missing`, `black` and `doubtful` name jobs that do not come, come black, or may have arrived or not; `before` is
    called with each job's id; `notes` is what its files say of how they were made.
    """

    name: str = "editor"
    missing: set[str] = field(default_factory=set)
    black: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    leaves: bool = False
    ready: bool = True
    notes: str = "a picture"
    edits: list[EditRequest] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda job_id: None

    @property
    def capabilities(self) -> Capabilities:
        abilities: frozenset[Ability] = frozenset({"draw", "edit", "upscale"})
        base = BaseModelInfo(self.base, frozenset({"draw"}), preview=self.base == "preview", licence="anything")
        return Capabilities(abilities, (base,), costs_money=self.costs, leaves_machine=self.leaves)

    def available(self) -> Availability:
        return Availability(True) if self.ready else Availability(False, "it has no key.", "Set EDITOR_KEY.")

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        if not isinstance(spec, EditRequest) or not self.costs:
            return Cost(minutes=1.0, usd=0.0, basis="measured")
        usd = PRICES[spec.model] * len(spec.jobs)
        return Cost(1.0, usd, worst_usd=2 * usd, price_source="table", price_date="2026-11-01")

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        self.edits.append(request)
        pictures = []
        told = []
        for number, job in enumerate(request.jobs, 1):
            reporter.raise_if_cancelled()
            if job.draw.id in self.missing:
                told.append(f"{job.draw.id} was refused by the host's filter; say it otherwise.")
                continue
            if not job.draw.out.exists():
                self.before(job.draw.id)
                self._buy(request.model, job.draw.id, reporter)
                if job.draw.id in self.doubtful:
                    told.append(f"It is not known whether {job.draw.id} arrived.")
                    continue
                self._edit(request.model, job)
                self.made.append(job.draw.id)
            reporter.progress(number, len(request.jobs))
            pictures.append(Picture(job.draw.id, job.draw.out, SIDE, SIDE, (SIDE, SIDE)))
        return DrawResult(tuple(pictures), told=tuple(told))

    def _buy(self, model: str, job_id: str, reporter: Reporter) -> None:
        """As an engine at a host spends: an intent, an id, and what it cost, or a doubt that stays."""
        if self.costs:
            reporter.purse.intend(job_id, model, 2 * PRICES[model])
            if job_id in self.doubtful:
                reporter.purse.unknown(job_id, "the line went dead")
                return
            reporter.purse.submitted(job_id, f"at-{job_id}")
            reporter.purse.settle(job_id, PRICES[model])

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        assert request.model == "upscale"
        return self.edit(request, reporter)

    def _edit(self, model: str, job: EditJob) -> None:
        told = (model, job.draw.prompt, job.draw.seed, job.turn, [path.read_bytes() for path in job.images])
        picture = noise(hashlib.sha256(repr(told).encode()).digest())
        if job.draw.id in self.black:
            picture = Image.new("RGB", (SIDE, SIDE))
        notes = PngImagePlugin.PngInfo()
        notes.add_text("parameters", self.notes)
        picture.save(job.draw.out, compress_level=1, pnginfo=notes)

    def _paint(self, request: DrawRequest, job: DrawJob) -> None:
        noise(hashlib.sha256(repr((job.prompt, job.seed)).encode()).digest()).save(job.out, compress_level=1)


def noise(digest: bytes) -> Image.Image:
    """Coloured squares that differ from digest to digest."""
    coarse = (digest * 4)[:108]
    return Image.frombytes("RGB", (6, 6), coarse).resize((SIDE, SIDE), Image.Resampling.NEAREST)
