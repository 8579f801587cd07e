"""What a call would buy: a whole plan, or what a run that was cut short has left to do."""

from __future__ import annotations

from dataclasses import replace

from loradeck.engines.base import Cost
from loradeck.state import spend
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import copy_path
from loradeck.tools.generate_candidates.chain import Candidate, Pass
from loradeck.tools.generate_candidates.passes import OPEN, key_of, left_to_do
from loradeck.tools.generate_candidates.plan import Plan
from loradeck.tools.generate_candidates.prices import priced
from loradeck.tools.spending.agreement import Offer

CALL = "generate_candidates"


def offer_for(store: Store, plan: Plan, before: RunRecord | None) -> Offer | None:
    """The offer for a new run, or for going on with `before`; None where nothing more has to be agreed to.

    A run goes on within what was agreed to for it; beyond that its whole cost, what is spent included, is offered anew.
    """
    if not plan.engine.capabilities.costs_money:
        return None
    count = f"{len(plan.candidates)} candidate{'s' * (len(plan.candidates) != 1)}"
    what = f"{count} for {plan.dataset.name!r} (mode {plan.mode})"
    if before is None:
        return _offer(plan, what, [plan.identity], plan.price.cost)
    used = spend.used_by(spend.purchases(store, before.id))
    cost = _left(store, plan, before)
    worst = cost.worst_usd if cost.worst_usd is not None else cost.usd
    agreed = spend.of_run(store, before.id)
    if agreed is not None and worst is not None and used + worst <= (agreed.max_cost_usd or 0.0) + spend.CENT:
        return None
    whole = replace(
        cost,
        usd=None if cost.usd is None else cost.usd + used,
        worst_usd=None if worst is None else worst + used,
    )
    said = f"the rest of {what}, with {used:.2f} USD that {before.id} has spent or may have"
    return replace(_offer(plan, said, [plan.identity, before.id, used], whole), run_id=before.id)


def _offer(plan: Plan, what: str, binding: list[str | float], cost: Cost) -> Offer:
    return Offer(CALL, plan.engine.name, what, binding, cost, plan.identity)


def _left(store: Store, plan: Plan, before: RunRecord) -> Cost:
    """What the passes cost that a run has still to buy; what may have arrived is looked for, and bought already."""
    doubtful = [one.item for one in spend.purchases(store, before.id) if one.state in OPEN]
    folder = store.workspace.run(before.id)
    candidates = [Candidate.from_json(one) for one in before.spec["candidates"]]
    paths = {image_id: copy_path(store, row) for image_id, row in plan.parents.items()}
    side = int(before.spec["side"])

    def wanted(one: Candidate, step: Pass) -> bool:
        return left_to_do(folder, one, step) and not any(key_of(one, step) in item for item in doubtful)

    return priced(plan.engine, candidates, paths, plan.base_model, side, wanted).cost
