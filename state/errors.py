"""What can go wrong with the workspace and its database; a child of `LoradeckError`."""

from __future__ import annotations

from loradeck import LoradeckError


class StateError(LoradeckError):
    """The workspace or its database is not usable as it stands."""


class DatabaseBusy(StateError):
    """Another process holds the database for longer than we wait."""


class DatabaseTooNew(StateError):
    """A newer loradeck wrote it."""


class DatabaseBroken(StateError):
    """The file is cut short or no database."""


class WorkspaceReadOnly(StateError):
    """Nothing can be written there."""


class DiskFull(StateError):
    """No room is left."""


class FileInUse(StateError):
    """Another program has a file open and so keeps it from being replaced (on Windows)."""


class OverLimit(StateError):
    """A limit on money would be passed; nothing was written down."""


class Disputed(StateError):
    """A host's word fits no purchase: that one is another request, or the request is another purchase."""


class LeaseLost(StateError):
    """Another worker took this run over; this one must stop and write nothing more."""
