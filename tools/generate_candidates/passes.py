"""What an engine is asked for in one pass, and where its pictures lie: `candidates/<number>_<pass>.png` of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loradeck.engines.base import DrawJob, DrawRequest, EditJob, EditRequest
from loradeck.tools.generate_candidates.chain import Candidate, Pass

FOLDER = "candidates"
OPEN = frozenset({"intended", "submitted", "unknown"})
"""States of a purchase of which it is not known what came of it."""
SIDE, LARGE_SIDE = 1024, 2048
"""Pixels of a picture as it is drawn or edited, and as it is enlarged."""
QWEN_GUIDANCE, QWEN_STEPS = 3.5, 45
"""Of the editor that leans on references: its own defaults lose detail in a face (character LoRA practice)."""


def place_of(folder: Path, one: Candidate, step: Pass) -> Path:
    """Where a pass leaves its picture of a candidate, in a run's folder."""
    return folder / FOLDER / f"{key_of(one, step)}.png"


def final_place(folder: Path, one: Candidate) -> Path:
    """Where the last pass leaves its picture."""
    return place_of(folder, one, one.passes[-1])


def key_of(one: Candidate, step: Pass) -> str:
    """The name of a pass of a candidate within its run."""
    return f"{one.number:03}_{step}"


def inputs_of(folder: Path, one: Candidate, step: Pass, parents: Mapping[str, Path]) -> tuple[Path, ...]:
    """The pictures that a pass starts from: what the pass before it left, for the first one the parents."""
    place = one.passes.index(step)
    if place:
        return (place_of(folder, one, one.passes[place - 1]),)
    return tuple(parents[image_id] for image_id in one.parents)


def left_to_do(folder: Path, one: Candidate, step: Pass) -> bool:
    """True for a pass that a run has still to make: neither it nor any later one of its candidate is there."""
    return not any(place_of(folder, one, later).is_file() for later in one.passes[one.passes.index(step) :])


def request_for(
    step: Pass,
    candidates: Sequence[Candidate],
    folder: Path,
    parents: Mapping[str, Path],
    base_model: str,
    side: int = SIDE,
    name: Callable[[Candidate, Pass], str] = key_of,
) -> DrawRequest | EditRequest:
    """The request of a pass for these candidates. It names no LoRA: what a LoRA drew teaches its mistakes back.

    `side` is that of pictures drawn from words, `name` gives each job its id.
    """
    if step == Pass.DRAW:
        jobs = tuple(_job(one, step, folder, side, name) for one in candidates)
        return DrawRequest(base_model, jobs)
    large = LARGE_SIDE if step == Pass.UPSCALE else SIDE
    edits = tuple(
        EditJob(
            _job(one, step, folder, large, name),
            inputs_of(folder, one, step, parents),
            one.turn if step == Pass.TURN else None,
        )
        for one in candidates
    )
    if step == Pass.LEAN:
        return EditRequest("", edits, QWEN_GUIDANCE, QWEN_STEPS, model=str(step))
    return EditRequest("", edits, model=str(step))


def _job(one: Candidate, step: Pass, folder: Path, side: int, name: Callable[[Candidate, Pass], str]) -> DrawJob:
    words = "" if step in {Pass.TURN, Pass.UPSCALE} else one.prompt
    return DrawJob(name(one, step), words, one.seed, side, side, place_of(folder, one, step))
