"""Frozen linear layers with weights of 8 or 4 bits, to hold a transformer under a LoRA in less memory.

========  ==========================================  ================  ==============================
format    a weight is                                 bytes a weight    error of a layer, gaussian
========  ==========================================  ================  ==============================
`int8`    a whole number times its row's scale        1                 below 1 %
`fp8`     float8 (e4m3) times its row's scale         1                 below 4 %
`nf4`     one of 16 levels times its block's scale    0.53              below 10 %
========  ==========================================  ================  ==============================

A row is an output channel, a block 64 weights. NormalFloat4 and its block size are from Dettmers et al. 2023, "QLoRA".
Scales are bfloat16, of which the codes are made too, so that rounding them costs nothing. The errors are measured by
``tests/test_engine_frozen.py``, time and memory by ``bench/frozen.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from loradeck.engines.local.blocks import repeated

Format = Literal["int8", "fp8", "nf4"]
Skip = Callable[[str, nn.Linear], bool]

BLOCK = 64
"""Weights that share a scale in `nf4`."""
SMALL = 2**16
"""Layers with fewer weights stay as they are: they hold next to nothing."""
FP8 = torch.float8_e4m3fn
FP8_MAX = 448.0
"""The largest float8 e4m3 number."""
TINY = 1e-12
"""Stands for the largest weight or activation of a row that is all zero."""
NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The levels of NormalFloat4 (Dettmers et al. 2023, "QLoRA", appendix E)."""


def encode(weight: torch.Tensor, fmt: Format) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and bfloat16 scales of a weight ``(out, in)``.

    int8: int8 ``(out, in)`` and ``(out, 1)``. fp8: the same as bytes, so that no cast of the module touches them.
    nf4: two codes a byte, the first in the high half, ``(blocks, 32)`` and ``(blocks, 1)``; the last block is filled
    with zeros.
    """
    if fmt == "nf4":
        return _encode_nf4(weight)
    top = 127.0 if fmt == "int8" else FP8_MAX
    scale = (weight.float().abs().amax(1, keepdim=True).clamp(min=TINY) / top).bfloat16()
    scaled = (weight.float() / scale.float()).clamp(-top, top)
    return (scaled.round().to(torch.int8) if fmt == "int8" else scaled.to(FP8).view(torch.uint8)), scale


def _encode_nf4(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    flat = weight.float().flatten()
    blocks = functional.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)
    scale = blocks.abs().amax(1, keepdim=True).clamp(min=TINY).bfloat16()
    levels = torch.tensor(NF4, device=weight.device)
    codes = torch.bucketize(blocks / scale.float(), (levels[1:] + levels[:-1]) / 2, out_int32=True).to(torch.uint8)
    return codes[:, ::2] << 4 | codes[:, 1::2], scale


def decode(
    codes: torch.Tensor,
    scale: torch.Tensor,
    fmt: Format,
    shape: tuple[int, int],
    dtype: torch.dtype,
    pairs: torch.Tensor | None = None,
) -> torch.Tensor:
    """The weight ``(out, in)`` in a float type. `pairs` are the two levels of every byte of nf4, ``(256, 2)``."""
    scale = scale.to(dtype)
    if fmt == "int8":
        return codes * scale
    if fmt == "fp8":
        return codes.view(FP8).to(dtype) * scale
    blocks = functional.embedding(codes.int(), nf4_pairs(codes.device) if pairs is None else pairs).flatten(1)
    return (blocks.to(dtype) * scale).flatten()[: shape[0] * shape[1]].view(shape)


def nf4_pairs(device: torch.device) -> torch.Tensor:
    """The two levels of every byte, ``(256, 2)`` float32."""
    levels = torch.tensor(NF4, device=device)
    return torch.cartesian_prod(levels, levels)


def stored_bytes(shape: tuple[int, int], fmt: Format) -> int:
    """Bytes that a weight of that shape takes, with its scales."""
    weights = shape[0] * shape[1]
    if fmt == "nf4":
        return -(-weights // BLOCK) * (BLOCK // 2 + 2)
    return weights + 2 * shape[0]


def multiplies_fp8(device: torch.device) -> bool:
    """Whether the chip multiplies float8 with a scale a row (NVIDIA Ada, Hopper and later: capability 8.9)."""
    return device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 9)


def _fp8_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows ``(n, k)`` as float8 and float32 scales ``(n, 1)``."""
    rows = rows.float()
    scale = rows.abs().amax(1, keepdim=True).clamp(min=TINY) / FP8_MAX
    return (rows / scale).clamp(-FP8_MAX, FP8_MAX).to(FP8), scale


