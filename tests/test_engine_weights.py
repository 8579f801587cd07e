"""The weights of the full-size bases: found in their places, told when they are not, got from a hub."""

from __future__ import annotations

import errno
import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import tiny
from support.hub import COMMIT, TOKEN, Hub, serving

from loradeck.engines.errors import Cancelled, NotInstalled
from loradeck.engines.local import families, full_size, layout
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.pipeline import load
from loradeck.engines.local.weights import fetch as fetching
from loradeck.engines.local.weights import single_file, sources
from loradeck.engines.local.weights.fetch import fetch
from loradeck.engines.local.weights.find import Found, find
from loradeck.engines.local.weights.places import Places
from loradeck.engines.local.weights.sources import Source
from loradeck.tools.contracts import TargetModel
from loradeck.tools.rulebook.tables import TARGETS

SOURCE = sources.SOURCES["flux2-klein-4b"]
GATED = replace(SOURCE, gated=True)
VARIABLE = "LORADECK_BASE_FLUX2_KLEIN_4B"
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny klein pipeline as diffusers saves it."""
    folder = tmp_path_factory.mktemp("made") / "pipeline"
    tiny.pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def pipeline(made: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(made, tmp_path / "pipeline"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A workspace and a cache in which there is nothing."""
    return Places({}, tmp_path / "home", tmp_path / "cache")


@pytest.fixture
def hub(made: Path) -> Iterator[Hub]:
    """A hub that has the pipeline, and beside it what a download must leave there."""
    more = {
        "README.md": b"klein",
        "flux-2-klein.safetensors": b"a second copy of everything",
        "transformer/pytorch_model.bin": b"a pickle",
        "transformer/diffusion_pytorch_model.fp16.safetensors": b"a variant",
        "assets/teaser.json": b"{}",
    }
    with serving(Hub.of(SOURCE.repository, made, **more)) as serving_hub:
        yield serving_hub


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_STORED_TOKENS_PATH", str(tmp_path / "no-tokens"))


def silent(done: int, of: int) -> None:
    """A listener that does nothing."""


def named(places: Places, path: Path) -> Places:
    """The same places, with the base named in the environment."""
    return replace(places, environ={VARIABLE: str(path)})


def laid_in_cache(places: Places, folder: Path, commit: str = COMMIT, main: bool = True) -> Path:
    """The folder laid into the cache as the hub lays it: blobs, and a snapshot of links to them."""
    assert places.cache is not None
    root = places.cache / f"models--{SOURCE.repository.replace('/', '--')}"
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        blob = root / "blobs" / f"{commit[:8]}{number}"
        shutil.copyfile(path, blob)
        link = root / "snapshots" / commit / path.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    if main:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(commit)
    return root / "snapshots" / commit


