"""What a worker does for mode=vision: hear each description, judge it, save it or send it back once.

Every caption is saved as it comes, in one transaction with the word that it was: a run that is cut goes on where it
was, hears its answers again from the journal, and leaves alone what it has done.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from loradeck.engines.base import Captioner, CaptionJob, Described
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.tools.contracts import (
    HOSTED,
    AttributeSource,
    CaptionMode,
    Finding,
    ImageStatus,
    Severity,
    WriteCaptionsResult,
)
from loradeck.tools.datasets import all_images, captions_of, editing, find_dataset, write_folder
from loradeck.tools.disk_changes import take_in_captions, told_edits
from loradeck.tools.facts import merged, set_facts
from loradeck.tools.house_file import house_of
from loradeck.tools.reporter import patiently
from loradeck.tools.rulebook.tables import House
from loradeck.tools.workbench import Job
from loradeck.tools.write_captions.answer import Outcome, answer
from loradeck.tools.write_captions.drafts import Draft, Judged, judge_drafts
from loradeck.tools.write_captions.instructions import again
from loradeck.tools.write_captions.seen import attributes_of, worded
from loradeck.tools.write_captions.vision import jobs_of

KEPT = "kept"
SAVED, REFUSED, LEFT = "saved", "refused", "left"
"""What became of a description: LEFT where the image is set aside, or somebody else captioned it meanwhile."""


def run(job: Job) -> WriteCaptionsResult:
    """Describe the images of the run's specification. Re-entrant. Raises what the captioner and the store raise."""
    scribe = Scribe(job, job.engines.captioner(job.run.engine))
    told = [*scribe.first(), *scribe.second()]
    return scribe.result(told)


@dataclass(frozen=True)
class Heard:
    """What became of one description, as the journal keeps it. `tries` is 1, or 2 for one that was sent back."""

    what: str
    tries: int
    text: str = ""
    findings: tuple[dict[str, Any], ...] = ()
    proposal: str | None = None
    outranked: tuple[str, ...] = ()
    attributes: bool = False

    @property
    def goes_back(self) -> bool:
        """Refused once; or sent back already, which a run that goes on hears again."""
        return self.tries > 1 or self.what == REFUSED


