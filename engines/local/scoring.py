"""What a checkpoint is scored by, beside the stable loss: how far the look leaks, and what naming the trigger is worth.

Both are measured on the same pictures and the same noise as the stable loss, with the trigger taken out of the prompts,
and are in the loss's own unit:

- `leak`: mean squared distance between the LoRA's flow and the base's. 0 is a look that nothing but its trigger calls.
- `trigger_gain`: the loss without the trigger less the loss with it. 0 is a trigger that means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from loradeck.engines.local.heldout import HELD_OUT, IN_TRAIN, fixed, passes
from loradeck.engines.local.learner import Flow, Noisy, row_losses
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.material import Material


class Scorer:
    """Scores an adapter as it stands. The base's own flow is computed once."""

    def __init__(self, flow: Flow, adapter: Adapter, material: Material) -> None:
        self._flow, self._adapter = flow, adapter
        self._rows = fixed(material, material.plain, HELD_OUT if len(material.held_out) else IN_TRAIN)
        self._base: list[torch.Tensor] = []

    @torch.no_grad()
    def score(self, measured: Mapping[str, float]) -> dict[str, float]:
        """`leak` and `trigger_gain`, given what the yardstick measured; nothing where no trigger is taught."""
        if not self._rows:
            return {}
        rows = list(passes(self._flow, self._rows))
        flows = [self._flow(given) for given in rows]
        leak = torch.cat([row_losses(now, base) for now, base in zip(flows, self._base_flows(rows), strict=True)])
        plain = torch.cat([self._flow.errors(now, given) for now, given in zip(flows, rows, strict=True)])
        named = measured.get("held_out_loss", measured["in_train_loss"])
        return {"leak": float(leak.mean()), "trigger_gain": float(plain.mean()) - named}

    def _base_flows(self, rows: list[Noisy]) -> list[torch.Tensor]:
        if not self._base:
            with self._adapter.off():
                self._base = [self._flow(given) for given in rows]
        return self._base
