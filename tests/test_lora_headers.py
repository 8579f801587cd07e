"""Headers of LoRA files that strangers wrote: each gives a reading or a sentence, soon, and peft's scale."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from support import loras

from loradeck.engines import lora_origin, tensor_file
from loradeck.engines.errors import BadWeights
from loradeck.engines.local.lora_dialects import ADAPTER_METADATA, told_scale
from loradeck.engines.lora_origin import Seen, look

SECONDS = 5.0
"""What a look at a file may take at most, on a busy machine."""


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a file, and the tensors behind it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


ENTRIES, BODY = parts(loras.content("z-image"))


def laid(path: Path, header: object, body: bytes = BODY) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headers") / "a.safetensors"


def looked_at(path: Path) -> Seen | None:
    """What a look gives, or None after a sentence; in time, and nothing that safetensors would not open."""
    began = time.monotonic()
    try:
        seen, told = look(path), ""
    except BadWeights as error:
        seen, told = None, str(error)
    assert time.monotonic() - began < SECONDS
    if seen is None:
        assert told.startswith(path.name)
        assert told.endswith(".")
        return None
    with safe_open(path, "np"):
        return seen


# --------------------------------------------------------------------------- wild headers

NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, 2**63, 2**64, 10**4299, -1, 1e400])
TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(["klein4b", "1" * 5000, "[" * 5000, "NaN", "{}"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ADAPTER = st.fixed_dictionaries(
    {},
    optional={
        "transformer.lora_alpha": JSON,
        "transformer.alpha_pattern": JSON | st.dictionaries(TEXT, JSON, max_size=3),
        "transformer.use_rslora": JSON,
    },
)
READ = (*lora_origin.BASE_KEYS, *lora_origin.TRIGGER_KEYS, "ss_steps", "ss_tag_frequency", ADAPTER_METADATA)
SAID = st.one_of(JSON.map(json.dumps), ADAPTER.map(json.dumps), TEXT, st.dictionaries(TEXT, JSON).map(json.dumps))


@settings(max_examples=300, deadline=None)
@given(metadata=st.dictionaries(st.sampled_from(READ) | TEXT, SAID, max_size=5))
def test_any_text_in_the_metadata_gives_a_reading_or_a_sentence(metadata: dict[str, str], place: Path) -> None:
    path = laid(place, {"__metadata__": metadata, **ENTRIES})
    assert looked_at(path) is None or tensor_file.is_whole(path)


@settings(max_examples=200, deadline=None)
@given(metadata=JSON | st.dictionaries(st.sampled_from(READ) | TEXT, JSON | SAID, max_size=3))
def test_metadata_is_taken_where_safetensors_takes_it(metadata: object, place: Path) -> None:
    laid(place, {"__metadata__": metadata, **ENTRIES})
    try:
        with safe_open(place, "np"):
            opens = True
    except SafetensorError:
        opens = False
    assert tensor_file.is_whole(place) is opens
    looked_at(place)


PLACES = st.lists(st.integers(-8, len(BODY) + 8) | JSON, max_size=3)
ENTRY = st.fixed_dictionaries(
    {}, optional={"dtype": st.sampled_from(["F16", "F32", "BF16"]) | JSON, "shape": JSON, "data_offsets": PLACES}
)


@settings(max_examples=300, deadline=None)
@given(entries=st.dictionaries(st.sampled_from(sorted(ENTRIES)) | TEXT, ENTRY | JSON, max_size=3), keep=st.booleans())
def test_any_entries_of_tensors_give_a_reading_or_a_sentence(entries: dict[str, Any], keep: bool, place: Path) -> None:
    path = laid(place, {**ENTRIES, **entries} if keep else entries)
    assert looked_at(path) is None or tensor_file.is_whole(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [7] * 1_000_000},
        {"shape": [10**4000] * 500},
        {"data_offsets": [0, int("9" * 4300)]},
        {"data_offsets": [0, float("inf")]},
    ],
    ids=["many sizes", "large sizes", "a far place", "an infinite place"],
)
def test_sizes_beyond_all_measure_are_refused_soon(entry: dict[str, Any], tmp_path: Path) -> None:
    first = next(iter(ENTRIES))
    header = {**ENTRIES, first: {**ENTRIES[first], **entry}}
    assert looked_at(laid(tmp_path / "a.safetensors", header)) is None


@pytest.mark.parametrize("word", ["klein", "flux2", "zimage", "flux"])
def test_a_base_of_a_very_long_name_is_looked_at_soon(word: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(loras.content("z-image", ss_base_model_version=word * 60_000))
    assert looked_at(path) is not None


@pytest.mark.parametrize(
    ("metadata", "told"),
    [({"ss_steps": 5}, "is no text"), ({"a": {"b": "c"}}, "is no text"), ([], "is no text"), ({"a": "\ud800"}, "text")],
)
def test_metadata_that_is_not_text_is_refused_as_safetensors_does(metadata: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=rf"header is broken: .*{told}; get the file again.*\.$"):
        look(laid(tmp_path / "a.safetensors", {"__metadata__": metadata, **ENTRIES}))


def test_tensors_that_leave_bytes_before_or_between_them_are_refused(tmp_path: Path) -> None:
    for moved in (list(ENTRIES), list(ENTRIES)[1:]):
        header = dict(ENTRIES)
        for key in moved:
            header[key] = {**ENTRIES[key], "data_offsets": [place + 64 for place in ENTRIES[key]["data_offsets"]]}
        with pytest.raises(BadWeights, match="tensors do not follow each other"):
            look(laid(tmp_path / "a.safetensors", header, BODY + bytes(64)))


def bfloat16(values: np.ndarray) -> np.ndarray:
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["F16", "BF16", "F32"])
def test_a_file_with_a_number_that_is_not_finite_is_refused(kind: str, number: float, tmp_path: Path) -> None:
    tensors = {key: value.astype(np.float32) for key, value in loras.tensors().items()}

    def written() -> Path:
        if kind == "BF16":
            header, body = parts(save({key: bfloat16(value) for key, value in tensors.items()}))
            return laid(
                tmp_path / "a.safetensors", {key: {**one, "dtype": "BF16"} for key, one in header.items()}, body
            )
        made = {key: value.astype(np.float16 if kind == "F16" else np.float32) for key, value in tensors.items()}
        (tmp_path / "a.safetensors").write_bytes(save(made))
        return tmp_path / "a.safetensors"

    last = sorted(tensors)[-1]
    tensors[last][-1, -1] = 3e4
    assert looked_at(written()) is not None
    tensors[last][-1, -1] = number
    with pytest.raises(BadWeights, match=rf"not finite \({last}\).*\.$"):
        look(written())


@pytest.mark.parametrize("trigger", ['a "quoted" one', "back\\slash", "`code`", "bell\x07", "half\x9f"])
def test_a_trigger_that_could_break_out_of_a_card_counts_as_not_told(trigger: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for said in ({"modelspec__trigger_phrase": trigger}, {"ss_tag_frequency": loras.tags(**{trigger: 9, "b": 1})}):
        path.write_bytes(loras.content(**said))
        assert look(path).trigger is None


# --------------------------------------------------------------------------- the scale that metadata tells


class Attention(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("to_q", "to_k", "to_v"):
            self.add_module(name, torch.nn.Linear(2, 2))


class Model(torch.nn.Module):
    """A few modules by the names that transformers have."""

    def __init__(self) -> None:
        super().__init__()
        for stack in ("transformer_blocks", "single_transformer_blocks"):
            blocks = torch.nn.ModuleList(torch.nn.ModuleDict({"attn": Attention()}) for _ in range(2))
            self.add_module(stack, blocks)


ENDS = ("to_q", "to_k", "to_v", "attn.to_k", "0.attn.to_k", "k", "attn", "to", "^to_k", r"attn\.to_v")
WHOLE = ("transformer_blocks.0.attn.to_k", "^transformer_blocks.1.attn.to_q", "single_transformer_blocks.0.attn.to_v")
PATTERNS = st.sampled_from([*ENDS, *WHOLE])


@pytest.mark.filterwarnings("ignore:The following .* keys did not match")
@settings(max_examples=60, deadline=None)
@given(
    alphas=st.dictionaries(PATTERNS, st.sampled_from([1, 2.0, 6, 0.5])),
    ranks=st.dictionaries(PATTERNS, st.integers(1, 5)),
    rslora=st.booleans(),
)
def test_patterns_of_alpha_and_rank_act_as_in_peft(
    alphas: dict[str, float], ranks: dict[str, int], rslora: bool
) -> None:
    names = ["to_q", "to_k", "to_v"]
    config = LoraConfig(
        r=2, lora_alpha=3, alpha_pattern=alphas, rank_pattern=ranks, use_rslora=rslora, target_modules=names
    )
    layers = dict(inject_adapter_in_model(config, Model()).named_modules())
    told = {"lora_alpha": 3, "alpha_pattern": alphas, "rank_pattern": ranks, "use_rslora": rslora}
    scale = told_scale({ADAPTER_METADATA: json.dumps({f"transformer.{key}": value for key, value in told.items()})})
    adapted = {name: layer for name, layer in layers.items() if hasattr(layer, "scaling")}
    assert len(adapted) == 12
    for name, layer in adapted.items():
        assert scale(name, layer.r["default"]) == pytest.approx(layer.scaling["default"])


@pytest.mark.parametrize(
    "told",
    [
        {"alpha_pattern": {"(a|a)*(a|a)*$": 2}},
        {"alpha_pattern": {"to_k": float("nan")}},
        {"lora_alpha": float("inf")},
        {"lora_alpha": 10**400},
        {"alpha_pattern": ["to_k"]},
    ],
    ids=["a pattern that takes for ever", "nan", "infinity", "400 digits", "a list"],
)
def test_a_scale_that_cannot_be_read_is_refused(told: dict[str, Any], tmp_path: Path) -> None:
    story = json.dumps({f"transformer.{key}": value for key, value in {"lora_alpha": 2, **told}.items()})
    with pytest.raises(BadWeights, match=r"tells its scale in a way that cannot be read; .*\.$"):
        look(laid(tmp_path / "a.safetensors", {"__metadata__": {ADAPTER_METADATA: story}, **ENTRIES}))
