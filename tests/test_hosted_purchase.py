"""Buying at a host: once, whatever happens between the intent and the host's id."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.hosts_memory import MemoryHost
from support.purse import Killed, MemoryPurse

from loradeck.engines.base import Purchase
from loradeck.engines.errors import BadSpec, Cancelled, NotInstalled, OverBudget, ProviderError, Unknown
from loradeck.engines.hosted.purchase import (
    LOOKS_SECONDS,
    THROTTLED_SECONDS,
    Ahead,
    NeverArrived,
    buy,
    send_together,
)
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused

NOW = datetime(2026, 11, 28, 12, 0, 30, tzinfo=UTC)
DROPPED = Ambiguous("The connection broke.")
DOWN = NeverSent("memory could not be reached.")


class Shop:
    """A host, a purse, and a clock that only waits when told."""

    def __init__(self, **host: Any) -> None:
        self.host, self.purse = MemoryHost(**host), MemoryPurse()
        self.waits: list[float] = []
        self.now = NOW

    def buy(self, key: str = "train", **inputs: Any) -> Purchase:
        return buy(
            self.host, self.purse, key, "a/b", inputs or {"x": 1}, 5.0, sleep=self.waits.append, now=lambda: self.now
        )

    @property
    def state(self) -> str:
        return self.purse.bought["train"].state


def test_what_is_bought_is_sent_once_and_its_id_is_kept() -> None:
    shop = Shop()
    first = shop.buy()
    assert (first.state, first.provider_id, first.handle) == ("submitted", "r1", {"endpoint": "a/b"})
    assert shop.buy() == first
    assert shop.host.sent == 1


@pytest.mark.parametrize(("last", "sent"), [("intend", 0), ("submitted", 1)])
def test_a_kill_right_after_the_intent_or_the_id_is_written_never_buys_twice(last: str, sent: int) -> None:
    shop = Shop()
    shop.purse.crash_on = last
    with pytest.raises(Killed):
        shop.buy()
    if last == "intend":
        with pytest.raises(ProviderError, match=r"[Nn]othing was bought"):
            shop.buy()
    assert shop.host.sent == sent
    assert shop.buy().state == "submitted"
    assert shop.host.sent == 1


def test_a_kill_between_the_request_and_its_answer_finds_it_in_the_list() -> None:
    shop = Shop()
    shop.host.arrive("a/b", {"x": 1}, shop.purse.intend("train", "a/b", 5.0).mark)
    assert shop.buy().provider_id == "r1"
    assert shop.host.sent == 0


def test_a_connection_that_is_never_made_is_tried_again_then_nothing_was_spent() -> None:
    shop = Shop(faults=[(DOWN, False)] * 2)
    assert shop.buy().state == "submitted"
    assert (shop.host.sent, len(shop.waits)) == (3, 2)
    shop = Shop(faults=[(DOWN, False)] * 9)
    with pytest.raises(ProviderError, match=r"[Nn]othing was bought and nothing was spent"):
        shop.buy()
    assert (shop.state, shop.purse.spoken_for()) == ("void", 0.0)


def test_a_throttled_request_comes_again_when_the_host_said() -> None:
    shop = Shop(faults=[(Refused("slow", 429, "throttled", 7.0), False)] * 2)
    assert shop.buy().state == "submitted"
    assert shop.waits == [7.0, 7.0]


def test_a_host_that_throttles_for_ever_is_left_with_nothing_bought() -> None:
    shop = Shop(faults=[(Refused("slow", 429, "throttled", 50.0), False)] * 999)
    with pytest.raises(ProviderError, match="try again later"):
        shop.buy()
    assert shop.state == "void"
    assert sum(shop.waits) <= THROTTLED_SECONDS


@pytest.mark.parametrize(
    ("status", "kind", "step"),
    [
        (401, "key", "set the key of memory anew"),
        (402, "credit", "add credit"),
        (403, "forbidden", "accept the licence of a/b"),
        (404, "missing", "still offered"),
        (422, "input", "change what it names"),
        (422, "content", "reword the prompt"),
        (418, "", "change what it names"),
    ],
)
def test_a_plain_refusal_costs_nothing_and_names_the_next_step(status: int, kind: str, step: str) -> None:
    shop = Shop(faults=[(Refused(f"memory answered {status}: steps: too many", status, kind), False)])
    with pytest.raises(ProviderError, match=step) as refused:
        shop.buy()
    assert "steps: too many. Nothing was bought" in str(refused.value)
    assert (shop.state, shop.host.sent) == ("void", 1)


@pytest.mark.parametrize("error", [NotInstalled("No key is set."), BadSpec("steps must be 3 or more.")])
def test_what_is_found_before_sending_leaves_nothing_set_aside(error: Any) -> None:
    shop = Shop(faults=[(error, False)])
    with pytest.raises(type(error)):
        shop.buy()
    assert shop.state == "void"


def test_a_dropped_connection_is_settled_by_the_list_though_it_lags() -> None:
    shop = Shop(faults=[(DROPPED, True)], listed_late=3)
    assert shop.buy().provider_id == "r1"
    assert (shop.host.sent, shop.waits) == (1, list(LOOKS_SECONDS[1:4]))


def test_what_a_full_list_does_not_have_was_never_bought_and_the_next_call_sends_it() -> None:
    shop = Shop(faults=[(DROPPED, False)])
    with pytest.raises(NeverArrived, match="resume the run, which sends it anew"):
        shop.buy()
    assert (shop.state, sum(shop.waits)) == ("void", sum(LOOKS_SECONDS))
    assert shop.buy().state == "submitted"
    assert (shop.host.sent, len(shop.host.requests)) == (2, 1)


@pytest.mark.parametrize(("lists", "why"), [("never", "it has no list"), ("ended", "once it has ended")])
def test_where_absence_is_no_proof_it_stays_unknown_and_is_never_sent_again(lists: Any, why: str) -> None:
    shop = Shop(faults=[(DROPPED, False)], lists=lists)
    for _ in range(3):
        with pytest.raises(Unknown, match=why) as doubt:
            shop.buy()
        assert "up to 5.00 USD" in str(doubt.value)
        assert "dashboard of memory" in str(doubt.value)
    assert (shop.state, shop.host.sent, shop.purse.spoken_for()) == ("unknown", 1, 5.0)


def test_a_list_that_cannot_be_read_proves_nothing() -> None:
    shop = Shop(faults=[(DROPPED, False)], find_faults=[None] * (len(LOOKS_SECONDS) - 1) + [DOWN])
    with pytest.raises(Unknown, match="could not be read"):
        shop.buy()
    assert shop.state == "unknown"


def test_an_unknown_purchase_is_found_by_a_later_run_with_one_look() -> None:
    shop = Shop(faults=[(DROPPED, True)], find_faults=[DOWN] * len(LOOKS_SECONDS))
    with pytest.raises(Unknown):
        shop.buy()
    shop.now, shop.waits = NOW + timedelta(hours=3), []
    assert shop.buy().state == "submitted"
    assert (shop.host.sent, shop.waits) == (1, [])


def test_what_other_purchases_hold_is_not_taken_and_the_mark_decides_among_several() -> None:
    shop = Shop(faults=[(DROPPED, True)])
    shop.host.arrive("a/b", {"x": 1}, "of another run")
    shop.host.arrive("a/b", {"x": 1}, "of yet another run")
    shop.purse.others = {"r1"}
    assert shop.buy().provider_id == "r3"
    shop = Shop(faults=[(DROPPED, True)], marks=False)
    shop.host.arrive("a/b", {"x": 1}, "")
    shop.purse.others = {"r1"}
    assert shop.buy().provider_id == "r2"


def test_two_equal_requests_in_doubt_are_two_purchases() -> None:
    shop = Shop(faults=[(DROPPED, True), (DROPPED, True)], marks=False)
    assert {shop.buy("one").provider_id, shop.buy("two").provider_id} == {"r1", "r2"}


def test_over_budget_nothing_is_sent() -> None:
    shop = Shop()
    shop.purse.limit_usd = 4.0
    with pytest.raises(OverBudget):
        shop.buy()
    assert shop.host.sent == 0


def test_asked_to_stop_while_it_waits_nothing_was_bought() -> None:
    shop = Shop(faults=[(DOWN, False)])

    def stopped(_: float) -> None:
        raise Cancelled("Stopped as asked.")

    with pytest.raises(Cancelled):
        buy(shop.host, shop.purse, "train", "a/b", {"x": 1}, 5.0, sleep=stopped, now=lambda: NOW)
    assert shop.state == "void"


@pytest.mark.parametrize("lists", ["all", "never"])
def test_in_a_thousand_runs_of_random_faults_and_kills_nothing_is_ever_bought_twice(lists: Any) -> None:
    for seed in range(500):
        chance = random.Random(f"{lists}/{seed}")
        shop = Shop(lists=lists, marks=chance.random() < 0.5)
        faults = [
            None,
            (DOWN, False),
            (Refused("slow", 429, "throttled", 1.0), False),
            (DROPPED, True),
            (DROPPED, False),
        ]
        shop.host.faults = chance.choices(faults, k=chance.randrange(6))
        if chance.random() < 0.5:
            shop.host.find_faults = chance.choices([None, DOWN], k=chance.randrange(6))
        else:
            shop.host.listed_late = chance.randrange(len(LOOKS_SECONDS))
        outcome = "unfinished"
        for _ in range(80):
            shop.purse.crash_on = chance.choice([None, "intend", "submitted", "unknown", "void"])
            with contextlib.suppress(Killed, ProviderError):
                outcome = shop.buy().state
                break
        arrived = len(shop.host.requests)
        assert arrived == 1 if outcome == "submitted" else arrived <= 1, seed
        if outcome != "submitted":  # in doubt for good, and said so
            assert lists == "never", seed
            assert shop.state == "unknown", seed


# --------------------------------------------------------------------------- the host's own word


def taken(shop: Shop) -> None:
    """What a webhook does: the ledger gets the id, whatever the worker thinks."""
    shop.purse.bought["train"] = replace(shop.purse.bought["train"], state="submitted", provider_id="r1")


@pytest.mark.parametrize("lists", ["all", "ended", "never"])
def test_a_webhook_settles_doubt_before_the_list_does(lists: Any) -> None:
    shop = Shop(faults=[(DROPPED, True)], lists=lists, listed_late=9)
    unknown = shop.purse.unknown

    def told_first(key: str, why: str) -> Purchase:
        taken(shop)
        return unknown(key, why)

    shop.purse.unknown = told_first  # type: ignore[method-assign]
    bought = shop.buy()
    assert (bought.state, bought.provider_id) == ("submitted", "r1")
    assert (shop.host.sent, shop.waits) == (1, [])


def test_a_webhook_while_the_list_is_looked_at_settles_it() -> None:
    shop = Shop(faults=[(DROPPED, True)], listed_late=9)
    shop.waits = Waiting(lambda: taken(shop))  # type: ignore[assignment]
    assert shop.buy().provider_id == "r1"
    assert shop.host.sent == 1


def test_what_a_webhook_proves_to_be_bought_is_neither_voided_nor_sent_again() -> None:
    shop = Shop(faults=[(DROPPED, True)], listed_late=99)
    void = shop.purse.void

    def told_first(key: str, why: str) -> Purchase:
        taken(shop)
        return void(key, why)

    shop.purse.void = told_first  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match="resume the run"):
        shop.buy()
    assert shop.buy().provider_id == "r1"
    assert shop.host.sent == 1


def test_a_webhook_between_the_look_into_the_ledger_and_the_new_intent_is_heeded() -> None:
    shop = Shop(faults=[(Refused("no", 422, "input"), False)])
    with pytest.raises(ProviderError):
        shop.buy()
    intend = shop.purse.intend

    def told_first(key: str, endpoint: str, worst_usd: float) -> Purchase:
        taken(shop)
        return intend(key, endpoint, worst_usd)

    shop.purse.intend = told_first  # type: ignore[method-assign]
    assert shop.buy().provider_id == "r1"
    assert shop.host.sent == 1


class Waiting(list[float]):
    """What is done while somebody waits."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self._meanwhile()


