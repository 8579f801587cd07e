"""An engine at a host, from a host and the rows of its table; all hosted engines are this one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from loradeck.engines.base import (
    Ability,
    Availability,
    BaseModelInfo,
    Capabilities,
    Cost,
    DatasetFolder,
    Defaults,
    DrawJob,
    DrawRequest,
    DrawResult,
    EditJob,
    EditRequest,
    LoraRef,
    Reporter,
    TrainResult,
    TrainSpec,
)
from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted import inputs, pricing, recipes, schema
from loradeck.engines.hosted.counter import Clocks, Counter, Now, Order, Sleep
from loradeck.engines.hosted.host import FindsTrainers, Host
from loradeck.engines.hosted.knowledge import Knowledge
from loradeck.engines.hosted.purchase import utc_now
from loradeck.engines.hosted.sending import Parcel, parcel
from loradeck.engines.hosted.table import DrawerRow, EditorRow, Table, TrainerRow
from loradeck.engines.story import leaned_on, story

TRAINER = "trainer"
"""The one advanced option: the endpoint that trains, by its name at the host."""
UPSCALE = "upscale"


@dataclass(frozen=True)
class _Brush:
    """How a request is drawn: the row, the endpoint (a trained model's own, where it draws by itself), the price."""

    row: DrawerRow
    endpoint: str
    rate: pricing.Rate


class HostedEngine:
    """Trains, draws, edits and enlarges at a host (see `engines.base.Engine`).

    `sleep`, `clock` (seconds) and `now` are for tests.
    """

    def __init__(
        self,
        host: Host,
        table: Table,
        *,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Now = utc_now,
    ) -> None:
        self.host, self.table = host, table
        self._clocks = Clocks(sleep, clock, now)
        self._known = Knowledge(host, self._clocks)
        self._found: dict[tuple[str, str], TrainerRow] = {}

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    @property
    def capabilities(self) -> Capabilities:
        """What the table's rows can do, with the licence of each base."""
        table = self.table
        rows: list[TrainerRow | DrawerRow] = [*table.trainers, *table.drawers]
        licences = {row.base_model: row.licence for row in reversed(rows)}
        bases = []
        for base in dict.fromkeys(row.base_model for row in rows):
            able: set[Ability] = {"train"} if table.trainer(base) else set()
            able |= {"draw"} if table.drawer(base) else set()
            bases.append(BaseModelInfo(base, frozenset(able), needs=f"a key of {self.name}", licence=licences[base]))
        every: set[Ability] = {ability for base in bases for ability in base.abilities}
        for editor in table.editors:
            every.add("upscale" if editor.model == UPSCALE else "edit")
        return Capabilities(frozenset(every), tuple(bases), True, True, (TRAINER,))

    def available(self) -> Availability:
        """Whether there is a key; nobody is asked."""
        return self.host.available()

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:  # noqa: ARG002  as all engines
        """The table's recipe; a host's price follows its steps, so they do not grow with the set."""
        trainer, drawer = self.table.trainer(base_model), self.table.drawer(base_model)
        if trainer is None and drawer is None:
            raise BadSpec(self._not_there(base_model, "train"))
        return recipes.defaults(trainer, drawer)

    def check(self, spec: TrainSpec) -> list[str]:
        """Remarks on what is ignored there, by the table and the live schema. Raises BadSpec for what it rejects."""
        row = self._trainer(spec)
        recipes.must_take(row, spec)
        sent = recipes.inputs(row, spec, "https://")
        fitted = schema.fitted(row.endpoint, sent, self._known.inputs(row.endpoint), (row.zip_field,))
        return [*recipes.remarks(row, spec), *fitted.told]

    def maps(self, spec: TrainSpec) -> list[str]:
        """How each argument reaches the endpoint, a sentence each."""
        row = self._trainer(spec)
        sent = recipes.inputs(row, spec, "https://")
        return [
            *recipes.maps(row, spec, self.name),
            *schema.fitted(row.endpoint, sent, self._known.inputs(row.endpoint), (row.zip_field,)).told,
        ]

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        """Minutes and USD, by the live price where the host tells one. Pictures that are there cost nothing."""
        if isinstance(spec, TrainSpec):
            row = self._trainer(spec)
            steps = recipes.steps_of(row, spec)
            rate = self._known.rate(row.endpoint, row.price, row.checked)
            fixed, per_thousand = row.minutes
            return pricing.cost(rate, [pricing.Amount(steps)], fixed + per_thousand * steps / 1000, row.endpoint)
        if isinstance(spec, DrawRequest):
            brush = self._brush(spec)
            return self._cost(brush.rate, brush.endpoint, brush.row.seconds, spec.jobs)
        editor = self._editor(spec.model)
        rate = self._known.rate(editor.endpoint, editor.price, editor.checked)
        return self._cost(rate, editor.endpoint, editor.seconds, [one.draw for one in spec.jobs])

    def train(self, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter) -> TrainResult:
        """Learn a LoRA there. Re-entrant: after a crash it goes on with the request that was bought."""
        from loradeck.engines.hosted import training

        row = self._trainer(spec)
        rate = self._known.rate(row.endpoint, row.price, row.checked)
        counter = Counter(self.host, reporter, self._clocks)
        return training.train(counter, training.Training(row, self._known.inputs(row.endpoint), rate, spec, dataset))

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw pictures there. Re-entrant: pictures that exist are kept, requests that were bought are gone on with."""
        from loradeck.engines.hosted.drawing import Asked, Drawing

        brush = self._brush(request)
        counter = Counter(self.host, reporter, self._clocks)
        row, live = brush.row, None if brush.row.lora_style == "destination" else self._known.inputs(brush.endpoint)

        @cache
        def parcels() -> tuple[list[Parcel], list[Parcel]]:
            return _lora_parcels(row, request.loras), [parcel(path, "reference") for path in request.references]

        def order(job: DrawJob) -> Order:
            files, references = map(counter.sending.urls, parcels())
            loras = list(zip(request.loras, files or [""] * len(request.loras), strict=True))
            sent = inputs.drawing(row, request, job, loras, references)
            return self._order(counter, brush.endpoint, sent, live, brush.rate.worst(_amount(job)))

        asked = [
            Asked(f"draw/{job.id}/{job.seed}", job, partial(order, job), partial(self._told, request, job))
            for job in request.jobs
        ]
        return Drawing(counter, row.outputs, asked, crop=True).all()

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        """Change pictures by words or a turn of the camera. Re-entrant as `draw`."""
        from loradeck.engines.hosted.drawing import Asked, Drawing

        row = self._editor(request.model)
        most = row.most_images if row.many else 1
        if any(not 1 <= len(one.images) <= most for one in request.jobs):
            raise BadSpec(f"{row.endpoint} changes 1 to {most} pictures at a time; name as many in each job.")
        counter = Counter(self.host, reporter, self._clocks)
        rate, live = self._known.rate(row.endpoint, row.price, row.checked), self._known.inputs(row.endpoint)

        @cache
        def parcels() -> dict[Path, Parcel]:
            """All pictures that are still to be changed, sent together, several at a time."""
            paths = {path for one in request.jobs if not one.draw.out.exists() for path in one.images}
            made = {path: parcel(path, "picture to change") for path in sorted(paths)}
            counter.sending.urls(list(made.values()))
            return made

        def order(one: EditJob) -> Order:
            inputs.editing(row, request, one, ["https://"] * len(one.images))  # refused before anything is sent
            images = counter.sending.urls([parcels()[path] for path in one.images])
            sent = inputs.editing(row, request, one, images)
            return self._order(counter, row.endpoint, sent, live, rate.worst(_amount(one.draw)))

        asked = [
            Asked(f"{row.model}/{one.draw.id}", one.draw, partial(order, one), partial(self._edited, request, row, one))
            for one in request.jobs
        ]
        return Drawing(counter, row.outputs, asked, crop=False).all()

    def _told(self, request: DrawRequest, job: DrawJob, native: tuple[int, int]) -> dict[str, str]:
        """What a picture drawn there says of itself."""
        return story(
            job,
            engine=self.name,
            base_model=request.base_model,
            loras=[(lora.path.name, lora.strength, lora.sha256) for lora in request.loras],
            references=[leaned_on(path) for path in request.references],
            steps=request.steps,
            guidance=request.guidance,
            native=native,
        )

    def _edited(self, request: EditRequest, row: EditorRow, job: EditJob, native: tuple[int, int]) -> dict[str, str]:
        """What a picture changed there says of itself; those it was made from are its references."""
        return story(
            job.draw,
            engine=self.name,
            base_model=row.model,
            loras=(),
            references=[leaned_on(path) for path in job.images],
            steps=request.steps,
            guidance=request.guidance,
            native=native,
        )

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        """Enlarge pictures. Re-entrant as `draw`."""
        return self.edit(EditRequest("", request.jobs, request.guidance, request.steps, UPSCALE), reporter)

    # --------------------------------------------------------------- rows

    def _trainer(self, spec: TrainSpec) -> TrainerRow:
        """The row that trains as asked. Raises BadSpec where there is none, with what is offered instead."""
        named = spec.advanced.get(TRAINER)
        row = self.table.trainer(spec.base_model, named)
        if row is not None:
            return row
        if named is None:
            raise BadSpec(self._not_there(spec.base_model, "train"))
        if not isinstance(self.host, FindsTrainers):
            known = ", ".join(one.endpoint for one in self.table.trainers if one.base_model == spec.base_model)
            raise BadSpec(
                f"{named!r} is not known to train {spec.base_model} at {self.name}; known: {known or 'none'}. Name one "
                "of these in advanced trainer, or leave it out."
            )
        key = (spec.base_model, str(named))
        if key not in self._found:
            self._found[key] = self.host.trainer(*key)
        return self._found[key]

    def _not_there(self, base_model: str, ability: str) -> str:
        able = [base.name for base in self.capabilities.base_models if ability in base.abilities]
        return self.table.instead.get(base_model) or (
            f"{self.name} does not {ability} on {base_model}; it can on {', '.join(able) or 'none'}: choose one of "
            "these as base_model, or another engine."
        )

    def _brush(self, request: DrawRequest) -> _Brush:
        """How a request is drawn. Raises BadSpec where it cannot be."""
        rows = [row for row in self.table.drawers if row.base_model == request.base_model]
        if not rows:
            raise BadSpec(self._not_there(request.base_model, "draw"))
        other = next((lora for lora in request.loras if lora.base_model != request.base_model), None)
        if other is not None:
            raise BadSpec(
                f"{other.path.name} is a LoRA for {other.base_model}, and this is drawn on {request.base_model}; use "
                "one that was trained on it."
            )
        model = self._model_of(request.loras)
        count = len(request.references)
        row = next((row for row in rows if inputs.takes(row, request.loras, count, bool(model))), None)
        if row is None:
            raise BadSpec(inputs.why_not(rows, request.base_model, self.name, len(request.loras), count))
        endpoint = model if row.lora_style == "destination" else row.endpoint
        return _Brush(row, endpoint, self._known.rate(endpoint, row.price, row.checked))

    def _model_of(self, loras: Sequence[LoraRef]) -> str:
        """The model at this host that has the one LoRA in it, by what the LoRA's file says; "" where there is none."""
        from loradeck.engines import tensor_file
        from loradeck.engines.hosted.training import model_at

        if len(loras) != 1:
            return ""
        try:
            return tensor_file.read(loras[0].path).metadata.get(model_at(self.name), "")
        except (OSError, ValueError) as error:
            raise BadSpec(
                f"{loras[0].path.name} is no whole LoRA file; bring it in again with manage_loras."
            ) from error

    def _editor(self, model: str) -> EditorRow:
        row = self.table.editor(model)
        if row is None:
            known = ", ".join(one.model for one in self.table.editors) or "nothing"
            raise BadSpec(
                f"{self.name} has no editor {model!r}; it has {known}. Choose one of these, or another engine."
            )
        return row

    # --------------------------------------------------------------- orders and prices

    def _order(
        self, counter: Counter, endpoint: str, sent: dict[str, object], live: schema.Live | None, worst_usd: float
    ) -> Order:
        fitted = schema.fitted(endpoint, sent, live)
        for sentence in fitted.told:
            counter.reporter.event(sentence, "warning")
        return Order(endpoint, fitted.inputs, worst_usd)

    def _cost(self, rate: pricing.Rate, endpoint: str, seconds: float, jobs: Sequence[DrawJob]) -> Cost:
        missing = [job for job in jobs if not job.out.exists()]
        minutes = seconds * math.ceil(len(missing) / self.host.at_once) / 60
        return pricing.cost(rate, [_amount(job) for job in missing], minutes, endpoint)


def _amount(job: DrawJob) -> pricing.Amount:
    return pricing.Amount(images=1, pixels=job.width * job.height)


def _lora_parcels(row: DrawerRow, loras: Sequence[LoraRef]) -> list[Parcel]:
    """The LoRA files that are sent to be drawn with; none where a model there has the LoRA in it."""
    if row.lora_style == "destination":
        return []
    return [Parcel(one.path, "LoRA", f"{one.sha256[:16]}.safetensors", one.sha256) for one in loras]
