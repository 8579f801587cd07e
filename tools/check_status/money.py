"""What is known about the money of a run, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.state import spend
from loradeck.state.records import PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import SpendState

NOTHING = "nothing was bought"
"""How an engine's error says so already."""


def spent(store: Store, run: RunRecord) -> str:
    """The sentence; empty for a run that costs nothing, and for what its error says already."""
    if run.spend_state == SpendState.NONE:
        return ""
    bought = [one for one in spend.purchases(store, run.id) if one.state != "void"]
    if not bought:
        return "" if NOTHING in (run.error or "").lower() else "Nothing was bought so far, and nothing spent."
    cost = spend.used_by(one for one in bought if one.state == "settled")
    clauses = [_settled(bought, cost), _under_way(bought), _in_doubt(bought)]
    return " ".join(clause for clause in clauses if clause and clause.rstrip(".") not in (run.error or ""))


def _settled(bought: Sequence[PurchaseRecord], cost: float) -> str:
    over = [one for one in bought if one.state == "settled"]
    if not over:
        return ""
    guessed = " at most, since the host does not tell all" if any(one.usd is None for one in over) else ""
    return (
        f"It cost {cost:.2f} USD so far{guessed}." if len(over) < len(bought) else f"It cost {cost:.2f} USD{guessed}."
    )


def _under_way(bought: Sequence[PurchaseRecord]) -> str:
    going = [one for one in bought if one.state in {"intended", "submitted"}]
    if not going:
        return ""
    most = spend.used_by(going)
    are = "is" if len(going) == 1 else "are"
    return f"{_requests(going)} at {_hosts(going)} {are} under way and can cost up to {most:.2f} USD."


def _in_doubt(bought: Sequence[PurchaseRecord]) -> str:
    unknown = [one for one in bought if one.state == "unknown"]
    if not unknown:
        return ""
    return (
        f"Whether {_requests(unknown)} reached {_hosts(unknown)} is not known; up to {spend.used_by(unknown):.2f} "
        "USD may have been spent, and nothing is sent again by itself."
    )


def _hosts(bought: Sequence[PurchaseRecord]) -> str:
    return " and ".join(dict.fromkeys(one.provider for one in bought))


def _requests(bought: Sequence[PurchaseRecord]) -> str:
    named = ", ".join(one.provider_id or f"{one.item}, whose id is not known" for one in bought[:3])
    count = "1 request" if len(bought) == 1 else f"{len(bought)} requests"
    return f"{count} ({named}{', ...' if len(bought) > 3 else ''})"
