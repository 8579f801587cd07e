"""Keys of hosted services: from the environment, else from the system's keyring, and hidden wherever they show.

The optional package `keyring` is asked when it is installed; a machine without a keyring has no key there, which is no
error. A key is read from its source each time that it is asked for, so that one set later is found without a restart.
"""

from __future__ import annotations

import os
from typing import Any, Literal, NoReturn

from loradeck.engines.hosted import keyring

VARIABLES = {"replicate": "REPLICATE_API_TOKEN", "fal": "FAL_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""The environment variable of each service, as its own client reads it."""
SHORTEST_PART = 12
"""Parts of a key (fal's are `id:secret`) that have fewer characters are too common to be blackened by themselves."""

_handed_out: dict[str, str] = {}


class Key:
    """A secret that shows itself to nobody by accident: not in a repr, a log line, a copy or a pickle."""

    __slots__ = ("_secret", "variable")

    def __init__(self, secret: str, variable: str) -> None:
        self._secret, self.variable = secret, variable
        _handed_out[secret] = variable

    def reveal(self) -> str:
        """The secret itself, for the header of a request to the host that issued it."""
        return self._secret

    def __repr__(self) -> str:
        return f"<{self.variable}>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{self!r} is a secret and is not written down; read it again with keys.key().")


def key(name: str) -> Key | None:
    """The key of a service (replicate, fal, anthropic), or None where none is set.

    The environment overrules the keyring. Raises KeyError for a service that is not known.
    """
    secret = _in_environment(name) or keyring.read(name).strip()
    return Key(secret, VARIABLES[name]) if secret else None


def where(name: str) -> Literal["environment", "keyring"] | None:
    """Where the key of a service is found, or None. Raises KeyError for a service that is not known."""
    if _in_environment(name):
        return "environment"
    return "keyring" if keyring.read(name).strip() else None


def advice(name: str) -> str:
    """How to set the key of a service, as a sentence's end: "set FAL_KEY ..."."""
    return (
        f"set {VARIABLES[name]} in the environment of the server (the client's config has an env section), or keep it "
        f"in the system's keyring: `loradeck key set {name}`"
    )


def redacted(text: str) -> str:
    """The text with every key that this process has read, or could read from its environment, blackened."""
    known = dict(_handed_out)
    known.update({os.environ.get(variable, "").strip(): variable for variable in VARIABLES.values()})
    for secret, variable in known.items():
        for part in (secret, *secret.split(":")):
            if part and (part == secret or len(part) >= SHORTEST_PART):
                text = text.replace(part, f"<{variable}>")
    return text


def _in_environment(name: str) -> str:
    return os.environ.get(VARIABLES[name], "").strip()
