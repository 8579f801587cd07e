"""Checkpoints: a LoRA file that any tool can load, and beside it all that a resume needs.

`step-000100.safetensors` is the LoRA after 100 steps, exported as the final one is. `step-000100.state` holds the
raw matrices, their average, the optimiser and the step (safetensors too). Chance needs no saving: see `seeds`.
The state is written last, so that a state that is there has its LoRA beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from loradeck.engines import files
from loradeck.engines.errors import BadSpec
from loradeck.engines.local.learner import Learner

STATES_KEPT = 2
"""States are large for a large model; an older one serves only when the newest is broken."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands: steps done, and what was measured at the first and last look."""

    step: int = 0
    final_loss: float | None = None
    held_out_first: float | None = None
    held_out_last: float | None = None


def lora_path(folder: Path, step: int) -> Path:
    """The LoRA of a checkpoint."""
    return folder / f"step-{step:06d}.safetensors"


def state_path(folder: Path, step: int) -> Path:
    """The state of a checkpoint."""
    return folder / f"step-{step:06d}.state"


def newest_step(folder: Path) -> int:
    """Where a training most likely goes on from, by the names of the states alone; 0 when there is none."""
    return max((int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.state")), default=0)


def save_state(folder: Path, learner: Learner, progress: Progress, key: str) -> str:
    """Write the state of a checkpoint and return its SHA-256; `key` names the spec and the data it belongs to."""
    tensors = {f"weight/{name}": weight.detach() for name, weight in learner.adapter.parameters().items()}
    for index, state in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    tensors |= {f"average/{name}": value for name, value in learner.average.tensors().items()}
    metadata = {"key": key, "progress": json.dumps(asdict(progress))}
    path = state_path(folder, progress.step)
    files.write_bytes(path, save({name: value.contiguous() for name, value in tensors.items()}, metadata))
    for old in sorted(folder.glob("step-*.state"))[:-STATES_KEPT]:
        old.unlink(missing_ok=True)
    return files.sha256_file(path)


def load_newest(folder: Path, learner: Learner, key: str, known: dict[str, str]) -> Progress:
    """Put the newest whole state back into the learner; from the start when there is none.

    `known` maps file names to the SHA-256 that the journal remembers. A file of another hash, or one that cannot
    be read, is passed over.

    Raises:
        BadSpec: the folder's checkpoints belong to other settings or other data.
    """
    for path in sorted(folder.glob("step-*.state"), reverse=True):
        if path.name in known and files.sha256_file(path) != known[path.name]:
            continue
        try:
            return _load(path, learner, key)
        except SafetensorError:
            continue
    return Progress()


def _load(path: Path, learner: Learner, key: str) -> Progress:
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
        if metadata["key"] != key:
            raise BadSpec(
                "The checkpoints in this run's folder belong to other settings or images; start a new training "
                "instead of resuming."
            )
        tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with torch.no_grad():
        for name, weight in learner.adapter.parameters().items():
            weight.copy_(tensors[f"weight/{name}"])
    learner.average.restore({name.removeprefix("average/"): value for name, value in tensors.items()})
    optimizer = learner.optimizer.state_dict()
    optimizer["state"] = _optimizer_state(tensors)
    learner.optimizer.load_state_dict(optimizer)
    return Progress(**json.loads(metadata["progress"]))


def _optimizer_state(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, part = name.split("/")
            state.setdefault(int(index), {})[part] = value
    return state
