"""A training once more, from its record: the images and captions that it saw, the same numbers, the same date.

``python -m loradeck.tools.start_training.again WORKSPACE RUN_ID`` queues it; `loradeck worker --once` then trains it.
On a CPU, with the same versions and threads, the file has the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loradeck.state import runs
from loradeck.state.files import new_id, write_json
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunKind, SpendState
from loradeck.tools.errors import BadArgument
from loradeck.tools.run_lookup import find_run
from loradeck.tools.start_training.snapshot import read, take

STARTED = "started"
"""Where the local engine notes the date that the file bears."""


def again(store: Store, run_id: str) -> RunRecord:
    """Queue the training of a record once more; the caller launches a worker.

    Raises NotFound for an unknown run, BadArgument for one that is no training, Refused where its snapshot changed.
    """
    old = find_run(store, run_id)
    if old.kind != RunKind.TRAIN:
        raise BadArgument(f"{old.id} is a {old.kind} run, no training; name one that check_status lists as training.")
    if old.spend_state != SpendState.NONE:
        raise BadArgument(
            f"{old.id} was trained at {old.engine} for money; start_training asks for a price before it does so again."
        )
    kept = read(store.workspace.run(old.id) / "dataset", old.spec["pairs"], old.spec["trigger"], old.fingerprint or "")
    new = new_id("run")
    pairs = take(store.workspace.run(new) / "dataset", [(item.image, item.caption, item.sha256) for item in kept.items])
    spec = {
        **old.spec,
        "pairs": [pair.as_row() for pair in pairs],
        "call": new,  # so that the first run is not taken for this one
        "dated": old.spec.get("dated") or runs.journal_get(store, old.id, STARTED),
    }
    write_json(store.workspace.run(new) / "spec.json", spec)
    columns = ("name", "dataset_id", "engine", "base_model", "fingerprint", "steps", "waived")
    return runs.enqueue(store, RunKind.TRAIN, spec, run_id=new, **{name: getattr(old, name) for name in columns})


def main(arguments: list[str]) -> int:
    """Queue the run that is named: 0, or 2 for misuse."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m loradeck.tools.start_training.again WORKSPACE RUN_ID\n")
        return 2
    run = again(Store(Path(arguments[0]).resolve()), arguments[1])
    sys.stdout.write(f"{run.id} is queued; `loradeck worker --once` trains it.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