def _scaled_forward(
    rows: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """``rows @ weight.T + bias`` in float8, ``(n, out)`` bfloat16.

    Tested on the CPU, where torch has the same function; not yet run on a GPU.
    """
    left, left_scale = _fp8_rows(rows)
    return torch._scaled_mm(
        left,
        codes.view(FP8).t(),
        scale_a=left_scale,
        scale_b=scale.float().view(1, -1),
        bias=None if bias is None else bias.bfloat16(),
        out_dtype=torch.bfloat16,
        use_fast_accum=True,
    )


def _scaled_backward(rows: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """``rows @ weight`` in float8, ``(n, in)`` bfloat16; not yet run on a GPU.

    The weight's scales run along the sum here, so that they go into the rows. The chip wants the right side column by
    column, which is the one copy of the codes.
    """
    left, left_scale = _fp8_rows(rows.float() * scale.float().view(1, -1))
    return torch._scaled_mm(
        left,
        codes.t().contiguous().t().view(FP8),
        scale_a=left_scale,
        scale_b=torch.ones(1, codes.shape[1], device=rows.device),
        out_dtype=torch.bfloat16,
    )


class _Multiply(torch.autograd.Function):
    """``x @ weight.T + bias`` for a frozen weight: only x has a gradient, and only the codes are kept for it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        codes: torch.Tensor,
        scale: torch.Tensor,
        pairs: torch.Tensor | None,
        bias: torch.Tensor | None,
        fmt: Format,
        shape: tuple[int, int],
        scaled: bool,
    ) -> torch.Tensor:
        ctx.save_for_backward(codes, scale, pairs)
        ctx.fmt, ctx.shape, ctx.scaled = fmt, shape, scaled
        if scaled:
            return _scaled_forward(x.flatten(0, -2), codes, scale, bias).view(*x.shape[:-1], shape[0]).to(x.dtype)
        weight = decode(codes, scale, fmt, shape, x.dtype, pairs)
        return functional.linear(x, weight, None if bias is None else bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = grads
        codes, scale, pairs = ctx.saved_tensors
        if ctx.scaled:
            flat = _scaled_backward(grad.flatten(0, -2), codes, scale)
            found = flat.view(*grad.shape[:-1], ctx.shape[1]).to(grad.dtype)
        else:
            found = grad @ decode(codes, scale, ctx.fmt, ctx.shape, grad.dtype, pairs)
        return (found, *(None,) * 7)


class FrozenLinear(nn.Linear):
    """A linear layer whose weight is kept in a small format and cannot be trained.

    It computes in the type of its input. A LoRA of peft wraps it as any linear layer; merging one into it is refused
    by torch, since there is no weight to add to. With `scaled` (fp8 only, both sides multiples of 16) the input and
    the gradient are made float8 as well, a scale a row, and multiplied so.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    pairs: torch.Tensor | None

    def __init__(self, layer: nn.Linear, fmt: Format, *, scaled: bool = False) -> None:
        nn.Module.__init__(self)  # nn.Linear would make a full weight
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.fmt: Format = fmt
        self.scaled = scaled
        self._dtype = layer.weight.dtype
        codes, scale = encode(layer.weight.detach(), fmt)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("pairs", nf4_pairs(codes.device) if fmt == "nf4" else None, persistent=False)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach(), requires_grad=False)

    @property
    def weight(self) -> torch.Tensor:  # type: ignore[override]
        """Shape, type and device of the weight, for those who look (peft, diffusers). The values are NaN.

        One number seen everywhere: it takes no memory, and torch refuses to write to it.
        """
        return torch.full((1, 1), torch.nan, dtype=self._dtype, device=self.codes.device).expand(self._shape)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.out_features, self.in_features

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """The weight's shape is shown here too: diffusers looks for it when a LoRA of FLUX.1 is loaded."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.weight

    def dense(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight ``(out, in)`` as it is multiplied with."""
        return decode(self.codes, self.scale, self.fmt, self._shape, dtype, self.pairs)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``(..., in)`` to ``(..., out)``."""
        made: torch.Tensor = _Multiply.apply(  # type: ignore[no-untyped-call]
            input, self.codes, self.scale, self.pairs, self.bias, self.fmt, self._shape, self.scaled
        )
        return made

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"in_features={self.in_features}, out_features={self.out_features}, format={self.fmt}"


def small(_name: str, layer: nn.Linear) -> bool:
    """Whether a layer is too small for its format to matter."""
    return layer.in_features * layer.out_features < SMALL


def sensitive(name: str, layer: nn.Linear) -> bool:
    """Small layers, and the modulation of norms, whose error would shift and scale every token.

    FLUX.1 has 3.2 of its 11.9 billion weights there; pass `small` as `skip` where that does not fit.
    """
    return small(name, layer) or any(part.startswith(("norm", "adaLN")) for part in name.split("."))


def quantise(
    transformer: Any,
    fmt: Format,
    *,
    skip: Skip = sensitive,
    device: torch.device | None = None,
    home: torch.device | None = None,
) -> int:
    """Replace the frozen linear layers of the repeated blocks; returns how many bytes that saves.

    `skip` is asked with a layer's name within its block and the layer. What stands outside the blocks (embedders, the
    last layers) and what is trained stays. One layer at a time is encoded, on `device` when given, and then stays
    there or goes to `home`: the peak there is one full layer beside the encoded ones that stayed. fp8 is multiplied as
    such where the chip can.
    """
    saved = 0
    names = [(block, name) for block, name, _ in _layers(transformer, skip)]  # holds no layer that is done
    for block, name in names:
        layer: Any = block.get_submodule(name)
        weight = layer.weight.detach()
        if device is not None:
            layer.to(device)
        sides = layer.in_features % 16 == 0 and layer.out_features % 16 == 0
        frozen = FrozenLinear(layer, fmt, scaled=fmt == "fp8" and sides and multiplies_fp8(layer.weight.device))
        block.set_submodule(name, frozen if home is None else frozen.to(home))
        saved += weight.nbytes - frozen.codes.nbytes - frozen.scale.nbytes
    return saved


def saving(transformer: Any, fmt: Format, *, skip: Skip = sensitive) -> int:
    """What `quantise` would save, in bytes, without doing it; the transformer may be on the meta device."""
    return sum(
        layer.weight.nbytes - stored_bytes((layer.out_features, layer.in_features), fmt)
        for _, _, layer in _layers(transformer, skip)
    )


def _layers(transformer: Any, skip: Skip) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """The layers to replace: their block, their name in it, themselves."""
    for block in repeated(transformer):
        for name, layer in block.named_modules():
            if not isinstance(layer, nn.Linear) or isinstance(layer, FrozenLinear) or layer.weight.requires_grad:
                continue
            if not skip(name, layer):
                yield block, name, layer
