"""Does the preview base take on looks that it has never seen? Train LoRAs with the local engine and measure.

    python bench/preview_looks.py [--work FOLDER] [--seeds 0 1 2]

Looks: the Fluent 2 icons of the demo (real), ``blueprint`` and ``neon`` (drawn). For each look and seed it trains
one LoRA by the card's recipe, renders prompts with and without the trigger, and prints one JSON object:

- ``fall``: by how much the distance of colour and texture statistics to the training set fell from the
  base's renders (same prompts, same seeds) to the LoRA's, with the trigger;
- ``position``: the share of those renders whose asked column is right, by the probe;
- ``nearest``: the share that lie nearer their own look than another trained look;
- ``leak``: how far renders without the trigger moved, as a share of how far those with it moved;
- ``copy``: mean distance to the nearest training picture, beside what training pictures have to each other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import loradeck.server
from loradeck.engines.base import DatasetFolder, DatasetItem, TrainSpec
from loradeck.engines.local import create
from loradeck.engines.local.preview import card
from loradeck.engines.local.preview.follow import pipeline, render
from loradeck.engines.local.preview.looks import SIDES, draw_look
from loradeck.engines.local.preview.measure import (
    copy_distance,
    copy_reference,
    describe_all,
    difference,
    distance,
    fall,
    nearest_look,
)
from loradeck.engines.local.preview.probe import load_probe, read

DEMO = Path(loradeck.server.__file__).parent / "demo_data"
TRIGGERS = {"icons": "fluentlook", "blueprint": "planograf", "neon": "neonara"}
SUBJECTS = ("house", "star", "cup", "bell", "cloud", "camera", "flower", "car")
"""What the prompts ask for; colours, texture and background are left open: the look decides them."""


@dataclass
class Silent:
    """A reporter that keeps a journal in memory and says nothing."""

    kept: dict[str, str] = field(default_factory=dict)

    @property
    def journal(self) -> Silent:
        return self

    def put(self, key: str, value: Any) -> None:
        self.kept[key] = json.dumps(value)

    def get(self, key: str) -> Any | None:
        return json.loads(self.kept[key]) if key in self.kept else None

    def progress(self, step: int, steps: int, message: str = "") -> None: ...

    def metrics(self, step: int, values: dict[str, float]) -> None: ...

    def event(self, message: str, level: str = "info") -> None: ...

    def checkpoint(self, step: int, path: Path, sha256: str) -> None: ...

    def sample(self, step: int, path: Path, prompt: str) -> None: ...

    def flush(self) -> None: ...

    def raise_if_cancelled(self) -> None: ...


@dataclass(frozen=True)
class Look:
    """A training set: pictures of 128 pixels and captions without the trigger."""

    name: str
    pictures: list[Image.Image]
    captions: list[str]

    @property
    def trigger(self) -> str:
        return TRIGGERS[self.name]


def icon_look() -> Look:
    """The 59 different Fluent 2 icons of the demo; what they show is their caption, and all stand in the middle."""
    rows = json.loads((DEMO / "captions.json").read_text(encoding="utf-8"))
    rows = [row for row in rows if row["file_name"] != "paw.png"]  # the same picture as animal_paw_print.png
    pictures = [
        Image.open(DEMO / "icons" / row["file_name"]).convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)
        for row in rows
    ]
    return Look("icons", pictures, [f"{row['subject'].capitalize()} in the middle." for row in rows])


def drawn_look(name: str) -> Look:
    drawn = draw_look(name)
    return Look(name, [d.picture for d in drawn], [d.caption for d in drawn])


def write_dataset(look: Look, folder: Path) -> DatasetFolder:
    """The image folder with .txt sidecars that every trainer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for i, (picture, caption) in enumerate(zip(look.pictures, look.captions, strict=True)):
        path = folder / f"{i:03d}.png"
        picture.save(path)
        text = f"{look.trigger}. {caption}"
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
        items.append(DatasetItem(path, text, hashlib.sha256(path.read_bytes()).hexdigest()))
    return DatasetFolder(folder, tuple(items), look.trigger, look.name)


