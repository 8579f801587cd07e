"""The shipped preview base is a plain diffusers pipeline that follows its prompts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loradeck.engines.local.preview import WEIGHTS, card

PLAIN = """
import sys, torch
from diffusers import Flux2KleinPipeline

pipe = Flux2KleinPipeline.from_pretrained(sys.argv[1])
pipe.set_progress_bar_config(disable=True)

def render(prompt, seed):
    return pipe(prompt=prompt, height=128, width=128, num_inference_steps=4,
                generator=torch.Generator().manual_seed(seed)).images[0].tobytes()

first = render("A red house on the left.", 0)
assert first == render("A red house on the left.", 0)
assert first != render("A blue tree on the right.", 0)
assert first != render("A red house on the left.", 1)
assert not any(name.partition(".")[0] == "loradeck" for name in sys.modules)
ids = pipe.tokenizer("fluenticon zxq7")["input_ids"]
assert ids != pipe.tokenizer("fluenticom zxq8")["input_ids"] and pipe.tokenizer.unk_token_id not in ids
"""


def test_the_weights_are_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) <= 20_000_000


def test_the_card_says_what_it_is_and_how_to_train_on_it() -> None:
    told = card()
    assert "preview" in told["what"]
    assert {"seed", "steps_trained", "sizes", "lora_recipe", "measured"} <= set(told)
    assert {"learning_rate", "rank", "steps", "batch", "preservation_weight"} <= set(told["lora_recipe"])
    assert json.loads((WEIGHTS / "card.json").read_text(encoding="utf-8")) == told


def test_a_plain_pipeline_renders_by_prompt_and_by_seed(tmp_path: Path) -> None:
    script = tmp_path / "plain.py"
    script.write_text(PLAIN, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script), str(WEIGHTS)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_the_probe_reads_drawn_pictures_right() -> None:
    from loradeck.engines.local.preview.probe import accuracy, load_probe

    scores = accuracy(load_probe(), count=300, seed="test")
    assert scores["shape"] >= 0.9
    assert scores["color"] >= 0.87
    assert scores["column"] >= 0.97


@pytest.mark.slow
def test_renders_show_the_thing_the_colour_and_the_place_that_were_asked() -> None:
    """A quarter of the sixty prompts of docs/preview.md, with other seeds."""
    from loradeck.engines.local.preview.follow import PROMPTS, follow

    scores = follow(PROMPTS[::4], seed=100)
    assert scores["column"] >= 0.9, scores
    assert scores["color"] >= 0.8, scores
    assert scores["shape"] >= 0.85, scores


@pytest.mark.slow
def test_the_thing_can_be_told_in_wide_renders_too() -> None:
    from loradeck.engines.local.preview.follow import PROMPTS, follow
    from loradeck.engines.local.preview.world import WIDE

    scores = follow(PROMPTS[::4], seed=100, size=WIDE)
    assert scores["column"] >= 0.9, scores
    assert scores["color"] >= 0.8, scores
    assert scores["shape"] >= 0.7, scores
