"""LoRAs that other tools wrote: their names and scales are read, and what they change is what they say."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import swap_scale_shift
from PIL import Image
from safetensors.torch import save_file
from support import tiny, tiny_flux1
from support.dialects import (
    ALPHA,
    FLUX1,
    KLEIN,
    Case,
    Dialect,
    Modules,
    ai_toolkit,
    bfl,
    bfl_by_kohyas_endings,
    bfl_with_alpha,
    by_module,
    fal,
    flux1_case,
    klein_case,
    kohya,
    merged,
    noise,
    onetrainer,
    raw_peft,
    trained_elsewhere,
    written,
)
from support.reporter import MemoryReporter

from loradeck.engines.base import DrawRequest, LoraRef
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.engines.local import lora_file, lora_header


@pytest.fixture(scope="module", params=[flux1_case, klein_case], ids=["flux1", "klein"])
def case(request: pytest.FixtureRequest) -> Case:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made: Case = request.param()
    return made


def adapted(transformer: Any, file: lora_file.LoraFile) -> Any:
    """A copy with the LoRA on, as a drawing puts it on."""
    changed = deepcopy(transformer)
    changed.load_lora_adapter({f"transformer.{key}": value for key, value in file.weights.items()})
    return changed


def check_acts_as_merged(case: Case, dialect: Dialect, meant: dict[str, Modules], scaled: bool, path: Path) -> None:
    matrices = trained_elsewhere(case.transformer, meant)
    file = lora_file.read(written(dialect, matrices, path), case.family, case.transformer, "tiny")
    wanted = case.flow(merged(case.transformer, meant, matrices, scaled))
    assert file.left_out == ()
    assert float((case.flow(adapted(case.transformer, file)) - wanted).abs().max()) <= 1e-5
    assert float((wanted - case.flow(case.transformer)).abs().max()) > 1e-2


@pytest.mark.parametrize(
    ("dialect", "scaled"),
    [(kohya, True), (bfl, False), (bfl_with_alpha, True), (bfl_by_kohyas_endings, True), (fal, False)],
)
def test_a_lora_in_original_names_acts_as_its_matrices_merged_by_hand(
    dialect: Dialect, scaled: bool, case: Case, tmp_path: Path
) -> None:
    check_acts_as_merged(case, dialect, case.originals, scaled, tmp_path / "theirs.safetensors")


@pytest.mark.parametrize("dialect", [ai_toolkit, raw_peft])
def test_a_lora_in_module_names_acts_as_its_matrices_merged_by_hand(
    dialect: Dialect, case: Case, tmp_path: Path
) -> None:
    check_acts_as_merged(case, dialect, by_module(case.originals), False, tmp_path / "theirs.safetensors")


def test_a_lora_in_onetrainers_names_acts_as_its_matrices_merged_by_hand(tmp_path: Path) -> None:
    check_acts_as_merged(flux1_case(), onetrainer, by_module(FLUX1), True, tmp_path / "theirs.safetensors")


def test_the_last_layers_shift_and_scale_change_places(tmp_path: Path) -> None:
    case = flux1_case()
    layer = case.transformer.norm_out.linear
    down, up = noise((3, layer.in_features), 0), noise((layer.out_features, 3), 1)
    path = written(kohya, {"final_layer.adaLN_modulation.1": (down, up)}, tmp_path / "theirs.safetensors")
    file = lora_file.read(path, case.family, case.transformer, "tiny")
    change = file.weights["norm_out.linear.lora_B.weight"] @ file.weights["norm_out.linear.lora_A.weight"]
    assert torch.allclose(change, swap_scale_shift(up @ down * (ALPHA / 3)), atol=1e-6)


def flat_clip(rank: int) -> dict[str, torch.Tensor]:
    """What kohya writes of a CLIP layer."""
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1"
    down, up = torch.ones(rank, tiny_flux1.CLIP_WIDTH), torch.ones(tiny_flux1.CLIP_WIDTH, rank)
    return {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}


def test_a_text_encoders_part_is_left_out_and_told_where_it_is_drawn(tmp_path: Path) -> None:
    base = tiny_flux1.base(tmp_path / "weights")
    engine = tiny.engine(base)
    matrices = trained_elsewhere(tiny_flux1.transformer(), FLUX1)
    both = written(kohya, matrices, tmp_path / "both.safetensors", **flat_clip(2))
    alone = written(kohya, matrices, tmp_path / "alone.safetensors")

    def drawn(*loras: Path) -> tuple[bytes, tuple[str, ...]]:
        job = tiny.job(tmp_path / f"{len(list(tmp_path.iterdir()))}.png")
        refs = tuple(LoraRef(path, 1.0, "", base.name) for path in loras)
        told = engine.draw(DrawRequest(base.name, (job,), refs), MemoryReporter()).told
        with Image.open(job.out) as picture:
            return picture.tobytes(), told

    plain, _ = drawn()
    with_both, told = drawn(both)
    with_one, silent = drawn(alone)
    assert with_both == with_one != plain
    assert silent == ()
    (sentence,) = told
    assert "both.safetensors" in sentence
    assert "lora_te1_text_model_encoder_layers_0_mlp_fc1" in sentence
    assert "and 2 others" in sentence


def test_what_diffusers_passes_over_is_told(tmp_path: Path) -> None:
    case = klein_case()
    more = kohya("double_stream_modulation_img.lin", torch.ones(2, 32), torch.ones(8, 2))
    matrices = trained_elsewhere(case.transformer, KLEIN)
    path = written(kohya, matrices, tmp_path / "theirs.safetensors", **more)
    file = lora_file.read(path, case.family, case.transformer, "tiny")
    assert "diffusers does not know" in file.told(path.name)[0]


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        (flat_clip(2), "holds no LoRA"),
        (
            kohya("down_blocks.0.attentions.0.proj_in", torch.ones(2, 32), torch.ones(32, 2)),
            "do not belong|holds no LoRA",
        ),
        (kohya("double_blocks.30.img_mlp.0", torch.ones(2, 32), torch.ones(128, 2)), "another base"),
        (kohya("single_blocks.0.linear1", torch.ones(2, 32), torch.ones(100, 2)), "do not belong|another base"),
        ({**bfl("x", torch.ones(2, 4), torch.ones(4, 2)), "diffusion_model.x.dora_scale": torch.ones(4)}, "is a DoRA"),
        ({"lora_unet_single_blocks_0_linear2.lokr_w1": torch.ones(4, 4)}, "is a LoKr"),
        ({"lora_unet_single_blocks_0_linear2.hada_w1_a": torch.ones(4, 4)}, "is a LoHa"),
    ],
)
def test_what_cannot_be_drawn_with_is_refused_in_a_sentence(
    tensors: dict[str, torch.Tensor], told: str, case: Case, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "theirs.safetensors")
    with pytest.raises(BadWeights, match=rf"theirs\.safetensors.*({told}).*\.$"):
        lora_file.read(tmp_path / "theirs.safetensors", case.family, case.transformer, "tiny")


def test_scales_that_only_diffusers_metadata_tells_are_each_over_their_own_rank(tmp_path: Path) -> None:
    case = flux1_case()
    ranks = {"single_transformer_blocks.0.proj_out": 2, "single_transformer_blocks.1.proj_out": 4}
    tensors: dict[str, torch.Tensor] = {}
    for module, rank in ranks.items():
        layer = case.transformer.get_submodule(module)
        tensors |= ai_toolkit(module, torch.ones(rank, layer.in_features), torch.ones(layer.out_features, rank))

    def scales(**settings: object) -> list[float]:
        story = {f"transformer.{key}": value for key, value in settings.items()}
        save_file(tensors, tmp_path / "theirs.safetensors", {"lora_adapter_metadata": json.dumps(story)})
        file = lora_file.read(tmp_path / "theirs.safetensors", case.family, case.transformer, "tiny")
        return [float(file.weights[f"{module}.lora_B.weight"].max()) for module in ranks]

    assert scales(r=2, lora_alpha=8) == [4.0, 2.0]
    assert scales(r=2, lora_alpha=8, alpha_pattern={"single_transformer_blocks.1.proj_out": 1}) == [4.0, 0.25]
    assert scales(r=2, lora_alpha=8, use_rslora=True) == pytest.approx([8 / 2**0.5, 4.0])


def test_half_a_lora_is_told_whatever_its_metadata_says(tmp_path: Path) -> None:
    case = flux1_case()
    half = {"transformer.single_transformer_blocks.0.proj_out.lora_B.weight": torch.ones(32, 2)}
    story = json.dumps({"transformer.r": 2, "transformer.lora_alpha": 8})
    save_file(half, tmp_path / "half.safetensors", {"lora_adapter_metadata": story})
    with pytest.raises(BadWeights, match="half of one"):
        lora_file.read(tmp_path / "half.safetensors", case.family, case.transformer, "tiny")


def test_the_rank_to_continue_from_is_read_from_kohyas_names_without_the_text_encoders(tmp_path: Path) -> None:
    base = tiny_flux1.base(tmp_path / "weights")
    matrices = trained_elsewhere(tiny_flux1.transformer(), FLUX1)
    path = written(kohya, matrices, tmp_path / "theirs.safetensors", **flat_clip(9))
    assert lora_header.read(path).rank == 4
    engine = tiny.engine(base)
    with pytest.raises(BadSpec, match="set rank to 4 or more"):
        engine.check(tiny.spec(tmp_path, base_model=base.name, warm_start=path, rank=3))
