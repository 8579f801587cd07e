"""A training that is killed between two writes of a checkpoint, with the reporter and the store that workers use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import tiny
from support.engine import TinyEngine
from support.reporter import Crash

from loradeck.engines.base import Engine
from loradeck.engines.local import checkpoint
from loradeck.engines.local.engine import LocalEngine
from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools import reporter
from loradeck.tools.reporter import StoreReporter

Moment = tuple[Any, str, Callable[..., bool]]


def local(folder: Path) -> Engine:
    base = tiny.base(folder / "weights")
    return LocalEngine({"preview": lambda: base})


def written(name: str) -> Moment:
    """The moment when a file of that name has just come to stand."""
    return Path, "replace", lambda _, target: Path(target).name == name


def dropped(step: int) -> Moment:
    """The moment when a state has just taken the place of older ones."""
    return checkpoint, "drop_old", lambda _, there: there == step


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(reporter, "TELL_SECONDS", 3600.0)  # nothing is written by the clock
    return Store(tmp_path / "home")


def die_after(moment: Moment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the training right after the moment."""
    owner, name, has_come = moment
    honest = getattr(owner, name)

    def deadly(*arguments: Any) -> Any:
        answer = honest(*arguments)
        if has_come(*arguments):
            raise Crash
        return answer

    monkeypatch.setattr(owner, name, deadly)


@pytest.mark.parametrize(
    ("engine_in", "moment"),
    [
        pytest.param(local, written("step-000006.safetensors"), id="local, after the LoRA of the checkpoint"),
        pytest.param(local, written("step-000006.state"), id="local, after its state"),
        pytest.param(local, dropped(6), id="local, before its row"),
        pytest.param(local, written("step-000008.state"), id="local, after the last state"),
        pytest.param(lambda _: TinyEngine(), written("step-000006.json"), id="tiny, after its state"),
    ],
)
def test_a_training_killed_inside_a_checkpoint_has_every_row_once_after_the_resume(
    engine_in: Callable[[Path], Engine],
    moment: Moment,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, dataset = engine_in(tmp_path), tiny.dataset(tmp_path / "images")
    run = runs.claim(store, runs.enqueue(store, "train", {}).id)
    assert run is not None
    spec = tiny.spec(store.workspace.run(run.id), sample_every=3)
    with monkeypatch.context() as patched:
        die_after(moment, patched)
        with pytest.raises(Crash):
            engine.train(spec, dataset, StoreReporter(store, run.id, str(run.token)))
    again = StoreReporter(store, run.id, str(run.token))  # what the first had gathered died with it
    engine.train(spec, dataset, again)
    again.flush()
    assert [step for step, _ in runs.metric(store, run.id, "loss")] == list(range(1, 9))
    assert {0, 3, 6, 8} <= {step for step, _ in runs.metric(store, run.id, "held_out_loss")}
    points = store.where(CheckpointRecord, "run_id = ?", [run.id], order="step")
    assert [point.step for point in points] == [3, 6, 8]
    assert all(Path(point.path).is_file() for point in points)
    shown = store.where(SampleRecord, "run_id = ? and step > 0", [run.id], order="step")
    assert [sample.step for sample in shown] == [3, 6, 8]
