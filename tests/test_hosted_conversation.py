"""The whole main job through a real client on each host's loopback service, chosen by `engine` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.client import ask, command, ended, talk
from support.hosts.fal import Fal
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from test_conversation import DECK, brought_in, names, pictures, worded

KEY = "key-of-a-person-0123456789"


async def agreed(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """A call that costs: the quote, the person's yes, and the run to its end."""
    quoted = await ask(client, tool, **arguments)
    assert quoted["state"] == "quoted", quoted["summary"]
    assert "USD" in quoted["summary"]
    answer = await ask(client, tool, **arguments, quote_id=quoted["quote_id"], max_cost_usd=40)
    done = await ended(client, answer)
    assert done["state"] == "succeeded", done
    return await ask(client, "check_status", run_id=done["run_id"])


async def trained_and_drawn(client: Client, engine: str) -> dict[str, Any]:
    """The main job from the training on, by `engine` alone; what it left and what it cost."""
    training = {"dataset_id": "icons", "engine": engine, "base_model": "flux1-dev", "steps": 500}
    told = await ask(client, "start_training", **training)
    assert {offer["engine"] for offer in told["engines"]} == {"local", "fal", "replicate"}
    assert told["plan"]["maps"]
    trained = await agreed(client, "start_training", **training)
    assert trained["spend_state"] == "settled"
    lora = trained["result"]["lora"]
    assert lora["base_model"] == "flux1-dev"
    drawing = {"deck": DECK, "engine": engine, "loras": [{"lora_id": lora["lora_id"]}], "formats": ["png"]}
    drawn = await agreed(client, "render_deck_visuals", **drawing)
    again = await ask(client, "render_deck_visuals", deck_id=drawn["result"]["deck_id"])
    assert (await ended(client, again))["state"] == "succeeded", "what is drawn is not paid again"
    return {"lora": lora, "visuals": drawn["result"]["visuals"], "cost": trained["cost_usd"] + drawn["cost_usd"]}


def test_a_look_is_trained_and_its_deck_drawn_at_each_host_chosen_by_its_name(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", pictures(tmp_path / "in", names()[:22])

    async def conversation(client: Client) -> dict[str, dict[str, Any]]:
        curated = await brought_in(
            client, source=str(folder), name="icons", trigger="fluentlook", profile="icons", resolution=64
        )
        await ask(client, "write_captions", dataset_id="icons", images=worded(curated["images"]))
        return {engine: await trained_and_drawn(client, engine) for engine in ("fal", "replicate")}

    with serving(Fal(key=KEY)) as fal, serving(Replicate(key=KEY)) as replicate:
        environment = {
            "FAL_KEY": KEY,
            "LORADECK_FAL_URL": fal.base_url,
            "REPLICATE_API_TOKEN": KEY,
            "REPLICATE_BASE_URL": replicate.base_url,
        }
        made = talk(command(home, **environment), conversation)
    for host in (fal, replicate):
        left = made[host.NAME]
        assert [create.kind for create in host.creates] == ["train", "draw", "draw"]
        assert left["cost"] == pytest.approx(host.charged_usd, rel=0.5)
        assert all(Path(visual["path"]).is_file() for visual in left["visuals"])
        assert "## Sent elsewhere" in Path(left["lora"]["path"]).with_suffix(".md").read_text(encoding="utf-8")
        assert not [given for given in host.authorized["delivery"] if KEY in given], "a key goes to its own host alone"
    told = [path for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert told == [], "a key is written nowhere"
