"""A LoRA goes to a private repository at the Hugging Face hub, once a person agreed, with a card of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from loradeck.engines import hub
from loradeck.engines.errors import NotInstalled
from loradeck.state.files import now, told, write_text
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact, LorasResult
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.leaving import may_be_published
from loradeck.tools.library import called, find_lora, lora_row, require_whole
from loradeck.tools.manage_loras import model_card
from loradeck.tools.manage_loras.exporting import BOTH, targets, write
from loradeck.tools.workbench import Workbench

PUBLISHED = "published"
"""In the `meta` of a LoRA, by repository: what was offered or agreed to, and the commit that holds it."""
OFFERED, AGREED, DONE = "offered", "agreed", "done"


def agreed(bench: Workbench, lora: LoraRecord, repository: str) -> LorasResult | None:
    """None once a person agreed to send it; until then the answer that says what would be sent.

    A client that can ask asks the person. One that cannot is answered with the offer, and agrees by the same call made
    again. What was agreed to is not asked again while the file stays the same.
    Raises BadArgument, NotInstalled without a token, and Refused where rights or the person say no.
    """
    if not hub.REPOSITORY.fullmatch(repository):
        raise BadArgument('publish needs name="owner/name", the repository at the hub; a new one is made private.')
    if not hub.has_token():
        raise NotInstalled(hub.NO_TOKEN)
    require_whole(lora)
    may_be_published(bench.store, lora)
    before = _standing(lora, repository)
    if before.get("state") == DONE:
        return _done_before(lora, repository, before)
    if before.get("state") == AGREED:
        return None
    what = f"{called(lora)} with its card and sample pictures to the private repository {repository} at the hub"
    answer = True if before.get("state") == OFFERED else bench.ask(f"This sends {what}. Send it?")
    if answer is False:
        raise Refused(f"The person said no to publishing {called(lora)}; nothing was sent.")
    _note(bench.store, lora, repository, AGREED if answer else OFFERED)
    if answer:
        return None
    return LorasResult(
        summary=f"Nothing was sent yet. Publishing sends {what}, where its owners alone see it.",
        next_step="Ask the person; if they agree, the same call once more: "
        f'manage_loras(action="publish", lora_id="{lora.id}", name="{repository}").',
        loras=[lora_row(lora)],
    )


def publish(store: Store, lora: LoraRecord, repository: str, folder: Path, licence: str) -> LorasResult:
    """Gather the repository's files in a folder, and send them. Raises what `hub.publish` and `exporting.write` do."""
    require_whole(lora)
    may_be_published(store, lora)
    if folder.exists():
        shutil.rmtree(folder)
    files = gather(store, lora, folder, licence)
    address = hub.publish(repository, folder, f"{lora.name} v{lora.version}")
    _note(store, lora, repository, DONE, address)
    return LorasResult(
        summary=f"{called(lora)} is in the private repository {repository}, with a card and {len(files)} files.",
        next_step=f"https://huggingface.co/{repository} shows it to its owners; who else may see it is set there.",
        loras=[lora_row(lora)],
        files=files,
        told=[f"Commit: {address}"],
    )


def gather(store: Store, lora: LoraRecord, folder: Path, licence: str) -> list[Artefact]:
    """The weights for diffusers and ComfyUI, sample pictures and the card, as they go to the hub."""
    wanted = [type(one)(one.program, one.source, folder / one.out.name) for one in targets(lora, folder, BOTH)]
    done, _ = write(lora, wanted)
    gallery = model_card.samples(store, lora)
    for sample in gallery:
        with told(folder):
            (folder / sample.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sample.path, folder / sample.name)
    names = [Path(path).name for path in done]
    write_text(folder / "README.md", model_card.text(store, lora, licence, gallery, names))
    return [
        Artefact(kind="repository", path=str(path), bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _standing(lora: LoraRecord, repository: str) -> dict[str, Any]:
    """What was said of sending this very file there."""
    noted: dict[str, Any] = lora.meta.get(PUBLISHED, {}).get(repository, {})
    return noted if noted.get("sha256") == lora.sha256 else {}


def _note(store: Store, lora: LoraRecord, repository: str, state: str, address: str = "") -> None:
    noted = {"state": state, "sha256": lora.sha256, "at": now(), "address": address}
    with store.transaction():
        meta = find_lora(store, lora.id).meta
        store.change(LoraRecord, lora.id, meta={**meta, PUBLISHED: {**meta.get(PUBLISHED, {}), repository: noted}})


def _done_before(lora: LoraRecord, repository: str, noted: dict[str, Any]) -> LorasResult:
    return LorasResult(
        summary=f"{called(lora)} is in {repository} since {noted['at'][:10]}; nothing was sent again.",
        next_step=f"https://huggingface.co/{repository} shows it to its owners.",
        loras=[lora_row(lora)],
        told=[f"Commit: {noted['address']}"],
    )
