"""`loradeck key`: a key is put into the system's keyring, found or removed; the answers never hold it."""

from __future__ import annotations

from loradeck.engines.hosted import keyring, keys
from loradeck.tools.errors import Refused


def keep(name: str, secret: str) -> str:
    """Keep the key of a service. Raises Refused for what is no key, NotInstalled and CannotWrite without a keyring."""
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise Refused(f"That is no key of {name}: copy the whole of it, and nothing else, from its page of keys.")
    variable = keys.VARIABLES[name]
    keyring.keep(name, secret, variable)
    if keys.where(name) == "environment":
        return f"The key of {name} is kept, but {variable} is set here too, and overrules it."
    return f"The key of {name} is kept in the system's keyring; nothing need be started again."


def forget(name: str) -> str:
    """Remove it again. Raises NotInstalled and CannotWrite without a keyring."""
    variable = keys.VARIABLES[name]
    gone = keyring.forget(name, variable)
    left = f" {variable} is still set here." if keys.where(name) == "environment" else ""
    return (f"The key of {name} was removed from the keyring." if gone else f"No key of {name} was kept there.") + left


def tell(name: str) -> str:
    """Where the key of a service is found, and how to set one where it is not."""
    variable = keys.VARIABLES[name]
    match keys.where(name):
        case "environment":
            return f"The key of {name} is found in the environment ({variable})."
        case "keyring":
            return f"The key of {name} is found in the system's keyring."
        case _:
            return f"There is no key of {name}: {keys.advice(name)}."
