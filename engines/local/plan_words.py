"""A plan in words: one or two sentences for a person, and the reason for each choice with its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loradeck.engines.local import arrangement as takes
from loradeck.engines.local import costs as facts
from loradeck.engines.local.arrangement import Arrangement
from loradeck.engines.local.costs import Costs

if TYPE_CHECKING:
    from loradeck.engines.local.planner import Plan

NAMES = {
    "bfloat16": "bf16",
    "float32": "fp32",
    "fp8": "fp8",
    "int8": "int8",
    "nf4": "nf4 (4 bits)",
}
"""Number formats as people who train write them."""


def told(plan: Plan) -> str:
    """The plan in a sentence or two: the machine, how the base is held, memory and time."""
    ask, machine = plan.ask, plan.machine
    size = machine.ram_gb if plan.device == "cpu" else machine.vram_gb
    parts = [f"held in {format_name(plan)}", checkpointing_told(plan)]
    if plan.swapped_blocks:
        parts.append(f"{plan.swapped_blocks} blocks waiting in RAM")
    parts.append(f"batch {batch_told(plan)}")
    used, memory = (plan.ram_gb, "RAM") if plan.device == "cpu" else (plan.vram_gb, "its memory")
    text = f"{machine.name}, {size:.0f} GB: {ask.model} {', '.join(parts)}; about {used:.1f} GB of {memory}"
    if plan.seconds_per_step is None:
        return f"{text}. How long a step takes on this chip is known after the first ones."
    seconds = plan.seconds_per_step
    return f"{text}, {duration(seconds)} a step, {duration(seconds * ask.steps)} in all (estimated)."


def reasons(plan: Plan, costs: Costs, how: Arrangement) -> tuple[str, ...]:
    """One sentence a choice; `how` is the arrangement that the plan was made of."""
    sentences = [_room(plan), _weights(plan, costs, how), _activations(plan, costs, how)]
    if plan.accumulation > 1:
        sentences.append(f"A batch of {plan.batch_size * plan.accumulation} is taken {plan.batch_size} at a time.")
    if plan.swapped_blocks:
        sentences.append(
            f"{plan.swapped_blocks} of {costs.block_count} blocks wait in RAM ({takes.swapped_gb(costs, how):.1f} GB) "
            "and are brought in one by one."
        )
    sentences.append(_encoding(plan, costs))
    if plan.compile:
        sentences.append("Blocks are compiled, which pays in a training of this length.")
    if plan.machine.tflops and plan.seconds_per_step is not None:
        sentences.append(
            f"A step is estimated at {duration(plan.seconds_per_step)}: {takes.EFFICIENCY:.0%} of the "
            f"{plan.machine.tflops:.3g} TFLOP/s that {plan.machine.name} can reach."
        )
    return tuple(sentences)


def format_name(plan: Plan) -> str:
    """How the base's weights are held."""
    return NAMES[plan.dtype if plan.base == "full" else plan.base]


def batch_told(plan: Plan) -> str:
    """Pictures at a time, and how often a step."""
    return f"{plan.batch_size}" + (f" x {plan.accumulation}" if plan.accumulation > 1 else "")


def checkpointing_told(plan: Plan) -> str:
    """How many blocks are computed again in the backward pass."""
    if plan.checkpointing == "selective":
        return f"{plan.checkpointed_blocks} of {facts.of(plan.ask.model).block_count} blocks checkpointed"
    return "no block checkpointed" if plan.checkpointing == "none" else "all blocks checkpointed"


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.43 s, 3.1 s, 42 s, 18 min, 14 h."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def _room(plan: Plan) -> str:
    machine = plan.machine
    free, allowed = machine.vram_free_gb, machine.vram_allowed
    if plan.device == "cpu":
        free, allowed = machine.ram_free_gb, machine.ram_allowed
    return f"Of the {free:.1f} GB of memory that are free on {machine.name}, {allowed:.1f} may be used."


def _weights(plan: Plan, costs: Costs, how: Arrangement) -> str:
    size, full = takes.weights_gb(costs, how), takes.weights_gb(costs, replace(how, base="full"))
    instead = "" if how.base == "full" else f" rather than {full:.1f} GB in {NAMES[plan.dtype]}"
    billions = costs.parameters / 1e9
    return f"The base's {billions:.1f} billion weights are held in {format_name(plan)}: {size:.1f} GB{instead}."


def _activations(plan: Plan, costs: Costs, how: Arrangement) -> str:
    side, device, blocks = plan.ask.resolution, plan.device, costs.block_count
    size = takes.activations_gb(costs, how, side, device)
    again = min(blocks, how.checkpointed + how.swapped)
    if not again:
        return f"No block is checkpointed: activations take {size:.1f} GB."
    whole = takes.activations_gb(costs, replace(how, checkpointed=0, swapped=0), side, device)
    return (
        f"{again} of {blocks} blocks are computed again in the backward pass: activations take {size:.1f} GB rather "
        f"than {whole:.1f}."
    )


def _encoding(plan: Plan, costs: Costs) -> str:
    place, size = "chip" if plan.encoders == "device" else "CPU", takes.encoder_gb(costs, plan.dtype)
    return f"Text is encoded once on the {place} ({size:.1f} GB), before the transformer is loaded."
