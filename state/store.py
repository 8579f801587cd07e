"""The SQLite store: one file, one connection a thread, rows in and out as typed records.

Write-ahead log with full synchronisation, so that what was committed survives a power cut; a busy timeout,
so that several processes share it. Every call either commits or leaves the database as it was.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_origin, get_type_hints

from loradeck.state.errors import DatabaseBroken, DatabaseBusy, DatabaseTooNew, DiskFull, StateError, WorkspaceReadOnly
from loradeck.state.files import Workspace, now, told

if TYPE_CHECKING:
    # sqlite_utils takes a tenth of a second that no start of a server has: it comes with the first connection.
    from sqlite_utils import Database

BUSY_SECONDS = 10.0
BROKEN = (
    "loradeck.db is damaged or cut short; it was left as it is: move it aside and restore a backup, or set "
    "LORADECK_HOME to a new folder (LoRA files and image folders stay usable)."
)
HOME_MARK = "{LORADECK_HOME}/"
"""Stands in a row for the workspace's folder, where an answer tells paths in it."""
Record = TypeVar("Record")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for a lock here, so that we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _json_columns(kind: type[Any]) -> frozenset[str]:
    """The columns of a record that hold lists or dicts."""
    hints = get_type_hints(kind)

    def holds_json(hint: Any) -> bool:
        arms = getattr(hint, "__args__", ()) if get_origin(hint) is not list and get_origin(hint) is not dict else ()
        return get_origin(hint) in {list, dict} or any(get_origin(arm) in {list, dict} for arm in arms)

    return frozenset(f.name for f in fields(kind) if holds_json(hints[f.name]))


