"""loradeck: teach a Flux model your look from chat, and get the deck it was for."""

__version__ = "0.1.0"


class LoradeckError(Exception):
    """The root of every error that loradeck raises on purpose.

    ``str(error)`` is one sentence a person can act on, with the next step in it. It holds no secret, no
    stack trace, and no path outside the workspace and the source that the caller named.

    The tree::

        LoradeckError
        +-- tools.errors.ToolFault          what the caller asked cannot be done as asked
        |   +-- NotFound, BadArgument, Refused, NotYet
        +-- state.errors.StateError         the workspace or its database is not usable
        |   +-- DatabaseBusy, DatabaseTooNew, DatabaseBroken, WorkspaceReadOnly, DiskFull, FileInUse, LeaseLost
        +-- engines.errors.EngineError      an engine cannot learn or draw
            +-- NotInstalled, BadSpec, OutOfMemory, Diverged, BadWeights, Cancelled, ProviderError ...
    """
