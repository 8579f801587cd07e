"""compare_renders: announced, and honest about it."""

from __future__ import annotations

from typing import Never

from loradeck.tools.contracts import CompareArgs, CompareResult
from loradeck.tools.errors import NotYet
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Workbench


def handle(args: CompareArgs, bench: Workbench) -> Never:  # noqa: ARG001  one signature for all handlers
    """Raises NotYet: what works today is in the sentence."""
    raise NotYet(
        "compare_renders does not compare in this release; make one deck for each LoRA or strength with "
        "render_deck_visuals, same prompts and seeds, and look at both with view_images(of=<deck_id>, what='deck')."
    )


TOOL = ToolSpec(
    name="compare_renders",
    title="Compare renders",
    description=(
        "Draw the same prompts and seeds with several LoRAs, strengths, checkpoints or engines, side by side. Not in "
        "this release: it refuses in one sentence. Today, render one deck for each with render_deck_visuals, with "
        "the same seeds, and look at both with view_images."
    ),
    args=CompareArgs,
    result=CompareResult,
    handler=handle,
    open_world=True,
)
