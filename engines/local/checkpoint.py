"""Checkpoints: a LoRA file that any tool can load, and beside it all that a resume needs.

`step-000100.safetensors` is the LoRA after 100 steps, exported as the final one is. `step-000100.state` holds the
raw matrices, their average, the optimiser and the step (safetensors too). Chance needs no saving: see `seeds`.
The state is written last, so that a state that is there has its LoRA beside it.

A state is read back before it takes its place, and older ones are dropped only then. It holds the hash of its own
content, so that it can be trusted whatever else a kill kept from being written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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

DIGEST = "sha256"
"""Where a state's metadata holds the hash of its content."""


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
    return max(map(_step, _states(folder)), default=0)


def save_state(folder: Path, learner: Learner, progress: Progress, key: str) -> None:
    """Write the state of a checkpoint, proved before it stands; `key` names the spec and the data it belongs to.

    Raises NoRoom and CannotWrite; the states that are there stay.
    """
    tensors: dict[str, torch.Tensor] = {
        f"weight/{name}": weight for name, weight in learner.adapter.parameters().items()
    }
    for index, state in learner.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
    tensors |= {f"average/{name}": value for name, value in learner.average.tensors().items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    notes = {"key": key, "progress": json.dumps(asdict(progress))}
    digest = _digest(plain, notes)
    files.write_proved(state_path(folder, progress.step), save(plain, {**notes, DIGEST: digest}))


def drop_old(folder: Path, step: int) -> None:
    """Keep the state of that step, which is proved, and the one before it.

    States of later steps are dropped too: they were there before the training went back to an earlier one.
    """
    steps = sorted(_step(path) for path in _states(folder))
    until = [there for there in steps if there <= step]
    for there in set(steps) - set(until[-STATES_KEPT:]):
        state_path(folder, there).unlink(missing_ok=True)


def load_newest(folder: Path, learner: Learner, key: str) -> tuple[Progress, list[int]]:
    """Put the newest whole state back into the learner; from the start when there is none.

    A state whose content does not have the hash that was written into it is passed over. Returns also the steps of
    those that were, newest first.

    Raises:
        BadSpec: the folder's checkpoints belong to other settings or other data.
    """
    broken: list[int] = []
    for path in _states(folder):
        state = _read(path)
        if state is not None:
            return _put(state, learner, key), broken
        broken.append(_step(path))
    return Progress(), broken


def _states(folder: Path) -> list[Path]:
    """The states that are there, newest first."""
    return sorted(folder.glob("step-*.state"), reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


@dataclass(frozen=True)
class _State:
    """What a state's file holds."""

    tensors: dict[str, torch.Tensor]
    notes: dict[str, str]


def _read(path: Path) -> _State | None:
    """A state as it was written; None when it is not whole or cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            notes: dict[str, str] = dict(file.metadata() or {})
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None
    written = notes.pop(DIGEST, None)
    return _State(tensors, notes) if written == _digest(tensors, notes) else None


def _digest(tensors: Mapping[str, torch.Tensor], notes: Mapping[str, str]) -> str:
    """SHA-256 of all that a state holds but the hash itself; the tensors are contiguous and on the CPU."""
    whole = hashlib.sha256(json.dumps(notes, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        whole.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        whole.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _put(state: _State, learner: Learner, key: str) -> Progress:
    if state.notes["key"] != key:
        raise BadSpec(
            "The checkpoints in this run's folder belong to other settings or images; start a new training "
            "instead of resuming."
        )
    tensors = state.tensors
    whole = learner.adapter.restore(_named("weight", tensors))
    if whole:
        learner.average.restore(_named("average", tensors))
        optimizer = learner.optimizer.state_dict()
        optimizer["state"] = _optimizer_state(tensors)
        learner.optimizer.load_state_dict(optimizer)
    else:
        learner.average.restore(learner.adapter.parameters())
    return Progress(**json.loads(state.notes["progress"]))


def _named(kind: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of one kind, by the names that the learner gave them."""
    return {name.removeprefix(f"{kind}/"): value for name, value in tensors.items() if name.startswith(f"{kind}/")}


def _optimizer_state(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, part = name.split("/")
            state.setdefault(int(index), {})[part] = value
    return state
