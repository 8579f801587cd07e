"""The card of a LoRA that is passed on: a gallery, its trigger, base and numbers, credits, rules set aside, licence.

Markdown with the header that model hubs read (huggingface.co/docs/hub/model-cards).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loradeck.state.records import LoraRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import images_of_run
from loradeck.tools.library import SOURCE
from loradeck.tools.markdown import code, listed, plain
from loradeck.tools.start_training.card import credited, waived
from loradeck.tools.start_training.usage import PIPELINES, usage

MOST_PICTURES = 6
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What JSON takes as it stands and YAML does not, or takes for the end of a line."""
NUMBERS = ("engine", "steps", "rank", "alpha", "learning_rate", "batch_size", "resolution", "seed")


@dataclass(frozen=True)
class Sample:
    """A picture for the gallery: the file that is there, its name in the repository, and its prompt."""

    path: Path
    name: str
    prompt: str


def samples(store: Store, lora: LoraRecord) -> list[Sample]:
    """The last sample pictures of its training that are still there."""
    rows = store.where(SampleRecord, "run_id = ?", [lora.run_id], order="step desc, path") if lora.run_id else []
    last = [row for row in rows if row.step == rows[0].step and Path(row.path).is_file()]
    return [
        Sample(Path(row.path), f"images/{number}{Path(row.path).suffix}", row.prompt)
        for number, row in enumerate(last[:MOST_PICTURES], 1)
    ]


def text(store: Store, lora: LoraRecord, licence: str, gallery: Sequence[Sample], files: Sequence[str]) -> str:
    """The card. `licence` is what the base's makers allow, `files` names the weights that lie beside it."""
    run = store.find(RunRecord, lora.run_id) if lora.run_id else None
    parts = [
        [_header(lora, gallery), f"# {lora.name} v{lora.version}", _about(lora, run)],
        *([["## Gallery", *(f"![{plain(one.prompt)}]({one.name})" for one in gallery)]] if gallery else []),
        ["## How to use it", *usage(lora, files)],
        ["## Files", listed(f"`{name}`" for name in files)],
        ["## Images and credits", listed((credited(images_of_run(store, run)) if run else []) or ["not recorded"])],
        ["## Rules set aside", listed((waived(run) if run else []) or ["None."])],
        ["## Licence", licence or f"What the licence of {lora.base_model} allows; see its makers' page."],
    ]
    return "\n".join("\n\n".join(part) + "\n" for part in parts)


def _header(lora: LoraRecord, gallery: Sequence[Sample]) -> str:
    """The front matter, as JSON values, which are YAML too."""
    fields: dict[str, Any] = {
        "tags": ["lora", "text-to-image", "diffusers", "loradeck"],
        "license": "other",
        "pipeline_tag": "text-to-image",
    }
    if lora.base_model in PIPELINES:
        fields["base_model"] = PIPELINES[lora.base_model][1]
    if lora.trigger:
        fields["instance_prompt"] = lora.trigger
    if gallery:
        fields["widget"] = [{"text": one.prompt, "output": {"url": one.name}} for one in gallery]
    lines = [f"{name}: {_yaml(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _yaml(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _about(lora: LoraRecord, run: RunRecord | None) -> str:
    plan = run.spec.get("plan", {}) if run is not None else {}
    numbers = [f"{name.replace('_', ' ')}: {plan[name]}" for name in NUMBERS if name in plan]
    return listed(
        [
            f"trigger: {code(lora.trigger)}, first in the prompt" if lora.trigger else "trigger: none is known",
            f"base model: {lora.base_model}",
            f"strength: {lora.strength:g}",
            *(numbers or [f"rank: {lora.rank}", f"steps: {lora.steps or 'not known'}"]),
            *([f"came from: {plain(lora.meta[SOURCE])}"] if SOURCE in lora.meta else []),
            f"SHA-256 of the file that it was made from: `{lora.sha256}`",
        ]
    )
