"""The same training by each engine that can do it: price, minutes, licence, and what each ignores or refuses."""

from __future__ import annotations

from dataclasses import replace

from loradeck.engines.base import Engine, TrainSpec
from loradeck.engines.errors import BadSpec, BadWeights, NotInstalled, ProviderError
from loradeck.tools.contracts import EngineOffer
from loradeck.tools.spending.sums import money
from loradeck.tools.start_training.prepare import Prepared
from loradeck.tools.workbench import Engines


def side_by_side(engines: Engines, prepared: Prepared) -> list[EngineOffer]:
    """One offer an engine, the chosen one first; empty where there is no other."""
    base = prepared.plan.base_model
    offers = [_offer(prepared.engine, prepared.train)]
    for name in engines.names():
        if name == prepared.engine.name:
            continue
        try:
            engine = engines.open(name)
        except NotInstalled:
            continue
        info = engine.capabilities.base(base)
        if info is not None and "train" in info.abilities:
            offers.append(_offer(engine, _as_asked(engine, prepared)))
    return offers if len(offers) > 1 else []


def _as_asked(engine: Engine, prepared: Prepared) -> TrainSpec:
    """The same call for another engine: numbers that the caller named stay, the others are that engine's own."""
    own = engine.defaults(prepared.plan.base_model, prepared.plan.images, prepared.dataset.profile)
    recipe = {
        name: getattr(own, name)
        for name in ("steps", "rank", "alpha", "learning_rate", "batch_size", "resolution")
        if name not in prepared.asked
    }
    return replace(prepared.train, **recipe, advanced={})


def _offer(engine: Engine, spec: TrainSpec) -> EngineOffer:
    info = engine.capabilities.base(spec.base_model)
    ready = engine.available()
    told = [] if ready.ready else [f"{ready.why} {ready.fix}".strip()]
    offer = EngineOffer(engine=engine.name, ready=ready.ready, licence=info.licence if info else "")
    try:
        told += engine.check(spec)
        cost = engine.estimate(spec)
    except (BadSpec, BadWeights, ProviderError) as error:
        return offer.model_copy(update={"ready": False, "told": [*told, str(error)]})
    return offer.model_copy(update={"minutes": cost.minutes, "usd": money(cost.usd), "told": told})
