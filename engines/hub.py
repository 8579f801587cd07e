"""A LoRA's repository at the Hugging Face hub: its files seen and got, and a private one made and filled.

HF_ENDPOINT names another hub and HF_TOKEN who asks; both are huggingface_hub's own. What goes wrong there is told
without its errors, which hold the request and so the token.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loradeck.engines import files
from loradeck.engines.errors import NotInstalled, ProviderError
from loradeck.engines.hub_traffic import bar, quiet
from loradeck.engines.lora_origin import MOST_BYTES
from loradeck.packages import how_to_install

TOKENS = "https://huggingface.co/settings/tokens"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
"""How the hub names repositories: owner and name."""
SUFFIX = ".safetensors"
SPARE = 500_000_000
"""Bytes that stay free on the disk."""
NO_TOKEN = (
    f"Publishing needs a token of the hub that may write: make one at {TOKENS} and set HF_TOKEN to it (or run `hf auth "
    "login`), then call again."
)


@dataclass(frozen=True)
class Held:
    """The .safetensors files of a repository with their bytes, and the commit that they are of."""

    sizes: dict[str, int]
    commit: str


Contents = Mapping[str, list[str]]
"""By a file's name in the repository: how the hub tells what it holds, the one way or the other (`_marks`)."""


@dataclass(frozen=True)
class Sent:
    """A commit's address, and what the files that it sent hold."""

    address: str
    contents: Contents


def has_token() -> bool:
    """True where huggingface_hub knows who asks. Raises NotInstalled."""
    with _installed():
        from huggingface_hub import get_token

    return bool(get_token())


def seen(repository: str) -> Held:
    """What a repository holds. Raises NotInstalled, ProviderError."""
    with _explained(repository, "read"):
        told = _api().model_info(repository, files_metadata=True)
    sizes = {one.rfilename: one.size or 0 for one in told.siblings or () if one.rfilename.endswith(SUFFIX)}
    return Held(sizes, told.sha or "main")


def fetch(repository: str, file: str, folder: Path, tell: Callable[[int, int], None]) -> Path:
    """A file of a repository, got into a folder; what an earlier try left there is gone on from.

    `tell` hears how many bytes are there, of how many; what it raises (Cancelled) stops the download.
    Raises NotInstalled, ProviderError, NoRoom and CannotWrite.
    """
    held = seen(repository)
    size = held.sizes.get(file, 0)
    if file not in held.sizes:
        raise ProviderError(f"{repository} has no file {file}; it has {', '.join(sorted(held.sizes)) or 'no LoRA'}.")
    if size > MOST_BYTES:
        raise ProviderError(f"{file} in {repository} is larger than {MOST_BYTES // 2**30} GiB, which no LoRA is.")
    with files.writing(folder / Path(file).name), _explained(repository, "read"), quiet():
        if shutil.disk_usage(folder).free < size + SPARE:
            raise ProviderError(f"{file} takes {size / 1e9:.1f} GB, and the workspace's disk has no room; free some.")
        from huggingface_hub import hf_hub_download

        with _full_told():
            got = hf_hub_download(
                repository,
                file,
                revision=held.commit,
                local_dir=folder,
                endpoint=_endpoint(),
                tqdm_class=bar(lambda done: tell(min(size, done), size)),
            )
    return Path(got)


@contextmanager
def _full_told() -> Iterator[None]:
    """Let a full disk be an OSError where hf_xet says so as a RuntimeError, as all that goes wrong in it."""
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except RuntimeError as error:
        if full in str(error):
            raise OSError(errno.ENOSPC, full) from None
        raise


def holds(repository: str, contents: Contents) -> bool:
    """True where a repository is there and has these files as they were sent. Raises NotInstalled, ProviderError."""
    with _explained(repository, "read"):
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            there = _there(_api().model_info(repository, files_metadata=True))
        except RepositoryNotFoundError:
            return False
    return all(there.get(name) in marks for name, marks in contents.items())


