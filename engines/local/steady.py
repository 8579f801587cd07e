"""A picture comes out the same alone and in company, on a CPU to the bit.

The noise of a picture has a generator of its own already. What is left is rounding: a product of matrices gives each
row the same bits however many rows there are, except that one row alone goes another way (gemv), and convolutions sum
in another order for another number of pictures. So layers that see one row a picture (the time embedding and what is
made of it) take their rows one by one, and the VAE its pictures. Measured with torch 2.13 on x86.
"""

from __future__ import annotations

from typing import Any

import torch

from loradeck.engines.local.batching import MOST

MOST_ROWS = 2 * MOST
"""One row a picture, or two where a family draws with and without the prompt in one pass."""


def steady(pipeline: Any) -> None:
    """Make a pipeline's pictures independent of what is drawn in the same batch."""
    pipeline.vae.enable_slicing()  # less memory too: that of one picture
    for layer in pipeline.transformer.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(_row_by_row)


def _row_by_row(layer: torch.nn.Linear, given: tuple[torch.Tensor, ...], _: torch.Tensor) -> torch.Tensor | None:
    rows = given[0]
    if rows.device.type != "cpu" or rows.dim() != 2 or not 1 < len(rows) <= MOST_ROWS:
        return None
    return torch.cat([layer.forward(row) for row in rows[:, None]])
