"""One process that draws a deck's pictures: by loradeck's engine, or by a plain loop over diffusers' own pipeline.

    python bench/deck_sides.py ours|plain FOLDER     (FOLDER/jobs.json tells what; `bench/deck.py` writes it)

Both draw at the same native size, steps, guidance, seeds and LoRA, scale alike and write a PNG. The last line printed
tells when each phase ended, by the clock, and the seconds of processor that all of it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> None:
    """Draw, and print when what was over."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    asked = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
    out = folder / side
    out.mkdir(exist_ok=True)
    print(json.dumps({"ours": ours, "plain": plain}[side](asked, out)))


def ours(asked: dict[str, Any], out: Path) -> dict[str, float]:
    """The local engine: an empty request opens the base with the LoRA, the next one draws."""
    from support.reporter import MemoryReporter

    from loradeck.engines.base import DrawJob, DrawRequest, LoraRef
    from loradeck.engines.local import create, drawing  # noqa: F401 - what `draw` imports, to be told apart

    marks = {"imports": time.time()}
    engine, reporter = create(), MemoryReporter()
    lora = LoraRef(Path(asked["lora"]), 1.0, asked["sha256"], "preview")
    size = asked["size"]
    engine.draw(DrawRequest("preview", (), (lora,)), reporter)
    marks["loading"] = time.time()
    jobs = tuple(DrawJob(name, prompt, seed, *size, out / f"{name}.png") for name, prompt, seed in asked["pictures"])
    engine.draw(DrawRequest("preview", jobs, (lora,), asked["guidance"], asked["steps"]), reporter)
    marks |= {"drawing": time.time(), "processor": time.process_time()}
    return marks


def plain(asked: dict[str, Any], out: Path) -> dict[str, float]:
    """What diffusers' documentation shows: a pipeline, a LoRA on it, one call a picture."""
    import torch
    from diffusers import Flux2KleinPipeline
    from PIL import Image, ImageOps

    marks = {"imports": time.time()}
    pipeline = Flux2KleinPipeline.from_pretrained(asked["weights"], torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(asked["lora"])
    marks["loading"] = time.time()
    width, height = asked["native"]
    for name, prompt, seed in asked["pictures"]:
        drawn = pipeline(
            prompt=prompt,
            width=width,
            height=height,
            num_inference_steps=asked["steps"],
            guidance_scale=asked["guidance"],
            max_sequence_length=asked["tokens"],
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
        ImageOps.fit(drawn, tuple(asked["size"]), Image.Resampling.LANCZOS).save(out / f"{name}.png")
    marks |= {"drawing": time.time(), "processor": time.process_time()}
    return marks


if __name__ == "__main__":
    main()
