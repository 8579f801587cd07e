"""The exit codes of `loradeck call`: what is bad news stops a script, and the answer is printed all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from loradeck.server.cli import main
from loradeck.tools import catalogue, contracts
from loradeck.tools.contracts import ListLorasArgs, RunState, Verdict
from loradeck.tools.spec import ToolSpec

SAID = {"summary": "Said.", "next_step": "Go on."}
REPORT = {"dataset_id": "ds_1", "report_id": "rep_1", "findings": [], "coverage": {}, "fingerprint": "f", "kept": 9}
REFUSED = {"image_id": "img_1", "caption": "icon", "findings": []}


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_HOME", str(tmp_path))


def code(answer: BaseModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """What `loradeck call` exits with on this answer, after printing it."""
    spec = ToolSpec("list_loras", "T", "D", ListLorasArgs, type(answer), lambda args, bench: answer)
    monkeypatch.setattr(catalogue, "load", lambda name: spec)
    exited = main(["call", "list_loras"])
    assert json.loads(capsys.readouterr().out)["summary"] == "Said."
    return exited


@pytest.mark.parametrize(("verdict", "wanted"), [(Verdict.PASS, 0), (Verdict.WARN, 0), (Verdict.FAIL, 1)])
def test_a_verdict_of_fail_stops_a_script(verdict: Verdict, wanted: int, monkeypatch: Any, capsys: Any) -> None:
    report = contracts.ValidateResult(verdict=verdict, captioned=9, **SAID, **REPORT)  # type: ignore[arg-type]
    assert code(report, monkeypatch, capsys) == wanted


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"accepted": 0, "refused": [REFUSED]}, 1),
        ({"accepted": 0, "unknown": ["img_9"]}, 1),
        ({"accepted": 1, "refused": [REFUSED]}, 0),
        ({"accepted": 0, "missing": ["img_1"]}, 0),
    ],
)
def test_captions_that_were_all_refused_stop_a_script(
    found: dict[str, Any], wanted: int, monkeypatch: Any, capsys: Any
) -> None:
    assert code(contracts.WriteCaptionsResult(dataset_id="ds_1", **SAID, **found), monkeypatch, capsys) == wanted


@pytest.mark.parametrize("state", list(RunState))
def test_a_run_that_failed_or_was_lost_stops_a_script(state: RunState, monkeypatch: Any, capsys: Any) -> None:
    wanted = 1 if state in {RunState.FAILED, RunState.LOST} else 0
    for kind in (contracts.CheckStatusResult, contracts.RenderResult, contracts.StartTrainingResult):
        assert code(kind(run_id="run_1", state=state, **SAID), monkeypatch, capsys) == wanted


@pytest.mark.parametrize(("quote", "wanted"), [(None, 1), ("quote_1", 0)])
def test_a_training_that_did_not_start_stops_a_script_unless_it_was_quoted(
    quote: str | None, wanted: int, monkeypatch: Any, capsys: Any
) -> None:
    assert code(contracts.StartTrainingResult(quote_id=quote, **SAID), monkeypatch, capsys) == wanted


def test_the_overview_is_never_bad_news(monkeypatch: Any, capsys: Any) -> None:
    glance = contracts.Glance(kind="run", id="run_1", name="n", state="failed", about="", updated_at="")
    assert code(contracts.CheckStatusResult(overview=[glance], **SAID), monkeypatch, capsys) == 0


def test_the_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["call", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "1 it was refused, or the answer is bad news (a verdict of fail" in told
