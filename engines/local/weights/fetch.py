"""Getting a base's weights from the hub into its cache, where `find` finds them.

Only what the pipeline opens is got: the files of its parts, as .safetensors, never a pickle, and no second copy of the
weights at the repository's root. A connection that breaks is taken up again within a file; after a stop, files that are
whole are kept and the rest is got again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from loradeck.engines.errors import NotInstalled
from loradeck.engines.hub_traffic import bar, quiet
from loradeck.engines.local import layout
from loradeck.engines.local.weights import sources, trouble
from loradeck.engines.local.weights.find import TRANSFORMER, Found
from loradeck.engines.local.weights.places import Places, usual
from loradeck.engines.local.weights.sources import Source
from loradeck.packages import how_to_install

Tell = Callable[[int, int], None]
"""Hears how many bytes are there, and of how many, from the threads that get them. What it raises (Cancelled) stops
the download."""

WEIGHTS = re.compile(r"(model|diffusion_pytorch_model)(-\d+-of-\d+)?\.safetensors")
"""Weights in their own precision: not the ``.fp16`` and other variants beside them."""
SMALL = (".json", ".txt", ".model", ".jinja")
"""Configs, vocabularies, sentencepiece models and chat templates."""

SPARE = 1_000_000_000
"""Bytes that stay free on the disk."""

AT_ONCE = 4


def fetch(
    source: Source,
    tell: Tell,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    without_transformer: bool = False,
    places: Places | None = None,
) -> Found:
    """The base in the hub's cache, got where it is not whole there. Needs no network where it is.

    Args:
        source: what to get.
        tell: hears the progress.
        endpoint: another hub than huggingface.co.
        token: instead of HF_TOKEN and what `hf auth login` keeps.
        without_transformer: only the rest of the pipeline, for a transformer that is in one file.
        places: instead of this process's.

    Raises:
        NotInstalled: it cannot be got; the sentence says what to do.
    """
    cache = (places or usual()).cache
    if cache is None:
        raise NotInstalled(f"Getting weights needs huggingface_hub: install with {how_to_install(['diffusers'])}.")
    elsewhere = (TRANSFORMER,) if without_transformer else ()
    for snapshot in Places({}, Path(), cache).snapshots(source.repository):
        if not layout.absent(snapshot, elsewhere):
            return Found(snapshot, "cache", revision=snapshot.name)
    return _Download(source, cache, endpoint, token, tell).run(elsewhere)


class _Download:
    """One download of one base."""

    def __init__(self, source: Source, cache: Path, endpoint: str | None, token: str | None, tell: Tell) -> None:
        from huggingface_hub import get_token

        self._source, self._cache, self._tell = source, cache, tell
        self._hub: dict[str, Any] = {"endpoint": endpoint, "token": token}
        self._has_token = bool(token or get_token())

    def run(self, elsewhere: Collection[str]) -> Found:
        """Look, weigh, get."""
        with trouble.explained(self._source, self._has_token), quiet():
            sizes = self._sizes()
            wanted = {name: sizes[name] for name in self._wanted(sizes, elsewhere)}
            missing = self._missing(wanted)
            self._require_room(sum(missing.values()))
            folder = self._get(wanted, sum(wanted.values()) - sum(missing.values()))
        lacking = layout.absent(folder, elsewhere)
        if lacking:
            raise NotInstalled(
                f"{self._source.repository} came without {', '.join(lacking)}, which {self._source.title} needs as "
                f".safetensors; set {sources.variable(self._source.name)} to weights that have them."
            )
        return Found(folder, "cache", revision=folder.name)

    def _sizes(self) -> Mapping[str, int]:
        """Bytes of every file of the repository by name."""
        from huggingface_hub import HfApi

        told = HfApi(**self._hub).model_info(self._source.repository, files_metadata=True)
        return {file.rfilename: file.size or 0 for file in told.siblings or ()}

    def _wanted(self, names: Collection[str], elsewhere: Collection[str]) -> list[str]:
        """The files to get: the index, and what its parts are opened from."""
        from huggingface_hub import hf_hub_download

        if layout.INDEX not in names:
            return [layout.INDEX]
        index = hf_hub_download(self._source.repository, layout.INDEX, cache_dir=self._cache, **self._hub)
        named = layout.parts(Path(index).parent)
        return [layout.INDEX, *(name for name in names if _is_opened(name, named, elsewhere))]

    def _missing(self, wanted: Mapping[str, int]) -> dict[str, int]:
        """What of the wanted is not in the cache yet."""
        from huggingface_hub import try_to_load_from_cache

        repository = self._source.repository
        return {
            name: size
            for name, size in wanted.items()
            if not isinstance(try_to_load_from_cache(repository, name, cache_dir=self._cache), str)
        }

    def _require_room(self, needed: int) -> None:
        """Raise NotInstalled when the disk of the cache has no room for so many bytes."""
        there = next(path for path in (self._cache, *self._cache.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < needed + SPARE:
            raise NotInstalled(
                f"{self._source.title} needs {_gigabytes(needed)} more, and the disk of huggingface_hub's cache has "
                f"{_gigabytes(free)} free; free some room, or set HF_HOME to a folder on a larger disk, and call again."
            )

    def _get(self, wanted: Mapping[str, int], there: int) -> Path:
        """Download; the snapshot's folder."""
        from huggingface_hub import snapshot_download

        of = sum(wanted.values())
        self._tell(there, of)
        snapshot = snapshot_download(
            self._source.repository,
            cache_dir=self._cache,
            allow_patterns=list(wanted),
            tqdm_class=bar(lambda got: self._tell(min(of, there + got), of)),
            max_workers=AT_ONCE,
            **self._hub,
        )
        self._tell(of, of)
        return Path(snapshot)


def _is_opened(name: str, parts: Collection[str], elsewhere: Collection[str]) -> bool:
    """A file of the repository that diffusers or transformers opens."""
    part, _, file = name.partition("/")
    if part not in parts or "/" in file:
        return False
    return file.endswith(SMALL) or (part not in elsewhere and WEIGHTS.fullmatch(file) is not None)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
