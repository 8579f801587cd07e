"""What a deck's missing pictures cost, and whether the person agreed to it."""

from __future__ import annotations

from pathlib import Path

from loradeck.engines.base import Cost, DrawJob, DrawRequest, LoraRef
from loradeck.tools.contracts import RenderArgs
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals.plan import Brush, Visual, groups
from loradeck.tools.render_deck_visuals.wish import Wish
from loradeck.tools.spending.agreement import Agreed, Offer, Quoted, agree
from loradeck.tools.spending.sums import total
from loradeck.tools.workbench import Workbench

NOWHERE = Path("not-drawn-yet")


def agreed_on(args: RenderArgs, bench: Workbench, wanted: Wish, missing: list[Visual]) -> Agreed | Quoted | None:
    """What the person said to the price of the missing pictures; None where they cost nothing (TRN-SPEND)."""
    engine = bench.engines.open(wanted.style.engine)
    if not missing or not engine.capabilities.costs_money:
        return None
    costs = [engine.estimate(_request(bench, group[0].brush, group)) for group in groups(missing)]
    offer = Offer(
        call="render_deck_visuals",
        provider=engine.name,
        what=f"drawing {len(missing)} pictures of {wanted.deck.title!r} on {wanted.style.base_model}",
        binding=[visual.recipe for visual in missing],
        cost=total(costs) if costs else Cost(usd=0.0),
    )
    return agree(bench, offer, args.quote_id, args.max_cost_usd)


def _request(bench: Workbench, brush: Brush, group: list[Visual]) -> DrawRequest:
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
