"""A LoRA's card: what it learned, from what and how well, which rules were set aside, how to use and repeat it.

Markdown beside the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loradeck.state import runs, spend
from loradeck.state.files import write_text
from loradeck.state.records import DatasetRecord, ImageRecord, LoraRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact
from loradeck.tools.datasets import images_of_run
from loradeck.tools.markdown import code, listed, plain
from loradeck.tools.start_training.checkpoints import Choice
from loradeck.tools.start_training.usage import usage

BARS = "▁▂▃▄▅▆▇█"
MOST_ROWS = 12
SENT = "sent"
"""Where an engine elsewhere notes in the journal what it sent."""
CURVES = {"held out": "held_out_loss", "in training": "in_train_loss", "leak": "leak", "trigger gain": "trigger_gain"}


@dataclass(frozen=True)
class Story:
    """What a card is written from. `curves` are (step, value) by the name of their metric."""

    lora: LoraRecord
    run: RunRecord
    images: int
    set_name: str | None
    credits: Sequence[str]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    best: Choice | None
    pictures: Sequence[Artefact]
    sent: Sequence[Mapping[str, Any]] = ()
    bought: Sequence[PurchaseRecord] = ()


def card_path(lora: LoraRecord) -> Path:
    """Where the card of a LoRA lies."""
    return Path(lora.path).with_suffix(".md")


def write_card(
    store: Store, lora: LoraRecord, run: RunRecord, images: int, best: Choice | None, pictures: Sequence[Artefact]
) -> Path:
    """Write the card, atomically; returns where it lies. Raises DiskFull, WorkspaceReadOnly or StateError."""
    dataset = store.find(DatasetRecord, lora.dataset_id) if lora.dataset_id else None
    credits = credited(images_of_run(store, run))
    curves = {name: runs.metric(store, run.id, name) for name in CURVES.values()}
    set_name = dataset.name if dataset is not None else None
    sent, bought = runs.journal_get(store, run.id, SENT) or [], spend.purchases(store, run.id)
    path = card_path(lora)
    write_text(path, text(Story(lora, run, images, set_name, credits, curves, best, pictures, sent, bought)))
    return path


def credited(images: Sequence[ImageRecord]) -> list[str]:
    """Sources and licences of images in lines of Markdown, each once, the commonest first; what is missing is told."""
    counts: dict[str, int] = {}
    for image in images:
        said = [str(image.rights[name]) for name in ("source", "licence", "consent") if image.rights.get(name)]
        line = plain(", ".join(said)) or "not recorded"
        counts[line] = counts.get(line, 0) + 1
    return [f"{line} ({count} images)" for line, count in sorted(counts.items(), key=lambda item: -item[1])]


def text(story: Story) -> str:
    """The card's Markdown."""
    parts = [
        [f"# {story.lora.name} v{story.lora.version}", _about(story)],
        ["## How to use it", *usage(story.lora)],
        ["## How it learned", *_learned(story)],
        ["## Images", listed(story.credits or ["not recorded"])],
        *([["## Sent elsewhere", _elsewhere(story)]] if story.sent or story.bought else []),
        ["## Rules set aside", listed(waived(story.run) or ["None: everything held."])],
        ["## Parameters", _parameters(story)],
        ["## Train it again", *_again(story)],
    ]
    return "\n".join("\n\n".join(part) + "\n" for part in parts)


def _about(story: Story) -> str:
    lora = story.lora
    return listed(
        [
            f"trigger: {code(lora.trigger or '')}",
            f"base model: {lora.base_model}",
            f"rank: {lora.rank}",
            f"steps: {lora.steps}",
            f"trained on: {story.images} images of {plain(story.set_name or 'a dataset that is gone')}",
            f"fingerprint of what passed: `{lora.fingerprint}`",
            f"goes on from: {lora.parent_lora_id or 'nothing'}",
            f"SHA-256: `{lora.sha256}`",
        ]
    )


def waived(run: RunRecord) -> list[str]:
    """The rules that a run set aside, and why, in lines of Markdown."""
    return [f"{waiver['rule_id']}: {plain(waiver['reason'])}" for waiver in run.waived]


