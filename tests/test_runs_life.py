"""The life of a run in the store: one owner at a time, nothing lost that lives, nothing alive that is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.training import lease_runs_out

from loradeck.state import runs
from loradeck.state.errors import LeaseLost, WorkspaceReadOnly
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.report import report


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def elsewhere() -> Iterator[psutil.Process]:
    """A live process that is not this one."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield psutil.Process(child.pid)
    child.kill()
    child.wait()


def claimed(store: Store, **columns: object) -> tuple[RunRecord, str]:
    run = runs.claim(store, runs.enqueue(store, "train", {}, engine="local", **columns).id)
    assert run is not None
    assert run.token is not None
    return run, run.token


def worker_dies(store: Store, run_id: str) -> None:
    """The process is gone and its lease over."""
    store.change(RunRecord, run_id, pid=2**22 + 7, pid_started=1.0)
    lease_runs_out(store, run_id)


def test_a_run_is_claimed_once(store: Store) -> None:
    run = runs.enqueue(store, "train", {})
    first = runs.claim(store, run.id)
    assert first is not None
    assert (first.pid, first.attempt) == (os.getpid(), 1)
    assert runs.claim(store, run.id) is None


def test_a_run_that_can_have_no_folder_is_told_and_leaves_no_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(folder: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(WorkspaceReadOnly, match=r"run_\w+ cannot be written; make its folder writable"):
        runs.enqueue(store, "train", {})
    assert store.count(RunRecord) == 0


def test_an_ended_run_is_not_claimed(store: Store) -> None:
    run, token = claimed(store)
    runs.finish(store, run.id, token, "succeeded")
    assert runs.claim(store, run.id) is None


def test_a_queued_run_whose_worker_died_is_claimed_by_the_next_one(store: Store) -> None:
    run, _ = claimed(store)
    worker_dies(store, run.id)
    again = runs.claim(store, run.id)
    assert again is not None
    assert again.attempt == 2


def test_the_owner_ends_its_run_and_owns_it_no_more(store: Store) -> None:
    run, token = claimed(store)
    runs.finish(store, run.id, token, "failed", error="Because.")
    ended = runs.get(store, run.id)
    assert (ended.state, ended.error, ended.token) == ("failed", "Because.", None)
    assert ended.finished_at
    with pytest.raises(LeaseLost):
        runs.update(store, run.id, token, message="too late")


def test_a_live_process_is_not_lost_however_long_its_lease_is_over(store: Store, elsewhere: psutil.Process) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="running", pid=elsewhere.pid, pid_started=runs.birth(elsewhere))
    lease_runs_out(store, run.id)
    assert runs.sweep(store) == ([], [])
    assert runs.get(store, run.id).state == "running"


@pytest.mark.skipif(not psutil.LINUX, reason="start times follow the clock on Linux alone")
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_live_process_is_not_lost_when_the_clock_is_set_anew(
    hours: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="running")
    lease_runs_out(store, run.id)
    started, booted = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: started(process) + 3600 * hours)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600 * hours)
    assert runs.sweep(store) == ([], [])


def test_a_gone_process_is_not_lost_before_its_lease_is_over(store: Store) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="running", pid=2**22 + 7, pid_started=1.0)
    assert runs.sweep(store) == ([], [])


def test_a_pid_that_another_process_got_since_does_not_keep_a_run_alive(
    store: Store, elsewhere: psutil.Process
) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="running", pid=elsewhere.pid, pid_started=runs.birth(elsewhere) - 3600)
    lease_runs_out(store, run.id)
    ended, _ = runs.sweep(store)
    assert [row.state for row in ended] == ["lost"]


