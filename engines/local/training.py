"""A whole training: load, encode once, learn, export. Called again after a crash it goes on."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from loradeck.engines import files
from loradeck.engines.base import DatasetFolder, Reporter, TrainResult, TrainSpec
from loradeck.engines.errors import BadSpec
from loradeck.engines.local import (
    checkpoint,
    export,
    families,
    lora_file,
    masks,
    material,
    memory,
    metadata,
    peers,
    pictures,
    placing,
)
from loradeck.engines.local.bases import Base
from loradeck.engines.local.cache import Encoder
from loradeck.engines.local.checkpoint import Progress
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.ladder import climb_down
from loradeck.engines.local.learner import Learner
from loradeck.engines.local.loop import Loop
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.material import Material
from loradeck.engines.local.options import Options, read
from loradeck.engines.local.patience import Patience
from loradeck.engines.local.peers import ALONE, Peers, Silent
from loradeck.engines.local.pipeline import Encoders
from loradeck.engines.local.planner import Plan
from loradeck.engines.local.scoring import Scorer
from loradeck.engines.local.texts import moved, part

if TYPE_CHECKING:
    from PIL.Image import Image

    from loradeck.engines.local.families import Text

FORMAT = 3
"""Part of a checkpoint's key: raise it when the maths of a step changes."""


def train(
    base: Base, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter, plan: Plan | None = None
) -> TrainResult:
    """Learn a LoRA as planned, or with less where memory runs out.

    Raises BadSpec, BadWeights, Cancelled, Diverged, OutOfMemory, PeerLost and CannotWrite; a full disk is waited for.
    """
    options = read(spec.advanced, base.recipe.advanced)
    if not dataset.items:
        raise BadSpec("The dataset holds no image to train on; add some with curate_dataset.")
    if options.threads:
        torch.set_num_threads(options.threads)
    done = _finished(spec, reporter)
    if done is not None:
        return done
    return climb_down(lambda fits: _learned(base, spec, dataset, options, reporter, fits), plan, reporter)


def _learned(
    base: Base, spec: TrainSpec, dataset: DatasetFolder, options: Options, reporter: Reporter, plan: Plan | None
) -> TrainResult:
    """A training with one plan, on as many processes as were asked for."""
    training = Training(base, spec, dataset, options, reporter, plan)
    count = peers.wanted(options.processes, placing.hold(plan).device, spec.batch_size)
    with peers.gathered(count, partial(_follow, base, spec, dataset, options, plan)) as mine:
        return training.run(mine)


def _follow(
    base: Base, spec: TrainSpec, dataset: DatasetFolder, options: Options, plan: Plan | None, mine: Peers
) -> None:
    """The same training in another process, which takes its share of every step."""
    if options.threads:
        torch.set_num_threads(options.threads)
    Training(base, spec, dataset, options, Silent(), plan).learn(mine)


def _checkpoints(spec: TrainSpec) -> Path:
    """The folder of a run's checkpoints."""
    return spec.run_dir / "checkpoints"


def _finished(spec: TrainSpec, reporter: Reporter) -> TrainResult | None:
    """The result of a run that had ended already, if its file is still whole."""
    told = reporter.journal.get("result")
    if told is None or told["run_id"] != spec.run_id:
        return None
    path = spec.run_dir / told["file"]
    if not path.is_file() or files.sha256_file(path) != told["result"]["sha256"]:
        return None
    return TrainResult(**{**told["result"], "lora_path": path})


def _checkpoint_key(base_sha256: str, spec: TrainSpec, dataset: DatasetFolder, options: Options) -> str:
    """Hash of everything that decides a step; a checkpoint of another key is never resumed.

    How many processes share a step is left out: it moves no more than the last bits.
    """
    options = replace(options, processes=0)
    start = files.sha256_file(spec.warm_start) if spec.warm_start else ""
    decides: list[Any] = [FORMAT, base_sha256, asdict(options), start, dataset.fingerprint, spec.trigger, spec.seed]
    decides += [spec.steps, spec.rank, spec.alpha, spec.learning_rate, spec.batch_size, spec.resolution]
    decides += [[item.sha256, item.caption] for item in dataset.items]
    decides += [masks.digest(dataset)] if options.masked_loss else []
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def _within(spec: TrainSpec, plan: Plan | None) -> TrainSpec:
    """The spec at the plan's rank; alpha follows, so that the LoRA acts as strongly as before."""
    if plan is None or plan.rank == spec.rank:
        return spec
    return replace(spec, rank=plan.rank, alpha=spec.alpha * plan.rank / spec.rank)


