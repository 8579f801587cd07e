"""What generators write into their pictures: the LoRAs that drew them are read, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from support.images import picture

from loradeck.tools.curate_dataset.provenance import loras_of

A1111 = (
    "a red house <lora:myLook_v2:0.8> on a hill\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1, "
    'Lora hashes: "myLook_v2: abcdef123456, other one: 0123", Version: v1.10'
)
COMFY = {
    "3": {"class_type": "KSampler", "inputs": {"seed": 1, "model": ["10", 0]}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "film/look.safetensors", "strength_model": 1.0}},
    "11": {
        "class_type": "Power Lora Loader (rgthree)",
        "inputs": {
            "lora_1": {"on": True, "lora": "grain.safetensors", "strength": 0.5},
            "lora_2": {"on": False, "lora": "off.safetensors", "strength": 0.5},
        },
    },
}


def png(path: Path, **texts: str) -> Image.Image:
    info = PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    picture(1, 64).save(path, pnginfo=info)
    return Image.open(path)


def test_an_a1111_picture_names_its_loras_once(tmp_path: Path) -> None:
    assert loras_of(png(tmp_path / "a.png", parameters=A1111)) == ["myLook_v2", "other one"]


def test_a_comfyui_graph_names_the_loras_that_are_switched_on(tmp_path: Path) -> None:
    raw = png(tmp_path / "a.png", prompt=json.dumps(COMFY))
    assert loras_of(raw) == ["film/look.safetensors", "grain.safetensors"]


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("invokeai_metadata", {"loras": [{"model": {"name": "ink", "base": "flux"}, "weight": 1}]}, ["ink"]),
        ("parameters", {"prompt": "a cup", "loras": [["sdxl_offset.safetensors", 0.1]]}, ["sdxl_offset.safetensors"]),
    ],
)
def test_lists_of_loras_in_other_generators_settings_are_read(
    tmp_path: Path, key: str, value: dict[str, Any], names: list[str]
) -> None:
    assert loras_of(png(tmp_path / "a.png", **{key: json.dumps(value)})) == names


def test_a_picture_that_loradeck_drew_with_a_lora_says_so(tmp_path: Path) -> None:
    listed = json.dumps([{"file": "my-look-v1.safetensors", "strength": 1.0, "sha256": "ab"}])
    assert loras_of(png(tmp_path / "a.png", Software="loradeck", loras=listed)) == ["my-look-v1.safetensors"]
    assert loras_of(png(tmp_path / "b.png", Software="loradeck", loras="[]")) == []


def test_the_comment_of_a_jpeg_is_read_in_its_own_encoding(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + "x <lora:Ünder:1>".encode("utf-16-be")
    picture(1, 64).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as raw:
        assert loras_of(raw) == ["Ünder"]


@pytest.mark.parametrize(
    "text",
    [
        "Steps: 20, Sampler: Euler a, Seed: 1",
        json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}),
        "a parrot called Lora {in a cage}",
        '{"loras": []}',
        '{"lora": "None"}',
    ],
)
def test_what_was_drawn_without_one_names_none(tmp_path: Path, text: str) -> None:
    assert loras_of(png(tmp_path / "a.png", parameters=text)) == []


def test_a_photograph_from_a_camera_names_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "EOS R5"
    picture(1, 64).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as raw:
        assert loras_of(raw) == []


@given(
    st.text(max_size=300)
    | st.recursive(
        st.none() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["loras", "lora", "inputs", "class_type", "model", "x"]), inner, max_size=4
            )
        ),
        max_leaves=20,
    ).map(json.dumps)
)
def test_whatever_a_file_says_of_itself_no_name_is_long_and_nothing_is_raised(text: str) -> None:
    raw = Image.new("RGB", (8, 8))
    raw.info["parameters"] = text
    assert all(0 < len(name) <= 80 for name in loras_of(raw))
