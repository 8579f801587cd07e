"""A full disk pauses a training, which goes on by itself to the same weights when there is room."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import tiny
from support.reporter import MemoryReporter
from support.training import queued

from loradeck.engines.base import DatasetFolder
from loradeck.engines.errors import Cancelled, CannotWrite, NoRoom
from loradeck.engines.local import patience
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.registry import Registry
from loradeck.server import worker
from loradeck.state import runs
from loradeck.state.errors import DiskFull
from loradeck.state.store import Store
from loradeck.tools import reporter as told


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk")


@pytest.fixture(scope="module")
def engine(home: Path) -> LocalEngine:
    base = tiny.base(home / "weights")
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def dataset(home: Path) -> DatasetFolder:
    return tiny.dataset(home / "images")


@pytest.fixture(scope="module")
def straight(engine: LocalEngine, dataset: DatasetFolder, home: Path) -> dict[str, torch.Tensor]:
    """The weights of a training that never waited."""
    return load_file(engine.train(tiny.spec(home / "run"), dataset, MemoryReporter()).lora_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(told, "ROOM_SECONDS", 0.01)


def same(one: dict[str, torch.Tensor], path: Path) -> bool:
    two = load_file(path)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


class Refusing:
    """The system refuses to let a file stand whose name holds one of `parts`: `times` each, or for ever."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *parts: str, times: int = 10**9, code: int = errno.ENOSPC
    ) -> None:
        self.left, self.code, self.honest = dict.fromkeys(parts, times), code, Path.replace
        monkeypatch.setattr(Path, "replace", lambda path, target: self.replace(path, Path(target)))

    def replace(self, path: Path, target: Path) -> Path:
        for part, left in self.left.items():
            if part in str(target) and left:
                self.left[part] = left - 1
                raise OSError(self.code, os.strerror(self.code))
        return self.honest(path, target)


