"""write_captions with mode=vision, up to the run: which images, what is asked, the price, and a person's yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loradeck.engines.base import Captioner, CaptionJob, Cost
from loradeck.state import runs, spend
from loradeck.state.files import new_id
from loradeck.state.records import DatasetRecord, ImageRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunKind, RunState, WriteCaptionsArgs, WriteCaptionsResult
from loradeck.tools.datasets import all_images, captions_of, copy_path, editing
from loradeck.tools.disk_changes import take_in_captions
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.facts import set_facts
from loradeck.tools.house_file import house_of
from loradeck.tools.spending.agreement import Offer, Quoted, agree, commit
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions.instructions import again, instructions, schema
from loradeck.tools.write_captions.request import understood

WAIT_SECONDS = 20.0
RESUMABLE = (RunState.LOST, RunState.CANCELLED, RunState.FAILED)
LONGEST = "x" * 1500
"""Stands for what is said with a second try, in the worst case."""


@dataclass(frozen=True)
class Plan:
    """What a call would do. `asked` is JSON of all that the caller and the set decide; `staying` are the numbers of
    images that may not leave the machine, `captioned` how many keep the caption that they have.
    """

    dataset: DatasetRecord
    captioner: Captioner
    images: list[ImageRecord]
    asked: dict[str, Any]
    staying: list[int]
    captioned: int

    @property
    def told(self) -> list[str]:
        """What is left out, and what is to know of who describes."""
        said = []
        if self.captioned:
            said.append(f"{self.captioned} captions are kept as they are (overwrite=false).")
        if self.staying:
            numbers = ", ".join(map(str, self.staying))
            said.append(f"IMG-RIGHTS: marked as not to leave this machine, and so left out: {numbers}.")
        if not self.captioner.follows:
            said.append(
                f"CAP-ORIGIN: {self.captioner.name} words captions as it likes; they are marked as a machine's."
            )
        return said


def handle(args: WriteCaptionsArgs, bench: Workbench, dataset: DatasetRecord) -> WriteCaptionsResult:
    """Quote, start, go on with, or give back a run that describes pictures.

    Raises BadArgument, NotFound, Refused, and NotInstalled where nobody is ready to describe.
    """
    runs.recover(bench.store, bench.launch)
    bought = _bought(bench.store, args.quote_id)
    if bought is not None:
        return _followed(bench, bought, [])
    plan = _planned(args, bench, dataset)
    twin = _twin(bench.store, plan)
    if twin is not None:
        return _joined(bench, twin)
    if not plan.images:
        return _nothing(plan)
    cost = _cost(plan, bench.store)
    agreed = agree(bench, _offer(plan, cost), args.quote_id, args.max_cost_usd)
    if isinstance(agreed, Quoted):
        return WriteCaptionsResult(
            summary=" ".join([agreed.summary, *plan.told]),
            next_step=agreed.next_step,
            dataset_id=dataset.id,
            accepted=0,
            quote_id=agreed.quote_id,
        )
    run_id = new_id("run")
    spec = {"asked": plan.asked, "images": [image.id for image in plan.images], "told": plan.told}
    columns = {"dataset_id": dataset.id, "name": dataset.name, "engine": plan.captioner.name}
    with bench.store.transaction():
        twin = _twin(bench.store, plan)  # another call may have been quicker while the person was asked
        if twin is None:
            runs.enqueue(bench.store, RunKind.CAPTION, spec, run_id=run_id, **columns)
            commit(bench.store, agreed, run_id)
    if twin is not None:
        return _joined(bench, twin)
    bench.launch(run_id)
    return _followed(bench, runs.get(bench.store, run_id), plan.told)


def jobs_of(store: Store, images: Sequence[ImageRecord], asked: dict[str, Any], said: str = "") -> list[CaptionJob]:
    """The request for each image: its training copy, and what it goes with."""
    return [
        CaptionJob(image.id, copy_path(store, image), asked["instructions"], asked["schema"], said) for image in images
    ]


# --------------------------------------------------------------------------- what is asked


def _planned(args: WriteCaptionsArgs, bench: Workbench, dataset: DatasetRecord) -> Plan:
    if any(item.caption is not None or item.attributes is not None for item in args.images):
        raise BadArgument(
            "mode=vision looks at the pictures itself, so nothing was taken; name images by image_id alone, and give "
            "captions and attributes in a call of their own (mode=given)."
        )
    store, captioner = bench.store, bench.engines.captioner(args.engine)
    named = understood(all_images(store, dataset.id), args.images)
    with editing(store, dataset.id):
        take_in_captions(store, dataset.id)
    captions = captions_of(store, dataset.id)
    meant = [image for image in named.kept if not args.images or image.id in named.named]
    staying = [image.number for image in meant if image.rights.get("may_leave") is False]
    fresh = [image for image in meant if args.overwrite or image.id not in captions]
    facts = set_facts(dataset, named.kept, captions, house=house_of(store, dataset.id))
    asked = {
        "images": sorted(named.named),
        "overwrite": args.overwrite,
        "engine": captioner.name,
        "follows": captioner.follows,
        "trigger": facts.trigger,
        "instructions": instructions(facts),
        "schema": schema(facts),
    }
    leaving = [image for image in fresh if image.rights.get("may_leave") is not False]
    if fresh and not leaving:
        raise Refused(
            f"IMG-RIGHTS: these images are marked as not to leave this machine, and {captioner.name} is elsewhere; "
            "nothing was sent. Look with view_images and write their captions yourself (mode=given)."
        )
    return Plan(dataset, captioner, leaving, asked, staying, len(meant) - len(fresh))


def _cost(plan: Plan, store: Store) -> Cost:
    """The captioner's price; at worst every caption is refused once, and worded a second time at the full price."""
    cost = plan.captioner.estimate(jobs_of(store, plan.images, plan.asked))
    if not plan.captioner.follows or cost.worst_usd is None:
        return cost
    second = jobs_of(store, plan.images, plan.asked, again("", [LONGEST]))
    worst = sum(plan.captioner.estimate([job]).worst_usd or 0.0 for job in second)
    return replace(cost, worst_usd=cost.worst_usd + worst)


