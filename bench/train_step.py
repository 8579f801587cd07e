"""A training step of each family, side by side in one run: loradeck, diffusers' script, ai-toolkit's loop.

    python bench/train_step.py [--case NAME ...] [--own-targets] [--ai-toolkit PATH] [--no-start]

On a GPU: transformers of full size with random weights, built from the published configurations, at 1024 x 1024, batch
1, rank 16, in bfloat16; one after the other, 20 steps to warm up and 50 timed between two synchronisations. The limit
is the FLOPs of a step (``engines/local/costs.py``) at the rate that an 8192-cubed matmul reaches in the same run.
Without one: the same loops on a small klein and a small FLUX.1 in float32 on one thread, step by step in turns, in
processor seconds, FLOPs counted by torch. What was measured is said in the first line.

Then the preview base: seconds from the start of the process to the first step, with an empty cache and a full one.
What the loops do, and what of ai-toolkit is restated, is told in ``train_step_loops.py``.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import train_step_start
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel
from torch.utils.flop_counter import FlopCounterMode
from train_step_loops import SCRIPT_TARGETS, AiToolkit, Case, DiffusersScript, Given, Loop, Ours, given

from loradeck.engines.local import costs, machine, planner
from loradeck.engines.local.blocks import repeated
from loradeck.engines.local.planner import Plan

WARM_UP, TIMED = 20, 50
SMALL_WARM_UP, SMALL_TIMED = 2, 8
SIDE, TOKENS = 1024, costs.TEXT_TOKENS
BLOCKS_FOR_ALL = 1_000
"""More blocks than any transformer has."""


def _full_klein(name: str, transformer: Callable[[], object], text_width: int) -> Case:
    return Case(name, "klein", transformer, (128, SIDE // 16, SIDE // 16), {"states": (TOKENS, text_width)}, name)


def _klein(doubles: int, singles: int, heads: int, text_width: int) -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        num_layers=doubles,
        num_single_layers=singles,
        num_attention_heads=heads,
        joint_attention_dim=text_width,
        guidance_embeds=False,
    )


FULL = {
    case.name: case
    for case in (
        _full_klein("flux2-klein-4b", lambda: _klein(5, 20, 24, 7680), 7680),
        Case(
            "flux1-dev",
            "flux1",
            lambda: FluxTransformer2DModel(guidance_embeds=True),
            (16, SIDE // 8, SIDE // 8),
            {"states": (TOKENS, 4096), "pooled": (768,)},
            "flux1-dev",
        ),
        _full_klein("flux2-klein-9b", lambda: _klein(8, 24, 32, 12_288), 12_288),
    )
}
USUAL = ("flux2-klein-4b", "flux1-dev")
"""What is measured on a GPU when no case is named."""

SMALL = {
    case.name: case
    for case in (
        Case(
            "small klein",
            "klein",
            lambda: Flux2Transformer2DModel(
                in_channels=128,
                num_layers=2,
                num_single_layers=6,
                attention_head_dim=32,
                num_attention_heads=6,
                joint_attention_dim=96,
                timestep_guidance_channels=64,
                axes_dims_rope=(8, 8, 8, 8),
                guidance_embeds=False,
            ),
            (128, 12, 12),
            {"states": (64, 96)},
        ),
        Case(
            "small FLUX.1",
            "flux1",
            lambda: FluxTransformer2DModel(
                in_channels=64,
                num_layers=2,
                num_single_layers=4,
                attention_head_dim=32,
                num_attention_heads=6,
                joint_attention_dim=96,
                pooled_projection_dim=64,
                guidance_embeds=True,
                axes_dims_rope=(8, 12, 12),
            ),
            (16, 24, 24),
            {"states": (64, 96), "pooled": (64,)},
        ),
    )
}
"""Pictures of 192 x 192; 208 tokens together."""


@dataclass
class Row:
    """What a loop measured: seconds of a step, its losses, and the most memory of the device in GiB."""

    seconds: float
    losses: list[float]
    memory: float | None = None


# --------------------------------------------------------------------------- the ways of ours


def small_plan(steps: int) -> Plan:
    """A plan for a transformer of any size on the CPU, which keeps all it computes."""
    ample = machine.Machine("cpu", "CPU", 0.0, 0.0, 1024.0, 1024.0, 1000.0)
    plan = planner.plan(
        ample, costs.of("flux2-klein-4b"), batch_size=1, rank=16, resolution=192, steps=steps, checkpoint_every=steps
    )
    return replace(plan, checkpointing="none", checkpointed_blocks=0)


def full_plan(case: Case, steps: int) -> Plan:
    """What the planner takes on the machine at hand."""
    known = costs.of(str(case.base))
    return planner.plan(
        machine.detect(Path()), known, batch_size=1, rank=16, resolution=SIDE, steps=steps, checkpoint_every=steps
    )


def ways(plan: Plan, blocks: int) -> dict[str, Plan]:
    """The plan of ours with no, half and all blocks computed again, on a GPU also compiled, and in float8."""
    plain = replace(plan, checkpointing="none", checkpointed_blocks=0, swapped_blocks=0, base="full", compile=False)
    found = {
        "loradeck, no checkpointing": plain,
        "loradeck, half of the blocks checkpointed": replace(
            plain, checkpointing="selective", checkpointed_blocks=blocks // 2
        ),
        "loradeck, every block checkpointed": replace(plain, checkpointing="full", checkpointed_blocks=BLOCKS_FOR_ALL),
    }
    if plan.device != "cuda":
        return found
    found = {"loradeck, as planned": plan, **found}
    if plan.machine.compiles:
        found["loradeck, compiled"] = replace(plain, compile=True)
    if plan.machine.has_fp8:
        found["loradeck, float8 base"] = replace(plain, base="fp8")
    if plan.machine.has_fp8 and plan.machine.compiles:
        found["loradeck, float8 base, compiled"] = replace(plain, base="fp8", compile=True)
    return found


def peers(ready: Given, options: argparse.Namespace) -> dict[str, Callable[[], Loop]]:
    """The other tools as they ship; the script also as its README has it, with checkpointing."""
    own = SCRIPT_TARGETS[ready.case.family].split() if options.own_targets else None
    restated = "" if options.ai_toolkit else " (restated)"
    return {
        "diffusers script": lambda: DiffusersScript(ready, targets=own),
        "diffusers script, --gradient_checkpointing": lambda: DiffusersScript(ready, checkpointing=True, targets=own),
        f"ai-toolkit{restated}": lambda: AiToolkit(ready, options.ai_toolkit, everywhere=options.own_targets),
    }


# --------------------------------------------------------------------------- measuring


def in_turns(loops: Mapping[str, Loop]) -> dict[str, Row]:
    """Medians of processor seconds, every loop's step beside the same step of the others."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    losses: dict[str, list[float]] = {name: [] for name in loops}
    for i in range(SMALL_WARM_UP + SMALL_TIMED):
        for name, loop in loops.items():
            began = time.process_time()
            loss = loop.step(i)
            seconds[name].append(time.process_time() - began)
            losses[name].append(float(loss))
    return {name: Row(statistics.median(seconds[name][SMALL_WARM_UP:]), losses[name]) for name in loops}


