"""A deck's pictures against a plain diffusers loop, one slide changed, and a long PDF.

    python bench/deck.py [--rounds N] [--lora FILE] [--only drawing|change|pdf]

1. The 13 pictures of ``examples/decks/the_baker.yaml`` on the preview base with a LoRA: by the local engine, and by
   diffusers' own pipeline with one call a picture, in turns, each side in a process of its own. All that a person waits
   for is counted (imports, loading, drawing), and the drawing alone; medians, and their ratio. The pictures must agree.
2. The same deck through ``render_deck_visuals``, whole; then with one slide's prompt changed: pictures drawn, seconds.
3. Sixty pages set as a PDF.

Goals: 1.5 times as fast or better; one picture; under 2 seconds. Without ``--lora`` one is trained for a few steps
first: how well it learned does not change how long a picture takes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))
DECK = ROOT / "examples" / "decks" / "the_baker.yaml"
TRIGGER = "zorvex"
STEPS, GUIDANCE = 24, 1.5
TRAINED_STEPS = 10
PAGES = 60
FASTER, SECONDS_A_PDF = 1.5, 2.0
SIDES = ("plain", "ours")
PHASES = ("all", "imports", "loading", "drawing", "processor")
"""Seconds by the clock; of the processor, which a busy machine changes least, for all of it."""


def main() -> None:
    """Measure what was asked for, and print it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--lora", type=Path)
    asked.add_argument("--only", choices=("drawing", "change", "pdf"))
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        print(f"{os.cpu_count()} cores, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}")
        if given.only != "pdf":
            lora = given.lora or _trained(folder / "training")
        if given.only in {None, "drawing"}:
            side_by_side(folder / "drawing", lora, given.rounds)
        if given.only in {None, "change"}:
            one_slide(folder / "home", lora)
        if given.only in {None, "pdf"}:
            long_pdf(folder / "pages")
        print(f"load at the end {' '.join(f'{one:.1f}' for one in os.getloadavg())}")


# --------------------------------------------------------------------------- 1. against a plain loop


def side_by_side(folder: Path, lora: Path, rounds: int) -> None:
    """Both sides in turns, and what came out compared."""
    _write_jobs(folder, lora)
    took: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            for picture in (folder / side).glob("*.png"):
                picture.unlink()
            took[side].append(_run(side, folder))
    print(f"\n13 pictures, {rounds} rounds in turns: median seconds (least)")
    print(f"{'':<8}" + "".join(f"{phase:>16}" for phase in PHASES))
    for side in SIDES:
        told = [_told([one[phase] for one in took[side]]) for phase in PHASES]
        print(f"{side:<8}" + "".join(f"{one:>16}" for one in told))
    for phase in ("all", "drawing", "processor"):
        pairs = [plain[phase] / ours[phase] for plain, ours in zip(took["plain"], took["ours"], strict=True)]
        ratio = statistics.median(one[phase] for one in took["plain"]) / statistics.median(
            one[phase] for one in took["ours"]
        )
        each = ", ".join(f"{one:.2f}" for one in pairs)
        print(f"{phase}: {ratio:.2f} times as fast (rounds: {each}; goal {FASTER})")
    most, count = _apart(folder)
    print(f"largest difference: {most} of 255, in {count} of the pictures' values")


def _write_jobs(folder: Path, lora: Path) -> None:
    from loradeck.engines.files import sha256_file
    from loradeck.engines.local.bases import preview
    from loradeck.engines.local.drawing import nearest_size
    from loradeck.tools.render_deck_visuals.deck_file import read_deck
    from loradeck.tools.render_deck_visuals.frames import frames

    base, wanted = preview(), frames(read_deck(DECK))
    size = (wanted[0].width, wanted[0].height)
    folder.mkdir(parents=True)
    jobs = {
        "lora": str(lora),
        "sha256": sha256_file(lora),
        "weights": str(base.weights),
        "steps": STEPS,
        "guidance": GUIDANCE,
        "tokens": base.max_tokens,
        "size": size,
        "native": nearest_size(base, *size),
        "pictures": [(one.stem, f"{TRIGGER}, {one.prompt}", one.seed) for one in wanted],
    }
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")


def _run(side: str, folder: Path) -> dict[str, float]:
    """Seconds of each phase, from the start of the process on."""
    began = time.time()
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "bench" / "deck_sides.py"), side, str(folder)],
        # The engine sets it for itself; beside other programs a plain loop would come out far slower without it.
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    ended = json.loads(ran.stdout.splitlines()[-1])
    return {
        "all": ended["drawing"] - began,
        "imports": ended["imports"] - began,
        "loading": ended["loading"] - ended["imports"],
        "drawing": ended["drawing"] - ended["loading"],
        "processor": ended["processor"],
    }


def _told(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f})"


