"""Replicate on loopback: files, models, trainings, predictions, signed webhooks; outputs lie on another port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from support.hosts import images, replicate_models, replicate_work, schemas
from support.hosts.exchange import Reply, Request
from support.hosts.jobs import Failure, Hook, Job, JobService, Result
from support.hosts.multipart import Form
from support.hosts.replicate_models import PRICES, Model
from support.hosts.service import Route
from support.hosts.storage import Stored

HOUR, DAY = 3600.0, 86_400.0
EVENTS = ("start", "output", "logs", "completed")
STATUS = {
    "queued": "starting",
    "running": "processing",
    "cancelled": "canceled",
    "unknown": "resuming",
}
TITLES = {
    401: "Unauthenticated",
    402: "Insufficient credit",
    404: "Not found",
    409: "Conflict",
    429: "Too many requests",
}
MODEL = r"/v1/models/(?P<owner>[^/]+)/(?P<name>[^/]+)"


@dataclass
class Replicate(JobService):
    """The host. `models` grow by what is created and trained; `account` owns what the key makes."""

    NAME: ClassVar[str] = "replicate"
    NO_CREDIT: ClassVar[tuple[int, str]] = (402, "You have insufficient credit to run this model.")
    ROUTES: ClassVar[list[Route]] = [
        Route("GET", "/v1/account", "account", "get_account"),
        Route("GET", "/v1/hardware", "hardware", "get_hardware"),
        Route("POST", "/v1/files", "upload", "create_file"),
        Route("GET", "/v1/files", "list_files", "list_files"),
        Route("GET", r"/v1/files/(?P<id>\w+)", "file", "get_file"),
        Route("DELETE", r"/v1/files/(?P<id>\w+)", "delete", "delete_file"),
        Route("POST", "/v1/models", "create_model", "create_model"),
        Route("GET", MODEL, "model", "get_model"),
        Route("GET", rf"{MODEL}/versions/(?P<version>\w+)", "model", "get_version"),
        Route("POST", rf"{MODEL}/versions/(?P<version>\w+)/trainings", "create", "create_training"),
        Route("POST", rf"{MODEL}/predictions", "create", "create_official"),
        Route("POST", "/v1/predictions", "create", "create_prediction"),
        Route("GET", "/v1/(?P<of>trainings|predictions)", "list", "list_jobs"),
        Route("GET", r"/v1/(?P<of>trainings|predictions)/(?P<id>\w+)", "poll", "get_job"),
        Route("POST", r"/v1/(?P<of>trainings|predictions)/(?P<id>\w+)/cancel", "cancel", "cancel_job"),
        Route("GET", "/v1/webhooks/default/secret", "secret", "get_secret"),
        Route("GET", r"/delivery/(?P<id>\w+)/[^/]+", "download", "download", open=True),
    ]

    account: str = "me"
    models: dict[str, Model] = field(default_factory=replicate_models.known)
    page_size: int = 100
    secret: str = "whsec_" + base64.b64encode(b"a secret of 24 bytes, ok").decode()

    def credentials(self, request: Request) -> Reply | None:
        if request.headers.get("authorization") in (f"Bearer {self.key}", f"Token {self.key}"):
            return None
        return self.refusal(401, "You did not pass a valid authentication token")

    def refusal(self, status: int, message: str) -> Reply:
        return Reply.json({"title": TITLES.get(status, "Error"), "detail": message, "status": status}, status)

    # Account, hardware, files

    def get_account(self, request: Request) -> Reply:
        return Reply.json({"type": "user", "username": self.account, "name": "Me", "github_url": None})

    def get_hardware(self, request: Request) -> Reply:
        return Reply.json([{"name": sku, "sku": sku} for sku in ("cpu", *PRICES)])

    def create_file(self, request: Request) -> Reply:
        form, file = Form(request, "content"), self.space("", "", DAY)
        file.write(form)
        file.uploaded, file.name, file.content_type = True, form.file_name, form.content_type
        return Reply.json(self._file(file), 201)

    def list_files(self, request: Request) -> Reply:
        live = [self._file(file) for file in self.uploads if not file.gone(self.clock())]
        return Reply.json({"previous": None, "next": None, "results": live})

    def get_file(self, request: Request) -> Reply:
        file = self._upload(request)
        return Reply.json(self._file(file)) if file else self._missing()

    def delete_file(self, request: Request) -> Reply:
        file = self._upload(request)
        if file is None:
            return self._missing()
        file.deleted = True
        return Reply(204)

    def _upload(self, request: Request) -> Stored | None:
        file = self.files.get(request.groups["id"])
        return file if file and file.uploaded and not file.gone(self.clock()) else None

    def _file(self, file: Stored) -> dict[str, Any]:
        return {
            "id": file.id,
            "name": file.name,
            "content_type": file.content_type,
            "size": file.size,
            "etag": file.sha256[:32],
            "checksums": {"sha256": file.sha256},
            "metadata": {},
            "created_at": self.clock.iso(file.created),
            "expires_at": self.clock.iso(file.expires),
            "urls": {"get": f"{self.base_url}/v1/files/{file.id}"},
        }

    # Models

    def create_model(self, request: Request) -> Reply:
        asked = request.json()
        if missing := [name for name in ("owner", "name", "visibility", "hardware") if not asked.get(name)]:
            return self.refusal(422, f"- {missing[0]} is required\n")
        if asked["owner"] != self.account:
            return self.refusal(403, "You do not have permission to create a model for this owner.")
        made = Model(asked["owner"], asked["name"], {}, hardware=asked["hardware"], visibility=asked["visibility"])
        made.versions.clear()
        if made.id in self.models:
            return self.refusal(409, "A model with that name and owner already exists.")
        self.models[made.id] = made
        return Reply.json(self._model(made), 201)

    def get_model(self, request: Request) -> Reply:
        model = self._named(request)
        return Reply.json(self._model(model)) if model else self._missing()

    def get_version(self, request: Request) -> Reply:
        model = self._named(request)
        if model is None or request.groups["version"] not in model.versions:
            return self._missing()
        return Reply.json(self._version(model, request.groups["version"]))

    def _named(self, request: Request) -> Model | None:
        return self.models.get(f"{request.groups['owner']}/{request.groups['name']}")

    def _model(self, model: Model) -> dict[str, Any]:
        return {
            "url": f"https://replicate.com/{model.id}",
            "owner": model.owner,
            "name": model.name,
            "description": None,
            "visibility": model.visibility,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 0,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": self._version(model, model.versions[-1]) if model.versions else None,
        }

    def _version(self, model: Model, version: str) -> dict[str, Any]:
        made = self.clock.iso()
        return {"id": version, "created_at": made, "cog_version": "0.16.9", "openapi_schema": model.openapi()}

    # Creating

    def create_training(self, request: Request) -> Reply:
        model, asked = self._named(request), request.json()
        if model is None or not model.training or request.groups["version"] not in model.versions:
            return self._missing()
        if asked.get("destination") not in self.models:
            return self.refusal(404, "The specified training destination does not exist")
        extra = {"version": request.groups["version"], "destination": asked["destination"]}
        return self._create(model, "train", model.training, request, extra)

    def create_official(self, request: Request) -> Reply:
        model = self._named(request)
        if model is None or not model.official:
            return self._missing()
        return self._create(model, model.kind, model.schema, request, {"version": "hidden"})

    def create_prediction(self, request: Request) -> Reply:
        asked = str(request.json().get("version", ""))
        name, _, version = asked.rpartition(":")
        for model in self.models.values():
            if (version in model.versions and name in ("", model.id)) or (model.official and asked == model.id):
                return self._create(model, model.kind, model.schema, request, {"version": version})
        words = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return self.refusal(422, words)

    def _create(
        self, model: Model, kind: str, schema: schemas.Schema, request: Request, extra: dict[str, Any]
    ) -> Reply:
        if refused := self.full():
            return refused
        asked = request.json()
        if wrong := schemas.problems(schema, asked.get("input", {})):
            return self._invalid(wrong)
        events = tuple(asked.get("webhook_events_filter") or EVENTS)
        job = Job(
            self.new_id(), model.id, kind, asked["input"], self.clock(), asked.get("webhook"), events, extra=extra
        )
        self.accept(job, request)
        return Reply.json(self._shown(job, *job.told[-1]), 201)

    def _invalid(self, wrong: list[schemas.Problem]) -> Reply:
        """What is wrong with an input, in the words of Replicate's own check."""
        lines, fields = [], []
        for one in wrong:
            name = ".".join(["input", *map(str, one.place)])
            said = {
                "missing": f"input: {one.place[-1]} is required",
                "extra_forbidden": f"input: Additional property {one.place[-1]} is not allowed",
            }.get(one.kind, f"{name}: {one.words}")
            lines.append(f"- {said}\n")
            fields.append({"type": one.kind, "field": name, "description": said.partition(": ")[2]})
        detail = {"title": "Input validation failed", "detail": "".join(lines), "status": 422}
        return Reply.json({**detail, "invalid_fields": fields}, 422)

    # Asking, listing, cancelling

    def get_job(self, request: Request) -> Reply:
        job = self._job(request)
        if job is None:
            return self._missing()
        state, fraction = self.poll(job)
        return Reply.json(self._shown(job, state, fraction)) if state != "gone" else self._missing()

    def list_jobs(self, request: Request) -> Reply:
        """Newest first, in pages."""
        trainings = request.groups["of"] == "trainings"
        ours = [job for job in self.jobs.values() if (job.kind == "train") is trainings and job.state != "gone"]
        ours.reverse()
        start = int(request.query.get("cursor", 0))
        end = start + self.page_size
        more = f"{self.base_url}{request.path}?cursor={end}" if end < len(ours) else None
        shown = [self._shown(job, *job.told[-1]) for job in ours[start:end]]
        return Reply.json({"previous": None, "next": more, "results": shown})

    def cancel_job(self, request: Request) -> Reply:
        job = self._job(request)
        if job is None or job.state == "gone":
            return self._missing()
        self.cancel(job)
        job.told.append((job.state, 1.0))
        return Reply.json(self._shown(job, job.state, 1.0))

    def _job(self, request: Request) -> Job | None:
        job = self.jobs.get(request.groups["id"])
        return job if job and (job.kind == "train") is (request.groups["of"] == "trainings") else None

    def _missing(self) -> Reply:
        return self.refusal(404, "The requested resource could not be found.")

    def _shown(self, job: Job, state: str, fraction: float) -> dict[str, Any]:
        """A training or a prediction as it is told in a state; a prediction's data are removed after an hour."""
        over = state == job.state and not job.alive
        removed = job.kind != "train" and job.ended is not None and self.clock() >= job.ended + HOUR
        of = "trainings" if job.kind == "train" else "predictions"
        get = f"{self.base_url}/v1/{of}/{job.id}"
        shown = {
            "id": job.id,
            "model": job.endpoint,
            "version": job.extra["version"],
            "input": {} if removed else job.input,
            "logs": "" if removed else replicate_work.logs(job, state, fraction),
            "output": job.result.output if over and job.result and not removed else None,
            "data_removed": removed,
            "error": job.failure.message if over and job.failure else None,
            "source": "api",
            "status": STATUS.get(state, state),
            "created_at": self.clock.iso(job.created),
            "started_at": self.clock.iso(job.started) if job.started and state != "queued" else None,
            "completed_at": self.clock.iso(job.ended) if over and job.ended else None,
            "urls": {"get": get, "cancel": f"{get}/cancel", "web": f"https://replicate.com/p/{job.id}"},
            "metrics": self._metrics(job) if over else {},
        }
        return shown if job.kind != "train" else {**shown, "destination": job.extra["destination"]}

    def _metrics(self, job: Job) -> dict[str, float]:
        if job.state == "aborted" or job.started is None:
            return {"total_time": 0.5}
        seconds = (job.result or self.estimate(job)).seconds * job.share
        return {"predict_time": seconds, "total_time": seconds + 2.0}

    # Work and money

    def work(self, job: Job) -> Result:
        return replicate_work.done(self, job)

    def estimate(self, job: Job) -> Result:
        return Result(None, replicate_work.seconds(job))

    def cost(self, job: Job, result: Result) -> float:
        model = self.models[job.endpoint]
        return model.usd * result.units if model.official else PRICES[model.hardware] * result.seconds

    def bills(self, job: Job, failure: Failure) -> bool:
        """Time on a machine is paid for, whatever came of it."""
        return failure.billed or not self.models[job.endpoint].official

    def deliver(self, name: str, data: bytes) -> str:
        """Put an output where clients fetch it, for an hour."""
        form = re.sub("jpg", "jpeg", name.rpartition(".")[2])
        file = self.put(name, images.TYPES.get(form, "application/octet-stream"), data, HOUR)
        return f"{self.delivery_url}/delivery/{file.id}/{name}"

    # Webhooks

    def get_secret(self, request: Request) -> Reply:
        return Reply.json({"key": self.secret})

    def hook(self, job: Job, event: str) -> Hook:
        assert job.webhook
        body = json.dumps(self._shown(job, job.state, 1.0)).encode()
        name, stamp = f"msg_{self.new_id()}", str(int(self.clock()))
        secret = base64.b64decode(self.secret.partition("_")[2])
        signed = hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
        return Hook(job.webhook, body, headers)