@pytest.mark.slow
def test_a_disk_that_is_full_at_every_kind_of_file_is_waited_for_and_the_weights_are_the_same(
    engine: LocalEngine,
    dataset: DatasetFolder,
    straight: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = ("cache/preview", "step-000003.safetensors", "step-000006.state", "step-000004-1.png", "tiny-look")
    Refusing(monkeypatch, *files, times=2)
    reporter = MemoryReporter()
    result = engine.train(tiny.spec(tmp_path), dataset, reporter)
    assert same(straight, result.lora_path)
    assert [step for step, _ in reporter.pauses] == [0, 3, 4, 6, 8]  # each told once, however often it was tried
    sentences = [sentence for _, sentence in reporter.pauses]
    assert all(sentence.startswith("The disk is full: ") for sentence in sentences)
    assert "kB are needed for the checkpoint at step 6. The training waits; free some room" in sentences[3]
    assert [message for _, message in reporter.events].count(
        "There is room on the disk again; the training goes on."
    ) == 5
    assert [step for step, _, _ in reporter.checkpoints] == [3, 6, 8]
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_stop_is_heard_while_a_full_disk_is_waited_for_and_the_last_checkpoint_stands(
    engine: LocalEngine,
    dataset: DatasetFolder,
    straight: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stopping(MemoryReporter):
        def raise_if_cancelled(self) -> None:
            if self.pauses:
                raise Cancelled("Stopped as asked.")

    with monkeypatch.context() as full:
        Refusing(full, "step-000006.state")
        reporter = Stopping()
        with pytest.raises(Cancelled):
            engine.train(tiny.spec(tmp_path), dataset, reporter)
    assert len(reporter.pauses) == 1
    assert [path.name for path in (tmp_path / "checkpoints").glob("*.state")] == ["step-000003.state"]
    again = MemoryReporter(reporter.journal)
    assert same(straight, engine.train(tiny.spec(tmp_path), dataset, again).lora_path)


def test_a_folder_that_may_not_be_written_fails_with_its_sentence(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Refusing(monkeypatch, "cache/preview", code=errno.EACCES)
    reporter = MemoryReporter()
    with pytest.raises(CannotWrite, match="make the folder writable") as refused:
        engine.train(tiny.spec(tmp_path), dataset, reporter)
    assert not isinstance(refused.value, NoRoom)
    assert reporter.pauses == []


def test_it_is_not_tried_again_before_the_disk_has_the_room_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10, 999, 3_200_000_000])
    tried: list[int] = []

    def write() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise NoRoom("full", tmp_path / "not" / "made yet", 3_150_000_001)
        return "written"

    usage = patience.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(patience.shutil, "disk_usage", lambda folder: usage._replace(free=next(free)))
    reporter = MemoryReporter()
    assert patience.Patience(reporter, 900).through(write, "the checkpoint at step 500", 500) == "written"
    assert len(tried) == 2
    assert next(free, None) is None
    assert reporter.pauses == [
        (
            500,
            "The disk is full: 3.2 GB are needed for the checkpoint at step 500. The training waits; free some room "
            "and it goes on by itself.",
        )
    ]


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, where this user may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Take all the room there is."""
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        _write_on(file)


def _write_on(file: io.FileIO) -> None:
    """Write until there is an end of it."""
    while file.write(bytes(4096)):
        continue


def test_on_a_disk_that_really_is_full_a_training_waits_and_goes_on(
    engine: LocalEngine, dataset: DatasetFolder, straight: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:

        class Person(MemoryReporter):
            """Fills the disk before the checkpoint at step 6 and makes room when told of it."""

            def progress(self, step: int, steps: int, message: str = "") -> None:
                super().progress(step, steps, message)
                if (step, message) == (5, "training"):
                    fill(disk / "ballast")

            def pause(self, step: int, steps: int, message: str) -> None:
                super().pause(step, steps, message)
                (disk / "ballast").unlink()

        reporter = Person()
        result = engine.train(tiny.spec(disk / "run"), dataset, reporter)
        assert [step for step, _ in reporter.pauses] == [6]
        assert same(straight, result.lora_path)


class FullUnder:
    """The disk of the database and of the checkpoints is full from the writing of a file on, until `full` is unset.

    `refused` counts what the database was not let write.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.full, self.refused = False, 0
        files, rows = Path.replace, Store.transaction

        def replace_(path: Path, target: Path) -> Path:
            if Path(target).name == name and not self.refused:
                self.full = True
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return files(path, target)

        def transaction(store: Store) -> Any:
            if self.full and threading.current_thread() is worker_thread:
                self.refused += 1
                raise DiskFull("The disk that holds loradeck.db is full; free some room.")
            return rows(store)

        worker_thread = threading.current_thread()
        monkeypatch.setattr(Path, "replace", replace_)
        monkeypatch.setattr(Store, "transaction", transaction)


def test_a_worker_whose_database_and_checkpoints_share_a_full_disk_says_so_and_goes_on_with_every_row(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base = replace(tiny.base(home / "weights"), sizes=((64, 64),))
    engines = Registry({"tiny": lambda: LocalEngine({"preview": lambda: base})})
    store = Store(tmp_path / "home")
    run = queued(store, steps=6, checkpoint_every=3)
    disk = FullUnder(monkeypatch, "step-000003.state")

    def look(folder: Path) -> Any:
        """Room is made once the pause could not be written down, and before the next look."""
        disk.full = disk.refused < 1
        return usage

    usage = patience.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(patience.shutil, "disk_usage", look)
    assert worker.work(store.workspace.home, run.id, engines) == "succeeded"
    assert "The disk is full: " in caplog.text  # in the log, since the row could not take it
    assert disk.refused
    assert [step for step, _ in runs.metric(store, run.id, "loss")] == list(range(1, 7))
    assert "There is room on the disk again" in " ".join(event.message for event in runs.events(store, run.id, 50))


def test_a_run_that_waits_for_room_is_told_as_paused_and_then_as_running(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "home")
    run = runs.claim(store, runs.enqueue(store, "train", {}).id)
    assert run is not None
    reporter = told.StoreReporter(store, run.id, str(run.token))
    reporter.metrics(4, {"loss": 0.5})
    reporter.pause(5, 20, "The disk is full.")
    paused = runs.get(store, run.id)
    assert (paused.state, paused.step, paused.message) == ("paused", 5, "The disk is full.")
    assert runs.events(store, run.id)[-1].level == "warning"
    assert runs.metric(store, run.id, "loss") == [(4, 0.5)]
    reporter.progress(5, 20, "going on")
    reporter.flush()
    assert runs.get(store, run.id).state == "running"


def test_what_was_gathered_is_written_when_the_disk_under_the_database_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that fails takes back the numbers too: they must come again with the next try."""
    store = Store(tmp_path / "home")
    run = runs.claim(store, runs.enqueue(store, "train", {}).id)
    assert run is not None
    reporter = told.StoreReporter(store, run.id, str(run.token))
    honest, refusals = runs.add_event, [1, 1]

    def refused(*arguments: Any) -> None:
        if refusals:
            refusals.pop()
            raise DiskFull("The disk that holds loradeck.db is full; free some room.")
        honest(*arguments)

    monkeypatch.setattr(runs, "add_event", refused)
    reporter.metrics(4, {"loss": 0.5})
    reporter.event("half way")
    assert runs.metric(store, run.id, "loss") == [(4, 0.5)]
    assert [event.message for event in runs.events(store, run.id)] == ["half way"]