def alone(make: Callable[[], Loop]) -> Row | None:
    """Mean seconds of steps between two synchronisations, on an empty GPU; None where it does not fit."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()  # the rows of all steps, which the peers are given there
    try:
        loop = make()
        losses = [loop.step(i) for i in range(WARM_UP)]
        torch.cuda.synchronize()
        began = time.perf_counter()
        losses += [loop.step(i) for i in range(WARM_UP, WARM_UP + TIMED)]
        torch.cuda.synchronize()
    except torch.OutOfMemoryError:
        return None
    seconds = (time.perf_counter() - began) / TIMED
    return Row(seconds, [float(loss) for loss in losses], (torch.cuda.max_memory_allocated() - before) / machine.GIB)


def matmul_rate(device: torch.device) -> float:
    """TFLOP/s that a square matmul reaches: bfloat16 and 8192 on a GPU, float32 and 1024 on one thread of a CPU."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = 0.0
    for _ in range(6):
        began = _clock(device)
        for _ in range(10):
            left @ right
        best = max(best, 10 * 2 * size**3 / (_clock(device) - began) / 1e12)
    return best


def _clock(device: torch.device) -> float:
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def small_case(case: Case, options: argparse.Namespace) -> tuple[dict[str, Row | None], float]:
    """All loops on a small transformer, and the TFLOP of a step."""
    steps = SMALL_WARM_UP + SMALL_TIMED
    blocks = len(repeated(case.transformer(torch.device("meta"), torch.float32)))
    loops: dict[str, Loop] = {
        name: Ours(case, case.material(), plan) for name, plan in ways(small_plan(steps), blocks).items()
    }
    fresh = Ours(case, case.material(), small_plan(steps))
    loops |= {name: make() for name, make in peers(given(case, fresh, steps), options).items()}
    with FlopCounterMode(display=False) as counted:
        fresh.step(0)
    return dict(in_turns(loops)), counted.get_total_flops() / 1e12


