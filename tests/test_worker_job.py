"""One run, done in this process: how a worker does it, and how each way of ending is written down."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.engine import registry
from support.training import lease_runs_out, queued, wait_for

from loradeck.engines.errors import Cancelled, Leaving
from loradeck.server import worker
from loradeck.state import runs
from loradeck.state.errors import DatabaseBusy, LeaseLost
from loradeck.state.records import CheckpointRecord, LoraRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import TrainedResult
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.start_training import checkpoints
from loradeck.tools.start_training import job as start_training
from loradeck.tools.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def work(store: Store, run: RunRecord) -> str:
    return worker.work(store.workspace.home, run.id, registry())


def in_a_thread(store: Store, run: RunRecord, stopping: threading.Event | None = None) -> threading.Thread:
    thread = threading.Thread(target=worker.work, args=[store.workspace.home, run.id, registry(), stopping])
    thread.start()
    return thread


def test_a_training_leaves_a_lora_a_chart_a_grid_and_a_result(store: Store) -> None:
    run = queued(store)
    assert work(store, run) == "succeeded"
    done = runs.get(store, run.id)
    result = TrainedResult.model_validate(done.result)
    assert (done.state, done.step, done.token) == ("succeeded", 20, None)
    kinds = [artefact.kind for artefact in result.artefacts]
    assert kinds == ["lora", "card", "loss_chart", "sample_grid", *["checkpoint"] * 4]
    assert all(artefact.bytes for artefact in result.artefacts)
    assert result.held_out_first is not None
    assert result.held_out_last is not None
    assert result.held_out_last < result.held_out_first
    assert result.lora.lora_id in result.next_step
    assert store.where(LoraRecord)[0].run_id == run.id
    assert store.count(SampleRecord) == 8


def test_of_many_checkpoints_the_best_and_the_newest_are_told_and_all_that_are_there_are_counted(store: Store) -> None:
    run = queued(store)
    folder = store.workspace.run(run.id) / "checkpoints"
    folder.mkdir()
    for step in range(1, 21):
        store.add(CheckpointRecord(run.id, step, str(folder / f"{step}.safetensors"), "a" * 64))
        (folder / f"{step}.safetensors").touch()
    for step, loss in ((0, 0.9), (4, 0.1), (8, 0.3), (12, 0.4), (20, 0.5)):
        runs.add_metrics(store, run.id, step, {"held_out_loss": loss})
    told = checkpoints.told(store, run.id)
    assert [point.step for point in told.listed] == [4, 16, 17, 18, 19, 20]
    assert (told.count, told.folder, told.best and told.best.step) == (20, str(folder), 4)
    (folder / "4.safetensors").unlink()
    told = checkpoints.told(store, run.id)
    assert [point.step for point in told.listed] == [8, 16, 17, 18, 19, 20]
    assert (told.count, told.best and told.best.step) == (19, 8)


def test_all_metrics_are_written_by_the_end(store: Store) -> None:
    run = queued(store)
    work(store, run)
    assert [step for step, _ in runs.metric(store, run.id, "loss")] == list(range(1, 21))


def test_a_run_that_another_worker_has_is_left_alone(store: Store) -> None:
    run = queued(store)
    runs.claim(store, run.id)
    assert work(store, run) == "not claimed"


def test_an_engines_error_is_the_runs_sentence_and_its_kind_is_kept(store: Store) -> None:
    run = queued(store, fail="diverge")
    assert work(store, run) == "failed"
    assert runs.get(store, run.id).error == "The loss became nan at step 10."
    assert runs.journal_get(store, run.id, runs.ERROR_KIND) == "Diverged"
    assert store.count(CheckpointRecord, "run_id = ?", [run.id]) == 2  # what was good before it stands


def test_a_defect_is_one_general_sentence_and_its_traceback_stays_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run = queued(store, fail="defect")
    assert work(store, run) == "failed"
    error = runs.get(store, run.id).error or ""
    assert "worker.log" in error
    assert "secret" not in error
    assert "secret /etc/path" in caplog.text


def test_a_worker_s_log_names_no_address_since_some_carry_signatures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LORADECK_HOME", str(tmp_path))
    monkeypatch.setattr(worker, "_on_signals", lambda stop: None)
    caplog.set_level(logging.INFO)
    for name in ("httpx", "httpx2", "httpcore"):
        caplog.set_level(logging.NOTSET, logger=name)
    assert worker.main(["run_nosuch"]) == 1
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)


def test_a_changed_image_stops_the_run_before_it_trains(store: Store) -> None:
    run = queued(store)
    (store.workspace.run(run.id) / "dataset" / "001.png").unlink()
    (store.workspace.run(run.id) / "dataset" / "001.png").write_bytes(b"another picture")
    assert work(store, run) == "failed"
    assert "TRN-FINGERPRINT: 001.png" in (runs.get(store, run.id).error or "")


def test_a_changed_caption_stops_the_run_before_it_trains(store: Store) -> None:
    run = queued(store)
    (store.workspace.run(run.id) / "dataset" / "002.txt").write_text("zorbik, something else")
    assert work(store, run) == "failed"
    assert "TRN-FINGERPRINT: 002.txt" in (runs.get(store, run.id).error or "")


def test_an_engine_that_is_not_installed_fails_the_run_with_the_names_of_those_that_are(store: Store) -> None:
    run = queued(store)
    store.change(RunRecord, run.id, engine="tinny")
    assert work(store, run) == "failed"
    assert "Did you mean tiny?" in (runs.get(store, run.id).error or "")


def test_a_run_that_is_asked_to_stop_stops_at_the_next_step_and_keeps_a_checkpoint(store: Store) -> None:
    run = queued(store, steps=2000, checkpoint_every=1000, step_seconds=0.01)
    thread = in_a_thread(store, run)
    wait_for(lambda: runs.get(store, run.id).step > 5)
    runs.request_cancel(store, run.id)
    thread.join(5)
    ended = runs.get(store, run.id)
    assert (ended.state, ended.error) == ("cancelled", None)
    assert store.where(CheckpointRecord)[0].step >= ended.step > 5


def test_a_worker_that_the_system_ends_leaves_a_run_that_can_be_resumed(store: Store) -> None:
    run = queued(store, steps=2000, checkpoint_every=1000, step_seconds=0.01)
    stopping = threading.Event()
    thread = in_a_thread(store, run, stopping)
    wait_for(lambda: runs.get(store, run.id).step > 5)
    stopping.set()
    thread.join(5)
    assert runs.get(store, run.id).state == "lost"
    assert store.count(CheckpointRecord) == 1


def test_the_second_local_run_waits_in_the_queue_says_for_whom_and_then_runs(store: Store) -> None:
    first, second = queued(store, steps=200, checkpoint_every=100, step_seconds=0.01), queued(store)
    threads = [in_a_thread(store, first)]
    wait_for(lambda: runs.get(store, first.id).state == "running")
    threads.append(in_a_thread(store, second))
    wait_for(lambda: first.id in runs.get(store, second.id).message)
    assert runs.get(store, second.id).state == "queued"
    for thread in threads:
        thread.join(30)
    assert [runs.get(store, run.id).state for run in (first, second)] == ["succeeded", "succeeded"]


def test_a_run_that_waits_for_the_device_can_be_stopped(store: Store) -> None:
    first, second = queued(store, steps=2000, checkpoint_every=1000, step_seconds=0.01), queued(store)
    threads = [in_a_thread(store, first)]
    wait_for(lambda: runs.get(store, first.id).state == "running")
    threads.append(in_a_thread(store, second))
    wait_for(lambda: first.id in runs.get(store, second.id).message)
    runs.request_cancel(store, second.id)
    assert wait_until(store, second.id, 5).state == "cancelled"
    runs.request_cancel(store, first.id)
    for thread in threads:
        thread.join(5)


def test_a_worker_that_must_leave_while_it_waits_puts_its_run_back_into_the_queue(store: Store) -> None:
    first, second = queued(store, steps=2000, checkpoint_every=1000, step_seconds=0.01), queued(store)
    stopping = threading.Event()
    one = in_a_thread(store, first)
    wait_for(lambda: runs.get(store, first.id).state == "running")
    two = in_a_thread(store, second, stopping)
    wait_for(lambda: first.id in runs.get(store, second.id).message)
    stopping.set()
    two.join(5)
    launched: list[str] = []
    runs.recover(store, launched.append)
    assert launched == [second.id]
    runs.request_cancel(store, first.id)
    one.join(5)


def test_a_worker_whose_run_was_taken_over_stops_and_writes_nothing_more(store: Store) -> None:
    run = queued(store, steps=2000, checkpoint_every=1000, step_seconds=0.01)
    thread = in_a_thread(store, run)
    wait_for(lambda: runs.get(store, run.id).step > 5)
    store.change(RunRecord, run.id, token="another", state="running", step=1, message="mine")
    thread.join(5)
    assert not thread.is_alive()
    ended = runs.get(store, run.id)
    assert (ended.token, ended.step, ended.message) == ("another", 1, "mine")
    assert store.count(CheckpointRecord) == 0


@pytest.mark.parametrize(
    ("module", "write"), [(runs, "take_device"), (runs, "update"), (start_training, "register_lora")]
)
def test_a_database_that_another_program_holds_meanwhile_is_waited_for(
    module: ModuleType, write: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.state.store.BUSY_SECONDS", 0.1)
    honest, releases = getattr(module, write), []

    def held(*arguments: Any, **named: Any) -> Any:
        if not releases:
            other = sqlite3.connect(store.workspace.database, isolation_level=None, check_same_thread=False)
            other.execute("begin immediate")
            releases.append(threading.Timer(0.5, other.close))
            releases[0].start()
        return honest(*arguments, **named)

    monkeypatch.setattr(module, write, held)
    assert work(store, queued(store)) == "succeeded"
    assert releases


def test_the_queue_outlasts_a_database_in_use(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "QUEUE_POLL_SECONDS", 0.01)
    troubles = iter([DatabaseBusy("Another program holds loradeck.db."), None])

    def recover(*_: object) -> None:
        if (trouble := next(troubles)) is not None:
            raise trouble

    monkeypatch.setattr(runs, "recover", recover)
    assert worker.run_queue(store.workspace.home, once=True) == 0
    assert "Another program holds loradeck.db." in caplog.text


# --------------------------------------------------------------------------- the reporter alone


def reporter_of(store: Store) -> tuple[StoreReporter, RunRecord]:
    run = runs.claim(store, queued(store).id)
    assert run is not None
    return StoreReporter(store, run.id, run.token or ""), run


def test_what_was_measured_is_on_the_disk_once_a_checkpoint_is(store: Store, tmp_path: Path) -> None:
    reporter, run = reporter_of(store)
    reporter.progress(0, 20)
    for step in range(1, 6):
        reporter.metrics(step, {"loss": 1.0 / step})
        reporter.progress(step, 20)
    reporter.checkpoint(5, tmp_path / "x", "0" * 64)
    assert len(runs.metric(store, run.id, "loss")) == 5
    assert runs.get(store, run.id).step == 5


def test_progress_waits_for_no_database_that_another_program_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.state.store.BUSY_SECONDS", 0.1)
    short = Store(store.workspace.home)
    reporter, run = reporter_of(short)
    other = sqlite3.connect(store.workspace.database, isolation_level=None)
    other.execute("begin immediate")
    reporter.metrics(1, {"loss": 1.0})
    reporter.progress(1, 20)
    other.execute("rollback")
    reporter.event("and then")
    assert runs.metric(short, run.id, "loss") == [(1, 1.0)]


def test_a_checkpoint_waits_until_it_is_written(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("loradeck.state.store.BUSY_SECONDS", 0.1)
    short = Store(store.workspace.home)
    reporter, _ = reporter_of(short)
    other = sqlite3.connect(store.workspace.database, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    release = threading.Timer(0.6, lambda: other.execute("rollback"))
    release.start()
    began = time.monotonic()
    reporter.checkpoint(5, tmp_path / "x", "0" * 64)
    assert time.monotonic() - began > 0.5
    assert short.count(CheckpointRecord) == 1


def test_every_call_of_a_reporter_says_that_the_run_was_taken_over(store: Store, tmp_path: Path) -> None:
    reporter, run = reporter_of(store)
    store.change(RunRecord, run.id, token="another")
    calls = [
        lambda: reporter.progress(20, 20),
        lambda: reporter.event("x"),
        lambda: reporter.checkpoint(1, tmp_path, "0"),
        lambda: reporter.sample(1, tmp_path, "p"),
        lambda: reporter.journal.put("a", 1),
        reporter.raise_if_cancelled,
    ]
    for call in calls:
        with pytest.raises(LeaseLost):
            call()
    assert runs.journal_get(store, run.id, "a") is None


def test_a_reporter_hears_that_the_person_said_stop(store: Store) -> None:
    reporter, run = reporter_of(store)
    reporter.raise_if_cancelled()
    runs.request_cancel(store, run.id)
    with pytest.raises(Cancelled) as stop:
        reporter.raise_if_cancelled()
    assert not isinstance(stop.value, Leaving)


def test_a_reporter_tells_a_worker_that_must_leave_from_a_person_s_stop(store: Store) -> None:
    _, run = reporter_of(store)
    stopping = threading.Event()
    reporter = StoreReporter(store, run.id, run.token or "", stopping)
    stopping.set()
    with pytest.raises(Leaving):
        reporter.raise_if_cancelled()


# --------------------------------------------------------------------------- waiting


def test_waiting_returns_when_the_run_ended_and_tells_on_the_way(store: Store) -> None:
    run = queued(store, steps=60, checkpoint_every=30, step_seconds=0.02)
    thread = in_a_thread(store, run)
    heard: list[float] = []
    ended = wait_until(store, run.id, 30, tell=lambda done, _total, _message: heard.append(done))
    thread.join()
    assert ended.state == "succeeded"
    assert heard == sorted(heard)
    assert heard[-1] == 60


def test_what_hears_of_a_wait_can_end_it(store: Store) -> None:
    run = queued(store, steps=60)

    def gone(_done: float, _total: float | None, _message: str) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait_until(store, run.id, 20, tell=gone)
    assert time.monotonic() - began < 5


def test_waiting_for_news_returns_on_news_and_running_out_is_normal(store: Store) -> None:
    run = queued(store)
    began = time.monotonic()
    assert wait_until(store, run.id, 0.5, ended_only=False).state == "queued"
    assert time.monotonic() - began >= 0.5
    threading.Timer(0.3, lambda: runs.add_event(store, run.id, "news")).start()
    began = time.monotonic()
    wait_until(store, run.id, 20, ended_only=False)
    assert time.monotonic() - began < 5


def test_waiting_finds_that_the_worker_is_gone(store: Store) -> None:
    run = runs.claim(store, queued(store).id)
    assert run is not None
    store.change(RunRecord, run.id, state="running", pid=2**22 + 7, pid_started=1.0)
    threading.Timer(0.4, lambda: lease_runs_out(store, run.id)).start()
    assert wait_until(store, run.id, 10).state == "lost"


def test_waiting_uses_up_none_of_the_launches_of_a_run_that_nobody_runs(store: Store) -> None:
    run = queued(store)
    for _ in range(runs.MOST_LAUNCHES + 1):
        lease_runs_out(store, run.id)
        assert wait_until(store, run.id, 0.0).state == "queued"
    launched: list[str] = []
    runs.recover(store, launched.append)
    assert launched == [run.id]
