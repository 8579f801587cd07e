"""What a base costs to train, as facts: weights, blocks, operations and activations, and where each number comes from.

Nothing here was measured on a GPU. Sizes are counted on models that are built from their published configurations
without weights (torch's `meta` device, diffusers 0.42.1, transformers 5.23.0, peft 0.21.2); the tests count them again.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

from loradeck.engines.errors import BadSpec

TEXT_TOKENS = 512
"""Tokens that a caption is padded to; every number here is for so many."""

PIXELS_PER_TOKEN = 16
"""The VAE shrinks a side by 8 and the transformer takes patches of 2 x 2 latents."""

COUNTED_AT = (512, 768, 1024)
"""Sides in pixels for which `Costs.tflop` is given."""


_META = "counted on the meta device from the published configuration"

SOURCES = {
    "parameters": f"{_META} (FluxTransformer2DModel, Flux2Transformer2DModel, ZImageTransformer2DModel)",
    "blocks": f"{_META}; activations are the bytes saved for the backward pass, the LoRA (peft) in bfloat16, times "
    "1.12, so that the totals are those of an earlier count (FLUX.1 27.6, FLUX.2-dev 80.6, klein 17.8 and 30.1 GiB)",
    "tflop": "torch's FLOP counter over a whole step at batch 1, rank 16; Z-Image's by the tests' own count on the "
    "meta device, which gives the other bases' numbers as well",
    "width": "published configuration: heads x head dimension",
    "heads": "published configuration",
    "lora": f"{_META}: inputs and outputs of every adapted layer, none of them sharing a matrix",
    "text_parameters": f"{_META}: T5-XXL's encoder and CLIP-L's (FLUX.1), Mistral Small 3.2 24B with its vision tower "
    "(FLUX.2-dev), Qwen3-4B (klein 4B, Z-Image), Qwen3-8B (klein 9B)",
    "text_width": "published configuration: what the transformer reads a token",
    "vae_parameters": f"{_META} (AutoencoderKL, AutoencoderKLFlux2)",
}
"""Where each field of `Costs` comes from."""


@dataclass(frozen=True)
class Blocks:
    """Repeated blocks of one kind, in the order in which the transformer runs them.

    `parameters` and `linear` (those that a small format may hold: linear layers but the modulation of norms) are of
    one block; `activations` are GiB that one block keeps for the backward pass at 1024 pixels and batch 1, in bfloat16.
    """

    count: int
    parameters: int
    linear: int
    activations: float


@dataclass(frozen=True)
class Costs:
    """Facts of one base, batch 1, 512 text tokens, frozen weights and a LoRA on the family's usual layers.

    `tflop` is one forward and backward pass at 512, 768 and 1024 pixels. `lora` is the LoRA's parameters a unit
    of rank. `width` and `heads` are the transformer's, `text_width` is of the text states that it reads.
    """

    base: str
    parameters: int
    blocks: tuple[Blocks, ...]
    tflop: tuple[float, float, float]
    width: int
    heads: int
    lora: int
    text_parameters: int
    text_width: int
    vae_parameters: int

    @property
    def block_count(self) -> int:
        """How many repeated blocks there are."""
        return sum(kind.count for kind in self.blocks)

    @property
    def activations(self) -> float:
        """GiB kept for the backward pass at 1024 pixels, batch 1, when no block is checkpointed."""
        return sum(kind.count * kind.activations for kind in self.blocks)

    def each_block(self) -> tuple[Blocks, ...]:
        """One entry a block, in the order of running."""
        return tuple(kind for kind in self.blocks for _ in range(kind.count))

    def step_tflop(self, resolution: int) -> float:
        """TFLOP of a forward and backward pass for one picture of that side in pixels."""
        return sum(self._parts(resolution))

    def forward_tflop(self, resolution: int) -> float:
        """TFLOP of the forward pass alone, which blocks that are checkpointed run twice.

        A frozen linear layer multiplies once forward and once backward, attention twice forward and four times
        backward.
        """
        linear, attention = self._parts(resolution)
        return linear / 2 + attention / 3

    def _parts(self, resolution: int) -> tuple[float, float]:
        """TFLOP of the linear layers, which grow with the tokens, and of attention, which grows with their square.

        Solved from the numbers at 512 and 1024; the one at 768 then comes out within 1%.
        """
        low, high = tokens(COUNTED_AT[0]), tokens(COUNTED_AT[-1])
        square = (self.tflop[-1] / high - self.tflop[0] / low) / (high - low)
        linear = self.tflop[0] / low - square * low
        count = tokens(resolution)
        return linear * count, square * count**2


def tokens(resolution: int) -> int:
    """Tokens that the transformer sees for a square picture of that side in pixels, those of the text among them."""
    return (resolution // PIXELS_PER_TOKEN) ** 2 + TEXT_TOKENS


_FLUX1 = Costs(
    base="flux1-dev",
    parameters=11_901_408_320,
    blocks=(Blocks(19, 339_831_296, 226_492_416, 0.63), Blocks(38, 141_591_808, 113_246_208, 0.41)),
    tflop=(44.8, 89.7, 164.1),
    width=3072,
    heads=24,
    lora=2_801_664,
    text_parameters=4_762_310_656 + 123_060_480,
    text_width=4096,
    vae_parameters=83_819_683,
)

_FLUX2 = Costs(
    base="flux2-dev",
    parameters=32_223_281_152,
    blocks=(Blocks(8, 981_467_648, 981_467_136, 1.25), Blocks(48, 490_733_824, 490_733_568, 1.47)),
    tflop=(179.0, 343.0, 595.0),
    width=6144,
    heads=48,
    lora=5_210_112,
    text_parameters=24_011_361_280,
    text_width=15_360,
    vae_parameters=84_046_115,
)

_KLEIN_4B = Costs(
    base="flux2-klein-4b",
    parameters=3_875_544_576,
    blocks=(Blocks(5, 245_367_296, 245_366_784, 0.63), Blocks(20, 122_683_648, 122_683_392, 0.74)),
    tflop=(21.1, 42.0, 76.3),
    width=3072,
    heads=24,
    lora=1_167_360,
    text_parameters=4_022_468_096,
    text_width=7680,
    vae_parameters=84_046_115,
)

_KLEIN_9B = Costs(
    base="flux2-klein-9b",
    parameters=9_078_581_248,
    blocks=(Blocks(8, 436_208_128, 436_207_616, 0.83), Blocks(24, 218_104_064, 218_103_808, 0.98)),
    tflop=(46.7, 91.3, 162.4),
    width=4096,
    heads=32,
    lora=1_998_848,
    text_parameters=8_190_735_360,
    text_width=12_288,
    vae_parameters=84_046_115,
)

_Z_IMAGE = Costs(
    base="z-image",
    parameters=6_154_908_736,
    blocks=(
        Blocks(2, 180_910_336, 176_947_200, 1.05),
        Blocks(2, 176_962_816, 176_947_200, 0.13),
        Blocks(30, 180_910_336, 176_947_200, 1.19),
    ),
    tflop=(38.2, 75.3, 135.3),
    width=3840,
    heads=30,
    lora=1_044_480,
    text_parameters=4_022_468_096,
    text_width=2560,
    vae_parameters=83_819_683,
)

BASES: dict[str, Costs] = {
    one.base: one for one in (_FLUX1, _FLUX2, _KLEIN_4B, _KLEIN_9B, _Z_IMAGE, replace(_Z_IMAGE, base="z-image-base"))
}
"""The bases at full size, by name. Z-Image and its base checkpoint are one architecture."""


def of(base: str) -> Costs:
    """The facts of a base. Raises BadSpec for one that has none."""
    if base in BASES:
        return BASES[base]
    near = difflib.get_close_matches(base, BASES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(BASES)}."
    raise BadSpec(f"It is not known what training the base {base!r} takes; {hint}")
