"""What a host gives back: a LoRA, judged and written so that diffusers and ComfyUI load it; pictures it withheld."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux3ModularPipeline, FluxPipeline, WanPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import dialects, tiny, tiny_flux1, tiny_flux3, tiny_wan, tiny_zimage
from support.dialects import ALPHA, Dialect, Matrices, Modules
from support.published import TRANSFORMERS, meta

from loradeck.engines import tensor_file
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.engines.hosted import bases
from loradeck.engines.hosted.bases import BASES, Architecture
from loradeck.engines.hosted.blank import judge
from loradeck.engines.hosted.returned import Accepted, accept
from loradeck.engines.local import families, full_size, lora_file
from loradeck.engines.tensor_numbers import Numbers, of_floats

ZIMAGE: dict[str, Modules] = {
    "layers.1.attention.qkv": tuple(f"layers.1.attention.to_{part}" for part in "qkv"),
    "layers.1.attention.out": ("layers.1.attention.to_out.0",),
    "layers.0.feed_forward.w1": ("layers.0.feed_forward.w1",),
    "layers.0.feed_forward.w2": ("layers.0.feed_forward.w2",),
    "layers.1.adaLN_modulation.0": ("layers.1.adaLN_modulation.0",),
    "noise_refiner.0.attention.qkv": tuple(f"noise_refiner.0.attention.to_{part}" for part in "qkv"),
    "context_refiner.0.attention.out": ("context_refiner.0.attention.to_out.0",),
}
WAN: dict[str, Modules] = {
    **{
        f"blocks.1.{attn}.{part}": (f"blocks.1.{module}.{name}",)
        for attn, module in (("self_attn", "attn1"), ("cross_attn", "attn2"))
        for part, name in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"))
    },
    "blocks.0.ffn.0": ("blocks.0.ffn.net.0.proj",),
    "blocks.0.ffn.2": ("blocks.0.ffn.net.2",),
}
FLUX3: dict[str, Modules] = {
    "content_mode_blocks.image.0.q_proj": ("mode_blocks.image.0.attn.to_q",),
    "txt_mode_blocks.0.v_proj": ("txt_mode_blocks.0.attn.to_v",),
    "single_blocks.1.attn_out": ("single_transformer_blocks.1.attn.to_out.0",),
    "single_blocks.1.mlp_in": ("single_transformer_blocks.1.ff.linear_in",),
}

TINY: dict[str, Architecture] = {
    "flux1-dev": bases.flux1(32, 1, 2, text=tiny_flux1.T5_WIDTH, pooled=tiny_flux1.CLIP_WIDTH, channels=16),
    "flux2-klein-4b": bases.flux2("tiny", 32, 1, 2, 48, channels=16, mlp=2, guided=False, clock=16),
    "flux3-klein": bases.flux3(32, 1, 2, mlp=2),
    "z-image": bases.z_image(32, 2, 1, text=tiny.TEXT_WIDTH, channels=16),
    "wan-2.2": bases.wan(24, 2, 40, text=16, channels=16),
}


@dataclass(frozen=True)
class Tiny:
    """A base with a tiny transformer. `originals` are names of the original model, with the modules that they are.

    `pipeline` makes a tiny pipeline, or, where it is not `whole`, is the class of one.
    """

    base: str
    transformer: Callable[[], Any]
    pipeline: Any
    originals: dict[str, Modules]
    family: str | None = None
    whole: bool = True

    @property
    def by_module(self) -> dict[str, Modules]:
        return dialects.by_module(self.originals)


CASES = {
    "flux1": Tiny("flux1-dev", tiny_flux1.transformer, tiny_flux1.pipeline, dialects.FLUX1, "flux1"),
    "klein": Tiny("flux2-klein-4b", tiny.transformer, tiny.pipeline, dialects.KLEIN, "klein"),
    "flux3": Tiny("flux3-klein", tiny_flux3.transformer, Flux3ModularPipeline, FLUX3, "flux3", whole=False),
    "zimage": Tiny("z-image", tiny_zimage.transformer, tiny_zimage.pipeline, ZIMAGE, "zimage"),
    "wan": Tiny("wan-2.2", tiny_wan.transformer, WanPipeline, WAN, whole=False),
}


@cache
def model(name: str) -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return CASES[name].transformer()


Changes = dict[str, torch.Tensor]


def meant_changes(name: str, meant: dict[str, Modules], matrices: Matrices, scaled: bool) -> Changes:
    """What the matrices add to each module's weight, reckoned by hand."""
    found: Changes = {}
    for path, (down, up) in matrices.items():
        change = (ALPHA / down.shape[0] if scaled else 1.0) * up @ down
        found |= cut(name, meant[path], change)
    return found


