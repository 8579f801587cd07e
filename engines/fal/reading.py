"""What fal's queue says: where a request stands, what it cost, and which of a list is the one sought.

The queue knows no failure and no cancellation: a request is COMPLETED, and its response says what became of it. What a
model refuses comes as `{"detail": [{loc, msg, type}]}` with status 422 and may be charged; what fal itself could not do
comes flat, with `error_type`, and is never charged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from loradeck.engines.hosted import answers
from loradeck.engines.hosted.client import Reply, fine_json
from loradeck.engines.hosted.host import Stage, Standing
from loradeck.engines.hosted.progress import steps_told

STAGES: dict[str, Stage] = {"IN_QUEUE": "waiting", "IN_PROGRESS": "running", "COMPLETED": "done"}
CANCELLED = "client_cancelled"
CONTENT = "content_policy_violation"
EARLY, IN_PROGRESS = (400, 425), "in progress"
"""What the response of a request that is not over yet answers, and the words in it."""
UNITS = "x-fal-billable-units"
ERROR_TYPE = "x-fal-error-type"
NEXT_STEPS = {
    CANCELLED: "Start again when you want it after all.",
    CONTENT: "Word the prompt otherwise, or choose other pictures: fal's filter does not take them.",
    "request_timeout": "No machine was free in time: start again later, or choose another endpoint.",
    "startup_timeout": "No machine was free in time: start again later, or choose another endpoint.",
}
REFUSED = "Change what it names, and start again."
BROKEN = "fal charges nothing for what it could not do itself: start again."


def under_way(told: Mapping[str, Any]) -> Standing:
    """Where a request stands by its status, which is taken as running where its word is not known."""
    word = str(told.get("status"))
    lines = _lines(told)
    done, steps = steps_told(lines)
    error = (
        "" if word in STAGES else f"fal tells a status that is not known here ({word}); the request is looked at on."
    )
    return Standing(STAGES.get(word, "running"), lines=lines, done_steps=done, steps=steps, error=error)


def is_answer(reply: Reply) -> bool:
    """Whether a reply tells what became of a request, and not merely that it could not be asked for."""
    if fine_json(reply):
        return True
    if not reply.is_json or reply.status in {401, 403, 404, 429}:
        return False
    return reply.status in {*EARLY, 422} or bool(_error_type(reply))


def ended(standing: Standing, reply: Reply, unit_usd: float | None) -> Standing:
    """Where a completed request stands by its response. `unit_usd` is the price of what it bills by the unit."""
    usd = _usd(reply, unit_usd)
    if fine_json(reply):
        output = reply.json()
        return Standing(
            "done",
            lines=standing.lines,
            done_steps=standing.steps,
            steps=standing.steps,
            output=output,
            blanked=_withheld(output),
            usd=usd,
            charged=None if usd is None else usd > 0.0,
        )
    kind = _error_type(reply)
    if reply.status in EARLY and IN_PROGRESS in reply.text:
        return Standing("running", standing.lines, standing.done_steps, standing.steps)
    return failed(standing, answers.sentence(reply.text), kind, reply.status, usd)


def failed(standing: Standing, said: str, kind: str, status: int | None, usd: float | None = None) -> Standing:
    """A request that came to nothing: cancelled, refused by the model (it may be charged) or broken (it never is).

    `status` is that of its response, or None where there is no response to tell which it was.
    """
    refused = status in {400, 422, None}
    stage: Stage = "cancelled" if kind == CANCELLED else "failed"
    if usd is None and not refused and kind != CANCELLED:
        usd = 0.0
    return Standing(
        stage,
        lines=standing.lines,
        done_steps=standing.done_steps,
        steps=standing.steps,
        error=said or kind or "fal did not say why",
        next_step=NEXT_STEPS.get(kind, REFUSED if refused else BROKEN),
        blanked=kind == CONTENT,
        usd=usd,
        charged=None if usd is None else usd > 0.0,
    )


def likeness(item: Mapping[str, Any], inputs: Mapping[str, Any], mark: str) -> Literal["mark", "inputs", ""]:
    """How a request in the list is like the one sought: it carries its mark, or was given the same inputs."""
    given = item.get("json_input")
    if not isinstance(given, dict):
        return ""
    if mark in json.dumps(given):
        return "mark"
    # fal may list defaults beside what was sent.
    return "inputs" if inputs and all(key in given and given[key] == value for key, value in inputs.items()) else ""


def _lines(told: Mapping[str, Any]) -> tuple[str, ...]:
    logs = told.get("logs") or []
    messages = [str(log.get("message") or "") for log in logs if isinstance(log, dict)]
    return tuple(line for message in messages for line in message.splitlines() if line.strip())


def _error_type(reply: Reply) -> str:
    """What kind of error it is, by the header, the flat body or the first detail."""
    body = reply.json()
    details = body.get("detail") if isinstance(body, dict) else None
    first = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
    flat = body.get("error_type") if isinstance(body, dict) else None
    return str(reply.headers.get(ERROR_TYPE) or flat or first.get("type") or "")


def _usd(reply: Reply, unit_usd: float | None) -> float | None:
    """What was billed, where fal tells the units and their price is known."""
    try:
        units = float(reply.headers.get(UNITS, ""))
    except ValueError:
        return None
    return round(units * unit_usd, 6) if unit_usd is not None else None


def _withheld(output: Any) -> bool:
    """True where the safety checker blackened a picture."""
    flags = output.get("has_nsfw_concepts") if isinstance(output, dict) else None
    return isinstance(flags, list) and any(flag is True for flag in flags)
