"""LoRAs that other tools wrote: their names and scales are read, and what they change is what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.lora_conversion_utils import swap_scale_shift
from PIL import Image
from safetensors.torch import save_file
from support import tiny, tiny_flux1
from support.reporter import MemoryReporter

from loradeck.engines.base import DrawRequest, LoraRef
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.engines.local import families, lora_file, lora_header
from loradeck.engines.local.families.flux1 import FAMILY as FLUX1_FAMILY

ALPHA = 6.0

Modules = tuple[str, ...]
Matrices = dict[str, tuple[torch.Tensor, torch.Tensor]]
Dialect = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]


FLUX1 = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{part}" for part in "qkv"),
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"),
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "double_blocks.0.txt_attn.proj": ("transformer_blocks.0.attn.to_add_out",),
    "double_blocks.0.img_mlp.0": ("transformer_blocks.0.ff.net.0.proj",),
    "double_blocks.0.img_mlp.2": ("transformer_blocks.0.ff.net.2",),
    "double_blocks.0.txt_mlp.0": ("transformer_blocks.0.ff_context.net.0.proj",),
    "double_blocks.0.txt_mlp.2": ("transformer_blocks.0.ff_context.net.2",),
    "double_blocks.0.img_mod.lin": ("transformer_blocks.0.norm1.linear",),
    "single_blocks.1.linear1": (
        *(f"single_transformer_blocks.1.attn.to_{part}" for part in "qkv"),
        "single_transformer_blocks.1.proj_mlp",
    ),
    "single_blocks.1.linear2": ("single_transformer_blocks.1.proj_out",),
    "single_blocks.1.modulation.lin": ("single_transformer_blocks.1.norm.linear",),
}
KLEIN = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{part}" for part in "qkv"),
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"),
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "double_blocks.0.img_mlp.0": ("transformer_blocks.0.ff.linear_in",),
    "double_blocks.0.txt_mlp.2": ("transformer_blocks.0.ff_context.linear_out",),
    "single_blocks.1.linear1": ("single_transformer_blocks.1.attn.to_qkv_mlp_proj",),
    "single_blocks.1.linear2": ("single_transformer_blocks.1.attn.to_out",),
}


@dataclass(frozen=True)
class Case:
    """A family with a tiny transformer, and what its files' names stand for: modules by original name."""

    family: families.Family
    transformer: Any
    text: dict[str, torch.Tensor]
    shape: tuple[int, ...]
    originals: dict[str, Modules]

    def flow(self, transformer: Any) -> torch.Tensor:
        """The prediction for one noisy picture."""
        with torch.no_grad():
            return self.family.flow(transformer, noise(self.shape, 77), torch.tensor([0.4]), self.text)


def noise(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def flux1_case() -> Case:
    text = {"states": noise((1, 9, tiny_flux1.T5_WIDTH), 1), "pooled": noise((1, tiny_flux1.CLIP_WIDTH), 2)}
    return Case(FLUX1_FAMILY, tiny_flux1.transformer().eval(), text, (1, 4, 4, 4), FLUX1)


def klein_case() -> Case:
    text = {"states": noise((1, 9, 3 * tiny.TEXT_WIDTH), 1)}
    return Case(families.get("klein"), tiny.transformer().eval(), text, (1, 16, 2, 2), KLEIN)


@pytest.fixture(scope="module", params=[flux1_case, klein_case], ids=["flux1", "klein"])
def case(request: pytest.FixtureRequest) -> Case:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made: Case = request.param()
    return made


def kohya(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = "lora_unet_" + name.replace(".", "_")
    return {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(ALPHA)}


def bfl(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"diffusion_model.{name}.lora_A.weight": down, f"diffusion_model.{name}.lora_B.weight": up}


def bfl_with_alpha(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**bfl(name, down, up), f"diffusion_model.{name}.alpha": torch.tensor(ALPHA)}


def bfl_by_kohyas_endings(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    path = f"diffusion_model.{name}"
    return {f"{path}.lora_down.weight": down, f"{path}.lora_up.weight": up, f"{path}.alpha": torch.tensor(ALPHA)}


def fal(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}


def ai_toolkit(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}


def raw_peft(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"transformer.{name}.lora_A.default.weight": down, f"transformer.{name}.lora_B.default.weight": up}


def onetrainer(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = "lora_transformer_" + name.replace(".", "_")
    return {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(ALPHA)}


def by_module(originals: dict[str, Modules]) -> dict[str, Modules]:
    """What the names stand for in a dialect that knows no fused matrices."""
    return {module: (module,) for modules in originals.values() for module in modules}


def trained_elsewhere(transformer: Any, meant: dict[str, Modules]) -> Matrices:
    """A and B of every matrix, of rank 3 and 4 by turns."""
    made = {}
    for seed, (name, modules) in enumerate(meant.items()):
        layers = [transformer.get_submodule(module) for module in modules]
        rank, height = 3 + seed % 2, sum(layer.out_features for layer in layers)
        made[name] = noise((rank, layers[0].in_features), 2 * seed), noise((height, rank), 2 * seed + 1)
    return made


def merged(transformer: Any, meant: dict[str, Modules], matrices: Matrices, scaled: bool) -> Any:
    """A copy with W + scale B A for W, by hand; the rows of a fused matrix come in the order of its modules."""
    changed = deepcopy(transformer)
    with torch.no_grad():
        for name, (down, up) in matrices.items():
            scale = ALPHA / down.shape[0] if scaled else 1.0
            layers = [changed.get_submodule(module) for module in meant[name]]
            change = torch.split(scale * up @ down, [layer.out_features for layer in layers])
            for layer, rows in zip(layers, change, strict=True):
                layer.weight += rows
    return changed


def adapted(transformer: Any, file: lora_file.LoraFile) -> Any:
    """A copy with the LoRA on, as a drawing puts it on."""
    changed = deepcopy(transformer)
    changed.load_lora_adapter({f"transformer.{key}": value for key, value in file.weights.items()})
    return changed


def written(dialect: Dialect, matrices: Matrices, path: Path, **more: torch.Tensor) -> Path:
    """The LoRA as a tool writes it."""
    tensors: dict[str, torch.Tensor] = {}
    for name, (down, up) in matrices.items():
        tensors |= dialect(name, down, up)
    save_file({**tensors, **more}, path)
    return path


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
