"""Everything that is decided before a training is queued: the set, its verdict, the engine, the plan, the price."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loradeck.engines.base import Cost, Engine, TrainSpec
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.state.records import DatasetRecord, LoraRecord
from loradeck.tools.contracts import Estimate, StartTrainingArgs, TrainingPlan, ValidateResult, Verdict
from loradeck.tools.datasets import captions_of, copy_path, find_dataset, kept_images
from loradeck.tools.disk_changes import hashes_now
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.leaving import must_not_leave
from loradeck.tools.library import find_lora, require_whole
from loradeck.tools.rulebook.tables import NEVER_WAIVED
from loradeck.tools.spending.sums import estimated
from loradeck.tools.start_training.plan import make_plan, train_spec
from loradeck.tools.start_training.snapshot import mask_hashes
from loradeck.tools.start_training.told import what_to_know
from loradeck.tools.workbench import Workbench

Source = tuple[Path, str, str | None]


@dataclass(frozen=True)
class Blocked:
    """A set that did not pass."""

    dataset: DatasetRecord
    report: ValidateResult


@dataclass(frozen=True)
class Prepared:
    """A training that may start. `sources` are (image file, caption, SHA-256 of the judged image).

    `asked` are the arguments of the call, for a call that differs in one of them.
    """

    dataset: DatasetRecord
    fingerprint: str
    name: str
    trigger: str
    plan: TrainingPlan
    estimate: Estimate
    preview: bool
    advanced: dict[str, Any]
    parent: LoraRecord | None
    sources: list[Source]
    asked: dict[str, Any]
    engine: Engine
    cost: Cost
    train: TrainSpec

    def identity(self) -> dict[str, Any]:
        """What makes two calls the same training: the set that passed, and everything that decides the weights."""
        numbers = self.plan.model_dump(mode="json", exclude={"told", "waived", "passes_over_set", "maps"})
        start = self.parent.sha256 if self.parent else None
        same = {"fingerprint": self.fingerprint, "name": self.name, **numbers, "advanced": self.advanced, "from": start}
        if self.advanced.get("masked_loss"):
            same["masks"] = mask_hashes(image for image, _, _ in self.sources)
        return same

    def spec(self) -> dict[str, Any]:
        """What the job needs, as JSON."""
        return {
            "plan": self.plan.model_dump(mode="json"),
            "estimate": self.estimate.model_dump(mode="json"),
            "trigger": self.trigger,
            "profile": self.dataset.profile,
            "preview": self.preview,
            "advanced": self.advanced,
            "parent_lora_id": self.parent.id if self.parent else None,
            "asked": self.asked,
        }

    def columns(self) -> dict[str, Any]:
        """The columns of the run's row."""
        return {
            "name": self.name,
            "dataset_id": self.dataset.id,
            "engine": self.plan.engine,
            "base_model": self.plan.base_model,
            "fingerprint": self.fingerprint,
            "steps": self.plan.steps,
            "waived": [waiver.model_dump() for waiver in self.plan.waived],
        }


def prepare(args: StartTrainingArgs, bench: Workbench) -> Prepared | Blocked:
    """Judge the set afresh and plan its training; `Blocked` when it does not pass."""
    parent = find_lora(bench.store, args.continue_from) if args.continue_from else None
    if parent is not None:
        require_whole(parent)
    dataset = _dataset(args, bench, parent)
    base_model = _base(args, dataset, parent)
    engine = _engine(args, bench, base_model)
    must_not_leave(engine, kept_images(bench.store, dataset.id))
    with bench.store.transaction():  # so that what is judged and what is set aside are the same
        report = _judge(args, bench, dataset)
        sources = _sources(bench, dataset)
        _must_be_what_was_judged(bench, dataset, report)
    if report.verdict == Verdict.FAIL:
        return Blocked(dataset, report)
    if not dataset.trigger:
        raise Refused(f"CAP-TRIGGER: {dataset.name!r} has no trigger; set one with curate_dataset(trigger=...).")
    plan = make_plan(
        args.model_copy(update={"rank": args.rank or (parent.rank if parent else None)}),
        engine=engine.name,
        base_model=base_model,
        defaults=engine.defaults(base_model, len(sources), dataset.profile),
        captions=[caption for _, caption, _ in sources],
        trigger=dataset.trigger,
    )
    return _prepared(args, bench, engine, plan, dataset, dataset.trigger, report.fingerprint, parent, sources)


def _prepared(
    args: StartTrainingArgs,
    bench: Workbench,
    engine: Engine,
    plan: TrainingPlan,
    dataset: DatasetRecord,
    trigger: str,
    fingerprint: str,
    parent: LoraRecord | None,
    sources: list[Source],
) -> Prepared:
    """The plan with what the engine says about it, and its price."""
    name = args.name or (parent.name if parent else dataset.name)
    spec = train_spec(
        plan,
        run_id="run_planned",
        run_dir=bench.store.workspace.run("run_planned"),
        name=name,
        trigger=trigger,
        profile=dataset.profile,
        warm_start=Path(parent.path) if parent else None,
        cache=bench.store.workspace.cache,
        advanced=args.advanced,
    )
    remarks = _remarks(engine, spec)
    base = engine.capabilities.base(plan.base_model)
    cost = engine.estimate(spec)
    told = what_to_know(plan, dataset.target_model, remarks)
    return Prepared(
        dataset=dataset,
        fingerprint=fingerprint,
        name=name,
        trigger=trigger,
        plan=plan.model_copy(update={"told": told, "maps": engine.maps(spec)}),
        estimate=estimated(cost),
        preview=base is not None and base.preview,
        advanced=args.advanced,
        parent=parent,
        sources=sources,
        asked=args.model_dump(mode="json", exclude_unset=True, exclude={"quote_id", "max_cost_usd"}),
        engine=engine,
        cost=cost,
        train=spec,
    )


