"""A small network that reads a picture back: which shape, which colour, which column and row.

It is trained on drawn pictures whose truth is known, half of them under changed colours, lattices, noise
or as bare edges, so that the place of a thing is found under looks that the world does not have
(colour is not asked of those). Pictures of any size are squeezed to 128 by 128 pixels first.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from loradeck.engines.local.preview.draw import draw_scene
from loradeck.engines.local.preview.progress import say
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLORS, COLUMNS, ROWS, SQUARE, WIDE, Scene, pick_scene

PATH = Path(__file__).resolve().parent / "probe.safetensors"
SIDE = 128
ANSWERS: dict[str, tuple[str, ...]] = {
    "shape": tuple(SHAPES),
    "color": tuple(COLORS),
    "column": COLUMNS,
    "row": ROWS,
}
"""What the probe is asked, with the answers it chooses from."""


class Probe(nn.Module):
    """Five strided convolutions, then one attention-pooled answer a question (0.4M parameters)."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 160)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        layers += [nn.Conv2d(160, 160, 3, padding=1), nn.GroupNorm(8, 160), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.gaze = nn.Conv2d(160, 4, 1)
        self.answer = nn.ModuleDict({q: nn.Linear(4 * 160, len(ANSWERS[q])) for q in ("shape", "color")})
        self.place = nn.ModuleDict({q: nn.Linear(4 * 64, len(ANSWERS[q])) for q in ("column", "row")})

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores for every answer; ``pixels`` is ``(n, 3, 128, 128)`` in -1 to 1."""
        seen = self.body(pixels)
        gaze = self.gaze(seen).flatten(2).softmax(dim=-1)
        pooled = torch.einsum("ngp,ncp->ngc", gaze, seen.flatten(2)).flatten(1)
        scores = {question: head(pooled) for question, head in self.answer.items()}
        scores.update({question: head(gaze.flatten(1) * 64) for question, head in self.place.items()})
        return scores


@dataclass(frozen=True)
class ProbePlan:
    """How the probe is trained."""

    pictures: int = 10000
    steps: int = 3200
    batch: int = 64
    learning_rate: float = 2e-3
    seed: int = 41


def truth(scene: Scene) -> list[int]:
    """The right answers about a scene of one thing, as indices in the order of :data:`ANSWERS`."""
    thing = scene.things[0]
    facts = {"shape": thing.shape, "color": thing.paint.name, "column": thing.column, "row": thing.row}
    return [ANSWERS[question].index(facts[question]) for question in ANSWERS]


def to_input(pictures: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures of any size as ``(n, 3, 128, 128)`` floats in -1 to 1."""
    small = [np.asarray(p.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for p in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1


def drawn_singles(count: int, seed: str) -> tuple[list[Image.Image], torch.Tensor]:
    """Pictures of one thing each (one in four 16:9), squeezed to squares, and their truth ``(n, 4)``."""
    rng = random.Random(seed)
    pictures: list[Image.Image] = []
    answers: list[list[int]] = []
    while len(pictures) < count:
        scene = pick_scene(rng, WIDE if rng.random() < 0.25 else SQUARE)
        if len(scene.things) == 1:
            pictures.append(draw_scene(scene).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
            answers.append(truth(scene))
    return pictures, torch.tensor(answers)


def _disguise(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same pictures under other colours, lattices, grain or as edges; places stay what they are."""
    n = len(x)
    turn = torch.randn(n, 3, 3, generator=generator)
    x = torch.tanh(torch.einsum("nij,njhw->nihw", turn, x) + 0.6 * torch.randn(n, 3, 1, 1, generator=generator))
    if torch.rand(1, generator=generator) < 0.35:
        edges = functional.pad((x[..., 1:, 1:] - x[..., :-1, :-1]).abs().amax(1, keepdim=True), (1, 0, 1, 0))
        x = edges * torch.randn(n, 3, 1, 1, generator=generator) + torch.randn(n, 3, 1, 1, generator=generator)
    if torch.rand(1, generator=generator) < 0.5:
        step = int(torch.randint(5, 22, (1,), generator=generator))
        tone = torch.randn(n, 3, 1, generator=generator) * 0.5
        x = x.clone()
        x[..., ::step] += tone[..., None]
        x[..., ::step, :] += tone[..., None]
    if torch.rand(1, generator=generator) < 0.5:
        x = x + torch.randn(x.shape, generator=generator) * float(torch.rand(1, generator=generator)) * 0.5
    return x.clamp(-1.2, 1.2)


def train_probe(plan: ProbePlan) -> Probe:
    """Train a probe from nothing but drawn pictures."""
    torch.manual_seed(plan.seed)
    probe = Probe()
    optimizer = torch.optim.AdamW(probe.parameters(), lr=plan.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.learning_rate, plan.steps, pct_start=0.1)
    pictures, answers = drawn_singles(plan.pictures, f"{plan.seed}-train")
    pixels = to_input(pictures)
    generator = torch.Generator().manual_seed(plan.seed)
    half = plan.batch // 2
    for step in range(plan.steps):
        chosen = torch.randint(0, len(pixels), (plan.batch,), generator=generator)
        x = pixels[chosen]
        x[half:] = _disguise(x[half:], generator)
        with torch.autocast("cpu", torch.bfloat16):
            scores = probe(x)
        loss = _loss(scores, answers[chosen], half)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            say("probe", step=step, loss=float(loss.detach()))
    return probe.eval()


def _loss(scores: dict[str, torch.Tensor], answers: torch.Tensor, plain: int) -> torch.Tensor:
    total = torch.zeros(())
    for i, question in enumerate(ANSWERS):
        upto = plain if question == "color" else None
        total = total + functional.cross_entropy(scores[question].float()[:upto], answers[:upto, i])
    return total


def save_probe(probe: Probe, path: Path = PATH) -> None:
    """Keep the probe in half precision."""
    save_file({name: value.half().contiguous() for name, value in probe.state_dict().items()}, path)


def load_probe(path: Path = PATH) -> Probe:
    """The probe that is shipped beside this module."""
    probe = Probe()
    probe.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return probe.eval()


@torch.no_grad()
def read(probe: Probe, pictures: Sequence[Image.Image]) -> list[dict[str, str]]:
    """What the probe sees in each picture: an answer a question."""
    scores = probe(to_input(pictures))
    best = {question: values.argmax(dim=1).tolist() for question, values in scores.items()}
    return [{q: ANSWERS[q][best[q][i]] for q in ANSWERS} for i in range(len(pictures))]


def accuracy(probe: Probe, count: int = 600, seed: str = "probe-test") -> dict[str, float]:
    """The share of right answers on drawn pictures that the probe has not seen, a question."""
    pictures, answers = drawn_singles(count, seed)
    seen = read(probe, pictures)
    return {
        question: sum(s[question] == ANSWERS[question][int(a[i])] for s, a in zip(seen, answers, strict=True)) / count
        for i, question in enumerate(ANSWERS)
    }


if __name__ == "__main__":
    trained = train_probe(ProbePlan())
    save_probe(trained)
    say("probe", **accuracy(trained))
