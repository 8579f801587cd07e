"""LoRA files: what the local engine writes loads elsewhere, and what does not fit is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import tiny
from support.reporter import MemoryReporter

from loradeck.engines import files
from loradeck.engines.base import DrawRequest, LoraRef, TrainResult
from loradeck.engines.errors import BadWeights
from loradeck.engines.local import bases, lora_file
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.export import write
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.lora import Adapter

PLAIN_PROGRAM = """
import sys
import torch
from diffusers import Flux2KleinPipeline

weights, lora = sys.argv[1:]
pipeline = Flux2KleinPipeline.from_pretrained(weights)

def draw():
    return pipeline(
        prompt="zorvex, a red disc", width=32, height=32, num_inference_steps=2, guidance_scale=2.0,
        max_sequence_length=24, generator=torch.Generator().manual_seed(3), output_type="pt",
    ).images

before = draw()
pipeline.load_lora_weights(lora)
after = draw()
pipeline.unload_lora_weights()
assert not [name for name in sys.modules if name.startswith("loradeck")]
print(float((after - before).abs().max()), float((draw() - before).abs().max()))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def base(home: Path) -> bases.Base:
    return tiny.base(home / "weights")


@pytest.fixture(scope="module")
def engine(base: bases.Base) -> LocalEngine:
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def result(engine: LocalEngine, home: Path) -> TrainResult:
    """A short training at a rate that leaves a mark."""
    spec = tiny.spec(home / "run", learning_rate=5e-2, alpha=12.0)
    return engine.train(spec, tiny.dataset(home / "images"), MemoryReporter())


@pytest.mark.slow
def test_the_file_loads_in_a_plain_diffusers_pipeline_and_changes_what_it_draws(
    base: bases.Base, result: TrainResult
) -> None:
    program = [sys.executable, "-c", PLAIN_PROGRAM, str(base.weights), str(result.lora_path)]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(program, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    changed, left_over = map(float, ended.stdout.split())
    assert changed > 0.01
    assert left_over < 1e-6


def test_what_was_trained_is_what_loads(base: bases.Base, tmp_path: Path) -> None:
    trained, loaded = FAMILY.load(base.weights), FAMILY.load(base.weights)
    adapter = Adapter(trained.transformer, FAMILY, rank=4, alpha=10.0, seed=5)
    with torch.no_grad():
        for index, weight in enumerate(adapter.parameters().values()):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)) * 0.3)
    write(adapter, tmp_path / "look.safetensors", {})
    loaded.load_lora_weights(tmp_path / "look.safetensors")
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(2, 16, 4, 4, generator=generator)
    text = {"states": torch.randn(2, 24, 3 * tiny.TEXT_WIDTH, generator=generator)}
    sigma = torch.tensor([0.2, 0.8])
    with torch.no_grad():
        ours = FAMILY.flow(trained.transformer, noisy, sigma, text)
        theirs = FAMILY.flow(loaded.transformer, noisy, sigma, text)
        with adapter.off():
            plain = FAMILY.flow(trained.transformer, noisy, sigma, text)
    assert float((ours - theirs).abs().max()) <= 1e-5
    assert float((ours - plain).abs().max()) > 1e-2


def test_keys_are_the_original_models_and_alpha_is_folded_in(result: TrainResult) -> None:
    tensors = load_file(result.lora_path)
    assert all(key.startswith("diffusion_model.") for key in tensors)
    assert not [key for key in tensors if "alpha" in key]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    ranks = {tensor.shape[0] for key, tensor in tensors.items() if key.endswith("lora_A.weight")}
    assert ranks == {4}
    assert {key.split(".")[1] for key in tensors} == {"double_blocks", "single_blocks"}


def test_the_metadata_says_what_it_is_and_how_to_call_it(result: TrainResult) -> None:
    with safe_open(result.lora_path, framework="pt") as file:
        told = file.metadata()
    assert told["modelspec.sai_model_spec"] == "1.0.1"
    assert told["modelspec.architecture"] == "Flux.2-klein-preview/lora"
    assert told["modelspec.title"] == told["ss_output_name"] == "tiny look"
    assert told["modelspec.trigger_phrase"] == "zorvex"
    assert told["modelspec.resolution"] == "32x32"
    assert told["modelspec.hash_sha256"] == "0x" + told["sshs_model_hash"]
    assert (told["ss_network_dim"], told["ss_network_alpha"], told["ss_steps"]) == ("4", "4", "8")
    assert told["ss_base_model_version"] == "preview"
    assert json.loads(told["ss_tag_frequency"]) == {"loradeck": {"zorvex": 9}}
    assert len(told["sshs_legacy_hash"]) == 8
    assert told.pop("modelspec.thumbnail").startswith("data:image/jpeg;base64,")
    assert "disc" not in json.dumps(told)  # captions stay with the dataset


