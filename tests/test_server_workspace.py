"""A workspace that cannot be used stops no server: tools are listed, and each call says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp import Client
from support.client import in_memory, said

from loradeck.state import store
from loradeck.state.store import Store


@contextmanager
def damaged(home: Path) -> Iterator[None]:
    (home / "loradeck.db").write_bytes(b"no database at all " * 300)
    yield
    (home / "loradeck.db").unlink()


@contextmanager
def newer(home: Path) -> Iterator[None]:
    Store(home).close()
    with sqlite3.connect(home / "loradeck.db") as db:
        db.execute(
            "insert into _sqlite_migrations (migration_set, name, applied_at) values ('loradeck', 'm999', '2030')"
        )
    db.close()
    yield
    (home / "loradeck.db").unlink()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    Store(home).close()
    holder = sqlite3.connect(home / "loradeck.db", isolation_level=None)
    holder.execute("pragma locking_mode = exclusive")
    holder.execute("begin exclusive")
    yield
    holder.rollback()
    holder.close()


@contextmanager
def no_folder(home: Path) -> Iterator[None]:
    home.rmdir()
    home.write_text("a file where the workspace should be")
    yield
    home.unlink()


@pytest.mark.parametrize(
    ("trouble", "word"),
    [(damaged, "damaged"), (newer, "newer loradeck"), (locked, "Another program holds"), (no_folder, "LORADECK_HOME")],
)
def test_trouble_is_told_by_each_call_and_over_when_it_is_mended(
    trouble: Callable[[Path], Iterator[None]], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    home = tmp_path / "workspace"
    home.mkdir()

    async def conversation(client: Client) -> None:
        with trouble(home):  # type: ignore[attr-defined]
            assert len((await client.list_tools()).tools) == 12
            for _ in range(2):
                result = await client.call_tool("check_status", {})
                assert result.is_error
                assert word in said(result)
                assert str(tmp_path) not in said(result).replace(str(home), "")  # the workspace's own path may be told
        assert not (await client.call_tool("check_status", {})).is_error

    in_memory(home, conversation)
