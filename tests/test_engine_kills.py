"""Kill -9 of real processes, wherever they are: what goes on ends with the same weights, bit for bit."""

from __future__ import annotations

import ast
import os
import random
from pathlib import Path

import pytest
import torch
from support import kills, tiny
from support.reporter import MemoryReporter

from loradeck.engines.base import DrawRequest
from loradeck.engines.local.engine import LocalEngine

ENGINES = Path(__file__).parents[1] / "engines"
MADE_BY_US = {"build.py", "corpus.py", "transformer.py", "vae.py"}
"""Of the folder preview: programs that make the base's weights and read their own scratch files; no training does."""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="forks, and sends POSIX signals")
def test_ten_kills_leave_the_weights_and_the_rows_of_a_training_that_nobody_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven kills at named moments one after the other in one run, three after random times in another."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    whole, seconds = kills.straight(tmp_path, tmp_path / "straight")
    run = kills.Trial.new(tmp_path, tmp_path / "named")
    for moment in list(kills.MOMENTS)[::2]:
        assert run.attempt(moment), moment
    assert not run.attempt()
    assert run.equals(whole)
    assert run.rows() == whole.rows() == (list(range(1, 9)), [3, 6, 8], [0, 4, 8])
    chance = random.Random(4)
    run = kills.Trial.new(tmp_path, tmp_path / "random")
    assert [run.attempt(seconds=seconds * chance.uniform(0.0, 0.6)) for _ in range(3)].count(True)
    assert not run.attempt()
    assert run.equals(whole)
    assert run.rows() == whole.rows()


def test_a_training_and_a_drawing_read_and_write_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was read or written")

    for name in ("load", "save"):
        monkeypatch.setattr(torch, name, forbidden)
    base = tiny.base(tmp_path / "weights")
    engine, spec = LocalEngine({"preview": lambda: base}), tiny.spec(tmp_path / "run", steps=2, checkpoint_every=1)
    engine.train(spec, tiny.dataset(tmp_path / "images"), MemoryReporter())
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "drawn.png"),)), MemoryReporter())
    kept = {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert kept == {".safetensors", ".state", ".png"}
    states = list((tmp_path / "run").rglob("*.state"))
    assert all(path.read_bytes()[8:9] == b"{" for path in states)  # safetensors: a length, then a header in JSON


def test_no_engine_names_pickle_or_what_reads_it() -> None:
    found = []
    for path in ENGINES.rglob("*.py"):
        if path.parent.name == "preview" and path.name in MADE_BY_US:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names) if {name.name for name in names} & {"pickle", "joblib", "dill"}:
                    found.append((path.name, node.lineno))
                case ast.ImportFrom(module="pickle" | "joblib" | "dill"):
                    found.append((path.name, node.lineno))
                case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save"):
                    found.append((path.name, node.lineno))
                case ast.keyword(arg="allow_pickle"):
                    found.append((path.name, node.value.lineno))
    assert found == []