def test_the_hash_is_of_the_weights_not_of_what_is_said_of_them(result: TrainResult, tmp_path: Path) -> None:
    import hashlib

    content = result.lora_path.read_bytes()
    body = content[8 + int.from_bytes(content[:8], "little") :]
    with safe_open(result.lora_path, framework="pt") as file:
        assert file.metadata()["sshs_model_hash"] == hashlib.sha256(body).hexdigest()
    assert files.sha256_file(result.lora_path) == result.sha256


def draw_with(engine: LocalEngine, lora: Path, out: Path, base_model: str = "preview") -> None:
    request = DrawRequest("preview", (tiny.job(out),), (LoraRef(lora, 1.0, "", base_model),))
    engine.draw(request, MemoryReporter())


def broken(kind: str, good: Path, folder: Path) -> Path:
    """A file that is no LoRA for the tiny base."""
    path = folder / f"{kind.replace(' ', '-')}.safetensors"
    content = good.read_bytes()
    tensors = load_file(good)
    if kind == "truncated":
        path.write_bytes(content[:-100])
    elif kind == "truncated header":
        path.write_bytes(content[:40])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not weights at all, but quite a few words so that a header length can be read")
    elif kind == "pickle":
        torch.save(tensors, path)
    elif kind == "no lora":
        save_file({"model.weight": torch.zeros(3, 3)}, path)
    elif kind == "no tensors":
        save_file({}, path)
    elif kind == "wider base":
        wider = tiny.pipeline(heads=3)
        write(Adapter(wider.transformer, FAMILY, 4, 4.0, 0), path, {})
    elif kind == "deeper base":
        save_file({key.replace("single_blocks.1.", "single_blocks.30."): tensors[key] for key in tensors}, path)
    elif kind == "half a layer":
        save_file({key: tensor for key, tensor in tensors.items() if ".linear1.lora_A" not in key}, path)
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "truncated header",
        "empty",
        "text",
        "pickle",
        "no lora",
        "no tensors",
        "wider base",
        "deeper base",
        "half a layer",
        "gone",
    ],
)
def test_a_file_that_does_not_fit_is_told_in_a_sentence(
    kind: str, engine: LocalEngine, result: TrainResult, tmp_path: Path
) -> None:
    path = broken(kind, result.lora_path, tmp_path)
    with pytest.raises(BadWeights) as told:
        draw_with(engine, path, tmp_path / "out.png")
    assert path.name in str(told.value)
    assert str(tmp_path) not in str(told.value)
    assert str(told.value).endswith(".")
    assert not (tmp_path / "out.png").exists()


def test_a_lora_of_another_base_is_refused_by_name(engine: LocalEngine, result: TrainResult, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="belongs to the base flux2-dev"):
        draw_with(engine, result.lora_path, tmp_path / "out.png", base_model="flux2-dev")


def test_alpha_that_only_diffusers_metadata_tells_is_heard(base: bases.Base, tmp_path: Path) -> None:
    pipeline = FAMILY.load(base.weights)
    module = "single_transformer_blocks.0.attn.to_out"
    layer = pipeline.transformer.get_submodule(module)
    tensors = {
        f"transformer.{module}.lora_A.weight": torch.ones(2, layer.in_features),
        f"transformer.{module}.lora_B.weight": torch.ones(layer.out_features, 2),
    }
    story = {"lora_adapter_metadata": json.dumps({"transformer.r": 2, "transformer.lora_alpha": 8})}
    save_file(tensors, tmp_path / "theirs.safetensors", story)
    file = lora_file.read(tmp_path / "theirs.safetensors", FAMILY, pipeline.transformer, "preview")
    assert float(file.weights[f"{module}.lora_B.weight"].max()) == 4.0
    assert file.rank == 2
