"""All tools in the order they are listed, and the job behind each kind of run. Handlers load heavy things late."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pydantic import BaseModel

from loradeck.tools.contracts import RunKind
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Job

TOOLS = (
    "curate_dataset",
    "write_captions",
    "validate_coverage",
    "start_training",
    "check_status",
    "render_deck_visuals",
    "view_images",
    "list_loras",
    "stop_run",
    "generate_candidates",
    "manage_loras",
    "compare_renders",
)

JOBS = {
    RunKind.CURATE: "curate_dataset",
    RunKind.CAPTION: "write_captions",
    RunKind.TRAIN: "start_training",
    RunKind.RENDER: "render_deck_visuals",
    RunKind.CANDIDATES: "generate_candidates",
    RunKind.IMPORT: "manage_loras",
    RunKind.EXPORT: "manage_loras",
    RunKind.COMPARE: "compare_renders",
}


def load(name: str) -> ToolSpec:
    """The declaration of one tool: `TOOL` in `loradeck.tools.<name>.tool`."""
    spec: ToolSpec = import_module(f"loradeck.tools.{name}.tool").TOOL
    return spec


def load_all() -> list[ToolSpec]:
    """Every tool, in listing order."""
    return [load(name) for name in TOOLS]


def job_for(kind: RunKind) -> Callable[[Job], BaseModel]:
    """The function that a worker runs for a kind of run: `run` in `loradeck.tools.<step>.job`."""
    function: Callable[[Job], BaseModel] = import_module(f"loradeck.tools.{JOBS[kind]}.job").run
    return function