def cut(name: str, modules: Modules, change: torch.Tensor) -> Changes:
    """The rows of an original model's matrix that belong to each module."""
    rows = [model(name).get_submodule(module).out_features for module in modules]
    return dict(zip(modules, torch.split(change, rows), strict=True))


@cache
def pipeline(name: str) -> Any:
    return CASES[name].pipeline()


def by_diffusers(name: str, path: Path) -> Changes:
    """What diffusers, given the file alone, adds to each module's weight."""
    case = CASES[name]
    if case.whole:
        pipeline(name).load_lora_weights(path, adapter_name="theirs")
        transformer = pipeline(name).transformer
    else:
        transformer = case.transformer()
        transformer.load_lora_adapter(case.pipeline.lora_state_dict(path), adapter_name="theirs")
    layers = {key: layer for key, layer in transformer.named_modules() if hasattr(layer, "get_delta_weight")}
    found = {key: layer.get_delta_weight("theirs").detach() for key, layer in layers.items()}
    transformer.unload_lora()
    return found


def by_comfyui(name: str, path: Path) -> Changes:
    """What ComfyUI adds: `model_lora_keys_unet` (comfy/lora.py) knows these names alone, and drops all others."""
    tensors, found = load_file(path), Changes()
    known = {f"diffusion_model.{original}": modules for original, modules in CASES[name].originals.items()}
    mapped = {"flux1": "transformer.", "zimage": "diffusion_model."}  # flux_to_diffusers, z_image_to_diffusers
    if name in mapped:
        known |= {mapped[name] + module: modules for module, modules in CASES[name].by_module.items()}
    for key in tensors:
        for down, up in ((".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight")):
            if key.endswith(down):
                path_ = key.removesuffix(down)
                found |= cut(name, known[path_], tensors[path_ + up].float() @ tensors[key].float())
    return found


def assert_same(ours: Changes, wanted: Changes, tolerance: float = 1e-6) -> None:
    """Both change the same weights in the same way; a change of nothing is none."""
    acting = {key: change for key, change in ours.items() if change.abs().max() > 0}
    assert acting.keys() == wanted.keys()
    for key, change in wanted.items():
        assert float((acting[key] - change).abs().max()) <= tolerance * float(change.abs().max().clamp(min=1)), key


def taken(name: str, path: Path, **more: Any) -> Accepted:
    return accept(path, CASES[name].base, path.with_name("ours.safetensors"), "zorvex", {}, **{"bases": TINY, **more})


def check(name: str, dialect: Dialect, meant: dict[str, Modules], scaled: bool, folder: Path) -> Accepted:
    """Write a LoRA in a dialect, accept it, and see that it says the same in diffusers, in ComfyUI and here."""
    matrices = dialects.trained_elsewhere(model(name), meant)
    done = taken(name, dialects.written(dialect, matrices, folder / "theirs.safetensors"))
    wanted = meant_changes(name, meant, matrices, scaled)
    assert_same(by_diffusers(name, done.path), wanted)
    assert_same(by_comfyui(name, done.path), wanted)
    family = CASES[name].family
    if family is not None:
        file = lora_file.read(done.path, families.get(family), model(name), "tiny")
        assert file.left_out == ()
        ours = {
            key: file.weights[f"{key}.lora_B.weight"] @ file.weights[f"{key}.lora_A.weight"] for key in file.modules
        }
        assert_same(ours, wanted)
    return done


