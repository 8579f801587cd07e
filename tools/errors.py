"""What a caller asked that cannot be done as asked; the message is for the assistant to act on."""

from __future__ import annotations

from loradeck import LoradeckError


class ToolFault(LoradeckError):
    """The call cannot be done as asked."""


class NotFound(ToolFault):
    """No such dataset, image, run, LoRA or deck; the message names how to list them."""


class BadArgument(ToolFault):
    """An argument is missing, unknown or of the wrong shape."""


class Refused(ToolFault):
    """The rulebook or the state of things says no."""


class NotYet(ToolFault):
    """A feature whose depth comes with a later release; the message says what works today instead."""


class Crashed(LoradeckError):
    """Something that loradeck did not foresee; the details are in its log, never in the message."""
