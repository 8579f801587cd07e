"""Connect loradeck to a client: its configuration file, changed in one place, shown first, kept in a backup."""

from __future__ import annotations

import difflib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

from loradeck.tools.errors import BadArgument, Refused

NAME = "loradeck"


@dataclass(frozen=True)
class Machine:
    """Whose configuration it is: the platform (as sys.platform says it), the home folder and the environment."""

    platform: str
    home: Path
    environ: Mapping[str, str]

    @property
    def applications(self) -> Path:
        """Where programs keep a person's settings."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return Path(self.environ.get("APPDATA") or self.home / "AppData" / "Roaming")
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")


def this_machine() -> Machine:
    """The machine and person that we run as."""
    return Machine(sys.platform, Path.home(), os.environ)


@dataclass(frozen=True)
class Client:
    """A program that speaks MCP: what it is called, under which key it lists servers, and whether it wants a type."""

    name: str
    title: str
    key: str
    typed: bool
    place: tuple[str, ...]
    in_home: bool = False

    def path(self, machine: Machine) -> Path:
        """Its configuration file."""
        return (machine.home if self.in_home else machine.applications).joinpath(*self.place)


CLIENTS = (
    Client("claude-desktop", "Claude Desktop", "mcpServers", False, ("Claude", "claude_desktop_config.json")),
    Client("claude-code", "Claude Code", "mcpServers", True, (".claude.json",), in_home=True),
    Client("vscode", "VS Code", "servers", True, ("Code", "User", "mcp.json")),
    Client("cursor", "Cursor", "mcpServers", False, (".cursor", "mcp.json"), in_home=True),
)


def client(name: str) -> Client:
    """The client of that name. Raises BadArgument with the names there are."""
    for known in CLIENTS:
        if known.name == name:
            return known
    names = [known.name for known in CLIENTS]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
    raise BadArgument(f"loradeck install knows no client {name!r}; {hint}")


def entry(known: Client, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the client starts: this Python by its full path, since clients start servers with a bare PATH."""
    start: dict[str, Any] = {"type": "stdio"} if known.typed else {}
    start |= {"command": sys.executable, "args": ["-m", "loradeck", "serve"]}
    home = environ.get("LORADECK_HOME", "").strip()
    if home:
        start["env"] = {"LORADECK_HOME": str(Path(home).expanduser().absolute())}
    return start


@dataclass(frozen=True)
class Change:
    """A configuration file as it is and as it would be."""

    client: Client
    path: Path
    before: bytes | None
    after: str

    @property
    def nothing(self) -> bool:
        """True when the file says so already."""
        return self.before is not None and self.before.decode() == self.after

    def diff(self) -> str:
        """The exact change, as a unified diff."""
        before = "" if self.before is None else self.before.decode()
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), self.after.splitlines(keepends=True), str(self.path), str(self.path)
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> Path | None:
        """Write it, atomically and with the file's own permissions; returns the backup, if there was a file.

        Raises Refused when the file changed since it was read, or cannot be written; it is then as it was.
        """
        if _read(self.path) != self.before:
            raise Refused(f"{self.path} changed meanwhile; close {self.client.title} and run the same command again.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            backup = _backup(self.path) if self.before is not None else None
            _replace(self.path, self.after)
        except OSError as error:
            raise Refused(
                f"{self.path} cannot be written ({error.strerror}); it is as it was. Mend the permissions or make "
                "room, then run the same command again."
            ) from error
        return backup


def plan(known: Client, machine: Machine | None = None) -> Change:
    """The change that connects loradeck to a client; everything else in the file stays. Raises Refused."""
    machine = machine or this_machine()
    path = known.path(machine)
    path = path.resolve() if path.is_symlink() else path
    before = _read(path)
    config = _parsed(before, path)
    servers = config.setdefault(known.key, {})
    if not isinstance(servers, dict):
        raise Refused(f'"{known.key}" in {path} is no object; mend the file by hand, then run the same command again.')
    wanted = entry(known, machine.environ)
    if servers.get(NAME) == wanted and before is not None:
        return Change(known, path, before, before.decode())
    servers[NAME] = wanted
    after = json.dumps(config, indent=_indent(before), ensure_ascii=False) + "\n"
    return Change(known, path, before, after)


def connected(known: Client, machine: Machine) -> bool | None:
    """Whether the client lists loradeck; None when it has no configuration file. Raises Refused for a broken one."""
    path = known.path(machine)
    before = _read(path)
    if before is None:
        return None
    servers = _parsed(before, path).get(known.key)
    return isinstance(servers, dict) and NAME in servers


def _read(path: PurePath) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}); check its permissions, then try again.") from error


def _parsed(before: bytes | None, path: Path) -> dict[str, Any]:
    """The file's JSON object; an empty or missing file counts as one without entries."""
    if before is None or not before.strip():
        return {}
    try:
        config = json.loads(before)
    except ValueError as error:
        raise Refused(
            f"{path} is not plain JSON ({error}), perhaps for a comment in it; it was left as it is. Mend it, or add "
            "the entry of `loradeck install --dry-run` for another client by hand."
        ) from error
    if not isinstance(config, dict):
        raise Refused(f"{path} holds no JSON object; it was left as it is. Mend it, then run the same command again.")
    return config


def _indent(before: bytes | None) -> int | str:
    """The file's own indentation, else two spaces."""
    for line in (before or b"").decode().splitlines():
        space = line[: len(line) - len(line.lstrip())]
        if space:
            return "\t" if space.startswith("\t") else len(space)
    return 2


def _backup(path: Path) -> Path:
    """A copy beside the file, with its permissions, under a name that sorts by time."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    backup = path.with_name(f"{path.name}.{stamp}.backup")
    shutil.copy2(path, backup)
    return backup


def _replace(path: Path, text: str) -> None:
    """Rename a whole new file over the old one. It may hold keys: private from its first byte, then as it was."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