# --------------------------------------------------------------------------- dialects


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("dialect", "scaled"),
    [
        (dialects.kohya, True),
        (dialects.bfl, False),
        (dialects.bfl_with_alpha, True),
        (dialects.bfl_by_kohyas_endings, True),
        (dialects.fal, False),
    ],
)
def test_a_lora_in_original_names_does_the_same_in_diffusers_and_comfyui(
    name: str, dialect: Dialect, scaled: bool, tmp_path: Path
) -> None:
    done = check(name, dialect, CASES[name].originals, scaled, tmp_path)
    assert done.rank == 4
    assert done.renamed is not (dialect is dialects.bfl and name in {"klein", "flux3", "wan"})


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("dialect", "scaled"), [(dialects.ai_toolkit, False), (dialects.raw_peft, False), (dialects.onetrainer, True)]
)
def test_a_lora_in_module_names_does_the_same_in_diffusers_and_comfyui(
    name: str, dialect: Dialect, scaled: bool, tmp_path: Path
) -> None:
    done = check(name, dialect, CASES[name].by_module, scaled, tmp_path)
    assert done.rank == (4 if name != "klein" else 11)  # q, k and v, of 4, 3 and 4 with an A each, become one matrix
    assert done.renamed is not (dialect is dialects.ai_toolkit and name == "flux1")


def test_parts_that_share_a_keep_their_rank_when_they_become_one(tmp_path: Path) -> None:
    modules = CASES["klein"].originals["double_blocks.0.img_attn.qkv"]
    down, up = dialects.noise((3, 32), 1), dialects.noise((32, 3), 2)
    matrices = {module: (down.clone(), up * number) for number, module in enumerate(modules, 1)}
    path = dialects.written(dialects.ai_toolkit, matrices, tmp_path / "theirs.safetensors")
    done = taken("klein", path)
    assert done.rank == 3
    assert_same(by_diffusers("klein", done.path), {module: up @ down for module, (down, up) in matrices.items()})


def test_a_part_alone_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    meant = {"transformer_blocks.0.attn.to_k": ("transformer_blocks.0.attn.to_k",)}
    check("klein", dialects.ai_toolkit, meant, False, tmp_path)


def test_flux1_at_its_own_width_goes_by_the_original_names_with_kohyas_endings(tmp_path: Path) -> None:
    shapes = {"double_blocks.18.img_attn.qkv": (9216, 3072), "single_blocks.37.linear1": (21_504, 3072)}
    matrices = {key: (dialects.noise((2, size[1]), 1), dialects.noise((size[0], 2), 2)) for key, size in shapes.items()}
    for dialect, scale in ((dialects.kohya, ALPHA / 2), (dialects.bfl, 1.0)):
        path = dialects.written(dialect, matrices, tmp_path / "theirs.safetensors")
        done = accept(path, "flux1-dev", tmp_path / "ours.safetensors", "zorvex", {})
        tensors = load_file(done.path)
        for key, (down, up) in matrices.items():
            assert torch.equal(tensors[f"diffusion_model.{key}.lora_down.weight"], down)
            assert torch.equal(tensors[f"diffusion_model.{key}.lora_up.weight"], up * scale)
        assert len(tensors) == 4
        theirs = FluxPipeline.lora_state_dict(done.path)
        assert len(theirs) == 2 * (3 + 4)
        assert torch.equal(
            theirs["transformer.single_transformer_blocks.37.proj_mlp.lora_B.weight"],
            matrices["single_blocks.37.linear1"][1][9216:] * scale,
        )


def test_layers_outside_the_blocks_which_diffusers_drops_by_original_names_go_by_its_own(tmp_path: Path) -> None:
    matrices = {
        "single_blocks.0.linear2": (dialects.noise((2, 15_360), 1), dialects.noise((3072, 2), 2)),
        "final_layer.adaLN_modulation.1": (dialects.noise((2, 3072), 3), dialects.noise((6144, 2), 4)),
    }
    path = dialects.written(dialects.kohya, matrices, tmp_path / "theirs.safetensors")
    tensors = load_file(accept(path, "flux1-dev", tmp_path / "ours.safetensors", "", {}).path)
    up = tensors["transformer.norm_out.linear.lora_B.weight"]
    assert torch.equal(up, torch.cat(matrices["final_layer.adaLN_modulation.1"][1].chunk(2)[::-1]) * (ALPHA / 2))
    assert "transformer.single_transformer_blocks.0.proj_out.lora_A.weight" in tensors


