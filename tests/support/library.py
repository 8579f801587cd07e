"""Calls of manage_loras for tests."""

from __future__ import annotations

from typing import Any

from loradeck.tools.catalogue import load
from loradeck.tools.contracts import LorasResult
from loradeck.tools.workbench import Workbench


def manage(work: Workbench, action: str, **arguments: Any) -> LorasResult:
    spec = load("manage_loras")
    answer = spec.handler(spec.args.model_validate({"action": action, **arguments}), work)
    assert isinstance(answer, LorasResult)
    return answer
