"""What generate_candidates answers: the plan with its prices, where a run stands, the proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loradeck.state.records import ImageRecord, RunRecord
from loradeck.tools.contracts import Candidate as Row
from loradeck.tools.contracts import CandidatesResult, ImageStatus, RunState
from loradeck.tools.datasets import copy_path
from loradeck.tools.generate_candidates.chain import Candidate
from loradeck.tools.generate_candidates.drawing import Drawing
from loradeck.tools.generate_candidates.plan import Plan
from loradeck.tools.spending.agreement import Quoted
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Job

MOST_ROWS = 60
MOST_CHARACTERS = 16_000
"""Of all prompts, captions and shots together: an answer is for reading in one go."""
MOST_TOLD = 12


def drawn_answer(job: Job, drawing: Drawing, rows: Mapping[int, ImageRecord], missing: int) -> CandidatesResult:
    """The result of a run: what is proposed, what was set aside at once, what is missing."""
    dataset_id = str(job.run.dataset_id)
    proposed = {number: row for number, row in rows.items() if row.status == ImageStatus.PROPOSED}
    told = [*job.run.spec["told"], *drawing.told]
    for number, row in rows.items():
        if row.status == ImageStatus.REJECTED and row.reasons:
            told.append(f"Candidate {number} was set aside: {row.reasons[-1]['rule_id']}: {row.reasons[-1]['why']}")
    made = [one for one in drawing.candidates if one.number in proposed]
    listed = _listed(made, {number: row.facts["candidate"]["usd"] for number, row in proposed.items()})
    for one, told_row in zip(made, listed, strict=False):
        told_row.image_id = proposed[one.number].id
        told_row.path = str(copy_path(job.store, proposed[one.number]))
    again = f" {missing} more failed: the same call again makes them alone." if missing else ""
    numbers = [row.number for row in proposed.values()]
    span = f" ({_span(min(numbers), max(numbers))})" if numbers else ""
    count = f"{len(proposed)} candidate{'s' * (len(proposed) != 1)}"
    preview = bool(job.run.spec["preview"])
    summary = f"{count} proposed for {job.run.name!r}{span}; none trains until it is kept.{again}"
    return CandidatesResult(
        summary=f"{summary} {PREVIEW_NOTE}" if preview else summary,
        next_step=(
            f'Look with view_images(of="{dataset_id}", what="sheet"), then curate_dataset(dataset_id="{dataset_id}", '
            "keep=[...], reject=[...]) by their numbers."
        ),
        run_id=job.run.id,
        state=RunState.SUCCEEDED,
        dataset_id=dataset_id,
        candidates=listed,
        told=_shortened(told, len(made)),
    )


def standing(run: RunRecord) -> CandidatesResult:
    """The run's own answer once it succeeded, else where it stands."""
    if run.state == RunState.SUCCEEDED and run.result is not None:
        return CandidatesResult.model_validate(run.result)
    state = RunState(run.state)
    if state.ended:
        summary = f"The candidates of {run.name!r} {state}: {run.error or run.message or 'what was done is kept.'}"
        step = "The same call again goes on with what is missing; what is finished is proposed already."
    else:
        summary = f"{run.name}: {run.step} of {run.steps} pictures are made ({state}). It goes on by itself."
        step = f'check_status(run_id="{run.id}", wait_seconds=25) tells when it is done; stop_run ends it.'
    return CandidatesResult(
        summary=summary,
        next_step=step,
        run_id=run.id,
        state=state,
        dataset_id=str(run.dataset_id),
        told=_shortened(run.spec["told"], 0),
    )


def quoted(plan: Plan, quote: Quoted) -> CandidatesResult:
    """The plan with every prompt and price; nothing was started."""
    count = f"{len(plan.candidates)} candidates by {plan.engine.name}, mode {plan.mode}."
    shared = next((_shared(one) for one in plan.candidates if one.prompt != one.varies), "")
    told = [count, *plan.price.said, *([shared] if shared else []), *plan.told]
    return CandidatesResult(
        summary=quote.summary,
        next_step=quote.next_step,
        dataset_id=plan.dataset.id,
        candidates=_listed(plan.candidates, plan.price.each),
        told=_shortened(told, len(plan.candidates)),
        quote_id=quote.quote_id,
    )


def _shared(one: Candidate) -> str:
    """What all prompts of a plan have in common, said once."""
    return f"Each of these prompts stands where [...] is: {one.prompt.replace(one.varies, '[...]')}"


def _span(first: int, last: int) -> str:
    return f"number {first}" if first == last else f"numbers {first} to {last}"


def _listed(candidates: Sequence[Candidate], prices: Mapping[int, float | None]) -> list[Row]:
    """Rows of an answer, as many and as long as can be read in one go."""
    shown = candidates[:MOST_ROWS]
    longest = MOST_CHARACTERS // (3 * max(1, len(shown)))
    return [
        Row(
            shot=_cut(one.shot, longest),
            draw_prompt=_cut(one.said, longest),
            caption=_cut(one.caption, longest),
            usd=prices[one.number],
        )
        for one in shown
    ]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _shortened(told: Sequence[str], made: int) -> list[str]:
    """The first of what is to be said, and how much more there is."""
    said = [*told[:MOST_TOLD]]
    if len(told) > MOST_TOLD:
        said.append(f"{len(told) - MOST_TOLD} more remarks; worker.log in the run's folder has the run's events.")
    if made > MOST_ROWS:
        said.append(f"{made - MOST_ROWS} more candidates are not listed; curate_dataset with the dataset_id lists all.")
    return said