def _elsewhere(story: Story) -> str:
    """What left this machine, to whom and until when, and what was paid."""
    files = [
        f"{one['what']}: {one.get('files', 1)} files, {one['bytes']} bytes, SHA-256 `{one['sha256']}`, to {one['to']} "
        f"on {one['at']}" + (f", gone there by {one['expires_at']}" if one.get("expires_at") else "")
        for one in story.sent
    ]
    paid = [
        f"{one.provider}, {one.endpoint}, request `{one.provider_id or 'of unknown id'}`: {_paid(one)}"
        for one in story.bought
    ]
    return listed([*files, *paid])


def _paid(purchase: PurchaseRecord) -> str:
    if purchase.state == "void":
        return "nothing was bought"
    if purchase.usd is None:
        return f"at most {purchase.worst_usd:.2f} USD ({purchase.state})"
    return f"{purchase.usd:.2f} USD"


def _learned(story: Story) -> list[str]:
    held_out = story.curves["held_out_loss"]
    lines = []
    if held_out:
        values = [value for _, value in held_out]
        low_step, low = min(held_out, key=lambda point: point[1])
        lines.append(
            f"Held-out loss at fixed noise: {values[0]:.4f} at step {held_out[0][0]}, lowest {low:.4f} at step "
            f"{low_step}, {values[-1]:.4f} at step {held_out[-1][0]}. `{sparkline(values)}`"
        )
        lines.append(_table(story.curves))
    else:
        lines.append("No picture was held out, so that there is no held-out loss.")
    if story.best is not None:
        lines.append(f"Best checkpoint: step {story.best.step}: {story.best.why}. {_where_the_best_is(story)}")
    shown = [f"{artefact.kind.replace('_', ' ')}: `{_short(artefact.path)}`" for artefact in story.pictures]
    return [*lines, *([listed(shown)] if shown else [])]


def _where_the_best_is(story: Story) -> str:
    if story.best is None or story.best.step == story.lora.steps:
        return "It is this file."
    return f"It lies in `runs/{story.run.id}/checkpoints`; this file is that of the last step."


def sparkline(values: Sequence[float]) -> str:
    """The values as bars, the lowest one the shortest."""
    low, high = min(values), max(values)
    height = (high - low) or 1.0
    return "".join(BARS[round((value - low) / height * (len(BARS) - 1))] for value in values)


def _table(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """The curves that were measured, at the start and at checkpoints; of many evenly spaced ones and the last."""
    columns = {title: dict(curves[name]) for title, name in CURVES.items() if curves[name]}
    scored = dict(curves["leak"])
    steps = [step for step, _ in curves["held_out_loss"] if not scored or step in scored or step == 0]
    every = -(-len(steps) // MOST_ROWS)
    rows = [f"| step | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for step in steps[::-1][::every][::-1]:
        cells = [f"{column[step]:.4f}" if step in column else "" for column in columns.values()]
        rows.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _parameters(story: Story) -> str:
    plan: dict[str, Any] = story.run.spec["plan"]
    left_out = {"told", "waived", "images", "sample_prompts", "continue_from", "maps"}
    numbers = [f"{name}: {value}" for name, value in plan.items() if name not in left_out]
    finer = json.loads(story.lora.meta.get("loradeck.options", "null")) or story.run.spec["advanced"]
    versions = json.loads(story.lora.meta.get("loradeck.versions", "{}"))
    return listed(
        [
            *numbers,
            *(f"{name}: {value}" for name, value in finer.items()),
            *(f"{name} {version}" for name, version in versions.items()),
            *(f"at {plan['engine']}: {how}" for how in plan.get("maps", [])),
        ]
    )


def _again(story: Story) -> list[str]:
    """How to get the same file from the run's record."""
    run = story.run
    if story.bought:
        return [
            f"The run {run.id} keeps the images and captions that it saw (`runs/{run.id}/dataset`). The same call of "
            f"start_training, with another name, trains it again at {run.engine}, after a new quote; a host does not "
            "give the same bytes twice."
        ]
    return [
        f"The run {run.id} keeps the images and captions that it saw (`runs/{run.id}/dataset`) and every number. In "
        "the workspace's folder",
        f"```\npython -m loradeck.tools.start_training.again . {run.id}\nLORADECK_HOME=. loradeck worker --once\n```",
        "trains it again and adds the result as a further version. On a CPU, with the versions and threads named "
        "above, its file has the SHA-256 of this one; on a GPU the two differ by rounding.",
    ]


def _short(path: str) -> str:
    """The end of a path: run and file."""
    return "/".join(Path(path).parts[-2:])
