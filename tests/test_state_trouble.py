"""A workspace that cannot be used is told in one sentence with the next step, and is left as it was."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.store_contract import DATASET

from loradeck.state import files
from loradeck.state import store as store_module
from loradeck.state.errors import (
    DatabaseBroken,
    DatabaseBusy,
    DatabaseTooNew,
    DiskFull,
    FileInUse,
    StateError,
    WorkspaceReadOnly,
)
from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store


def one_sentence_with_a_next_step(error: pytest.ExceptionInfo[StateError]) -> bool:
    text = str(error.value)
    return text.endswith((".", ").")) and "Traceback" not in text and any(w in text for w in ("call", "set", "move"))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A workspace with one dataset in it, closed."""
    store = Store(tmp_path)
    store.add(DATASET)
    (tmp_path / "datasets" / "ds_1").mkdir(parents=True)
    store.db.conn.execute("pragma wal_checkpoint(truncate)")
    store.close()
    return tmp_path


def test_a_database_locked_by_another_program_is_waited_for_and_then_told(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.5)
    store = Store(filled)
    other = sqlite3.connect(filled / "loradeck.db", isolation_level=None)
    other.execute("begin immediate")
    began = time.monotonic()
    with pytest.raises(DatabaseBusy) as error:
        store.add(replace(DATASET, id="ds_2", name="second"))
    assert 0.4 < time.monotonic() - began < 3
    assert one_sentence_with_a_next_step(error)
    assert [row.id for row in store.where(DatasetRecord)] == ["ds_1"]  # reading goes on meanwhile
    other.execute("rollback")
    store.add(replace(DATASET, id="ds_2", name="second"))


def test_a_database_held_exclusively_is_told_when_it_is_opened(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.3)
    other = sqlite3.connect(filled / "loradeck.db", isolation_level=None)
    other.execute("pragma locking_mode = exclusive")
    other.execute("begin exclusive")
    with pytest.raises(DatabaseBusy):
        Store(filled)
    other.close()
    assert Store(filled).count(DatasetRecord) == 1


def test_the_usual_patience_is_ten_seconds() -> None:
    assert store_module.BUSY_SECONDS == 10.0


def test_a_database_of_a_newer_loradeck_is_refused_and_left_alone(filled: Path) -> None:
    with sqlite3.connect(filled / "loradeck.db") as other:
        other.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at) values ('loradeck', 'm999_future', 'x')"
        )
    other.close()
    before = (filled / "loradeck.db").read_bytes()
    with pytest.raises(DatabaseTooNew) as error:
        Store(filled)
    command = re.findall("`(.+)`", str(error.value))
    assert command
    assert f"\n{command[0]} " in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert (filled / "loradeck.db").read_bytes() == before


@pytest.mark.parametrize("damage", ["garbage", "cut", "emptied"])
def test_a_damaged_database_is_told_and_left_untouched(filled: Path, damage: str) -> None:
    file = filled / "loradeck.db"
    whole = file.read_bytes()
    broken = {"garbage": os.urandom(len(whole)), "cut": whole[: len(whole) // 2], "emptied": b""}[damage]
    file.write_bytes(broken)
    with pytest.raises(DatabaseBroken) as error:
        Store(filled)
    assert one_sentence_with_a_next_step(error)
    assert file.read_bytes() == broken


def test_a_new_workspace_whose_database_was_never_filled_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "loradeck.db").touch()
    assert Store(tmp_path).count(DatasetRecord) == 0


def test_a_full_disk_under_the_database_is_told_and_nothing_of_the_write_stays(filled: Path) -> None:
    store = Store(filled)
    pages = store.db.conn.execute("pragma page_count").fetchone()[0]
    store.db.conn.execute(f"pragma max_page_count = {pages}")

    def much() -> None:
        with store.transaction():
            for number in range(200):
                store.add(replace(DATASET, id=f"ds_x{number}", name=f"x{number}", subject="s" * 2000))

    with pytest.raises(DiskFull) as error:
        much()
    assert one_sentence_with_a_next_step(error)
    assert store.count(DatasetRecord) == 1
    store.db.conn.execute("pragma max_page_count = 1000000")
    much()
    assert store.count(DatasetRecord) == 201


def test_a_disk_that_refuses_the_database_is_told_as_such_and_not_as_damage(filled: Path) -> None:
    store = Store(filled)
    refusal = sqlite3.OperationalError("disk I/O error")
    refusal.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    with pytest.raises(StateError, match="check free space") as error, store.explained():
        raise refusal
    assert not isinstance(error.value, DatabaseBroken)
    assert one_sentence_with_a_next_step(error)


def test_a_full_disk_under_a_file_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "caption.txt"
    files.write_text(path, "before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"caption\.txt"):
        files.write_text(path, "after")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["caption.txt"]


@pytest.mark.parametrize("code", [5, 32, 33])
def test_a_file_that_is_open_in_another_program_is_told_as_such(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deck.pdf").write_bytes(b"before")

    def denied(_path: Path, _target: Path) -> None:
        error = PermissionError(errno.EACCES, "Access is denied")
        error.winerror = code  # as on Windows
        raise error

    monkeypatch.setattr(Path, "replace", denied)
    with pytest.raises(FileInUse, match=r"deck\.pdf is open in another program; close it there"):
        files.write_bytes(tmp_path / "deck.pdf", b"after")
    with pytest.raises(WorkspaceReadOnly):
        files.write_bytes(tmp_path / "new.pdf", b"after")
    assert [file.name for file in tmp_path.iterdir()] == ["deck.pdf"]


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder that another user can reach (pytest's own is private)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="permissions are set differently there")
@pytest.mark.parametrize("filled_before", [True, False])
def test_a_read_only_workspace_is_told_and_left_as_it_was(readable_by_all: Path, filled_before: bool) -> None:
    home = readable_by_all / "home"
    if filled_before:
        store = Store(home)
        store.db.conn.execute("pragma journal_mode = delete")
        store.close()
        (home / "loradeck.db").chmod(0o444)
    else:
        home.mkdir()
    home.chmod(0o555)
    before = sorted(path.name for path in home.iterdir())
    tried = subprocess.run([sys.executable, "-c", TRY_TO_OPEN, str(home)], capture_output=True, text=True, check=False)
    assert tried.stdout.startswith("WorkspaceReadOnly"), tried.stdout + tried.stderr
    assert "LORADECK_HOME" in tried.stdout
    assert f"{home / 'loradeck.db' if filled_before else home}" in tried.stdout
    assert "cannot be written" in tried.stdout
    assert sorted(path.name for path in home.iterdir()) == before


TRY_TO_OPEN = """
import os, sys
from pathlib import Path
from loradeck.state.errors import StateError
from loradeck.state.store import Store
import sqlite_utils, loradeck.state.migrations
if os.geteuid() == 0:
    os.setuid(65534)  # the administrator may write everywhere
try:
    Store(Path(sys.argv[1]))
except StateError as error:
    print(type(error).__name__, error)
"""


def test_a_workspace_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError) as error:
        Store(tmp_path / "file" / "home")
    assert one_sentence_with_a_next_step(error)
