"""What can go wrong in an engine; an engine raises only these.

The tree::

    EngineError
    +-- NotInstalled       a package, weights or a key is missing; the message says what to install or set
    +-- BadSpec            the spec asks for what this engine cannot do
    +-- BadWeights         a file is no LoRA, or is one for another base
    +-- CannotWrite        the disk is full or the run's folder may not be written
    +-- OutOfMemory        the machine or chip ran out of memory
    +-- Diverged           a loss became NaN or infinite; the last good checkpoint stands (TRN-FINITE)
    +-- Cancelled          the person said stop; what was done is kept
    +-- ProviderError      a hosted service refused or failed
        +-- Unknown        it is not known whether a paid request arrived; it is never sent again by itself
"""

from __future__ import annotations

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


class OutOfMemory(EngineError):
    """Memory ran out."""


class Diverged(EngineError):
    """A loss became NaN or infinite."""


class Cancelled(EngineError):
    """The person said stop."""


class ProviderError(EngineError):
    """A hosted service refused or failed."""


class Unknown(ProviderError):
    """It is not known whether a paid request arrived."""
