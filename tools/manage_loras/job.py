"""What a worker does of the library: fetch and import a file, export a large one, publish."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

from loradeck.engines import hub
from loradeck.engines.errors import BadWeights, NotInstalled
from loradeck.tools.contracts import LorasResult, RunKind
from loradeck.tools.errors import BadArgument
from loradeck.tools.library import find_lora
from loradeck.tools.manage_loras.bringing import Wanted, bring
from loradeck.tools.manage_loras.exporting import export
from loradeck.tools.manage_loras.fetching import Fetching
from loradeck.tools.manage_loras.publishing import publish
from loradeck.tools.manage_loras.sources import plain, split, take
from loradeck.tools.workbench import Engines, Job

CAME = "came"
"""The folder of a run in which a download lies until it is in the library."""
LOOK_SECONDS = 1.0


def run(job: Job) -> LorasResult:
    """Do an import or an export. Started again, it goes on with what is there."""
    return _import(job) if job.run.kind == RunKind.IMPORT else _export(job)


def licence(engines: Engines, base_model: str) -> str:
    """What the makers of a base allow, as the first engine that knows it says."""
    for name in engines.names():
        try:
            base = engines.open(name).capabilities.base(base_model)
        except NotInstalled:
            continue
        if base is not None and base.licence:
            return base.licence
    return ""


def _import(job: Job) -> LorasResult:
    spec = job.run.spec
    wanted = Wanted(**spec["wanted"])
    if path := spec.get("path"):
        job.reporter.progress(0, 1, "Reading the file.")
        return bring(job.store, Path(path), wanted, f"the file {Path(path).name}", Path(path).parent.name)
    folder = job.store.workspace.run(job.run.id) / CAME
    folder.mkdir(parents=True, exist_ok=True)
    file, source, named_by = _fetched(job, take(folder.parent, spec["url"]), folder)
    try:
        result = bring(job.store, file, wanted, source, named_by)
    except BadWeights:  # fetched anew by the next call; what is only asked for (a base) keeps the file
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return result


def _fetched(job: Job, url: str, folder: Path) -> tuple[Path, str, str]:
    """The file behind an address or a hub name, what to call its source, and what its repository is called."""
    looked = -math.inf

    def tell(done: int, of: int) -> None:
        """Once a second: each look at whether to stop is a look into the store."""
        nonlocal looked
        if time.monotonic() - looked >= LOOK_SECONDS:
            looked = time.monotonic()
            job.reporter.raise_if_cancelled()
            job.reporter.progress(done // 2**20, max(1, of // 2**20), "Fetching the file (MB).")

    named = split(url)
    if named is None:
        file = Fetching(url, folder, tell).whole()
        return file, plain(url), ""
    repository, name = named
    chosen = name or _only(repository, list(hub.seen(repository).sizes))
    file = hub.fetch(repository, chosen, folder, tell)
    return file, f"{repository}:{chosen} at the hub", repository.partition("/")[2]


def _only(repository: str, names: list[str]) -> str:
    """The one LoRA of a repository. Raises BadArgument where there are several, or none."""
    if len(names) == 1:
        return names[0]
    if not names:
        raise BadArgument(f"{repository} holds no .safetensors file; only such files are taken.")
    asked = " or ".join(f'url="{repository}:{name}"' for name in sorted(names)[:6])
    raise BadArgument(f"{repository} holds {len(names)} .safetensors files; say which: {asked}.")


def _export(job: Job) -> LorasResult:
    spec = job.run.spec
    lora = find_lora(job.store, spec["lora_id"])
    allowed = licence(job.engines, lora.base_model)
    job.reporter.progress(0, 1, "Writing the files.")
    if repository := spec.get("repository"):
        folder = job.store.workspace.run(job.run.id) / "repository"
        return publish(job.store, lora, repository, folder, allowed, job.reporter.raise_if_cancelled)
    return export(job.store, lora, Path(spec["folder"]), spec["format"], allowed)
