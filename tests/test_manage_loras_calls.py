"""The library through a real client, and the calls that its page tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from PIL import Image
from support import loras
from support.client import command, talk
from support.hub import TOKEN, Hub, serving
from support.painter import Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.boundary import perform
from loradeck.tools.catalogue import load
from loradeck.tools.contracts import RunKind
from loradeck.tools.errors import BadArgument
from loradeck.tools.run_lookup import resume_call

PAGE = (Path(__file__).parents[1] / "docs" / "loras.md").read_text(encoding="utf-8")
COMMANDS = ("create", "upload-images", "train", "status", "list", "activate", "delete")
CALL = re.compile(r"loradeck call (\w+) '(\{.*?\})'(?=`|$)", flags=re.MULTILINE)


def test_a_lora_goes_through_its_life_over_stdio(tmp_path: Path) -> None:
    path = loras.written(tmp_path / "icons-fluent2-v1.safetensors", modelspec__trigger_phrase="fluenticon")
    out = tmp_path / "out"

    async def conversation(client: Client) -> list[dict[str, Any]]:
        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            assert result.structured_content is not None
            return result.structured_content

        imported = await call("manage_loras", action="import", path=str(path))
        lora_id = imported["loras"][0]["lora_id"]
        return [
            imported,
            await call("list_loras"),
            await call("manage_loras", action="activate", lora_id="icons-fluent2-v1", strength=0.85),
            await call("manage_loras", action="export", lora_id=lora_id, path=str(out)),
            await call("manage_loras", action="delete", lora_id=lora_id),
            await call("list_loras"),
            await call("list_loras", lora_id=lora_id),
            await call("manage_loras", action="restore", lora_id=lora_id),
            await call("manage_loras", action="import", url="https://127.0.0.1/a.safetensors"),
        ]

    answers = talk(command(tmp_path / "home"), conversation)
    imported, listed, active, exported, deleted, empty, one, back, refused = answers
    assert imported["loras"][0]["trigger"] == "fluenticon"
    assert [row["name"] for row in listed["loras"]] == ["icons-fluent2"]
    assert (active["loras"][0]["active"], active["loras"][0]["strength"]) == (True, 0.85)
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in exported["files"])
    assert deleted["loras"][0]["deleted_at"]
    assert empty["loras"] == []
    assert "is deleted" in one["told"][-1]
    assert back["loras"][0]["sha256"] == imported["loras"][0]["sha256"]
    assert refused["state"] == "failed"  # by a worker of its own
    assert "private network" in refused["summary"]


def test_a_lora_is_published_over_stdio_by_a_real_worker_once_the_offer_came_back(tmp_path: Path) -> None:
    path = loras.written(tmp_path / "neon-v1.safetensors", modelspec__trigger_phrase="zorvex")
    home = tmp_path / "home"

    async def conversation(client: Client) -> list[dict[str, Any]]:
        await client.call_tool("manage_loras", {"action": "import", "path": str(path)})
        call = {"action": "publish", "lora_id": "neon", "name": "owner/neon"}

        async def publish(**more: str) -> dict[str, Any]:
            return dict((await client.call_tool("manage_loras", {**call, **more})).structured_content or {})

        offered = await publish()
        agreed = {"offer_id": re.findall(r'offer_id="(\w+)"', offered["next_step"])[0]}
        return [offered, await publish(**agreed), await publish()]

    with serving(Hub("owner/neon", {}, private=None)) as hub:
        environment = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
        offered, done, again = talk(command(home, **environment), conversation)
    assert "Nothing was sent yet" in offered["summary"]
    assert done["state"] == "succeeded", done["summary"]
    assert "nothing was sent again" in again["summary"]
    assert hub.private is True
    assert len(hub.commits) == 1
    assert "zorvex" in hub.files["README.md"].decode()
    assert not [file for file in home.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]


def test_every_call_of_the_page_fits_its_tool() -> None:
    calls = CALL.findall(PAGE)
    assert len(calls) >= 11
    for tool, arguments in calls:
        load(tool).args.model_validate(json.loads(arguments))
    for arguments in re.findall(r"`(\{\"action\".*?\})`", PAGE):
        load("manage_loras").args.model_validate(json.loads(arguments))


def test_the_seven_commands_of_noisett_are_done_by_the_calls_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: CALL.findall(rest) for name, rest in re.findall(r"^\| `lora\.([\w-]+)` \| (.+) \|$", PAGE, re.M)}
    assert tuple(rows) == COMMANDS
    (tmp_path / "training").mkdir()
    Image.effect_noise((1100, 1100), 60).convert("RGB").save(tmp_path / "training" / "clipboard.png")
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "home")
    work = bench(store, Painter())
    answers: dict[str, Any] = {}
    for name in ("create", "upload-images"):
        for tool, arguments in rows[name]:
            answers[name] = perform(load(tool), json.loads(arguments), lambda: work)
    assert answers["upload-images"].accepted == ["1"] or answers["upload-images"].summary
    runs.enqueue(store, RunKind.TRAIN, {}, name="icons-fluent2")
    trained(store, "icons-fluent2")
    for name in ("status", "list", "activate", "delete"):
        ((tool, arguments),) = rows[name]
        answers[name] = perform(load(tool), json.loads(arguments), lambda: work)
    assert all(answer.summary.endswith(".") for answer in answers.values())
    assert answers["activate"].loras[0].strength == 0.85
    assert answers["delete"].loras[0].deleted_at


def test_runs_of_the_library_say_how_they_go_on_and_have_no_pictures(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    for run_id, kind, spec in (("run_i", "import", {}), ("run_p", "export", {"repository": "owner/neon"})):
        store.add(RunRecord(id=run_id, kind=kind, state="lost", spec=spec))
    first, second = store.where(RunRecord, order="id")
    assert resume_call(first) == 'the same manage_loras(action="import", ...) call once more'
    assert resume_call(second) == 'the same manage_loras(action="publish", ...) call once more'
    with pytest.raises(BadArgument, match="has no pictures"):
        perform(load("view_images"), {"of": "run_i", "what": "samples"}, lambda: bench(store, Painter()))
    told = perform(load("check_status"), {"run_id": "run_i"}, lambda: bench(store, Painter()))
    assert "once more" in getattr(told, "next_step", "")
