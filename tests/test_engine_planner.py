"""A plan fits its machine, is the fastest that does, and goes down a rung when memory runs out."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from hypothesis import given, settings
from hypothesis import strategies as st
from support import machines, published
from torch import nn

from loradeck.engines.errors import BadSpec
from loradeck.engines.local import arrangement as takes
from loradeck.engines.local import costs, machine, planner, spread
from loradeck.engines.local.arrangement import Arrangement
from loradeck.engines.local.machine import Machine
from loradeck.engines.local.planner import Plan

ROOT = Path(__file__).parents[1]
H100 = machines.card("H100", 80, (9, 0))
RTX_4090 = machines.card("RTX 4090", 24, (8, 9))
RTX_3060 = machines.card("RTX 3060", 12, (8, 6))
CPU = Machine("cpu", "CPU with 8 cores", 0, 0, 128, 120, 200, tflops=0.64)
APPLE = Machine("mps", "Apple chip", 48, 48, 64, 56, 200, gpus=1)


def planned(where: Machine, base: str = "flux2-klein-4b", **changes: int) -> Plan:
    """The plan for one base, asked as the page asks."""
    return planner.plan(where, costs.of(base), **{**machines.ASKED, **changes})


def down(first: Plan) -> list[Plan]:
    """All rungs from a plan on, itself first."""
    rungs = [first]
    while (lower := planner.lower(rungs[-1])) is not None:
        rungs.append(lower)
        assert len(rungs) < 20
    return rungs


# --------------------------------------------------------------------------- facts

every_base = pytest.mark.parametrize("base", costs.BASES)


@every_base
def test_parameters_and_blocks_are_those_of_the_published_configuration(base: str) -> None:
    transformer, known = published.meta(published.TRANSFORMERS[base]), costs.of(base)

    def quantised(name: str, layer: nn.Linear) -> bool:
        modulation = any(part.startswith(("norm", "adaLN")) for part in name.split("."))
        return layer.weight.numel() >= 2**16 and not modulation

    assert published.parameters(transformer) == known.parameters
    assert published.kinds(transformer, quantised) == [(k.count, k.parameters, k.linear) for k in known.blocks]


@every_base
def test_width_heads_and_what_the_transformer_reads_are_those_of_the_published_configuration(base: str) -> None:
    config, known = published.meta(published.TRANSFORMERS[base]).config, costs.of(base)
    if base.startswith("z-image"):
        assert (config.dim, config.n_heads, config.cap_feat_dim) == (known.width, known.heads, known.text_width)
    else:
        width = config.num_attention_heads * config.attention_head_dim
        assert (width, config.num_attention_heads, config.joint_attention_dim) == (
            known.width,
            known.heads,
            known.text_width,
        )


@pytest.mark.parametrize("base", published.TEXT_ENCODERS)
def test_encoders_and_vaes_have_as_many_parameters_as_is_said(base: str) -> None:
    known = costs.of(base)
    assert published.parameters(published.meta(published.TEXT_ENCODERS[base])) == known.text_parameters
    assert published.parameters(published.meta(published.VAES[base])) == known.vae_parameters


@pytest.mark.parametrize("base", published.TEXT_ENCODERS)
def test_a_lora_has_as_many_parameters_a_rank_as_is_said(base: str) -> None:
    assert published.lora(base) == costs.of(base).lora


def test_operations_and_activations_of_a_step_are_counted_again_on_klein_4b() -> None:
    known, counted = costs.of("flux2-klein-4b"), published.step("flux2-klein-4b", 512)
    assert counted.both == pytest.approx(known.tflop[0], rel=0.005)
    assert counted.forward == pytest.approx(known.forward_tflop(512), rel=0.02)
    share = costs.tokens(512) / costs.tokens(1024)
    assert 1.12 * counted.kept_gib == pytest.approx(known.activations * share, rel=0.01)


@pytest.mark.slow
def test_operations_and_activations_of_a_step_are_counted_again_on_z_image() -> None:
    known, counted = costs.of("z-image"), published.step("z-image", 1024)
    assert counted.both == pytest.approx(known.tflop[2], rel=0.002)
    assert counted.forward == pytest.approx(known.forward_tflop(1024), rel=0.01)
    assert 1.12 * counted.kept_gib == pytest.approx(known.activations, rel=0.015)


@pytest.mark.parametrize("base", ["flux1-dev", "flux2-dev"])
def test_decoding_a_picture_takes_as_much_as_is_said(base: str) -> None:
    assert published.decoding_gib(base, 1024) == pytest.approx(takes.DECODE_GB, rel=0.02)


@every_base
def test_operations_between_the_counted_sizes_are_interpolated_within_one_percent(base: str) -> None:
    known = costs.of(base)
    assert [known.step_tflop(side) for side in costs.COUNTED_AT] == pytest.approx(known.tflop, rel=0.01)


def test_every_fact_says_where_it_comes_from() -> None:
    assert {*costs.SOURCES, "base"} == set(costs.Costs.__dataclass_fields__)


def test_an_unknown_base_is_told_with_the_nearest_name() -> None:
    with pytest.raises(BadSpec, match="did you mean 'flux1-dev'"):
        costs.of("flux-1-dev")


# --------------------------------------------------------------------------- the formulas against what is published


def arranged(base: str = "full", checkpointed: int = 0, **changes: Any) -> Arrangement:
    """One way in bfloat16, batch 1, rank 16."""
    return replace(Arrangement("bfloat16", base, checkpointed, 0, 1, 1, 16), **changes)  # type: ignore[arg-type]


PUBLISHED_GIB = {
    "flux1-dev": (27.6, 22.3),
    "flux2-klein-4b": (17.8, 7.2),
    "flux2-klein-9b": (30.1, 17.0),
    "flux2-dev": (80.6, 60.2),
}
"""Activations without checkpointing at 1024, and weights in bfloat16, counted on whole steps by others."""


@pytest.mark.parametrize("base", PUBLISHED_GIB)
def test_weights_and_activations_are_within_two_percent_of_the_published_ones(base: str) -> None:
    activations, weights = PUBLISHED_GIB[base]
    assert costs.of(base).activations == pytest.approx(activations, rel=0.02)
    assert takes.weights_gb(costs.of(base), arranged()) == pytest.approx(weights, rel=0.02)


def test_with_every_block_checkpointed_a_pass_keeps_what_the_formula_says() -> None:
    known = costs.of("flux2-klein-4b")
    two, six = (replace(kind, count=count) for kind, count in zip(known.blocks, (2, 6), strict=True))
    short = replace(known, blocks=(two, six))
    at_work = 2 * six.activations * costs.tokens(512) / costs.tokens(1024)
    formula = takes.activations_gb(short, arranged(checkpointed=8), 512, "cuda") - at_work
    assert published.step("short flux2-klein-4b", 512, checkpointed=True).kept_gib == pytest.approx(formula, rel=0.2)


@pytest.mark.parametrize(
    ("chip", "capability", "base", "format_", "seconds"),
    [
        ("H200", (9, 0), "flux2-klein-9b", "full", 0.84),
        ("RTX 4090", (8, 9), "flux1-dev", "nf4", 3.5),
        ("RTX A6000", (8, 6), "flux1-dev", "full", 8.25),
    ],
)
def test_published_steps_of_other_trainers_are_within_a_factor_of_two(
    chip: str, capability: tuple[int, int], base: str, format_: str, seconds: float
) -> None:
    known, peak = costs.of(base), machine.matmul_tflops(chip, capability)
    estimate = takes.step_seconds(known, arranged(format_, known.block_count), 1024, peak)
    assert 0.5 < estimate / seconds < 2


@every_base
@pytest.mark.parametrize("format_", ["fp8", "int8", "nf4"])
def test_a_small_format_saves_what_its_bits_say_of_the_layers_that_it_holds(base: str, format_: str) -> None:
    known = costs.of(base)
    linear = sum(kind.count * kind.linear for kind in known.blocks)
    bits = {"fp8": 8, "int8": 8, "nf4": 4.25}[format_]
    saved = takes.weights_gb(known, arranged()) - takes.weights_gb(known, arranged(format_))
    assert saved * 2**30 == pytest.approx(linear * (16 - bits) / 8, rel=0.005)


def test_a_block_that_waits_in_ram_is_not_on_the_chip_and_two_of_them_are_at_a_time() -> None:
    known = costs.of("flux2-klein-4b")
    each = known.blocks[-1].parameters * 2 / 2**30
    before, after = (takes.resident_gb(known, arranged(swapped=count)) for count in (0, 10))
    assert before - after == pytest.approx(8 * each)
    assert takes.swapped_gb(known, arranged(swapped=10)) == pytest.approx(10 * each)


def test_attention_scores_are_counted_on_an_apple_chip() -> None:
    known = costs.of("flux2-klein-4b")
    apple, cuda = (takes.activations_gb(known, arranged(), 1024, device) for device in ("mps", "cuda"))  # type: ignore[arg-type]
    scores = known.heads * costs.tokens(1024) ** 2 * 4 / 2**30
    assert apple - cuda == pytest.approx((known.block_count + 1) * scores)


# --------------------------------------------------------------------------- plans

bases = st.sampled_from(list(costs.BASES))
asked = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 6), "rank": st.sampled_from([4, 16, 64]), "resolution": st.sampled_from([512, 1024])}
)


@st.composite
def any_machine(draw: st.DrawFn) -> Machine:
    """A machine with a card, an Apple chip or neither; memory in steps in which plans change."""
    memory, ram = draw(st.integers(6, 96)), draw(st.integers(12, 192))
    kind = draw(st.sampled_from(["old card", "card", "apple", "cpu"]))
    if kind == "apple":
        return Machine("mps", "Apple chip", ram * 0.7, ram * 0.7, ram, ram * 0.9, 100, gpus=1)
    if kind == "cpu":
        return Machine("cpu", "CPU", 0, 0, ram, ram * 0.9, 100, tflops=0.5)
    return machines.card("RTX 4090", memory, (8, 9) if kind == "card" else (7, 5), ram)


def plan_or_none(where: Machine, base: str, **changes: int) -> Plan | None:
    try:
        return planned(where, base, **changes)
    except BadSpec:
        return None


def pace(found: Plan) -> float:
    """Seconds of a step, were the chip one of 1 TFLOP/s where its speed is not known."""
    known = costs.of(found.ask.model)
    peak = found.machine.tflops or 1.0
    return takes.step_seconds(known, planner.arrangement(found), found.ask.resolution, peak)


@given(any_machine(), bases, asked)
@settings(max_examples=40, deadline=None)
def test_a_plan_never_exceeds_the_machine_and_keeps_the_batch(where: Machine, base: str, ask: dict[str, int]) -> None:
    found = plan_or_none(where, base, **ask)
    if found is not None:
        assert found.vram_gb <= where.vram_free_gb
        assert found.ram_gb <= where.ram_free_gb
        assert found.disk_gb <= where.disk_gb
        assert found.batch_size * found.accumulation == ask["batch_size"]
        assert found.rank == ask["rank"]


@given(any_machine(), bases, asked, st.integers(0, 24), st.integers(0, 64))
@settings(max_examples=40, deadline=None)
def test_more_memory_never_gives_a_slower_plan_nor_fewer_bits(
    where: Machine, base: str, ask: dict[str, int], more: int, more_ram: int
) -> None:
    larger = replace(
        where,
        vram_free_gb=where.vram_free_gb + more,
        vram_gb=where.vram_gb + more,
        ram_free_gb=where.ram_free_gb + more_ram,
        ram_gb=where.ram_gb + more_ram,
    )
    before, after = plan_or_none(where, base, **ask), plan_or_none(larger, base, **ask)
    if before is not None:
        assert after is not None
        assert pace(after) <= pace(before)
        order = ["full", "fp8", "int8", "nf4"]
        assert order.index(after.base) <= order.index(before.base)


@given(any_machine(), bases, asked)
@settings(max_examples=25, deadline=None)
def test_going_down_ends_and_no_rung_needs_more_memory_or_another_batch(
    where: Machine, base: str, ask: dict[str, int]
) -> None:
    first = plan_or_none(where, base, **ask)
    if first is None:
        return
    rungs = down(first)
    for before, after in pairwise(rungs):
        assert after.vram_gb <= before.vram_gb
        assert after.ram_gb <= (max(before.ram_gb, where.ram_allowed) if where.device == "cuda" else before.ram_gb)
        assert after.batch_size * after.accumulation == ask["batch_size"]
        assert after.why[0].startswith("Memory ran out: ")
        assert planner.arrangement(after) != planner.arrangement(before)


def test_a_large_card_trains_in_bf16_without_checkpointing_and_compiles() -> None:
    found = planned(H100, "flux1-dev")
    assert (found.dtype, found.base, found.checkpointing, found.swapped_blocks) == ("bfloat16", "full", "none", 0)
    assert found.compile
    assert found.encoders == "device"


def test_a_short_training_is_not_compiled() -> None:
    assert not planned(H100, "flux1-dev", steps=100, checkpoint_every=50).compile


def test_eight_bits_are_fp8_where_the_chip_multiplies_it_and_int8_elsewhere() -> None:
    assert planned(RTX_4090, "flux1-dev").base == "fp8"
    assert planned(RTX_3060, "flux2-klein-4b").base == "int8"


def test_as_few_blocks_are_checkpointed_as_memory_asks() -> None:
    found = planned(RTX_4090)
    assert found.checkpointing == "selective"
    fewer = replace(planner.arrangement(found), checkpointed=found.checkpointed_blocks - 1)
    assert takes.training_gb(costs.of("flux2-klein-4b"), fewer, 1024, "cuda") > RTX_4090.vram_allowed


def test_a_batch_is_taken_in_parts_before_the_base_loses_bits() -> None:
    found = planned(RTX_4090, batch_size=4)
    assert (found.base, found.batch_size, found.accumulation) == ("full", 1, 4)


def test_blocks_wait_in_ram_only_where_four_bits_do_not_fit() -> None:
    found = planned(RTX_4090, "flux2-dev")
    assert (found.base, found.checkpointing) == ("nf4", "full")
    assert found.swapped_blocks > 0
    fewer = replace(planner.arrangement(found), swapped=found.swapped_blocks - 1)
    assert takes.training_gb(costs.of("flux2-dev"), fewer, 1024, "cuda") > RTX_4090.vram_allowed


def test_text_is_encoded_on_the_cpu_where_the_card_is_too_small_for_the_encoder() -> None:
    found = planned(RTX_4090, "flux2-dev")
    assert found.encoders == "cpu"
    assert found.ram_gb > costs.of("flux2-dev").text_parameters * 2 / 2**30


def test_the_peak_of_encoding_text_on_the_card_is_counted() -> None:
    found = planned(machines.card("H100", 56, (9, 0)), "flux2-dev", resolution=512)
    assert found.encoders == "device"
    assert found.vram_gb >= costs.of("flux2-dev").text_parameters * 2 / 2**30


def test_a_cpu_trains_in_float32_in_its_ram_and_compiles_nothing() -> None:
    found = planned(CPU)
    assert (found.device, found.dtype, found.base, found.compile) == ("cpu", "float32", "full", False)
    assert found.vram_gb == 0
    assert found.ram_gb > costs.of("flux2-klein-4b").parameters * 4 / 2**30


def test_an_apple_chip_trains_in_bf16_or_int8_without_swapping_or_compiling() -> None:
    assert {(one.dtype, one.compile, one.swapped_blocks) for one in down(planned(APPLE))} == {("bfloat16", False, 0)}
    assert {one.base for one in down(planned(APPLE))} == {"full", "int8"}
    assert planned(APPLE).seconds_per_step is None


def test_a_card_without_bf16_trains_in_float32_and_as_slowly_as_it_multiplies_that() -> None:
    old, new = machines.card("T4", 16, (7, 5)), machines.card("A10", 24, (8, 6))
    assert (planned(old).dtype, planned(new).dtype) == ("float32", "bfloat16")
    assert old.tflops == 8.1


@pytest.mark.parametrize(
    ("where", "base", "says"),
    [
        (machines.card("RTX 3060", 6, (8, 6)), "flux1-dev", "of the chip's memory .* such as flux2-klein-4b"),
        (machines.card("RTX 4090", 24, (8, 9), ram_gb=32), "flux2-dev", "text encoder .* 48.7 GB of RAM.* a machine"),
        (replace(CPU, ram_free_gb=36), "flux2-klein-9b", "text encoder"),
        (replace(CPU, ram_free_gb=44), "flux2-klein-9b", r"about .* of RAM"),
        (replace(H100, disk_gb=1), "flux2-klein-4b", "of disk.*checkpoint_every"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_what_to_do(where: Machine, base: str, says: str) -> None:
    with pytest.raises(BadSpec, match=says):
        planned(where, base)


def test_the_rungs_come_in_the_order_of_the_rulebook() -> None:
    rungs = down(planned(H100, batch_size=2))
    assert [(one.batch_size, one.rank, one.base, one.checkpointing, one.swapped_blocks) for one in rungs] == [
        (2, 16, "full", "none", 0),
        (1, 16, "full", "none", 0),
        (1, 8, "full", "none", 0),
        (1, 8, "fp8", "none", 0),
        (1, 8, "nf4", "none", 0),
        (1, 8, "nf4", "full", 0),
        (1, 8, "nf4", "full", 12),
        (1, 8, "nf4", "full", 25),
    ]


def test_a_plan_is_told_in_plain_words() -> None:
    assert planner.told(planned(RTX_4090, batch_size=4)).startswith(
        "RTX 4090, 24 GB: flux2-klein-4b held in bf16, 10 of 25 blocks checkpointed, batch 1 x 4; about 22.0 GB of its"
    )
    assert planner.told(planned(APPLE)).endswith("is known after the first ones.")
    assert "GB of RAM" in planner.told(planned(CPU))


def test_every_choice_has_its_reason_with_numbers() -> None:
    why = planned(RTX_4090, "flux2-dev", batch_size=2).why
    told = " ".join(why)
    for part in ("may be used", "nf4", "computed again", "at a time", "wait in RAM", "Text is encoded", "TFLOP/s"):
        assert part in told
    assert all(one.endswith(".") for one in why)


def test_a_plan_that_was_stored_as_json_is_the_same_plan() -> None:
    found = planned(RTX_4090, "flux2-dev")
    assert planner.restored(json.loads(json.dumps(planner.stored(found)))) == found


def test_planning_loads_no_torch() -> None:
    names = ("torch", "diffusers", "numpy", "PIL")
    code = (
        "import sys; from loradeck.engines.local import machine, planner, spread; "
        f"print([n for n in {names!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --------------------------------------------------------------------------- the machine


def test_this_machine_is_seen_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_DEVICE", "cpu")
    found = machine.detect(tmp_path / "not" / "yet")
    assert found.device == "cpu"
    assert found.ram_gb == pytest.approx(psutil.virtual_memory().total / 2**30)
    assert found.disk_gb > 0
    assert not found.has_fp8


def test_a_device_that_is_not_one_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_DEVICE", "gpu")
    with pytest.raises(BadSpec, match="'gpu'; set it to cuda, mps or cpu"):
        machine.detect(tmp_path)


def test_a_device_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("LORADECK_DEVICE", "mps")
    with pytest.raises(BadSpec, match="asks for mps, which torch does not find"):
        machine.detect(tmp_path)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cards of Ada's generation, as torch would tell of them."""
    monkeypatch.delenv("LORADECK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (20 * 2**30, 24 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce RTX 4090")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 9))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("fake_cuda")
