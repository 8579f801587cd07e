"""The official SDK, used so that nothing is paid twice: it repeats nothing, follows no redirect, reuses no connection
for what is paid, and whatever goes wrong comes out as never sent, refused, or may have arrived.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from loradeck.engines.errors import NotInstalled, ProviderError
from loradeck.engines.hosted import answers
from loradeck.engines.hosted.client import CONNECT_SECONDS, on_this_machine, pause
from loradeck.engines.hosted.keys import Key
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

if TYPE_CHECKING:
    import anthropic

PAID_SECONDS = 180.0
"""The longest that an answer is waited for."""
OVERLOADED = 529
"""Anthropic's own status for "too busy": nothing was taken on."""
TRIES = 6
PAGE = 100
"""Batches a page of the list; the most that it gives."""
Told = TypeVar("Told")
Message = Mapping[str, Any]
Waits = Callable[[float], None]


class Client:
    """Speaks to one address with one key. May be used by several threads; `close` it in the end.

    Raises NotInstalled where the address is neither https nor on this machine, since the key would travel openly.
    """

    def __init__(self, key: Key, base_url: str) -> None:
        import anthropic
        import httpx2

        parts = urlsplit(base_url)
        self.host = parts.hostname or base_url
        if parts.scheme != "https" and not on_this_machine(self.host):
            raise NotInstalled(
                f"The address of Anthropic is not https ({self.host}), and the key would travel to it in the open; set "
                "ANTHROPIC_BASE_URL to one that begins with https://."
            )
        self._sdk = anthropic.Anthropic(
            api_key=key.reveal(),
            base_url=base_url,
            max_retries=0,
            http_client=httpx2.Client(
                timeout=httpx2.Timeout(PAID_SECONDS, connect=CONNECT_SECONDS),
                limits=httpx2.Limits(max_connections=64, max_keepalive_connections=0),
                follow_redirects=False,
                trust_env=not on_this_machine(self.host),
                verify=parts.scheme == "https",  # else there is nothing to verify, and loading the roots takes long
            ),
        )

    def close(self) -> None:
        """End all connections."""
        self._sdk.close()

    # ----------------------------------------------------------------- paid, each sent exactly once

    def describe(self, parameters: Mapping[str, Any]) -> Message:
        """One message. Raises NeverSent, Refused or Ambiguous."""
        return _object(self._asked(lambda: self._sdk.messages.with_raw_response.create(**parameters).text()))

    def batch(self, requests: Sequence[Mapping[str, Any]]) -> Message:
        """Begin a batch of {custom_id, params}. Raises NeverSent, Refused or Ambiguous."""
        made: Any = list(requests)
        return _object(self._asked(lambda: self._sdk.messages.batches.with_raw_response.create(requests=made).text()))

    # ----------------------------------------------------------------- free, repeated where it helps

    def standing(self, batch_id: str, wait: Waits) -> Message:
        """Where a batch stands. Raises Refused where it is not known there, Ambiguous where nobody answers."""
        return self._patiently(lambda: self._sdk.messages.batches.with_raw_response.retrieve(batch_id).text(), wait)

    def cancel(self, batch_id: str, wait: Waits) -> Message:
        """Ask that a batch ends; what was answered until then is paid."""
        return self._patiently(lambda: self._sdk.messages.batches.with_raw_response.cancel(batch_id).text(), wait)

    def batches(self, wait: Waits) -> Iterator[Message]:
        """All batches of the workspace, newest first."""
        after: dict[str, Any] = {}
        while True:
            asked = {"limit": PAGE, **after}
            page = self._patiently(
                lambda asked=asked: self._sdk.messages.batches.with_raw_response.list(**asked).text(),  # type: ignore[misc]
                wait,
            )
            rows = page.get("data") or []
            yield from rows
            if not page.get("has_more") or not rows:
                return
            after = {"after_id": rows[-1]["id"]}

    def results(self, batch_id: str, wait: Waits) -> list[Message]:
        """The results of a batch that has ended, in no order: {custom_id, result}."""
        import httpx2

        path = f"/v1/messages/batches/{batch_id}/results"  # not the address in the answer, which could lead elsewhere

        def lines() -> list[Message]:
            text = self._asked(lambda: self._sdk.get(path, cast_to=httpx2.Response).text)
            return [_object(line) for line in text.splitlines() if line.strip()]

        return _repeated(lines, wait)

    # ----------------------------------------------------------------- what became of a request

    def _patiently(self, call: Callable[[], str], wait: Waits) -> Message:
        return _repeated(lambda: _object(self._asked(call)), wait)

    def _asked(self, call: Callable[[], Told]) -> Told:
        import anthropic
        import httpx2

        try:
            return call()
        except anthropic.APIStatusError as error:
            raise self._meaning(error) from None
        except anthropic.APIConnectionError as error:
            never = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
            kind = type(error.__cause__ or error).__name__
            if isinstance(error.__cause__, never):
                raise NeverSent(f"{self.host} could not be reached ({kind}): nothing was sent.") from None
            raise Ambiguous(f"The connection to {self.host} broke before its answer was there ({kind}).") from None
        except httpx2.HTTPError as error:
            raise Ambiguous(f"The connection to {self.host} broke ({type(error).__name__}).") from None

    def _meaning(self, error: anthropic.APIStatusError) -> WireError:
        """What a status says. 529 is Anthropic's refusal of a request that it has no room for."""
        status, said = error.status_code, answers.sentence(error.response.text)
        sentence = f"{self.host} answered {status}: {said or 'no word on why'}"
        refused = status == OVERLOADED or (400 <= status < 500 and status not in answers.MAY_HAVE_ARRIVED)
        if not refused:
            return Ambiguous(sentence)
        kind = answers.kind(status, said, error.response.headers, error.response.text)
        if status == 400 and answers.NO_CREDIT.search(said):
            kind = "credit"  # "Your credit balance is too low" comes as 400
        wait = answers.retry_after(error.response.headers, said, time.time()) if busy(status) else None
        return Refused(sentence, status, kind, wait)


def busy(status: int) -> bool:
    """True for the refusals after which the same request may be sent again."""
    return status in {429, OVERLOADED}


def _repeated(call: Callable[[], Told], wait: Waits) -> Told:
    """A request that costs nothing, sent until it is answered or the host says no. Raises ProviderError."""
    for tried in range(1, TRIES + 1):
        try:
            return call()
        except WireError as error:
            if isinstance(error, Refused) and not busy(error.status):
                raise
            seconds = pause(error, tried)
        wait(seconds)
    raise ProviderError(
        "Anthropic does not answer a question that costs nothing, after several tries; what was asked for stays there "
        "for a month: make the same call again when the network and https://status.claude.com are well."
    )


def _object(text: str) -> Message:
    """The JSON object of an answer. Raises Ambiguous where it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        shown = "a page in HTML" if text.lstrip()[:1] == "<" else "something that is not the JSON of an answer"
        raise Ambiguous(f"Anthropic answered with {shown}.")
    return value
