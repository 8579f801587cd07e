"""How a base is trained on a machine: the fastest arrangement that fits, told with its numbers before anything starts.

Every arrangement that the machine allows is looked at: the base in 16 bits, 8 bits or 4, none to all blocks
checkpointed, the batch whole or in parts, and at last blocks that wait in RAM. Of those that fit, the fastest by
estimate is taken, and of equals the one that comes first in this order.

A base in fewer bits is looked at only where it is no faster than one in more bits with every block checkpointed, so
that bits are given up for memory and never for time. The fastest that fits is so the most exact that fits as well, and
more memory never makes a plan slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal

from loradeck.engines.errors import BadSpec
from loradeck.engines.local import arrangement as takes
from loradeck.engines.local import costs as facts
from loradeck.engines.local import plan_words as words
from loradeck.engines.local.arrangement import Arrangement, Dtype, Format
from loradeck.engines.local.costs import Costs
from loradeck.engines.local.machine import Device, Machine
from loradeck.engines.local.plan_words import NAMES
from loradeck.engines.local.plan_words import told as told

Checkpointing = Literal["none", "selective", "full"]
Where = Literal["device", "cpu"]

COMPILE_PAYS_SECONDS = 600
"""Blocks are compiled for trainings estimated to last longer: compiling takes a minute or two."""

LOW_RANK = 8
"""The rank that the rulebook falls back to when memory runs out."""


@dataclass(frozen=True)
class Ask:
    """What was asked for: the base, the sizes of a step, and how often it is kept."""

    model: str
    batch_size: int
    rank: int
    resolution: int
    steps: int
    checkpoint_every: int


@dataclass(frozen=True)
class Plan:
    """How to train; the numbers are estimates.

    `base` is how the frozen weights are held ("full": in `dtype`). The first `checkpointed_blocks` blocks are computed
    again in the backward pass, the last `swapped_blocks` wait in RAM. `batch_size` pictures go through at a time,
    `accumulation` times a step. `encoders` says where text is encoded, once, before the transformer is loaded. Memory
    is in GB of 2**30 bytes, disk in GB of 10**9; `seconds_per_step` is None where the chip's speed is not known.
    """

    ask: Ask
    machine: Machine
    device: Device
    dtype: Dtype
    base: Format
    checkpointing: Checkpointing
    checkpointed_blocks: int
    swapped_blocks: int
    batch_size: int
    accumulation: int
    rank: int
    compile: bool
    encoders: Where
    vram_gb: float
    ram_gb: float
    disk_gb: float
    seconds_per_step: float | None
    why: tuple[str, ...]


def plan(
    machine: Machine,
    costs: Costs,
    *,
    batch_size: int,
    rank: int,
    resolution: int,
    steps: int,
    checkpoint_every: int,
) -> Plan:
    """The fastest arrangement that fits.

    Raises:
        BadSpec: nothing fits the chip, the RAM or the disk; says what is short, and what to do.
    """
    ask = Ask(costs.base, batch_size, rank, resolution, steps, checkpoint_every)
    _require_disk(machine, costs, ask)
    encoders = _encoders(machine, costs)
    made = [_made(machine, costs, ask, how, encoders) for how in _arrangements(machine, costs, ask)]
    fitting = [one for one in made if _fits(one)]
    if not fitting:
        raise BadSpec(_nothing_fits(min(made, key=_short_by), costs))
    best = min(fitting, key=lambda one: _pace(one, costs))
    return replace(best, why=words.reasons(best, costs, arrangement(best)))


def lower(before: Plan) -> Plan | None:
    """The next rung after a step that ran out of memory, as the rulebook has it; None at the bottom.

    The rungs: pictures one at a time, rank 8, a base of 8 and then of 4 bits, every block checkpointed, half and then
    all blocks waiting in RAM. No rung takes more memory of the chip than the one before.
    """
    costs = facts.of(before.ask.model)
    for how, why in _rungs(before, costs):
        lowered = _made(before.machine, costs, before.ask, how, before.encoders)
        if lowered.vram_gb <= before.vram_gb and lowered.ram_gb <= max(before.ram_gb, before.machine.ram_allowed):
            return replace(lowered, why=(why, *words.reasons(lowered, costs, how)))
    return None


def stored(chosen: Plan) -> dict[str, Any]:
    """The plan as JSON values, to be kept with a run."""
    return asdict(chosen)


def restored(kept: Mapping[str, Any]) -> Plan:
    """The plan that `stored` gave."""
    inner = {"ask": Ask(**kept["ask"]), "machine": Machine(**kept["machine"]), "why": tuple(kept["why"])}
    return Plan(**{**kept, **inner})


# --------------------------------------------------------------------------- what can be tried


def _arrangements(machine: Machine, costs: Costs, ask: Ask) -> Iterator[Arrangement]:
    """Everything to look at, in the order in which equals are preferred."""
    blocks, formats = costs.block_count, _formats(machine)
    parts = [size for size in range(ask.batch_size, 0, -1) if ask.batch_size % size == 0]
    least = 0.0
    for base in formats:
        smallest = Arrangement(_dtype(machine), base, blocks, 0, 1, ask.batch_size, ask.rank)
        for size, count in product(parts, range(blocks + 1)):
            how = replace(smallest, checkpointed=count, batch=size, accumulation=ask.batch_size // size)
            if _work(costs, how, ask) >= least:
                yield how
        least = _work(costs, smallest, ask)
    if "nf4" in formats:
        yield from (replace(smallest, swapped=count) for count in range(1, blocks + 1))


def _work(costs: Costs, how: Arrangement, ask: Ask) -> float:
    """Seconds of a step by a chip of 1 TFLOP/s: what arrangements without swapped blocks are compared by."""
    return takes.step_seconds(costs, how, ask.resolution, tflops=1.0)


def _formats(machine: Machine) -> tuple[Format, ...]:
    """How this machine can hold a base, the most exact first."""
    if machine.device == "cuda":
        return ("full", "fp8" if machine.has_fp8 else "int8", "nf4")
    return ("full", "int8") if machine.device == "mps" else ("full",)


def _dtype(machine: Machine) -> Dtype:
    """What is computed in. Never float16: activations of these models leave its range, and gradients fall below it."""
    return "bfloat16" if machine.device != "cpu" and machine.bf16 else "float32"


def _rungs(before: Plan, costs: Costs) -> Iterator[tuple[Arrangement, str]]:
    """What may come next, the first that applies first, with why."""
    how, blocks = arrangement(before), costs.block_count
    if how.batch > 1:
        parts = how.batch * how.accumulation
        yield (
            replace(how, batch=1, accumulation=parts),
            f"Memory ran out: pictures are taken one at a time, {parts} a step.",
        )
    if how.rank > LOW_RANK:
        yield replace(how, rank=LOW_RANK), f"Memory ran out: the LoRA's rank is {LOW_RANK} rather than {how.rank}."
    formats = _formats(before.machine)
    for base in formats[formats.index(how.base) + 1 :]:
        yield replace(how, base=base), f"Memory ran out: the base's weights are held in {NAMES[base]}."
    if how.checkpointed < blocks:
        yield replace(how, checkpointed=blocks), "Memory ran out: every block is computed again in the backward pass."
    if before.device == "cuda":
        for count in (blocks // 2, blocks):
            if count > how.swapped:
                yield replace(how, swapped=count), f"Memory ran out: {count} of {blocks} blocks wait in RAM."


# --------------------------------------------------------------------------- what one way takes


def _made(machine: Machine, costs: Costs, ask: Ask, how: Arrangement, encoders: Where) -> Plan:
    """The plan that an arrangement makes, without its reasons."""
    device = machine.device
    training = takes.training_gb(costs, how, ask.resolution, device)
    encoding = takes.encoder_gb(costs, how.dtype) + takes.OVERHEAD_GB
    seconds = takes.step_seconds(costs, how, ask.resolution, machine.tflops) if machine.tflops else None
    compiles = machine.compiles and device == "cuda" and how.base == "full" and not how.swapped
    again, blocks = how.checkpointed, costs.block_count
    return Plan(
        ask=ask,
        machine=machine,
        device=device,
        dtype=how.dtype,
        base=how.base,
        checkpointing="none" if not again else "full" if again == blocks else "selective",
        checkpointed_blocks=again,
        swapped_blocks=how.swapped,
        batch_size=how.batch,
        accumulation=how.accumulation,
        rank=how.rank,
        compile=compiles and seconds is not None and seconds * ask.steps >= COMPILE_PAYS_SECONDS,
        encoders=encoders,
        vram_gb=0.0 if device == "cpu" else max(training, encoding if encoders == "device" else 0.0),
        ram_gb=_ram(machine, costs, how, encoders, training),
        disk_gb=takes.adapter_disk_gb(costs, how.rank, ask.steps, ask.checkpoint_every),
        seconds_per_step=seconds,
        why=(),
    )


def _ram(machine: Machine, costs: Costs, how: Arrangement, encoders: Where, training: float) -> float:
    """RAM at its peak: encoding comes first and is over when the blocks come. A CPU or Apple chip trains in the RAM."""
    encoding = takes.encoder_gb(costs, how.dtype)
    if machine.device != "cuda":
        return takes.PROCESS_GB + max(training - takes.OVERHEAD_GB, encoding)
    return takes.PROCESS_GB + max(encoding if encoders == "cpu" else 0.0, takes.swapped_gb(costs, how))


def arrangement(chosen: Plan) -> Arrangement:
    """What a plan was made of."""
    return Arrangement(
        chosen.dtype,
        chosen.base,
        chosen.checkpointed_blocks,
        chosen.swapped_blocks,
        chosen.batch_size,
        chosen.accumulation,
        chosen.rank,
    )


def _pace(chosen: Plan, costs: Costs) -> float:
    """What plans for one machine are compared by: seconds, or operations where its speed is not known."""
    if chosen.seconds_per_step is not None:
        return chosen.seconds_per_step
    return takes.step_seconds(costs, arrangement(chosen), chosen.ask.resolution, tflops=1.0)


# --------------------------------------------------------------------------- whether it fits


def _vram_short(chosen: Plan) -> float:
    return max(0.0, chosen.vram_gb - chosen.machine.vram_allowed)


def _ram_short(chosen: Plan) -> float:
    return max(0.0, chosen.ram_gb - chosen.machine.ram_allowed)


def _short_by(chosen: Plan) -> float:
    """GB that are missing for a plan."""
    return _vram_short(chosen) + _ram_short(chosen)


def _fits(chosen: Plan) -> bool:
    return _short_by(chosen) == 0


def _encoders(machine: Machine, costs: Costs) -> Where:
    """Where the text encoder fits. Raises BadSpec where it fits nowhere."""
    need = takes.encoder_gb(costs, _dtype(machine))
    in_ram = need + takes.PROCESS_GB <= machine.ram_allowed
    if machine.device == "cuda" and need + takes.OVERHEAD_GB <= machine.vram_allowed:
        return "device"
    if machine.device == "mps" and need + takes.OVERHEAD_GB <= machine.vram_allowed and in_ram:
        return "device"
    if in_ram:
        return "cpu"
    wanted = need + takes.PROCESS_GB
    raise BadSpec(
        f"The text encoder of {costs.base} needs about {wanted:.1f} GB of RAM, and {machine.ram_allowed:.1f} GB may be "
        f"used here; close other programs, or choose {_smaller(costs, 'text_parameters')}."
    )


def _require_disk(machine: Machine, costs: Costs, ask: Ask) -> None:
    need = takes.adapter_disk_gb(costs, ask.rank, ask.steps, ask.checkpoint_every)
    if need > machine.disk_gb:
        raise BadSpec(
            f"Checkpoints and caches of this training need about {need:.1f} GB of disk, and {machine.disk_gb:.1f} GB "
            "are free; free some, or set a lower rank or fewer checkpoints (checkpoint_every)."
        )


def _nothing_fits(nearest: Plan, costs: Costs) -> str:
    """One sentence on what is short in the arrangement that comes nearest."""
    machine = nearest.machine
    if _vram_short(nearest):
        need, has, what = nearest.vram_gb, machine.vram_allowed, "of the chip's memory"
    else:
        need, has, what = nearest.ram_gb, machine.ram_allowed, "of RAM"
    return (
        f"{costs.base} does not fit {machine.name}: at its smallest (base in {words.format_name(nearest)}) it needs "
        f"about {need:.1f} GB {what} and may use {has:.1f} GB; close other programs, set a lower resolution or rank, "
        f"or choose {_smaller(costs, 'parameters')}."
    )


def _smaller(costs: Costs, what: Literal["parameters", "text_parameters"]) -> str:
    """What to choose instead of a base of which this is too large."""
    least = min(facts.BASES.values(), key=lambda one: (getattr(one, what), one.parameters))
    smaller = f"a smaller base such as {least.base}, " if getattr(least, what) < getattr(costs, what) else ""
    return f"{smaller}the preview base, or a machine with more memory"
