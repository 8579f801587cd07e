"""The whole conversation of a person, over stdio, with real learning: train, come back, mend, grow, stop."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from pptx import Presentation
from pypdf import PdfReader
from support.client import ask, command, ended, talk

import loradeck.server

DATA = Path(loradeck.server.__file__).parent / "demo_data"
EXAMPLES = Path(__file__).parent.parent / "examples" / "decks"
DECK = {
    "title": "A short pitch",
    "slides": [
        {"name": "cover", "prompt": "A red house on a green hill.", "heading": "A short pitch"},
        {"name": "team", "prompt": "A blue book on the left.", "heading": "The team"},
    ],
}
pytestmark = pytest.mark.slow


async def brought_in(client: Client, **arguments: Any) -> dict[str, Any]:
    """The answer of curate_dataset, its run followed where it became one."""
    answer = await ask(client, "curate_dataset", **arguments)
    if answer.get("run_id") is None:
        return answer
    done = await ended(client, answer)
    assert done["state"] == "succeeded", done["summary"]
    return done.get("result") or done


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        shutil.copy(DATA / "icons" / name, folder / name)
    return folder


def worded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    captions = {row["file_name"]: row for row in json.loads((DATA / "captions.json").read_text(encoding="utf-8"))}
    return [
        {
            "image_id": row["image_id"],
            "caption": f"fluentlook. {captions[row['file']]['caption']}",
            "attributes": {key: captions[row["file"]][key] for key in ("subject", "colors")},
        }
        for row in rows
        if row["status"] == "kept" and not row.get("caption")
    ]


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def names() -> list[str]:
    return sorted(path.name for path in (DATA / "icons").glob("*.png") if path.stem != "paw")


def train_on_these_images(home: Path, folder: Path) -> None:
    async def conversation(client: Client) -> None:
        curated = await brought_in(client, source=str(folder), name="icons", trigger="fluentlook", profile="icons")
        assert curated["kept"] == 40
        early = await ask(client, "start_training", dataset_id="icons", steps=6)
        assert early.get("state") is None
        assert early["findings"]
        written = await ask(client, "write_captions", dataset_id="icons", images=worded(curated["images"]))
        assert written["accepted"] == 40
        report = await ask(client, "validate_coverage", dataset_id="icons")
        assert report["verdict"] in {"pass", "warn"}
        done = await ended(client, await ask(client, "start_training", dataset_id="icons", steps=6))
        assert done["state"] == "succeeded"
        assert done["preview_note"]

    talk(command(home), conversation)


def a_new_chat_renders_a_deck(home: Path) -> dict[str, Any]:
    async def conversation(client: Client) -> dict[str, Any]:
        seen = (await ask(client, "check_status"))["overview"]
        assert {row["kind"] for row in seen} >= {"dataset", "run", "lora"}
        lora = next(row["id"] for row in seen if row["kind"] == "lora")
        answer = await ask(client, "render_deck_visuals", deck=DECK, loras=[{"lora_id": lora}], steps=3)
        done = await ended(client, answer)
        return dict(done.get("result") or done)

    return talk(command(home), conversation)


def the_cover_is_drawn_again_alone(home: Path, before: dict[str, Any]) -> None:
    old = {visual["slide"]: digest(visual["path"]) for visual in before["visuals"]}

    async def conversation(client: Client) -> dict[str, Any]:
        deck = next(row["id"] for row in (await ask(client, "check_status"))["overview"] if row["kind"] == "deck")
        answer = await ask(
            client,
            "render_deck_visuals",
            deck_id=deck,
            only=["cover"],
            edits=[{"slide": "cover", "add": "bright daylight", "guidance": 2.5}],
        )
        done = await ended(client, answer)
        return dict(done.get("result") or done)

    after = talk(command(home), conversation)
    new = {visual["slide"]: digest(visual["path"]) for visual in after["visuals"] if visual["picked"]}
    assert new["cover"] != old["cover"]
    assert new["team"] == old["team"]
    assert [visual["slide"] for visual in after["visuals"] if visual["fresh"]] == ["cover"]


def ten_more_images_train_it_further(home: Path, folder: Path) -> None:
    async def conversation(client: Client) -> None:
        seen = (await ask(client, "check_status"))["overview"]
        parent = next(row["id"] for row in seen if row["kind"] == "lora")
        grown = await brought_in(client, dataset_id="icons", source=str(folder))
        assert grown["kept"] == 50
        rows = list(grown["images"])
        for page in range(2, grown.get("pages", 1) + 1):
            rows += (await ask(client, "curate_dataset", dataset_id="icons", page=page))["images"]
        missing = worded(rows)
        assert len(missing) == 10
        await ask(client, "write_captions", dataset_id="icons", images=missing)
        answer = await ask(client, "start_training", dataset_id="icons", steps=6, continue_from=parent)
        done = await ended(client, answer)
        assert done["state"] == "succeeded"
        lora = done["result"]["lora"]
        assert (lora["version"], lora["parent_lora_id"]) == (2, parent)

    talk(command(home), conversation)


def the_example_decks_are_made_with_what_was_trained(home: Path) -> None:
    """Drawn in two steps each, which is enough to be set; the documents are as they would be."""

    async def conversation(client: Client) -> None:
        seen = (await ask(client, "check_status"))["overview"]
        (first,) = [row["state"] for row in seen if row["kind"] == "deck"]
        assert first == "3 visuals, 2 stale"  # the LoRA was trained further since
        for name, pages in (("the_baker", 13), ("brand_icons", 7), ("character_lookbook", 7)):
            file = str(EXAMPLES / f"{name}.yaml")
            answer = await ask(client, "render_deck_visuals", deck=file, loras=[{"lora_id": "icons"}], steps=2)
            done = await ended(client, answer)
            assert done["state"] == "succeeded", done["summary"]
            result = done.get("result") or done
            agreed = f"The PDF and the PowerPoint file agree on all {pages + 1} pages"
            assert any(words.startswith(agreed) for words in result["told"]), result["told"]
            assert not any("too many" in words for words in result["told"])
            files = {one["kind"]: one["path"] for one in done.get("artefacts") or result["files"]}
            assert len(PdfReader(files["pdf"]).pages) == pages + 1
            assert len(Presentation(files["pptx"]).slides) == pages + 1
            view = await client.call_tool("view_images", {"of": result["deck_id"], "what": "deck"})
            assert not view.is_error

    talk(command(home), conversation)


def stop_means_stop_and_keeps_what_was_done(home: Path) -> None:
    async def conversation(client: Client) -> None:
        started = await ask(
            client, "start_training", dataset_id="icons", steps=5000, checkpoint_every=5, sample_every=5000, seed=9
        )
        run_id = started["run_id"]
        while (status := await ask(client, "check_status", run_id=run_id, wait_seconds=10)).get("step", 0) < 6:
            assert status["state"] in {"queued", "preparing", "running"}, status
        stopped = await ended(client, await ask(client, "stop_run", run_id=run_id))
        assert stopped["state"] == "cancelled"
        status = await ask(client, "check_status", run_id=run_id)
        assert any(artefact["kind"] == "checkpoint" for artefact in status["artefacts"])

    talk(command(home), conversation)


@pytest.mark.timeout(900)
def test_a_person_trains_comes_back_mends_the_cover_grows_the_set_and_stops(tmp_path: Path) -> None:
    home = tmp_path / "home"
    train_on_these_images(home, pictures(tmp_path / "first", names()[:40]))
    deck = a_new_chat_renders_a_deck(home)
    the_cover_is_drawn_again_alone(home, deck)
    ten_more_images_train_it_further(home, pictures(tmp_path / "more", names()[40:50]))
    the_example_decks_are_made_with_what_was_trained(home)
    stop_means_stop_and_keeps_what_was_done(home)
