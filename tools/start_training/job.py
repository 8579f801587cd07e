"""What a worker does for a training: read what passed, let the engine learn, keep and show what came of it."""

from __future__ import annotations

from pathlib import Path

from loradeck.engines.base import DatasetFolder, TrainResult
from loradeck.state import runs
from loradeck.state.records import LoraRecord, SampleRecord
from loradeck.tools.contracts import Artefact, RunState, TrainedResult, TrainingPlan, Waiver
from loradeck.tools.library import find_lora, lora_row, register_lora, second_file
from loradeck.tools.render_deck_visuals.stale import waiting_for
from loradeck.tools.reporter import patiently
from loradeck.tools.start_training import checkpoints
from loradeck.tools.start_training.card import card_path, write_card
from loradeck.tools.start_training.checkpoints import Told
from loradeck.tools.start_training.plan import train_spec
from loradeck.tools.start_training.snapshot import read
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Job


def run(job: Job) -> TrainedResult:
    """Train, register the LoRA, draw the chart and the grid. Re-entrant: what is there already is not made again.

    Raises what the engine raises, and Refused (TRN-FINGERPRINT) when the snapshot is not what passed.
    """
    spec = job.run.spec
    plan = TrainingPlan.model_validate(spec["plan"])
    parent = spec["parent_lora_id"]
    run_dir = job.store.workspace.run(job.run.id)
    dataset = read(run_dir / "dataset", spec["pairs"], spec["trigger"], job.run.fingerprint or "")
    trained = job.engines.open(job.run.engine).train(
        train_spec(
            plan,
            run_id=job.run.id,
            run_dir=run_dir,
            name=job.run.name,
            trigger=spec["trigger"],
            profile=spec["profile"],
            warm_start=Path(find_lora(job.store, parent).path) if parent else None,
            cache=job.store.workspace.cache,
            dated=spec.get("dated"),
            advanced=spec["advanced"],
        ),
        dataset,
        job.reporter,
    )
    job.reporter.progress(plan.steps, plan.steps, "Keeping the LoRA, drawing the loss chart and the sample grid.")
    lora = _register(job, trained)
    pictures = _pictures(job, run_dir)
    patiently(lambda: checkpoints.keep_scores(job.store, job.run.id))
    kept = checkpoints.told(job.store, job.run.id)
    patiently(lambda: write_card(job.store, lora, job.run, len(dataset.items), kept.best, pictures))
    return _result(job, trained, lora, dataset, kept, pictures)


def _register(job: Job, trained: TrainResult) -> LoraRecord:
    spec = job.run.spec
    losses = {"held_out_first": trained.held_out_first, "held_out_last": trained.held_out_last}
    return patiently(
        lambda: register_lora(
            job.store,
            source=trained.lora_path,
            name=job.run.name,
            base_model=trained.base_model,
            trigger=spec["trigger"],
            rank=trained.rank,
            steps=trained.steps,
            dataset_id=job.run.dataset_id,
            run_id=job.run.id,
            parent_lora_id=spec["parent_lora_id"],
            fingerprint=job.run.fingerprint,
            preview=trained.preview,
            meta={**trained.metadata, **losses, "waived": job.run.waived},
        )
    )


def _pictures(job: Job, run_dir: Path) -> list[Artefact]:
    """The loss chart and, where samples were drawn, their grid."""
    from loradeck.tools.pictures.chart import loss_chart
    from loradeck.tools.pictures.grid import sample_grid

    job.reporter.event("The training is done; drawing the loss chart.")  # also writes the last metrics
    chart, grid = run_dir / "loss.png", run_dir / "samples.png"
    loss, held_out = (runs.metric(job.store, job.run.id, name) for name in ("loss", "held_out_loss"))
    patiently(lambda: loss_chart(loss, held_out, chart))
    made = [_artefact("loss_chart", chart)]
    samples = job.store.where(SampleRecord, "run_id = ?", [job.run.id], order="step, rowid")
    if samples:
        shown = [(sample.step, sample.prompt, Path(sample.path)) for sample in samples]
        patiently(lambda: sample_grid(shown, grid))
        made.append(_artefact("sample_grid", grid))
    return made


def _result(
    job: Job, trained: TrainResult, lora: LoraRecord, dataset: DatasetFolder, kept: Told, pictures: list[Artefact]
) -> TrainedResult:
    points = [_artefact("checkpoint", Path(point.path), point.step) for point in kept.listed]
    note = " It works on the preview base alone." if trained.preview else ""
    return TrainedResult(
        summary=(
            f"The LoRA {lora.id} ({lora.name}-v{lora.version}) was trained for {trained.steps} steps on "
            f"{len(dataset.items)} images{_fall(trained)}.{_best(kept, trained)}{_decks(job, lora)}{note}"
        ),
        next_step=f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{lora.id}"}}]){_shown(job, pictures)}',
        run_id=job.run.id,
        state=RunState.SUCCEEDED,
        dataset_id=job.run.dataset_id,
        lora=lora_row(lora),
        images=len(dataset.items),
        final_loss=trained.final_loss,
        held_out_first=trained.held_out_first,
        held_out_last=trained.held_out_last,
        artefacts=[*_files(lora), _artefact("card", card_path(lora)), *pictures, *points],
        checkpoints=kept.count,
        checkpoints_in=kept.folder,
        best_step=kept.best.step if kept.best else None,
        waived=[Waiver(**waiver) for waiver in job.run.waived],
        preview_note=PREVIEW_NOTE if trained.preview else None,
    )


def _shown(job: Job, pictures: list[Artefact]) -> str:
    """How to look at what it drew on the way, where it drew anything."""
    if not any(picture.kind == "sample_grid" for picture in pictures):
        return "."
    return f'; view_images(of="{job.run.id}", what="samples") shows how it learned.'


def _files(lora: LoraRecord) -> list[Artefact]:
    """The LoRA's file, and its second one where it has two."""
    second = second_file(lora)
    further = [_artefact("lora_high_noise", second)] if second is not None else []
    return [_artefact("lora", Path(lora.path)), *further]


def _fall(trained: TrainResult) -> str:
    """How the loss that counts went (TRN-LOSS)."""
    if trained.held_out_first is None or trained.held_out_last is None:
        return ""
    return f"; its held-out loss went from {trained.held_out_first:.4f} to {trained.held_out_last:.4f}"


def _decks(job: Job, lora: LoraRecord) -> str:
    """The decks that were drawn with an older version of it."""
    waiting = waiting_for(job.store, lora)
    if not waiting:
        return ""
    listed = ", ".join(f"{deck_id} ({count} pictures)" for deck_id, count in waiting.items())
    return f" Drawn with an older version, and stale now: {listed}; loras=[...] at their deck_id draws them anew."


def _best(kept: Told, trained: TrainResult) -> str:
    """The checkpoint that is better than the last, and why."""
    if kept.best is None or kept.best.step == trained.steps:
        return ""
    return f" The best checkpoint is step {kept.best.step}: {kept.best.why}."


def _artefact(kind: str, path: Path, step: int | None = None) -> Artefact:
    return Artefact(kind=kind, path=str(path), bytes=path.stat().st_size if path.is_file() else None, step=step)
