"""`loradeck install CLIENT`: one entry more in the client's file, everything else as it was, and a backup beside it."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from loradeck.server import doctor, install
from loradeck.server.cli import main
from loradeck.tools.errors import BadArgument, Refused

PLACES = {
    ("claude-desktop", "darwin"): "Library/Application Support/Claude/claude_desktop_config.json",
    ("claude-desktop", "win32"): "AppData/Roaming/Claude/claude_desktop_config.json",
    ("claude-desktop", "linux"): ".config/Claude/claude_desktop_config.json",
    ("claude-code", "darwin"): ".claude.json",
    ("claude-code", "win32"): ".claude.json",
    ("claude-code", "linux"): ".claude.json",
    ("vscode", "darwin"): "Library/Application Support/Code/User/mcp.json",
    ("vscode", "win32"): "AppData/Roaming/Code/User/mcp.json",
    ("vscode", "linux"): ".config/Code/User/mcp.json",
    ("cursor", "darwin"): ".cursor/mcp.json",
    ("cursor", "win32"): ".cursor/mcp.json",
    ("cursor", "linux"): ".cursor/mcp.json",
}


def machine(home: Path, platform: str = "linux", **environ: str) -> install.Machine:
    return install.Machine(platform, home, environ)


@pytest.mark.parametrize(("name", "platform"), PLACES)
def test_each_client_is_found_where_its_platform_keeps_it(name: str, platform: str, tmp_path: Path) -> None:
    path = install.client(name).path(machine(tmp_path, platform))
    assert path.relative_to(tmp_path).as_posix() == PLACES[name, platform]


def test_moved_settings_folders_are_honoured(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    on_linux = machine(tmp_path, "linux", XDG_CONFIG_HOME=str(elsewhere))
    on_windows = machine(tmp_path, "win32", APPDATA=str(elsewhere))
    assert install.client("vscode").path(on_linux) == elsewhere / "Code" / "User" / "mcp.json"
    assert install.client("vscode").path(on_windows) == elsewhere / "Code" / "User" / "mcp.json"


@pytest.mark.parametrize("known", install.CLIENTS, ids=lambda known: known.name)
def test_a_client_without_a_file_gets_one_that_starts_loradeck_by_its_full_path(
    known: install.Client, tmp_path: Path
) -> None:
    change = install.plan(known, machine(tmp_path))
    assert change.write() is None
    entry = json.loads(change.path.read_text())[known.key]["loradeck"]
    assert Path(entry["command"]).is_absolute()
    assert Path(entry["command"]).parent == Path(sys.executable).parent
    assert entry["args"][-1] == "serve"
    assert entry.get("type") == ("stdio" if known.typed else None)


def test_without_the_loradeck_script_this_python_starts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install.sysconfig, "get_path", lambda name: str(tmp_path))
    assert install.start() == [sys.executable, "-P", "-m", "loradeck"]


@pytest.mark.parametrize("with_script", [True, False])
def test_modules_in_the_clients_folder_are_not_taken_for_those_that_loradeck_needs(
    with_script: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mcp").mkdir()
    for name in ("mcp/__init__.py", "secrets.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    if not with_script:
        monkeypatch.setattr(install.sysconfig, "get_path", lambda name: str(tmp_path))
    done = subprocess.run([*install.start(), "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "the wrong module" not in done.stderr
    assert done.stdout.startswith("loradeck")


def test_the_workspace_in_use_is_written_down_with_its_full_path(tmp_path: Path) -> None:
    change = install.plan(install.client("cursor"), machine(tmp_path, LORADECK_HOME="work"))
    assert json.loads(change.after)["mcpServers"]["loradeck"]["env"] == {"LORADECK_HOME": str(Path("work").absolute())}


def existing(tmp_path: Path, text: str, name: str = "cursor") -> Path:
    path = install.client(name).path(machine(tmp_path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_other_entries_their_order_the_indentation_and_the_permissions_stay(tmp_path: Path) -> None:
    before = json.dumps({"zeta": {"ü": [1, 2]}, "mcpServers": {"other": {"command": "x"}}, "alpha": None}, indent=4)
    path = existing(tmp_path, before)
    path.chmod(0o600)
    change = install.plan(install.client("cursor"), machine(tmp_path))
    backup = change.write()
    after = json.loads(path.read_text())
    assert list(after) == ["zeta", "mcpServers", "alpha"]
    assert list(after["mcpServers"]) == ["other", "loradeck"]
    assert after["zeta"] == {"ü": [1, 2]}
    assert '\n    "alpha"' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert backup is not None
    assert backup.read_text() == before
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert sorted(path.parent.iterdir()) == sorted([path, backup])


def test_a_second_install_changes_nothing(tmp_path: Path) -> None:
    install.plan(install.client("vscode"), machine(tmp_path)).write()
    assert install.plan(install.client("vscode"), machine(tmp_path)).nothing


def test_the_diff_shows_exactly_what_would_be_written(tmp_path: Path) -> None:
    existing(tmp_path, '{\n  "mcpServers": {}\n}\n')
    change = install.plan(install.client("cursor"), machine(tmp_path))
    added = [line[1:] for line in change.diff().splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert '    "loradeck": {' in added
    assert all(line in change.after.splitlines() for line in added)


def test_claude_desktop_from_the_windows_store_reads_the_folder_of_its_package(tmp_path: Path) -> None:
    known, windows = install.client("claude-desktop"), machine(tmp_path, "win32")
    package = tmp_path / "AppData" / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc" / "LocalCache" / "Roaming"
    package.mkdir(parents=True)
    assert known.path(windows).relative_to(tmp_path).as_posix() == PLACES["claude-desktop", "win32"]
    (package / "Claude").mkdir()
    assert known.path(windows) == package / "Claude" / "claude_desktop_config.json"
    assert install.client("vscode").path(windows).relative_to(tmp_path).as_posix() == PLACES["vscode", "win32"]


def test_the_readme_tells_where_each_client_keeps_its_configuration() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in readme.splitlines() if line.startswith("|")}
    for (name, _), place in PLACES.items():
        told = f"~/{place}".replace("~/AppData/Roaming", "%APPDATA%")
        assert f"`{told}`" in rows[install.client(name).title]


def test_installing_again_keeps_the_environment_that_a_person_wrote(tmp_path: Path) -> None:
    env = {"HF_TOKEN": "mine", "LORADECK_HOME": "/old"}
    existing(tmp_path, json.dumps({"mcpServers": {"loradeck": {"command": "/gone", "env": env}}}))
    again = json.loads(install.plan(install.client("cursor"), machine(tmp_path)).after)["mcpServers"]["loradeck"]
    assert again["env"] == env
    moved = json.loads(install.plan(install.client("cursor"), machine(tmp_path, LORADECK_HOME="/new")).after)
    assert moved["mcpServers"]["loradeck"]["env"] == {"HF_TOKEN": "mine", "LORADECK_HOME": str(Path("/new").absolute())}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('// mine\n{"servers": {"other": {"url": "http://x"}, /* spare */ },}', 'into its "servers"'),
        ("{} // nothing yet", "into its outermost braces"),
    ],
)
def test_for_a_file_with_comments_the_entry_to_paste_is_told(text: str, where: str, tmp_path: Path) -> None:
    path = existing(tmp_path, text, "vscode")
    with pytest.raises(Refused, match=where) as caught:
        install.plan(install.client("vscode"), machine(tmp_path))
    pasted = json.loads("{" + str(caught.value).split(":\n", 1)[1] + "}")
    entry = pasted.get("servers", pasted)["loradeck"]
    assert (entry["type"], [entry["command"], *entry["args"]]) == ("stdio", [*install.start(), "serve"])
    assert path.read_text() == text


def test_a_file_with_comments_that_lists_loradeck_already_needs_nothing(tmp_path: Path) -> None:
    entry = install.entry(install.client("vscode"), {}, {})
    existing(tmp_path, f'// mine\n{{"servers": {{"loradeck": {json.dumps(entry)}}}}}', "vscode")
    assert install.plan(install.client("vscode"), machine(tmp_path)).nothing


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'// mine\n{"a": "// no comment",\n "b" 1}', "broken JSON .*line 3 column 6"),
        (b"\xff", "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_broken_json_and_another_encoding_are_told_apart_from_a_comment(data: bytes, why: str, tmp_path: Path) -> None:
    existing(tmp_path, "").write_bytes(data)
    with pytest.raises(Refused, match=why):
        install.plan(install.client("cursor"), machine(tmp_path))


def clients_line(tmp_path: Path, title: str) -> doctor.Check:
    checks = doctor.examine(tmp_path / "work", machine(tmp_path)).checks
    return next(check for check in checks if check.area == "clients" and check.what == title)


def test_doctor_tells_connected_from_an_entry_whose_command_is_gone(tmp_path: Path) -> None:
    install.plan(install.client("cursor"), machine(tmp_path)).write()
    assert clients_line(tmp_path, "Cursor").said == "connected"
    existing(tmp_path, '{"mcpServers": {"loradeck": {"command": "/gone/bin/loradeck"}}}')
    check = clients_line(tmp_path, "Cursor")
    assert not check.good
    assert check.said == "points at /gone/bin/loradeck, which is gone; run `loradeck install cursor` again"


@pytest.mark.parametrize("text", ['{"mcpServers": {', "// mine\n{}", "[1]", '{"mcpServers": []}', "\xff"])
def test_a_broken_file_is_refused_with_its_name_and_left_as_it_is(text: str, tmp_path: Path) -> None:
    path = existing(tmp_path, "")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"mcp\.json"):
        install.plan(install.client("cursor"), machine(tmp_path))
    assert path.read_bytes() == text.encode("latin-1")
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_changed_between_showing_and_writing_is_left_alone(tmp_path: Path) -> None:
    path = existing(tmp_path, "{}")
    change = install.plan(install.client("cursor"), machine(tmp_path))
    path.write_text('{"mcpServers": {"new": {}}}')
    with pytest.raises(Refused, match="changed meanwhile"):
        change.write()
    assert path.read_text() == '{"mcpServers": {"new": {}}}'


def test_a_linked_configuration_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    path = install.client("cursor").path(machine(tmp_path))
    path.parent.mkdir(parents=True)
    path.symlink_to(real)
    install.plan(install.client("cursor"), machine(tmp_path)).write()
    assert path.is_symlink()
    assert "loradeck" in json.loads(real.read_text())["mcpServers"]


def test_an_unknown_client_is_told_the_nearest_name() -> None:
    with pytest.raises(BadArgument, match=r"did you mean claude-desktop\?"):
        install.client("claude-dekstop")


def test_the_beginning_of_several_names_is_told_all_of_them() -> None:
    with pytest.raises(BadArgument, match=r"did you mean claude-desktop or claude-code\?"):
        install.client("claude")


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "this_machine", lambda: machine(tmp_path))
    return install.client("cursor").path(machine(tmp_path))


def test_a_dry_run_shows_the_change_and_writes_nothing(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "cursor", "--dry-run"]) == 0
    assert '+    "loradeck": {' in capsys.readouterr().out
    assert not at_home.exists()


def test_a_person_is_asked_and_no_answer_means_no(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert main(["install", "cursor"]) == 1
    assert not at_home.exists()
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert main(["install", "cursor"]) == 0
    assert "loradeck" in at_home.read_text()
    assert "Restart Cursor" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence_and_the_file_stays(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_home.parent.mkdir(parents=True)
    at_home.write_text("{}")

    def full(**options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(install.tempfile, "mkstemp", full)
    assert main(["install", "cursor", "--yes"]) == 1
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert at_home.read_text() == "{}"
