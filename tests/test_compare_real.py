"""A comparison as an assistant makes it: over stdio, with the preview base and the checkpoints of a short training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from PIL import Image
from support.client import ask, command, ended, said, talk
from support.datasets import ready_dataset

from loradeck.state.store import Store

pytestmark = pytest.mark.slow
BRIEFLY: dict[str, Any] = {
    "dataset_id": "ready", "steps": 3, "checkpoint_every": 2, "sample_prompts": [], "sample_every": 3,
    "advanced": {"preservation": 0}, "learning_rate": 0.003,
}  # fmt: skip


async def conversation(client: Client) -> dict[str, Any]:
    trained = await ended(client, await ask(client, "start_training", **BRIEFLY))
    lora = {"lora_id": trained["result"]["lora"]["lora_id"]}
    made = await ask(
        client, "compare_renders", prompts=["A red house.", "A blue book."], steps=2, width=128, height=128,
        variants=[{"loras": [lora]}, {"loras": [lora], "checkpoint": 2}, {"loras": []}],
    )  # fmt: skip
    done = await ended(client, made)
    assert done["state"] == "succeeded", done["summary"]
    seen = await client.call_tool("view_images", {"of": made["run_id"], "what": "compare"})
    assert [block.type for block in seen.content] == ["text", "image"], said(seen)
    pick = {"prompt": 1, "variant": "ready-v1 step 2", "by": "assistant"}
    return await ask(client, "compare_renders", run_id=made["run_id"], picks=[pick])


def test_checkpoints_and_the_base_are_compared_over_stdio_from_training_to_pick(tmp_path: Path) -> None:
    ready_dataset(Store(tmp_path))
    told = talk(command(tmp_path), conversation)
    rows = {row["variant"]: row for row in told["variants"]}
    assert list(rows) == ["ready-v1", "ready-v1 step 2", "base alone"]
    assert all(row["images"] == 2 and row["seconds"] and row["closeness"] for row in rows.values())
    assert all(row["copies"] == 0 for row in rows.values())
    assert rows["ready-v1 step 2"]["wins"] == "1 of 1, 100% (21-100%)"
    assert "manage_loras" in told["next_step"]
    assert told["preview_note"]
    pictures = tmp_path / "runs" / told["run_id"] / "pictures"
    one, other = (next(pictures.glob(f"{name}_row01*.png")) for name in ("01-ready-v1", "02-ready-v1-step-2"))
    assert Image.open(one).tobytes() != Image.open(other).tobytes(), "a checkpoint draws by itself"
    with Image.open(told["grid"]) as grid:
        assert grid.width > 3 * 320