def test_cuda_is_chosen_by_itself_with_what_its_chip_can(tmp_path: Path) -> None:
    found = machine.detect(tmp_path)
    assert (found.device, found.gpus, found.has_fp8, found.bf16) == ("cuda", 2, True, True)
    assert (found.vram_gb, found.vram_free_gb, found.tflops) == (24, 20, 165.2)


def test_an_apple_chip_is_chosen_where_there_is_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORADECK_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 8 * 2**30)
    found = machine.detect(tmp_path)
    assert (found.device, found.vram_gb, found.tflops) == ("mps", 8, None)


@pytest.mark.parametrize(
    ("name", "capability", "tflops"),
    [
        ("NVIDIA GeForce RTX 4080 SUPER", (8, 9), 104.4),
        ("NVIDIA A100-SXM4-80GB", (8, 0), 312),
        ("NVIDIA H100 PCIe", (9, 0), 756),
        ("NVIDIA L40S", (8, 9), 362),
        ("NVIDIA RTX 6000 Ada Generation", (8, 9), 364.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", (8, 9), 82.6),
        ("something newer", (12, 0), 90),
        ("something older", (6, 1), 5),
    ],
)
def test_a_chip_is_as_fast_as_its_sheet_says(name: str, capability: tuple[int, int], tflops: float) -> None:
    assert machine.matmul_tflops(name, capability) == tflops


# --------------------------------------------------------------------------- more than one GPU


def read_by_accelerate(text: str, folder: Path) -> Any:
    path = folder / "accelerate.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config_from_file(str(path))


def test_one_gpu_needs_no_configuration() -> None:
    assert spread.configuration(planned(RTX_4090), RTX_4090, "flux2-klein-4b") is None
    assert spread.configuration(planned(CPU), CPU, "flux2-klein-4b") is None


def test_flux2_dev_is_split_over_the_cards_a_block_at_a_time(tmp_path: Path) -> None:
    four = replace(H100, gpus=4)
    text = spread.configuration(planned(four, "flux2-dev"), four, "flux2-dev")
    assert text is not None
    config = read_by_accelerate(text, tmp_path)
    assert config.distributed_type == DistributedType.FSDP
    assert (config.num_processes, config.mixed_precision) == (4, "bf16")
    assert config.fsdp_config["fsdp_version"] == 2
    wrapped = config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"].split(",")
    assert wrapped == published.meta(published.TRANSFORMERS["flux2-dev"])._no_split_modules
    assert not config.fsdp_config["fsdp_offload_params"]


def test_parts_wait_in_ram_where_the_cards_together_are_too_small() -> None:
    two = replace(RTX_4090, gpus=2)
    text = spread.configuration(planned(two, "flux2-dev"), two, "flux2-dev")
    assert text is not None
    assert yaml.safe_load(text)["fsdp_config"]["fsdp_offload_params"]


def test_the_other_bases_are_copied_to_each_card(tmp_path: Path) -> None:
    two = replace(RTX_4090, gpus=2)
    text = spread.configuration(planned(two), two, "flux2-klein-4b")
    assert text is not None
    config = read_by_accelerate(text, tmp_path)
    assert (config.distributed_type, config.num_processes) == (DistributedType.MULTI_GPU, 2)


# --------------------------------------------------------------------------- the page


def test_the_page_of_machines_is_current() -> None:
    page = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
    assert page == machines.page(), "run: python tests/support/machines.py docs/machines.md"
