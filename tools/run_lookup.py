"""Finding a run by what a caller says, and the call that makes an ended one go on."""

from __future__ import annotations

import difflib

from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunKind
from loradeck.tools.errors import NotFound

UNDER_WAY_FIRST = "state in ('queued', 'preparing', 'running', 'paused') desc, created_at desc, rowid desc"
"""A name is shared: a dataset's trainings bear it, and so does adding pictures to it."""


def find_run(store: Store, ref: str, kind: RunKind | None = None) -> RunRecord:
    """The run of an id, or of a name: one under way, else the newest. Raises NotFound with the nearest ids."""
    wanted = ref.strip()
    condition = "(id = ? or lower(name) = lower(?))" + (" and kind = ?" if kind else "")
    values = [wanted, wanted, *([kind] if kind else [])]
    found = store.where(RunRecord, condition, values, order=UNDER_WAY_FIRST, limit=1)
    if found:
        return found[0]
    runs = store.where(RunRecord, order="created_at desc", limit=200)
    if not runs:
        raise NotFound(f"There is no run {wanted!r}, and none at all yet; start_training starts one.")
    ids = [run.id for run in runs]
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.6) or ids[:3]
    raise NotFound(
        f"There is no run {wanted!r}; the nearest are {', '.join(near)}. "
        "check_status without a run_id lists them all, in pages."
    )


def resume_call(run: RunRecord) -> str:
    """The call that makes a run go on from where it was."""
    if run.kind == RunKind.TRAIN:
        return f'start_training(resume="{run.id}")'
    if run.kind == RunKind.COMPARE:
        return f'compare_renders(run_id="{run.id}")'
    if run.deck_id:
        return f'render_deck_visuals(deck_id="{run.deck_id}")'
    if run.kind in {RunKind.IMPORT, RunKind.EXPORT}:
        action = "publish" if run.spec.get("repository") else run.kind
        return f'the same manage_loras(action="{action}", ...) call once more'
    return f"the call that started this {run.kind} run, once more: what was done is kept"
