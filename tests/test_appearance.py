"""How alike pictures are, by counting and by a vision model; what a look is; which pictures taught a LoRA."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import picture, save
from support.training import pictures, queued

from loradeck.state.records import LoraRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.appearance.eye import open_eye
from loradeck.tools.appearance.memory import Memory
from loradeck.tools.appearance.statistics import StatisticsEye, opened
from loradeck.tools.appearance.style import TrainingLook
from loradeck.tools.appearance.training import base_pictures_of, pictures_of

ICONS = sorted((Path(__file__).parents[1] / "server" / "demo_data" / "icons").glob("*.png"))[:12]
PHOTOS = sorted((Path(__file__).parent / "data" / "photos").glob("*.*g"))[:4]


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where no vision model lies."""
    monkeypatch.delenv("LORADECK_EYE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def lora(**values: object) -> LoraRecord:
    fields = {"id": "lora_1", "name": "look", "version": 1, "base_model": "preview", "path": "a", "sha256": "b"}
    return LoraRecord(**{**fields, "bytes": 1, **values})  # type: ignore[arg-type]


# --------------------------------------------------------------------------- the eye that counts


def test_two_icons_of_a_set_are_more_alike_than_an_icon_and_a_photograph() -> None:
    eye = StatisticsEye()
    one, other, photo = (eye.see(path) for path in (ICONS[0], ICONS[1], PHOTOS[0]))
    assert eye.alike(one, one) == pytest.approx(1)
    assert 1 > eye.alike(one, other) > 2 * eye.alike(one, photo) > 0


def test_closeness_is_one_within_a_look_and_small_far_from_it() -> None:
    eye = StatisticsEye()
    icons, photos = [eye.see(path) for path in ICONS], [eye.see(path) for path in PHOTOS]
    within = [eye.closeness(one, [*icons[:place], *icons[place + 1 :]]) for place, one in enumerate(icons)]
    assert float(np.mean(within)) > 0.8
    assert max(eye.closeness(photo, icons) for photo in photos) < 0.4
    assert eye.closeness(icons[0], icons[:1]) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least one picture"):
        eye.closeness(icons[0], [])


def test_a_picture_on_nothing_is_seen_on_white_and_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert opened(save(clear, tmp_path / "clear.png")).getpixel((5, 5)) == (255, 255, 255)
    assert opened(save(clear.convert("P"), tmp_path / "palette.png")).mode == "RGB"
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(OSError, match=r"words\.png"):
        StatisticsEye().see(tmp_path / "words.png")


def test_without_a_model_the_eye_counts_and_loads_no_torch(no_model: None) -> None:
    assert open_eye().name == "colour, texture and structure statistics"
    code = (
        "import sys; from loradeck.tools.appearance.eye import open_eye; open_eye(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# --------------------------------------------------------------------------- the eye of a model


def tiny_dino(folder: Path) -> Path:
    """A DINOv2 of two layers with random weights, saved as transformers does."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    Dinov2Model(Dinov2Config(image_size=56, patch_size=14, **shape)).save_pretrained(folder)
    return with_processor(folder, "BitImageProcessor")


def tiny_clip(folder: Path) -> Path:
    """A CLIP vision tower of two layers with random weights."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tower = CLIPVisionConfig(image_size=56, patch_size=14, projection_dim=16, **shape)
    CLIPVisionModelWithProjection(tower).save_pretrained(folder)
    return with_processor(folder, "CLIPImageProcessor")


def with_processor(folder: Path, kind: str) -> Path:
    settings = {
        "image_processor_type": kind,
        "size": {"shortest_edge": 64},
        "crop_size": {"height": 56, "width": 56},
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(("make", "numbers"), [(tiny_dino, 32), (tiny_clip, 16)])
def test_a_model_that_lies_in_the_named_folder_is_the_eye(
    make: object, numbers: int, tmp_path: Path, no_model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORADECK_EYE", str(make(tmp_path / "dino")))  # type: ignore[operator]
    eye = open_eye()
    assert eye.name == "embeddings of LORADECK_EYE (dino)"
    one, other = eye.see(ICONS[0]), eye.see(save(picture(3, 320, 180), tmp_path / "wide.png"))
    assert one.look.shape == (numbers,)
    assert float(np.linalg.norm(one.look)) == pytest.approx(1, abs=1e-5)
    assert eye.alike(one, one) == pytest.approx(1, abs=1e-5)
    assert eye.alike(one, other) < 0.99999
    assert 0 < eye.closeness(other, [eye.see(path) for path in ICONS[:4]]) <= 1


def test_a_model_in_the_workspace_is_found(tmp_path: Path, no_model: None) -> None:
    tiny_dino(tmp_path / "eye")
    assert open_eye(tmp_path).name == "embeddings of the workspace's eye"


def test_a_model_in_the_hubs_cache_is_found(tmp_path: Path, no_model: None) -> None:
    stored = tmp_path / "hub" / "models--facebook--dinov2-small"
    tiny_dino(stored / "snapshots" / ("a" * 40))
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("a" * 40)
    assert open_eye().name == "embeddings of facebook/dinov2-small"


def damaged(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\0" * 64)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def unknown(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))


def lacking(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(dict(list(tensors.items())[5:]), folder / "model.safetensors", metadata={"format": "pt"})


def bare(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damaged, "cannot be read"),
        (pickled, "holds no weights as safetensors"),
        (unknown, "holds a model of the kind bert"),
        (lacking, "lacks 5 of its tensors"),
        (bare, "holds no config.json"),
    ],
)
def test_a_model_that_cannot_be_used_is_passed_over_and_the_eye_says_why(
    spoil: object, why: str, tmp_path: Path, no_model: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_dino(tmp_path / "dino")
    spoil(folder)  # type: ignore[operator]
    monkeypatch.setenv("LORADECK_EYE", str(folder))
    name = open_eye().name
    assert name.startswith("colour, texture and structure statistics (not a model: LORADECK_EYE (dino) ")
    assert why in name


# --------------------------------------------------------------------------- a look, and the way to what the base draws


def test_a_picture_is_off_style_beyond_half_of_the_way_to_what_the_base_draws() -> None:
    eye = StatisticsEye()
    icons, photos = [eye.see(path) for path in ICONS], [eye.see(path) for path in PHOTOS]
    look = TrainingLook(eye, icons[1:], photos[1:])
    in_look, off = look.away(icons[0]), look.away(photos[0])
    assert not in_look.off
    assert off.off
    assert off.limit == pytest.approx((off.usual + (off.base or 0)) / 2)
    assert in_look.distance < off.limit < off.distance


def test_where_the_base_is_not_known_the_spread_of_the_look_itself_is_the_limit() -> None:
    eye = StatisticsEye()
    look = TrainingLook(eye, [eye.see(path) for path in ICONS[1:]], [])
    assert look.away(eye.see(PHOTOS[0])).off
    assert not look.away(eye.see(ICONS[0])).off
    assert look.away(eye.see(ICONS[0])).base is None


def test_a_base_that_draws_the_look_by_itself_puts_no_picture_of_the_look_off_style() -> None:
    eye = StatisticsEye()
    icons = [eye.see(path) for path in ICONS]
    look = TrainingLook(eye, icons[:8], icons[:3])
    assert not any(look.away(one).off for one in icons[8:])


def test_four_pictures_are_no_look() -> None:
    eye = StatisticsEye()
    with pytest.raises(ValueError, match="5 pictures"):
        TrainingLook(eye, [eye.see(path) for path in ICONS[:4]], [])


# --------------------------------------------------------------------------- memory


def test_what_was_seen_is_remembered_and_a_damaged_memory_is_seen_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "looks")
    look, seen = memory.of(ICONS[0])
    (kept,) = (tmp_path / "looks").iterdir()
    again_look, again = memory.of(ICONS[0])
    assert np.array_equal(seen.look, again.look)
    assert np.array_equal(seen.layout, again.layout)
    assert (again_look.phash, again_look.jpeg) == (look.phash, look.jpeg)
    kept.write_bytes(kept.read_bytes()[:-40])
    assert memory.of(ICONS[0])[0].jpeg == look.jpeg


def test_a_memory_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "looks").write_text("a file where a folder should be")
    assert Memory(tmp_path / "looks").of(ICONS[0])[1].look.shape == (60,)


# --------------------------------------------------------------------------- where a look was learned


def test_the_images_that_a_run_set_aside_are_what_its_lora_learned_from(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    run = queued(store)
    there = pictures_of(store, lora(run_id=run.id))
    assert [path.name for path in there] == ["000.png", "001.png", "002.png"]
    assert {path.parent for path in there} == {store.workspace.run(run.id) / "dataset"}
    there[1].unlink()
    assert [path.name for path in pictures_of(store, lora(run_id=run.id))] == ["000.png", "002.png"]


def test_a_lora_from_elsewhere_has_no_known_images(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    assert pictures_of(store, lora()) == []
    assert pictures_of(store, lora(dataset_id="ds_gone", run_id="run_gone")) == []
    assert base_pictures_of(store, lora()) == []


def test_the_first_samples_of_the_first_of_a_line_are_what_the_base_draws(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    run, later = queued(store), queued(store)
    path, after, other = (one[0] for one in pictures(store.workspace.run(run.id) / "samples", 3))
    for one, step, drawn in ((run, 0, path), (run, 100, after), (later, 0, other)):
        store.add(SampleRecord(one.id, step, str(drawn), "a thing"))
    first = lora(run_id=run.id)
    store.add(first)
    assert base_pictures_of(store, first) == [path]
    assert base_pictures_of(store, lora(id="lora_2", run_id=later.id, parent_lora_id="lora_1")) == [path]
    assert base_pictures_of(store, lora(id="lora_3", run_id=later.id, parent_lora_id="lora_gone")) == []
