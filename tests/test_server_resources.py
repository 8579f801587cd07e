"""Resources, prompts and completions: what a person can pick without knowing an id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from support.client import ERAS, Era, in_memory

from loradeck.state import runs
from loradeck.state.records import CaptionRecord, DatasetRecord, DeckRecord, ImageRecord, LoraRecord
from loradeck.state.store import Store

INVALID_PARAMS = -32602
SCHEMA = Path(__file__).parents[1] / "examples" / "decks" / "deck.schema.json"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with one of each."""
    store = Store(tmp_path)
    store.add(
        DatasetRecord(
            id="ds_aaaaaa", name="fluent", profile="icons", target_model="preview", resolution=256, trigger="fluenty"
        )
    )
    store.add(
        ImageRecord(
            id="img_aaaaaaaa",
            dataset_id="ds_aaaaaa",
            number=1,
            file="0001.png",
            original_path="/somewhere/private/a.png",
            original_name="a.png",
            sha256="0",
            status="kept",
        )
    )
    store.add(CaptionRecord("img_aaaaaaaa", "ds_aaaaaa", "fluenty, a bell.", "given"))
    run = runs.enqueue(store, "train", {"steps": 3}, name="fluent", dataset_id="ds_aaaaaa")
    runs.add_event(store, run.id, "Waiting.")
    store.add(
        LoraRecord(
            id="lora_aaaaaa",
            name="fluent",
            version=1,
            base_model="preview",
            path="p",
            sha256="s",
            bytes=1,
            preview=True,
        )
    )
    store.add(DeckRecord(id="deck_aaaaaa", title="Pitch", spec={"title": "Pitch", "slides": [{"name": "cover"}]}))
    store.close()
    return tmp_path


def read(home: Path, uri: str) -> Any:
    async def conversation(client: Client) -> Any:
        return json.loads((await client.read_resource(uri)).contents[0].text)

    return in_memory(home, conversation)


@pytest.mark.parametrize("kind", ["datasets", "runs", "loras", "decks"])
def test_each_list_names_resources_that_can_be_read(kind: str, home: Path) -> None:
    (row,) = read(home, f"loradeck://{kind}")
    one = read(home, row["uri"])
    assert one[next(name for name in ("id", "lora_id") if name in one)] in row["uri"]


def test_a_dataset_comes_with_its_kept_images_and_captions_but_not_where_they_came_from(home: Path) -> None:
    dataset = read(home, "loradeck://datasets/fluent")
    assert dataset["images"][0]["caption"] == "fluenty, a bell."
    assert "private" not in json.dumps(dataset)


def test_a_run_comes_without_what_only_its_worker_needs(home: Path) -> None:
    (row,) = read(home, "loradeck://runs")
    run = read(home, row["uri"])
    assert run["events"] == ["Waiting."]
    assert not {"token", "pid", "lease_until"} & set(run)


def test_decks_and_runs_are_read_by_name_too_and_others_of_that_name_are_told(home: Path) -> None:
    store = Store(home)
    store.add(DeckRecord(id="deck_bbbbbb", title="Pitch", spec={"title": "Pitch", "slides": []}))
    store.close()
    deck, run = read(home, "loradeck://decks/pitch"), read(home, "loradeck://runs/fluent")
    assert (deck["id"], deck["same_name"]) == ("deck_bbbbbb", ["deck_aaaaaa"])
    assert run["name"] == "fluent"
    assert "same_name" not in run
    assert "same_name" not in read(home, "loradeck://decks/deck_aaaaaa")