def sharded(pipeline: Path) -> list[str]:
    """Cut the transformer into shards; their names."""
    whole = pipeline / TRANSFORMER
    tensors = load_file(whole)
    half = len(tensors) // 2
    names = sorted(tensors)
    cut = [names[:half], names[half:]]
    shards = [f"diffusion_pytorch_model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    for shard, held in zip(shards, cut, strict=True):
        save_file({name: tensors[name] for name in held}, whole.with_name(shard))
    weight_map = {name: shard for shard, held in zip(shards, cut, strict=True) for name in held}
    index = whole.with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    whole.unlink()
    return shards


def refused(source: Source, places: Places) -> str:
    """The sentence with which the search ends."""
    with pytest.raises(NotInstalled) as told:
        find(source, places)
    return str(told.value)


# --------------------------------------------------------------------------- finding


def test_a_folder_that_the_environment_names_is_found(pipeline: Path, places: Places) -> None:
    assert find(SOURCE, named(places, pipeline)) == Found(pipeline, "environment")


def test_a_folder_in_the_workspace_is_found(made: Path, places: Places) -> None:
    own = Path(shutil.copytree(made, places.home / "bases" / SOURCE.name))
    assert find(SOURCE, places) == Found(own, "workspace")


def test_a_snapshot_in_the_hubs_cache_is_found_with_its_commit(made: Path, places: Places) -> None:
    snapshot = laid_in_cache(places, made)
    assert find(SOURCE, places) == Found(snapshot, "cache", revision=COMMIT)


def test_the_environment_goes_before_the_workspace_and_that_before_the_cache(
    pipeline: Path, made: Path, places: Places
) -> None:
    laid_in_cache(places, made)
    shutil.copytree(made, places.home / "bases" / SOURCE.name)
    assert find(SOURCE, places).how == "workspace"
    assert find(SOURCE, named(places, pipeline)).how == "environment"


def test_of_two_snapshots_main_is_taken_and_the_other_where_main_is_not_whole(made: Path, places: Places) -> None:
    older = laid_in_cache(places, made, "a" * 40, main=False)
    main = laid_in_cache(places, made)
    assert find(SOURCE, places).folder == main
    (main / TRANSFORMER).unlink()
    assert find(SOURCE, places).folder == older


def test_a_folder_in_the_workspace_that_is_not_whole_does_not_hide_the_cache(
    pipeline: Path, made: Path, places: Places
) -> None:
    own = Path(shutil.copytree(pipeline, places.home / "bases" / SOURCE.name))
    (own / TRANSFORMER).unlink()
    laid_in_cache(places, made)
    assert find(SOURCE, places).how == "cache"


def test_a_base_that_is_nowhere_is_told_with_its_size_and_the_ways_to_get_it(places: Places) -> None:
    told = refused(SOURCE, places)
    assert "flux2-klein-4b base (FLUX.2 [klein] base 4B, 16 GB) is not on this machine" in told
    assert "hf download black-forest-labs/FLUX.2-klein-base-4B" in told
    assert VARIABLE in told
    assert "licence" not in told


def test_a_gated_base_that_is_nowhere_is_told_with_its_licence_and_token(places: Places) -> None:
    told = refused(sources.SOURCES["flux1-dev"], places)
    assert "ccept its licence at https://huggingface.co/black-forest-labs/FLUX.1-dev" in told
    assert "HF_TOKEN" in told
    assert "hf auth login" in told


def test_what_the_environment_names_in_vain_is_told_and_not_passed_over(
    made: Path, pipeline: Path, places: Places
) -> None:
    laid_in_cache(places, made)
    told = refused(SOURCE, named(places, pipeline / "nowhere"))
    assert f"{VARIABLE} names nowhere, which is not there" in told
    (pipeline / "vae" / "config.json").unlink()
    told = refused(SOURCE, named(places, pipeline))
    assert f"in the folder that {VARIABLE} names is not complete: vae/config.json missing" in told


def test_a_missing_shard_is_told_by_its_name(pipeline: Path, places: Places) -> None:
    first, second = sharded(pipeline)
    assert layout.absent(pipeline) == []
    (pipeline / "transformer" / second).unlink()
    told = refused(SOURCE, named(places, pipeline))
    assert f"transformer/{second} missing" in told
    assert first not in told


def test_a_shard_that_was_cut_off_counts_as_missing(pipeline: Path) -> None:
    first, _ = sharded(pipeline)
    path = pipeline / "transformer" / first
    path.write_bytes(path.read_bytes()[:-1])
    assert layout.absent(pipeline) == [f"transformer/{first}"]


def test_shards_without_their_index_are_told(pipeline: Path) -> None:
    sharded(pipeline)
    index = pipeline / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text("{")
    assert layout.absent(pipeline) == [f"transformer/{index.name}"]
    index.unlink()
    assert layout.absent(pipeline) == [f"transformer/{index.name}"]


@pytest.mark.parametrize(
    ("form", "lacks"),
    [
        (("tokenizer.json",), []),
        (("vocab.json", "merges.txt"), []),
        (("spiece.model",), []),
        (("vocab.json",), ["tokenizer_2/tokenizer.json"]),
    ],
)
def test_a_tokenizer_is_whole_in_any_of_its_forms(pipeline: Path, form: tuple[str, ...], lacks: list[str]) -> None:
    index = json.loads((pipeline / "model_index.json").read_text())
    (pipeline / "model_index.json").write_text(
        json.dumps({**index, "tokenizer_2": ["transformers", "T5TokenizerFast"]})
    )
    second = pipeline / "tokenizer_2"
    second.mkdir()
    for name in ("tokenizer_config.json", *form):
        (second / name).write_text("{}")
    assert layout.absent(pipeline) == lacks


def test_a_second_text_encoder_is_asked_for_and_a_part_that_is_null_is_not(pipeline: Path) -> None:
    index = json.loads((pipeline / "model_index.json").read_text())
    more = {"text_encoder_2": ["transformers", "T5EncoderModel"], "image_encoder": [None, None]}
    (pipeline / "model_index.json").write_text(json.dumps({**index, **more}))
    assert layout.absent(pipeline) == ["text_encoder_2/config.json", "text_encoder_2/model.safetensors"]


def test_a_processor_needs_its_preprocessor_beside_the_tokenizer(pipeline: Path) -> None:
    index = json.loads((pipeline / "model_index.json").read_text())
    (pipeline / "model_index.json").write_text(json.dumps({**index, "tokenizer": ["transformers", "PixtralProcessor"]}))
    assert layout.absent(pipeline) == ["tokenizer/preprocessor_config.json"]
    (pipeline / "tokenizer" / "processor_config.json").write_text("{}")
    assert layout.absent(pipeline) == []


def test_a_folder_whose_weights_are_pickles_is_refused(pipeline: Path, places: Places) -> None:
    (pipeline / TRANSFORMER).rename(pipeline / "transformer" / "diffusion_pytorch_model.bin")
    told = refused(SOURCE, named(places, pipeline))
    assert "transformer/diffusion_pytorch_model.bin there is a pickle" in told
    assert "never read" in told


# --------------------------------------------------------------------------- one file


@pytest.fixture
def alone(pipeline: Path, tmp_path: Path) -> Path:
    """The transformer in a file of its own, taken out of the pipeline."""
    return (pipeline / TRANSFORMER).rename(tmp_path / "klein.safetensors")


def test_a_single_file_is_found_with_the_rest_from_the_workspace_or_the_cache(
    alone: Path, pipeline: Path, places: Places
) -> None:
    snapshot = laid_in_cache(places, pipeline)
    found = find(SOURCE, named(places, alone))
    assert found == Found(snapshot, "environment", single_file=alone, revision=COMMIT)
    own = Path(shutil.copytree(pipeline, places.home / "bases" / SOURCE.name))
    assert find(SOURCE, named(places, alone)).folder == own


def test_a_single_file_beside_the_workspaces_folder_is_found(alone: Path, pipeline: Path, places: Places) -> None:
    own = Path(shutil.copytree(pipeline, places.home / "bases" / SOURCE.name))
    file = alone.rename(own.with_name(f"{SOURCE.name}.safetensors"))
    assert find(SOURCE, places) == Found(own, "workspace", single_file=file)


RENAMED = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "stream_modulation.linear": "stream_modulation.lin",
    "modulation_img.linear": "modulation_img.lin",
    "modulation_txt.linear": "modulation_txt.lin",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
    "single_transformer_blocks": "single_blocks",
    "transformer_blocks": "double_blocks",
    "attn.to_qkv_mlp_proj": "linear1",
    "attn.norm_q.weight": "norm.query_norm.scale",
    "attn.norm_k.weight": "norm.key_norm.scale",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_out": "linear2",
    "attn.to_add_out": "txt_attn.proj",
    "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2",
    "ff_context.linear_in": "txt_mlp.0",
    "ff_context.linear_out": "txt_mlp.2",
}
FUSED = {"img_attn.qkv": ("to_q", "to_k", "to_v"), "txt_attn.qkv": ("add_q_proj", "add_k_proj", "add_v_proj")}


