"""The ledger: quotes, what was agreed to, every paid request and what it cost. Every call is durable before it returns.

What counts against a limit is what was spent, what is under way at its worst case, and what was agreed to and not
bought yet. Amounts are US dollars.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loradeck.state import runs
from loradeck.state.errors import OverLimit
from loradeck.state.files import SAYABLE, new_id, now
from loradeck.state.records import PurchaseRecord, RunRecord, SpendRecord
from loradeck.state.store import Store

QUOTE_HOURS = 1.0
CENT = 0.005
"""Amounts that differ by less are the same: they are told in cents."""
MARK_LETTERS = 12
COUNTS_SINCE = """accepted_at is not null and (
  accepted_at >= ? or run_id in (select run_id from purchases where created_at >= ?)
  or run_id in (select id from runs where state in ('queued', 'preparing', 'running', 'paused'))
)"""
"""Agreements of runs that spent since a moment, or may spend still."""


@dataclass(frozen=True)
class Limits:
    """The most that may be spent: by one run, on one day (UTC) and in the workspace's whole life; None for no limit."""

    run_usd: float | None = None
    day_usd: float | None = None
    workspace_usd: float | None = None


# --------------------------------------------------------------------------- quotes


def quote(store: Store, *, hours: float = QUOTE_HOURS, **columns: Any) -> SpendRecord:
    """Write down a price that is told now; `columns` are fields of SpendRecord. It is good for an hour, once."""
    expires = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="microseconds")
    record = SpendRecord(id=new_id("quote"), state="quoted", expires_at=expires, **columns)
    store.add(record)
    return record


def find_quote(store: Store, quote_id: str) -> SpendRecord | None:
    """The quote of an id, whatever became of it."""
    return store.find(SpendRecord, quote_id.strip())


def expired(record: SpendRecord) -> bool:
    """True for a quote that nobody agreed to within its hour."""
    return record.accepted_at is None and (record.expires_at or "") <= now()


def accept(store: Store, quote_id: str, run_id: str, max_cost_usd: float, limits: Limits) -> None:
    """Bind a quote to the run that was agreed to, and set its worst case aside, within the caller's transaction.

    Raises OverLimit, KeyError for no such quote, ValueError for one that was used.
    """
    with store.transaction():
        record = store.find(SpendRecord, quote_id)
        if record is None:
            raise KeyError(quote_id)
        if record.run_id is not None:
            raise ValueError(f"{quote_id} was used for {record.run_id}")
        require_room(store, min(record.worst_usd or 0.0, max_cost_usd), limits, instead_of=run_id)
        stamp = now()
        store.change(
            SpendRecord, quote_id, state="intended", run_id=run_id, max_cost_usd=max_cost_usd, accepted_at=stamp
        )
        store.change(RunRecord, run_id, spend_state="quoted")


def of_run(store: Store, run_id: str) -> SpendRecord | None:
    """The newest quote that was agreed to for a run."""
    found = store.where(SpendRecord, "run_id = ?", [run_id], order="accepted_at desc", limit=1)
    return found[0] if found else None


# --------------------------------------------------------------------------- limits


def require_room(store: Store, usd: float, limits: Limits, instead_of: str | None = None) -> None:
    """Raises OverLimit where `usd` more would pass a limit; `instead_of` is a run whose own share `usd` replaces."""
    if limits.run_usd is not None and usd > limits.run_usd + CENT:
        raise OverLimit(
            f"This can cost {usd:.2f} USD, and a run may cost {limits.run_usd:.2f}; nothing was started: ask for less, "
            "or raise LORADECK_MAX_RUN_USD."
        )
    today = now()[:10]
    for limit, since, name, variable in (
        (limits.day_usd, today, "a day (UTC)", "LORADECK_MAX_DAY_USD"),
        (limits.workspace_usd, "", "this workspace", "LORADECK_MAX_TOTAL_USD"),
    ):
        taken = committed(store, since, without=instead_of)
        if limit is not None and taken + usd > limit + CENT:
            raise OverLimit(
                f"This can cost {usd:.2f} USD, {taken:.2f} are spent or set aside, and the limit of {name} is "
                f"{limit:.2f}; nothing was started: wait, ask for less, or raise {variable}."
            )


def committed(store: Store, since: str = "", without: str | None = None) -> float:
    """USD that are spent or set aside since a day (ISO 8601): by runs that were agreed to since then, and by older ones
    what they bought since, and may buy still.
    """
    rows = store.where(SpendRecord, COUNTS_SINCE, [since, since], order="accepted_at")
    agreed = {row.run_id: row for row in rows if row.run_id != without}  # the newest agreement of a run stands
    return sum(_committed_by(store, str(run_id), row, since) for run_id, row in agreed.items())


def _committed_by(store: Store, run_id: str, agreed: SpendRecord, since: str) -> float:
    bought = purchases(store, run_id)
    used, run = used_by(bought), store.find(RunRecord, run_id)
    active = run is not None and run.state in runs.ACTIVE
    aside = max(0.0, min(agreed.worst_usd or 0.0, agreed.max_cost_usd or 0.0) - used) if active else 0.0
    fresh = (agreed.accepted_at or "") >= since
    return aside + (used if fresh else used_by(one for one in bought if one.created_at >= since))


