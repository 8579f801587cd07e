"""TRN-SPEND: a price first, a yes that is bound to it, limits that hold, and a ledger that a crash cannot blur."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlite_utils
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult
from support.client import ERAS, Era
from support.datasets import ready_dataset
from support.engine import registry

from loradeck.engines.base import Cost
from loradeck.engines.errors import OverBudget
from loradeck.server import app, asking, worker
from loradeck.state import runs, spend
from loradeck.state.files import now
from loradeck.state.migrations import migrations
from loradeck.state.records import CaptionRecord, PurchaseRecord, RunRecord, SpendRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import load
from loradeck.tools.check_status.report import report
from loradeck.tools.contracts import RunState, StartTrainingArgs, StartTrainingResult
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree, commit
from loradeck.tools.spending.limits import limits
from loradeck.tools.spending.sums import total
from loradeck.tools.start_training.tool import TOOL
from loradeck.tools.workbench import Workbench

OFFER = Offer(
    "start_training",
    "fal",
    "a training of 30 images on flux2-dev",
    {"steps": 1000},
    Cost(20.0, usd=6.4, worst_usd=8.0, price_source="live", price_date="2026-11-28"),
)


@pytest.fixture(autouse=True)
def _no_limits_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUN", "DAY", "TOTAL"):
        monkeypatch.delenv(f"LORADECK_MAX_{name}_USD", raising=False)


def bench(home: Path, answer: bool | None = None) -> Workbench:
    return Workbench(Store(home), registry(costs_money=True), lambda run_id: None, ask=lambda question: answer)


def quoted(work: Workbench, offer: Offer = OFFER) -> Quoted:
    told = agree(work, offer, None, None)
    assert isinstance(told, Quoted)
    return told


def started(work: Workbench, offer: Offer = OFFER, most: float = 8.0) -> str:
    """A run that was agreed to."""
    agreed = agree(work, offer, quoted(work, offer).quote_id, most)
    assert isinstance(agreed, Agreed)
    run = runs.enqueue(work.store, "train", {}, engine=offer.provider)
    commit(work.store, agreed, run.id)
    return run.id


def reporter(work: Workbench, run_id: str) -> StoreReporter:
    claimed = runs.claim(work.store, run_id)
    assert claimed is not None
    assert claimed.token is not None
    return StoreReporter(work.store, run_id, claimed.token)


# --------------------------------------------------------------------------- quotes


def test_the_first_call_tells_a_price_with_its_source_date_and_worst_case_and_starts_nothing(tmp_path: Path) -> None:
    work = bench(tmp_path)
    told = quoted(work)
    assert "6.40 USD (at most 8.00)" in told.summary
    assert "told by the host on 2026-11-28" in told.summary
    assert f'quote_id="{told.quote_id}" and max_cost_usd=8.00' in told.next_step
    assert work.store.count(RunRecord) == 0


def test_a_quote_with_its_limit_starts_one_run_and_the_same_call_again_is_that_run(tmp_path: Path) -> None:
    work = bench(tmp_path)
    told = quoted(work)
    agreed = agree(work, OFFER, told.quote_id, 8.0)
    assert isinstance(agreed, Agreed)
    run = runs.enqueue(work.store, "train", {}, engine="fal")
    commit(work.store, agreed, run.id)
    assert agree(work, OFFER, told.quote_id, 8.0) == Agreed(told.quote_id, 8.0, run.id)
    other = runs.enqueue(work.store, "train", {}, engine="fal")
    with pytest.raises(Refused, match="good once"):
        commit(work.store, agreed, other.id)


@pytest.mark.parametrize(
    "changed",
    [
        replace(OFFER, binding={"steps": 1001}),
        replace(OFFER, provider="replicate"),
        replace(OFFER, call="render_deck_visuals"),
    ],
    ids=["configuration", "engine", "tool"],
)
def test_any_change_voids_a_quote(tmp_path: Path, changed: Offer) -> None:
    work = bench(tmp_path)
    with pytest.raises(Refused, match="changed since"):
        agree(work, changed, quoted(work).quote_id, 99.0)


def test_a_price_that_rose_meanwhile_is_asked_for_again(tmp_path: Path) -> None:
    work = bench(tmp_path)
    dearer = replace(OFFER, cost=replace(OFFER.cost, usd=9.0, worst_usd=11.0))
    with pytest.raises(Refused, match=r"the price rose.*9\.00 USD"):
        agree(work, dearer, quoted(work).quote_id, 99.0)


def test_a_quote_is_over_after_an_hour(tmp_path: Path) -> None:
    work = bench(tmp_path)
    told = quoted(work)
    work.store.change(SpendRecord, told.quote_id, expires_at=now())
    with pytest.raises(Refused, match="lasts an hour"):
        agree(work, OFFER, told.quote_id, 8.0)


def test_a_quote_needs_a_limit_that_covers_its_worst_case(tmp_path: Path) -> None:
    work = bench(tmp_path)
    told = quoted(work)
    with pytest.raises(BadArgument, match="max_cost_usd"):
        agree(work, OFFER, told.quote_id, None)
    with pytest.raises(Refused, match=r"max_cost_usd=8\.00"):
        agree(work, OFFER, told.quote_id, 6.4)
    with pytest.raises(NotFound, match="without quote_id"):
        agree(work, OFFER, "quote_nosuch", 8.0)


@pytest.mark.parametrize("most", [float("inf"), float("nan"), -1.0])
def test_a_limit_that_limits_nothing_is_none(most: float) -> None:
    with pytest.raises(ValueError, match="max_cost_usd"):
        StartTrainingArgs(dataset_id="ds_1", max_cost_usd=most)


def test_what_nobody_can_price_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nobody can say"):
        agree(bench(tmp_path), replace(OFFER, cost=Cost()), None, None)


def test_a_person_who_can_be_asked_is_asked_and_a_no_is_a_no(tmp_path: Path) -> None:
    agreed = agree(bench(tmp_path / "yes", True), OFFER, None, None)
    assert isinstance(agreed, Agreed)
    assert agreed.max_cost_usd == 8.0
    with pytest.raises(Refused, match="The person said no"):
        agree(bench(tmp_path / "no", False), OFFER, None, None)


def test_the_cost_of_several_steps_is_their_sum_and_unknown_where_one_is() -> None:
    one, two = Cost(1.0, usd=0.5, worst_usd=0.6, price_source="live", price_date="2026-11-02"), Cost(2.0, usd=0.25)
    both = total([one, two])
    assert (both.minutes, both.usd, both.worst_usd, both.price_source) == (3.0, 0.75, 0.85, "table")
    assert total([one, Cost()]).usd is None


# --------------------------------------------------------------------------- limits


def test_the_limit_of_a_day_counts_what_is_spent_under_way_and_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORADECK_MAX_DAY_USD", "20")
    work = bench(tmp_path)
    first = started(work)
    started(work, replace(OFFER, binding={"steps": 2}))
    with pytest.raises(Refused, match=r"16\.00 are spent or set aside, and the limit of a day \(UTC\) is 20\.00"):
        quoted(work, replace(OFFER, binding={"steps": 3}))
    mine = reporter(work, first)
    mine.purse.intend("train", "endpoint", 8.0)
    mine.purse.submitted("train", "req-1")
    mine.purse.settle("train", 5.0)
    runs.update(work.store, first, _token(work, first), state="running")
    assert spend.committed(work.store) == 16.0, "a run under way may still buy up to its worst case"
    runs.finish(work.store, first, _token(work, first), "succeeded")
    assert spend.committed(work.store) == 13.0
    with pytest.raises(Refused, match=r"13\.00"):
        quoted(work, replace(OFFER, binding={"steps": 3}))
    work.store.change(SpendRecord, str(_agreed(work, first).id), accepted_at="2026-11-20T00:00:00+00:00")
    with pytest.raises(Refused, match=r"13\.00"):  # agreed to on another day, and bought on this one
        quoted(work, replace(OFFER, binding={"steps": 3}))
    bought = spend.purchases(work.store, first)[0]
    work.store.change(PurchaseRecord, bought.id, created_at="2026-11-20T00:00:00+00:00")
    assert quoted(work, replace(OFFER, binding={"steps": 3})).quote_id


def _token(work: Workbench, run_id: str) -> str:
    return str(runs.get(work.store, run_id).token)


def _agreed(work: Workbench, run_id: str) -> SpendRecord:
    found = spend.of_run(work.store, run_id)
    assert found is not None
    return found


def test_a_workspace_of_before_there_were_purchases_keeps_its_quotes_and_agrees_to_none_of_them(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    old = sqlite_utils.Database(tmp_path / "loradeck.db")
    migrations.apply(old, stop_before="m004_purchases")
    old.execute(
        "insert into spend (id, run_id, state, provider, what, quote_usd, expires_at, created_at, updated_at) values "
        "('quote_old', null, 'quoted', 'fal', 'a training', 6.4, '2999-01-01', '2026-01-01', '2026-01-01'), "
        "('quote_used', 'run_old', 'settled', 'fal', 'a training', 6.4, '2999-01-01', '2026-01-01', '2026-01-01')"
    )
    old.conn.commit()
    old.close()
    work = bench(tmp_path)
    assert spend.committed(work.store) == 0.0
    with pytest.raises(Refused, match="changed since"):
        agree(work, OFFER, "quote_old", 8.0)
    started(work)
    assert spend.committed(work.store) == 8.0


def test_two_calls_at_once_cannot_pass_a_limit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_MAX_TOTAL_USD", "10")
    work = bench(tmp_path)
    offers = [replace(OFFER, binding={"steps": number}) for number in (1, 2)]
    both = [agree(work, offer, quoted(work, offer).quote_id, 8.0) for offer in offers]
    queued = [runs.enqueue(work.store, "train", {}, engine="fal") for _ in both]
    assert isinstance(both[0], Agreed)
    assert isinstance(both[1], Agreed)
    commit(work.store, both[0], queued[0].id)
    with pytest.raises(Refused, match="LORADECK_MAX_TOTAL_USD"):
        commit(work.store, both[1], queued[1].id)
    assert _spent_on(work, queued[1].id) is None


def _spent_on(work: Workbench, run_id: str) -> SpendRecord | None:
    return spend.of_run(work.store, run_id)


def test_a_run_can_have_a_limit_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_MAX_RUN_USD", "7.5")
    with pytest.raises(Refused, match="LORADECK_MAX_RUN_USD"):
        quoted(bench(tmp_path))


@pytest.mark.parametrize("text", ["ten", "-1", "nan", "inf"])
def test_a_limit_that_is_no_amount_lifts_no_limit(text: str) -> None:
    with pytest.raises(Refused, match="no amount of US dollars"):
        limits({"LORADECK_MAX_DAY_USD": text})


def test_a_day_has_a_limit_unless_it_is_lifted_on_purpose() -> None:
    assert limits({}).day_usd == 50.0
    assert limits({"LORADECK_MAX_DAY_USD": "none"}).day_usd is None


# --------------------------------------------------------------------------- the ledger


def test_a_purchase_is_written_down_before_and_after_it_is_sent_and_the_run_tells_where_the_money_stands(
    tmp_path: Path,
) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    purse = reporter(work, run_id).purse

    def told() -> tuple[str, float | None]:
        run = runs.get(Store(tmp_path), run_id)
        return run.spend_state, run.cost_usd

    assert told() == ("quoted", None)
    intent = purse.intend("train", "fal-ai/flux-2-trainer", 8.0)
    assert told() == ("intended", None)
    assert purse.intend("train", "fal-ai/flux-2-trainer", 8.0) == intent, "an intent is never doubled"
    purse.submitted("train", "req-1", {"status": "https://queue.example/1"})
    assert told() == ("submitted", None)
    assert purse.held("req-1")
    assert not purse.held("req-2")
    purse.settle("train", 6.4)
    assert told() == ("settled", 6.4)
    found = purse.get("train")
    assert found is not None
    assert (found.state, found.provider_id, found.handle) == ("settled", "req-1", {"status": "https://queue.example/1"})


def test_doubt_outweighs_certainty_and_keeps_its_worst_case(tmp_path: Path) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    purse = reporter(work, run_id).purse
    for key in ("a", "b"):
        purse.intend(key, "endpoint", 3.0)
    purse.settle("a", 1.0)
    purse.unknown("b", "the connection dropped")
    run = runs.get(work.store, run_id)
    assert (run.spend_state, run.cost_usd) == ("unknown", 1.0)
    runs.finish(work.store, run_id, str(run.token), "failed")
    assert spend.committed(work.store) == 4.0


def test_what_was_certainly_not_bought_can_be_intended_again_under_a_new_mark(tmp_path: Path) -> None:
    work = bench(tmp_path)
    purse = reporter(work, started(work)).purse
    first = purse.intend("train", "endpoint", 8.0)
    purse.void("train", "refused")
    again = purse.intend("train", "endpoint", 8.0)
    assert again.state == "intended"
    assert again.mark != first.mark
    assert len(purse.all()) == 1


def test_a_run_never_buys_for_more_than_was_agreed_to(tmp_path: Path) -> None:
    work = bench(tmp_path)
    purse = reporter(work, started(work)).purse
    purse.intend("a", "endpoint", 5.0)
    with pytest.raises(OverBudget, match=r"5\.00 USD more would pass the 8\.00 USD"):
        purse.intend("b", "endpoint", 5.0)
    assert purse.get("b") is None


def test_a_run_that_nobody_agreed_to_buys_nothing(tmp_path: Path) -> None:
    work = bench(tmp_path)
    purse = reporter(work, runs.enqueue(work.store, "train", {}, engine="fal").id).purse
    with pytest.raises(OverBudget, match="nobody agreed"):
        purse.intend("train", "endpoint", 0.01)
    assert work.store.count(PurchaseRecord) == 0


def test_what_is_known_of_the_money_is_told_with_the_run(tmp_path: Path) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    purse = reporter(work, run_id).purse

    def told() -> str:
        return report(work.store, runs.get(work.store, run_id)).summary

    assert "Nothing was bought so far" in told()
    for key in ("a", "b"):
        purse.intend(key, "endpoint", 2.0)
    purse.submitted("a", "req-1")
    assert "(req-1, b, whose id is not known) at fal are under way and can cost up to 4.00 USD" in told()
    purse.settle("a", 1.5)
    purse.unknown("b", "dropped")
    assert "It cost 1.50 USD so far." in told()
    assert "up to 2.00 USD may have been spent, and nothing is sent again by itself" in told()


# --------------------------------------------------------------------------- workers that die


def died(work: Workbench, run_id: str) -> None:
    """The worker that had claimed the run is gone, and its lease is over."""
    work.store.change(RunRecord, run_id, state="running", pid=None, lease_until=0.0)


def test_what_a_host_goes_on_with_is_taken_up_again_by_itself_when_its_worker_died(tmp_path: Path) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    reporter(work, run_id).purse.intend("train", "endpoint", 8.0)
    died(work, run_id)
    launched: list[str] = []
    assert runs.recover(work.store, launched.append) == []
    assert (launched, runs.get(work.store, run_id).state) == ([run_id], "queued")


def test_a_run_that_bought_nothing_is_lost_when_its_worker_died(tmp_path: Path) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    purse = reporter(work, run_id).purse
    purse.intend("train", "endpoint", 8.0)
    purse.void("train", "refused")
    died(work, run_id)
    assert [run.id for run in runs.recover(work.store, lambda run_id: None)] == [run_id]
    assert runs.get(work.store, run_id).state == "lost"


def test_a_stop_reaches_the_host_of_a_run_that_failed_here(tmp_path: Path) -> None:
    launched: list[str] = []
    work = replace(bench(tmp_path), launch=launched.append)
    run_id = started(work)
    purse = reporter(work, run_id).purse
    purse.intend("train", "endpoint", 8.0)
    purse.submitted("train", "req-1")
    runs.finish(work.store, run_id, _token(work, run_id), "failed", error="no network")
    work.store.change(RunRecord, run_id, lease_until=0.0)
    stop = load("stop_run")
    with pytest.raises(Refused, match="no more waiting"):
        stop.handler(stop.args.model_validate({"run_id": run_id}), replace(work, progress=_hurry))
    assert launched == [run_id]
    assert runs.get(work.store, run_id).cancel_requested


def test_a_stop_reaches_the_host_of_a_run_that_waits_for_its_next_worker(tmp_path: Path) -> None:
    work = bench(tmp_path)
    run_id = started(work)
    purse = reporter(work, run_id).purse
    purse.intend("train", "endpoint", 8.0)
    purse.submitted("train", "req-1")
    died(work, run_id)
    runs.recover(work.store, lambda run_id: None)
    asked = runs.request_cancel(work.store, run_id)
    assert (asked.state, asked.cancel_requested) == ("queued", True)
    assert runs.claim(work.store, run_id) is not None, "a worker ends it at its host"


def _hurry(done: float, total: float | None, message: str) -> None:
    raise Refused("no more waiting in a test")


# --------------------------------------------------------------------------- through the tool


def training(work: Workbench, **arguments: Any) -> StartTrainingResult:
    result = TOOL.handler(StartTrainingArgs.model_validate({"engine": "tiny", **arguments}), work)
    assert isinstance(result, StartTrainingResult)
    return result


def test_a_training_that_costs_is_quoted_then_started_and_the_same_call_pays_nothing_more(tmp_path: Path) -> None:
    work = bench(tmp_path)
    dataset = ready_dataset(work.store)
    told = training(work, dataset_id=dataset.id)
    assert (told.state, told.run_id) == (RunState.QUOTED, None)
    assert told.estimate is not None
    assert (told.estimate.usd, told.estimate.worst_usd) == (2.0, 3.0)
    agreed = {"dataset_id": dataset.id, "quote_id": told.quote_id, "max_cost_usd": 3.0}
    run = training(work, **agreed)
    assert run.state == RunState.QUEUED
    assert run.run_id is not None
    assert training(work, **agreed).run_id == run.run_id
    assert worker.work(tmp_path, run.run_id, work.engines) == "succeeded"
    assert training(work, dataset_id=dataset.id).run_id == run.run_id, "it is done already"
    assert training(work, dataset_id=dataset.id, seed=9).state == RunState.QUOTED


def test_a_dataset_that_changed_voids_its_quote(tmp_path: Path) -> None:
    work = bench(tmp_path)
    dataset = ready_dataset(work.store)
    told = training(work, dataset_id=dataset.id)
    caption = work.store.where(CaptionRecord, "dataset_id = ?", [dataset.id])[0]
    work.store.change(CaptionRecord, caption.image_id, text=f"{caption.text} beside a tall window")
    with pytest.raises(Refused, match="changed since"):
        training(work, dataset_id=dataset.id, quote_id=told.quote_id, max_cost_usd=3.0)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("yes", [True, False])
def test_a_client_that_can_ask_asks_the_person_in_both_eras(
    era: Era, yes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.engines.registry.Registry", lambda: registry(costs_money=True))
    dataset = ready_dataset(Store(tmp_path))
    questions: list[str] = []

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"agree": yes})

    async def hold() -> Any:
        server = app.build(tmp_path, lambda run_id: None)
        async with Client(server, mode=era, elicitation_callback=answer) as client:
            return await client.call_tool("start_training", {"dataset_id": dataset.id, "engine": "tiny"})

    import anyio

    result = anyio.run(hold)
    assert len(questions) == 1
    assert "2.00 USD (at most 3.00)" in questions[0]
    if yes:
        assert result.structured_content["state"] == "queued"
    else:
        assert "The person said no" in result.content[0].text
        assert Store(tmp_path).count(RunRecord) == 0


def test_a_yes_counts_once_so_that_a_call_sent_twice_asks_twice() -> None:
    declared = SimpleNamespace(elicitation=SimpleNamespace(form={}, url=None))
    call = SimpleNamespace(
        protocol_version=asking.ASKED_BY_RESULT, client_capabilities=declared, input_responses=None, request_state=None
    )
    with pytest.raises(asking.Asking) as question:
        asking.asker(cast("Any", call))("Spend 2.00 USD?")
    yes = ElicitResult(action="accept", content={"agree": True})
    call.input_responses, call.request_state = {asking.KEY: yes}, question.value.result().request_state
    assert asking.asker(cast("Any", call))("Spend 2.00 USD?") is True
    with pytest.raises(asking.Asking):
        asking.asker(cast("Any", call))("Spend 2.00 USD?")


def test_a_yes_counts_for_the_words_that_were_shown_alone() -> None:
    declared = SimpleNamespace(elicitation=SimpleNamespace(form={}, url=None))
    yes = ElicitResult(action="accept", content={"agree": True})
    call = SimpleNamespace(
        protocol_version=asking.ASKED_BY_RESULT,
        client_capabilities=declared,
        input_responses={asking.KEY: yes},
        request_state=asking.Asking("Spend 2.00 USD?").result().request_state,
    )
    with pytest.raises(asking.Asking):
        asking.asker(cast("Any", call))("Spend 9.00 USD?")