def as_its_makers_name_it(tensors: dict[str, Any]) -> dict[str, Any]:
    """FLUX.2's transformer as Black Forest Labs keep it: q, k and v in one matrix, shift before scale at the end."""
    held = dict(tensors)
    for name in [name for name in tensors if name.endswith(("attn.to_q.weight", "attn.add_q_proj.weight"))]:
        block, _, _ = name.partition("attn.")
        for fused, parts in FUSED.items():
            pieces = [held.pop(f"{block}attn.{part}.weight", None) for part in parts]
            if pieces[0] is not None:
                held[f"{block}{fused}.weight"] = torch.cat(pieces)
    scale, shift = held["norm_out.linear.weight"].chunk(2)
    held["norm_out.linear.weight"] = torch.cat([shift, scale])
    renamed = {}
    for name, tensor in held.items():
        for ours, theirs in RENAMED.items():
            name = name.replace(ours, theirs)
        if name.startswith("double_blocks"):
            name = name.replace(".norm.query", ".img_attn.norm.query").replace(".norm.key", ".img_attn.norm.key")
            name = name.replace("txt_attn.img_attn", "txt_attn")
        renamed[name] = tensor
    return renamed


@pytest.mark.parametrize("form", [dict, as_its_makers_name_it], ids=["diffusers", "makers"])
def test_a_single_file_opens_as_the_same_transformer(
    alone: Path, pipeline: Path, places: Places, form: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    kept = load_file(alone)
    rewritten(alone, form)
    laid_in_cache(places, pipeline)
    base = full_size.opened(SOURCE.name, named(places, alone))
    opened = load(base, families.get(base.family)).transformer.state_dict()
    assert set(opened) == set(kept)
    assert all(tensor.equal(kept[name]) for name, tensor in opened.items())


def test_a_single_file_without_the_rest_tells_what_to_get(alone: Path, places: Places) -> None:
    told = refused(SOURCE, named(places, alone))
    assert "klein.safetensors is the transformer of flux2-klein-4b alone" in told
    assert '--exclude "transformer/*.safetensors"' in told


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("klein.ckpt", "is a pickle, which can run any program"),
        ("klein.PT", "is a pickle, which can run any program"),
        ("klein.gguf", "is no .safetensors file"),
    ],
)
def test_a_file_of_another_form_is_refused_unopened(
    alone: Path, pipeline: Path, places: Places, name: str, why: str
) -> None:
    laid_in_cache(places, pipeline)
    assert why in refused(SOURCE, named(places, alone.rename(alone.with_name(name))))


