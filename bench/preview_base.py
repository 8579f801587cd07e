"""Measure the preview base itself: does it do what it is asked, how crisp is it, how fast.

    python bench/preview_base.py [--data FOLDER] [--grid FILE]

Prints one JSON object: the probe's accuracy on drawn truth, the sixty held-out prompts read by that probe
(square and 16:9), PSNR of the autoencoder on drawn pictures and on the folders of real ones below --data
(which it was never trained on), and seconds a picture.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from loradeck.engines.local.preview.draw import draw_scene
from loradeck.engines.local.preview.follow import PROMPTS, held_out_prompts, pipeline, render, score
from loradeck.engines.local.preview.probe import accuracy, load_probe, read
from loradeck.engines.local.preview.vae import to_pixels
from loradeck.engines.local.preview.world import SQUARE, WIDE, pick_scene


def on_white(path: Path, side: int = 128) -> Image.Image:
    """A picture's middle square on white, ``side`` pixels."""
    picture = Image.open(path).convert("RGBA")
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture)
    edge = min(canvas.size)
    left, top = (canvas.width - edge) // 2, (canvas.height - edge) // 2
    square = canvas.convert("RGB").crop((left, top, left + edge, top + edge))
    return square.resize((side, side), Image.Resampling.LANCZOS)


@torch.no_grad()
def psnr(pictures: list[Image.Image]) -> float:
    """Mean peak signal-to-noise ratio of the autoencoder's reconstructions, dB."""
    vae = pipeline().vae
    found = []
    for picture in pictures:
        pixels = to_pixels(np.asarray(picture)[None])
        out = vae.decode(vae.encode(pixels).latent_dist.mode()).sample.clamp(-1, 1)
        found.append(float(10 * torch.log10(4 / (out - pixels).square().mean())))
    return round(float(np.mean(found)), 2)


def reconstruction(data: Path | None) -> dict[str, float]:
    """PSNR on drawn pictures that training has not seen, and on folders of real pictures."""
    rng = random.Random("bench")
    sets = {"drawn": [draw_scene(pick_scene(rng, SQUARE)) for _ in range(48)]}
    sets["drawn 16:9"] = [draw_scene(pick_scene(rng, WIDE)) for _ in range(24)]
    for folder in sorted(data.iterdir()) if data else ():
        files = (
            sorted([*folder.glob("*.png"), *folder.glob("*.jpg"), *folder.glob("*.jpeg")]) if folder.is_dir() else []
        )
        if files:
            sets[folder.name] = [on_white(path) for path in files]
    return {name: psnr(pictures) for name, pictures in sets.items()}


def seconds(size: tuple[int, int]) -> float:
    """Seconds for one picture of a size, alone in its batch, after a first one to warm up."""
    render(pipeline(), ["A red star."], [0], size)
    start = time.perf_counter()
    render(pipeline(), ["A blue house on the left.", "A green tree."], [1, 2], size, batch=1)
    return round((time.perf_counter() - start) / 2, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folders of real pictures to reconstruct")
    parser.add_argument("--grid", type=Path, help="write the sixty square renders here, ten a row")
    options = parser.parse_args()
    torch.set_num_threads(2)
    probe = load_probe()
    found: dict[str, object] = {"probe_on_drawn_truth": {k: round(v, 3) for k, v in accuracy(probe).items()}}
    asked = held_out_prompts()
    for name, size in (("square", SQUARE), ("wide", WIDE)):
        pictures = render(pipeline(), [a.prompt for a in PROMPTS], list(range(len(PROMPTS))), size)
        seen = read(probe, pictures)
        found[f"follows_{name}"] = {k: round(v, 3) for k, v in score(asked, seen).items()}
        found[f"missed_{name}"] = [
            f"{a.prompt} ({s['color']} {s['shape']} {s['column']})"
            for a, s in zip(asked, seen, strict=True)
            if (a.shape, a.color, a.column) != (s["shape"], s["color"], s["column"])
        ]
        if options.grid and name == "square":
            sheet = Image.new("RGB", (10 * 128, 6 * 128))
            for i, picture in enumerate(pictures):
                sheet.paste(picture, (i % 10 * 128, i // 10 * 128))
            sheet.save(options.grid)
        found[f"seconds_{name}"] = seconds(size)
    found["psnr_db"] = reconstruction(options.data)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
