"""A tiny random klein pipeline, built from config in well under a second, and a base made of it."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from loradeck.engines.base import DatasetFolder, DatasetItem, DrawJob, TrainSpec
from loradeck.engines.local.bases import Base, PriorPicture, Recipe
from loradeck.engines.local.cache import Encoder
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.families import Family
from loradeck.engines.local.machine import Machine
from loradeck.engines.local.material import Material, prepare
from loradeck.engines.local.options import Options

SIDE = 32
TEXT_WIDTH = 16
TEXT_LAYERS = 28  # the pipeline reads layers 9, 18 and 27
TEMPLATE = "{% for message in messages %}<user>{{ message['content'] }}</user>{% endfor %}"


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<pad>": 0, **{piece: i + 1 for i, piece in enumerate(alphabet)}}
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", padding_side="right")
    made.chat_template = TEMPLATE
    return made


def transformer(num_single_layers: int = 2, heads: int = 2) -> Flux2Transformer2DModel:
    """Width 16 a head, one double block."""
    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=num_single_layers,
        attention_head_dim=16,
        num_attention_heads=heads,
        joint_attention_dim=3 * TEXT_WIDTH,
        timestep_guidance_channels=16,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )


def pipeline(seed: int = 0, heads: int = 2) -> Flux2KleinPipeline:
    """The whole pipeline, in eval mode."""
    torch.manual_seed(seed)
    words = tokenizer()
    text = Qwen3Config(
        vocab_size=len(words),
        hidden_size=TEXT_WIDTH,
        intermediate_size=TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )
    vae.bn.running_mean.normal_(std=0.1)
    vae.bn.running_var.uniform_(0.5, 1.5)
    made = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.5, use_dynamic_shifting=False),
        vae=vae.eval(),
        text_encoder=Qwen3ForCausalLM(text).eval(),
        tokenizer=words,
        transformer=transformer(heads=heads).eval(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def picture(seed: int, side: int = SIDE) -> Image.Image:
    """A coloured disc on a ground, different for every seed."""
    rng = random.Random(seed)

    def colour() -> tuple[int, ...]:
        return tuple(rng.randrange(256) for _ in range(3))

    drawn = Image.new("RGB", (side, side), colour())
    x, y = rng.randrange(side), rng.randrange(side)
    ImageDraw.Draw(drawn).ellipse((x - 6, y - 6, x + 6, y + 6), fill=colour())
    return drawn


def prior() -> list[PriorPicture]:
    """Three pictures that stand for what the base knows."""
    return [PriorPicture(f"a disc number {i}", picture(900 + i)) for i in range(3)]


def base(folder: Path, *, seed: int = 0, heads: int = 2, name: str = "preview") -> Base:
    """A base whose weights are written to `folder` (kept when they are there)."""
    if not folder.exists():
        pipeline(seed, heads).save_pretrained(folder)
    return Base(
        name=name,
        family="klein",
        weights=folder,
        sizes=((SIDE, SIDE), (2 * SIDE, SIDE + 8)),
        max_tokens=24,
        draw_steps=2,
        guidance=2.0,
        recipe=Recipe(steps=8, images=8, rank=4, alpha=4.0, learning_rate=1e-2, batch_size=2, advanced={"threads": 1}),
        architecture="Flux.2-klein-preview/lora",
        preview=True,
        prior=prior,
    )


def dataset(folder: Path, images: int = 9, trigger: str = "zorvex") -> DatasetFolder:
    """A folder of pictures with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for i in range(images):
        path = folder / f"{i:03d}.png"
        picture(i).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        items.append(DatasetItem(path, f"{trigger}, a disc with number {i}", digest))
    return DatasetFolder(folder, tuple(items), trigger, "fp-" + items[0].sha256[:8])


def spec(run_dir: Path, **changes: object) -> TrainSpec:
    """A training of eight steps with a checkpoint every three."""
    values: dict[str, object] = {
        "run_id": "run_tiny",
        "run_dir": run_dir,
        "name": "tiny look",
        "base_model": "preview",
        "trigger": "zorvex",
        "profile": "style",
        "steps": 8,
        "rank": 4,
        "alpha": 8.0,
        "learning_rate": 1e-2,
        "batch_size": 2,
        "resolution": SIDE,
        "seed": 7,
        "checkpoint_every": 3,
        "sample_every": 4,
        "sample_prompts": ("zorvex, a red disc",),
    }
    return TrainSpec(**{**values, **changes})  # type: ignore[arg-type]


def encoded(
    base: Base, family: Family, pipeline: object, spec: TrainSpec, dataset: DatasetFolder, options: Options
) -> Material:
    """What a training sees, encoded with a pipeline that is in memory already."""
    encoder = Encoder(base, "tiny", family, lambda: pipeline, spec.run_dir / "cache", lambda done, of: None)
    return prepare(base, encoder, spec, dataset, options, family.stride)


AMPLE = Machine("cpu", "a machine with room for every base", 0.0, 0.0, 1024.0, 1024.0, 1000.0, tflops=0.2)


def engine(base: Base) -> LocalEngine:
    """The local engine on that base alone. It is planned for by its name, whose real base needs a large machine."""
    return LocalEngine({base.name: lambda: base}, machine=lambda _: AMPLE)


def job(out: Path, prompt: str = "a red disc", seed: int = 1, width: int = 64, height: int = 64) -> DrawJob:
    """One picture to draw."""
    return DrawJob(out.stem, prompt, seed, width, height, out)
