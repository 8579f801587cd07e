"""Train the preview's transformer by flow matching, with an average of its weights (EMA).

The maths is that of FLUX.2: ``x_t = (1 - sigma) x_0 + sigma noise``, the network is asked for
``noise - x_0``, timestep in is ``sigma``. One caption in ten is dropped, for guidance.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import Flux2Transformer2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel

from loradeck.engines.local.preview.corpus import PICTURES, SIMPLE, Corpus
from loradeck.engines.local.preview.progress import Cadence, say
from loradeck.engines.local.preview.text import LAYERS, WIDTH
from loradeck.engines.local.preview.vae import CHANNELS
from loradeck.engines.local.preview.world import WIDE


@dataclass(frozen=True)
class TransformerPlan:
    """How the transformer is trained; in the last ``cooldown`` steps the learning rate falls to nothing."""

    steps: int = 22000
    cooldown: int = 4000
    batch: int = 32  # of squares; 16:9 pictures, which are twice as dear, come 20 at a time
    learning_rate: float = 1.2e-3
    matrix_rate: float = 2.5e-3  # of Muon, which turns the blocks' matrices
    drop: float = 0.1
    shift: float = 3.0  # how far noise levels are moved up: where they are low, nothing is hidden
    first_shift: float = 6.0  # in the first steps: what is drawn at all is decided where all is noise
    first: int = 900  # steps on simple pictures with plain captions alone: that is where nouns are learned
    simple: float = 0.25  # what each kind of picture has of the steps after that; squares in full have the rest
    broad: float = 0.15
    wide: float = 0.15
    pairs: float = 0.1
    plain: float = 0.4  # of the simple and broad pictures and the pairs
    long: float = 0.10
    padded: float = 0.01
    ema: float = 0.998
    seed: int = 31


def new_transformer(seed: int = 31) -> Flux2Transformer2DModel:
    """An untrained klein transformer of width 192: 2 double and 4 single blocks, 4.6M parameters."""
    torch.manual_seed(seed)
    model = Flux2Transformer2DModel(
        in_channels=4 * CHANNELS,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=32,
        num_attention_heads=6,
        joint_attention_dim=WIDTH * len(LAYERS),
        timestep_guidance_channels=128,
        mlp_ratio=3.0,
        axes_dims_rope=(2, 10, 10, 10),
        rope_theta=200,
        guidance_embeds=False,
    )
    torch.nn.init.zeros_(model.proj_out.weight)
    _open_gates(model)
    return model


@torch.no_grad()
def _open_gates(model: Flux2Transformer2DModel) -> None:
    """Start with gates of one, not of 0.05 as the usual initialisation has them, so that all blocks learn at once.

    FLUX.2's modulation has no bias, so the gates' rows are set to answer the mean time embedding with one.
    """
    embedder = model.time_guidance_embed.timestep_embedder
    for layer in (embedder.linear_1, embedder.linear_2):
        torch.nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5)
    sigmas = torch.linspace(0.02, 1, 50)
    mean = torch.nn.functional.silu(model.time_guidance_embed(sigmas * 1000, None)).mean(dim=0)
    modulations = (model.double_stream_modulation_img, model.double_stream_modulation_txt)
    for modulation in (*modulations, model.single_stream_modulation):
        weight = modulation.linear.weight.mul_(0.3)
        for gate in weight.chunk(3 * modulation.mod_param_sets)[2::3]:
            gate += mean / mean.norm() ** 2


def position_ids(rows: int, columns: int, words: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Image and text ids ``(n, 4)`` (time, row, column, word), as the klein pipeline makes them."""
    image = torch.cartesian_prod(torch.arange(1), torch.arange(rows), torch.arange(columns), torch.arange(1))
    text = torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(words))
    return image, text


def pack(latents: torch.Tensor) -> torch.Tensor:
    """``(n, c, h, w)`` to tokens ``(n, h * w, c)``."""
    return latents.flatten(2).transpose(1, 2)


@dataclass(frozen=True)
class Batch:
    """What one step sees: clean tokens, text states, noise and noise levels."""

    clean: torch.Tensor  # (b, tokens, 64)
    text: torch.Tensor  # (b, words, 192)
    noise: torch.Tensor
    sigma: torch.Tensor  # (b,)
    weights: torch.Tensor  # (b, tokens)
    rows: int
    columns: int


def pick_sigmas(count: int, shift: float, generator: torch.Generator) -> torch.Tensor:
    """Noise levels ``(count,)``, half logit-normal and half uniform, then shifted up."""
    middle = torch.sigmoid(torch.randn(count, generator=generator))
    even = torch.rand(count, generator=generator)
    sigma = torch.where(torch.rand(count, generator=generator) < 0.5, middle, even)
    return shift * sigma / (1 + (shift - 1) * sigma)


def _shape(die: float, plan: TransformerPlan) -> str:
    for shape in ("simple", "broad", "wide", "pairs"):
        share: float = getattr(plan, shape)
        if die < share:
            return shape
        die -= share
    return "square"


def _kind(dice: list[float], step: int, plan: TransformerPlan) -> tuple[str, str]:
    """Which pictures and which captions a step sees."""
    if step < plan.first:
        return "simple", "plain"
    shape = _shape(dice[0], plan)
    if shape in SIMPLE and dice[2] < plan.plain:
        return shape, "plain"
    if dice[1] < plan.padded:
        return shape, "padded"
    return shape, "long" if dice[1] < plan.padded + plan.long else "short"