@pytest.mark.parametrize(("name", "dialect"), [("flux1", dialects.ai_toolkit), ("klein", dialects.bfl)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_both_load_already_keeps_every_bit(
    name: str, dialect: Dialect, dtype: torch.dtype, tmp_path: Path
) -> None:
    case = CASES[name]
    matrices = dialects.trained_elsewhere(
        model(name), case.by_module if dialect is dialects.ai_toolkit else case.originals
    )
    cast = {key: (down.to(dtype), up.to(dtype)) for key, (down, up) in matrices.items()}
    path = dialects.written(dialect, cast, tmp_path / "theirs.safetensors")
    done = taken(name, path)
    theirs, ours = load_file(path), load_file(done.path)
    assert not done.renamed
    assert ours.keys() == theirs.keys()
    assert all(ours[key].dtype == dtype and torch.equal(ours[key], theirs[key]) for key in theirs)


def test_the_scale_that_only_diffusers_metadata_tells_is_folded_in(tmp_path: Path) -> None:
    module = "single_transformer_blocks.1.proj_out"
    down, up = dialects.noise((2, 160), 1), dialects.noise((32, 2), 2)
    story = {"lora_adapter_metadata": json.dumps({"transformer.r": 2, "transformer.lora_alpha": 8})}
    save_file(dialects.ai_toolkit(module, down, up), tmp_path / "theirs.safetensors", story)
    done = taken("flux1", tmp_path / "theirs.safetensors")
    assert torch.equal(load_file(done.path)[f"transformer.{module}.lora_B.weight"], up * 4)
    assert_same(by_diffusers("flux1", done.path), {module: 4 * up @ down})


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_scale_is_folded_in_as_torch_rounds(dtype: str) -> None:
    kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[dtype]
    values = torch.cat([dialects.noise((5000,), 3), torch.tensor([0.0, -0.0, 1e-30, 3e38, 65504.0, -1.00390625])])
    theirs = values.to(kind)
    bits = theirs.view(torch.uint16).numpy() if dtype == "BF16" else theirs.numpy()
    scaled = Numbers(dtype, bits).scaled(0.3).floats()
    assert np.array_equal(scaled, (theirs.float() * torch.tensor(0.3)).to(kind).float().numpy())
    halves = torch.tensor([1.0 + 2**-8, 1.0 + 3 * 2**-8, float("nan"), float("inf")])  # ties go to even
    rounded = of_floats(halves.numpy(), dtype).floats()
    assert np.array_equal(rounded, halves.to(kind).float().numpy(), equal_nan=True)


def test_text_encoders_and_norms_are_left_out_and_named(tmp_path: Path) -> None:
    more = {"lora_te1_x.lora_down.weight": torch.ones(2, 4), "diffusion_model.single_blocks.0.norm.diff": torch.ones(3)}
    matrices = dialects.trained_elsewhere(model("klein"), dialects.KLEIN)
    path = dialects.written(dialects.bfl, matrices, tmp_path / "theirs.safetensors", **more)
    done = taken("klein", path)
    assert done.left_out == ("diffusion_model.single_blocks.0.norm.diff", "lora_te1_x.lora_down.weight")
    assert load_file(done.path).keys() == load_file(path).keys() - set(done.left_out)


def test_a_matrix_that_diffusers_and_comfyui_take_for_different_things_is_left_out(tmp_path: Path) -> None:
    more = dialects.bfl("final_layer.adaLN_modulation.1", torch.ones(2, 32), torch.ones(64, 2))
    matrices = dialects.trained_elsewhere(model("klein"), dialects.KLEIN)
    done = taken("klein", dialects.written(dialects.bfl, matrices, tmp_path / "theirs.safetensors", **more))
    assert done.left_out == ("final_layer.adaLN_modulation.1",)


# --------------------------------------------------------------------------- what the file says


def test_the_file_says_what_ours_say_and_nothing_of_what_the_host_wrote(tmp_path: Path) -> None:
    matrices = dialects.trained_elsewhere(model("klein"), dialects.KLEIN)
    tensors = {key: value for path, pair in matrices.items() for key, value in dialects.bfl(path, *pair).items()}
    save_file(tensors, tmp_path / "theirs.safetensors", {"ss_tag_frequency": "zorvex, a secret", "ss_seed": "1"})
    out, meta_ = tmp_path / "look-v1.safetensors", {"loradeck.trained_at": "fal", "ss_steps": "1000"}
    done = accept(tmp_path / "theirs.safetensors", "flux2-klein-4b", out, "zorvex", meta_, TINY)
    with safe_open(out, "np") as file:
        assert file.metadata() == done.metadata
    said = done.metadata
    assert said["modelspec.trigger_phrase"] == "zorvex"
    assert "'zorvex'" in said["modelspec.usage_hint"]
    assert (said["ss_base_model_version"], said["modelspec.title"]) == ("flux2-klein-4b", "look-v1")
    assert said["ss_network_dim"] == said["ss_network_alpha"] == "4"
    assert (said["loradeck.trained_at"], said["ss_steps"]) == ("fal", "1000")
    assert "secret" not in str(said)
    content = out.read_bytes()
    body = content[8 + int.from_bytes(content[:8], "little") :]
    assert said["sshs_model_hash"] == hashlib.sha256(body).hexdigest()
    assert done.sha256 == hashlib.sha256(content).hexdigest()
    assert accept(tmp_path / "theirs.safetensors", "flux2-klein-4b", out, "zorvex", meta_, TINY).sha256 == done.sha256


def test_bases_are_called_in_files_as_the_local_engine_calls_them() -> None:
    assert {name: base.architecture for name, base in full_size.BASES.items()} == {
        name: BASES[name].told for name in full_size.BASES
    }


# --------------------------------------------------------------------------- which base


def linear_layers(transformer: Any) -> dict[str, tuple[int, int]]:
    return {
        name: (layer.out_features, layer.in_features)
        for name, layer in transformer.named_modules()
        if isinstance(layer, torch.nn.Linear)
    }


FULL_SIZE = {
    **{name: build for name, build in TRANSFORMERS.items() if name in BASES},
    "flux3-klein": tiny_flux3.full_size,
    "wan-2.2": tiny_wan.full_size,
}


@pytest.mark.parametrize("name", BASES)
def test_every_layer_of_a_base_has_the_size_that_diffusers_model_has(name: str) -> None:
    layers = linear_layers(meta(FULL_SIZE[name]))
    base = BASES[name]
    within = {key: size for key, size in layers.items() if base.naming.find(key) is not None}
    assert {key: base.size(key) for key in within} == within
    blocks = [key for key in layers if any(key.startswith(f"{stack}.") for stack in base.depths)]
    assert set(blocks) <= within.keys()
    deepest = {stack: f"{stack}.{depth}." for stack, depth in base.depths.items()}
    for stack, beyond in deepest.items():
        assert not [key for key in blocks if key.startswith(beyond)]
        name_in_block = next(key for key in blocks if key.startswith(f"{stack}.0.")).removeprefix(f"{stack}.0.")
        assert base.size(beyond + name_in_block) is None
    if name != "flux3-klein":  # whose original names outside of the blocks are not known
        assert within.keys() == layers.keys()


def one_matrix(base: str) -> tuple[str, tuple[int, int]]:
    """A matrix, by its original name, that tells a base from the others."""
    name = {"z-image": "layers.3.attention.out", "wan-2.2": "blocks.1.ffn.0", "flux3-klein": "single_blocks.3.mlp_in"}
    original = name.get(base.removesuffix("-base"), "single_blocks.3.linear1")
    found = BASES[base].naming.find(original)
    assert found is not None
    sizes = [BASES[base].size(module) for module in found.modules]
    return original, (sum(size[0] for size in sizes if size), sizes[0][1] if sizes[0] else 0)


@pytest.mark.parametrize("trained", [name for name in BASES if name != "z-image-base"])
def test_a_lora_of_another_base_is_called_by_its_own(trained: str, tmp_path: Path) -> None:
    original, (rows, columns) = one_matrix(trained)
    path = tmp_path / "theirs.safetensors"
    save_file(dialects.bfl(original, torch.ones(1, columns), torch.ones(rows, 1)), path)
    alike = {trained} if trained != "z-image" else {"z-image", "z-image-base"}
    for base in BASES.keys() - alike:
        looks = rf"looks like a LoRA for {' or '.join(sorted(alike))}, not for {base} \(.*\.$"
        with pytest.raises(BadWeights, match=looks):
            accept(path, base, tmp_path / "ours.safetensors", "", {})
    assert accept(path, trained, tmp_path / "ours.safetensors", "", {}).rank == 1


def test_a_lora_of_no_base_that_is_known_is_told(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    for name in ("down_blocks.0.attentions.0.proj_in", "double_blocks.19.img_mlp.0", "double_blocks.x.img_mlp.0"):
        save_file(dialects.kohya(name, torch.ones(1, 32), torch.ones(32, 1)), path)
        with pytest.raises(BadWeights, match=r"is a LoRA for no base that is known here, not for flux1-dev"):
            accept(path, "flux1-dev", tmp_path / "ours.safetensors", "", {})
    with pytest.raises(BadSpec, match=r"No host trains preview; choose one of flux1-dev"):
        accept(path, "preview", tmp_path / "ours.safetensors", "", {})


# --------------------------------------------------------------------------- what is no LoRA


def half(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"diffusion_model.single_blocks.0.linear2.lora_A.weight": torch.ones(2, 96), **more}


def pair(rows: int = 32, rank: int = 2, value: float = 1.0) -> dict[str, torch.Tensor]:
    return dialects.bfl("single_blocks.0.linear2", torch.ones(2, 96), torch.full((rows, rank), value))


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({**pair(), "diffusion_model.single_blocks.0.linear2.dora_scale": torch.ones(4)}, "is a DoRA and not a plain"),
        ({"lora_unet_single_blocks_0_linear2.lokr_w1": torch.ones(4, 4)}, "is a LoKr"),
        ({"lora_unet_single_blocks_0_linear2.hada_w1_a": torch.ones(4, 4)}, "is a LoHa"),
        ({"double_blocks.0.img_attn.qkv.weight": torch.ones(4, 4)}, "is no LoRA"),
        ({"lora_te1_x.lora_down.weight": torch.ones(2, 4)}, "holds no LoRA"),
        (half(), "half of a LoRA"),
        (pair(rank=3), "do not fit each other"),
        (pair(rows=33), "has another size"),
        ({key: value.unsqueeze(-1).contiguous() for key, value in pair().items()}, "do not fit each other"),
        ({key: value.to(torch.float8_e4m3fn) for key, value in pair().items()}, "cannot be read here.*F8_E4M3"),
        ({key: value.double() for key, value in pair().items()}, "cannot be read here.*F64"),
        (pair(value=float("nan")), "not finite.*lower learning_rate"),
        (pair(value=float("-inf")), "not finite"),
        ({**pair(), "diffusion_model.single_blocks.0.linear2.alpha": torch.ones(2)}, "tells its scale"),
        ({**pair(), **dialects.fal("single_blocks.0.linear2", torch.ones(2, 96), torch.ones(32, 2))}, "twice"),
    ],
)
def test_what_is_no_plain_lora_is_refused_in_a_sentence(
    tensors: dict[str, torch.Tensor], told: str, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "theirs.safetensors")
    with pytest.raises(BadWeights, match=rf"^theirs\.safetensors .*{told}.*\.$"):
        taken("klein", tmp_path / "theirs.safetensors")
    assert not (tmp_path / "ours.safetensors").exists()


@pytest.mark.parametrize("story", ["no json", "[]", "[" * 9999, '{"transformer.lora_alpha": "much"}'])
def test_metadata_that_make_no_sense_are_refused(story: str, tmp_path: Path) -> None:
    save_file(pair(), tmp_path / "theirs.safetensors", {"lora_adapter_metadata": story})
    with pytest.raises(BadWeights, match="tells its scale"):
        taken("klein", tmp_path / "theirs.safetensors")


WHOLE = tensor_file.written({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, {})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (WHOLE + b"\0\0", r"is not a whole \.safetensors file; fetch it again"),
        (WHOLE[:40], "is not a whole"),
        (b"\x08\0\0\0\0\0\0\0{" + b"[" * 7, "is not a whole"),
        (b"\xff" * 64, "is not a whole"),
        (b"\x80\x04\x95more", "is a pickle"),
        (b"PK\x03\x04archive/data.pkl", "is a zip archive"),
        (b"<html>Sign in</html>", "is a web page"),
        (b"", "is empty"),
    ],
)
def test_a_file_that_is_cut_or_of_another_kind_is_told(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.safetensors").write_bytes(content)
    with pytest.raises(BadWeights, match=rf"^theirs\.safetensors {told}.*\.$"):
        taken("klein", tmp_path / "theirs.safetensors")


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"theirs\.safetensors, are not there; fetch them again\.$"):
        taken("klein", tmp_path / "theirs.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2, 96], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": "1", "data_offsets": [0, 4]},
        {"shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0, 4]},
    ],
)
def test_a_header_that_contradicts_itself_is_refused(entry: dict[str, Any], tmp_path: Path) -> None:
    key = "diffusion_model.single_blocks.0.linear2.lora_A.weight"
    content = tensor_file.written({key: entry}, {})
    size = tensor_file.LENGTH_BYTES + int.from_bytes(content[:8], "little")
    (tmp_path / "theirs.safetensors").write_bytes(content[:size] + bytes(max(0, entry["data_offsets"][1])))
    with pytest.raises(BadWeights, match=r"cannot be read here|is not a whole"):
        taken("klein", tmp_path / "theirs.safetensors")


