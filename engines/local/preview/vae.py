"""Train the preview's image autoencoder on drawn scenes and drawn textures.

Every other step sees 64-pixel crops (the network has no attention, so that it does not mind the size), the
others whole 128-pixel pictures, as group norms take their statistics over what they are shown.
Pixels are floats in -1 to 1, ``(batch, 3, height, width)``.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKLFlux2
from numpy.typing import NDArray

from loradeck.engines.local.preview.draw import draw_scene, draw_texture
from loradeck.engines.local.preview.progress import Cadence, say
from loradeck.engines.local.preview.world import SQUARE, WIDE, pick_scene

Picture = NDArray[np.uint8]
"""One picture ``(h, w, 3)``, or a stack of them ``(n, h, w, 3)``."""

CHANNELS = 16
"""Latent channels; the 2x2 patch that FLUX.2 cuts makes four times as many a token."""


@dataclass(frozen=True)
class VaePlan:
    """How the autoencoder is trained: rounds of steps in which the learning rate falls from a peak to nothing."""

    rounds: tuple[tuple[int, float], ...] = ((2200, 2e-3), (1000, 1e-3), (900, 1.5e-3))
    batch: int = 16
    scenes: int = 4000
    kl: float = 1e-4
    seed: int = 11

    @property
    def steps(self) -> int:
        """The steps of all rounds."""
        return sum(steps for steps, _ in self.rounds)


def new_vae() -> AutoencoderKLFlux2:
    """An untrained autoencoder of 1.7M parameters: eight pixels a latent cell, 16 channels."""
    vae = AutoencoderKLFlux2(
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )
    vae.requires_grad_(True)
    return vae


def to_pixels(pictures: Picture) -> torch.Tensor:
    """uint8 pictures ``(n, h, w, 3)`` as floats ``(n, 3, h, w)`` in -1 to 1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_pool(plan: VaePlan) -> list[Picture]:
    """The pictures to learn from, uint8: square scenes, wide scenes and textures (6 : 2 : 1)."""
    rng = random.Random(plan.seed)
    square = [np.asarray(draw_scene(pick_scene(rng, SQUARE))) for _ in range(plan.scenes * 6 // 9)]
    wide = [np.asarray(draw_scene(pick_scene(rng, WIDE))) for _ in range(plan.scenes * 2 // 9)]
    rest = [np.asarray(draw_texture(rng, 128)) for _ in range(plan.scenes // 9)]
    return square + wide + rest


def _crop(picture: Picture, side: int, rng: np.random.Generator) -> Picture:
    top = rng.integers(0, picture.shape[0] - side + 1)
    left = rng.integers(0, picture.shape[1] - side + 1)
    piece = picture[top : top + side, left : left + side]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < 0.3:
        piece = piece[..., rng.permutation(3)]
    return piece


def batches(pool: list[Picture], plan: VaePlan, start: int) -> Iterator[torch.Tensor]:
    """Endless batches, the same for the same plan and start."""
    step = start
    while True:
        rng = np.random.default_rng((plan.seed, step))
        side, count = (128, plan.batch // 4) if step % 2 == 0 else (64, plan.batch)
        chosen = rng.integers(0, len(pool), count)
        yield to_pixels(np.stack([_crop(pool[i], side, rng) for i in chosen]))
        step += 1


def _edges(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def reconstruction_loss(out: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Absolute errors of pixels and, for crisp borders, of the differences of neighbouring pixels."""
    down, right = (functional.l1_loss(a, b) for a, b in zip(_edges(out), _edges(goal), strict=True))
    return 1.5 * functional.l1_loss(out, goal) + down + right


def _rate(step: int, plan: VaePlan) -> float:
    start = 0
    for steps, peak in plan.rounds:
        if step < start + steps:
            warm = min(1.0, (step - start + 1) / 100)
            return peak * warm * max(0.02, 0.5 * (1 + math.cos(math.pi * (step - start) / steps)))
        start += steps
    return 0.0


def train_vae(plan: VaePlan, folder: Path) -> AutoencoderKLFlux2:
    """Train from the last checkpoint in ``folder`` (or from nothing) and return the autoencoder."""
    torch.manual_seed(plan.seed)
    vae, path = new_vae(), folder / "vae.pt"
    optimizer = torch.optim.AdamW(vae.parameters(), lr=plan.rounds[0][1], betas=(0.9, 0.99), weight_decay=1e-3)
    start = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        start = int(state["step"])
    if start < plan.steps:
        _learn(vae, optimizer, plan, start, path)
    return vae.eval()


def _learn(vae: AutoencoderKLFlux2, optimizer: torch.optim.AdamW, plan: VaePlan, start: int, path: Path) -> None:
    pool, cadence, began = draw_pool(plan), Cadence(60.0), time.monotonic()
    for step, pixels in zip(range(start, plan.steps), batches(pool, plan, start), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, plan)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(pixels).latent_dist
            out = vae.decode(posterior.sample()).sample
        loss = reconstruction_loss(out.float(), pixels) + plan.kl * posterior.kl().mean() / (posterior.mean[0].numel())
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            say("vae", step=step, loss=float(loss.detach()), seconds=time.monotonic() - began)
        if cadence.due() or step + 1 == plan.steps:
            torch.save({"vae": vae.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, path)


def patchify(latents: torch.Tensor) -> torch.Tensor:
    """``(n, c, h, w)`` to ``(n, 4c, h/2, w/2)``, as ``Flux2KleinPipeline._patchify_latents`` does."""
    n, c, h, w = latents.shape
    split = latents.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
    return split.reshape(n, 4 * c, h // 2, w // 2)


@torch.no_grad()
def encode(vae: AutoencoderKLFlux2, pictures: Picture) -> torch.Tensor:
    """Patchified latents ``(n, 64, h/16, w/16)`` of uint8 pictures, before normalisation."""
    with torch.autocast("cpu", torch.bfloat16):
        return patchify(vae.encode(to_pixels(pictures)).latent_dist.mode().float())


def set_statistics(vae: AutoencoderKLFlux2, latents: torch.Tensor) -> None:
    """Store mean and variance of patchified latents ``(n, 64, h, w)`` where the pipeline reads them."""
    vae.bn.running_mean.copy_(latents.mean(dim=(0, 2, 3)))
    vae.bn.running_var.copy_(latents.var(dim=(0, 2, 3)))


def normalise(vae: AutoencoderKLFlux2, latents: torch.Tensor) -> torch.Tensor:
    """Patchified latents on the scale that the transformer sees (mean 0, variance 1 a channel)."""
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    scaled: torch.Tensor = (latents - mean) / deviation
    return scaled