def _apart(folder: Path) -> tuple[int, int]:
    """The largest difference between two pictures of one name, and how many values differ."""
    most = count = 0
    for path in sorted((folder / "plain").glob("*.png")):
        one, other = (np.asarray(Image.open(folder / side / path.name), dtype=np.int16) for side in SIDES)
        most, count = max(most, int(np.abs(one - other).max())), count + int((one != other).sum())
    return most, count


# --------------------------------------------------------------------------- 2. one slide changed


def one_slide(home: Path, lora: Path) -> None:
    """The deck whole, then with one prompt changed, each as one call of the tool."""
    from support.decks import render
    from support.painter import bench

    from loradeck.engines.local import create
    from loradeck.state.store import Store
    from loradeck.tools.library import register_lora

    work = bench(Store(home), create())  # type: ignore[arg-type]  # any engine does for a painter
    look = register_lora(
        work.store, source=lora, name="look", base_model="preview", trigger=TRIGGER, rank=16, steps=TRAINED_STEPS,
        dataset_id=None, run_id=None, parent_lora_id=None, fingerprint=None, preview=True, meta={},
    )  # fmt: skip
    print("\nrender_deck_visuals, everything that it writes included")
    whole, made = _timed(render, work, deck=str(DECK), loras=[{"lora_id": look.id}], base_model="preview")
    edits = [{"slide": "lebanon", "add": "bright daylight"}]
    changed, again = _timed(render, work, deck_id=made.deck_id, edits=edits)
    same, nothing = _timed(render, work, deck_id=made.deck_id)
    for name, seconds, result in (("whole", whole, made), ("one changed", changed, again), ("none", same, nothing)):
        drawn = sum(row.fresh for row in result.visuals)
        print(f"{name:<14}{drawn:>4} pictures drawn{seconds:>8.2f} s")


def _timed(call: Any, *arguments: Any, **named: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call(*arguments, **named)
    return time.perf_counter() - start, result


# --------------------------------------------------------------------------- 3. a long PDF


def long_pdf(folder: Path) -> None:
    """Sixty pages with a picture each, set three times; never the same pictures, which Typst would remember."""
    from loradeck.tools.contracts import DeckSpec
    from loradeck.tools.render_deck_visuals.deck_file import read_deck
    from loradeck.tools.render_deck_visuals.embedded import embedded
    from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
    from loradeck.tools.render_deck_visuals.typeset import compile_deck
    from loradeck.tools.render_deck_visuals.written import Written

    deck = read_deck(DECK)
    slides = [
        deck.slides[number % len(deck.slides)].model_copy(update={"name": f"page_{number}"}) for number in range(PAGES)
    ]
    deck = DeckSpec.model_validate({**deck.model_dump(mode="json"), "slides": [one.model_dump() for one in slides]})
    times = []
    for number in range(3):
        place = folder / str(number)
        place.mkdir(parents=True)
        pages = []
        for place_in_deck, slide in enumerate(deck.slides, 1):
            path = place / f"{place_in_deck:02}_{slide.name}.png"
            noise = np.random.default_rng(number * PAGES + place_in_deck).integers(0, 256, (36, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((1024, 576), Image.Resampling.BICUBIC).save(path)
            pages.append(Page(slide, (PagePicture(slide.name, path, (1024, 576), str(slide.prompt), place_in_deck),)))
        start = time.process_time()
        written = Written(place)
        held_in, pages = _timed(lambda pages=pages, written=written: [embedded(page, written) for page in pages])
        seconds, _ = _timed(compile_deck, deck, pages, written)
        times.append((seconds, time.process_time() - start, held_in))
    size = (folder / "0" / "deck.pdf").stat().st_size / 1e6
    clock, processor, held_in = (_told([one[part] for one in times]) for part in (0, 1, 2))
    what = f"{PAGES} pages with a photograph each, {size:.1f} MB"
    print(f"\n{what}: {clock} s (goal {SECONDS_A_PDF}); JPEGs once before, {held_in} s; of processor all {processor}")


def _trained(folder: Path) -> Path:
    """A LoRA of the engine's usual size, trained for a few steps on some of the demo's icons."""
    from support.reporter import MemoryReporter
    from train_step_start import _icons

    from loradeck.engines.base import TrainSpec
    from loradeck.engines.local import create

    engine = create()
    usual = engine.defaults("preview", 12, "icons")
    folder.mkdir(parents=True)
    spec = TrainSpec(
        run_id="run_bench", run_dir=folder, name="bench", base_model="preview", trigger=TRIGGER, profile="icons",
        steps=TRAINED_STEPS, rank=usual.rank, alpha=usual.alpha, learning_rate=usual.learning_rate,
        batch_size=usual.batch_size, resolution=usual.resolution, seed=1, checkpoint_every=TRAINED_STEPS,
        sample_every=TRAINED_STEPS,
    )  # fmt: skip
    return engine.train(spec, _icons(), MemoryReporter()).lora_path  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