def test_the_rules_in_force_can_be_read(home: Path) -> None:
    rules = {rule["rule_id"]: rule for rule in read(home, "loradeck://rules")}
    assert {"CAP-TRIGGER", "IMG-CROP", "TRN-RANGE", "RND-DARK"} <= set(rules)
    assert rules["RND-DARK"]["told_by"] == "render_deck_visuals"
    assert [rules[name]["can_be_waived"] for name in ("TRN-RANGE", "TRN-FINGERPRINT", "TRN-CADENCE")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("era", ERAS)
def test_the_schema_of_a_deck_can_be_read_and_is_that_of_the_examples(era: Era, home: Path) -> None:
    async def conversation(client: Client) -> tuple[Any, Any]:
        return await client.list_resources(), await client.read_resource("loradeck://schemas/deck")

    listed, found = in_memory(home, conversation, era)
    assert [one.title for one in listed.resources if str(one.uri) == "loradeck://schemas/deck"] == ["Schema of a deck"]
    assert json.loads(found.contents[0].text) == json.loads(SCHEMA.read_text(encoding="utf-8"))


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "uri",
    ["loradeck://datasets/no", "loradeck://runs/no", "loradeck://loras/no", "loradeck://decks/no", "loradeck://no"],
)
def test_what_is_not_there_is_an_invalid_parameter(uri: str, era: Era, home: Path) -> None:
    async def conversation(client: Client) -> MCPError:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
        return caught.value

    assert in_memory(home, conversation, era).error.code == INVALID_PARAMS


def test_lists_may_be_kept_for_an_hour_and_contents_not_at_all(home: Path) -> None:
    async def conversation(client: Client) -> list[Any]:
        return [
            await client.list_tools(),
            await client.list_prompts(),
            await client.list_resources(),
            await client.list_resource_templates(),
            await client.read_resource("loradeck://runs"),
        ]

    assert [result.ttl_ms for result in in_memory(home, conversation)] == [3_600_000] * 4 + [0]


def test_titles_are_written_as_a_person_writes_them(home: Path) -> None:
    async def conversation(client: Client) -> set[str | None]:
        lists, templates = await client.list_resources(), await client.list_resource_templates()
        return {one.title for one in [*lists.resources, *templates.resource_templates]}

    assert {"Datasets", "Dataset", "LoRAs", "LoRA"} <= in_memory(home, conversation)


def test_both_jobs_are_prompts_that_carry_what_the_person_gave(home: Path) -> None:
    async def conversation(client: Client) -> tuple[str, str]:
        train = await client.get_prompt("train_lora", {"folder": "/my {odd} folder", "trigger": "zorbly"})
        render = await client.get_prompt("render_deck", {"deck_or_topic": "our launch", "lora": "fluent"})
        return train.messages[0].content.text, render.messages[0].content.text

    train, render = in_memory(home, conversation)
    assert "/my {odd} folder" in train
    assert "zorbly" in train
    assert "our launch" in render
    assert "The first line names what to render. If it is a deck id" in render
    assert "fluent" in render
    assert "{" not in train.replace("{odd}", "")


@pytest.mark.parametrize(
    ("ref", "name", "typed", "offered"),
    [
        ("train_lora", "profile", "i", ["icons"]),
        ("train_lora", "trigger", "", ["fluenty"]),
        ("train_lora", "folder", "/", []),
        ("render_deck", "lora", "FLU", ["fluent"]),
        ("render_deck", "deck_or_topic", "deck", ["deck_aaaaaa"]),
        ("loradeck://datasets/{id}", "id", "", ["ds_aaaaaa", "fluent"]),
        ("loradeck://loras/{id}", "id", "lora", ["lora_aaaaaa"]),
        ("loradeck://decks/{id}", "id", "x", []),
        ("loradeck://decks/{id}", "id", "pit", ["Pitch"]),
        ("no_such_prompt", "lora", "", []),
    ],
)
def test_ids_names_and_profiles_are_offered_while_a_person_types(
    ref: str, name: str, typed: str, offered: list[str], home: Path
) -> None:
    reference = (
        ResourceTemplateReference(type="ref/resource", uri=ref)
        if "://" in ref
        else PromptReference(type="ref/prompt", name=ref)
    )

    async def conversation(client: Client) -> list[str]:
        return (await client.complete(reference, {"name": name, "value": typed})).completion.values

    assert in_memory(home, conversation) == offered


def test_a_damaged_workspace_offers_nothing_and_says_why_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "loradeck.db").write_bytes(b"no database at all " * 300)

    async def conversation(client: Client) -> str:
        answer = await client.complete(
            PromptReference(type="ref/prompt", name="render_deck"), {"name": "lora", "value": ""}
        )
        assert answer.completion.values == []
        with pytest.raises(MCPError) as caught:
            await client.read_resource("loradeck://datasets")
        return caught.value.error.message

    assert "damaged" in in_memory(tmp_path, conversation)
