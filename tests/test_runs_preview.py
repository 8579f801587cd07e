"""The embedded engine through the whole of it: start_training, a worker's process, a kill, a resume, the same LoRA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.datasets import ready_dataset
from support.training import lease_runs_out, wait_for

from loradeck.engines.registry import Registry
from loradeck.server.launch import launch
from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, LoraRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import load
from loradeck.tools.contracts import CheckStatusResult, RunState
from loradeck.tools.workbench import Workbench

QUICKLY: dict[str, Any] = {
    "dataset_id": "ready", "steps": 8, "checkpoint_every": 2, "sample_prompts": [], "sample_every": 8,
    "advanced": {"preservation": 0},
}  # fmt: skip


def call(bench: Workbench, tool: str, **arguments: Any) -> Any:
    spec = load(tool)
    return spec.handler(spec.args.model_validate(arguments), bench)


def followed(bench: Workbench, run_id: str) -> CheckStatusResult:
    """What check_status says in the end, asked as an assistant asks."""
    for _ in range(20):
        status: CheckStatusResult = call(bench, "check_status", run_id=run_id, wait_seconds=20)
        assert status.state is not None
        if status.state.ended:
            return status
    raise AssertionError("it never ends")


def tensors(store: Store, run_id: str) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(store.where(LoraRecord, "run_id = ?", [run_id])[0].path)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills with SIGKILL")
def test_a_killed_training_on_the_preview_base_resumes_to_the_very_same_weights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bench = Workbench(store, Registry(), launch(tmp_path))
    ready_dataset(store)
    killed = call(bench, "start_training", **QUICKLY).run_id
    row = wait_for(lambda: (now := runs.get(store, killed)).step >= 3 and now, 240)
    psutil.Process(row.pid).kill()
    wait_for(lambda: not runs.process_alive(row.pid, row.pid_started))
    lease_runs_out(store, killed)
    lost = call(bench, "check_status", run_id=killed)
    assert lost.state == RunState.LOST
    before = store.count(CheckpointRecord, "run_id = ?", [killed])
    assert before >= 1
    call(bench, "start_training", resume=killed)
    assert followed(bench, killed).state == RunState.SUCCEEDED
    assert any("Going on from the checkpoint" in event.message for event in runs.events(store, killed, last=50))

    straight = call(bench, "start_training", **QUICKLY, name="straight").run_id
    assert followed(bench, straight).state == RunState.SUCCEEDED
    one, other = tensors(store, killed), tensors(store, straight)
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
