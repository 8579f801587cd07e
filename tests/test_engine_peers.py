"""Two processes that share the rows of every step learn what one process learns."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from support import gathering, tiny
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import Reporter
from loradeck.engines.errors import OutOfMemory, PeerLost
from loradeck.engines.local import peers
from loradeck.engines.local.engine import LocalEngine

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> LocalEngine:
    base = tiny.base(tmp_path_factory.mktemp("peers") / "weights")
    return LocalEngine({"preview": lambda: base})


def children() -> list[psutil.Process]:
    """Processes of ours that learn: those that multiprocessing spawned, its tracker apart."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_two_processes_go_on_from_a_checkpoint_of_one_to_the_weights_that_one_learns(
    engine: LocalEngine, tmp_path: Path
) -> None:
    dataset = tiny.dataset(tmp_path / "images")
    alone = engine.train(tiny.spec(tmp_path / "alone", batch_size=3), dataset, MemoryReporter())
    spec = tiny.spec(tmp_path / "two", batch_size=3)
    first = MemoryReporter(crash_at=4)
    with pytest.raises(Crash):
        engine.train(spec, dataset, first)
    again = MemoryReporter(first.journal)  # two go on, with one row and two of the look, and one each to preserve
    both = engine.train(replace(spec, advanced={"processes": 2}), dataset, again)
    one, two = load_file(alone.lora_path), load_file(both.lora_path)
    assert one.keys() == two.keys()
    assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-5
    assert any(bool(one[key].abs().max() > 1e-3) for key in one)
    assert "2 processes share the pictures of every step." in [message for _, message in again.events]
    assert [step for step, _ in again.series("loss")] == [4, 5, 6, 7, 8]  # each told once, by the first alone
    assert both.final_loss == pytest.approx(alone.final_loss, abs=1e-5)
    assert children() == []
    assert "RANK" not in os.environ


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_sums_come_out_alike_and_trouble_of_one_process_is_everyones() -> None:
    with peers.gathered(2, gathering.add_run_short_and_die) as mine:
        mine.join(CPU)
        assert [float(tensor.sum()) for tensor in gathering.add(mine)] == [12.0, 30.0]
        with pytest.raises(OutOfMemory, match="Another GPU"):
            gathering.run_short(mine)
        with pytest.raises(PeerLost, match=r"Resume the run.*processes=1"):
            gathering.add(mine)
    assert not torch.distributed.is_initialized()


def test_one_process_needs_nobody() -> None:
    with peers.gathered(1, gathering.add_run_short_and_die) as mine:
        mine.join(CPU)
        mine.meet()
        tensor = torch.ones(3)
        mine.sum_([tensor])
        with pytest.raises(OutOfMemory, match="8 GB"):
            mine.agree(OutOfMemory("8 GB were asked for."), [tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert mine.is_first
    assert not torch.distributed.is_initialized()


def test_there_are_as_many_processes_as_gpus_and_never_more_than_pictures_in_a_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert peers.wanted(0, CUDA, batch_size=8) == 4
    assert peers.wanted(0, CUDA, batch_size=2) == 2
    assert peers.wanted(8, CUDA, batch_size=8) == 4
    assert peers.wanted(1, CUDA, batch_size=8) == 1
    assert peers.wanted(0, CPU, batch_size=8) == 1
    assert peers.wanted(2, CPU, batch_size=8) == 2
    assert peers.wanted(2, torch.device("mps"), batch_size=8) == 1


def test_a_process_that_follows_tells_nobody() -> None:
    silent = peers.Silent()
    assert isinstance(silent, Reporter)
    silent.journal.put("result", {"run_id": "run_x"})
    assert silent.journal.get("result") is None
