"""A LoRA at a lower rank: the nearest one there is, for a training that goes on with less memory."""

from __future__ import annotations

import torch


def shrunk(down: torch.Tensor, ups: list[torch.Tensor], rank: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The matrices of rank `rank` whose products are nearest to ``up @ down`` (Frobenius norm; Eckart and Young, 1936).

    `down` is ``(r, in)``, each of `ups` ``(out, r)``; layers that share `down` are shrunk together, so that they share
    the new one. Only matrices of r x r are decomposed. The rows of the new `down` are as long as the old ones were on
    average: what the LoRA has not used yet can still be learned.
    """
    q_out, r_out = torch.linalg.qr(torch.cat(ups))
    q_in, r_in = torch.linalg.qr(down.T)
    left, sizes, right = torch.linalg.svd(r_out @ r_in.T)
    length = down.norm(dim=1).mean()
    together = (q_out @ left[:, :rank]) * (sizes[:rank] / length)
    return length * (right[:rank] @ q_in.T), list(together.split([up.shape[0] for up in ups]))
