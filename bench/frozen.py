"""What a frozen base costs in each format: memory, error and time of a stack of linear layers, against full weights.

All formats are measured in turns on the same tensors, so that a busy machine slows all of them; medians are printed,
and their ratios to the full stack. The layers are those of a feed-forward: on the CPU 1024 wide with 512 tokens, on
CUDA 3072 wide with 4608 tokens, as FLUX has them at 1024 x 1024. Errors are of the whole stack against float32.

    python bench/frozen.py [ROUNDS] [--compile]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from loradeck.engines.local.frozen import FrozenLinear, multiplies_fp8

LAYERS = 4
WARM_UP = 2

Errors = dict[str, tuple[float, float]]


def full_stack(width: int) -> nn.Sequential:
    """Feed-forwards one after another, gaussian weights that keep the size of what passes."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(LAYERS // 2):
        layers += [nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    return nn.Sequential(*layers).requires_grad_(False)


def held(full: nn.Sequential, fmt: str) -> nn.Sequential:
    """The stack in a format; `fp8 scaled` multiplies float8 as such."""
    name, _, scaled = fmt.partition(" ")
    return nn.Sequential(
        *(
            FrozenLinear(layer, name, scaled=bool(scaled)) if isinstance(layer, nn.Linear) else layer  # type: ignore[arg-type]
            for layer in full
        )
    )


def mebibytes(stack: nn.Module) -> float:
    return sum(tensor.nbytes for tensor in (*stack.parameters(), *stack.buffers())) / 2**20


def away(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.float() - wanted.float()).norm() / wanted.float().norm()).item()


def passes(stack: nn.Module, rows: torch.Tensor, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Output, and gradient to the input."""
    rows = rows.clone().requires_grad_()
    out = stack(rows)
    (found,) = torch.autograd.grad(out, rows, grad)
    return out.detach(), found


def seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def errors_of(stacks: dict[str, nn.Module], exact: nn.Module, tokens: tuple[torch.Tensor, torch.Tensor]) -> Errors:
    """How far output and gradient of each stack are from those in float32."""
    wanted = passes(exact, *(tensor.float() for tensor in tokens))
    found = {fmt: passes(stack, *tokens) for fmt, stack in stacks.items()}
    return {fmt: (away(out, wanted[0]), away(gradient, wanted[1])) for fmt, (out, gradient) in found.items()}


def times_of(
    stacks: dict[str, nn.Module], tokens: tuple[torch.Tensor, torch.Tensor], rounds: int
) -> dict[str, tuple[float, float]]:
    """Median seconds of a pass forward alone, and forward and back."""
    device = tokens[0].device
    taken: dict[str, tuple[list[float], list[float]]] = {fmt: ([], []) for fmt in stacks}
    for _ in range(WARM_UP + rounds):
        for fmt, stack in stacks.items():
            with torch.no_grad():
                taken[fmt][0].append(seconds(partial(stack, tokens[0]), device))
            taken[fmt][1].append(seconds(partial(passes, stack, *tokens), device))
    return {
        fmt: (statistics.median(forward[WARM_UP:]), statistics.median(both[WARM_UP:]))
        for fmt, (forward, both) in taken.items()
    }


def main(rounds: int, compiled: bool) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    width, count = (3072, 4608) if device.type == "cuda" else (1024, 512)
    exact = full_stack(width).to(device)
    generator = torch.Generator().manual_seed(1)
    rows, grad = (torch.randn(1, count, width, generator=generator).to(device, torch.bfloat16) for _ in range(2))
    formats = ["int8", "fp8", "fp8 scaled", "nf4"]
    if device.type == "cuda" and not multiplies_fp8(device):
        formats.remove("fp8 scaled")
    stacks: dict[str, nn.Module] = {"full": full_stack(width).to(device, torch.bfloat16)}
    stacks |= {fmt: held(exact, fmt) for fmt in formats}
    errors = errors_of(stacks, exact, (rows, grad))
    run = {fmt: torch.compile(stack) if compiled else stack for fmt, stack in stacks.items()}
    times = times_of(run, (rows, grad), rounds)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{LAYERS} layers, {width} x {4 * width}, {count} tokens, bfloat16, torch {torch.__version__}, {name}")
    print(f"{'format':<12}{'MiB':>8}{'output':>9}{'gradient':>10}{'forward':>18}{'forward + back':>18}")
    for fmt, stack in stacks.items():
        line = f"{fmt:<12}{mebibytes(stack):8.1f}{errors[fmt][0]:9.2%}{errors[fmt][1]:10.2%}"
        for middle, base in zip(times[fmt], times["full"], strict=True):
            line += f"{1000 * middle:9.1f} ms x{middle / base:4.2f}"
        print(line)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(numbers[0] if numbers else 9, "--compile" in sys.argv)