# --------------------------------------------------------------------------- the light install


def test_memory_stays_flat_however_large_the_file_is(tmp_path: Path) -> None:
    down, up = torch.ones(64, 3072, dtype=torch.bfloat16), torch.ones(3072, 64, dtype=torch.bfloat16)
    matrices = {f"double_blocks.{block}.img_attn.proj": (down, up.clone()) for block in range(19)}
    cloned = {key: (down.clone(), up) for key, (down, up) in matrices.items()}
    path = dialects.written(dialects.kohya, cloned, tmp_path / "theirs.safetensors")
    accept(path, "flux1-dev", tmp_path / "ours.safetensors", "", {})
    tracemalloc.start()
    accept(path, "flux1-dev", tmp_path / "ours.safetensors", "", {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 14_000_000
    assert peak < 5_000_000


def test_nothing_of_it_needs_torch_and_importing_it_loads_nothing_heavy(tmp_path: Path) -> None:
    save_file(pair(), tmp_path / "theirs.safetensors")
    shape = {"channels": 16, "mlp": 2, "guided": False, "clock": 16}
    code = f"""
import sys
for name in ("torch", "diffusers", "safetensors", "transformers", "peft"):
    sys.modules[name] = None
from pathlib import Path
from loradeck.engines.hosted import bases, blank, returned, unpack, zipping
print([name for name in ("numpy", "PIL", "httpx") if name in sys.modules])
folder = Path({str(tmp_path)!r})
tiny = {{"it": bases.flux2("it", 32, 1, 2, 48, **{shape!r})}}
print(returned.accept(folder / "theirs.safetensors", "it", folder / "ours.safetensors", "", {{}}, tiny).rank)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:2] == ["[]", "2"], done.stderr


# --------------------------------------------------------------------------- pictures


def picture(path: Path, colour: tuple[int, ...], mode: str = "RGB") -> Path:
    Image.new(mode, (64, 48), colour).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_picture_of_one_colour_is_withheld(suffix: str, tmp_path: Path) -> None:
    black, grey = (picture(tmp_path / f"{shade}.{suffix}", (shade,) * 3) for shade in (0, 127))
    assert "is black" in str(judge(black))
    assert "has one colour throughout" in str(judge(grey))
    assert "has one colour throughout" in str(judge(picture(tmp_path / f"blue.{suffix}", (13, 77, 200))))


def test_a_picture_that_is_transparent_cut_or_none_is_told(tmp_path: Path) -> None:
    assert judge(picture(tmp_path / "clear.png", (9, 9, 9, 0), "RGBA")) == "is wholly transparent"
    (tmp_path / "page.png").write_text("<html>")
    assert judge(tmp_path / "page.png") == "is not a whole picture"
    tiny.picture(1, 256).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:300])
    assert judge(tmp_path / "cut.png") == "is not a whole picture"
    assert judge(tmp_path / "gone.png") == "is not a whole picture"


def test_dark_photographs_are_no_withheld_ones(tmp_path: Path) -> None:
    photographs = sorted((Path(__file__).parent / "data").glob("*/*[gG]"))
    assert len(photographs) > 20
    for photograph in photographs[::4]:
        assert judge(photograph) is None
        with Image.open(photograph) as opened:
            opened.convert("RGB").point(lambda value: value // 12).save(tmp_path / "dark.jpg", quality=80)
        assert judge(tmp_path / "dark.jpg") is None, photograph.name
    deep = np.zeros((8, 8), np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert "is black" in str(judge(tmp_path / "deep.png"))
    deep[3, 3] = 40_000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert judge(tmp_path / "deep.png") is None
