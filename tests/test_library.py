"""The LoRA library: what a training leaves is there for good, once, and found by the names people use."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from support.painter import trained

from loradeck.engines.base import HIGH_NOISE
from loradeck.state.errors import DiskFull
from loradeck.state.files import sha256_file
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.errors import NotFound, Refused
from loradeck.tools.library import (
    default_lora,
    find_lora,
    find_sure,
    library,
    lora_row,
    require_whole,
    safe_name,
    second_file,
)
from loradeck.tools.start_training.usage import usage


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_lora_gets_a_file_with_its_name_and_version_and_the_hash_of_its_bytes(store: Store) -> None:
    lora = trained(store, "The Baker")
    assert Path(lora.path) == store.workspace.home / "loras" / "preview" / "the-baker-v1.safetensors"
    assert lora.sha256 == sha256_file(Path(lora.path))
    assert lora_row(lora).bytes == Path(lora.path).stat().st_size
    assert lora_row(lora).created_at


def test_the_same_name_again_is_the_next_version_and_the_first_stays(store: Store) -> None:
    first, second = trained(store, "the baker"), trained(store, "The Baker", trigger="other")
    assert (first.version, second.version) == (1, 2)
    assert sha256_file(Path(first.path)) == first.sha256


def test_a_run_that_registers_twice_leaves_one_lora(store: Store) -> None:
    first, again = trained(store, run_id="run_a"), trained(store, run_id="run_a")
    assert first == again
    assert len(library(store)) == 1


def test_a_run_that_registers_again_after_its_file_was_lost_puts_it_back(store: Store) -> None:
    lora = trained(store, run_id="run_a")
    Path(lora.path).unlink()
    trained(store, run_id="run_a")
    assert sha256_file(Path(lora.path)) == lora.sha256


def test_the_second_file_of_a_lora_is_kept_beside_the_first_under_its_name_and_told_with_how_to_use_it(
    store: Store,
) -> None:
    high = store.workspace.home / "high.safetensors"
    high.write_bytes(b"the half for high noise")
    lora = trained(store, "Baker", base_model="wan-2.2", preview=False, meta={HIGH_NOISE: high.name})
    second = second_file(lora)
    assert second == store.workspace.home / "loras" / "wan-2.2" / "baker-v1-high-noise.safetensors"
    assert second.read_bytes() == high.read_bytes()
    assert "`baker-v1-high-noise.safetensors`, for the model of wan-2.2 that begins in high noise" in usage(lora)[-1]


def test_a_second_file_that_was_lost_is_put_back_too(store: Store) -> None:
    high = store.workspace.home / "high.safetensors"
    high.write_bytes(b"the half for high noise")
    second = second_file(trained(store, run_id="run_a", meta={HIGH_NOISE: high.name}))
    assert second is not None
    second.unlink()
    trained(store, run_id="run_a", meta={HIGH_NOISE: high.name})
    assert second.read_bytes() == high.read_bytes()


@pytest.mark.parametrize("change", ["was changed", "is gone"])
def test_a_second_file_that_is_not_as_it_came_is_refused_as_the_first_is(change: str, store: Store) -> None:
    (store.workspace.home / "high.safetensors").write_bytes(b"the half for high noise")
    lora = trained(store, "Baker", base_model="wan-2.2", preview=False, meta={HIGH_NOISE: "high.safetensors"})
    require_whole(lora)
    second = second_file(lora)
    assert second is not None
    second.unlink() if change == "is gone" else second.write_bytes(b"other")
    with pytest.raises(Refused, match=rf"{change}.*baker-v1-high-noise\.safetensors"):
        require_whole(lora)


def test_a_row_that_cannot_be_written_leaves_no_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DiskFull("The disk is full.")

    (store.workspace.home / "high.safetensors").write_bytes(b"the half for high noise")
    monkeypatch.setattr(Store, "add", refuse)
    with pytest.raises(DiskFull):
        trained(store, meta={HIGH_NOISE: "high.safetensors"})
    assert not list((store.workspace.home / "loras").rglob("*.safetensors"))


def test_two_trainings_that_end_together_never_share_a_version(store: Store) -> None:
    threads = [threading.Thread(target=trained, args=(Store(store.workspace.home),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lora.version for lora in library(store)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("The Baker", "the-baker"),
        ("../../etc/passwd", "etc-passwd"),
        ("a\nb:c*", "a-b-c"),
        ("ベーカリー", "ベーカリー"),
        ("🙂", "lora"),
    ],
)
def test_names_become_file_names_that_stay_in_the_library(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_lora_is_found_by_id_by_name_and_by_name_with_version(store: Store) -> None:
    first, second = trained(store, "the baker"), trained(store, "the baker", trigger="two")
    assert find_lora(store, first.id) == first
    assert find_lora(store, "The Baker") == second
    assert find_lora(store, "the-baker-v1") == first


@pytest.mark.parametrize(
    ("name", "given"), [("icons-v7", ("icons", 7)), ("icons-v1", ("icons", 3)), ("icons-v1-v2", ("icons", 3))]
)
def test_a_version_at_the_end_of_a_trainings_name_is_its_version_or_else_the_next(
    name: str, given: tuple[str, int], store: Store
) -> None:
    trained(store, "icons"), trained(store, "icons", trigger="two")
    lora = trained(store, name, trigger="three")
    assert (lora.name, lora.version) == given
    assert find_lora(store, f"icons-v{lora.version}") == lora


def test_a_reference_that_fits_several_loras_is_refused_with_their_ids_and_an_id_never_is(store: Store) -> None:
    old, new = trained(store, "icons"), trained(store, "icons", trigger="two")
    assert find_sure(store, "icons") == new
    with pytest.raises(Refused, match=rf"fits 2 LoRAs.*{new.id}.*{old.id}"):
        find_sure(store, "icons", newest=False)
    other = trained(store, "icons", base_model="z-image", preview=False)
    for ref in ("icons", "icons-v1"):
        with pytest.raises(Refused, match=f"{other.id}.* for z-image"):
            find_sure(store, ref)
    assert find_sure(store, "icons-v2") == new
    store.change(LoraRecord, other.id, name="icons-v2")  # as trainings were called before
    with pytest.raises(Refused, match="fits 2 LoRAs"):
        find_sure(store, "icons-v2")
    assert find_sure(store, other.id, newest=False).id == other.id


def test_an_unknown_lora_is_told_with_the_nearest_names(store: Store) -> None:
    with pytest.raises(NotFound, match="start_training"):
        find_lora(store, "baker")
    trained(store, "the baker")
    with pytest.raises(NotFound, match="nearest are the-baker"):
        find_lora(store, "the bakery")


def test_the_active_lora_is_the_default_and_else_the_newest(store: Store) -> None:
    assert default_lora(store) is None
    first, second = trained(store, "one"), trained(store, "two")
    assert default_lora(store) == second
    store.change(LoraRecord, first.id, active=True)
    chosen = default_lora(store)
    assert chosen is not None
    assert chosen.id == first.id


def test_a_deleted_lora_is_not_found_and_its_version_not_given_again(store: Store) -> None:
    lora = trained(store, "one")
    store.change(LoraRecord, lora.id, deleted_at="2026-01-01")
    with pytest.raises(NotFound):
        find_lora(store, "one")
    assert trained(store, "one").version == 2