# --------------------------------------------------------------------------- several at once

KEYS = [f"p{number}" for number in range(4)]


def ahead(shop: Shop, keys: list[str]) -> dict[str, Exception]:
    return send_together(shop.host, shop.purse, [Ahead(key, "a/b", {"x": key}, 5.0) for key in keys])


def meets(shop: Shop, **faults: Exception) -> None:
    """The host does so to the first request with these inputs; what is dropped has arrived."""
    create = shop.host.create

    def made(endpoint: str, inputs: Any, purchase: Purchase, destination: str = "") -> Any:
        error = faults.pop(inputs["x"], None)
        if error is None or isinstance(error, Ambiguous):
            created = create(endpoint, inputs, purchase, destination)
        if error is not None:
            raise error
        return created

    shop.host.create = made  # type: ignore[method-assign]


def test_every_intent_is_on_the_disk_before_the_first_of_several_requests_leaves() -> None:
    shop, seen = Shop(), []
    create = shop.host.create

    def made(*given: Any) -> Any:
        seen.append(len(shop.purse.bought))
        return create(*given)

    shop.host.create = made  # type: ignore[method-assign]
    assert ahead(shop, KEYS) == {}
    assert seen == [4] * 4
    assert {one.state for one in shop.purse.all()} == {"submitted"}
    assert {shop.buy(key, x=key).key for key in KEYS} == set(KEYS)
    assert shop.host.sent == 4


