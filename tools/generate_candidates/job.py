"""What the worker does for candidates: the passes, then every finished picture into the dataset as a proposal.

Re-entrant: started again after a kill it makes only what is not on the disk, and proposes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loradeck.engines.errors import EngineError
from loradeck.state.records import ImageRecord
from loradeck.tools.contracts import CandidatesResult
from loradeck.tools.curate_dataset.beside import Notes, attributes_of
from loradeck.tools.curate_dataset.drawn import Drawn, propose_drawn
from loradeck.tools.datasets import copy_path, kept_images
from loradeck.tools.errors import Refused
from loradeck.tools.generate_candidates.answers import drawn_answer
from loradeck.tools.generate_candidates.captions import mode_of
from loradeck.tools.generate_candidates.chain import Candidate
from loradeck.tools.generate_candidates.drawing import Drawing
from loradeck.tools.generate_candidates.passes import final_place
from loradeck.tools.workbench import Job

MISSING = "candidates.missing"
"""Journal key: how many candidates a run could not finish; the same call again makes them."""


def run(job: Job) -> CandidatesResult:
    """Draw the candidates of the run's specification and propose them. Raises what the engine and the store raise."""
    spec = job.run.spec
    dataset_id = str(job.run.dataset_id)
    parents = {row.id: row for row in kept_images(job.store, dataset_id)}
    drawing = Drawing(
        engine=job.engines.open(job.run.engine),
        candidates=[Candidate.from_json(one) for one in spec["candidates"]],
        folder=job.store.workspace.run(job.run.id),
        parents={image_id: copy_path(job.store, row) for image_id, row in parents.items()},
        base_model=job.run.base_model,
        side=spec["side"],
        reporter=job.reporter,
    )
    try:
        drawing.draw()
    except EngineError:  # stopped, out of money, out of reach: what is finished is kept all the same
        drawing.sift()
        _enter(job, drawing, parents)
        raise
    rows = _enter(job, drawing, parents)
    finished = {one.number for one in drawing.finished}
    missing = [one for one in drawing.candidates if one.number not in finished]
    job.reporter.journal.put(MISSING, len(missing))
    if not finished:
        raise Refused(
            f"None of {len(missing)} candidates came out. {' '.join(list(drawing.told)[:3])} The same call again asks "
            "for them once more."
        )
    return drawn_answer(job, drawing, rows, len(missing))


def _enter(job: Job, drawing: Drawing, parents: Mapping[str, ImageRecord]) -> dict[int, ImageRecord]:
    """Propose what is finished; returns its rows by the candidates' numbers."""
    drawn = {one.number: _drawn(job, one, parents, drawing.spent_on(one)) for one in drawing.finished}
    rows = propose_drawn(job.store, str(job.run.dataset_id), list(drawn.values()), lambda: None)
    return {number: rows[one.origin] for number, one in drawn.items() if one.origin in rows}


def _drawn(job: Job, one: Candidate, parents: Mapping[str, ImageRecord], usd: float | None) -> Drawn:
    """A finished candidate with what is known of it."""
    mine = [parents[image_id] for image_id in one.parents if image_id in parents]
    return Drawn(
        path=final_place(job.store.workspace.run(job.run.id), one),
        name=f"{job.run.id}_{one.number:03}.png",
        origin=f"{job.run.id}/{one.number}",
        notes=Notes(
            attributes=attributes_of({**one.attributes, "source_engine": job.run.engine}),
            rights=_rights(job, mine),
            facts={"candidate": {**_story(job, one), "usd": usd}},
        ),
        caption=one.caption,
        mode=mode_of(one),
    )


def _rights(job: Job, parents: Sequence[ImageRecord]) -> dict[str, Any]:
    """Where it comes from; what was made from a picture that may not leave this machine may not leave it either."""
    of = f" from {', '.join(f'image {row.number}' for row in parents)}" if parents else ""
    found: dict[str, Any] = {"source": f"drawn by {job.run.engine}{of} ({job.run.id})"}
    if job.run.spec["licence"]:
        found["licence"] = job.run.spec["licence"]
    if any(row.rights.get("may_leave") is False for row in parents):
        found["may_leave"] = False
    return found


def _story(job: Job, one: Candidate) -> dict[str, Any]:
    """How it was made, for whoever asks later."""
    return {
        "run_id": job.run.id,
        "engine": job.run.engine,
        "mode": job.run.spec["mode"],
        "base_model": job.run.base_model,
        "passes": [str(step) for step in one.passes],
        "shot": one.shot,
        "draw_prompt": one.prompt or one.said,
        "seed": one.seed,
        "parents": list(one.parents),
    }
