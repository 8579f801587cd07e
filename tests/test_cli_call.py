"""`loradeck call TOOL '{json}'` and its neighbours: JSON on stdout, words on stderr, exit codes a script can trust."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from loradeck import __version__
from loradeck.server import doctor
from loradeck.server.cli import main
from loradeck.server.telling import seldom
from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store
from loradeck.tools import catalogue
from loradeck.tools.contracts import Finding, ListLorasArgs, StartTrainingArgs, StartTrainingResult, ViewArgs
from loradeck.tools.spec import Pictures, ToolSpec


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORADECK_HOME", str(tmp_path / "workspace"))
    return tmp_path / "workspace"


def with_tool(monkeypatch: pytest.MonkeyPatch, spec: ToolSpec) -> None:
    monkeypatch.setattr(catalogue, "load", lambda name: spec)


def test_an_answer_is_json_on_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "check_status"]) == 0
    out, err = capsys.readouterr()
    assert {"summary", "next_step"} <= set(json.loads(out))
    assert err == ""


def test_arguments_can_come_from_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"page": 1}'))
    assert main(["call", "list_loras", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["loras"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["call", "stop_run", '{"run_id": "run_nosuch"}'], 1, "run_nosuch"),
        (["call", "compare_renders", '{"prompts": ["a"], "variants": [{}, {}]}'], 2, "draw the same pictures"),
        (["call", "stop_run", '{"run": "x"}'], 2, "did you mean 'run_id'?"),
        (["call", "stop_run", "{run_id: x}"], 2, "are not JSON"),
        (["call", "stop_run", '["run_id"]'], 2, "one JSON object"),
        (["call", "chek_status"], 2, "did you mean check_status?"),
        (["serve", "--http", "0.0.0.0:80"], 2, "this machine alone"),
        (["serve", "--http", "localhost"], 2, "wants HOST:PORT"),
    ],
)
def test_a_refusal_is_one_sentence_on_stderr_and_a_code(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["call"], ["serve", "--sse"]])
def test_misuse_of_the_command_itself_is_2_too(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_training_that_was_refused_is_a_failure_to_a_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding(rule_id="COV-COUNT", severity="error", where=["set"], why="Too few.", fix="Add some.")
    refused = StartTrainingResult(summary="Refused.", next_step="Add images.", findings=[finding])
    spec = ToolSpec("start_training", "T", "D", StartTrainingArgs, StartTrainingResult, lambda args, bench: refused)
    with_tool(monkeypatch, spec)
    assert main(["call", "start_training", "{}"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["rule_id"] == "COV-COUNT"


def test_pictures_are_written_to_a_folder_and_named_on_stdout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = Pictures("A sheet.", (b"\xff\xd8one", b"\xff\xd8two"))
    with_tool(monkeypatch, ToolSpec("view_images", "T", "D", ViewArgs, None, lambda args, bench: pictures))
    assert main(["call", "view_images", '{"of": "ds"}', "--out", str(tmp_path / "seen")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"] == "A sheet."
    assert [Path(file).read_bytes() for file in answer["files"]] == [b"\xff\xd8one", b"\xff\xd8two"]


def test_progress_goes_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def handler(args: Any, bench: Any) -> Pictures:
        bench.progress(2, 5, "image 2")
        return Pictures("Done.", ())

    with_tool(monkeypatch, ToolSpec("view_images", "T", "D", ListLorasArgs, None, handler))
    assert main(["call", "view_images", "{}"]) == 0
    out, err = capsys.readouterr()
    assert err == "2/5 image 2\n"
    assert json.loads(out)["files"] == []


def test_a_tool_sees_what_the_server_wrote(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(home).add(
        DatasetRecord(id="ds_aaaaaa", name="fluent", profile="icons", target_model="preview", resolution=256)
    )
    assert main(["call", "check_status"]) == 0
    assert "ds_aaaaaa" in capsys.readouterr().out


def test_the_module_is_the_command_and_runs_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loradeck", "version"], cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    assert reader.stdin is not None
    reader.wait()
    done = subprocess.run(
        [sys.executable, "-m", "loradeck", "call", "check_status"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stderr == ""


def test_the_help_of_a_command_keeps_its_capitals(capsys: pytest.CaptureFixture[str]) -> None:
    for command, words in (("serve", "Run the MCP server"), ("call", "its answer as JSON")):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert words in capsys.readouterr().out


# --------------------------------------------------------------------------- doctor


def test_doctor_names_every_part_and_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == (0 if report["usable"] else 1)
    areas = {check["area"] for check in report["checks"]}
    assert {"machine", "packages", "packages of [local]", "engines", "workspace", "clients"} <= areas
    assert not home.exists()
    local = next(check for check in report["checks"] if check["area"] == "engines" and check["what"] == "local")
    assert local["said"]


def test_doctor_says_what_is_wrong_with_a_workspace_and_exits_with_1(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "loradeck.db").write_bytes(b"no database at all " * 300)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "MISSING  database: loradeck.db is damaged" in out
    assert out.rstrip().endswith("mend what is marked MISSING.")


@pytest.mark.parametrize("there", [True, False])
def test_doctor_names_the_folder_that_cannot_be_written(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path if there else tmp_path / "new" / "home"
    monkeypatch.setattr(doctor, "_writable", lambda folder: False)
    folder = next(check for check in doctor.examine(home).checks if check.what == "folder")
    assert not folder.good
    assert folder.said.startswith(str(home))
    assert folder.said.endswith(f"; {tmp_path} cannot be written: mend the permissions or set LORADECK_HOME")


@pytest.mark.parametrize("name", ["datasets", "runs", "loras", "decks"])
def test_doctor_names_the_subfolder_that_cannot_be_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there in ("datasets", "runs", "loras", "decks"):
        (tmp_path / there).mkdir()
    honest = tempfile.TemporaryFile

    def denied(dir: Path) -> Any:
        if dir == tmp_path / name:
            raise PermissionError(errno.EACCES, "Permission denied", str(dir))
        return honest(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    report = doctor.examine(tmp_path)
    folder = next(check for check in report.checks if check.what == "folder")
    assert not report.usable
    assert folder.said.startswith(f"{tmp_path}; {tmp_path / name} cannot be written")


def test_doctor_loads_none_of_the_packages_it_looks_for(home: Path) -> None:
    heavy = "torch diffusers transformers peft PIL cv2 numpy"
    code = (
        "import sys, io, contextlib\nfrom loradeck.server.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['doctor'])\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


def test_a_teller_repeats_the_same_standing_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    tell = seldom(lambda done, _total, _message: heard.append(done))
    for step in (0, 0, 1, 1, 1):
        tell(step, 60, "training")
    assert heard == [0, 1]
    monkeypatch.setattr("loradeck.server.telling.REPEAT_SECONDS", 0.0)
    for step in (2, 2):
        tell(step, 60, "training")
    assert heard == [0, 1, 2, 2]
