"""What is installed, which engines are ready, and what is missing. Loads no engine's heavy packages."""

from __future__ import annotations

import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loradeck import LoradeckError, __version__, packages
from loradeck.server import install
from loradeck.state.files import Workspace

PYTHON = (3, 11)
ROOM_GB = 2.0
"""Free disk below which a training may not end."""


@dataclass(frozen=True)
class Check:
    """One line of the report. `needed` marks what loradeck cannot do without."""

    area: str
    what: str
    good: bool
    said: str
    needed: bool = False


@dataclass(frozen=True)
class Report:
    """All checks, in the order a person reads them."""

    checks: tuple[Check, ...]

    @property
    def usable(self) -> bool:
        """Nothing that is needed is missing."""
        return all(check.good for check in self.checks if check.needed)


def examine(home: Path, machine: install.Machine | None = None) -> Report:
    """Look at everything; changes nothing but a probe file that is removed again."""
    checks = [
        *_python(),
        *_packages(),
        *_engines(),
        *_keys(),
        *_workspace(home),
        *_clients(machine or install.this_machine()),
    ]
    return Report(tuple(checks))


def as_json(report: Report) -> dict[str, Any]:
    """The report as JSON data."""
    return {"version": __version__, "usable": report.usable, "checks": [asdict(check) for check in report.checks]}


def as_text(report: Report) -> str:
    """The report as lines."""
    lines = [f"loradeck {__version__}"]
    area = ""
    for check in report.checks:
        if check.area != area:
            area = check.area
            lines += ["", area]
        mark = "ok     " if check.good else "MISSING" if check.needed else "-      "
        lines.append(f"  {mark}  {check.what}: {check.said}")
    lines += ["", "Ready." if report.usable else "Not ready: mend what is marked MISSING."]
    return "\n".join(lines)


def _python() -> Iterator[Check]:
    good = sys.version_info >= PYTHON
    yield Check("machine", "Python", good, f"{platform.python_version()} at {sys.executable}", needed=True)
    yield Check("machine", "system", True, f"{platform.system()} {platform.machine()}")


# --------------------------------------------------------------------------- packages


def _packages() -> Iterator[Check]:
    """Every package that loradeck names, with the extra that wants it. Development tools are nobody's business here."""
    for wanted in packages.requirements():
        if wanted.extra == "dev":
            continue
        area = "packages" if wanted.extra is None else f"packages of [{wanted.extra}]"
        version = _version(wanted.name)
        said = version or f"not installed; install it with {packages.how_to_install([wanted.name])}"
        yield Check(area, wanted.name, version is not None, said, needed=wanted.extra is None)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


# --------------------------------------------------------------------------- engines


def _engines() -> Iterator[Check]:
    """Every registered engine: ready, or what it lacks."""
    from loradeck.engines.registry import Registry

    registry = Registry()
    for name in registry.names():
        try:
            engine = registry.open(name)
        except LoradeckError as error:
            yield Check("engines", name, False, str(error))
            continue
        state = engine.available()
        bases = ", ".join(base.name for base in engine.capabilities.base_models)
        yield Check(
            "engines", name, state.ready, f"ready for {bases}" if state.ready else f"{state.why} {state.fix}".strip()
        )


def _keys() -> Iterator[Check]:
    """Where the key of each hosted service is found; none of them is asked."""
    from loradeck.engines.hosted import keys

    said = {"environment": "found in the environment", "keyring": "found in the system's keyring"}
    for name in keys.VARIABLES:
        place = keys.where(name)
        yield Check("keys", name, place is not None, said[place] if place else f"none; {keys.advice(name)}")


# --------------------------------------------------------------------------- workspace


def _workspace(home: Path) -> Iterator[Check]:
    """Whether we can write there, the database is ours to read, and there is room."""
    if not home.exists():
        place = next(parent for parent in home.parents if parent.exists())
        said = f"{home} (made on first use)"
    else:
        place, said = home, str(home)
    barred = _barred(place, Workspace(home))
    why = f"; {', '.join(barred)} cannot be written: mend the permissions or set LORADECK_HOME" if barred else ""
    yield Check("workspace", "folder", not barred, said + why, needed=True)
    if home.exists():
        yield _database(home)
    free = shutil.disk_usage(place).free / 1e9
    yield Check(
        "workspace", "free disk", free >= ROOM_GB, f"{free:.1f} GB" + ("" if free >= ROOM_GB else ", make room")
    )


def _barred(place: Path, workspace: Workspace) -> list[str]:
    """Of the folder that holds everything, and else of those in it, the ones where nothing can be written."""
    if not _writable(place):
        return [str(place)]
    return [str(folder) for folder in workspace.folders if folder.exists() and not _writable(folder)]


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _database(home: Path) -> Check:
    """Opened as the server opens it, if it is there."""
    from loradeck.state.store import Store

    path = home / "loradeck.db"
    if not path.exists():
        return Check("workspace", "database", True, "made on first use", needed=True)
    try:
        store = Store(home)
        rows = store.db.conn.execute("select count(*) from _sqlite_migrations").fetchone()
        store.close()
    except (LoradeckError, sqlite3.Error) as error:
        return Check("workspace", "database", False, str(error), needed=True)
    return Check(
        "workspace", "database", True, f"schema step {rows[0]}, {path.stat().st_size / 1e6:.1f} MB", needed=True
    )


# --------------------------------------------------------------------------- clients


def _clients(machine: install.Machine) -> Iterator[Check]:
    """Which clients have a configuration, and whether it starts loradeck."""
    for known in install.CLIENTS:
        try:
            state = install.connection(known, machine)
        except LoradeckError as error:
            yield Check("clients", known.title, False, str(error))
            continue
        good = state.listed and state.gone is None
        yield Check("clients", known.title, good, "connected" if good else _unconnected(known, state))


def _unconnected(known: install.Client, state: install.Connection) -> str:
    """Why a client does not start loradeck, and the command that mends it."""
    if state.gone is not None:
        return f"points at {state.gone}, which is gone; run `loradeck install {known.name}` again"
    said = "not connected" if state.configured else "no configuration found"
    return f"{said}; `loradeck install {known.name}` connects it"
