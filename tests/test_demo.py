"""`loradeck demo`: the main job over stdio, whole, and after it was cut off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest

STEPS = "12"


def demo(output: Path) -> list[str]:
    return [sys.executable, "-m", "loradeck", "demo", "--output", str(output), "--steps", STEPS]


def wait_for(condition: object, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)


def kill_everything_of(output: Path) -> None:
    """SIGKILL each process that works in that folder, workers that left the family among them."""
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        home = (process.info["environ"] or {}).get("LORADECK_HOME", "")
        if str(output) in home or str(output) in " ".join(process.info["cmdline"] or []):
            process.kill()


def assert_whole(output: Path) -> None:
    workspace = output / "workspace"
    (dataset,) = (workspace / "datasets").iterdir()
    pictures = sorted(p.stem for p in dataset.glob("*.png"))
    assert len(pictures) == 59  # one of the sixty is the same picture twice
    assert pictures == sorted(p.stem for p in dataset.glob("*.txt"))
    lines = (dataset / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["file_name"] for line in lines} == {f"{stem}.png" for stem in pictures}
    (lora,) = (workspace / "loras" / "preview").glob("*.safetensors")
    assert lora.stat().st_size > 10_000
    (run,) = [p for p in (workspace / "runs").iterdir() if list(p.glob("loss*.png"))]
    assert list(run.glob("*sample*.png"))
    deck = output / "deck"
    assert len(list(deck.glob("[0-9][0-9]_*.png"))) >= 6
    assert [p for p in deck.glob("*.png") if "contact" in p.name]
    (pdf,) = deck.glob("*.pdf")
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_from_an_installed_wheel_ends_with_a_lora_and_a_pdf(tmp_path: Path, built: tuple[Path, Path]) -> None:
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(installed)
    done = subprocess.run(
        demo(tmp_path),
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=700,
        check=False,
    )
    assert str(installed) in done.stdout  # the pictures that it read are the wheel's
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert_whole(tmp_path)
    for tool in ("curate_dataset", "write_captions", "validate_coverage", "start_training", "render_deck_visuals"):
        assert f"> {tool}" in done.stdout


def hears_interrupts() -> None:
    """As a terminal starts a program: tests that run in the background pass on that they ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_demo_that_was_interrupted_and_killed_goes_on_from_where_it_was(tmp_path: Path) -> None:
    runs = tmp_path / "workspace" / "runs"
    first = subprocess.Popen(
        demo(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=hears_interrupts,
    )
    wait_for(lambda: list(runs.glob("*/worker.log")), 240)
    os.killpg(first.pid, signal.SIGINT)
    first.wait(180)
    second = subprocess.Popen(
        demo(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: list((tmp_path / "workspace" / "decks").glob("*/*.png")), 400)
    os.killpg(second.pid, signal.SIGKILL)
    kill_everything_of(tmp_path)
    second.wait(180)
    third = subprocess.run(demo(tmp_path), capture_output=True, text=True, timeout=700, check=False)
    assert third.returncode == 0, third.stdout[-3000:] + third.stderr[-3000:]
    assert_whole(tmp_path)