class Training:
    """One run of one spec: what it loads and writes, with the loop in the middle."""

    def __init__(
        self,
        base: Base,
        spec: TrainSpec,
        dataset: DatasetFolder,
        options: Options,
        reporter: Reporter,
        plan: Plan | None = None,
    ) -> None:
        self._base, self._dataset, self._reporter = base, dataset, reporter
        self._options, self._plan = options, plan
        self._base_sha256 = base.digest
        self._key = _checkpoint_key(self._base_sha256, spec, dataset, options)
        self._folder = _checkpoints(spec)
        self._family = families.get(base.family)
        self._hold = placing.hold(plan)
        self._spec = spec = _within(spec, plan)
        self._patience = Patience(reporter, spec.steps)
        self._material = self._encoded(options)
        reporter.raise_if_cancelled()
        reporter.progress(checkpoint.newest_step(self._folder), spec.steps, f"loading the {base.name} base")
        with memory.told(memory.REMEDY):
            self._pipeline = placing.opened(base, self._family, plan)
        transformer = self._pipeline.transformer
        self._adapter = Adapter(transformer, self._family, spec.rank, spec.alpha, spec.seed)
        if spec.warm_start is not None:
            start = lora_file.read(spec.warm_start, self._family, transformer, base.name)
            self._adapter.warm_start(start)
            for sentence in start.told(spec.warm_start.name):
                reporter.event(sentence, "warning")
        with memory.told(memory.REMEDY):
            placing.arranged(transformer, plan)
        self._learner = Learner(self._family, transformer, self._adapter, self._material, spec, options, self._hold)

    def _encoded(self, options: Options) -> Material:
        """Everything encoded; what earlier runs encoded is read back, and the encoders are gone afterwards."""
        spec, step = self._spec, checkpoint.newest_step(self._folder)

        def tell(done: int, of: int) -> None:
            self._reporter.raise_if_cancelled()
            self._reporter.progress(step, spec.steps, f"encoding images and captions ({done} of {of})")

        encoders = Encoders(
            self._base, self._family, self._hold.dtype, placing.encoders_device(self._plan), self._hold.device
        )
        folder = (spec.cache or spec.run_dir / "cache") / self._base.name
        encoder = Encoder(self._base, self._base_sha256, self._family, encoders.open, folder, tell)
        try:
            prepare = partial(material.prepare, self._base, encoder, spec, self._dataset, options, self._family.stride)
            return self._patience.through(prepare, "the encoded images and captions", step)
        finally:
            encoders.close()

    def run(self, mine: Peers = ALONE) -> TrainResult:
        """Train from the last checkpoint, or from the start, to the end, and export."""
        return self._finish(self.learn(mine))

    def learn(self, mine: Peers) -> Progress:
        """Train from the last checkpoint, or from the start, to the end; only the first process writes and tells."""
        progress, broken = checkpoint.load_newest(self._folder, self._learner, self._key)
        if broken:
            self._reporter.event(_passed_over(broken, progress.step), "warning")
        if mine.is_first:
            self._tell_start(progress)
        if mine.count > 1:
            self._reporter.event(f"{mine.count} processes share the pictures of every step.")
        self._learner.peers = mine
        mine.join(self._hold.device)
        yardstick = Yardstick(self._learner.flow, self._material)
        scorer = Scorer(self._learner.flow, self._adapter, self._material)
        loop = Loop(self._spec, self._learner, yardstick, scorer, self._reporter, self._keep, self._show)
        return loop.run(progress)

    def _tell_start(self, progress: Progress) -> None:
        if self._reporter.journal.get("started") is None:
            started = self._spec.dated or datetime.now(UTC).isoformat(timespec="seconds")
            self._reporter.journal.put("started", started)
        kept_out = len(self._material.held_out)
        if progress.step:
            self._reporter.event(f"Going on from the checkpoint at step {progress.step}.")
            # told again: a kill may have come between the state and its telling
            path = checkpoint.lora_path(self._folder, progress.step)
            write = partial(self._export, progress.step)
            sha256 = self._patience.through(write, f"the LoRA of step {progress.step}", progress.step)
            self._reporter.checkpoint(progress.step, path, sha256)
        else:
            self._reporter.event(
                f"Training on {len(self._material.train)} images ({kept_out} held out to measure on), "
                f"{len(self._material.preserve)} pairs keep prompts without the trigger as they are."
            )
            if self._options.masked_loss:
                self._reporter.event(masks.told(self._dataset))
            self._reporter.metrics(0, {"image_brightness": self._brightness_of_the_set()})

    def _brightness_of_the_set(self) -> float:
        """Mean luma of the training pictures that are measured too, 0 to 255: what samples can be held against."""
        images = [item.image for item in self._dataset.items[: len(self._material.in_train)]]
        return sum(pictures.brightness(image) for image in images) / len(images)

    def _metadata(self, step: int) -> dict[str, str]:
        started = str(self._reporter.journal.get("started"))
        story = metadata.describe(self._base, self._base_sha256, self._spec, self._dataset, step, started)
        return {**story, **metadata.how_trained(self._options)}

    def _keep(self, progress: Progress) -> None:
        """Write a checkpoint, now or when there is room for it."""
        step = progress.step
        self._patience.through(lambda: self._checkpoint(progress), f"the checkpoint at step {step}", step)

    def _checkpoint(self, progress: Progress) -> None:
        """Write both files of a checkpoint, drop older states, then tell."""
        self._reporter.flush()  # once the state is there, a resume measures none of the steps before it
        sha256 = self._export(progress.step)
        checkpoint.save_state(self._folder, self._learner, progress, self._key)
        checkpoint.drop_old(self._folder, progress.step)
        self._reporter.checkpoint(progress.step, checkpoint.lora_path(self._folder, progress.step), sha256)

    def _export(self, step: int) -> str:
        return self._write(checkpoint.lora_path(self._folder, step), self._metadata(step))

    def _write(self, path: Path, story: dict[str, str]) -> str:
        """Write the LoRA that is to be used, which is the averaged one where weights are averaged."""
        with self._learner.average.in_place():
            return export.write(self._adapter, path, story, export.dtype(self._base))

    def _shown(self, step: int) -> tuple[str, ...]:
        """The prompts that are drawn at a step: at the last one the test scenes too."""
        material = self._material
        return material.sample_prompts + (material.test_prompts if step == self._spec.steps else ())

    def _sample_paths(self, step: int) -> list[Path]:
        folder, count = self._spec.run_dir / "samples", len(self._shown(step))
        return [folder / f"step-{step:06d}-{number + 1}.png" for number in range(count)]

    def _show(self, step: int) -> None:
        """Draw the sample prompts at the run's fixed seeds; a sample that exists is kept."""
        prompts, paths = self._shown(step), self._sample_paths(step)
        if not all(path.exists() for path in paths):
            seeds = [self._spec.seed + i for i in range(len(prompts))]
            self._draw(step, prompts, seeds, paths)
        for path, prompt in zip(paths, prompts, strict=True):
            self._reporter.sample(step, path, prompt)
        self._tell_brightness(step, prompts, paths)

    def _tell_brightness(self, step: int, prompts: tuple[str, ...], paths: list[Path]) -> None:
        """How bright the samples are that call the look (all, where none does)."""
        calling = [path for path, prompt in zip(paths, prompts, strict=True) if self._spec.trigger in prompt] or paths
        values = [pictures.brightness(path) for path in calling]
        self._reporter.metrics(step, {"sample_brightness": sum(values) / len(values)})

    def _draw(self, step: int, prompts: tuple[str, ...], seeds: list[int], paths: list[Path]) -> None:
        said = part(self._material.samples, 0, len(prompts))
        self._reporter.progress(step, self._spec.steps, f"drawing the samples of step {step}")
        with memory.told(memory.REMEDY), self._learner.average.in_place():
            drawn = self._pictures(said, seeds)
        for picture, path, prompt, seed in zip(drawn, paths, prompts, seeds, strict=True):
            write = partial(pictures.write_png, picture, path, {"prompt": prompt, "seed": str(seed)})
            self._patience.through(write, f"the samples of step {step}", step)

    def _pictures(self, said: Text, seeds: list[int]) -> list[Image]:
        """Together without a plan; one at a time with one, and no larger than what is learned: it counts no more."""
        size = self._base.sizes[0]
        if self._plan is None:
            return self._drawn(said, seeds, size)
        size = (min(size[0], self._spec.resolution), min(size[1], self._spec.resolution))
        return [
            picture
            for number, seed in enumerate(seeds)
            for picture in self._drawn(part(said, number, number + 1), [seed], size)
        ]

    def _drawn(self, said: Text, seeds: list[int], size: tuple[int, int]) -> list[Image]:
        return self._family.draw(
            self._pipeline,
            moved(said, self._hold.device, self._hold.dtype),
            moved(self._material.empty, self._hold.device, self._hold.dtype),
            seeds,
            size,
            self._base.draw_steps,
            self._base.recipe.guidance,
            self._reporter.raise_if_cancelled,
        )

    def _finish(self, progress: Progress) -> TrainResult:
        spec = self._spec
        story = self._metadata(progress.step)
        shown = self._sample_paths(progress.step)
        if shown:
            story["modelspec.thumbnail"] = pictures.thumbnail(shown[0])
        path = spec.run_dir / f"{file_name(spec.name)}.safetensors"
        result = TrainResult(
            lora_path=path,
            sha256=self._patience.through(lambda: self._write(path, story), "the finished LoRA", progress.step),
            steps=progress.step,
            rank=spec.rank,
            base_model=self._base.name,
            final_loss=progress.final_loss,
            held_out_first=progress.held_out_first,
            held_out_last=progress.held_out_last,
            preview=self._base.preview,
            metadata=story,
        )
        told = {**asdict(result), "lora_path": path.name}
        self._reporter.journal.put("result", {"run_id": spec.run_id, "file": path.name, "result": told})
        self._reporter.event(f"The LoRA is written: {path.name}.")
        return result


def _passed_over(broken: list[int], step: int) -> str:
    """What became of the checkpoints that could not be gone on from."""
    which = " and ".join(str(one) for one in broken)
    if len(broken) == 1:
        told = f"The state of the checkpoint at step {which} is not as it was written and was passed over"
    else:
        told = f"The states of the checkpoints at steps {which} are not as they were written and were passed over"
    return told + ("." if step else "; the training starts again from the beginning.")


def file_name(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "lora"
