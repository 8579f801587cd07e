"""Seconds from the start of a process to the first training step of the preview base, and what they go into.

A real training of some of the demo's icons by the local engine, left after its first step; once with nothing kept and
once more with what the first kept of encoded pictures and captions. Run by ``train_step.py``, or alone:

    python bench/train_step_start.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

ICONS, TRIGGER = 12, "fluentic"
PHASES = ("imports", "encoding", "loading", "measuring", "samples", "first step")


def measure() -> None:
    """Start twice, and print a line for each."""
    print("\npreview base, seconds from the start of the process to the first step")
    print(f"{'':<14}{'all':>8}" + "".join(f"{phase:>12}" for phase in PHASES))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "again"):
            marks = _started(Path(folder), name)
            ends = [marks[phase] for phase in PHASES]
            parts = [end - start for start, end in zip([marks["start"], *ends], ends, strict=False)]
            print(f"{name:<14}{ends[-1] - marks['start']:8.2f}" + "".join(f"{part:12.2f}" for part in parts))


def _started(folder: Path, name: str) -> dict[str, float]:
    """When each phase ended, by the clock."""
    began = time.time()
    ran = subprocess.run(
        [sys.executable, __file__, str(folder), name],
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},  # as the engine sets it before torch is imported
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return {"start": began, **json.loads(ran.stdout.splitlines()[-1])}


def child(folder: Path, name: str) -> None:
    """Train to the first step, and print when each phase was over."""
    from support.reporter import Crash, MemoryReporter

    from loradeck.engines.base import TrainSpec
    from loradeck.engines.local import create, training  # noqa: F401 - what `train` imports, to be told apart

    marks = {"imports": time.time()}

    class Clock(MemoryReporter):
        """Notes when the training says what; leaves after the first step."""

        def progress(self, step: int, steps: int, message: str = "") -> None:
            if message.startswith("loading"):
                marks["encoding"] = time.time()
            marks["first step"] = time.time()
            super().progress(step, steps, message)

        def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
            marks.setdefault("loading", time.time())
            super().event(message, level)

        def metrics(self, step: int, values: dict[str, float]) -> None:
            if "lora_norm" in values:
                marks["measuring"] = time.time()
            super().metrics(step, values)

        def sample(self, step: int, path: Path, prompt: str) -> None:
            marks["samples"] = time.time()
            super().sample(step, path, prompt)

    engine = create()
    usual = engine.defaults("preview", ICONS, "icons")
    run = folder / name
    run.mkdir()
    spec = TrainSpec(
        run_id=f"run_{name}",
        run_dir=run,
        name=name,
        base_model="preview",
        trigger=TRIGGER,
        profile="icons",
        steps=usual.steps,
        rank=usual.rank,
        alpha=usual.alpha,
        learning_rate=usual.learning_rate,
        batch_size=usual.batch_size,
        resolution=usual.resolution,
        seed=1,
        checkpoint_every=usual.steps,
        sample_every=usual.steps,
        cache=folder / "cache",
    )
    try:
        engine.train(spec, _icons(), Clock(crash_at=1))
    except Crash:
        print(json.dumps(marks))


def _icons() -> object:
    """The first of the demo's icons."""
    from loradeck.engines.base import DatasetFolder, DatasetItem
    from loradeck.engines.files import sha256_file

    folder = ROOT / "server" / "demo_data" / "icons"
    paths = sorted(path for path in folder.rglob("*.png"))[:ICONS]
    items = tuple(
        DatasetItem(path, f"{TRIGGER}, an icon of {path.stem.replace('_', ' ')}", sha256_file(path)) for path in paths
    )
    return DatasetFolder(folder, items, TRIGGER, "bench")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(Path(sys.argv[1]), sys.argv[2])
    else:
        measure()