def full_case(case: Case, options: argparse.Namespace) -> tuple[dict[str, Row | None], float]:
    """All loops on a transformer of full size, one after the other, and the TFLOP of a step."""
    known, steps = costs.of(str(case.base)), WARM_UP + TIMED
    plan, material = full_plan(case, 2_000), case.material()
    rows = {name: alone(partial(Ours, case, material, how)) for name, how in ways(plan, known.block_count).items()}
    ready = given(case, Ours(case, material, plan), steps)
    rows |= {name: alone(make) for name, make in peers(ready, options).items()}
    return rows, known.step_tflop(SIDE)


# --------------------------------------------------------------------------- telling


def told(case: Case, rows: Mapping[str, Row | None], tflop: float, rate: float) -> None:
    """One line a loop; seconds against the first that fits, and how far its losses are from that one's."""
    first = next(row for row in rows.values() if row is not None)
    print(f"\n{case.name}: {tflop:.4g} TFLOP a step, {tflop / rate:.3f} s at the rate of a matmul")
    print(f"{'':<44}{'s a step':>9}{'times':>7}{'of limit':>10}{'GiB':>7}{'first loss':>12}{'loss apart':>12}")
    for name, row in rows.items():
        if row is None:
            print(f"{name:<44}  does not fit")
            continue
        apart = max(abs(one - other) for one, other in zip(row.losses, first.losses, strict=True))
        memory = "-" if row.memory is None else f"{row.memory:.1f}"
        print(
            f"{name:<44}{row.seconds:9.3f}{row.seconds / first.seconds:7.2f}{tflop / rate / row.seconds:10.0%}"
            f"{memory:>7}{row.losses[0]:12.6f}{apart:12.1e}"
        )


def main() -> None:
    """Measure what the machine can, and print it."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu = torch.cuda.is_available()
    cases = FULL if gpu else SMALL
    reader.add_argument("--case", nargs="+", choices=list(cases), default=list(USUAL if gpu else SMALL))
    reader.add_argument("--own-targets", action="store_true", help="peers adapt the layers of their own defaults")
    reader.add_argument("--ai-toolkit", type=Path, help="a checkout whose network class is used")
    reader.add_argument("--no-start", action="store_true", help="leave out the preview's start")
    options = reader.parse_args()
    device = torch.device("cuda" if gpu else "cpu")
    if not gpu:
        torch.set_num_threads(1)
    what = torch.cuda.get_device_name() if gpu else "a CPU, on small transformers: nothing of full size, and no GPU"
    rate = matmul_rate(device)
    print(f"Measured on {what}. A matmul reaches {rate:.3g} TFLOP/s. torch {torch.__version__}.")
    for name in options.case:
        rows, tflop = full_case(cases[name], options) if gpu else small_case(cases[name], options)
        told(cases[name], rows, tflop, rate)
    if not options.no_start:
        train_step_start.measure()


if __name__ == "__main__":
    main()
