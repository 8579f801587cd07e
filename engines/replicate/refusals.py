"""Replicate's refusals, a sentence each, with the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loradeck.engines.hosted import keys
from loradeck.engines.hosted.wire import Refused

BILLING = "https://replicate.com/account/billing"
TOKENS = "https://replicate.com/account/api-tokens"


@contextmanager
def worded(endpoint: str = "") -> Iterator[None]:
    """What Replicate refuses inside is raised with our sentence, and with its own words at the end."""
    try:
        yield
    except Refused as refused:
        sentence = _sentence(refused, endpoint or "what was asked for")
        says_how = not refused.throttled
        raise Refused(sentence, refused.status, refused.kind, refused.retry_after, says_how=says_how) from None


def _sentence(refused: Refused, endpoint: str) -> str:
    said = keys.redacted(str(refused).partition(": ")[2])
    match refused.kind:
        case "key":
            return f"Replicate does not know this token; copy it again from {TOKENS} and {keys.advice('replicate')}."
        case "credit":
            return f"Replicate asks for credit or a way to pay: add billing at {BILLING}, then start again."
        case "forbidden" | "missing":
            return (
                f"Replicate does not give {endpoint} to this account: it is gone, private or gated. Look at "
                f"https://replicate.com/{endpoint.partition(':')[0]} while signed in, and accept its terms where it "
                f"asks for that. It said: {said}"
            )
        case "content":
            return f"Replicate's filter refused the inputs of {endpoint}: word the prompt otherwise. It said: {said}"
        case "input":
            return f"Replicate refused the inputs of {endpoint}; change what it names. It said: {said}"
        case "throttled":
            return f"Replicate takes no more requests for now, and is asked again later. It said: {said}"
    return f"Replicate refused {endpoint} ({refused.status}); look at its page there. It said: {said}"