def test_a_training_that_a_restart_of_the_machine_ended_is_found_at_the_next_start_and_can_be_resumed(
    store: Store, elsewhere: psutil.Process
) -> None:
    """Its pid belongs to somebody else by then, who did not start as long after this start as it did after its own."""
    run, _ = claimed(store, name="zorbik")
    store.change(RunRecord, run.id, state="running", step=70, steps=100)
    store.change(RunRecord, run.id, pid=elsewhere.pid, pid_started=runs.birth(elsewhere) + 86_400)
    lease_runs_out(store, run.id)
    launched: list[str] = []
    assert [ended.id for ended in runs.recover(store, launched.append)] == [run.id]
    found = report(store, runs.get(store, run.id))
    assert (found.state, found.step) == ("lost", 70)
    assert "the machine restarted, at step 70" in str(found.message)
    assert found.next_step.startswith(f'start_training(resume="{run.id}")')
    assert launched == []  # a person decides when it goes on


def test_a_lost_run_says_so_keeps_its_step_and_frees_its_device(store: Store) -> None:
    run, token = claimed(store)
    assert runs.take_device(store, "local", run.id, token)
    store.change(RunRecord, run.id, state="running", step=70, steps=100)
    worker_dies(store, run.id)
    runs.sweep(store)
    lost = runs.get(store, run.id)
    assert (lost.state, lost.step) == ("lost", 70)
    assert "step 70" in runs.events(store, run.id)[-1].message
    other, other_token = claimed(store)
    assert runs.take_device(store, "local", other.id, other_token)


def test_a_worker_that_wakes_after_it_was_taken_for_lost_can_write_nothing(store: Store) -> None:
    run, token = claimed(store)
    store.change(RunRecord, run.id, state="running")
    worker_dies(store, run.id)
    runs.sweep(store)
    for write in (lambda: runs.renew(store, run.id, token), lambda: runs.finish(store, run.id, token, "succeeded")):
        with pytest.raises(LeaseLost):
            write()
    assert runs.get(store, run.id).state == "lost"


def test_a_run_that_dies_after_it_was_asked_to_stop_is_cancelled_not_lost(store: Store) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="running")
    runs.request_cancel(store, run.id)
    worker_dies(store, run.id)
    runs.sweep(store)
    assert runs.get(store, run.id).state == "cancelled"


def test_a_queued_run_that_nobody_took_is_cancelled_at_once(store: Store) -> None:
    run = runs.enqueue(store, "train", {})
    assert runs.request_cancel(store, run.id).state == "cancelled"
    assert runs.claim(store, run.id) is None


def ended_by_its_worker(store: Store, run_id: str) -> None:
    run = runs.claim(store, run_id)
    assert run is not None
    runs.finish(store, run_id, str(run.token), "failed")


def ended_by_a_person(store: Store, run_id: str) -> None:
    runs.request_cancel(store, run_id)


def ended_by_the_machine(store: Store, run_id: str) -> None:
    runs.claim(store, run_id)
    store.change(RunRecord, run_id, state="running")
    worker_dies(store, run_id)
    runs.sweep(store)


@pytest.mark.parametrize("end", [ended_by_its_worker, ended_by_a_person, ended_by_the_machine])
def test_a_secret_goes_with_the_end_of_its_run_and_not_before(end: Callable[[Store, str], None], store: Store) -> None:
    run = runs.enqueue(store, "import", {})
    secret = store.workspace.run(run.id) / runs.SECRET
    secret.write_text("https://files.example/a?token=s3cret")
    first = runs.claim(store, run.id)
    assert first is not None
    runs.let_go(store, run.id, str(first.token))
    assert secret.exists()
    end(store, run.id)
    assert runs.get(store, run.id).state in runs.ENDED
    assert not secret.exists()


def test_stopping_an_ended_run_changes_nothing(store: Store) -> None:
    run, token = claimed(store)
    runs.finish(store, run.id, token, "succeeded")
    assert runs.request_cancel(store, run.id) == runs.get(store, run.id)
    assert runs.get(store, run.id).state == "succeeded"