def rewritten(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """The file with other tensors in it."""
    save_file(change(load_file(path)), path)
    return path


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda held: {"lora.weight": held["x_embedder.weight"]}, "holds no transformer of FLUX.2"),
        (lambda held: {**held, "x_embedder.weight": held["x_embedder.weight"][:, :8].clone()}, "is of another model"),
        (lambda held: {**held, "proj_out.weight_scale": held["x_embedder.weight"].clone()}, "is a quantised file"),
        (lambda held: {f"model.diffusion_model.{name}": it for name, it in held.items()}, "more than the transformer"),
    ],
)
def test_a_file_of_another_model_is_refused_by_its_header(
    alone: Path, pipeline: Path, places: Places, change: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    laid_in_cache(places, pipeline)
    assert why in refused(SOURCE, named(places, rewritten(alone, change)))


def test_a_file_that_takes_no_guidance_is_no_transformer_that_is_told_it(
    alone: Path, pipeline: Path, places: Places
) -> None:
    config = pipeline / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "guidance_embeds": True}))
    laid_in_cache(places, pipeline)
    assert "takes no guidance" in refused(SOURCE, named(places, alone))


FLUX1_CONFIG = {
    "_class_name": "FluxTransformer2DModel",
    "num_attention_heads": 2,
    "attention_head_dim": 3,
    "in_channels": 4,
    "guidance_embeds": True,
}
Z_IMAGE_CONFIG = {"_class_name": "ZImageTransformer2DModel", "dim": 6, "in_channels": 1, "all_patch_size": [2]}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (FLUX1_CONFIG, ["double_blocks.0.img_mod.lin.weight", "img_in.weight", "guidance_in.in_layer.weight"]),
        (Z_IMAGE_CONFIG, ["noise_refiner.0.attention.qkv.weight", "x_embedder.weight"]),
    ],
    ids=["flux1", "z-image"],
)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_other_models_are_known_by_their_makers_names_with_comfyuis_prefix_too(
    tmp_path: Path, config: dict[str, Any], names: list[str], prefix: str
) -> None:
    file, told = tmp_path / "model.safetensors", tmp_path / "config.json"
    told.write_text(json.dumps(config))
    save_file({prefix + name: torch.zeros(6, 4) for name in names}, file)
    single_file.check_format(file)
    single_file.check_model(file, told, "the model")
    save_file({prefix + name: torch.zeros(6, 4) for name in names[1:]}, file)
    with pytest.raises(NotInstalled, match="holds no transformer of the model"):
        single_file.check_model(file, told, "the model")


