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
from typing import Any

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

CHANNELS = 32
"""Latent channels, as many as FLUX.2 has; the 2x2 patch that it cuts makes four times as many a token."""


@dataclass(frozen=True)
class VaePlan:
    """How the autoencoder is trained: learning rates that fall from a peak to nothing (half a cosine)."""

    steps: int = 3200
    learning_rate: float = 2e-3
    matrix_rate: float = 4e-3  # of Muon, which turns the convolutions: 3 dB better after 300 steps than AdamW alone
    batch: int = 16
    scenes: int = 4000
    kl: float = 1e-4
    seed: int = 11


def new_vae() -> AutoencoderKLFlux2:
    """An untrained autoencoder of 1.7M parameters: eight pixels a latent cell, 32 channels."""
    vae = AutoencoderKLFlux2(
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )
    vae.requires_grad_(True)
    with torch.no_grad():  # start with little noise on the latents: at the usual start it is as loud as they are
        vae.quant_conv.bias[CHANNELS:] = -6.0
        vae.quant_conv.weight[CHANNELS:] *= 0.1
    return vae


def to_pixels(pictures: Picture) -> torch.Tensor:
    """uint8 pictures ``(n, h, w, 3)`` as floats ``(n, 3, h, w)`` in -1 to 1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def draw_pool(plan: VaePlan) -> list[Picture]:
    """The pictures to learn from, uint8: square scenes, wide scenes and textures (5 : 2 : 3)."""
    rng = random.Random(plan.seed)
    square = [np.asarray(draw_scene(pick_scene(rng, SQUARE))) for _ in range(plan.scenes * 5 // 10)]
    wide = [np.asarray(draw_scene(pick_scene(rng, WIDE))) for _ in range(plan.scenes * 2 // 10)]
    rest = [np.asarray(draw_texture(rng, 128)) for _ in range(plan.scenes * 3 // 10)]
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


class _Optimizers:
    """Muon for the convolutions, seen as matrices (out, in * height * width), and AdamW for the rest."""

    def __init__(self, vae: AutoencoderKLFlux2, plan: VaePlan) -> None:
        self._kernels = [p for p in vae.parameters() if p.ndim == 4]
        self._matrices = [torch.nn.Parameter(p.data.view(len(p), -1)) for p in self._kernels]  # the same memory
        rest = [p for p in vae.parameters() if p.ndim != 4]
        self._both: list[torch.optim.Optimizer] = [
            torch.optim.Muon(self._matrices, lr=plan.matrix_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.0),
        ]
        self._rates = (plan.matrix_rate, plan.learning_rate)

    def step(self, share: float) -> None:
        """One step at a share of the peak rates."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else kernel.grad.view_as(matrix)
        for optimizer, rate in zip(self._both, self._rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * share
            optimizer.step()

    def state(self) -> list[dict[str, Any]]:
        """What a checkpoint keeps."""
        return [optimizer.state_dict() for optimizer in self._both]

    def load(self, state: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        for optimizer, saved in zip(self._both, state, strict=True):
            optimizer.load_state_dict(saved)


def _share(step: int, plan: VaePlan) -> float:
    """The share of the learning rates at a step."""
    return min(1.0, (step + 1) / 50) * max(0.01, 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def train_vae(plan: VaePlan, folder: Path) -> AutoencoderKLFlux2:
    """Train from the last checkpoint in ``folder`` (or from nothing) and return the autoencoder."""
    torch.manual_seed(plan.seed)
    vae, path = new_vae(), folder / "vae.pt"
    optimizers = _Optimizers(vae, plan)
    start = 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        vae.load_state_dict(state["vae"])
        optimizers.load(state["optimizers"])
        start = int(state["step"])
    if start < plan.steps:
        _learn(vae, optimizers, plan, start, path)
    return vae.eval()


def _learn(vae: AutoencoderKLFlux2, optimizers: _Optimizers, plan: VaePlan, start: int, path: Path) -> None:
    pool, cadence, began = draw_pool(plan), Cadence(60.0), time.monotonic()
    for step, pixels in zip(range(start, plan.steps), batches(pool, plan, start), strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(pixels).latent_dist
            out = vae.decode(posterior.sample()).sample
        loss = reconstruction_loss(out.float(), pixels) + plan.kl * posterior.kl().mean() / (posterior.mean[0].numel())
        vae.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizers.step(_share(step, plan))
        if step % 50 == 0:
            say("vae", step=step, loss=float(loss.detach()), seconds=time.monotonic() - began)
        if cadence.due() or step + 1 == plan.steps:
            torch.save({"vae": vae.state_dict(), "optimizers": optimizers.state(), "step": step + 1}, path)


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
