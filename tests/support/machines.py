"""Writes the page of the planner's answers: `python tests/support/machines.py docs/machines.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from loradeck.engines.errors import BadSpec
from loradeck.engines.local import arrangement as takes
from loradeck.engines.local import costs, machine, plan_words, planner
from loradeck.engines.local.machine import Machine
from loradeck.engines.local.planner import Plan

NOMINAL_SHARE = 0.97
"""Of the memory on the box, what the driver and a desktop leave free."""

RESOLUTION = 1024
STEPS = 1500
ASKED = {"batch_size": 1, "rank": 16, "resolution": RESOLUTION, "steps": STEPS, "checkpoint_every": 500}


def card(name: str, gb: int, capability: tuple[int, int], ram_gb: float = 64) -> Machine:
    """A machine with one NVIDIA card of so much memory, 90% of its RAM and 200 GB of its disk free."""
    return Machine(
        device="cuda",
        name=name,
        vram_gb=gb,
        vram_free_gb=gb * NOMINAL_SHARE,
        ram_gb=ram_gb,
        ram_free_gb=ram_gb * 0.9,
        disk_gb=200,
        gpus=1,
        tflops=machine.matmul_tflops(name, capability),
        has_fp8=capability >= machine.FP8_CAPABILITY,
        bf16=capability >= machine.BF16_CAPABILITY,
        compiles=True,
    )


CARDS = (
    card("RTX 3060", 12, (8, 6)),
    card("RTX 4080", 16, (8, 9)),
    card("RTX 4090", 24, (8, 9)),
    card("RTX 6000 Ada", 48, (8, 9)),
    card("H100", 80, (9, 0)),
)

SMALL = (
    card("RTX 4060 Laptop", 8, (8, 9), ram_gb=16),
    card("RTX 3060", 12, (8, 6), ram_gb=16),
    card("RTX 4080", 16, (8, 9), ram_gb=16),
    Machine("mps", "Apple laptop", 10.7, 10.7, 16, 12, 200, gpus=1),
    Machine("mps", "Apple laptop", 24, 24, 32, 27, 200, gpus=1),
)

HEAD = f"""# What fits which machine

Generated from `engines/local/planner.py` by `python tests/support/machines.py docs/machines.md`. **Every number here is
an estimate by formula; none was measured on a GPU.** A step that runs out of memory all the same is caught, and the
plan is lowered (below).

Memory is in GB of 2^30 bytes, as cards are sold; disk in GB of 10^9. The planner is asked for {RESOLUTION} pixels,
batch 1, rank 16 and {STEPS} steps on a machine with 64 GB of RAM, 90% of it free. Of the memory on the box
{NOMINAL_SHARE:.0%} is taken to be free; a plan uses {machine.VRAM_SHARE:.0%} of the free memory at most, and
{machine.RAM_SHARE:.0%} of the free RAM. The device is chosen by itself (CUDA, then an Apple chip, then the CPU);
`{machine.DEVICE_VARIABLE}` forces one.
"""

LESS_RAM = """## Laptops and less RAM: `flux2-klein-4b`

On a CUDA machine RAM is needed for the text encoder where the card is too small for it, and for blocks that wait. An
Apple chip trains in the RAM itself, and how fast it multiplies is not known to the planner. 16 GB of RAM do beside a
card, not on an Apple laptop.
"""

HOW = """## How a plan is chosen

Every arrangement is looked at: the base in 16 bits, in 8 (fp8 where the chip multiplies it, else int8) or in 4 (nf4);
none to all of its blocks checkpointed (computed again in the backward pass); the batch whole or in parts that are
accumulated; at last blocks that wait in RAM. The fastest that fits is taken. A base in fewer bits is looked at only
where it is no faster than one in more bits with every block checkpointed: bits are given up for memory, never for time,
and more memory never makes a plan slower. Text is encoded before the transformer is loaded, on the chip where the
encoder fits and on the CPU elsewhere. Blocks are compiled where the base is in 16 bits and the training is estimated
at more than ten minutes.

When a step runs out of memory, the plan goes down one rung and the run goes on: pictures one at a time, accumulated to
the same batch; rank 8; the base in 8 bits, then in 4; every block checkpointed; half of the blocks, then all of them,
waiting in RAM. No rung takes more memory of the chip than the one before.

