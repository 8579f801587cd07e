"""Connect loradeck to a client: its configuration file, changed in one place, shown first, kept in a backup."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any

from loradeck.tools.errors import BadArgument, Refused

NAME = "loradeck"
COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
SPARE_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
"""What editors allow in their settings and JSON does not. Strings are matched first, so that they stay whole."""


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

    def store_applications(self, package: str) -> Path | None:
        """Where Windows keeps the settings of a program from its Store, which sees no other AppData; None without."""
        if self.platform != "win32" or not package:
            return None
        local = Path(self.environ.get("LOCALAPPDATA") or self.home / "AppData" / "Local")
        return next(iter(sorted(local.glob(f"Packages/{package}_*/LocalCache/Roaming"))), None)


def this_machine() -> Machine:
    """The machine and person that we run as."""
    return Machine(sys.platform, Path.home(), os.environ)


@dataclass(frozen=True)
class Client:
    """A program that speaks MCP: what it is called, under which key it lists servers, whether it wants a type, and what
    its package in the Windows Store begins with.
    """

    name: str
    title: str
    key: str
    typed: bool
    place: tuple[str, ...]
    in_home: bool = False
    package: str = ""

    def path(self, machine: Machine) -> Path:
        """Its configuration file; that of the Windows Store's build where that one has settings."""
        if self.in_home:
            return machine.home.joinpath(*self.place)
        store = machine.store_applications(self.package)
        if store is not None and store.joinpath(*self.place).parent.exists():
            return store.joinpath(*self.place)
        return machine.applications.joinpath(*self.place)


CLIENTS = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        "mcpServers",
        False,
        ("Claude", "claude_desktop_config.json"),
        package="Claude",
    ),
    Client("claude-code", "Claude Code", "mcpServers", True, (".claude.json",), in_home=True),
    Client("vscode", "VS Code", "servers", True, ("Code", "User", "mcp.json")),
    Client("cursor", "Cursor", "mcpServers", False, (".cursor", "mcp.json"), in_home=True),
)


def client(name: str) -> Client:
    """The client of that name. Raises BadArgument with the names that begin so, or the nearest."""
    for known in CLIENTS:
        if known.name == name:
            return known
    names = [known.name for known in CLIENTS]
    near = [known for known in names if known.startswith(name)]
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}."
    raise BadArgument(f"loradeck install knows no client {name!r}; {hint}")


def start() -> list[str]:
    """How a client starts loradeck from any folder: full paths, since clients have a bare PATH.

    `python -m` without -P would look in the client's current folder first, where a `secrets.py` may lie.
    """
    script = shutil.which(NAME, path=sysconfig.get_path("scripts"))
    return [script] if script else [sys.executable, "-P", "-m", NAME]


def entry(known: Client, environ: Mapping[str, str], kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the client's file says of loradeck: how to start it, and the environment, of which `kept` stands already."""
    command, *arguments = start()
    said: dict[str, Any] = {"type": "stdio"} if known.typed else {}
    said |= {"command": command, "args": [*arguments, "serve"]}
    home = environ.get("LORADECK_HOME", "").strip()
    env = {**kept, **({"LORADECK_HOME": str(Path(home).expanduser().absolute())} if home else {})}
    return said | ({"env": env} if env else {})


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
    config, plain = _parsed(before, path)
    listed = known.key in config
    servers = config.setdefault(known.key, {})
    if not isinstance(servers, dict):
        raise Refused(f'"{known.key}" in {path} is no object; mend the file by hand, then run the same command again.')
    wanted = entry(known, machine.environ, _environment(servers.get(NAME)))
    if servers.get(NAME) == wanted and before is not None:
        return Change(known, path, before, before.decode())
    if not plain:
        raise Refused(_by_hand(known, path, wanted, listed))
    servers[NAME] = wanted
    after = json.dumps(config, indent=_indent(before), ensure_ascii=False) + "\n"
    return Change(known, path, before, after)


def _by_hand(known: Client, path: Path, wanted: dict[str, Any], listed: bool) -> str:
    """What to paste where, for a file that loses a person's comments when a program writes it."""
    piece = {NAME: wanted} if listed else {known.key: {NAME: wanted}}
    where = f'its "{known.key}"' if listed else "its outermost braces"
    text = json.dumps(piece, indent=2, ensure_ascii=False).removeprefix("{\n").removesuffix("\n}")
    return (
        f"{path} holds comments or spare commas, which would be lost, so it was left as it is; paste this into {where} "
        f"by hand:\n{text}"
    )


def _environment(there: Any) -> dict[str, Any]:
    """The environment of an entry that stands already: a person may have put keys into it."""
    env = there.get("env") if isinstance(there, dict) else None
    return env if isinstance(env, dict) else {}


@dataclass(frozen=True)
class Connection:
    """How a client stands to loradeck: whether it has a file, lists loradeck there, and which command of it is gone."""

    configured: bool
    listed: bool = False
    gone: str | None = None


def connection(known: Client, machine: Machine) -> Connection:
    """How that client stands to loradeck. Raises Refused for a broken file."""
    path = known.path(machine)
    before = _read(path)
    if before is None:
        return Connection(configured=False)
    servers = _parsed(before, path)[0].get(known.key)
    if not isinstance(servers, dict) or NAME not in servers:
        return Connection(configured=True)
    command = servers[NAME].get("command") if isinstance(servers[NAME], dict) else None
    gone = isinstance(command, str) and shutil.which(command) is None
    return Connection(configured=True, listed=True, gone=command if gone else None)


def _read(path: PurePath) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}); check its permissions, then try again.") from error


def _parsed(before: bytes | None, path: Path) -> tuple[dict[str, Any], bool]:
    """The file's JSON object, and whether it is plain JSON rather than JSON with comments or spare commas.

    An empty or missing file counts as an object without entries. Raises Refused for anything else.
    """
    try:
        text = (before or b"").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path} is not UTF-8 text; it was left as it is. Save it as UTF-8, then run the same command again."
        ) from error
    if not text.strip():
        return {}, True
    config, plain = _json(text, path)
    if not isinstance(config, dict):
        raise Refused(f"{path} holds no JSON object; it was left as it is. Mend it, then run the same command again.")
    return config, plain


def _json(text: str, path: Path) -> tuple[Any, bool]:
    try:
        return json.loads(text), True
    except ValueError:
        relaxed = SPARE_COMMA.sub(_blanked, COMMENT.sub(_blanked, text))
    try:
        return json.loads(relaxed), False
    except ValueError as error:
        raise Refused(
            f"{path} is broken JSON ({error}); it was left as it is. Mend that place, then run the same command again."
        ) from error


def _blanked(match: re.Match[str]) -> str:
    """A string as it is; anything else as blanks, so that the place of a later error stays true."""
    return match[1] or re.sub(r"[^\n]", " ", match[0])


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
