"""fal's signature on a webhook: Ed25519 over request id, user id, time and the body's hash, by one of its public keys.

Read at https://docs.fal.ai/model-endpoints/webhooks, 2026-11-28. Any account's webhooks are signed by the same keys:
that a request is ours is told by the mark in the address, which nobody else knows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from loradeck.engines.hosted.hooks import Trusted, require_fresh

KEYS_PATH = ".well-known/jwks.json"
HEADER = "x-fal-webhook-"


def require_signed(headers: Mapping[str, str], body: bytes, keys: Trusted[list[bytes]], now: float) -> None:
    """Raises Unverified where fal did not sign this within the last minutes."""
    request, user, stamp, signature = (
        headers.get(f"{HEADER}{name}", "") for name in ("request-id", "user-id", "timestamp", "signature")
    )
    require_fresh(stamp, now)
    signed = "\n".join([request, user, stamp, hashlib.sha256(body).hexdigest()]).encode()
    keys.require(lambda known: _fits(known, signature, signed))


def public_keys(told: Any) -> list[bytes]:
    """The Ed25519 keys of a key set (JWKS); those of another kind are left out. Raises KeyError, TypeError."""
    return [_bytes(one["x"]) for one in told["keys"] if one.get("crv", "Ed25519") == "Ed25519"]


def _bytes(text: str) -> bytes:
    """What a text in base64url stands for; the padding may be left out."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _fits(known: Sequence[bytes], signature: str, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        given = binascii.unhexlify(signature)
    except ValueError:
        return False
    for one in known:
        try:
            Ed25519PublicKey.from_public_bytes(one).verify(given, signed)
        except (InvalidSignature, ValueError):  # ValueError: a key of another length
            continue
        return True
    return False
