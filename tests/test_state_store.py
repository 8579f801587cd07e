"""The SQLite store keeps the store's promises, for one caller and for many at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.store_contract import DATASET, StoreContract

from loradeck.state import runs
from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store

WRITER = """
import sys
from pathlib import Path
from loradeck.state import runs
from loradeck.state.store import Store
store = Store(Path(sys.argv[1]))
for step in range(40):
    runs.add_event(store, sys.argv[2], f"{sys.argv[3]} {step}")
    runs.add_metrics(store, sys.argv[2], step, {sys.argv[3]: float(step)})
"""


class TestSqliteStore(StoreContract):
    """The one store there is today."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(tmp_path / "home")


def test_several_processes_and_threads_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = runs.enqueue(store, "train", {})
    command = [sys.executable, "-c", WRITER, str(tmp_path), run.id]
    writers = [subprocess.Popen([*command, f"process{number}"]) for number in range(3)]

    def write(name: str) -> None:
        for step in range(40):
            runs.add_event(store, run.id, f"{name} {step}")
        store.close()

    threads = [threading.Thread(target=write, args=[f"thread{number}"]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    told = runs.events(store, run.id, last=1000)
    assert len({event.message for event in told}) == len(told) == 240
    assert all(len(runs.metric(store, run.id, f"process{number}")) == 40 for number in range(3))


def test_two_processes_that_open_a_new_workspace_at_once_both_find_it_ready(tmp_path: Path) -> None:
    opening = "import sys; from pathlib import Path; from loradeck.state.store import Store; Store(Path(sys.argv[1]))"
    openers = [subprocess.Popen([sys.executable, "-c", opening, str(tmp_path / "new")]) for _ in range(4)]
    assert [opener.wait(60) for opener in openers] == [0, 0, 0, 0]
    assert Store(tmp_path / "new").count(DatasetRecord) == 0


def test_what_was_committed_is_there_for_a_process_that_comes_after_a_kill(tmp_path: Path) -> None:
    dying = (
        "import os, sys; from pathlib import Path; from loradeck.state import runs; "
        "from loradeck.state.store import Store; store = Store(Path(sys.argv[1])); "
        "run = runs.enqueue(store, 'train', {}, run_id='run_x'); runs.journal_put(store, 'run_x', 'paid', 'p-17'); "
        "held = store.transaction(); held.__enter__(); runs.journal_put(store, 'run_x', 'paid', 'never'); "
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", dying, str(tmp_path)], check=False).returncode == -9
    assert runs.journal_get(Store(tmp_path), "run_x", "paid") == "p-17"


def test_each_thread_reads_what_another_one_committed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    thread = threading.Thread(target=lambda: store.add(replace(DATASET, name="from a thread")))
    thread.start()
    thread.join()
    assert [row.name for row in store.where(DatasetRecord)] == ["from a thread"]
