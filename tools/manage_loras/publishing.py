"""A LoRA goes to a private repository at the Hugging Face hub, once a person agreed, with a card of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loradeck.engines import hub
from loradeck.engines.errors import Cancelled, NotInstalled
from loradeck.state.files import new_id, now, sha256_json, told, write_text
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
"""In the `meta` of a LoRA, by repository: how far the `state` of consent is, to `what` and since when (`at`).

What is there is `sent` (when), `address` (of the commit) and `files` (what they hold); a later consent keeps it.
"""
OFFERED, AGREED, STOPPED, DONE = "offered", "agreed", "stopped", "done"
OFFER_LASTS = timedelta(hours=1)


def agreed(
    bench: Workbench, lora: LoraRecord, repository: str, licence: str, offer_id: str | None
) -> LorasResult | None:
    """None once a person agreed to send it; until then the answer that says what would be sent.

    A client that can ask asks the person. One that cannot is answered with an offer, and agrees by the same call with
    the offer's id within the hour. What was agreed to is not asked again while file and card stay the same, unless the
    person stopped it.
    Raises BadArgument, NotInstalled without a token, ProviderError, and Refused where rights or the person say no.
    """
    if not hub.REPOSITORY.fullmatch(repository):
        raise BadArgument('publish needs name="owner/name", the repository at the hub; a new one is made private.')
    if not hub.has_token():
        raise NotInstalled(hub.NO_TOKEN)
    require_whole(lora)
    may_be_published(bench.store, lora)
    what = _what(bench.store, lora, licence)
    before = _standing(lora, repository, what)
    if before.get("state") == DONE and hub.holds(repository, before["files"]):
        return _done_before(lora, repository, before)
    if before.get("state") == AGREED:
        return None
    said = f"{called(lora)} with its card and sample pictures to the private repository {repository} at the hub"
    answer = bench.ask(f"This sends {said}. Send it?")
    if answer is False:
        raise Refused(f"The person said no to publishing {called(lora)}; nothing was sent.")
    if answer or _taken(before, offer_id):
        _note(bench.store, lora, repository, state=AGREED, what=what)
        return None
    offer = new_id("offer")
    _note(bench.store, lora, repository, state=OFFERED, what=what, offer_id=offer)
    return LorasResult(
        summary=f"Nothing was sent yet. Publishing sends {said}, where its owners alone see it.",
        next_step="Ask the person; if they agree within the hour, "
        f'manage_loras(action="publish", lora_id="{lora.id}", name="{repository}", offer_id="{offer}").',
        loras=[lora_row(lora)],
    )


def _taken(before: dict[str, Any], offer_id: str | None) -> bool:
    """True where the offer of this id stands and is not too old."""
    if before.get("state") != OFFERED or offer_id is None or before["offer_id"] != offer_id.strip():
        return False
    return datetime.now(UTC) - datetime.fromisoformat(before["at"]) <= OFFER_LASTS


def publish(
    store: Store, lora: LoraRecord, repository: str, folder: Path, licence: str, check: Callable[[], None]
) -> LorasResult:
    """Gather the repository's files in a folder, and send them; `check` raises where it is to stop.

    Raises Refused where it is not what was agreed to any more, and what `hub.publish` and `exporting.write` do.
    """
    require_whole(lora)
    may_be_published(store, lora)
    what = _what(store, lora, licence)
    if _standing(lora, repository, what).get("state") not in {AGREED, DONE}:
        raise Refused(
            f"{called(lora)} or its card changed since the person agreed; nothing was sent: publish it again."
        )
    if folder.exists():
        shutil.rmtree(folder)
    files = gather(store, lora, folder, licence)
    own = lora.meta.get(PUBLISHED, {}).get(repository, {}).get("files", {})
    try:
        done = hub.publish(repository, folder, f"{lora.name} v{lora.version}", own, check)
    except Cancelled:
        _note(store, lora, repository, state=STOPPED, what=what)
        raise
    there = {"sent": now(), "address": done.address, "files": done.contents}
    _note(store, lora, repository, state=DONE, what=what, **there)
    return LorasResult(
        summary=f"{called(lora)} is in the private repository {repository}, with a card and {len(files)} files.",
        next_step=f"https://huggingface.co/{repository} shows it to its owners; who else may see it is set there.",
        loras=[lora_row(lora)],
        files=files,
        told=[f"Commit: {done.address}"],
    )


def gather(store: Store, lora: LoraRecord, folder: Path, licence: str) -> list[Artefact]:
    """The weights for diffusers and ComfyUI, sample pictures and the card, as they go to the hub."""
    write(lora, [replace(one, out=folder / one.out.name) for one in targets(lora, folder, BOTH)])
    gallery = model_card.samples(store, lora)
    for sample in gallery:
        with told(folder):
            (folder / sample.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sample.path, folder / sample.name)
    write_text(folder / "README.md", _card(store, lora, licence))
    return [
        Artefact(kind="repository", path=str(path), bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _card(store: Store, lora: LoraRecord, licence: str) -> str:
    names = [one.out.name for one in targets(lora, Path(), BOTH)]
    return model_card.text(store, lora, licence, model_card.samples(store, lora), names)


def _what(store: Store, lora: LoraRecord, licence: str) -> str:
    """What is agreed to and sent, as one hash: the file, and all that its card says."""
    return sha256_json({"file": lora.sha256, "card": _card(store, lora, licence)})


def _standing(lora: LoraRecord, repository: str, what: str) -> dict[str, Any]:
    """What was said of sending this very file and card there."""
    noted: dict[str, Any] = lora.meta.get(PUBLISHED, {}).get(repository, {})
    return noted if noted.get("what") == what else {}


def _note(store: Store, lora: LoraRecord, repository: str, **said: Any) -> None:
    with store.transaction():
        meta = find_lora(store, lora.id).meta
        noted = {**meta.get(PUBLISHED, {}).get(repository, {}), **said, "at": now()}
        store.change(LoraRecord, lora.id, meta={**meta, PUBLISHED: {**meta.get(PUBLISHED, {}), repository: noted}})


def _done_before(lora: LoraRecord, repository: str, noted: dict[str, Any]) -> LorasResult:
    return LorasResult(
        summary=f"{called(lora)} is in {repository} since {noted['sent'][:10]}; nothing was sent again.",
        next_step=f"https://huggingface.co/{repository} shows it to its owners.",
        loras=[lora_row(lora)],
        told=[f"Commit: {noted['address']}"],
    )
