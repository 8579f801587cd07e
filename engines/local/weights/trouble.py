"""What goes wrong at the hub, as sentences that say what to do.

The hub's own errors are not chained: they hold the request, and the request holds the token.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from loradeck.engines.errors import NotInstalled
from loradeck.engines.local.weights import sources
from loradeck.engines.local.weights.sources import Source

UNAUTHORISED, FORBIDDEN = 401, 403

KEPT = "files that are whole are kept"

FULL_IN_RUST = f"os error {errno.ENOSPC}"
"""How Rust's standard library ends the sentence about a full disk."""


@contextmanager
def explained(source: Source, has_token: bool) -> Iterator[None]:
    """Turn what huggingface_hub raises into NotInstalled."""
    from huggingface_hub import errors

    network = errors.HfHubHTTPError.__bases__[0]  # the HTTP library's own base class, whichever it is
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise NotInstalled(_refused(source, error, has_token)) from None
    except errors.OfflineModeIsEnabled:
        raise NotInstalled(
            f"{source.title} is not on this machine, and HF_HUB_OFFLINE forbids to get it; unset HF_HUB_OFFLINE and "
            f"call again, or set {sources.variable(source.name)} to weights that are here."
        ) from None
    except errors.LocalEntryNotFoundError:
        raise NotInstalled(_unreachable(source)) from None
    except OSError as error:
        raise NotInstalled(_unwritten(source, error)) from None
    except network:  # type: ignore[misc]
        raise NotInstalled(_unreachable(source)) from None
    except RuntimeError as error:  # all that hf_xet, which gets large files, says of a network or a disk
        raise NotInstalled(_full(source) if FULL_IN_RUST in str(error) else _unreachable(source)) from None


def _refused(source: Source, error: Exception, has_token: bool) -> str:
    """The sentence for an answer of the hub that is an error."""
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return _gated(source, has_token)
    if has_token and status == UNAUTHORISED:
        return (
            f"The hub does not know the token that it was sent for {source.title}: make a new one at {sources.TOKENS}, "
            "set HF_TOKEN to it or run `hf auth login`, then call again."
        )
    if has_token and status == FORBIDDEN:
        return (
            f"The hub's token may not read {source.title}: at {sources.TOKENS} allow it to read gated repositories, "
            "then call again."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"The hub has no repository {source.repository} that it shows; look whether {source.page} opens in a "
            f"browser, or set {sources.variable(source.name)} to weights that are here."
        )
    return f"The hub answered {status} for {source.title}; call again in some minutes: {KEPT}."


def _gated(source: Source, has_token: bool) -> str:
    """The sentence for a repository whose licence must be accepted first."""
    if not has_token:
        return f"{source.title} is gated: {sources.how_to_be_let_in(source)}, then call again."
    return (
        f"{source.title} is gated, and its licence was not accepted by the owner of the token: accept it at "
        f"{source.page} (some are looked at by a person first), then call again."
    )


def _unreachable(source: Source) -> str:
    return (
        f"The hub could not be reached, or the connection broke, while getting {source.title}; look at the network and "
        f"call again: {KEPT}."
    )


def _full(source: Source) -> str:
    return (
        f"The disk became full while getting {source.title}; free some room, or set HF_HOME to a folder on a larger "
        f"disk, and call again: {KEPT}."
    )


def _unwritten(source: Source, error: OSError) -> str:
    """The sentence for a file that cannot be kept, or that arrived with another length than announced."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(source)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"The cache of huggingface_hub may not be written, so {source.title} cannot be kept; make it writable, or "
            "set HF_HOME to a folder that is, and call again."
        )
    return _unreachable(source)
