"""What goes out of the library: files that diffusers and ComfyUI load, and that say the same as the LoRA here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux2KleinPipeline, FluxPipeline
from safetensors import safe_open
from safetensors.torch import load_file
from support import loras
from support.library import manage
from support.painter import Painter, bench, trained

from loradeck.engines import lora_forms, lora_origin
from loradeck.engines.errors import BadWeights, NoRoom
from loradeck.state.files import sha256_file
from loradeck.state.store import Store
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.library import find_lora
from loradeck.tools.workbench import Workbench

PREVIEW_WEIGHTS = Path(lora_origin.__file__).parent / "local" / "preview" / "weights"
QKV = tuple(f"transformer_blocks.0.attn.to_{part}" for part in "qkv")
ORIGINALS = {
    "preview": {
        "double_blocks.0.img_attn.qkv": QKV,
        "single_blocks.1.linear1": ("single_transformer_blocks.1.attn.to_qkv_mlp_proj",),
    },
    "flux1-dev": {
        "double_blocks.0.img_attn.qkv": QKV,
        "single_blocks.1.linear1": (
            *(f"single_transformer_blocks.1.attn.to_{part}" for part in "qkv"),
            "single_transformer_blocks.1.proj_mlp",
        ),
    },
}
"""ComfyUI's names, which are the original models', and the modules of diffusers that they stand for."""


@pytest.fixture
def work(tmp_path: Path) -> Workbench:
    return bench(Store(tmp_path / "home"), Painter())


def change(up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """What B A does to one vector, which tells two changes apart without the large product."""
    return up.float() @ (down.float() @ torch.linspace(-1, 1, down.shape[1]))


def meant(base: str, keys: str) -> dict[str, torch.Tensor]:
    """What the LoRA of `support.loras` adds to each matrix of the original model, reckoned by hand."""
    tensors = {name: torch.from_numpy(value).float() for name, value in loras.tensors(base, keys).items()}
    found = {}
    for original in ORIGINALS[base]:
        path = loras.PREFIXES[keys] + (original.replace(".", "_") if keys == "kohya" else original)
        down, up = ("lora_down", "lora_up") if keys == "kohya" else ("lora_A", "lora_B")
        scale = float(tensors[f"{path}.alpha"]) / 2 if keys == "kohya" else 1.0
        found[original] = scale * change(tensors[f"{path}.{up}.weight"], tensors[f"{path}.{down}.weight"])
    return found


def by_comfyui(base: str, path: Path) -> dict[str, torch.Tensor]:
    """What ComfyUI adds: it knows `diffusion_model.<original>`, with lora_A/lora_B or lora_down/lora_up."""
    tensors = {name: value.float() for name, value in load_file(path).items()}
    found = {}
    for original in ORIGINALS[base]:
        ends = next(
            (a, b)
            for a, b in ((".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight"))
            if f"diffusion_model.{original}{a}" in tensors
        )
        up, down = (tensors[f"diffusion_model.{original}{end}"] for end in ends[::-1])
        found[original] = change(up, down)
    return found


def by_diffusers(base: str, folder: Path) -> dict[str, torch.Tensor]:
    """What diffusers reads of a folder, by its own loader of the base's pipeline, joined as the original has it."""
    pipeline: Any = FluxPipeline if base == "flux1-dev" else Flux2KleinPipeline
    state = pipeline.lora_state_dict(folder)
    state = state[0] if isinstance(state, tuple) else state
    deltas = {
        module: change(state[f"transformer.{module}.lora_B.weight"], state[f"transformer.{module}.lora_A.weight"])
        for modules in ORIGINALS[base].values()
        for module in modules
    }
    return {name: torch.cat([deltas[module] for module in modules]) for name, modules in ORIGINALS[base].items()}


@pytest.mark.parametrize(
    ("base", "keys"), [("preview", "comfyui"), ("preview", "kohya"), ("flux1-dev", "kohya"), ("flux1-dev", "fal")]
)
def test_both_exports_say_what_the_lora_says_whoevers_keys_it_had(
    base: str, keys: str, work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "neon-v2.safetensors", base, keys)
    (row,) = manage(work, "import", path=str(path), trigger="zorvex").loras
    result = manage(work, "export", lora_id=row.lora_id, path=str(tmp_path / "out"))
    wanted, folder = meant(base, keys), tmp_path / "out" / "neon-v2-diffusers"
    for ours in (by_comfyui(base, tmp_path / "out" / "neon-v2-comfyui.safetensors"), by_diffusers(base, folder)):
        for name, ours_should in wanted.items():
            assert float((ours[name] - ours_should).abs().max()) <= 2e-3 * float(ours_should.abs().max()), name
    assert "load_lora_weights" in (folder / "README.md").read_text(encoding="utf-8")
    told = dict(line.split(": SHA-256 ") for line in result.told if ": SHA-256 " in line)
    assert {Path(file.path).name: sha256_file(Path(file.path)) for file in result.files} == told
    assert sha256_file(Path(row.path)) == row.sha256


