"""What can go wrong in an engine; an engine raises only these.

The tree::

    EngineError
    +-- NotInstalled       a package, weights or a key is missing; the message says what to install or set
    +-- BadSpec            the spec asks for what this engine cannot do
    +-- BadWeights         a file is no LoRA, or is one for another base
    +-- CannotWrite        a file of the run cannot be written: its folder may not be, or the drive fails
    |   +-- NoRoom         the disk is full
    +-- OutOfMemory        the machine or chip ran out of memory
    +-- PeerLost           another process of a training on several GPUs ended; the last good step stands
    +-- Diverged           a loss became NaN or infinite; the last good checkpoint stands (TRN-FINITE)
    +-- Cancelled          the person said stop; what was done is kept
    |   +-- Leaving        the system asked the worker to end; the run goes on later, and so does a host's work on it
    +-- OverBudget         the run's limit, the day's or the workspace's would be passed; nothing was sent
    +-- ProviderError      a hosted service refused or failed
        +-- Unknown        it is not known whether a paid request arrived; it is never sent again by itself
        +-- CameToNothing  what was bought has ended and left nothing to fetch: a resumed run gets nothing more
"""

from __future__ import annotations

from pathlib import Path

from loradeck import LoradeckError


class EngineError(LoradeckError):
    """An engine cannot learn or draw as asked."""


class NotInstalled(EngineError):
    """A package, weights or a key is missing."""


class BadSpec(EngineError):
    """The spec asks for what this engine cannot do."""


class BadWeights(EngineError):
    """A weights file cannot be used."""


class CannotWrite(EngineError):
    """A file of the run cannot be written."""


class NoRoom(CannotWrite):
    """The disk is full.

    `folder` is where the file was to be, `needed` its bytes where they are known.
    """

    def __init__(self, message: str, folder: Path, needed: int | None = None) -> None:
        super().__init__(message)
        self.folder, self.needed = folder, needed


class OutOfMemory(EngineError):
    """Memory ran out."""


class PeerLost(EngineError):
    """Another process of the same training ended."""


class Diverged(EngineError):
    """A loss became NaN or infinite."""


class Cancelled(EngineError):
    """The person said stop."""


class Leaving(Cancelled):
    """The system asked the worker to end: nothing is to be cancelled at a host, since the run goes on later."""


class OverBudget(EngineError):
    """A limit on money would be passed."""


class ProviderError(EngineError):
    """A hosted service refused or failed."""


class CameToNothing(ProviderError):
    """What was bought has ended and left nothing that could be fetched; only a new purchase can bring more."""


class Unknown(ProviderError):
    """It is not known whether a paid request arrived."""
