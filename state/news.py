"""What hosts say by themselves (webhooks): that there is something to ask for, and that a request is theirs.

The result that such a message carries is never used. What it proves is that the host has the request, under the mark
that was sent along: that settles a purchase of which this was not known.
"""

from __future__ import annotations

from typing import Any

from loradeck.state import runs, spend
from loradeck.state.errors import Disputed
from loradeck.state.files import now
from loradeck.state.records import NewsRecord, PurchaseRecord
from loradeck.state.store import Store


def marked(store: Store, provider: str, mark: str) -> PurchaseRecord | None:
    """The purchase that went to a host under that mark, or None."""
    bought = store.find(PurchaseRecord, mark)
    return bought if bought is not None and bought.provider == provider else None


def hear(store: Store, provider: str, mark: str, provider_id: str, handle: dict[str, Any]) -> PurchaseRecord | None:
    """Write down that a host sent word of a request; gives its purchase as it stands then.

    A purchase without an id becomes submitted with this one, whoever owns the run. What comes twice, or after the end,
    changes nothing of the purchase. None where no purchase has that mark; raises Disputed. Nothing is written then.
    """
    with store.transaction():
        bought = marked(store, provider, mark)
        if bought is None or bought.state == "settled":
            return bought
        if bought.provider_id is None:
            bought = _taken(store, bought, provider_id, handle)
        if bought.provider_id != provider_id:
            raise Disputed(f"{mark} is the request {bought.provider_id} of {provider}, and not {provider_id}.")
        store.add(NewsRecord(provider, provider_id, mark, now()))
        return bought


def received_at(store: Store, provider: str, provider_id: str) -> str | None:
    """When the newest word of a request came (ISO 8601), or None."""
    found = store.where(NewsRecord, "provider = ? and provider_id = ?", [provider, provider_id], limit=1)
    return found[0].received_at if found else None


def _taken(store: Store, bought: PurchaseRecord, provider_id: str, handle: dict[str, Any]) -> PurchaseRecord:
    """The host has it: no doubt is left, nor was nothing bought."""
    if spend.holds(store, bought.provider, provider_id):
        raise Disputed(f"{provider_id} of {bought.provider} is another purchase than {bought.id}.")
    if bought.state != "intended":
        runs.add_event(
            store,
            bought.run_id,
            f"{bought.provider} has the request after all, by its own word ({provider_id}): it is paid for, and a run "
            "that has ended fetches it when it is resumed.",
        )
    told = {"state": "submitted", "provider_id": provider_id, "handle": handle, "why": ""}
    return spend.change(store, bought.run_id, bought.item, **told)