def _replaced(value: Any, old: str, new: str) -> Any:
    """The same lists and dicts, with one piece of text replaced in every string."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list):
        return [_replaced(one, old, new) for one in value]
    if isinstance(value, dict):
        return {name: _replaced(one, old, new) for name, one in value.items()}
    return value


def _bool_columns(kind: type[Any]) -> frozenset[str]:
    hints = get_type_hints(kind)
    return frozenset(f.name for f in fields(kind) if hints[f.name] is bool)


class Store:
    """All that loradeck remembers. Safe to share between threads and processes."""

    def __init__(self, home: Path) -> None:
        """Open or make the workspace at `home`.

        Raises DatabaseTooNew, DatabaseBroken, DatabaseBusy, WorkspaceReadOnly or DiskFull; what was there stays.
        """
        self.workspace = Workspace(home)
        self._local = threading.local()
        self._shapes: dict[type[Any], tuple[frozenset[str], frozenset[str]]] = {}
        with told(home):
            home.mkdir(parents=True, exist_ok=True)
        self._refuse_emptied()
        with self.explained():
            self._migrate()

    # ------------------------------------------------------------------ connections

    @property
    def db(self) -> Database:
        """The connection of the calling thread."""
        held: Database | None = getattr(self._local, "db", None)
        if held is None:
            with self.explained():
                held = self._connect()
            self._local.db = held
        return held

    def close(self) -> None:
        """Close this thread's connection."""
        held: Database | None = getattr(self._local, "db", None)
        if held is not None:
            held.conn.close()
            self._local.db = None

    def _connect(self) -> Database:
        from sqlite_utils import Database

        connection = sqlite3.connect(self.workspace.database, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _use_wal(connection)
            connection.execute("pragma synchronous = full")
            connection.execute("pragma foreign_keys = on")
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return Database(connection)

    def _refuse_emptied(self) -> None:
        """A database of no bytes is new in a new workspace, and cut short in one that holds work already."""
        file = self.workspace.database
        emptied = file.exists() and file.stat().st_size == 0 and not file.with_name(file.name + "-wal").exists()
        if emptied and any((self.workspace.home / name).exists() for name in ("datasets", "runs", "loras")):
            raise DatabaseBroken(BROKEN)

    def _migrate(self) -> None:
        """Bring the schema up to date, unless a newer loradeck wrote it; two processes may try at once."""
        from loradeck.state.migrations import migrations

        known = {step.name for step in migrations._migrations}
        unknown = [step.name for step in migrations.applied(self.db) if step.name not in known]
        if unknown:
            raise DatabaseTooNew(
                "This workspace was written by a newer loradeck; get its newest checkout and run "
                '`pip install -c constraints.txt ".[local]"` in it, or set LORADECK_HOME to another folder. '
                "Nothing was changed."
            )
        if migrations.pending(self.db):
            with self.transaction() as db:
                migrations.apply(db)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite refuses into one sentence with the next step."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.DatabaseError) -> StateError:
        match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the low byte: extended codes say more than we need
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return DatabaseBusy(
                    "Another program holds loradeck.db for longer than 10 seconds; close it (a database browser, a "
                    "backup, another loradeck), then make the same call again."
                )
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return WorkspaceReadOnly(
                    f"{self.workspace.database} cannot be written; make its folder writable or set LORADECK_HOME to "
                    "another one, then call again."
                )
            case sqlite3.SQLITE_FULL:
                return DiskFull(
                    "The disk that holds loradeck.db is full; free some room, then make the same call again: "
                    "nothing that was there was changed."
                )
            case sqlite3.SQLITE_IOERR:  # a full disk among others: the file beside it for shared memory cannot grow
                return StateError(
                    "The disk refused loradeck.db, which was left as it is; check free space, quota and the drive, "
                    "then make the same call again."
                )
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                return DatabaseBroken(BROKEN)
        return StateError(f"The store refused this ({error}); run `loradeck doctor`, then call again.")

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """All or nothing: takes the write lock at once, commits at the end, rolls back on any error.

        Inside another transaction of the same thread it joins that one. What SQLite refuses comes out as a
        StateError, as from every other call.
        """
        database = self.db
        if database.conn.in_transaction:
            yield database
            return
        with self.explained():
            database.conn.execute("begin immediate")
            try:
                yield database
                database.conn.commit()
            except BaseException:
                database.conn.rollback()
                raise

    # ------------------------------------------------------------------ records

    def _shape(self, kind: type[Any]) -> tuple[frozenset[str], frozenset[str]]:
        if kind not in self._shapes:
            self._shapes[kind] = (_json_columns(kind), _bool_columns(kind))
        return self._shapes[kind]

    @property
    def _inside(self) -> str:
        return f"{self.workspace.home}{os.sep}"

    def _tells(self, kind: type[Any], values: dict[str, Any]) -> set[str]:
        return values.keys() & set(getattr(kind, "tells_paths", ()))

    def _pack(self, kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
        as_json, _ = self._shape(kind)
        told_of = {name: _replaced(values[name], self._inside, HOME_MARK) for name in self._tells(kind, values)}
        packed = {
            name: json.dumps(value, ensure_ascii=False) if name in as_json and value is not None else value
            for name, value in (values | told_of).items()
        }
        home = self.workspace.home
        for name in packed.keys() & set(getattr(kind, "paths", ())):
            if Path(packed[name]).is_relative_to(home):
                packed[name] = Path(packed[name]).relative_to(home).as_posix()
        return packed

    def _unpack(self, kind: type[Record], row: dict[str, Any]) -> Record:
        as_json, as_bool = self._shape(kind)
        for name in as_json:
            if row[name] is not None:
                row[name] = json.loads(row[name])
        for name in self._tells(kind, row):
            row[name] = _replaced(row[name], HOME_MARK, self._inside)
        for name in as_bool:
            row[name] = bool(row[name])
        for name in getattr(kind, "paths", ()):
            row[name] = str(self.workspace.home / row[name])  # a path that is whole stays as it is
        return kind(**row)

    def add(self, record: Any) -> None:
        """Insert a record; a record whose class says `upsert` replaces the row with the same key.

        Raises StateError when another row has the same id or unique name.
        """
        kind = type(record)
        values = {f.name: getattr(record, f.name) for f in fields(kind)}
        for stamp in ("created_at", "updated_at"):
            if values.get(stamp) == "":
                values[stamp] = now()
        packed = self._pack(kind, values)
        columns = ", ".join(packed)
        marks = ", ".join("?" for _ in packed)
        verb = "insert or replace" if getattr(kind, "upsert", False) else "insert"
        with self.transaction() as db:
            db.conn.execute(
                f"{verb} into {kind.table} ({columns}) values ({marks})",
                list(packed.values()),
            )

    def find(self, kind: type[Record], key: str) -> Record | None:
        """The row with that key (`id`, or the record's `key`), or None."""
        column = getattr(kind, "key", "id")
        rows = self.where(kind, f"{column} = ?", [key], limit=1)
        return rows[0] if rows else None

    def where(
        self,
        kind: type[Record],
        condition: str = "1 = 1",
        values: Sequence[Any] = (),
        *,
        order: str = "rowid",
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Record]:
        """Rows that meet a SQL condition with ? marks, in an order; never build `condition` from user text."""
        table: str = kind.table  # type: ignore[attr-defined]
        names = ", ".join(f.name for f in fields(kind))  # type: ignore[arg-type]
        tail = f" limit {limit} offset {offset}" if limit is not None else ""
        query = f"select {names} from {table} where {condition} order by {order}{tail}"  # noqa: S608
        with self.explained():
            return [self._unpack(kind, row) for row in self.db.query(query, list(values))]

    def read(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query of ours as plain dicts; never build `query` from user text."""
        with self.explained():
            return list(self.db.query(query, list(values)))

    def count(self, kind: type[Any], condition: str = "1 = 1", values: Sequence[Any] = ()) -> int:
        """How many rows meet a condition."""
        with self.explained():
            row = self.db.conn.execute(
                f"select count(*) from {kind.table} where {condition}",  # noqa: S608
                list(values),
            ).fetchone()
        return int(row[0])

    def change(self, kind: type[Any], key: str, **values: Any) -> bool:
        """Set columns of one row; false when there is no such row. Stamps updated_at where the table has it."""
        column = getattr(kind, "key", "id")
        if any(f.name == "updated_at" for f in fields(kind)):
            values.setdefault("updated_at", now())
        packed = self._pack(kind, values)
        setting = ", ".join(f"{name} = ?" for name in packed)
        with self.transaction() as db:
            cursor = db.conn.execute(
                f"update {kind.table} set {setting} where {column} = ?",  # noqa: S608
                [*packed.values(), key],
            )
        return cursor.rowcount > 0

    def remove(self, kind: type[Any], condition: str, values: Sequence[Any]) -> int:
        """Delete the rows that meet a condition; returns how many."""
        with self.transaction() as db:
            cursor = db.conn.execute(f"delete from {kind.table} where {condition}", list(values))  # noqa: S608
        return cursor.rowcount