class Scribe:
    """One run's captions."""

    def __init__(self, job: Job, captioner: Captioner) -> None:
        self._job, self._captioner = job, captioner
        self._store, self._reporter = job.store, job.reporter
        self._dataset_id = str(job.run.dataset_id)
        self._asked: dict[str, Any] = job.run.spec["asked"]
        self._ids: list[str] = job.run.spec["images"]
        self._edited: list[str] = []
        rows = {key: job.reporter.journal.get(f"{KEPT}-{key}") for key in self._ids}
        self._heard = {key: Heard(**row) for key, row in rows.items() if row is not None}

    def first(self) -> tuple[str, ...]:
        """Describe every image that is still kept. Returns sentences on those that could not be."""
        self._reporter.progress(0, len(self._ids), f"Asking {self._captioner.name} what the pictures show.")
        return self._describe(self._jobs(self._ids), 1)

    def second(self) -> tuple[str, ...]:
        """Send each refused caption back with its findings, once."""
        if not self._captioner.follows:
            return ()
        refused = {key: heard for key, heard in self._heard.items() if heard.goes_back}
        jobs = [replace(one, again=self._findings(refused[one.id])) for one in self._jobs(list(refused))]
        return self._describe(jobs, 2) if jobs else ()

    def result(self, told: list[str]) -> WriteCaptionsResult:
        """The answer: what was saved and refused, and what it cost."""
        heard = {key: self._heard[key] for key in self._ids if key in self._heard}
        with editing(self._store, self._dataset_id):
            dataset, images = self._set()
            facts = set_facts(dataset, images, captions_of(self._store, dataset.id), house=self._house())
        numbers = {image.id: image.number for image in all_images(self._store, dataset.id)}
        outcome = Outcome(
            judged=[self._judged(key, one) for key, one in heard.items() if one.what != LEFT],
            skipped=0,
            set_aside=[],
            outranked=[f"{name} of image {numbers[key]}" for key, one in heard.items() for name in one.outranked],
            unknown=[],
            strange_codes=[],
            attributes=sum(one.attributes for one in heard.values()),
            after=facts,
        )
        plain = answer(dataset.id, outcome)
        left = [str(numbers[key]) for key, one in heard.items() if one.what == LEFT and key in numbers]
        words = [plain.summary, self._cost(), *self._job.run.spec["told"], *told, *told_edits(self._edited)]
        if left:
            words.append(f"Captioned or set aside by somebody meanwhile, so left as they are: {', '.join(left)}.")
        return plain.model_copy(update={"summary": " ".join(words), "run_id": self._job.run.id})

    # ----------------------------------------------------------------- hearing

    def _describe(self, jobs: list[CaptionJob], tries: int) -> tuple[str, ...]:
        return self._captioner.describe(jobs, self._reporter, partial(self._take, tries=tries))

    def _jobs(self, ids: list[str]) -> list[CaptionJob]:
        wanted = set(ids)
        images = [image for image in all_images(self._store, self._dataset_id) if image.id in wanted]
        leaving = [image for image in images if image.rights.get("may_leave") is not False]
        return jobs_of(self._store, leaving, self._asked)

    def _take(self, described: Described, tries: int) -> None:
        """Judge a description and keep what is good of it, durably; one that was heard before is left alone."""
        before = self._heard.get(described.job_id)
        if before is None or before.tries < tries:
            with editing(self._store, self._dataset_id):
                self._edited += take_in_captions(self._store, self._dataset_id)
                self._heard[described.job_id] = patiently(lambda: self._keep(described, tries))
                write_folder(self._store, self._dataset_id)
        done = len(self._heard)
        self._reporter.progress(done, len(self._ids), f"{done} of {len(self._ids)} pictures are described.")

    def _keep(self, described: Described, tries: int) -> Heard:
        """What a description comes to, on the disk."""
        key = described.job_id
        dataset, images = self._set()
        captions = captions_of(self._store, dataset.id)
        row = next((image for image in images if image.id == key), None)
        if row is None or (key in captions and not self._asked["overwrite"]):
            return self._note(key, Heard(LEFT, tries))
        seen = attributes_of(described.attributes)
        values, sources, outranked = merged(row.attributes, row.sources, seen, AttributeSource.VISION)
        changed = (values, sources) != (row.attributes, row.sources)
        row = replace(row, attributes=values, sources=sources)
        facts = set_facts(
            dataset, [row if image.id == key else image for image in images], captions, house=self._house()
        )
        mode = CaptionMode.VISION if self._captioner.follows else HOSTED
        text = worded(described.caption, facts.trigger or "")
        (judged,) = judge_drafts(facts, [Draft(key, text, mode, seen=self._captioner.follows)])
        heard = Heard(
            REFUSED if judged.refused else SAVED,
            tries,
            text,
            tuple(finding.model_dump(mode="json") for finding in judged.findings),
            judged.proposal,
            tuple(outranked),
            changed,
        )
        with self._store.transaction():
            if changed:
                self._store.change(ImageRecord, key, attributes=values, sources=sources)
            if not judged.refused:
                self._store.add(CaptionRecord(key, dataset.id, text, mode, judged.draft.seen, list(heard.findings)))
            self._store.change(DatasetRecord, dataset.id)
            return self._note(key, heard)

    def _set(self) -> tuple[DatasetRecord, list[ImageRecord]]:
        """The dataset and its kept images, as they are now."""
        dataset = find_dataset(self._store, self._dataset_id)
        images = all_images(self._store, self._dataset_id)
        return dataset, [image for image in images if image.status == ImageStatus.KEPT]

    def _house(self) -> House:
        return house_of(self._store, self._dataset_id)

    # ----------------------------------------------------------------- the journal

    def _note(self, key: str, heard: Heard) -> Heard:
        self._reporter.journal.put(f"{KEPT}-{key}", asdict(heard))
        return heard

    def _findings(self, heard: Heard) -> str:
        found = [Finding.model_validate(row) for row in heard.findings]
        return again(heard.text, [one.why for one in found if one.severity != Severity.INFO])

    def _judged(self, key: str, heard: Heard) -> Judged:
        mode = CaptionMode.VISION if self._captioner.follows else HOSTED
        findings = [Finding.model_validate(row) for row in heard.findings]
        return Judged(Draft(key, heard.text, mode, self._captioner.follows), findings, heard.proposal)

    def _cost(self) -> str:
        bought = [one for one in self._reporter.purse.all() if one.state != "void"]
        known = sum(one.usd or 0.0 for one in bought)
        doubt = sum(one.worst_usd for one in bought if one.usd is None)
        unsure = f", and up to {doubt:.2f} more that is not known" if doubt else ""
        return f"It cost {known:.2f} USD at {self._captioner.name}{unsure}."
