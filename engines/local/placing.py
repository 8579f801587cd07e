"""A base brought onto the machine as its plan says: number format, device, recomputed and waiting blocks, compiled."""

from __future__ import annotations

from typing import Any

import torch

from loradeck.engines.local import blocks, frozen
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family
from loradeck.engines.local.learner import CPU, Hold
from loradeck.engines.local.pipeline import load
from loradeck.engines.local.planner import Plan


def hold(plan: Plan | None) -> Hold:
    """Where and in what type the transformer computes, and how many rows fit in a pass, of a step or of a measure.

    Without a plan, as the preview has none, everything is on the CPU in float32.
    """
    if plan is None:
        return Hold()
    dtype: torch.dtype = getattr(torch, plan.dtype)
    return Hold(torch.device(plan.device), dtype, plan.batch_size)


def opened(base: Base, family: Family, plan: Plan | None) -> Any:
    """The pipeline without its text encoders, the transformer in the plan's number format, on the device.

    Where blocks are to wait in RAM all stays there, since it does not fit the device as a whole: `arranged` sends what
    belongs there, after the adapter was added. Raises NotInstalled.
    """
    held = hold(plan)
    pipeline = load(base, family, held.dtype, CPU, without=family.text_parts)
    if plan is not None and plan.base != "full":
        home = CPU if plan.swapped_blocks else held.device
        frozen.quantise(pipeline.transformer, plan.base, device=held.device, home=home)
    pipeline.vae.to(held.device)
    if plan is None or not plan.swapped_blocks:
        pipeline.transformer.to(held.device)
    return pipeline


def arranged(transformer: Any, plan: Plan | None) -> None:
    """What saves memory or time in a step, set up on a transformer that has its adapter."""
    if plan is None:
        return
    if plan.checkpointed_blocks:
        share = plan.checkpointed_blocks / len(blocks.repeated(transformer))
        blocks.checkpoint_blocks(transformer, "full" if share >= 1 else "selective", min(1.0, share))
    if plan.swapped_blocks:
        blocks.swap_blocks(transformer, plan.swapped_blocks, torch.device(plan.device))
    if plan.compile:
        blocks.compile_blocks(transformer)


def encoders_device(plan: Plan | None) -> torch.device:
    """Where pictures and prompts are encoded."""
    return CPU if plan is None or plan.encoders == "cpu" else torch.device(plan.device)
