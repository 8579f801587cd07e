"""Runs outlive their worker, their server, their client and a machine that sleeps: real processes, real signals."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import psutil
import pytest
from mcp import Client
from support.client import command
from support.datasets import ready_dataset
from support.engine import registry
from support.pipes import Pipes
from support.training import install_tiny_engine, lease_runs_out, queued, wait_for

from loradeck.server import worker
from loradeck.server.launch import launch
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import CheckpointRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import TrainedResult
from loradeck.tools.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

SLOWLY = {"steps": 400, "checkpoint_every": 20, "step_seconds": 0.02}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    install_tiny_engine(tmp_path, monkeypatch)
    opened = Store(tmp_path / "home")
    yield opened
    for run in opened.where(RunRecord):  # workers that a failed test left, suspended ones too
        if run.pid != os.getpid() and runs.process_alive(run.pid, run.pid_started):
            psutil.Process(run.pid).kill()


def started(store: Store, run: RunRecord, past_step: int = 5) -> psutil.Process:
    """Launch a run's worker and wait until it has the run and trains past a step."""
    launch(store.workspace.home)(run.id)
    row = wait_for(lambda: (now := runs.get(store, run.id)).token and now.pid and now.step > past_step and now)
    return psutil.Process(row.pid)


def put_to_sleep(store: Store, process: psutil.Process) -> None:
    """Suspend a worker, but not in the middle of a write: a sleeping machine leaves nobody awake to wait for it."""
    for _ in range(100):
        process.suspend()
        with closing(sqlite3.connect(store.workspace.database, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("begin immediate")
                return
            except sqlite3.OperationalError:
                process.resume()
                time.sleep(0.05)
    raise AssertionError("it always writes")


def weights(store: Store, run_id: str) -> str:
    """The hash of the LoRA that a run left."""
    return TrainedResult.model_validate(runs.get(store, run_id).result).lora.sha256


@pytest.mark.slow
def test_a_killed_worker_is_told_as_lost_within_thirty_seconds_and_resumes_on_request(store: Store) -> None:
    run = queued(store, **SLOWLY)
    process = started(store, run, past_step=25)
    process.kill()
    assert wait_until(store, run.id, 30).state == "lost"
    runs.requeue(store, run.id)
    launch(store.workspace.home)(run.id)
    assert wait_until(store, run.id, 60).state == "succeeded"
    assert "Going on from step" in " ".join(event.message for event in runs.events(store, run.id, last=50))


@pytest.mark.slow
def test_ten_kills_in_a_row_lose_no_row_checkpoint_or_image_and_the_weights_are_the_same(store: Store) -> None:
    straight = queued(store, **{**SLOWLY, "step_seconds": 0.0})
    assert worker.work(store.workspace.home, straight.id, registry()) == "succeeded"
    run = queued(store, **SLOWLY)
    chance = random.Random(11)
    seen: dict[str, str] = {}
    for _ in range(10):
        process = started(store, run, past_step=-1)
        time.sleep(chance.uniform(0.0, 1.2))
        process.kill()
        process.wait(5)
        lease_runs_out(store, run.id)
        runs.sweep(store)
        assert runs.get(store, run.id).state in {"lost", "queued"}  # queued: killed before it had begun
        for point in store.where(CheckpointRecord, "run_id = ?", [run.id]):
            assert sha256_file(Path(point.path)) == seen.setdefault(point.path, point.sha256) == point.sha256
        for sample in store.where(SampleRecord, "run_id = ?", [run.id]):
            assert Path(sample.path).stat().st_size > 50
        runs.requeue(store, run.id)
    launch(store.workspace.home)(run.id)
    assert wait_until(store, run.id, 60).state == "succeeded"
    assert runs.get(store, run.id).attempt == 11
    assert [step for step, _ in runs.metric(store, run.id, "loss")] == list(range(1, 401))
    points = store.where(CheckpointRecord, "run_id = ?", [run.id], order="step")
    assert [point.step for point in points] == list(range(20, 401, 20))
    assert set(seen) <= {point.path for point in points}
    samples = store.where(SampleRecord, "run_id = ?", [run.id], order="step, path")
    assert [sample.step for sample in samples] == [step for step in range(20, 401, 20) for _ in range(2)]
    assert weights(store, run.id) == weights(store, straight.id)


@pytest.mark.slow
def test_a_machine_that_sleeps_longer_than_the_lease_loses_nothing(store: Store) -> None:
    run = queued(store, **SLOWLY)
    process = started(store, run)
    put_to_sleep(store, process)
    wait_for(lambda: runs.get(store, run.id).lease_until < time.time(), runs.LEASE_SECONDS + 10)
    assert runs.sweep(store) == ([], [])
    assert runs.get(store, run.id).state == "running"
    process.resume()
    ended = wait_until(store, run.id, 60)
    assert (ended.state, ended.attempt) == ("succeeded", 1)


def test_a_worker_that_wakes_to_find_its_run_taken_over_stops(store: Store) -> None:
    run = queued(store, **SLOWLY)
    process = started(store, run)
    put_to_sleep(store, process)
    store.change(RunRecord, run.id, token="another", message="mine")
    step = runs.get(store, run.id).step
    process.resume()
    wait_for(lambda: not process.is_running())
    after = runs.get(store, run.id)
    assert (after.token, after.message, after.step, after.state) == ("another", "mine", step, "running")


def test_sigterm_stops_at_the_next_step_with_a_checkpoint_and_the_run_resumes_to_the_same_weights(store: Store) -> None:
    run = queued(store, steps=120, checkpoint_every=50, step_seconds=0.02)
    process = started(store, run)
    process.terminate()
    lost = wait_until(store, run.id, 10)
    assert lost.state == "lost"
    assert store.where(CheckpointRecord, "run_id = ?", [run.id])[-1].step >= lost.step
    runs.requeue(store, run.id)
    assert worker.work(store.workspace.home, run.id, registry()) == "succeeded"
    straight = queued(store, steps=120, checkpoint_every=50)
    worker.work(store.workspace.home, straight.id, registry())
    assert weights(store, run.id) == weights(store, straight.id)


@pytest.mark.slow
def test_a_training_goes_on_when_the_process_group_of_its_server_is_killed_and_the_next_server_follows_it(
    store: Store,
) -> None:
    dataset = ready_dataset(store)
    first = Pipes(store.workspace.home)
    first.greet()
    slowly = {"steps": 400, "checkpoint_every": 100, "advanced": {"step_seconds": 0.05}}
    run_id = first.call("start_training", dataset_id=dataset.id, engine="tiny", **slowly)["run_id"]
    wait_for(lambda: first.call("check_status", run_id=run_id).get("step", 0) > 5)
    os.killpg(first.process.pid, signal.SIGKILL)
    assert first.process.wait(5) == -signal.SIGKILL
    killed_at = runs.get(store, run_id).step
    second = Pipes(store.workspace.home)
    second.greet()
    seen = second.call("check_status", run_id=run_id)
    assert (seen["state"], seen["steps"]) == ("running", 400)
    assert seen["step"] > killed_at
    while seen["state"] == "running":
        seen = second.call("check_status", run_id=run_id, wait_seconds=20)
    second.leave()
    assert seen["state"] == "succeeded"
    assert runs.get(store, run_id).attempt == 1  # one worker did it all


def test_an_ended_worker_is_no_process_any_more_even_while_its_server_lives(store: Store) -> None:
    run = queued(store)
    launch(store.workspace.home)(run.id)
    assert wait_until(store, run.id, 30).state == "succeeded"
    pid = runs.get(store, run.id).pid
    assert pid is not None
    wait_for(lambda: not psutil.pid_exists(pid), 10)


def test_a_worker_has_no_terminal_no_stdin_and_writes_to_the_runs_log(store: Store) -> None:
    run = queued(store, **SLOWLY)
    process = started(store, run)
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    opened = (
        {Path(f"/proc/{process.pid}/fd/{n}").resolve() for n in (0, 1, 2)} if Path("/proc/self/fd").exists() else None
    )
    if opened is not None:
        assert opened == {Path("/dev/null"), store.workspace.log(run.id).resolve()}
    runs.request_cancel(store, run.id)
    assert wait_until(store, run.id, 10).state == "cancelled"
    assert "cancelled" in store.workspace.log(run.id).read_text()


def test_a_module_that_lies_in_the_workspace_is_not_taken_for_one_of_pythons_own(store: Store) -> None:
    (store.workspace.home / "random.py").write_text("raise SystemExit(3)\n")
    run = queued(store)
    launch(store.workspace.home)(run.id)
    assert wait_until(store, run.id, 30).state == "succeeded"


def test_recovery_finds_what_was_lost_and_launches_what_waits(store: Store) -> None:
    lost, waiting = queued(store, **SLOWLY), queued(store)
    started(store, lost).kill()
    for run in (lost, waiting):
        wait_for(
            lambda run=run: not runs.process_alive(runs.get(store, run.id).pid, runs.get(store, run.id).pid_started)
        )
        lease_runs_out(store, run.id)
    found = runs.recover(store, launch(store.workspace.home))
    assert [(run.id, run.state) for run in found] == [(lost.id, "lost")]
    assert wait_until(store, waiting.id, 30).state == "succeeded"


def test_the_queue_can_be_run_outside_of_any_client(store: Store) -> None:
    run = queued(store)
    lease_runs_out(store, run.id)
    assert worker.run_queue(store.workspace.home, once=True) == 1
    assert runs.get(store, run.id).state == "succeeded"


def test_a_worker_for_a_run_that_is_not_there_says_so_and_fails(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    tried = subprocess.run(
        [sys.executable, "-m", "loradeck.server.worker", "run_nope"],
        env={**os.environ, "LORADECK_HOME": str(store.workspace.home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tried.returncode == 1
    assert "no run run_nope" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_modules_in_the_workspace_are_not_taken_for_those_that_a_worker_needs(store: Store) -> None:
    home = store.workspace.home
    (home / "secrets.py").write_text("raise SystemExit('the wrong module')")
    launch(home)("run_nope")
    said = wait_for(lambda: store.workspace.log("run_nope").read_text())
    assert "no run run_nope" in said


@pytest.mark.slow
def test_a_training_under_a_real_server_goes_on_after_the_client_left(store: Store) -> None:
    run = queued(store, steps=300, checkpoint_every=100, step_seconds=0.02)
    lease_runs_out(store, run.id)

    async def look_and_leave() -> str:
        async with Client(command(store.workspace.home)) as client:
            await client.call_tool("check_status", {})  # finds the waiting run and launches it
            for _ in range(200):
                seen = await client.call_tool("check_status", {"run_id": run.id})
                state = json.loads(json.dumps(seen.structured_content))
                if (state.get("step") or 0) > 5:
                    return str(state["state"])
                await anyio.sleep(0.1)
        return "never"

    assert anyio.run(look_and_leave) == "running"
    assert runs.get(store, run.id).state == "running"  # the client has gone, and its server with it
    assert wait_until(store, run.id, 30).state == "succeeded"