def _offer(plan: Plan, cost: Cost) -> Offer:
    pictures = len(plan.images)
    return Offer(
        call="write_captions",
        provider=plan.captioner.name,
        what=f"describing {pictures} picture{'' if pictures == 1 else 's'} of {plan.dataset.name!r} ({cost.basis})",
        binding=[plan.asked, [[image.id, image.copy_sha256] for image in plan.images]],
        cost=cost,
    )


# --------------------------------------------------------------------------- runs that are there


def _bought(store: Store, quote_id: str | None) -> RunRecord | None:
    """The run that a quote was agreed to for; one that ended early goes on by its twin."""
    record = spend.find_quote(store, quote_id) if quote_id else None
    run = store.find(RunRecord, record.run_id) if record is not None and record.run_id else None
    return run if run is not None and run.kind == RunKind.CAPTION and run.state not in RESUMABLE else None


def _twin(store: Store, plan: Plan) -> RunRecord | None:
    """The newest run on the dataset, where it was asked for in the same words and is under way or ended early.

    Raises Refused while another one is at work.
    """
    found = store.where(
        RunRecord, "kind = ? and dataset_id = ?", [RunKind.CAPTION, plan.dataset.id], order="rowid desc", limit=1
    )
    run = found[0] if found else None
    if run is None or run.state == RunState.SUCCEEDED:
        return None
    if run.spec["asked"] == plan.asked:
        return run
    if run.state in runs.ACTIVE:
        raise Refused(
            f"{run.id} is still describing pictures of {plan.dataset.name!r}; wait with check_status(run_id="
            f'"{run.id}"), or stop it with stop_run, then call again.'
        )
    return None


def _joined(bench: Workbench, run: RunRecord) -> WriteCaptionsResult:
    """The same call again: what ended early goes on, within what was agreed to for it."""
    if run.state in runs.ACTIVE:
        return _followed(bench, run, [])
    queued = runs.requeue(bench.store, run.id)
    runs.add_event(bench.store, run.id, "Resumed on request; what was described is kept and not paid again.")
    bench.launch(run.id)
    return _followed(bench, queued, [f"{run.id} goes on; what it had described is not paid again."])


def _followed(bench: Workbench, run: RunRecord, told: list[str]) -> WriteCaptionsResult:
    """The run's own answer when it ends soon, else where it stands."""
    run = wait_until(bench.store, run.id, WAIT_SECONDS, tell=bench.progress)
    state = RunState(run.state)
    if state == RunState.SUCCEEDED and run.result is not None:
        return WriteCaptionsResult.model_validate(run.result).model_copy(update={"run_id": run.id, "state": state})
    stands = (run.error or run.message or run.state).rstrip(".")
    goes_on = "stopped" if state.ended else "goes on"
    return WriteCaptionsResult(
        summary=" ".join([f"Describing the pictures {goes_on} in {run.id}: {stands}.", *told]),
        next_step=(
            "Mend what the summary says, then make the same call again; what was described is not paid again."
            if state.ended
            else f'check_status(run_id="{run.id}", wait_seconds=20) until it succeeded; its result is this answer.'
        ),
        run_id=run.id,
        state=state,
        dataset_id=str(run.dataset_id),
        accepted=0,
    )


def _nothing(plan: Plan) -> WriteCaptionsResult:
    """The answer where every image that was meant has its caption."""
    return WriteCaptionsResult(
        summary=" ".join(["There is nothing to describe, and nothing was spent.", *plan.told]),
        next_step=f'validate_coverage(dataset_id="{plan.dataset.id}"); or write_captions with overwrite=true.',
        dataset_id=plan.dataset.id,
        accepted=0,
    )
