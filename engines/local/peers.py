"""Several processes that learn one LoRA, each on a GPU of its own: every one takes its share of a step's rows.

The process of the run is the first: it starts the others, hears the person, writes files and tells. The others follow:
they make the same training from the same files, wait until the first begins a step, and sum gradients and losses with
it (through accelerate: NCCL between GPUs, gloo on the CPU). Sums come out alike everywhere, so that all hold the same
weights without sending them. When the first is done, stops or dies, the others end; they have nothing to lose.

Which rows a step takes hangs on the seed and the step alone, so that the number of processes changes nothing but the
order of additions.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from loradeck.engines.base import Purse
from loradeck.engines.errors import BadSpec, OutOfMemory, PeerLost

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from loradeck.engines.local.learner import Noisy

HERE = "127.0.0.1"
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
"""The network that never leaves the machine, which gloo must be told where a host's name leads nowhere."""

LEAVE_SECONDS = 10.0
"""How long a killed process is waited for."""

GONE = (
    "Another process of this training ended or does not answer; worker.log in the run's folder says why. Resume the "
    "run, which goes on from its last step; a new training with the option processes=1 learns on one GPU alone."
)


class Peers:
    """A process among `count` that learn together; with one, nothing happens.

    `rank` 0 is the first; `lines` lead from it to every other, and from each of those to it. Made by `gathered`.
    """

    def __init__(self, rank: int = 0, count: int = 1, lines: Sequence[Connection] = ()) -> None:
        self.rank, self.count, self._lines = rank, count, lines

    @property
    def is_first(self) -> bool:
        """True for the process that writes and tells."""
        return self.rank == 0

    def share(self, rows: Noisy) -> Noisy:
        """Our part of a step's rows, in order; it may be empty."""
        return list(rows.cut(self.count))[self.rank]

    def join(self, device: torch.device) -> None:
        """Become a group, when all are here. Raises PeerLost."""
        if self.count == 1:
            return
        from accelerate import PartialState

        self.meet()
        with _answering():
            PartialState(cpu=device.type == "cpu")

    def meet(self) -> None:
        """Begin a step together: the others wait here, for as long as the first draws, writes or waits for room.

        Sums would be waited for as well, but not for longer than a time that must find a process that is gone.
        Raises PeerLost.
        """
        with _answering():
            for line in self._lines:
                if self.is_first:
                    line.send_bytes(b"on")
                else:
                    line.recv_bytes()

    def sum_(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace every tensor by its sum over all processes. Raises PeerLost."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        with _answering():
            summed: torch.Tensor = reduce(flat, "sum")
        start = 0
        for tensor in tensors:
            tensor.detach().copy_(summed[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agree(self, short: OutOfMemory | None, tensors: Sequence[torch.Tensor]) -> None:
        """`sum_`, unless memory ran out in one of the processes, here (`short`) or elsewhere: then all raise it.

        It waits for the device where there are several processes, since all must know before a step is taken.
        """
        if self.count > 1:
            lacking = torch.full((), float(short is not None), device=tensors[0].device)
            self.sum_([*tensors, lacking])
            if short is None and float(lacking):
                short = OutOfMemory("Another GPU of this training ran out of memory.")
        if short is not None:
            raise short


ALONE = Peers()


def wanted(asked: int, device: torch.device, batch_size: int) -> int:
    """How many processes learn: as asked, 0 for one a GPU; never more than a step has pictures to share.

    Nor more than there are chips, but on the CPU.
    """
    found = torch.cuda.device_count() if device.type == "cuda" else 1
    most = asked or found
    if device.type != "cpu":
        most = min(most, found)
    return max(1, min(most, batch_size))


@contextmanager
def gathered(count: int, follow: Callable[[Peers], None]) -> Iterator[Peers]:
    """The first of `count` processes, with the others under way for as long as the block lasts.

    Each of the others calls `follow`, which must be picklable (a function of a module, or a `partial` of one), and
    which joins, meets and sums as often as the block does. They are killed at the end of the block.
    """
    if count == 1:
        yield ALONE
        return
    context, port = multiprocessing.get_context("spawn"), _free_port()
    others: list[SpawnProcess] = []
    lines: list[Connection] = []
    try:
        for rank in range(1, count):
            line, end = context.Pipe()
            process = context.Process(target=_other, args=(rank, count, port, end, follow), daemon=True)
            process.start()
            end.close()  # it is theirs alone, so that a line ends with them
            others.append(process)
            lines.append(line)
        with _environment(0, count, port):
            yield Peers(0, count, lines)
    finally:
        for process in others:
            process.kill()
            process.join(LEAVE_SECONDS)
        for line in lines:
            line.close()
        _leave()


def _other(rank: int, count: int, port: int, line: Connection, follow: Callable[[Peers], None]) -> None:
    """What another process does: follow, until the first is gone."""
    first = multiprocessing.parent_process()

    def leave_with_the_first() -> None:
        if first is not None:
            first.join()
        os._exit(1)

    threading.Thread(target=leave_with_the_first, name="first", daemon=True).start()
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)  # "cuda" means this one from here on
    with _environment(rank, count, port):
        follow(Peers(rank, count, [line]))


@contextmanager
def _environment(rank: int, count: int, port: int) -> Iterator[None]:
    """What accelerate and torch.distributed read, as `accelerate launch` sets it."""
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    told: dict[str, str] = {name: str(value) for name, value in values.items()}
    told |= {"MASTER_ADDR": HERE, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    if sys.platform in LOOPBACK:
        told["GLOO_SOCKET_IFNAME"] = LOOPBACK[sys.platform]
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _answering() -> Iterator[None]:
    """What the system says of a process that is gone, in our words."""
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:  # torch.distributed's own errors are RuntimeErrors
        raise PeerLost(GONE) from error


def _leave() -> None:
    """Forget the group, so that this process can join another one."""
    from accelerate import PartialState

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    PartialState._reset_state()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


class _Penniless:
    """The ledger where nothing is bought: what this machine learns costs nothing."""

    def __getattr__(self, name: str) -> Any:
        raise BadSpec("A training on this machine buys nothing; name another engine.")


class Silent:
    """The reporter of a process that follows: it tells nobody, and hears of a stop by being ended."""

    def __init__(self) -> None:
        self.journal = _Forgetful()
        self.purse = cast("Purse", _Penniless())

    def progress(self, step: int, steps: int, message: str = "") -> None:
        """Nothing."""

    def pause(self, step: int, steps: int, message: str) -> None:
        """Nothing."""

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Nothing."""

    def checkpoint(self, step: int, path: object, sha256: str) -> None:
        """Nothing."""

    def sample(self, step: int, path: object, prompt: str) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def raise_if_cancelled(self) -> None:
        """Never."""


class _Forgetful:
    """A journal of nothing."""

    def put(self, key: str, value: Any) -> None:
        """Nothing."""

    def get(self, key: str) -> Any | None:  # noqa: ARG002
        """Nothing."""
        return None