def test_a_file_that_has_the_right_keys_already_goes_out_byte_by_byte(work: Workbench, tmp_path: Path) -> None:
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors", note="kept"))).loras
    result = manage(work, "export", lora_id=row.lora_id, path=str(tmp_path / "out"), format="comfyui")
    (file,) = result.files
    assert Path(file.path).read_bytes() == Path(row.path).read_bytes()
    with safe_open(file.path, framework="pt") as opened:
        assert opened.metadata()["note"] == "kept"


def test_the_folder_loads_into_the_preview_pipeline_and_changes_its_weights(work: Workbench, tmp_path: Path) -> None:
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors"))).loras
    manage(work, "export", lora_id=row.lora_id, path=str(tmp_path / "out"), format="diffusers")
    pipeline = Flux2KleinPipeline.from_pretrained(PREVIEW_WEIGHTS)
    pipeline.load_lora_weights(tmp_path / "out" / "a-v1-diffusers")
    layers = [layer for layer in pipeline.transformer.modules() if hasattr(layer, "get_delta_weight")]
    assert len(layers) == 4
    assert all(float(layer.get_delta_weight("default_0").detach().abs().max()) > 0 for layer in layers)


def test_an_export_replaces_what_an_export_wrote_and_nothing_else(work: Workbench, tmp_path: Path) -> None:
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors"))).loras
    out = tmp_path / "out"
    manage(work, "export", lora_id=row.lora_id, path=str(out))
    manage(work, "import", lora_id=row.lora_id, trigger="zorvex")
    manage(work, "export", lora_id=row.lora_id, path=str(out))
    card = out / "a-v1-diffusers" / "README.md"
    assert "zorvex" in card.read_text(encoding="utf-8")
    card.write_text("mine", encoding="utf-8")
    (out / "a-v1-comfyui.safetensors").unlink()
    with pytest.raises(Refused, match="loradeck did not write it as it is now"):
        manage(work, "export", lora_id=row.lora_id, path=str(out))
    assert card.read_text(encoding="utf-8") == "mine"
    assert not (out / "a-v1-comfyui.safetensors").exists()


def test_an_export_that_broke_off_is_made_again_into_the_same_folder(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors"))).loras
    write, written = lora_forms.write, []

    def full(*arguments: Any) -> Any:
        written.append(arguments)
        if len(written) == 2:
            raise NoRoom("The disk is full.", tmp_path)
        return write(*arguments)

    monkeypatch.setattr(lora_forms, "write", full)
    with pytest.raises(NoRoom):
        manage(work, "export", lora_id=row.lora_id, path=str(tmp_path / "out"))
    assert len(manage(work, "export", lora_id=row.lora_id, path=str(tmp_path / "out")).files) == 3


def test_a_file_that_another_lora_of_the_same_name_wrote_is_told_as_that(work: Workbench, tmp_path: Path) -> None:
    first, second = (
        manage(work, "import", path=str(loras.written(tmp_path / base / "icons.safetensors", base))).loras[0]
        for base in ("preview", "flux2-klein-4b")
    )
    manage(work, "export", lora_id=first.lora_id, path=str(tmp_path / "out"))
    with pytest.raises(Refused, match=rf"an export of icons v1 \({first.lora_id}\) wrote it.*give another folder"):
        manage(work, "export", lora_id=second.lora_id, path=str(tmp_path / "out"))


def test_what_cannot_be_exported_says_so(work: Workbench, tmp_path: Path) -> None:
    lora = trained(work.store)
    with pytest.raises(BadArgument, match="needs path"):
        manage(work, "export", lora_id=lora.id)
    with pytest.raises(BadWeights, match="not a whole"):
        manage(work, "export", lora_id=lora.id, path=str(tmp_path / "out"))
    (tmp_path / "file").touch()
    with pytest.raises(BadArgument, match="is a file"):
        manage(work, "export", lora_id=lora.id, path=str(tmp_path / "file"))
    Path(lora.path).write_bytes(b"x")
    with pytest.raises(Refused, match="was changed"):
        manage(work, "export", lora_id=lora.id, path=str(tmp_path / "out"))


def test_the_previews_architecture_is_the_one_that_is_shipped() -> None:
    transformer = Flux2KleinPipeline.from_pretrained(PREVIEW_WEIGHTS).transformer
    sizes = {
        name: tuple(module.weight.shape)
        for name, module in transformer.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    assert {name: lora_origin.PREVIEW.size(name) for name in sizes} == sizes


def test_a_lora_that_the_preview_base_trained_is_known_for_one(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors", ss_base_model_version="preview", ss_steps="300")
    (row,) = manage(work, "import", path=str(path)).loras
    assert (find_lora(work.store, row.lora_id).preview, row.steps) == (True, 300)
