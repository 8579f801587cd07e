"""What a deck's missing pictures cost, and whether the person agreed to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loradeck.engines.base import Cost, DrawJob, DrawRequest, Engine, LoraRef
from loradeck.state import runs, spend
from loradeck.state.records import PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RenderArgs, RunKind, RunState
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals.plan import Brush, Visual, groups
from loradeck.tools.render_deck_visuals.wish import Wish
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree
from loradeck.tools.spending.sums import total
from loradeck.tools.workbench import Workbench

NOWHERE = Path("not-drawn-yet")
ENDED_EARLY = (RunState.FAILED, RunState.CANCELLED, RunState.LOST)
OPEN = ("intended", "submitted", "unknown")


def unfinished(
    store: Store, deck_id: str, missing: Sequence[Visual], drawn: Mapping[str, set[str]]
) -> RunRecord | None:
    """The deck's last run, where it ended early with these very pictures left and bought some, or where a host has some
    of them, or may have: it goes on, since a new one would buy those once more.
    """
    newest = "created_at desc, rowid desc"
    last = store.where(RunRecord, "kind = ? and deck_id = ?", [RunKind.RENDER, deck_id], order=newest, limit=1)
    if not last or not _goes_on(store, last[0]):
        return None
    planned = [Visual.from_json(one) for one in last[0].spec["visuals"]]
    left = {one.recipe for one in planned if one.recipe not in drawn.get(one.slide, set())}
    return last[0] if left == {one.recipe for one in missing} else None


def _goes_on(store: Store, run: RunRecord) -> bool:
    """Whether a run has something to fetch or to find again; one picture in doubt keeps no run from succeeding."""
    bought = _bought(store, run)
    early = run.state in ENDED_EARLY and bool(bought)
    return early or (run.state not in runs.ACTIVE and any(one.state in OPEN for one in bought))


def agreed_on(
    args: RenderArgs, bench: Workbench, wanted: Wish, missing: list[Visual], before: RunRecord | None
) -> Agreed | Quoted | None:
    """What the person said to the price of the missing pictures (TRN-SPEND).

    None where they cost nothing, or where `before` goes on within what was agreed to for it; beyond that its whole
    cost is offered anew, what is spent included.
    """
    engine = bench.engines.open(wanted.style.engine)
    if not missing or not engine.capabilities.costs_money:
        return None
    what = f"drawing {len(missing)} pictures of {wanted.deck.title!r} on {wanted.style.base_model}"
    recipes = [visual.recipe for visual in missing]
    if before is None:
        return agree(bench, _offer(engine, what, recipes, _cost(bench, missing)), args.quote_id, args.max_cost_usd)
    bought, agreement = _bought(bench.store, before), spend.of_run(bench.store, before.id)
    used = spend.used_by(bought)
    cost = _cost(bench, [one for one in missing if not any(_is_of(item.item, one) for item in bought)])
    whole = total([cost, Cost(0.0, usd=used, price_source=cost.price_source, price_date=cost.price_date)])
    most = whole.worst_usd
    if agreement is not None and most is not None and most <= (agreement.max_cost_usd or 0.0) + spend.CENT:
        return None
    said = f"{what}, with {used:.2f} USD that {before.id} has spent or may have"
    offer = replace(_offer(engine, said, [*recipes, before.id, f"{used:.6f}"], whole), run_id=before.id)
    return agree(bench, offer, args.quote_id, args.max_cost_usd)


def _offer(engine: Engine, what: str, binding: list[str], cost: Cost) -> Offer:
    return Offer("render_deck_visuals", engine.name, what, binding, cost)


def _cost(bench: Workbench, visuals: Sequence[Visual]) -> Cost:
    """What these pictures cost."""
    costs = [
        bench.engines.open(group[0].brush.engine).estimate(_request(bench, group[0].brush, group))
        for group in groups(visuals)
    ]
    return total(costs) if costs else Cost(0.0, usd=0.0, worst_usd=0.0)


def _bought(store: Store, run: RunRecord) -> list[PurchaseRecord]:
    return [one for one in spend.purchases(store, run.id) if one.state != "void"]


def _is_of(item: str, visual: Visual) -> bool:
    """Whether a purchase is of a picture: engines name it by the job's id and seed."""
    return f"/{item}".endswith(f"/{visual.stem}/{visual.seed}")


def _request(bench: Workbench, brush: Brush, group: Sequence[Visual]) -> DrawRequest:
    """The request as the job will make it, as far as its price goes."""
    loras = [(find_lora(bench.store, look.lora_id), look) for look in brush.looks]
    return DrawRequest(
        brush.base_model,
        tuple(
            DrawJob(one.stem, one.prompt, one.seed, one.width, one.height, NOWHERE / f"{one.recipe}.png")
            for one in group
        ),
        tuple(LoraRef(Path(lora.path), look.strength, look.sha256, look.base_model) for lora, look in loras),
        brush.guidance,
        brush.steps,
        references=tuple(NOWHERE / one.name for one in brush.references),
    )
