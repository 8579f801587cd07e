"""The numbers of a training, from what the caller asked, the engine's recipe and the rulebook's cadence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loradeck import prompts
from loradeck.engines.base import Defaults, TrainSpec
from loradeck.tools.contracts import StartTrainingArgs, TrainingPlan

CHECKPOINT_STEPS = 500
SAMPLE_STEPS = 250
PARTS = 4
"""TRN-CADENCE: every 500 steps a checkpoint and every 250 samples; a short run is cut into four parts."""
PROMPT_WORDS = 40


def make_plan(
    args: StartTrainingArgs, *, engine: str, base_model: str, defaults: Defaults, captions: Sequence[str], trigger: str
) -> TrainingPlan:
    """What the caller named wins; the engine's recipe for this base and set fills in the rest.

    A rank without an alpha keeps the recipe's ratio of the two, so that the LoRA acts as strongly as meant.
    """
    steps = args.steps or defaults.steps
    rank = args.rank or defaults.rank
    batch = args.batch_size or defaults.batch_size
    images = len(captions)
    return TrainingPlan(
        engine=engine,
        base_model=base_model,
        images=images,
        steps=steps,
        passes_over_set=round(steps * batch / max(1, images), 1),
        rank=rank,
        alpha=args.alpha or rank * defaults.alpha / defaults.rank,
        learning_rate=args.learning_rate or defaults.learning_rate,
        batch_size=batch,
        resolution=args.resolution or defaults.resolution,
        seed=args.seed,
        checkpoint_every=args.checkpoint_every or cadence(steps, CHECKPOINT_STEPS),
        sample_every=args.sample_every or cadence(steps, SAMPLE_STEPS),
        sample_prompts=args.sample_prompts if args.sample_prompts is not None else sample_prompts(captions, trigger),
        continue_from=args.continue_from,
        waived=args.waive,
    )


def cadence(steps: int, most: int) -> int:
    """Steps between two checkpoints or samples (TRN-CADENCE)."""
    return min(most, math.ceil(steps / PARTS))


def sample_prompts(captions: Sequence[str], trigger: str) -> list[str]:
    """Two prompts from captions far apart in the set, and the first again without the trigger.

    The third shows what must not happen: the look leaking into prompts that do not call it.
    """
    asked = [_shortened(caption) for caption in (captions[0], captions[len(captions) // 2])] if captions else [trigger]
    plain = asked[0].removeprefix(trigger).lstrip(" ,.:;-")
    return list(dict.fromkeys(prompt for prompt in (*asked, plain) if prompt))


def test_scene(profile: str, trigger: str) -> str:
    """The scene that is drawn once the training has ended: the same for every LoRA of a profile, and in no set.

    Looks of one kind can be held against each other by it.
    """
    scenes = dict(line.removeprefix("- ").split(": ", 1) for line in prompts.text("test_scenes").splitlines())
    return f"{trigger}, {scenes[profile]}"


def _shortened(caption: str) -> str:
    return " ".join(caption.split()[:PROMPT_WORDS])


def train_spec(
    plan: TrainingPlan,
    *,
    run_id: str,
    run_dir: Path,
    name: str,
    trigger: str,
    profile: str,
    warm_start: Path | None,
    cache: Path | None,
    dated: str | None = None,
    advanced: dict[str, Any],
) -> TrainSpec:
    """What the engine is handed for a plan."""
    return TrainSpec(
        run_id=run_id,
        run_dir=run_dir,
        name=name,
        base_model=plan.base_model,
        trigger=trigger,
        profile=profile,
        steps=plan.steps,
        rank=plan.rank,
        alpha=plan.alpha,
        learning_rate=plan.learning_rate,
        batch_size=plan.batch_size,
        resolution=plan.resolution,
        seed=plan.seed,
        checkpoint_every=plan.checkpoint_every,
        sample_every=plan.sample_every,
        sample_prompts=tuple(plan.sample_prompts),
        test_prompts=(test_scene(profile, trigger),),
        warm_start=warm_start,
        cache=cache,
        dated=dated,
        advanced=advanced,
    )
