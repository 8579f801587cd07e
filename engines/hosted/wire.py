"""What can happen to a request, and the errors that say so. The transport itself is in `client.py`.

The distinction that money hangs on: was it never sent, was it refused, or may it have arrived?
"""

from __future__ import annotations

from loradeck.engines.errors import ProviderError


class WireError(ProviderError):
    """A request came to nothing that can be used."""


class NeverSent(WireError):
    """The connection was never made: nothing arrived, and it may be sent again."""


class Refused(WireError):
    """The host answered no, plainly (4xx): nothing was made. `status` is the HTTP status, `kind` what it means.

    `retry_after` is in seconds where the host told when to come again (429). `says_how` is true where the message names
    the next step already.
    """

    def __init__(
        self, message: str, status: int, kind: str = "", retry_after: float | None = None, *, says_how: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after, self.says_how = status, kind, retry_after, says_how

    @property
    def throttled(self) -> bool:
        """True where the same request may be sent again later (429)."""
        return self.status == 429


class Ambiguous(WireError):
    """It was sent, and the answer is missing or cannot be read (dropped, timed out, 5xx, HTML): it may have arrived."""
