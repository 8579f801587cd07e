"""What goes wrong at a host, scripted: each fault meets one request (or the job it creates), and says what had arrived.

A plan is a list of faults on the service. A request takes the first that fits it, and uses it up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.hosts.exchange import Cut, Reply, Request

if TYPE_CHECKING:
    from support.hosts.service import Service

PAGE = b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>%s</h1><hr>nginx</body></html>"
ALWAYS = 10**9


@dataclass(frozen=True)
class Kind:
    """What a kind of fault is: on which operation it falls by default, and whether what was asked had been accepted."""

    arrived: bool
    on: str = "create"


KINDS = {
    # The connection or the answer, whatever was asked.
    "drop_before_read": Kind(False),
    "drop_before_accept": Kind(False),
    "drop_after_accept": Kind(True),
    "drop_in_reply": Kind(True),
    "hang_before_accept": Kind(False),
    "hang_after_accept": Kind(True),
    "throttled": Kind(False),
    "refused": Kind(False),
    "no_credit": Kind(False),
    "redirected": Kind(False, "download"),
    "bad_gateway": Kind(False),
    "bad_gateway_after_accept": Kind(True),
    "server_error": Kind(False),
    "server_error_after_accept": Kind(True),
    "html": Kind(False),
    "html_after_accept": Kind(True),
    "truncated_json": Kind(True),
    "renamed": Kind(True),
    # The job that a create makes.
    "lag": Kind(True),
    "unknown_status": Kind(True),
    "failed": Kind(True),
    "aborted": Kind(True),
    "gone_while_queued": Kind(True),
    "nsfw": Kind(True),
    "black": Kind(True),
    "charged_422": Kind(True),
    "cancel_races": Kind(True),
    "not_a_lora": Kind(True),
    "climbing_tar": Kind(True),
    "duplicate_webhook": Kind(True),
    "late_webhook": Kind(True),
    # What is fetched.
    "expired": Kind(True, "download"),
    "truncated": Kind(True, "download"),
    "ignored_range": Kind(True, "download"),
}
"""Every kind there is."""


@dataclass
class Fault:
    """One thing that goes wrong, `times` in a row.

    `on` is the operation it waits for (`create`, `poll`, `list`, `upload`, `download`, `price` ...), `when` narrows it
    to some requests; what it reads of a body is read for it. `status` is what `refused` and `expired` answer,
    `retry_after` (seconds) goes with `throttled`, `field` is what `renamed` renames, `polls` by how many `lag` is late
    and how many `unknown_status` lasts.
    """

    kind: str
    on: str = ""
    times: int = 1
    when: Callable[[Request], bool] | None = None
    status: int = 0
    message: str = ""
    retry_after: float | None = None
    field: str = "status"
    polls: int = 3

    def __post_init__(self) -> None:
        self.on = self.on or KINDS[self.kind].on

    @property
    def arrived(self) -> bool:
        """Whether the host had accepted what was asked: a create that met this fault counts, and may cost."""
        return KINDS[self.kind].arrived

    def fits(self, operation: str, request: Request) -> bool:
        """Whether this request is the one it waits for."""
        return self.times > 0 and self.on == operation and (self.when is None or self.when(request))


def take(plan: list[Fault], operation: str, request: Request) -> Fault | None:
    """The first fault of the plan that fits, one time less of it."""
    for fault in plan:
        if fault.fits(operation, request):
            fault.times -= 1
            if not fault.times:
                plan.remove(fault)
            return fault
    return None


def before(service: Service, fault: Fault, request: Request) -> Reply | None:
    """The answer of a fault that lets nothing through; None where the request is handled."""
    if fault.kind == "drop_before_read":
        raise Cut
    if fault.kind == "ignored_range":
        del request.headers["range"]
    if fault.kind not in _BEFORE:
        return None
    request.body()
    return _BEFORE[fault.kind](service, fault, request)


def after(service: Service, fault: Fault, request: Request, reply: Reply) -> Reply:
    """What becomes of the answer to a request that was handled."""
    return _AFTER[fault.kind](service, fault, request, reply) if fault.kind in _AFTER else reply


def page(status: int, words: str) -> Reply:
    """What a proxy in front of a host answers."""
    return Reply(status, PAGE % (status, words.encode()), {"Content-Type": "text/html"})


def _drop(*_: Any) -> Reply:
    raise Cut


def _hang(service: Service, fault: Fault, request: Request, *_: Any) -> Reply:
    request.wait_for_hang_up(service.over)
    raise Cut


def _throttled(service: Service, fault: Fault, request: Request) -> Reply:
    reply = service.refusal(429, fault.message or service.throttled_words(fault.retry_after))
    if fault.retry_after is not None:
        reply.headers["Retry-After"] = f"{fault.retry_after:g}"
    return reply


def _refused(service: Service, fault: Fault, request: Request) -> Reply:
    return service.refusal(fault.status or 403, fault.message or "You do not have permission to do this.")


def _no_credit(service: Service, fault: Fault, request: Request) -> Reply:
    return service.refusal(*service.NO_CREDIT)


def _redirected(service: Service, fault: Fault, request: Request) -> Reply:
    """To the other port, which is another host: a key must not go there with it."""
    other = service.delivery_url if request.host == "api" else service.base_url
    return Reply(302, headers={"Location": f"{other}{request.path}"})


def _expired(service: Service, fault: Fault, request: Request) -> Reply:
    return page(fault.status or 404, "Not Found")


def _page(status: int, words: str) -> Callable[..., Reply]:
    return lambda *_: page(status, words)


def _cut_in_half(service: Service, fault: Fault, request: Request, reply: Reply) -> Reply:
    reply.cut_at = len(reply.body) // 2
    return reply


def _half_of_it(service: Service, fault: Fault, request: Request, reply: Reply) -> Reply:
    reply.body = reply.body[: len(reply.body) // 2]
    return reply


def _renamed(service: Service, fault: Fault, request: Request, reply: Reply) -> Reply:
    """The field is called otherwise, on every level of the answer."""

    def other(value: Any) -> Any:
        if isinstance(value, dict):
            return {f"{key}_v2" if key == fault.field else key: other(inner) for key, inner in value.items()}
        return [other(inner) for inner in value] if isinstance(value, list) else value

    reply.body = json.dumps(other(json.loads(reply.body))).encode()
    return reply


_BEFORE: dict[str, Callable[..., Reply]] = {
    "drop_before_accept": _drop,
    "hang_before_accept": _hang,
    "throttled": _throttled,
    "refused": _refused,
    "no_credit": _no_credit,
    "redirected": _redirected,
    "bad_gateway": _page(502, "Bad Gateway"),
    "server_error": _page(500, "Internal Server Error"),
    "html": _page(200, "Please sign in"),
    "expired": _expired,
}

_AFTER: dict[str, Callable[..., Reply]] = {
    "drop_after_accept": _drop,
    "hang_after_accept": _hang,
    "drop_in_reply": _cut_in_half,
    "truncated": _cut_in_half,
    "truncated_json": _half_of_it,
    "bad_gateway_after_accept": _page(502, "Bad Gateway"),
    "server_error_after_accept": _page(500, "Internal Server Error"),
    "html_after_accept": _page(200, "Please sign in"),
    "renamed": _renamed,
}