def test_recovery_launches_what_waits_with_nobody_to_run_it_and_only_once(store: Store) -> None:
    run = runs.enqueue(store, "train", {})
    launched: list[str] = []
    runs.recover(store, launched.append)
    assert launched == []  # it has only just been queued: whoever did that is launching it
    lease_runs_out(store, run.id)
    runs.recover(store, launched.append)
    runs.recover(store, launched.append)
    assert launched == [run.id]


def test_a_queued_run_whose_worker_died_while_it_waited_is_claimed_by_the_worker_that_recovery_launches(
    store: Store,
) -> None:
    run, _ = claimed(store)
    store.change(RunRecord, run.id, state="queued", pid=None, lease_until=0.0)
    claims: list[RunRecord | None] = []
    runs.recover(store, lambda run_id: claims.append(runs.claim(store, run_id)))
    assert [one.id for one in claims if one is not None] == [run.id]


def test_a_run_whose_workers_never_come_up_is_failed_in_the_end(store: Store) -> None:
    run = runs.enqueue(store, "train", {})
    launched: list[str] = []
    for _ in range(10):
        lease_runs_out(store, run.id)
        runs.recover(store, launched.append)
    assert len(launched) == runs.MOST_LAUNCHES
    ended = runs.get(store, run.id)
    assert ended.state == "failed"
    assert "worker.log" in (ended.error or "")


def test_a_requeued_run_keeps_its_journal_and_starts_clean(store: Store) -> None:
    run, token = claimed(store)
    runs.journal_put(store, run.id, "states", {"a": "b"})
    store.change(RunRecord, run.id, step=40, steps=100, cancel_requested=True)
    runs.finish(store, run.id, token, "failed", message="Because.", error="Because.")
    again = runs.requeue(store, run.id)
    assert (again.state, again.error, again.cancel_requested, again.step) == ("queued", None, False, 40)
    assert again.message == ""
    assert runs.journal_get(store, run.id, "states") == {"a": "b"}
    assert runs.claim(store, run.id) is not None


def test_a_run_that_two_make_ready_at_once_stays_with_the_first_worker(store: Store) -> None:
    run, token = claimed(store)
    runs.finish(store, run.id, token, "failed")
    runs.requeue(store, run.id)
    first = runs.claim(store, run.id)
    assert first is not None
    assert runs.requeue(store, run.id).token == first.token  # by another server, which saw it as failed
    assert runs.claim(store, run.id) is None


def test_one_run_at_a_time_holds_the_device_and_the_oldest_that_waits_is_next(store: Store) -> None:
    (first, first_token), (second, second_token), (third, third_token) = (claimed(store) for _ in range(3))
    assert runs.take_device(store, "local", first.id, first_token)
    assert runs.take_device(store, "local", first.id, first_token)  # its own again
    assert not runs.take_device(store, "local", second.id, second_token)
    holder = runs.device_holder(store, "local")
    assert holder is not None
    assert holder.id == first.id
    runs.finish(store, first.id, first_token, "succeeded")
    assert not runs.take_device(store, "local", third.id, third_token)
    assert runs.take_device(store, "local", second.id, second_token)


def test_a_resumed_run_is_not_kept_out_by_the_lease_of_its_former_self(store: Store) -> None:
    run, token = claimed(store)
    assert runs.take_device(store, "local", run.id, token)
    store.change(RunRecord, run.id, state="lost")
    runs.requeue(store, run.id)
    again = runs.claim(store, run.id)
    assert again is not None
    assert again.token is not None
    assert runs.take_device(store, "local", run.id, again.token)


def test_a_heartbeat_renews_the_run_and_the_device(store: Store) -> None:
    run, token = claimed(store)
    runs.take_device(store, "local", run.id, token)
    lease_runs_out(store, run.id)
    store.db.conn.execute("update leases set lease_until = 0")
    runs.renew(store, run.id, token)
    until = store.read("select lease_until from leases")[0]["lease_until"]
    assert runs.get(store, run.id).lease_until == until > 0
