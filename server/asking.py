"""A yes-or-no question to the person, by elicitation, in both eras of the protocol.

Up to 2025-11-25 the server asks in the middle of a call. Since 2026-07-28 a call ends with the question and the client
makes it again with the answer; the answer counts only for the very words that were shown, and once: a client that
sends the call another time has the person asked another time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from anyio import from_thread
from mcp.server.elicitation import AcceptedElicitation, render_elicitation_schema
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, Field

from loradeck import LoradeckError

ASKED_BY_RESULT = "2026-07-28"
"""The first version in which a call ends with its question; versions sort as text."""
KEY = "spend"
MOST_OPEN = 1000
"""Questions of this process that may wait for their answers; the oldest is then asked anew."""

_open: dict[str, str] = {}
"""What was asked and not answered yet, by the state that its answer comes back with."""


class Yes(BaseModel):
    """What the person is asked."""

    agree: bool = Field(description="Yes, do it.")


class Asking(LoradeckError):
    """The call ends here with a question, and is made again with its answer. Nothing was done."""

    def __init__(self, question: str) -> None:
        super().__init__(question)
        self.question = question

    def result(self) -> InputRequiredResult:
        """The question on the wire."""
        params = ElicitRequestFormParams(message=self.question, requested_schema=render_elicitation_schema(Yes))
        state = secrets.token_urlsafe()
        _open[state] = self.question
        for oldest in list(_open)[:-MOST_OPEN]:
            _open.pop(oldest, None)
        return InputRequiredResult(input_requests={KEY: ElicitRequest(params=params)}, request_state=state)


def asker(context: Context[Any, Any]) -> Callable[[str], bool | None]:
    """A function, for a worker thread, that asks the person: None where the client cannot.

    It raises Asking where the answer comes with the same call made again.
    """

    def ask(question: str) -> bool | None:
        if not _can_ask(context):
            return None
        if (context.protocol_version or "") >= ASKED_BY_RESULT:
            return _answered(context, question)
        answer = from_thread.run(partial(context.elicit, question, Yes))
        return isinstance(answer, AcceptedElicitation) and answer.data.agree

    return ask


def _can_ask(context: Context[Any, Any]) -> bool:
    """Whether the client declared forms; a bare `elicitation: {}` counts, an address alone does not."""
    declared = context.client_capabilities
    offered = declared.elicitation if declared is not None else None
    return offered is not None and (offered.form is not None or offered.url is None)


def _answered(context: Context[Any, Any], question: str) -> bool:
    answer = (context.input_responses or {}).get(KEY)
    asked = _open.pop(context.request_state or "", None)
    if not isinstance(answer, ElicitResult) or asked != question:
        raise Asking(question)
    return answer.action == "accept" and (answer.content or {}).get("agree") is True
