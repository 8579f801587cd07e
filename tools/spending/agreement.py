"""From an offer to an agreement: a quote that is told, then a person's yes, bound to what was quoted and good once.

agreed = agree(bench, Offer(...), args.quote_id, args.max_cost_usd)
if isinstance(agreed, Quoted): answer with agreed.summary, agreed.next_step and agreed.quote_id
else: within the transaction that queues the run, commit(bench.store, agreed, run_id)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loradeck.engines.base import Cost
from loradeck.state import spend
from loradeck.state.errors import OverLimit
from loradeck.state.files import sha256_json
from loradeck.state.records import SpendRecord
from loradeck.state.store import Store
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.spending.limits import limits
from loradeck.tools.workbench import Workbench

SHORTEST = 0.01
"""USD below which an amount is told as "under 0.01"."""


@dataclass(frozen=True)
class Offer:
    """What would be bought: `call` is the tool's name, `what` a clause such as "a training of 30 images on flux2-dev".

    `binding` is JSON of all that decides it (dataset fingerprint, configuration, engine): another one is another offer.
    `run_id` is a run that goes on: its cost then stands for what was agreed to for it before.
    """

    call: str
    provider: str
    what: str
    binding: Any
    cost: Cost
    fingerprint: str = ""
    run_id: str | None = None


@dataclass(frozen=True)
class Agreed:
    """A person said yes. `run_id` is set where this very agreement has its run already: that one is the answer."""

    quote_id: str
    max_cost_usd: float
    run_id: str | None = None


@dataclass(frozen=True)
class Quoted:
    """Nothing was started: the price stands in `summary`, and how to agree in `next_step`."""

    quote_id: str
    summary: str
    next_step: str


def agree(bench: Workbench, offer: Offer, quote_id: str | None, max_cost_usd: float | None) -> Agreed | Quoted:
    """Tell the price, ask the person where the client can, or take a quote that was told before.

    Raises NotFound for an unknown quote, BadArgument for one without a limit, Refused for one that is over, void,
    too dear now or beyond a budget.
    """
    if offer.cost.usd is None:
        raise Refused(
            f"TRN-SPEND: nobody can say what {offer.what} costs at {offer.provider}, so nothing was started; name "
            "other numbers, or another engine."
        )
    if quote_id is not None:
        return _taken(bench.store, offer, quote_id, max_cost_usd)
    _require_room(bench.store, offer)
    record = _quote(bench.store, offer)
    answer = bench.ask(_question(offer))
    if answer is None:
        return _told(record, offer)
    if not answer:
        raise Refused(f"The person said no to {offer.what} for {_amount(offer)}; nothing was started or spent.")
    return Agreed(record.id, _worst(offer.cost))


def commit(store: Store, agreed: Agreed, run_id: str) -> None:
    """Bind the agreement to its run and set the worst case aside, in the transaction that queues the run.

    Raises Refused where a budget would be passed, or where another call was quicker with the same quote.
    """
    try:
        spend.accept(store, agreed.quote_id, run_id, agreed.max_cost_usd, limits())
    except OverLimit as error:
        raise Refused(f"TRN-SPEND: {error}") from error
    except ValueError as error:
        raise Refused(f"TRN-SPEND: {error}, and a quote is good once; check_status shows that run.") from error


def _taken(store: Store, offer: Offer, quote_id: str, max_cost_usd: float | None) -> Agreed:
    record = spend.find_quote(store, quote_id)
    if record is None:
        raise NotFound(f"There is no quote {quote_id!r}; call {offer.call} without quote_id for a price.")
    if record.binding != _binding(offer):
        raise Refused(
            f"TRN-SPEND: {record.id} was for {record.what}, and something of that changed since (images, captions, "
            f"numbers or engine); nothing was spent. Call {offer.call} without quote_id for a new price."
        )
    if record.run_id is not None:
        return Agreed(record.id, record.max_cost_usd or 0.0, record.run_id)
    if spend.expired(record):
        raise Refused(
            f"TRN-SPEND: {record.id} is over, since a quote lasts an hour; call {offer.call} without quote_id for a "
            "new price. Nothing was spent."
        )
    worst = _worst(offer.cost)
    if worst > (record.worst_usd or 0.0) + spend.CENT:
        raise Refused(
            f"TRN-SPEND: the price rose since {record.id} was told: {_amount(offer)} now. Nothing was spent; call "
            f"{offer.call} without quote_id, and ask the person again."
        )
    if max_cost_usd is None:
        raise BadArgument(
            f"quote_id comes with max_cost_usd, the limit that the person agreed to; {worst:.2f} covers the worst "
            f"case of {offer.what}."
        )
    if max_cost_usd + spend.CENT < worst:
        raise Refused(
            f"TRN-SPEND: {offer.what} can come to {worst:.2f} USD, more than max_cost_usd={max_cost_usd:g}; nothing "
            f"was started. Agree to max_cost_usd={worst:.2f}, or ask for less."
        )
    return Agreed(record.id, max_cost_usd)


def _require_room(store: Store, offer: Offer) -> None:
    """A price that no budget has room for is not offered."""
    try:
        spend.require_room(store, _worst(offer.cost), limits(), instead_of=offer.run_id)
    except OverLimit as error:
        raise Refused(f"TRN-SPEND: {error}") from error


def _quote(store: Store, offer: Offer) -> SpendRecord:
    return spend.quote(
        store,
        provider=offer.provider,
        what=offer.what,
        binding=_binding(offer),
        fingerprint=offer.fingerprint,
        quote_usd=offer.cost.usd,
        worst_usd=_worst(offer.cost),
        price_source=offer.cost.price_source,
        price_date=offer.cost.price_date,
    )


def _binding(offer: Offer) -> str:
    return sha256_json([offer.call, offer.provider, offer.binding])


def _worst(cost: Cost) -> float:
    """In whole cents, rounded up, so that a limit said in cents covers it."""
    usd = cost.worst_usd if cost.worst_usd is not None else cost.usd or 0.0
    return -(-round(usd * 100, 4) // 1) / 100


def _amount(offer: Offer) -> str:
    usd, worst = offer.cost.usd or 0.0, _worst(offer.cost)
    expected = f"{usd:.2f} USD" if usd >= SHORTEST else "under 0.01 USD"
    return f"{expected} (at most {worst:.2f})" if worst > usd + spend.CENT else expected


def _price_of(cost: Cost) -> str:
    """Where the price is from, as a clause."""
    source = "told by the host" if cost.price_source == "live" else "from loradeck's table, checked"
    return f"{source} on {cost.price_date}" if cost.price_date else (cost.basis or "estimated")


def _question(offer: Offer) -> str:
    minutes = f", about {max(1, round(offer.cost.minutes))} minutes" if offer.cost.minutes else ""
    return f"{offer.what} at {offer.provider}: {_amount(offer)}{minutes} (price {_price_of(offer.cost)}). Spend it?"


def _told(record: SpendRecord, offer: Offer) -> Quoted:
    return Quoted(
        record.id,
        f"Nothing was started: {offer.what} at {offer.provider} costs {_amount(offer)} (price "
        f"{_price_of(offer.cost)}). The quote is good for an hour, once, and for exactly this.",
        f'Ask the person. If they agree: the same {offer.call} call with quote_id="{record.id}" and '
        f"max_cost_usd={_worst(offer.cost):.2f}.",
    )