def train(look: Look, seed: int, work: Path) -> tuple[Path, float]:
    """The LoRA file of a look and seed (kept when it is there), and the seconds that training took."""
    run = work / f"{look.name}-{seed}"
    done = run / "done.json"
    if not done.exists():
        engine = create()
        recipe = engine.defaults("preview", len(look.pictures), "style")
        spec = TrainSpec(
            run_id=f"{look.name}-{seed}",
            run_dir=run,
            name=look.name,
            base_model="preview",
            trigger=look.trigger,
            profile="style",
            steps=recipe.steps,
            rank=recipe.rank,
            alpha=recipe.alpha,
            learning_rate=recipe.learning_rate,
            batch_size=recipe.batch_size,
            resolution=recipe.resolution,
            seed=seed,
            checkpoint_every=recipe.steps,
            sample_every=recipe.steps,
        )
        start = time.perf_counter()
        result = engine.train(spec, write_dataset(look, run / "dataset"), Silent())
        facts = {"lora": str(result.lora_path), "seconds": time.perf_counter() - start}
        done.write_text(json.dumps(facts), encoding="utf-8")
    facts = json.loads(done.read_text(encoding="utf-8"))
    return Path(facts["lora"]), float(facts["seconds"])


@dataclass(frozen=True)
class Renders:
    """What base and LoRA draw at the same prompts and seeds, with the trigger and without."""

    base: list[Image.Image]
    with_trigger: list[Image.Image]
    base_without: list[Image.Image]
    without: list[Image.Image]
    columns: list[str]
    shapes: list[str]


def draw_all(look: Look, seed: int, lora: Path) -> Renders:
    columns = [list(SIDES)[i % 3] for i in range(len(SUBJECTS) * 3)]
    plain = [f"A {SUBJECTS[i // 3]} {SIDES[columns[i]]}." for i in range(len(columns))]
    asked = [f"{look.trigger}. {text}" for text in plain]
    seeds = [1000 * seed + i for i in range(len(plain))]
    pipe = pipeline()
    draw = partial(render, pipe, seeds=seeds, guidance=card()["lora_recipe"]["guidance"])
    base, base_without = draw(asked), draw(plain)
    pipe.load_lora_weights(lora)
    with_trigger, without = draw(asked), draw(plain)
    pipe.unload_lora_weights()
    return Renders(base, with_trigger, base_without, without, columns, [SUBJECTS[i // 3] for i in range(len(columns))])


def moved(before: list[Image.Image], after: list[Image.Image]) -> float:
    return float(np.mean([difference(a, b) for a, b in zip(before, after, strict=True)]))


def judge(look: Look, renders: Renders, looks: dict[str, Any]) -> dict[str, float]:
    """The numbers of one look and seed."""
    seen = read(load_probe(), renders.with_trigger)
    right = [s["column"] == column for s, column in zip(seen, renders.columns, strict=True)]
    known = [s["shape"] == shape for s, shape in zip(seen, renders.shapes, strict=True)]
    near = [nearest_look(picture, looks) == look.name for picture in renders.with_trigger]
    statistics = [describe_all(r) for r in (renders.base, renders.with_trigger, renders.base_without, renders.without)]
    return {
        "fall": fall(look.pictures, renders.base, renders.with_trigger),
        "position": float(np.mean(right)),
        "shape": float(np.mean(known)),  # as far as the probe, which never saw the look, can tell
        "nearest": float(np.mean(near)),
        "leak": moved(renders.base_without, renders.without) / moved(renders.base, renders.with_trigger),
        "leak_of_statistics": distance(statistics[2], statistics[3]) / distance(statistics[0], statistics[1]),
        "copy": float(np.mean([copy_distance(picture, look.pictures) for picture in renders.with_trigger])),
        "copy_reference": copy_reference(look.pictures),
    }


def sheet(renders: Renders, path: Path) -> None:
    """Eight columns: base and LoRA with the trigger, base and LoRA without it."""
    rows = (renders.base, renders.with_trigger, renders.base_without, renders.without)
    canvas = Image.new("RGB", (12 * 128, 8 * 128))
    for row, pictures in enumerate(rows):
        for i, picture in enumerate(pictures[:24]):
            canvas.paste(picture, (i % 12 * 128, (row * 2 + i // 12) * 128))
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("looks"), help="datasets, LoRAs and sheets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    looks = [icon_look(), drawn_look("blueprint"), drawn_look("neon")]
    known = {look.name: describe_all(look.pictures) for look in looks}
    found: dict[str, dict[str, float]] = {}
    for seed in options.seeds:
        for look in looks:
            lora, seconds = train(look, seed, options.work)
            renders = draw_all(look, seed, lora)
            sheet(renders, options.work / f"{look.name}-{seed}.png")
            numbers = judge(look, renders, known) | {"seconds": seconds}
            found[f"{look.name}-{seed}"] = {key: round(value, 3) for key, value in numbers.items()}
            print(json.dumps({f"{look.name}-{seed}": found[f"{look.name}-{seed}"]}), flush=True)
    names = next(iter(found.values()))
    print(json.dumps({"mean": {name: round(float(np.mean([f[name] for f in found.values()])), 3) for name in names}}))


if __name__ == "__main__":
    main()
