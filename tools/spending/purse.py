"""The ledger of one run as an engine uses it (`engines.base.Purse`), over the store."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, cast

from loradeck.engines.base import Purchase
from loradeck.engines.errors import OverBudget
from loradeck.state import news, runs, spend
from loradeck.state.errors import OverLimit
from loradeck.state.records import PurchaseRecord
from loradeck.state.store import Store
from loradeck.tools.spending.limits import limits

State = Literal["intended", "submitted", "unknown", "settled", "void"]


class StorePurse:
    """What a run buys, at `provider` where that is another than the engine that the run goes by.

    All methods raise LeaseLost once another worker took the run over.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        token: str,
        patiently: Callable[[Callable[[], PurchaseRecord]], PurchaseRecord],
        provider: str | None = None,
    ) -> None:
        self._store, self._run_id, self._token, self._patiently = store, run_id, token, patiently
        self._elsewhere = provider
        self._told_at: dict[str, str | None] = {}

    def get(self, key: str) -> Purchase | None:
        """What was bought under that key, or None."""
        found = spend.purchase(self._store, self._run_id, key)
        return None if found is None else _told(found)

    def all(self) -> list[Purchase]:
        """Everything of this run, oldest first."""
        return [_told(one) for one in spend.purchases(self._store, self._run_id)]

    def intend(self, key: str, endpoint: str, worst_usd: float) -> Purchase:
        """Write down what is about to be bought. Raises OverBudget; nothing is written then."""
        try:
            return self._write(
                lambda: spend.intend(
                    self._store, self._run_id, self._token, key, self._provider, endpoint, worst_usd, limits()
                )
            )
        except OverLimit as error:
            raise OverBudget(str(error)) from error

    def submitted(self, key: str, provider_id: str, handle: dict[str, Any] | None = None) -> Purchase:
        """The host took it, and this is its id there."""
        return self._note(key, state="submitted", provider_id=provider_id, handle=handle or {}, why="")

    def unknown(self, key: str, why: str) -> Purchase:
        """It was sent, and nothing tells whether it arrived."""
        return self._note(key, state="unknown", why=why)

    def void(self, key: str, why: str) -> Purchase:
        """It is certain that nothing was bought, unless the host's own word brought an id meanwhile."""
        return self._write(lambda: spend.void(self._store, self._run_id, self._token, key, why))

    def settle(self, key: str, usd: float | None) -> Purchase:
        """It is over and cost that much."""
        return self._note(key, state="settled", usd=usd)

    def held(self, provider_id: str) -> bool:
        """True where a purchase of any run at this host has that id."""
        return spend.holds(self._store, self._provider, provider_id)

    def news(self, provider_id: str) -> bool:
        """True once for each word that the host sent of that request by itself."""
        at = news.received_at(self._store, self._provider, provider_id)
        fresh = at is not None and at != self._told_at.get(provider_id)
        self._told_at[provider_id] = at
        return fresh

    @cached_property
    def _provider(self) -> str:
        return self._elsewhere or runs.get(self._store, self._run_id).engine

    def _note(self, key: str, **values: Any) -> Purchase:
        told = {"provider": self._provider, **values}
        return self._write(lambda: spend.note(self._store, self._run_id, self._token, key, **told))

    def _write(self, write: Callable[[], PurchaseRecord]) -> Purchase:
        return _told(self._patiently(write))


def _told(row: PurchaseRecord) -> Purchase:
    return Purchase(
        key=row.item,
        mark=row.id,
        state=cast("State", row.state),
        endpoint=row.endpoint,
        worst_usd=row.worst_usd,
        intended_at=row.created_at,
        usd=row.usd,
        provider_id=row.provider_id,
        handle=row.handle,
    )
