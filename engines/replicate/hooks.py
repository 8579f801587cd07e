"""Replicate's signature on a webhook: HMAC-SHA256 over `id.timestamp.body`, with a secret of the account's own.

Read at https://replicate.com/docs/topics/webhooks/verify-webhook, 2026-11-28.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from loradeck.engines.errors import NotInstalled
from loradeck.engines.hosted.hooks import Trusted, require_fresh
from loradeck.engines.hosted.keys import Key

SECRET_VARIABLE = "LORADECK_REPLICATE_WEBHOOK_SECRET"
"""Holds the secret where the API is not to be asked for it."""
VERSION = "v1,"


def require_signed(headers: Mapping[str, str], body: bytes, secret: Trusted[Key], now: float) -> None:
    """Raises Unverified where Replicate did not sign this within the last minutes."""
    stamp = headers.get("webhook-timestamp", "")
    require_fresh(stamp, now)
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
    given = [one[len(VERSION) :] for one in headers.get("webhook-signature", "").split() if one.startswith(VERSION)]
    secret.require(lambda key: any(hmac.compare_digest(_signature(key, signed), one.encode()) for one in given))


def _signature(secret: Key, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise NotInstalled(
            f"The signing secret of Replicate's webhooks is none; copy it again into {secret.variable}."
        ) from None
    return base64.b64encode(hmac.digest(key, signed, "sha256"))
