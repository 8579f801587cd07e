"""What `loradeck demo` prints: every call as it goes to the server, its answer, and where the files are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from loradeck.server import demo

SAID = {"summary": "Said.", "next_step": "Go on."}
Said = Callable[[Callable[[demo.Conversation], Awaitable[Any]], Iterable[dict[str, Any]]], list[str]]


class Scripted:
    """A client whose server gives these answers, one a call."""

    def __init__(self, answers: Iterable[dict[str, Any]]) -> None:
        self.answers = iter(answers)
        self.calls: list[str] = []

    async def call_tool(self, tool: str, arguments: dict[str, Any], **_: Any) -> Any:
        self.calls.append(tool)
        return SimpleNamespace(is_error=False, content=[], structured_content={**SAID, **next(self.answers)})


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines that a step of the demo prints, given the server's answers; each tool called is printed as a call."""

    def run(step: Callable[[demo.Conversation], Awaitable[Any]], answers: Iterable[dict[str, Any]]) -> list[str]:
        client = Scripted(answers)
        anyio.run(step, demo.Conversation(client, demo.Teller(colours=False)))  # type: ignore[arg-type]
        lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
        assert {line.split()[1] for line in lines if line.startswith("> ")} == set(client.calls)
        return lines

    return run


def test_the_first_call_is_that_of_a_new_chat_and_the_copies_are_named(said: Said) -> None:
    curated = {"rejected": [], "dataset_id": "ds_1", "folder": "/w/datasets/ds_1"}
    lines = said(demo.curate, [{"overview": []}, curated])
    calls = [line for line in lines if line.startswith("> ")]
    assert calls[0] == "> check_status {}"
    assert calls[1].startswith("> curate_dataset {")
    assert "square copies, their .txt captions and metadata.jsonl: /w/datasets/ds_1" in lines


def test_paging_through_a_set_is_printed_call_by_call(said: Said) -> None:
    row = {"image_id": "img_1", "file": "a.png", "status": "kept"}
    lines = said(lambda talk: demo.kept_files(talk, "ds_1"), [{"images": [row], "pages": 2}] * 2)
    assert [line for line in lines if line.startswith("> ")] == [
        f'> curate_dataset {{"dataset_id": "ds_1", "page": {page}}}' for page in (1, 2)
    ]


def test_following_a_run_prints_the_call_once_and_then_its_progress(said: Said) -> None:
    steps = [{"state": "running", "step": step, "steps": 30} for step in (10, 10, 20)]
    lines = said(lambda talk: talk.follow("run_1"), [*steps, {"state": "succeeded", "step": 30, "steps": 30}])
    assert lines[0] == '> check_status {"run_id": "run_1", "wait_seconds": 5}'
    assert [line.split()[-1] for line in lines if "/30" in line] == ["10/30", "20/30", "30/30"]
    assert lines[-2:] == ["< Said.", "next: Go on."]
    assert sum(line.startswith("> ") for line in lines) == 1