def test_whatever_became_of_several_is_written_down_and_each_is_gone_on_with_by_itself() -> None:
    shop = Shop()
    refused = Refused("memory answered 422", 422, "input")
    meets(shop, p1=refused, p2=DOWN, p3=DROPPED)
    met = ahead(shop, KEYS)
    assert [shop.purse.bought[key].state for key in KEYS] == ["submitted", "void", "void", "unknown"]
    assert met == {"p1": refused, "p2": DOWN, "p3": DROPPED}
    sent = shop.host.sent

    def goes_on(key: str) -> Purchase:
        return buy(
            shop.host, shop.purse, key, "a/b", {"x": key}, 5.0, sleep=shop.waits.append, now=lambda: NOW, met=met[key]
        )

    with pytest.raises(ProviderError, match=r"422\. Nothing was bought"):
        goes_on("p1")
    assert (shop.host.sent, shop.waits) == (sent, []), "what was refused is not sent again"
    assert goes_on("p2").state == "submitted"
    assert (shop.host.sent, len(shop.waits)) == (sent + 1, 1), "what never left is sent after a pause"
    found = goes_on("p3")
    assert found.provider_id is not None
    assert shop.host.requests[found.provider_id].inputs == {"x": "p3"}
    assert shop.host.sent == sent + 1, "what may have arrived is looked for"


def test_what_several_may_not_cost_together_is_not_sent() -> None:
    shop = Shop()
    shop.purse.limit_usd = 10.0
    assert ahead(shop, KEYS) == {}
    assert (shop.host.sent, len(shop.purse.bought)) == (2, 2)
    with pytest.raises(OverBudget):
        shop.buy("p2", x="p2")


def test_a_kill_while_several_are_on_their_way_never_buys_one_twice() -> None:
    shop = Shop()
    shop.purse.crash_on = "submitted"
    with pytest.raises(Killed):
        ahead(shop, KEYS)
    bought = {shop.buy(key, x=key).provider_id for key in KEYS}
    assert (len(bought), shop.host.sent) == (4, 4)
