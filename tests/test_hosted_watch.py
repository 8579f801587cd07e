"""Following requests at a host: told as they go, through outages, ended when the person says so and only then."""

from __future__ import annotations

from typing import Any

import pytest
from support.hosts_memory import MemoryHost, Request
from support.reporter import MemoryReporter

from loradeck.engines.base import Purchase
from loradeck.engines.errors import Cancelled, Leaving, ProviderError
from loradeck.engines.hosted.host import Standing
from loradeck.engines.hosted.purchase import buy
from loradeck.engines.hosted.watch import (
    CALLED_BACK,
    GONE_SECONDS,
    LONGEST_SECONDS,
    OUTAGE_SECONDS,
    QUICK,
    REFUSALS,
    SLOW,
    Watch,
)
from loradeck.engines.hosted.wire import NeverSent, Refused

DONE = Standing("done", output={"ok": 1}, usd=1.25)
RUNNING = Standing("running")
DOWN = NeverSent("memory could not be reached.")
BAR = "flux_train_replicate:  35%|###5 | 354/1000 [02:11<03:40, 2.9it/s, lr: 4.0e-04 loss: 3.1e-01]"


class Bench:
    """A host whose requests go through `standings`, and a clock that only moves when somebody sleeps."""

    def __init__(self, *standings: Standing, reporter: MemoryReporter | None = None, **host: Any) -> None:
        self.host = MemoryHost(lambda _: list(standings), **host)
        self.reporter = reporter or MemoryReporter()
        self.now, self.sleeps = 0.0, 0
        self.watch = self.new_watch()

    def new_watch(self) -> Watch:
        return Watch(self.host, self.reporter, sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps += 1

    def bought(self, key: str = "train", **inputs: Any) -> Purchase:
        return buy(self.host, self.reporter.purse, key, "a/b", inputs, 5.0)

    def request(self) -> Request:
        return next(iter(self.host.requests.values()))

    def stop_at(self, seconds: float, error: type[Cancelled]) -> None:
        def asked() -> None:
            if self.now >= seconds:
                raise error("Stopped as asked.")

        self.reporter.raise_if_cancelled = asked  # type: ignore[method-assign]


def test_a_request_is_looked_at_more_rarely_the_longer_it_takes_until_it_ends_and_its_cost_is_written_down() -> None:
    bench = Bench(*[RUNNING] * 20, DONE)
    bench.watch.follow(bench.bought(), steps=100)
    [(purchase, standing)] = bench.watch.ended()
    assert (standing, purchase.state, purchase.usd) == (DONE, "settled", 1.25)
    assert bench.request().looks == 21
    assert 10 * SLOW[1] < bench.now <= 21 * SLOW[1]
    assert bench.watch.ended() == []


def test_pictures_are_looked_at_soon_and_those_that_ended_come_first() -> None:
    bench = Bench(at_once=64)
    bench.host.script = lambda request: [RUNNING] * request.inputs["n"] + [DONE]
    for number in (3, 0, 1):
        bench.watch.follow(bench.bought(f"p{number}", n=number), quick=True)
    order = [[purchase.key for purchase, _ in bench.watch.ended()] for _ in range(3)]
    assert order == [["p0"], ["p1"], ["p3"]]
    assert bench.now < 4 * QUICK[1]


def test_bars_become_metrics_and_progress_and_other_lines_are_told_once_even_after_a_crash() -> None:
    lines = ("Loading FLUX", BAR)
    bench = Bench(
        Standing("waiting"), Standing("running", lines, 354, 1000), Standing("done", (*lines, "Uploading", "Uploading"))
    )
    purchase = bench.bought()
    bench.watch.follow(purchase, steps=1000)
    bench.watch.ended()
    assert bench.reporter.numbers == [(354, {"loss": 0.31, "learning_rate": 0.0004})]
    assert bench.reporter.steps == [
        (0, 1000, "Waiting for a machine at memory."),
        (354, 1000, "Training at memory."),
    ]
    events = [("info", "memory: Loading FLUX"), ("info", "memory: Uploading")]
    assert bench.reporter.events == events
    again = bench.new_watch()
    again.follow(purchase, steps=1000)
    again.ended()
    assert bench.reporter.events == events


def test_a_chatty_log_does_not_flood_the_run() -> None:
    bench = Bench(Standing("done", tuple(f"line {number}" for number in range(500))))
    bench.watch.follow(bench.bought(), steps=10)
    bench.watch.ended()
    assert len(bench.reporter.events) == 40


def test_an_outage_is_told_once_and_waited_through() -> None:
    bench = Bench(DONE, look_faults=[DOWN] * 6)
    bench.watch.follow(bench.bought(), steps=10)
    assert bench.watch.ended()[0][1] is DONE
    assert [message for _, message in bench.reporter.pauses] == [
        "memory could not be reached. What was bought goes on at memory meanwhile, and is looked for again."
    ]
    assert ("info", "memory answers again.") in bench.reporter.events


def test_an_outage_of_many_requests_is_one_outage() -> None:
    bench = Bench(DONE, look_faults=[DOWN] * 20)
    for number in range(8):
        bench.watch.follow(bench.bought(f"p{number}", n=number), quick=True)
    bench.watch.reached = (3, 8)
    while bench.watch.ended():
        continue
    assert [step for step, _ in bench.reporter.pauses] == [3]
    assert bench.reporter.events == [("info", "memory answers again.")]


def test_an_outage_without_end_is_given_up_with_the_purchase_kept() -> None:
    bench = Bench(DONE, look_faults=[DOWN] * 99999)
    bench.watch.follow(bench.bought())
    with pytest.raises(ProviderError, match="resume the run before its result expires"):
        bench.watch.ended()
    assert OUTAGE_SECONDS < bench.now < OUTAGE_SECONDS + 60
    assert bench.reporter.purse.bought["train"].state == "submitted"


def test_a_key_that_was_withdrawn_is_told_soon() -> None:
    bench = Bench(DONE, look_faults=[Refused("memory does not know this key.", 401, "key")] * REFUSALS)
    bench.watch.follow(bench.bought())
    with pytest.raises(ProviderError, match=r"does not know this key\..*nothing is bought again"):
        bench.watch.ended()


def test_what_the_host_forgot_is_given_up_only_after_a_while_and_counts_as_it_says() -> None:
    gone = Standing("failed", error="memory does not know it.", gone=True, charged=False)
    bench = Bench(*[gone] * 3, RUNNING, *[gone] * 99)
    bench.watch.follow(bench.bought())
    [(purchase, standing)] = bench.watch.ended()
    assert bench.now >= GONE_SECONDS
    assert (standing.gone, purchase.usd) == (True, 0.0)


def test_a_cost_that_is_not_told_counts_as_the_worst_case() -> None:
    bench = Bench(Standing("done"))
    bench.watch.follow(bench.bought())
    assert bench.watch.ended()[0][0].usd is None
    assert bench.reporter.purse.spoken_for() == 5.0


def test_an_unknown_status_is_told_once_and_watched_on_for_a_day_at_most() -> None:
    odd = Standing("running", error="memory says 'pondering', which is not known here.")
    bench = Bench(odd)
    bench.watch.follow(bench.bought())
    with pytest.raises(ProviderError, match="still under way at memory after 24 hours"):
        bench.watch.ended()
    assert bench.now > LONGEST_SECONDS
    assert bench.reporter.events == [("warning", odd.error)]


def test_word_from_the_host_brings_a_look_at_once_and_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_WEBHOOK_URL", "https://me.example")
    bench = Bench(*[RUNNING] * 2, DONE)
    bench.watch.follow(bench.bought())
    bench.reporter.purse.heard = ["r1", "r1", "r1"]
    bench.watch.ended()
    assert (bench.now, bench.request().looks) == (3.0, 3)
    assert bench.reporter.purse.heard == []


@pytest.mark.parametrize("quick", [True, False])
def test_where_hosts_call_back_looks_are_rarer_and_a_lost_call_costs_a_minute_at_most(
    quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORADECK_WEBHOOK_URL", "https://me.example")
    bench = Bench(*[RUNNING] * 30, DONE)
    bench.watch.follow(bench.bought(), quick=quick)
    bench.watch.ended()
    assert 15 * CALLED_BACK < bench.now < 31 * CALLED_BACK


def test_without_an_address_for_webhooks_no_ledger_is_asked_for_news() -> None:
    bench = Bench(RUNNING, DONE)
    bench.watch.follow(bench.bought())
    bench.reporter.purse.heard = ["r1"]
    bench.watch.ended()
    assert bench.reporter.purse.heard == ["r1"]


def test_the_person_s_stop_ends_it_at_the_host_and_tells_the_cost() -> None:
    bench = Bench(RUNNING, usd=0.4)
    bench.watch.follow(bench.bought())
    bench.stop_at(10, Cancelled)
    with pytest.raises(Cancelled, match=r"Stopped as asked. It was ended at memory and cost 0.40 USD there.") as stop:
        bench.watch.ended()
    assert not isinstance(stop.value, Leaving)
    assert bench.request().cancels == 1
    assert bench.reporter.purse.bought["train"].usd == 0.4


def test_a_stop_whose_cost_is_not_told_names_the_most_it_can_be() -> None:
    bench = Bench(RUNNING)
    bench.watch.follow(bench.bought())
    bench.stop_at(10, Cancelled)
    with pytest.raises(Cancelled, match=r"at most 5.00 USD"):
        bench.watch.ended()


def test_a_stop_that_comes_too_late_keeps_what_was_paid_for() -> None:
    bench = Bench(RUNNING, DONE, cancels_in_vain=True)
    bench.watch.follow(bench.bought())
    bench.stop_at(2, Cancelled)
    with pytest.raises(Cancelled, match=r"cost 1.25 USD there. .* resume the run to fetch it"):
        bench.watch.ended()
    again = bench.new_watch()
    bench.stop_at(1e9, Cancelled)
    again.follow(bench.bought())
    assert again.ended()[0][1] is DONE
    assert bench.host.sent == 1


def test_a_stop_while_the_host_is_away_says_what_may_run_on() -> None:
    bench = Bench(RUNNING)
    bench.watch.follow(bench.bought())

    def away(*_: Any) -> Any:
        raise DOWN

    bench.host.cancel = bench.host.look = away  # type: ignore[method-assign]
    bench.stop_at(3, Cancelled)
    with pytest.raises(Cancelled, match=r"could not be told to stop, and may cost up to 5.00 USD"):
        bench.watch.ended()
    assert bench.reporter.purse.bought["train"].state == "submitted"


def test_a_worker_that_leaves_cancels_nothing() -> None:
    bench = Bench(RUNNING)
    bench.watch.follow(bench.bought())
    bench.stop_at(10, Leaving)
    with pytest.raises(Leaving):
        bench.watch.ended()
    assert bench.request().cancels == 0
    assert bench.reporter.purse.bought["train"].state == "submitted"


def test_waiting_hears_the_person() -> None:
    bench = Bench(RUNNING)
    bench.stop_at(5, Cancelled)
    with pytest.raises(Cancelled):
        bench.watch.wait(600)
    assert bench.now <= 6


def test_64_requests_are_followed_without_a_busy_loop() -> None:
    bench = Bench(*[RUNNING] * 10, DONE, at_once=64)
    for number in range(64):
        bench.watch.follow(bench.bought(f"p{number}", n=number), quick=True)
    while bench.watch.ended():
        pass
    assert bench.sleeps < 2 * bench.now + 64
    assert sum(request.looks for request in bench.host.requests.values()) == 64 * 11
