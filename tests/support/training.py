"""Trainings for tests, put straight into the queue, and the environment in which a worker finds the tiny engine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loradeck.state import runs
from loradeck.state.files import new_id
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Estimate, RunKind, TrainingPlan
from loradeck.tools.start_training.snapshot import take

TESTS = Path(__file__).parents[1]


def pictures(folder: Path, count: int = 3) -> list[tuple[Path, str, str | None]]:
    """A few images with captions, as a snapshot takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[tuple[Path, str, str | None]] = []
    for number in range(count):
        path = folder / f"{number:03d}.png"
        Image.new("RGB", (64, 64), (40 * number, 90, 120)).save(path)
        made.append((path, f"zorbik, a thing numbered {number}", None))
    return made


def queued(store: Store, *, steps: int = 20, checkpoint_every: int = 5, **advanced: Any) -> RunRecord:
    """A queued training of the tiny engine on three images."""
    run_id = new_id("run")
    pairs = take(store.workspace.run(run_id) / "dataset", pictures(store.workspace.home / "originals"))
    plan = TrainingPlan(
        engine="tiny",
        base_model="preview",
        images=3,
        steps=steps,
        passes_over_set=1.0,
        rank=8,
        alpha=8.0,
        learning_rate=1e-2,
        batch_size=2,
        resolution=64,
        seed=42,
        checkpoint_every=checkpoint_every,
        sample_every=checkpoint_every,
        sample_prompts=["zorbik, a thing", "a thing"],
    )
    spec = {
        "plan": plan.model_dump(mode="json"),
        "estimate": Estimate(minutes=2).model_dump(mode="json"),
        "trigger": "zorbik",
        "profile": "style",
        "preview": True,
        "advanced": advanced,
        "parent_lora_id": None,
        "pairs": [pair.as_row() for pair in pairs],
        "call": run_id,
    }
    columns = {"name": "things", "engine": "tiny", "base_model": "preview", "fingerprint": "f" * 64, "steps": steps}
    return runs.enqueue(store, RunKind.TRAIN, spec, run_id=run_id, **columns)


def install_tiny_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make worker processes find the tiny engine, the way they find any third party's: by its entry point."""
    package = folder / "plugin" / "tiny_engine-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[loradeck.engines]\ntiny = support.engine:create\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), str(TESTS)]))


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `what` returns once it is true; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.05)
    return found


def lease_runs_out(store: Store, run_id: str) -> None:
    """As if fifteen seconds had passed since the last heartbeat."""
    store.change(RunRecord, run_id, lease_until=0.0)
