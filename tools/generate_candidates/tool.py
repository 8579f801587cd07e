"""generate_candidates: announced, and honest about it."""

from __future__ import annotations

from typing import Never

from loradeck.tools.contracts import CandidatesArgs, CandidatesResult
from loradeck.tools.errors import NotYet
from loradeck.tools.spec import ToolSpec
from loradeck.tools.workbench import Workbench


def handle(args: CandidatesArgs, bench: Workbench) -> Never:  # noqa: ARG001  one signature for all handlers
    """Raises NotYet: what works today is in the sentence."""
    raise NotYet(
        "generate_candidates does not draw candidates in this release; give the person the shot_list of "
        "validate_coverage to photograph or draw, and add the pictures with curate_dataset(dataset_id, source)."
    )


TOOL = ToolSpec(
    name="generate_candidates",
    title="Generate candidate images",
    description=(
        "Draw pictures for what validate_coverage says is missing. Not in this release: it refuses in one sentence. "
        "Today, give the shot_list to the person and add their pictures with curate_dataset(dataset_id, source)."
    ),
    args=CandidatesArgs,
    result=CandidatesResult,
    handler=handle,
    open_world=True,
)