def test_a_file_that_was_cut_off_is_told(alone: Path, pipeline: Path, places: Places) -> None:
    laid_in_cache(places, pipeline)
    alone.write_bytes(alone.read_bytes()[:-10])
    assert "is cut off" in refused(SOURCE, named(places, alone))


# --------------------------------------------------------------------------- the hash of weights


def test_the_hash_of_weights_is_the_same_wherever_they_lie(made: Path, places: Places) -> None:
    assert layout.digest(made) == layout.digest(laid_in_cache(places, made))


def test_the_hash_of_small_weights_counts_every_byte(pipeline: Path) -> None:
    before = layout.digest(pipeline)
    file = pipeline / TRANSFORMER
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert layout.digest(pipeline) != before


def test_the_hash_of_large_weights_reads_a_little_of_them_and_sees_a_change_of_a_matrix(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "WHOLE_BELOW", 0)
    monkeypatch.setattr(layout, "SAMPLES", 8)
    monkeypatch.setattr(layout, "SAMPLE_BYTES", 16)
    file = pipeline / TRANSFORMER
    before = layout.digest(pipeline)
    end = file.read_bytes()
    file.write_bytes(end[:-1] + bytes([end[-1] ^ 1]))
    assert layout.digest(pipeline) != before
    file.write_bytes(end)
    assert layout.digest(pipeline) == before
    largest = max(load_file(file).items(), key=lambda item: item[1].numel())[0]
    rewritten(file, lambda held: {**held, largest: held[largest] + 1})
    assert layout.digest(pipeline) != before


def test_the_hash_of_a_single_file_is_another_than_that_of_the_folder(alone: Path, pipeline: Path) -> None:
    one = layout.digest(pipeline, alone)
    rewritten(alone, lambda held: {**held, "x_embedder.weight": held["x_embedder.weight"] + 1})
    assert layout.digest(pipeline, alone) != one


def test_weights_that_are_not_whole_have_no_hash(pipeline: Path) -> None:
    (pipeline / TRANSFORMER).unlink()
    with pytest.raises(NotInstalled, match=TRANSFORMER):
        layout.digest(pipeline)


# --------------------------------------------------------------------------- getting


def get(hub: Hub, places: Places, source: Source = SOURCE, **options: Any) -> Found:
    """Fetch from the fake hub."""
    return fetch(source, options.pop("tell", silent), endpoint=hub.endpoint, places=places, **options)


def test_a_base_is_got_into_the_cache_and_found_there(hub: Hub, made: Path, places: Places) -> None:
    told: list[tuple[int, int]] = []
    found = get(hub, places, tell=lambda done, of: told.append((done, of)))
    assert find(SOURCE, places) == found
    assert found.revision == COMMIT
    assert layout.digest(found.folder) == layout.digest(made)
    done = [there for there, _ in told]
    total = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    assert done == sorted(done)
    assert {of for _, of in told} == {total}
    assert done[0] < total == done[-1]
    assert len(told) > 3


def test_only_what_the_pipeline_opens_is_got(hub: Hub, made: Path, places: Places) -> None:
    get(hub, places)
    assert hub.names() == {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}


