"""Training on more than one GPU: the configuration files that accelerate starts from.

FLUX.2-dev is split over the cards (FSDP2): each holds a part of every block's frozen weights and gathers a block when
it is at work. The other bases fit a card whole, and each card takes its own pictures (data parallel).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from loradeck.engines.local import arrangement as takes
from loradeck.engines.local import costs as facts
from loradeck.engines.local.machine import Machine
from loradeck.engines.local.planner import Plan, arrangement

SPLIT = {"flux2-dev": ("Flux2TransformerBlock", "Flux2SingleTransformerBlock")}
"""Bases that are split over the cards, with the classes of diffusers that are gathered one at a time."""

PRECISION = {"bfloat16": "bf16", "float32": "no"}


def configuration(plan: Plan, machine: Machine, base: str) -> str | None:
    """An accelerate configuration (YAML) for all GPUs of one machine; None where there are fewer than two.

    Use it as ``accelerate launch --config_file FILE ...``. A base that is split is held in `plan.dtype`,
    whatever the plan for one card says.
    """
    if machine.device != "cuda" or machine.gpus < 2:
        return None
    common = {
        "compute_environment": "LOCAL_MACHINE",
        "gpu_ids": "all",
        "main_training_function": "main",
        "mixed_precision": PRECISION[plan.dtype],
        "num_machines": 1,
        "num_processes": machine.gpus,
        "use_cpu": False,
    }
    if base not in SPLIT:
        said = f"{base} on {machine.gpus} GPUs: a whole copy on each, gradients of the LoRA are averaged."
        return _written(said, {**common, "distributed_type": "MULTI_GPU"})
    need = split_gb(plan, machine, base)
    offload = need > machine.vram_allowed
    said = (
        f"{base} split over {machine.gpus} GPUs: about {need:.1f} GB each, {machine.vram_allowed:.1f} may be used"
        + ("; the parts wait in RAM." if offload else ".")
    )
    return _written(said, {**common, "distributed_type": "FSDP", "fsdp_config": _fsdp(SPLIT[base], offload)})


def split_gb(plan: Plan, machine: Machine, base: str) -> float:
    """GB of each card's memory when the base is split and nothing waits in RAM.

    The weights are unquantised (a part of a quantised layer cannot be gathered); beside its own part a card holds the
    block at work and the next. The plan's batch and checkpointing are kept.
    """
    costs, how = facts.of(base), arrangement(plan)
    whole = replace(how, base="full", swapped=0)
    frozen, trained = takes.weights_gb(costs, whole), takes.adapter_gb(costs, whole)
    gathered = takes.resident_gb(costs, replace(whole, swapped=costs.block_count))
    work = takes.activations_gb(costs, whole, plan.ask.resolution, machine.device)
    return (frozen + trained) / machine.gpus + gathered + work + takes.OVERHEAD_GB


def _fsdp(classes: tuple[str, ...], offload: bool) -> dict[str, Any]:
    """FSDP2: a block a unit, frozen weights in bfloat16 and the LoRA in float32 as they are.

    Activation checkpointing stays off here: the engine checkpoints its blocks itself, as the plan says.
    """
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_transformer_layer_cls_to_wrap": ",".join(classes),
        "fsdp_reshard_after_forward": True,
        "fsdp_offload_params": offload,
        "fsdp_activation_checkpointing": False,
        "fsdp_cpu_ram_efficient_loading": True,
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    }


def _written(said: str, settings: dict[str, Any]) -> str:
    return f"# {said}\n{yaml.safe_dump(settings, sort_keys=True)}"
