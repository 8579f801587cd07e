"""Files that come into the library twice or in two halves: lost ones are put back, halves find each other."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from support import loras
from support.library import manage
from support.painter import Painter, bench

from loradeck.engines.errors import BadWeights
from loradeck.state.files import sha256_file
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.errors import Refused
from loradeck.tools.library import find_lora, library, require_whole, second_file
from loradeck.tools.workbench import Workbench


@pytest.fixture
def work(tmp_path: Path) -> Workbench:
    return bench(Store(tmp_path / "home"), Painter())


def brought(work: Workbench, path: Path, **arguments: Any) -> LoraRecord:
    return find_lora(work.store, manage(work, "import", path=str(path), **arguments).loras[0].lora_id)


# --------------------------------------------------------------------------- lost and put back


def test_importing_the_same_bytes_puts_a_lost_file_back(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    lora = brought(work, path)
    Path(lora.path).unlink()
    with pytest.raises(Refused, match="import a copy of it"):
        manage(work, "activate", lora_id=lora.id)
    again = manage(work, "import", path=str(path))
    assert "Its file a-v1.safetensors is back in its place." in again.summary
    assert sha256_file(Path(lora.path)) == lora.sha256
    assert len(library(work.store)) == 1


def test_a_changed_file_is_kept_under_another_name_when_the_right_one_is_put_back(
    work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    lora = brought(work, path)
    Path(lora.path).write_bytes(b"mine")
    assert "What lay there is a-v1-kept-1.safetensors now." in manage(work, "import", path=str(path)).summary
    require_whole(lora)
    assert Path(lora.path).with_name("a-v1-kept-1.safetensors").read_bytes() == b"mine"


def test_importing_the_same_bytes_restores_a_deleted_lora_whose_trash_was_emptied(
    work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    lora = brought(work, path)
    (gone,) = manage(work, "delete", lora_id=lora.id).loras
    Path(gone.path).unlink()
    again = manage(work, "import", path=str(path))
    assert "It was deleted and is restored." in again.summary
    assert (again.loras[0].lora_id, again.loras[0].deleted_at) == (lora.id, None)
    assert sha256_file(Path(lora.path)) == lora.sha256


def test_the_strength_of_a_second_import_is_set_and_another_name_is_told_to_be_passed_over(
    work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    brought(work, path)
    again = manage(work, "import", path=str(path), strength=0.5, name="other")
    assert again.told == ["It keeps its name, a.", "Its strength is 0.5 now."]
    assert again.loras[0].strength == 0.5


def test_what_an_import_that_was_killed_left_is_removed_a_day_later(work: Workbench, tmp_path: Path) -> None:
    coming = work.store.workspace.home / "loras" / ".coming"
    coming.mkdir(parents=True)
    old, new = coming / ".tmp-old.safetensors", coming / ".tmp-new.safetensors"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, time.time() - 90_000))
    brought(work, loras.written(tmp_path / "a.safetensors"))
    assert list(coming.iterdir()) == [new]


# --------------------------------------------------------------------------- two halves


def halves(folder: Path, low: str, high: str) -> tuple[Path, Path]:
    return loras.written(folder / low, "wan-2.2", seed=1), loras.written(folder / high, "wan-2.2", seed=2)


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        ("neon-low-noise.safetensors", "neon-high-noise.safetensors", "neon"),
        ("neon_LOW_NOISE_v3.safetensors", "neon_HIGH_NOISE_v3.safetensors", "neon"),
        ("neon LowNoise.safetensors", "neon HighNoise.safetensors", "neon"),
        ("low_noise_model.safetensors", "high_noise_model.safetensors", "folder"),
        ("neon-v1-comfyui.safetensors", "neon-v1-comfyui-high-noise.safetensors", "neon-v1-comfyui"),
        ("pytorch_lora_weights.safetensors", "pytorch_lora_weights_high_noise.safetensors", "folder"),
    ],
)
@pytest.mark.parametrize("given", [0, 1])
def test_two_halves_that_lie_beside_each_other_come_in_as_one_whichever_is_named(
    given: int, low: str, high: str, name: str, work: Workbench, tmp_path: Path
) -> None:
    paths = halves(tmp_path / "folder", low, high)
    result = manage(work, "import", path=str(paths[given]))
    (lora,) = library(work.store)
    second = second_file(lora)
    assert second is not None
    assert [sha256_file(path) for path in (Path(lora.path), second)] == [sha256_file(path) for path in paths]
    assert lora.name == name
    assert f"Its half for high noise came with it, as {second.name}." in result.summary
    assert result.loras[0].source == f"the file {paths[given].name} with {paths[1 - given].name}, ComfyUI's keys"
    assert not list((work.store.workspace.home / "loras" / ".coming").iterdir())
    require_whole(lora)


def test_a_half_alone_is_told_to_be_one_and_gets_the_other_when_that_lies_beside_it(
    work: Workbench, tmp_path: Path
) -> None:
    low = loras.written(tmp_path / "neon-low-noise.safetensors", "wan-2.2", seed=1)
    alone = manage(work, "import", path=str(low))
    assert "one of the two halves of a LoRA for wan-2.2" in alone.summary
    halves(tmp_path, low.name, "neon-high-noise.safetensors")
    both = manage(work, "import", path=str(low))
    assert "It has its half for high noise now" in both.summary
    (lora,) = library(work.store)
    assert second_file(lora) is not None
    require_whole(lora)


def test_a_lost_half_is_put_back_by_either_way_to_name_it(work: Workbench, tmp_path: Path) -> None:
    low, high = halves(tmp_path, "neon-low-noise.safetensors", "neon-high-noise.safetensors")
    lora = brought(work, low)
    second = second_file(lora)
    assert second is not None
    for path in (low, high.rename(tmp_path / "elsewhere.safetensors")):
        second.unlink()
        if path == low:
            loras.written(high, "wan-2.2", seed=2)
        manage(work, "import", path=str(path))
        require_whole(lora)
    assert len(library(work.store)) == 1


def test_both_halves_go_to_the_trash_and_come_back(work: Workbench, tmp_path: Path) -> None:
    low, _ = halves(tmp_path, "neon-low-noise.safetensors", "neon-high-noise.safetensors")
    lora = brought(work, low)
    manage(work, "delete", lora_id=lora.id)
    assert not list(Path(lora.path).parent.iterdir())
    manage(work, "restore", lora_id=lora.id)
    require_whole(lora)


def test_a_broken_half_beside_a_whole_one_is_refused_by_its_name(work: Workbench, tmp_path: Path) -> None:
    low, high = halves(tmp_path, "neon-low-noise.safetensors", "neon-high-noise.safetensors")
    high.write_bytes(b"<!doctype html><html></html>")
    with pytest.raises(BadWeights, match=r"^neon-high-noise\.safetensors is a web page"):
        manage(work, "import", path=str(low))
    assert library(work.store) == []


def test_files_of_other_bases_are_never_taken_for_halves(work: Workbench, tmp_path: Path) -> None:
    for name, seed in (("a-low-noise.safetensors", 1), ("a-high-noise.safetensors", 2)):
        result = manage(work, "import", path=str(loras.written(tmp_path / name, seed=seed)))
        assert "halves" not in result.summary
    assert [second_file(lora) for lora in library(work.store)] == [None, None]
