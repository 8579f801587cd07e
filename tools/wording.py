"""Sentences that more than one tool says."""

from __future__ import annotations

from collections.abc import Iterable

from loradeck.tools.contracts import Finding

PREVIEW_NOTE = (
    "This used the embedded preview base: a tiny model that draws simple flat pictures with soft edges, for "
    "learning the workflow. "
    "A LoRA of it works on it alone; for real pictures train a full-size base_model (flux2-klein-4b, flux1-dev ...)."
)


def addressed(findings: Iterable[Finding], dataset_id: str) -> list[Finding]:
    """The findings with the dataset's id in their fixes, so that these can be called as they stand."""
    return [
        finding.model_copy(
            update={
                "fix": finding.fix.replace("dataset_id=...", f'dataset_id="{dataset_id}"').replace(
                    "of=dataset_id", f'of="{dataset_id}"'
                )
            }
        )
        for finding in findings
    ]
