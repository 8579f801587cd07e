"""Anthropic's Messages API on loopback: structured answers that a test scripts by picture, and batches of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from support.hosts import images
from support.hosts.answers import invented, unsupported
from support.hosts.exchange import Reply, Request
from support.hosts.service import Route, Service

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
BATCH = r"/v1/messages/batches/(?P<id>\w+)"
DAY = 86_400.0

MOST_BYTES, PIXELS_A_TOKEN, LETTERS_A_TOKEN = 10 * 2**20, 750, 4
"""The largest picture that is taken (base64), and how pictures and texts count."""


@dataclass(frozen=True)
class Asked:
    """What one message asks: its pictures by hash, its words, and the parameters as they came."""

    images: list[str]
    text: str
    params: dict[str, Any]


@dataclass
class Batch:
    """A batch of messages; it ends after so many polls of the service's."""

    id: str
    requests: list[dict[str, Any]]
    created: float
    polls: int = 0
    ended: float | None = None
    cancelled: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)


class Refused(Exception):
    """A request that is not taken, with its status and words."""


@dataclass
class Anthropic(Service):
    """The host. An answer is `answers[sha256 of the first picture]`, else `answer(asked)`, else one by the schema.

    A value that is a string is the text as it is; anything else is its JSON. `failing` are the custom ids whose request
    in a batch errs, `stop_reason` what every message ends with, `usd_per_mtok` what a million tokens cost in and out.
    """

    NAME: ClassVar[str] = "anthropic"
    NO_CREDIT: ClassVar[tuple[int, str]] = (400, "Your credit balance is too low to access the Anthropic API.")
    ROUTES: ClassVar[list[Route]] = [
        Route("POST", "/v1/messages", "create", "create_message"),
        Route("POST", "/v1/messages/batches", "create", "create_batch"),
        Route("GET", "/v1/messages/batches", "list", "list_batches"),
        Route("POST", "/v1/messages/count_tokens", "count", "count_tokens"),
        Route("GET", BATCH, "poll", "get_batch"),
        Route("GET", f"{BATCH}/results", "result", "get_results"),
        Route("POST", f"{BATCH}/cancel", "cancel", "cancel_batch"),
    ]

    answers: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[Asked], Any] | None = None
    asked: list[Asked] = field(default_factory=list)
    batches: dict[str, Batch] = field(default_factory=dict)
    batch_polls: int = 2
    failing: set[str] = field(default_factory=set)
    stop_reason: str = "end_turn"
    usd_per_mtok: tuple[float, float] = (3.0, 15.0)

    def credentials(self, request: Request) -> Reply | None:
        """The key comes as a bearer token since version 2 of the client, and as `x-api-key` from others."""
        if request.authorization not in (self.key, f"Bearer {self.key}"):
            return self.refusal(401, "invalid x-api-key")
        if not request.headers.get("anthropic-version"):
            return self.refusal(400, "anthropic-version: header is required")
        return None

    def refusal(self, status: int, message: str) -> Reply:
        name = f"req_{self.new_id()}"
        error = {"type": KINDS.get(status, "api_error"), "message": message}
        return Reply.json({"type": "error", "error": error, "request_id": name}, status, request_id=name)

    def throttled_words(self, seconds: float | None) -> str:
        return "This request would exceed your organization's rate limit."

    # Messages

    def create_message(self, request: Request) -> Reply:
        params = request.json()
        try:
            self._check(params)
        except Refused as error:
            return self.refusal(*error.args)
        message = self._message(params, 1.0)
        self.count(request, message["id"], "/v1/messages", "message", params)
        return Reply.json(message, request_id=f"req_{self.new_id()}")

    def count_tokens(self, request: Request) -> Reply:
        return Reply.json({"input_tokens": _tokens(request.json())})

    def _check(self, params: dict[str, Any]) -> None:
        """Raises `Refused` for what the API does not take."""
        for name in ("model", "max_tokens", "messages"):
            if name not in params:
                raise Refused(400, f"{name}: Field required")
        if not params["model"].startswith("claude-"):
            raise Refused(404, f"model: {params['model']}")
        form = (params.get("output_config") or {}).get("format")
        if form and (words := unsupported(form["schema"])):
            raise Refused(400, f"output_config.format.schema: {words}")
        for source in _sources(params):
            if len(source["data"]) > MOST_BYTES:
                raise Refused(400, f"messages.0.content.0.image.source.base64: image exceeds {MOST_BYTES} bytes")
            try:
                images.opened(base64.b64decode(source["data"]))
            except ValueError as error:
                raise Refused(400, "Could not process image") from error

    def _message(self, params: dict[str, Any], share: float) -> dict[str, Any]:
        """The answer; `share` of the price is charged."""
        hashes = [hashlib.sha256(one).hexdigest() for one in _pictures(params)]
        asked = Asked(hashes, _words(params), params)
        self.asked.append(asked)
        content, reason = self._content(asked)
        given = min(len(json.dumps(content)) // LETTERS_A_TOKEN, params["max_tokens"])
        usage = {"input_tokens": _tokens(params), "output_tokens": given}
        price = usage["input_tokens"] * self.usd_per_mtok[0] + usage["output_tokens"] * self.usd_per_mtok[1]
        self.charged_usd += share * price / 1e6
        return {
            "id": f"msg_{self.new_id()}",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {**usage, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        }

    def _content(self, asked: Asked) -> tuple[list[dict[str, Any]], str]:
        """The blocks of an answer, and why it ended."""
        tool = self._tool(asked.params)
        form = (asked.params.get("output_config") or {}).get("format")
        schema = tool["input_schema"] if tool else form["schema"] if form else None
        value = next((self.answers[one] for one in asked.images if one in self.answers), None)
        if value is None and self.answer:
            value = self.answer(asked)
        if value is None:
            value = invented(schema) if schema else "I see a picture."
        if self.stop_reason == "refusal":
            return [], "refusal"
        if tool and not isinstance(value, str):
            block = {"type": "tool_use", "id": f"toolu_{self.new_id()}", "name": tool["name"], "input": value}
            return [block], "tool_use"
        text = value if isinstance(value, str) else json.dumps(value)
        if self.stop_reason == "max_tokens":
            text = text[: len(text) // 2]
        return [{"type": "text", "text": text}], self.stop_reason

    def _tool(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """The tool that the model is made to use."""
        choice, tools = params.get("tool_choice") or {}, params.get("tools") or []
        if choice.get("type") == "tool":
            return next(tool for tool in tools if tool["name"] == choice["name"])
        return tools[0] if choice.get("type") == "any" and tools else None

    # Batches

    def create_batch(self, request: Request) -> Reply:
        asked = request.json()["requests"]
        names = [one["custom_id"] for one in asked]
        if len(set(names)) < len(names):
            return self.refusal(400, "requests: custom_id must be unique")
        if wrong := [name for name in names if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)]:
            return self.refusal(400, f"requests.{names.index(wrong[0])}.custom_id: String should match pattern")
        batch = Batch(f"msgbatch_{self.new_id()}", asked, self.clock())
        self.batches[batch.id] = batch
        self.count(request, batch.id, "/v1/messages/batches", "batch", {"requests": asked})
        return Reply.json(self._told(batch))

    def list_batches(self, request: Request) -> Reply:
        """Newest first, from after `after_id`."""
        ours = list(reversed(self.batches.values()))
        names = [batch.id for batch in ours]
        start = names.index(request.query["after_id"]) + 1 if request.query.get("after_id") in names else 0
        page = ours[start : start + int(request.query.get("limit", 20))]
        ends = {"first_id": page[0].id if page else None, "last_id": page[-1].id if page else None}
        more = start + len(page) < len(ours)
        return Reply.json({"data": [self._told(batch) for batch in page], "has_more": more, **ends})

    def get_batch(self, request: Request) -> Reply:
        batch = self.batches.get(request.groups["id"])
        if batch is None:
            return self.refusal(404, "Batch not found")
        batch.polls += 1
        if batch.ended is None and (batch.cancelled or batch.polls >= self.batch_polls):
            self._end(batch)
        return Reply.json(self._told(batch))

    def get_results(self, request: Request) -> Reply:
        """JSON lines, not in the order they were asked in."""
        batch = self.batches.get(request.groups["id"])
        if batch is None or batch.ended is None:
            return self.refusal(404, "Batch results are not available")
        lines = "".join(f"{json.dumps(one)}\n" for one in reversed(batch.results))
        return Reply(200, lines.encode(), {"Content-Type": "application/x-jsonl"})

    def cancel_batch(self, request: Request) -> Reply:
        batch = self.batches.get(request.groups["id"])
        if batch is None:
            return self.refusal(404, "Batch not found")
        batch.cancelled = True
        return Reply.json(self._told(batch))

    def _end(self, batch: Batch) -> None:
        batch.ended = self.clock()
        batch.results = [{"custom_id": one["custom_id"], "result": self._result(batch, one)} for one in batch.requests]

    def _result(self, batch: Batch, one: dict[str, Any]) -> dict[str, Any]:
        """A batch costs half."""
        if batch.cancelled:
            return {"type": "canceled"}
        if one["custom_id"] in self.failing:
            return self._errored(500, "Internal server error")
        try:
            self._check(one["params"])
        except Refused as error:
            return self._errored(*error.args)
        return {"type": "succeeded", "message": self._message(one["params"], 0.5)}

    def _errored(self, status: int, words: str) -> dict[str, Any]:
        return {"type": "errored", "error": json.loads(self.refusal(status, words).body)}

    def _told(self, batch: Batch) -> dict[str, Any]:
        ends = [one["result"]["type"] for one in batch.results]
        counts = {kind: ends.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
        status = "ended" if batch.ended else "canceling" if batch.cancelled else "in_progress"
        results = f"{self.base_url}/v1/messages/batches/{batch.id}/results" if batch.ended else None
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {"processing": 0 if batch.ended else len(batch.requests), **counts},
            "created_at": self.clock.iso(batch.created),
            "expires_at": self.clock.iso(batch.created + DAY),
            "ended_at": self.clock.iso(batch.ended) if batch.ended else None,
            "archived_at": None,
            "cancel_initiated_at": self.clock.iso() if batch.cancelled else None,
            "results_url": results,
        }


def _blocks(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Every block of what the person says."""
    contents = [message["content"] for message in params["messages"] if message["role"] == "user"]
    return [
        block
        for content in contents
        for block in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
    ]


def _sources(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The pictures in it."""
    return [block["source"] for block in _blocks(params) if block["type"] == "image"]


def _pictures(params: dict[str, Any]) -> list[bytes]:
    """Their bytes."""
    return [base64.b64decode(source["data"]) for source in _sources(params)]


def _words(params: dict[str, Any]) -> str:
    """What the person writes."""
    return "\n".join(block["text"] for block in _blocks(params) if block["type"] == "text")


def _tokens(params: dict[str, Any]) -> int:
    """What is read, counted."""
    sizes = [images.opened(one).size for one in _pictures(params)]
    letters = len(_words(params)) + sum(len(json.dumps(params[name])) for name in ("system", "tools") if name in params)
    return sum(width * height // PIXELS_A_TOKEN for width, height in sizes) + letters // LETTERS_A_TOKEN