With more than one GPU, FLUX.2-dev is split over the cards (FSDP2, a block a unit) and the other bases are copied to
each; `engines/local/spread.py` writes the configuration that accelerate starts from.
"""


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([HEAD, *(_answers(one) for one in CARDS), _small(), HOW, _formulas(), _facts(), _sources()])


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _planned(where: Machine, base: str) -> Plan | str:
    """The plan, or why there is none."""
    try:
        return planner.plan(where, costs.of(base), **ASKED)
    except BadSpec as error:
        return str(error)


COLUMNS = [
    "base",
    "held in",
    "checkpointed",
    "in RAM",
    "text on",
    "card GB",
    "RAM GB",
    "disk GB",
    "a step",
    "1,500 steps",
]


def _row(base: str, plan: Plan | str) -> list[str]:
    if isinstance(plan, str):
        return [f"`{base}`", "does not fit", *["-"] * (len(COLUMNS) - 2)]
    blocks, seconds = costs.of(base).block_count, plan.seconds_per_step
    return [
        f"`{base}`",
        plan_words.format_name(plan),
        f"{plan.checkpointed_blocks} of {blocks}",
        f"{plan.swapped_blocks}" if plan.swapped_blocks else "none",
        "card" if plan.encoders == "device" else "CPU",
        f"{plan.vram_gb:.1f}",
        f"{plan.ram_gb:.1f}",
        f"{plan.disk_gb:.1f}",
        "not known" if seconds is None else plan_words.duration(seconds),
        "not known" if seconds is None else plan_words.duration(seconds * STEPS),
    ]


def _answers(where: Machine) -> str:
    eights = "fp8" if where.has_fp8 else "int8"
    title = f"## {where.vram_gb:.0f} GB: {where.name} ({where.tflops:.4g} TFLOP/s in 16 bits, 8 bits as {eights})"
    plans = {base: _planned(where, base) for base in costs.BASES}
    refused = [f"\n{plan}\n" for plan in plans.values() if isinstance(plan, str)]
    return f"{title}\n\n{_table(COLUMNS, [_row(base, plan) for base, plan in plans.items()])}{''.join(refused)}"


def _small() -> str:
    lines = []
    for where in SMALL:
        plan = _planned(where, "flux2-klein-4b")
        said = f"{where.name}: {plan}" if isinstance(plan, str) else planner.told(plan)
        lines.append(f"- {where.ram_gb:.0f} GB of RAM. {said}")
    return f"{LESS_RAM}\n" + "\n".join(lines) + "\n"


def _formulas() -> str:
    rows = [
        ["weights", "parameters x 2 bytes; linear layers of blocks in small formats, scales included: "
         + ", ".join(f"{name} {size:.3g}" for name, size in takes.FORMAT_BYTES.items()),
         "arithmetic; modulation of norms, embedders and the last layers stay in 16 bits"],
        ["activations", "what blocks that are not checkpointed keep, scaled by tokens and batch; the inputs of the "
         "others (tokens x width x 2 bytes); one block's gradients, and its activations again where it is checkpointed",
         "counted, below; on Apple chips a matrix of attention scores in float32 a block besides"],
        ["LoRA", f"{takes.TRAINED_BYTES} bytes a parameter: weight, gradient and two moments in float32", "arithmetic"],
        ["samples", f"{takes.DECODE_GB} GB for the VAE at 1024 pixels, when that is more than the activations",
         "live tensors counted on the meta device"],
        ["overhead", f"{takes.OVERHEAD_GB} GB for the chip's context and fragments; {takes.PROCESS_GB:.0f} GB of RAM "
         "for the process",
         "assumed"],
        ["text encoder", f"its weights in 16 bits and {takes.ENCODE_GB:.0f} GB to work in",
         "counted; the room to work is assumed"],
        ["disk", f"LoRA files, {takes.STATES_KEPT} states, {takes.CACHED_PICTURES} cached pictures with captions, "
         "samples; not the base's own files", "arithmetic"],
        ["speed", f"{takes.EFFICIENCY:.0%} of the chip's peak (dense 16-bit products summed in float32)",
         "peaks from NVIDIA's sheets; published steps of other trainers reach 19% (A6000), 29% (H200), 41% (RTX 4090)"],
        ["small formats", "time x " + ", ".join(f"{takes.FORMAT_TIME[name]} ({name})" for name in takes.FORMAT_BYTES),
         "allowances; that fp8 can be faster is not counted until it is measured"],
        ["blocks in RAM", f"both ways through the blocks at {takes.LINK_GB_PER_SECOND:.0f} GB/s, not overlapped",
         "assumed, for 16 lanes of PCIe 4"],
    ]  # fmt: skip
    return f"## The formulas\n\n{_table(['what', 'how', 'from'], rows)}"


def _facts() -> str:
    columns = ["base", "parameters", "blocks", "TFLOP at 512 / 768 / 1024", "forward at 1024", "activations, GiB",
               "LoRA a rank", "text encoder", "VAE"]  # fmt: skip
    rows = [
        [
            f"`{one.base}`",
            f"{one.parameters / 1e9:.2f}B",
            f"{one.block_count}",
            " / ".join(f"{number:.1f}" for number in one.tflop),
            f"{one.forward_tflop(RESOLUTION) / one.step_tflop(RESOLUTION):.0%}",
            f"{one.activations:.1f}",
            f"{one.lora / 1e6:.2f}M",
            f"{one.text_parameters / 1e9:.2f}B",
            f"{one.vae_parameters / 1e6:.1f}M",
        ]
        for one in costs.BASES.values()
    ]
    return f"## The facts\n\n{_table(columns, rows)}"


def _sources() -> str:
    lines = [f"- `{name}`: {said}." for name, said in costs.SOURCES.items()]
    return "## Where the facts come from (`engines/local/costs.py`)\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
