"""What a comparison costs where a host draws some of it, and whether the person agreed to it (TRN-SPEND)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loradeck.engines.base import Cost
from loradeck.state import spend
from loradeck.state.files import sha256_json
from loradeck.state.records import LoraRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.drawing import request_for
from loradeck.tools.compare_renders.folder import drawn
from loradeck.tools.compare_renders.plan import Cell, Plan, Role
from loradeck.tools.compare_renders.wanted import Wanted
from loradeck.tools.contracts import CompareArgs, RunKind
from loradeck.tools.leaving import loras_must_not_leave, references_must_not_leave
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals.references import hashes_of
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree
from loradeck.tools.spending.sums import total
from loradeck.tools.workbench import Workbench

NOT_YET = "run_not-yet"


def made_before(store: Store, plan: Plan) -> RunRecord | None:
    """The last run of this very comparison: it goes on with what is missing, and buys nothing again."""
    values = [RunKind.COMPARE, plan.identity]
    last = store.where(RunRecord, "kind = ? and fingerprint = ?", values, order="created_at desc, rowid desc", limit=1)
    return last[0] if last else None


def left_of(store: Store, plan: Plan, before: RunRecord | None) -> list[Cell]:
    """The cells that are still to be drawn; one that was paid for and came to nothing is over, and was told."""
    if before is None:
        return plan.cells
    there = drawn(store, before.id, plan)
    over = [one for one in spend.purchases(store, before.id) if one.state == "settled"]
    left = [cell for cell in plan.cells if cell not in there]
    return [cell for cell in left if not any(bought_for(one, plan, cell) for one in over)]


def must_not_leave(bench: Workbench, plan: Plan, left: list[Cell]) -> None:
    """Raises Refused (IMG-RIGHTS) where a host would get an image that may not leave, or what learned from one.

    Raises NotFound for a LoRA that is not there any more, where something is left to be drawn with it.
    """
    for brush in dict.fromkeys(plan.brush_of(cell) for cell in left):
        engine = bench.engines.open(brush.engine)
        loras: list[LoraRecord] = [find_lora(bench.store, look.lora_id) for look in brush.looks]
        loras_must_not_leave(bench.store, engine, loras)
        references_must_not_leave(bench.store, engine, hashes_of(brush.references))


def agreed_on(
    args: CompareArgs, bench: Workbench, made: Wanted, left: list[Cell], before: RunRecord | None
) -> Agreed | Quoted | None:
    """What the person said to the price of what is left; None where it costs nothing.

    A run that goes on within what was agreed to for it needs no further word; beyond that its whole cost is offered
    anew, what is spent included.
    """
    plan = made.plan
    paid = [cell for cell in left if _costs(bench, plan, cell)]
    if not paid:
        return None
    bought = [one for one in spend.purchases(bench.store, before.id) if one.state != "void"] if before else []
    cost = _cost(bench, plan, [cell for cell in paid if not any(bought_for(one, plan, cell) for one in bought)])
    offer = _offer(plan, paid, cost)
    if before is None or not bought:
        return agree(bench, offer, args.quote_id, args.max_cost_usd)
    used, agreement = spend.used_by(bought), spend.of_run(bench.store, before.id)
    whole = total([cost, Cost(0.0, usd=used, price_source=cost.price_source, price_date=cost.price_date)])
    most = whole.worst_usd
    if agreement is not None and most is not None and most <= (agreement.max_cost_usd or 0.0) + spend.CENT:
        return None
    said = f"{offer.what}, with {used:.2f} USD that {before.id} has spent or may have"
    binding = [offer.binding, before.id, f"{used:.6f}"]
    offer = replace(offer, what=said, binding=binding, cost=whole, run_id=before.id)
    return agree(bench, offer, args.quote_id, args.max_cost_usd)


def bought_for(item: PurchaseRecord, plan: Plan, cell: Cell) -> bool:
    """Whether a purchase is of a cell: engines name it by the job's id and seed."""
    return f"/{item.item}".endswith(f"/{plan.stem(cell)}/{cell.seed}")


def usd_of(store: Store, run_id: str, plan: Plan, cells: Sequence[Cell]) -> dict[Cell, float | None]:
    """What each cell cost, None where the host has not told; a cell that was not bought cost nothing."""
    bought = {f"{one.item}": one for one in spend.purchases(store, run_id) if one.state != "void"}
    costs: dict[Cell, float | None] = {}
    for cell in cells:
        mine = [one for one in bought.values() if bought_for(one, plan, cell)]
        known = [one.usd for one in mine]
        costs[cell] = None if None in known else sum(usd for usd in known if usd is not None)
    return costs


def _costs(bench: Workbench, plan: Plan, cell: Cell) -> bool:
    return bench.engines.open(plan.columns[cell.column].brush.engine).capabilities.costs_money


def _cost(bench: Workbench, plan: Plan, cells: list[Cell]) -> Cost:
    costs = [
        bench.engines.open(plan.columns[group[0].column].brush.engine).estimate(
            request_for(bench.store, NOT_YET, plan, group, [])
        )
        for group in plan.groups(cells)
    ]
    return total(costs) if costs else Cost(0.0, usd=0.0, worst_usd=0.0)


def _offer(plan: Plan, paid: list[Cell], cost: Cost) -> Offer:
    engines = dict.fromkeys(plan.columns[cell.column].brush.engine for cell in paid)
    extra = sum(cell.role != Role.ASKED for cell in paid)
    what = f"drawing {len(paid)} pictures to compare {len(plan.columns)} variants"
    if extra:
        what += f" ({extra} of them without the trigger, for the leak)"
    binding = sha256_json([plan.identity, sorted(plan.stem(cell) for cell in paid)])
    return Offer("compare_renders", " and ".join(engines), what, binding, cost)
