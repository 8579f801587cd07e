"""The loops that `bench/train_step.py` holds against each other learn the same."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from train_step import SMALL, peers, small_plan, ways
from train_step_loops import SCRIPT_TARGETS, AiToolkit, Case, DiffusersScript, Given, Ours, given

STEPS = 2
AS_SHIPPED = Namespace(own_targets=False, ai_toolkit=None)


@pytest.fixture(params=SMALL.values(), ids=SMALL.keys(), scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    torch.set_num_threads(1)
    found: Case = request.param
    channels = found.latents[0]
    return replace(found, latents=(channels, 4, 4))


@pytest.fixture(scope="module")
def losses(case: Case) -> dict[str, list[float]]:
    """The losses of two steps of every loop, on pictures of a few tokens."""
    plan = small_plan(STEPS)
    loops = {name: Ours(case, case.material(), how) for name, how in ways(plan, blocks=8).items()}
    ready = given(case, Ours(case, case.material(), plan), STEPS)
    every = {**loops, **{name: make() for name, make in peers(ready, AS_SHIPPED).items()}}
    return {name: [float(loop.step(i)) for i in range(STEPS)] for name, loop in every.items()}


def test_all_loops_have_the_same_losses(losses: dict[str, list[float]]) -> None:
    ours = losses["loradeck, no checkpointing"]
    assert len(losses) == 6
    assert ours[0] != pytest.approx(ours[1], abs=1e-3)
    assert all(found == pytest.approx(ours, abs=1e-5) for found in losses.values())


@pytest.fixture
def ready(case: Case) -> Given:
    return given(case, Ours(case, case.material(), small_plan(1)), 1)


def test_peers_may_adapt_the_layers_of_their_own_defaults(ready: Given) -> None:
    own = Namespace(own_targets=True, ai_toolkit=None)
    script, checkpointed, toolkit = (make() for make in peers(ready, own).values())
    losses = [float(loop.step(0)) for loop in (script, checkpointed, toolkit)]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)
    assert isinstance(script, DiffusersScript)
    assert isinstance(toolkit, AiToolkit)
    asked = SCRIPT_TARGETS[ready.case.family].split()
    adapted = [name for name, _ in script.transformer.named_parameters() if "lora_A" in name]
    assert all(any(f"{layer}.lora_A" in name for layer in asked) for name in adapted)
    assert len(toolkit.trained) > 2 * len(adapted)
