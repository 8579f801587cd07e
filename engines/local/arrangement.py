"""What one way of training a base takes: memory of the chip, RAM, disk and seconds a step, by formula.

Every number is an estimate: the formulas are checked against published and counted figures in the tests, and were
not measured on a GPU. Memory is in GB of 2**30 bytes, disk in GB of 10**9 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loradeck.engines.local.costs import COUNTED_AT, TEXT_TOKENS, Costs, tokens
from loradeck.engines.local.machine import DISK_GB, GIB, Device

Dtype = Literal["bfloat16", "float32"]
Format = Literal["full", "fp8", "int8", "nf4"]

DTYPE_BYTES: dict[Dtype, int] = {"bfloat16": 2, "float32": 4}

FORMAT_BYTES: dict[Format, float] = {"fp8": 1.001, "int8": 1.001, "nf4": 0.5 + 2 / 64}
"""Bytes of a weight with its scales: one of 2 bytes a row of at least 2,560, or one a block of 64."""

FORMAT_TIME: dict[Format, float] = {"full": 1.0, "fp8": 1.1, "int8": 1.15, "nf4": 1.25}
"""How much longer a step is taken to be with the base in a small format: allowances, not measurements.

They are above what decoding the weights moves through memory, so that a small format is chosen only where it saves
more than it may cost. That fp8 can be faster than bfloat16 is not counted until it is measured.
"""

EFFICIENCY = 0.35
"""The share of a chip's peak that a step reaches. Published steps of other trainers reach 19% (A6000), 29% (H200) and
41% (RTX 4090) of the same peaks."""

MICRO_STEP_TIME = 0.02
"""A batch that is taken in parts is slower by this share, less the more is in each part."""

TRAINED_BYTES = 16
"""A parameter of the LoRA: the weight, its gradient and the two moments of Adam, each in float32."""

OVERHEAD_GB = 1.5
"""The chip's context, its libraries and what the allocator cannot use between blocks."""

DECODE_GB = 2.25
"""Peak of the VAE for one picture of 1024 x 1024 in 16 bits, encoding or decoding: live tensors, counted on meta."""

ENCODE_GB = 1.0
"""A text encoder's work on one caption of 512 tokens: hidden states of all layers, logits, one layer's inside."""

SCORE_BYTES = 4
"""On Apple chips attention with gradients keeps its matrix of scores, which torch computes in float32 there."""

LINK_GB_PER_SECOND = 12.0
"""RAM to chip, from pinned memory over 16 lanes of PCIe 4: what is left of 32 after protocol, with other traffic."""

PROCESS_GB = 3.0
"""RAM of the process itself with torch and its libraries. Weight files are mapped, and their pages can be dropped."""

CACHED_PICTURES = 100
"""Pictures whose latents, captions and captions without the trigger are counted into the disk."""

STATES_KEPT = 3
"""States of a training on the disk at a time: the two that are kept and the one being written."""

SAMPLES_GB = 0.5
"""Disk for samples, log and card."""


@dataclass(frozen=True)
class Arrangement:
    """One way to hold a base and walk through a step.

    The first `checkpointed` blocks keep only their inputs for the backward pass. The last `swapped` blocks wait in RAM
    and are checkpointed whatever is said. A step is `accumulation` passes of `batch` pictures each.
    """

    dtype: Dtype
    base: Format
    checkpointed: int
    swapped: int
    batch: int
    accumulation: int
    rank: int


def weights_gb(costs: Costs, how: Arrangement) -> float:
    """The transformer's frozen weights, wherever they are."""
    return _other_weights(costs, how) + sum(_block_weights(costs, how))


def resident_gb(costs: Costs, how: Arrangement) -> float:
    """The frozen weights on the chip: of the swapped blocks the largest two at most, the one at work and the next."""
    each = _block_weights(costs, how)
    stay = len(each) - how.swapped
    return _other_weights(costs, how) + sum(each[:stay]) + sum(sorted(each[stay:])[-2:])


