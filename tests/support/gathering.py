"""What several processes do together in the tests; a module of its own, since each of them imports it anew."""

from __future__ import annotations

import os
import signal

import torch

from loradeck.engines.errors import OutOfMemory
from loradeck.engines.local.peers import Peers

CPU = torch.device("cpu")


def add(mine: Peers) -> list[torch.Tensor]:
    """Each brings its rank plus one."""
    mine.meet()
    tensors = [torch.full((2, 2), mine.rank + 1.0), torch.tensor(10.0 * (mine.rank + 1))]
    mine.sum_(tensors)
    return tensors


def run_short(mine: Peers) -> None:
    """Memory runs out in all but the first."""
    mine.meet()
    mine.agree(None if mine.is_first else OutOfMemory("8 GB were asked for."), [torch.ones(2)])


def add_run_short_and_die(mine: Peers) -> None:
    """One after the other, in a process that follows."""
    mine.join(CPU)
    add(mine)
    try:
        run_short(mine)
    except OutOfMemory:
        mine.meet()
        os.kill(os.getpid(), signal.SIGKILL)
