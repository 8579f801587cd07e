"""fal on loopback: storage, queue, platform API and signed webhooks under one address; files lie on another port."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.hosts import fal_endpoints, fal_work, schemas
from support.hosts.exchange import Reply, Request
from support.hosts.fal_endpoints import Endpoint
from support.hosts.fal_storage import FalStorage, lifetime
from support.hosts.jobs import Failure, Hook, Job, Result
from support.hosts.service import Route

ID = r"(?P<id>[0-9a-f-]{36})"
REQUESTS = rf"/(?P<app>[^/]+/[^/]+)/requests/{ID}"
DAY = 86_400.0


@dataclass
class Fal(FalStorage):
    """The host. What is wrong with an input is told where its result is fetched, as the queue takes everything."""

    NAME: ClassVar[str] = "fal"
    NO_CREDIT: ClassVar[tuple[int, str]] = (403, "User is locked. Reason: Exhausted balance.")
    ROUTES: ClassVar[list[Route]] = [
        *FalStorage.STORAGE,
        Route("GET", "/v1/models", "schema", "find_models", open=True),
        Route("GET", "/v1/models/pricing", "price", "get_prices"),
        Route("GET", "/v1/models/requests/by-endpoint", "list", "list_requests"),
        Route("GET", "/.well-known/jwks.json", "secret", "get_keys", open=True),
        Route("GET", rf"{REQUESTS}/status", "poll", "get_status"),
        Route("PUT", rf"{REQUESTS}/cancel", "cancel", "cancel_request"),
        Route("GET", REQUESTS, "result", "get_response"),
        Route("POST", r"/(?P<endpoint>(?!v1/|files/|storage/)[^/]+/.+)", "create", "submit"),
    ]

    endpoints: dict[str, Endpoint] = field(default_factory=fal_endpoints.known)
    page_size: int = 50
    user: str = "user_1"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._signer = Ed25519PrivateKey.generate()

    def refusal(self, status: int, message: str) -> Reply:
        return Reply.json({"detail": message}, status)

    def infrastructure(self, status: int, message: str, kind: str) -> Reply:
        """The flat shape of what fal itself, and not the model, could not do."""
        return Reply.json({"detail": message, "error_type": kind}, status, X_Fal_Error_Type=kind)

    # The queue

    def submit(self, request: Request) -> Reply:
        endpoint = self.endpoints.get(request.groups["endpoint"])
        if endpoint is None:
            return self.refusal(404, f"Application '{request.groups['endpoint'].split('/')[1]}' not found")
        if refused := self.full():
            return refused
        name = str(uuid.UUID(self.new_id()))
        job = Job(name, endpoint.id, endpoint.kind, request.json(), self.clock(), request.query.get("fal_webhook"))
        job.events = ("completed",)
        job.extra["lasts"] = lifetime(request, "x-fal-object-lifecycle-preference") or self.outputs_last
        self.accept(job, request)
        root = f"{self.base_url}/{endpoint.app}/requests/{name}"
        urls = {"response_url": root, "status_url": f"{root}/status", "cancel_url": f"{root}/cancel"}
        return Reply.json({"status": "IN_QUEUE", "request_id": name, **urls, "queue_position": 0})

    def get_status(self, request: Request) -> Reply:
        job = self._job(request)
        if job is None:
            return self._unknown_request()
        state, fraction = self.poll(job)
        if state == "gone":
            return self._unknown_request()
        told: dict[str, Any] = {"status": self._status(state), "request_id": job.id, "response_url": self._root(job)}
        if state == "queued":
            return Reply.json({**told, "queue_position": 0}, 202)
        with_logs = request.query.get("logs", "").lower() in ("true", "1")
        told["logs"] = fal_work.logs(self, job, fraction) if with_logs else None
        if state in ("running", "unknown"):
            return Reply.json(told, 202)
        told["metrics"] = {"inference_time": (job.result or Result(None, 0.1)).seconds}
        if job.failure or state != "succeeded":
            failure = self._failure(job)
            told |= {"error": failure.message, "error_type": failure.kind}
        return Reply.json(told)

    def get_response(self, request: Request) -> Reply:
        job = self._job(request)
        if job is None or job.state == "gone":
            return self._unknown_request()
        if job.told[-1][0] in ("queued", "running") and job.alive:
            return self.refusal(400, "Request is still in progress")
        if job.result:
            units = f"{job.result.units:g}"
            return Reply.json(job.result.output, X_Fal_Request_Id=job.id, X_Fal_Billable_Units=units)
        failure = self._failure(job)
        if failure.status != 422:
            return self.infrastructure(failure.status, failure.message, failure.kind)
        body = {"detail": self._details(job)}
        return Reply.json(body, 422, X_Fal_Request_Id=job.id, X_Fal_Error_Type=failure.kind)

    def cancel_request(self, request: Request) -> Reply:
        job = self._job(request)
        if job is None or job.state == "gone":
            return Reply.json({"status": "NOT_FOUND"}, 404)
        if self.cancel(job):
            return Reply.json({"status": "CANCELLATION_REQUESTED"}, 202)
        return Reply.json({"status": "ALREADY_COMPLETED"}, 400)

    def _job(self, request: Request) -> Job | None:
        job = self.jobs.get(request.groups["id"])
        return job if job and self.endpoints[job.endpoint].app == request.groups["app"] else None

    def _root(self, job: Job) -> str:
        return f"{self.base_url}/{self.endpoints[job.endpoint].app}/requests/{job.id}"

    def _unknown_request(self) -> Reply:
        return self.refusal(404, "Request not found")

    def _status(self, state: str) -> str:
        """There is no status for a failure, nor for what was cancelled."""
        return {"queued": "IN_QUEUE", "running": "IN_PROGRESS", "unknown": "IN_REVIEW"}.get(state, "COMPLETED")

    def _failure(self, job: Job) -> Failure:
        """Why there is no result."""
        if job.failure:
            return job.failure
        if job.state == "cancelled":
            return Failure("Request was cancelled by the client", "client_cancelled", 499)
        return Failure("Runner disconnected", "runner_disconnected", 503)

    def _details(self, job: Job) -> list[dict[str, Any]]:
        """A model's refusal, as pydantic writes it."""
        wrong = schemas.problems(self.endpoints[job.endpoint].schema, job.input)
        found = [Failure(one.words, one.kind, 422, ("body", *one.place), one.value) for one in wrong]
        return [
            {
                "loc": list(one.place),
                "msg": one.message,
                "type": one.kind,
                "url": f"https://docs.fal.ai/errors#{one.kind}",
                "input": one.value,
            }
            for one in found or [self._failure(job)]
        ]

    # Work and money

    def work(self, job: Job) -> Result:
        if wrong := schemas.problems(self.endpoints[job.endpoint].schema, job.input):
            one = wrong[0]
            raise Failure(one.words, one.kind, 422, ("body", *one.place), one.value)
        return fal_work.done(self, job)

    def estimate(self, job: Job) -> Result:
        endpoint = self.endpoints[job.endpoint]
        units = fal_work.units(endpoint, job, []) if endpoint.kind == "train" else 1.0
        return Result(None, 1.0, units)

    def cost(self, job: Job, result: Result) -> float:
        return self.endpoints[job.endpoint].usd * result.units

    # The platform's API

    def find_models(self, request: Request) -> Reply:
        expanded = "openapi-3.0" in request.query.get("expand", "")
        found = []
        for endpoint in self._asked(request):
            metadata = {"display_name": endpoint.id, "category": endpoint.kind, "status": "active"}
            found.append(
                {
                    "endpoint_id": endpoint.id,
                    "metadata": metadata,
                    **({"openapi": endpoint.openapi()} if expanded else {}),
                }
            )
        return Reply.json({"models": found, "next_cursor": None, "has_more": False})

    def get_prices(self, request: Request) -> Reply:
        found = self._asked(request)
        if not found:
            return self.refusal(404, "No pricing found for the requested endpoints")
        prices = [{"endpoint_id": one.id, "unit_price": one.usd, "unit": one.unit, "currency": "USD"} for one in found]
        return Reply.json({"prices": prices, "next_cursor": None, "has_more": False})

    def list_requests(self, request: Request) -> Reply:
        """Requests that ended, the newest end first; what is queued or runs is not among them."""
        names = {endpoint.id for endpoint in self._asked(request)}
        wanted = request.query.get("request_id")
        start = _time(request.query.get("start")) or self.clock() - (90 * DAY if wanted else DAY)
        end = _time(request.query.get("end")) or self.clock() + 1
        over = [
            job
            for job in self.jobs.values()
            if job.endpoint in names and wanted in (None, job.id) and start <= (job.ended or 0.0) < end
        ]
        over.sort(key=lambda job: job.ended or 0, reverse=True)
        at = int(request.query.get("cursor") or 0)
        to = at + min(self.page_size, int(request.query.get("limit") or self.page_size))
        more = to < len(over)
        payloads = "payloads" in request.query.get("expand", "")
        items = [self._item(job, payloads) for job in over[at:to]]
        return Reply.json({"items": items, "next_cursor": str(to) if more else None, "has_more": more})

    def _asked(self, request: Request) -> list[Endpoint]:
        names = request.query.get("endpoint_id", "").split(",")
        return [self.endpoints[name] for name in names if name in self.endpoints]

    def _item(self, job: Job, payloads: bool) -> dict[str, Any]:
        item = {
            "request_id": job.id,
            "endpoint_id": job.endpoint,
            "sent_at": self.clock.iso(job.created),
            "started_at": self.clock.iso(job.started) if job.started else None,
            "ended_at": self.clock.iso(job.ended),
            "status_code": 200 if job.result else self._failure(job).status,
            "duration": (job.result or Result(None, 0.0)).seconds,
        }
        if not payloads:
            return item
        return {**item, "json_input": job.input, "json_output": job.result.output if job.result else None}

    # Webhooks

    def get_keys(self, request: Request) -> Reply:
        public = self._signer.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(public).decode().rstrip("=")
        return Reply.json({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "use": "sig", "x": x}]})

    def hook(self, job: Job, event: str) -> Hook:
        assert job.webhook
        told: dict[str, Any] = {"request_id": job.id, "gateway_request_id": job.id, "status": "OK"}
        if job.result:
            told["payload"] = job.result.output
        else:
            failure = self._failure(job)
            told |= {"status": "ERROR", "error": f"Invalid status code: {failure.status}"}
            told["payload"] = {"detail": self._details(job) if failure.status == 422 else failure.message}
        body, stamp = json.dumps(told).encode(), str(int(self.clock()))
        signed = "\n".join([job.id, self.user, stamp, hashlib.sha256(body).hexdigest()])
        headers = {
            "Content-Type": "application/json",
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": self.user,
            "X-Fal-Webhook-Timestamp": stamp,
            "X-Fal-Webhook-Signature": self._signer.sign(signed.encode()).hex(),
        }
        return Hook(job.webhook, body, headers)

    def deliver(self, name: str, data: bytes, kind: str = "application/octet-stream", job: Job | None = None) -> Any:
        """Put an output where clients fetch it, for as long as the request of its job wished."""
        file = self.put(name, kind, data, job.extra["lasts"] if job else self.outputs_last)
        address = f"{self.delivery_url}/files/{file.id}/{quote(name)}"
        return {"url": address, "content_type": kind, "file_name": name, "file_size": len(data)}


def _time(text: str | None) -> float | None:
    """Seconds since 1970 of a time in a query, which is a date or a time with its zone."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
