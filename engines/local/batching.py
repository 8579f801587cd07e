"""How many pictures of one size are drawn together."""

from __future__ import annotations

MOST = 4
"""On two cores four wide pictures took 0.7 times as long together as one by one; more gained nothing."""

PASS_VALUES = 3
"""Numbers that a pass without gradients holds at once for a token, in widths of the widest layer.

Counted on fake tensors of FLUX.1 [dev], FLUX.2 [dev] and both kleins at 1024 x 1024 as what a second picture adds to
the peak: 2.4 for FLUX.2 and klein, 2.6 for FLUX.1; the rest is for LoRAs. The VAE decodes pictures one by one.
"""


def bytes_a_picture(tokens: int, widest: int, bytes_a_value: int) -> int:
    """What one more picture takes in a pass: `tokens` of the picture, its references and its prompt together."""
    return PASS_VALUES * tokens * widest * bytes_a_value


def at_once(free: int | None, each: int) -> int:
    """How many pictures of `each` bytes go together into `free` bytes; None, a CPU, is not counted."""
    return MOST if free is None else max(1, min(MOST, free // each))