def batches(corpus: Corpus, plan: TransformerPlan, start: int) -> Iterator[Batch]:
    """Endless batches, the same for the same plan and step, wherever training resumed."""
    step = start
    while True:
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        shape, length = _kind(torch.rand(3, generator=generator).tolist(), step, plan)
        count = plan.batch // 4 if length == "padded" else plan.batch * (5 if PICTURES[shape][0] == WIDE else 8) // 8
        shelf = corpus.shelves[shape, length]
        chances = corpus.chances[shape][shelf.picture]
        chosen = torch.multinomial(chances, count, replacement=True, generator=generator)
        pictures = shelf.picture[chosen]
        latents = corpus.latents[shape][pictures].float()
        text = shelf.text[chosen].float()
        text[torch.rand(count, generator=generator) < plan.drop] = corpus.empty[length].float()
        clean = pack(latents)
        noise = torch.randn(clean.shape, generator=generator)
        sigma = pick_sigmas(count, plan.first_shift if step < plan.first else plan.shift, generator)
        weights = corpus.weights[shape][pictures]
        yield Batch(clean, text, noise, sigma, weights, latents.shape[2], latents.shape[3])
        step += 1


@torch.no_grad()
def hearing(model: Flux2Transformer2DModel, corpus: Corpus, sigma: float = 0.95) -> dict[str, float]:
    """The loss at one noise level on pictures not trained on, with the right noun and with a wrong one.

    A base that does not hear nouns has the same loss with both: seen after minutes, not after a whole build.
    """
    clean = pack(corpus.hearing["latents"])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(5))
    sigmas = torch.full((len(clean),), sigma)
    side = corpus.hearing["latents"].shape[-1]
    weights = corpus.hearing["weights"]
    texts = {name: corpus.hearing[name] for name in ("right", "wrong")}
    return {
        name: float(flow_loss(model, Batch(clean, text, noise, sigmas, weights, side, side)))
        for name, text in texts.items()
    }


def flow_loss(model: Flux2Transformer2DModel, batch: Batch) -> torch.Tensor:
    """Mean squared error of the predicted flow, weighted by token."""
    sigma = batch.sigma[:, None, None]
    image_ids, text_ids = position_ids(batch.rows, batch.columns, batch.text.shape[1])
    # the fused attention's backward pass takes a third of a step at these few tokens; plain matmuls take less
    with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
        flow = model(
            hidden_states=(1 - sigma) * batch.clean + sigma * batch.noise,
            encoder_hidden_states=batch.text,
            timestep=batch.sigma,
            img_ids=image_ids,
            txt_ids=text_ids,
            return_dict=False,
        )[0]
    errors: torch.Tensor = (flow.float() - (batch.noise - batch.clean)).square().mean(dim=-1)
    return (errors * batch.weights).mean()


def _optimizers(model: Flux2Transformer2DModel, plan: TransformerPlan) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for the rest."""
    matrices = [p for name, p in model.named_parameters() if "transformer_blocks" in name and p.ndim == 2]
    owned = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in owned]
    return [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw", ns_steps=4),
        torch.optim.AdamW(others, lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01),
    ]


def _scale(step: int, plan: TransformerPlan) -> float:
    """The share of the learning rate at a step."""
    return min(1.0, (step + 1) / 150, (plan.steps - step) / plan.cooldown)


class Trainer:
    """The transformer, its average and its optimisers, with checkpoints that go on where they stopped."""

    def __init__(self, plan: TransformerPlan, folder: Path) -> None:
        self.plan = plan
        self.path = folder / "transformer.pt"
        self.model = new_transformer(plan.seed)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizers = _optimizers(self.model, plan)
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.step = 0
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = int(state["step"])

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
        }
        draft = self.path.with_suffix(".tmp")
        torch.save(state, draft)
        draft.replace(self.path)

    def learn(self, batch: Batch) -> torch.Tensor:
        """One step; returns its loss."""
        for optimizer, rate in zip(self.optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * _scale(self.step, self.plan)
        loss = flow_loss(self.model, batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self._follow()
        return loss.detach()

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(self.plan.ema, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for mean, value in pairs:
            mean.lerp_(value, 1 - keep)


def train_transformer(plan: TransformerPlan, folder: Path, corpus: Corpus) -> Flux2Transformer2DModel:
    """Train from the last checkpoint in ``folder`` and return the averaged transformer."""
    trainer = Trainer(plan, folder)
    cadence, began = Cadence(120.0), time.monotonic()
    losses: list[float] = []
    for batch in batches(corpus, plan, trainer.step):
        if trainer.step >= plan.steps:
            break
        losses.append(float(trainer.learn(batch)))
        if trainer.step % 50 == 0:
            mean = sum(losses) / len(losses)
            say("transformer", step=trainer.step, loss=mean, seconds=time.monotonic() - began)
            losses.clear()
        if trainer.step % 200 == 0:
            say("hearing", step=trainer.step, **hearing(trainer.average, corpus))
        if cadence.due():
            trainer.save()
    trainer.save()
    return trainer.average