def publish(repository: str, folder: Path, message: str, own: Contents, check: Callable[[], None]) -> Sent:
    """Make a private repository where there is none, and commit a folder's files to it.

    `own` is what was sent there before and may be replaced; `check` raises where it is to stop (Cancelled). The same
    files again make no commit. Raises NotInstalled, and ProviderError for a repository that others can see, or that
    has other files in the place of these.
    """
    if not has_token():
        raise NotInstalled(NO_TOKEN)
    sent = {path.relative_to(folder).as_posix(): _marks(path) for path in folder.rglob("*") if path.is_file()}
    check()
    with _explained(repository, "write"), quiet():
        api = _api()
        api.create_repo(repository, private=True, exist_ok=True)
        found = api.model_info(repository, files_metadata=True)
        _refuse(repository, found, sent, own)
        check()
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message=message, parent_commit=found.sha
        )
    return Sent(str(done.commit_url), sent)


def _refuse(repository: str, found: Any, sent: Contents, own: Contents) -> None:
    """Raises ProviderError where a repository is seen by everybody, or others' files would be replaced."""
    if not found.private:
        raise ProviderError(
            f"{repository} is there already and can be seen by everybody; nothing was sent: make it private at the "
            "hub, or give another name."
        )
    there = _there(found)
    others = [name for name in sent if name in there and there[name] not in {*sent[name], *own.get(name, ())}]
    if others:
        raise ProviderError(
            f"{repository} has {' and '.join(sorted(others))} already, not as this LoRA was published there, so that "
            "nothing was sent: give another name, or delete at the hub what may go."
        )


def _there(found: Any) -> dict[str, str]:
    """By name, how the hub tells what each file of a repository holds."""
    return {one.rfilename: one.lfs.sha256 if one.lfs else str(one.blob_id) for one in found.siblings or ()}


def _marks(path: Path) -> list[str]:
    """How the hub may tell what a file holds: SHA-256 of one that it keeps as large, git's id of any other."""
    whole, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            whole.update(block)
            blob.update(block)
    return [whole.hexdigest(), blob.hexdigest()]


def _api() -> Any:
    with _installed():
        from huggingface_hub import HfApi

    return HfApi(endpoint=_endpoint())


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise NotInstalled(
            f"The hub is spoken to by huggingface_hub: install with {how_to_install(['diffusers'])}."
        ) from error


@contextmanager
def _explained(repository: str, what: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence."""
    with _installed():
        from huggingface_hub import errors

    network = errors.HfHubHTTPError.__bases__[0]  # the HTTP library's own base class, whichever it is
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise ProviderError(_refused(repository, error, what)) from None
    except errors.OfflineModeIsEnabled:
        raise ProviderError(
            "HF_HUB_OFFLINE forbids to go to the hub; unset it and call again, or give a path."
        ) from None
    except errors.HFValidationError:
        raise ProviderError(f"The hub knows no name like {repository!r}; give it as owner/name.") from None
    except (errors.LocalEntryNotFoundError, RuntimeError):  # hf_xet says all of it with RuntimeError
        raise ProviderError(_unreachable(repository)) from None
    except network:  # type: ignore[misc]
        raise ProviderError(_unreachable(repository)) from None
    except ValueError:
        raise ProviderError(f"The hub answered for {repository} in a way that cannot be read; call again.") from None


def _unreachable(repository: str) -> str:
    return (
        f"The hub could not be reached, or the connection broke, at {repository}; call again: it goes on from what is "
        "there."
    )


def _refused(repository: str, error: Exception, what: str) -> str:
    """The sentence for an answer of the hub that is an error."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    token = "the token that was sent" if has_token() else "nobody in particular: set HF_TOKEN"
    if isinstance(error, errors.GatedRepoError):
        return f"{repository} is gated, and the hub does not give it to {token}; accept its licence at its page first."
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return f"The hub shows no repository {repository} to {token}; check the name and what the token may {what}."
    if status == 403:
        return f"The hub's token may not {what} {repository}; make one that may at {TOKENS}, then call again."
    return f"The hub answered {status} for {repository}; call again in some minutes."
