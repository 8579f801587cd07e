"""A training to look at: its samples as a grid, its loss as a chart; both drawn afresh, while it runs too."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from loradeck.state import runs
from loradeck.state.records import RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunKind
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.pictures.chart import loss_chart
from loradeck.tools.pictures.grid import sample_grid
from loradeck.tools.spec import Pictures
from loradeck.tools.view_images.answer import jpegs, noted


def show_run(store: Store, run: RunRecord, what: str) -> Pictures:
    """The samples or the loss of a training. Raises NotFound before there are any."""
    if run.kind in {RunKind.IMPORT, RunKind.EXPORT}:
        raise BadArgument(f"{run.id} is an {run.kind} of a LoRA and has no pictures; check_status tells what it left.")
    folder = store.workspace.run(run.id)
    if what == "samples":
        out = folder / "samples.png"
        words = _samples(store, run, out)
    elif what == "loss":
        out = folder / "loss.png"
        words = _loss(store, run, out)
    else:
        raise BadArgument(f"A {run.kind} run has no {what}; its views are samples and loss.")
    with Image.open(out) as picture:
        return Pictures(noted(store, f"{words} Full size: {out}", [run.id]), jpegs([picture]))


def _samples(store: Store, run: RunRecord, out: Path) -> str:
    samples = store.where(SampleRecord, "run_id = ?", [run.id], order="step, path")
    if not samples:
        raise NotFound(f"{run.id} has no samples yet; check_status(run_id={run.id!r}) tells where it stands.")
    sample_grid([(sample.step, sample.prompt, Path(sample.path)) for sample in samples], out)
    prompts = "; ".join(dict.fromkeys(sample.prompt for sample in samples))
    steps = f"steps {samples[0].step} to {samples[-1].step}"
    return f"Samples of {run.id} ({run.state}), {steps}, the same seeds. Prompts: {prompts}."


def _loss(store: Store, run: RunRecord, out: Path) -> str:
    train, held_out = runs.metric(store, run.id, "loss"), runs.metric(store, run.id, "held_out_loss")
    if not train and not held_out:
        raise NotFound(f"{run.id} has told no loss yet; check_status(run_id={run.id!r}) tells where it stands.")
    loss_chart(train, held_out, out)
    fell = f" Held-out loss went from {held_out[0][1]:.3g} to {held_out[-1][1]:.3g}." if held_out else ""
    return f"Loss of {run.id} ({run.state}) over {len(train)} steps.{fell}"
