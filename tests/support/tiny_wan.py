"""A tiny random transformer of Wan, built from config in well under a second."""

from __future__ import annotations

import torch
from diffusers import WanTransformer3DModel


def transformer(num_layers: int = 2) -> WanTransformer3DModel:
    """Two heads of width 12, a patch of one frame and 2 x 2 places."""
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=256,
        ffn_dim=40,
        num_layers=num_layers,
        rope_max_seq_len=32,
    ).eval()


def full_size() -> WanTransformer3DModel:
    """The published model's layers (14 billion parameters, from words), without their numbers."""
    with torch.device("meta"):
        return WanTransformer3DModel()