def test_the_rest_alone_is_got_for_a_single_file(hub: Hub, alone: Path, places: Places) -> None:
    get(hub, places, without_transformer=True)
    assert TRANSFORMER not in hub.names()
    assert "transformer/config.json" in hub.names()
    assert find(SOURCE, named(places, alone)).single_file == alone


def test_a_base_that_is_whole_in_the_cache_is_not_asked_for_again(hub: Hub, made: Path, places: Places) -> None:
    laid_in_cache(places, made)
    hub.down = 500
    assert get(hub, places).how == "cache"
    assert hub.asked == []


def test_a_download_goes_on_within_a_file_after_the_connection_broke(
    hub: Hub, made: Path, places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # the hub's own is ten megabytes
    hub.cuts = {TRANSFORMER: 2}
    found = get(hub, places)
    assert layout.digest(found.folder) == layout.digest(made)
    begun = [start for name, start in hub.asked if name == TRANSFORMER]
    assert begun[0] == 0 < begun[1] < begun[2]
    assert hub.endpoint not in caplog.text  # an address may carry a signature


def test_after_a_connection_that_stays_broken_whole_files_are_kept(
    hub: Hub, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    hub.cuts = {TRANSFORMER: 100}
    with pytest.raises(NotInstalled, match=r"connection broke.*files that are whole are kept"):
        get(hub, places)
    assert TRANSFORMER in refused(SOURCE, places)
    got = hub.names() - {TRANSFORMER}
    hub.cuts, hub.asked = {}, []
    get(hub, places)
    assert TRANSFORMER in hub.names()
    assert not hub.names() & got


def test_who_has_no_token_is_told_how_to_be_let_in(hub: Hub, places: Places) -> None:
    hub.gated = True
    with pytest.raises(NotInstalled) as told:
        get(hub, places, GATED)
    assert "is gated: accept its licence at https://huggingface.co/black-forest-labs/" in str(told.value)
    assert "HF_TOKEN" in str(told.value)


def test_who_has_a_token_but_not_the_licence_is_told_to_accept_it(hub: Hub, places: Places) -> None:
    hub.gated, hub.accepted = True, False
    with pytest.raises(NotInstalled, match=r"its licence was not accepted by the owner of the token"):
        get(hub, places, GATED, token=TOKEN)


def test_a_gated_base_is_got_with_the_right_token(hub: Hub, places: Places) -> None:
    hub.gated = True
    assert get(hub, places, GATED, token=TOKEN).how == "cache"


def test_a_wrong_token_is_told_and_never_shown(
    hub: Hub, places: Places, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hub.gated = True
    secret = TOKEN[::-1]
    with pytest.raises(NotInstalled, match="does not know the token") as told:
        get(hub, places, GATED, token=secret)
    shown = "".join(traceback.format_exception(told.value)) + "".join(capfd.readouterr()) + caplog.text
    assert secret not in shown
    assert told.value.__cause__ is None
    assert all(secret.encode() not in path.read_bytes() for path in places.home.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_repository_that_is_not_there_is_told(hub: Hub, places: Places, token: str | None) -> None:
    moved = replace(SOURCE, repository="somebody/else")
    with pytest.raises(NotInstalled, match="no repository somebody/else"):
        get(hub, places, moved, token=token)


def test_a_hub_that_is_ill_is_told_with_its_answer(hub: Hub, places: Places) -> None:
    hub.down = 500
    with pytest.raises(NotInstalled, match="answered 500"):
        get(hub, places)


def test_a_hub_out_of_reach_is_told(places: Places) -> None:
    with pytest.raises(NotInstalled, match="could not be reached"):
        fetch(SOURCE, silent, endpoint="http://127.0.0.1:9", places=places)


def test_offline_a_base_in_the_cache_serves_and_another_is_told(
    hub: Hub, made: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotInstalled, match="HF_HUB_OFFLINE forbids"):
        get(hub, places)
    laid_in_cache(places, made)
    assert get(hub, places) == find(SOURCE, places)


def test_a_disk_without_room_is_told_before_anything_large_is_got(
    hub: Hub, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(places.home.parent)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage._replace(free=fetching.SPARE))
    with pytest.raises(NotInstalled, match=r"needs 0\.\d GB more, and the disk .* has 1\.0 GB free"):
        get(hub, places)
    assert hub.names() == {"model_index.json"}


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk became full"),
        (OSError(errno.EACCES, "Permission denied"), "may not be written"),
        (RuntimeError("Task error: I/O error: No space left on device (os error 28)"), "The disk became full"),
        (RuntimeError("Task error: CAS Client Error: Request middleware error"), "could not be reached"),
    ],
)
def test_a_disk_or_network_that_fails_meanwhile_is_told(
    hub: Hub, places: Places, monkeypatch: pytest.MonkeyPatch, raised: Exception, sentence: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(NotInstalled, match=sentence):
        get(hub, places)


def test_a_repository_that_has_only_pickles_is_told(hub: Hub, places: Places) -> None:
    hub.files["transformer/diffusion_pytorch_model.bin"] = hub.files.pop(TRANSFORMER)
    with pytest.raises(NotInstalled, match=f"came without {TRANSFORMER}"):
        get(hub, places)
    assert not [name for name in hub.names() if name.endswith(".bin")]


def test_a_download_stops_when_it_is_told_to(hub: Hub, places: Places) -> None:
    def stop(done: int, of: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        get(hub, places, tell=stop)
    with pytest.raises(NotInstalled):
        find(SOURCE, places)


# --------------------------------------------------------------------------- the bases themselves


@pytest.mark.parametrize("name", full_size.BASES)
def test_every_base_suits_the_rulebook_for_sets_of_any_size(name: str) -> None:
    row, base = TARGETS[TargetModel(name)], full_size.BASES[name]
    for profile in ("character", "style"):
        recipe = base.recipe.for_profile(profile)
        engine = LocalEngine({name: lambda recipe=recipe: replace(base, recipe=recipe)})  # type: ignore[misc]
        for images in (10, 15, 25, 60, 200):
            steps = engine.defaults(name, images, profile).steps
            assert row.steps[0] <= steps <= row.steps[1], (profile, images)
        assert row.learning_rate is not None
        assert row.learning_rate[0] <= recipe.learning_rate <= row.learning_rate[1]
        assert row.rank is None or row.rank[0] <= recipe.rank <= row.rank[1]


def test_flux2_dev_learns_a_face_at_a_higher_rank_than_a_look() -> None:
    recipe = full_size.BASES["flux2-dev"].recipe
    assert (recipe.for_profile("character").rank, recipe.for_profile("style").rank) == (48, 16)
    assert recipe.for_profile("character").alpha == 96.0


@pytest.mark.parametrize("name", full_size.BASES)
def test_native_sizes_are_about_a_megapixel_and_whole_tokens(name: str) -> None:
    base = full_size.BASES[name]
    assert base.resolution == 1024
    for width, height in base.sizes:
        assert width % 16 == height % 16 == 0
        assert 0.9 < width * height / 1024**2 < 1.1


def test_a_base_is_opened_with_the_weights_that_were_found(made: Path, places: Places) -> None:
    snapshot = laid_in_cache(places, made)
    base = full_size.full_size(places)[SOURCE.name]()
    assert (base.weights, base.revision, base.source) == (snapshot, COMMIT, SOURCE)
    assert base.digest == layout.digest(made)
    with pytest.raises(NotInstalled, match="flux1-dev"):
        full_size.full_size(places)["flux1-dev"]()


def test_a_licence_that_forbids_commercial_use_is_told() -> None:
    told = {name: sources.remark(name) for name in full_size.BASES}
    for name in ("flux1-dev", "flux2-dev", "flux2-klein-9b"):
        assert "Non-Commercial License" in str(told[name])
    assert told["flux2-klein-4b"] is None
    assert "Commercial" not in str(told["z-image"])
    assert sources.remark("preview") is None
