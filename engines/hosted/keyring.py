"""The keyring of the operating system, by the optional package `keyring`: where a key lies in no file of ours."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loradeck.engines.errors import CannotWrite, NotInstalled

SERVICE = "loradeck"
"""The service that keys stand under; the user name there is the engine's name."""
NO_RING = (
    "This machine has no keyring that is open ({}): unlock it, or start one (GNOME Keyring, KWallet, the macOS "
    "keychain and Windows are known), or set {} in the environment instead."
)


def read(name: str) -> str:
    """The key that is kept for a service; "" where there is none, or no keyring, which is no error."""
    try:
        keyring, errors = _package()
    except NotInstalled:
        return ""
    try:
        return keyring.get_password(SERVICE, name) or ""
    except errors.KeyringError:
        return ""


def keep(name: str, secret: str, variable: str) -> None:
    """Keep a key, and see that it is there. `variable` is what can be set instead.

    Raises NotInstalled without the package, CannotWrite where the machine has no keyring that keeps it.
    """
    with _ring(variable) as keyring:
        keyring.set_password(SERVICE, name, secret)
        if keyring.get_password(SERVICE, name) != secret:
            raise CannotWrite(NO_RING.format("it kept nothing", variable))


def forget(name: str, variable: str) -> bool:
    """Remove a key; false where none was there. Raises as `keep`."""
    with _ring(variable) as keyring:
        if keyring.get_password(SERVICE, name) is None:
            return False
        keyring.delete_password(SERVICE, name)
        return True


@contextmanager
def _ring(variable: str) -> Iterator[Any]:
    keyring, errors = _package()
    try:
        yield keyring
    except errors.KeyringError as error:
        raise CannotWrite(NO_RING.format(type(error).__name__, variable)) from None


def _package() -> tuple[Any, Any]:
    try:
        return importlib.import_module("keyring"), importlib.import_module("keyring.errors")
    except ImportError:
        from loradeck import packages

        raise NotInstalled(
            f"The package keyring is not installed; install it with {packages.how_to_install(['keyring'])}."
        ) from None