def _remarks(engine: Engine, spec: TrainSpec) -> list[str]:
    """What the engine says of the spec. Raises BadArgument for what it refuses: a run of it would only fail."""
    try:
        return engine.check(spec)
    except (BadSpec, BadWeights) as error:
        raise BadArgument(
            f"{engine.name} cannot train this: {error} Nothing was started; correct it and call start_training again."
        ) from error


def _dataset(args: StartTrainingArgs, bench: Workbench, parent: LoraRecord | None) -> DatasetRecord:
    ref = args.dataset_id or (parent.dataset_id if parent else None)
    if ref is None:
        raise BadArgument(
            "start_training needs a dataset_id (or resume with a run's id); check_status without an id lists datasets."
        )
    return find_dataset(bench.store, ref)


def _base(args: StartTrainingArgs, dataset: DatasetRecord, parent: LoraRecord | None) -> str:
    """The base to train: as asked, else the LoRA's that is trained further, else the dataset's target model."""
    asked = args.base_model.value if args.base_model else None
    if parent is not None and asked not in {None, parent.base_model}:
        raise BadArgument(
            f"{parent.id} was trained on {parent.base_model} and cannot go on on {asked}; leave base_model out, or "
            "leave continue_from out to train a new LoRA."
        )
    return asked or (parent.base_model if parent else dataset.target_model)


def _engine(args: StartTrainingArgs, bench: Workbench, base_model: str) -> Engine:
    """The engine asked for, ready, with the options that it knows."""
    engine = bench.engines.choose(base_model, "train") if args.engine == "auto" else bench.engines.open(args.engine)
    offered = engine.capabilities
    able = [base.name for base in offered.base_models if "train" in base.abilities]
    if base_model not in able:
        _say_what_instead(engine, base_model)
        raise BadArgument(
            f"{engine.name} does not train {base_model}; it trains {', '.join(able) or 'nothing'}. Choose that "
            "base_model, or another engine."
        )
    ready = engine.available()
    if not ready.ready:
        raise Refused(f"{engine.name} cannot train now: {ready.why} {ready.fix}".strip())
    for option in args.advanced:
        if option not in offered.advanced:
            near = difflib.get_close_matches(option, offered.advanced, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(offered.advanced) or 'none'}."
            raise BadArgument(f"{engine.name} has no option {option!r} in advanced; {hint}")
    return engine


def _say_what_instead(engine: Engine, base_model: str) -> None:
    """Raises BadArgument with the engine's own words on a base that it does not train, where it has any."""
    try:
        engine.defaults(base_model, 1, "style")
    except BadSpec as error:
        raise BadArgument(str(error)) from error


def _judge(args: StartTrainingArgs, bench: Workbench, dataset: DatasetRecord) -> ValidateResult:
    """The verdict of this moment by the dataset's own target model, with the waivers that were asked for."""
    from loradeck.tools.rulebook.manifest import IDS
    from loradeck.tools.validate_coverage.tool import judge_now

    waived = frozenset(waiver.rule_id for waiver in args.waive)
    forbidden = sorted(waived & NEVER_WAIVED)
    if forbidden:
        raise BadArgument(
            f"{', '.join(forbidden)} cannot be waived; leave it out of waive and mend what it finds "
            "(validate_coverage tells)."
        )
    for rule in sorted(waived - IDS):
        near = difflib.get_close_matches(rule, IDS, n=1, cutoff=0.0)
        raise BadArgument(f"There is no rule {rule!r} to waive; the nearest is {near[0]!r}. Findings name their rules.")
    return judge_now(bench.store, dataset, waived=waived)


def _must_be_what_was_judged(bench: Workbench, dataset: DatasetRecord, report: ValidateResult) -> None:
    """Raises Refused where the folder changed since: the transaction guards the rows alone."""
    from loradeck.tools.rulebook.fingerprint import fingerprint
    from loradeck.tools.validate_coverage.tool import facts_now

    if fingerprint(facts_now(bench.store, dataset)) != report.fingerprint:
        raise Refused("TRN-FINGERPRINT: the dataset changed while it was judged; call start_training again.")


def _sources(bench: Workbench, dataset: DatasetRecord) -> list[Source]:
    """The kept images with their captions; the bare trigger stands in where a caption is missing and that passed."""
    captions, images = captions_of(bench.store, dataset.id), kept_images(bench.store, dataset.id)
    hashes = hashes_now(bench.store, dataset.id, images)
    return [
        (
            copy_path(bench.store, image),
            captions[image.id].text if image.id in captions else dataset.trigger or "",
            hashes.get(image.id, image.copy_sha256),
        )
        for image in images
    ]