def swapped_gb(costs: Costs, how: Arrangement) -> float:
    """The frozen weights that wait in RAM."""
    each = _block_weights(costs, how)
    return sum(each[len(each) - how.swapped :])


def _other_weights(costs: Costs, how: Arrangement) -> float:
    inside = sum(kind.count * kind.parameters for kind in costs.blocks)
    return (costs.parameters - inside) * DTYPE_BYTES[how.dtype] / GIB


def _block_weights(costs: Costs, how: Arrangement) -> list[float]:
    """GB of every block's weights, in the order of running."""
    full = DTYPE_BYTES[how.dtype]
    small = FORMAT_BYTES.get(how.base, full)
    return [
        (kind.linear * small + (kind.parameters - kind.linear) * full) / GIB
        for kind in costs.blocks
        for _ in range(kind.count)
    ]


def activations_gb(costs: Costs, how: Arrangement, resolution: int, device: Device) -> float:
    """What the forward pass keeps, and the most that one block needs on the way back.

    A block that is not checkpointed keeps its activations, one that is only its input (tokens x width). Going back,
    one block at a time has gradients as large as its activations, and a checkpointed one its activations again.
    """
    count = tokens(resolution)
    width = DTYPE_BYTES[how.dtype]
    scale = count / tokens(COUNTED_AT[-1]) * width / DTYPE_BYTES["bfloat16"]
    scores = costs.heads * count**2 * SCORE_BYTES / GIB if device == "mps" else 0.0
    each = [kind.activations * scale + scores for kind in costs.each_block()]
    again = set(range(how.checkpointed)) | set(range(len(each) - how.swapped, len(each)))
    kept = sum(size for index, size in enumerate(each) if index not in again)
    inputs = len(again) * count * costs.width * width / GIB
    at_work = max(each) * (2 if again else 1)
    return how.batch * (kept + inputs + at_work)


def adapter_gb(costs: Costs, how: Arrangement) -> float:
    """The LoRA, its gradients and the optimiser's moments."""
    return costs.lora * how.rank * TRAINED_BYTES / GIB


def training_gb(costs: Costs, how: Arrangement, resolution: int, device: Device) -> float:
    """The most that training takes on the chip, in a step or while a sample is decoded."""
    vae = costs.vae_parameters * DTYPE_BYTES[how.dtype] / GIB
    decode = DECODE_GB * (resolution / COUNTED_AT[-1]) ** 2
    work = max(activations_gb(costs, how, resolution, device), decode)
    return resident_gb(costs, how) + adapter_gb(costs, how) + vae + work + OVERHEAD_GB


def encoder_gb(costs: Costs, dtype: Dtype) -> float:
    """The text encoder and its work on one caption, before the transformer is loaded."""
    return costs.text_parameters * DTYPE_BYTES[dtype] / GIB + ENCODE_GB


def adapter_disk_gb(costs: Costs, rank: int, steps: int, checkpoint_every: int) -> float:
    """LoRA files of every checkpoint, states, cached latents and text states, samples.

    The base's own files are not counted: they are there, or the download says what it needs.
    """
    parameters = costs.lora * rank
    files = (steps // checkpoint_every + 2) * parameters * 4
    states = STATES_KEPT * parameters * 12
    text = 2 * TEXT_TOKENS * costs.text_width * 4
    latents = 2 * 2**20
    return (files + states + CACHED_PICTURES * (text + latents)) / DISK_GB + SAMPLES_GB


def step_seconds(costs: Costs, how: Arrangement, resolution: int, tflops: float) -> float:
    """Seconds of one step on a chip of that peak; blocks that are fetched are counted as fetched in idle time."""
    again = min(costs.block_count, how.checkpointed + how.swapped)
    compute = costs.step_tflop(resolution) + costs.forward_tflop(resolution) * again / costs.block_count
    passes = how.batch * how.accumulation * compute * FORMAT_TIME[how.base] / (tflops * EFFICIENCY)
    fetched = 2 * how.accumulation * swapped_gb(costs, how) / LINK_GB_PER_SECOND
    return passes * (1 + MICRO_STEP_TIME * (1 - 1 / how.accumulation)) + fetched
