"""A deck on the embedded engine, by a real worker: slower, and nothing stands in for anything."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from PIL import Image
from support.decks import deck, render

from loradeck.engines.registry import Registry
from loradeck.server.launch import launch
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RenderResult, RunState
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench

pytestmark = pytest.mark.slow


def ended(work: Workbench, result: RenderResult) -> RenderResult:
    run = wait_until(work.store, str(result.run_id), 120)
    assert run.state == "succeeded", run.error
    return RenderResult.model_validate(run.result)


def test_a_worker_killed_while_drawing_is_found_lost_and_the_deck_goes_on_without_drawing_twice(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    work = Workbench(store, Registry(), launch(store.workspace.home))
    wanted = deck(("cover", "story", *(f"scene_{number}" for number in range(10))), width=256, height=144)
    started = runs_until_first_picture(work, wanted.model_dump(mode="json"))
    first = store.workspace.deck(str(started.deck_id)) / "takes"
    before = {path.name: path.read_bytes() for path in first.glob("*.png")}
    assert 0 < len(before) < 12
    assert wait_until(store, str(started.run_id), 40).state == RunState.LOST
    result = ended(work, render(work, deck_id=started.deck_id))
    assert {path.name: path.read_bytes() for path in first.glob("*.png")}.items() >= before.items()
    assert len(store.where(VisualRecord)) == 12
    with Image.open(result.visuals[0].path) as cover:
        assert cover.size == (256, 144)
        assert cover.text["prompt"] == "a red house, cover"  # type: ignore[attr-defined]
    files = {row.slide: sha256_file(Path(row.path)) for row in result.visuals}
    edits = [{"slide": "cover", "add": "bright daylight"}]
    again = ended(work, render(work, deck_id=started.deck_id, only=["cover"], edits=edits))
    after = {row.slide: sha256_file(Path(row.path)) for row in again.visuals}
    assert [name for name in files if files[name] != after[name]] == ["cover"]


def runs_until_first_picture(work: Workbench, wanted: dict[str, object]) -> RenderResult:
    """Start a render, and kill its worker with SIGKILL as soon as one picture is on the disk."""
    killed: list[int] = []

    def kill_at_first_picture(done: float, total: float | None, message: str) -> None:
        pictures = list(work.store.workspace.home.glob("decks/*/takes/0*.png"))
        run = runs.get(work.store, work.store.read("select id from runs")[0]["id"])
        if pictures and run.pid and not killed:
            killed.append(run.pid)
            os.kill(run.pid, signal.SIGKILL)

    watched = Workbench(work.store, work.engines, work.launch, kill_at_first_picture)
    result = render(watched, deck=wanted, steps=12)
    deadline = time.monotonic() + 60
    while not killed and time.monotonic() < deadline:
        kill_at_first_picture(0, None, "")
        time.sleep(0.05)
    assert killed
    return result
