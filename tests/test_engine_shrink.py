"""A LoRA at a lower rank."""

from __future__ import annotations

import torch

from loradeck.engines.local.shrink import shrunk


def matrices(rank: int, *outs: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    down = torch.randn(rank, 20, generator=generator) / rank
    return down, [torch.randn(out, rank, generator=generator) for out in outs]


def test_what_needs_no_higher_rank_is_kept_whole() -> None:
    down, ups = matrices(4, 12, 7)
    low, lows = shrunk(torch.cat([down, down]), [torch.cat([up, up], dim=1) for up in ups], 4)
    assert low.shape == (4, 20)
    for before, after in zip(ups, lows, strict=True):
        assert torch.allclose(after @ low, 2 * before @ down, atol=1e-5)


def test_the_nearest_of_lower_rank_is_found() -> None:
    down, ups = matrices(8, 12, 9)
    whole = torch.cat(ups) @ down
    low, lows = shrunk(down, ups, 3)
    left, sizes, right = torch.linalg.svd(whole)
    best = left[:, :3] * sizes[:3] @ right[:3]
    assert torch.allclose(torch.cat(lows) @ low, best, atol=1e-5)


def test_a_lora_that_has_learned_nothing_can_still_learn() -> None:
    down, _ = matrices(8, 12)
    low, (up,) = shrunk(down, [torch.zeros(12, 8)], 4)
    assert not up.any()
    assert torch.allclose(low.norm(dim=1), down.norm(dim=1).mean().expand(4), rtol=1e-4)
