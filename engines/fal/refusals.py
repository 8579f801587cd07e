"""fal's refusals, a sentence each, with the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loradeck.engines.hosted import keys
from loradeck.engines.hosted.wire import Refused

BILLING = "https://fal.ai/dashboard/billing"
KEYS = "https://fal.ai/dashboard/keys"


@contextmanager
def worded(what: str) -> Iterator[None]:
    """What fal refuses inside is raised with our sentence, and its own words at the end; `what` is the endpoint."""
    try:
        yield
    except Refused as refused:
        sentence, says_how = _sentence(refused, what), not refused.throttled
        raise Refused(sentence, refused.status, refused.kind, refused.retry_after, says_how=says_how) from None


def _sentence(refused: Refused, what: str) -> str:
    said = keys.redacted(str(refused).partition(": ")[2])
    page = f"https://fal.ai/models/{what}" if "/" in what else "https://fal.ai/dashboard"
    match refused.kind:
        case "key":
            return f"fal does not know this key; copy it again from {KEYS} and {keys.advice('fal')}."
        case "credit":
            return f"The credit at fal is used up: add some at {BILLING}, then start again. It said: {said}"
        case "forbidden" | "missing":
            return (
                f"fal does not give {what} to this account: it is gone, private or gated. Look at {page} while "
                f"signed in, and accept its terms where it asks for that. "
                f"It said: {said}"
            )
        case "content":
            return f"fal's content policy refuses what was sent to {what}: word the prompt otherwise. It said: {said}"
        case "input":
            return f"fal refused the inputs of {what}; change what it names. It said: {said}"
        case "throttled":
            return f"fal takes no more requests for now, and is asked again later. It said: {said}"
    return f"fal refused {what} ({refused.status}); look at {page}. It said: {said}"