def used_by(bought: Iterable[PurchaseRecord]) -> float:
    """USD of purchases: what they cost where it is known, else their worst case; void ones cost nothing."""
    return sum(one.worst_usd if one.usd is None else one.usd for one in bought if one.state != "void")


# --------------------------------------------------------------------------- purchases


def purchases(store: Store, run_id: str) -> list[PurchaseRecord]:
    """Every paid request of a run, oldest first."""
    return store.where(PurchaseRecord, "run_id = ?", [run_id])


def purchase(store: Store, run_id: str, item: str) -> PurchaseRecord | None:
    """The paid request that a run knows by that name."""
    found = store.where(PurchaseRecord, "run_id = ? and item = ?", [run_id, item], limit=1)
    return found[0] if found else None


def under_way(store: Store, run_id: str) -> bool:
    """True where a host may still be at work for a run, whether the run has ended here or not."""
    return any(one.state in {"intended", "submitted"} for one in purchases(store, run_id))


def holds(store: Store, provider: str, provider_id: str) -> bool:
    """True where a purchase of any run has that id at the provider."""
    return store.count(PurchaseRecord, "provider = ? and provider_id = ?", [provider, provider_id]) > 0


def intend(
    store: Store, run_id: str, token: str, item: str, provider: str, endpoint: str, worst_usd: float, limits: Limits
) -> PurchaseRecord:
    """Write down what is about to be sent; what stands there already and is not void is given back as it is.

    Raises OverLimit where the run was agreed to for less, or a limit would be passed; LeaseLost.
    """
    with runs.owned(store, run_id, token):
        there = purchase(store, run_id, item)
        if there is not None and there.state != "void":
            return there
        _require_agreed(store, run_id, worst_usd, limits)
        store.remove(PurchaseRecord, "run_id = ? and item = ?", [run_id, item])
        mark = "ldk-" + "".join(secrets.choice(SAYABLE) for _ in range(MARK_LETTERS))
        store.add(PurchaseRecord(mark, run_id, item, "intended", provider, endpoint, worst_usd))
        _tell_run(store, run_id)
    return _found(store, run_id, item)


def _require_agreed(store: Store, run_id: str, worst_usd: float, limits: Limits) -> None:
    agreed = of_run(store, run_id)
    if agreed is None or agreed.max_cost_usd is None:
        raise OverLimit(
            f"TRN-SPEND: nobody agreed to a price for {run_id}, so nothing was sent; ask for a quote first."
        )
    used = used_by(purchases(store, run_id))
    if used + worst_usd > agreed.max_cost_usd + CENT:
        raise OverLimit(
            f"{worst_usd:.2f} USD more would pass the {agreed.max_cost_usd:.2f} USD that were agreed to for {run_id} "
            f"({used:.2f} are spent or may be); nothing more was sent: make the same call for a new quote."
        )
    require_room(store, used + worst_usd, Limits(None, limits.day_usd, limits.workspace_usd), instead_of=run_id)


def note(store: Store, run_id: str, token: str, item: str, **values: Any) -> PurchaseRecord:
    """Change a purchase as the run's owner. Raises LeaseLost, KeyError for what was never intended."""
    with runs.owned(store, run_id, token):
        return change(store, run_id, item, **values)


def void(store: Store, run_id: str, token: str, item: str, why: str) -> PurchaseRecord:
    """Nothing was bought; what has an id of the host's stays, as the host says otherwise. Raises as `note`."""
    with runs.owned(store, run_id, token):
        there = _found(store, run_id, item)
        return there if there.provider_id else change(store, run_id, item, state="void", why=why)


def change(store: Store, run_id: str, item: str, **values: Any) -> PurchaseRecord:
    """Change a purchase, whoever owns the run: a message from its host may come when nobody does. Raises KeyError."""
    with store.transaction():
        store.change(PurchaseRecord, _found(store, run_id, item).id, **values)
        _tell_run(store, run_id)
        return _found(store, run_id, item)


def _found(store: Store, run_id: str, item: str) -> PurchaseRecord:
    found = purchase(store, run_id, item)
    if found is None:
        raise KeyError(f"{run_id} {item}")
    return found


def _tell_run(store: Store, run_id: str) -> None:
    """The run and its quote say what is known of the money: the least certain of its purchases decides."""
    bought = purchases(store, run_id)
    states = {one.state for one in bought}
    state = next((one for one in ("unknown", "intended", "submitted", "settled") if one in states), "quoted")
    over = [one for one in bought if one.state == "settled"]
    cost = used_by(over) if over else None
    store.change(RunRecord, run_id, spend_state=state, cost_usd=cost)
    agreed = of_run(store, run_id)
    if agreed is not None:
        store.change(SpendRecord, agreed.id, state="intended" if state == "quoted" else state, actual_usd=cost)
