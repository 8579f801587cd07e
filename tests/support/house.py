"""A workspace with a small dataset, whose trainings the local engine does on a tiny base, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.datasets import ready_dataset

from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.registry import Registry
from loradeck.server import worker
from loradeck.state.records import DatasetRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import load
from loradeck.tools.contracts import CheckStatusResult
from loradeck.tools.workbench import Workbench

WAIVED = [
    {"rule_id": "COV-COUNT", "reason": "a small set is enough to break"},
    {"rule_id": "COV-BACKGROUND", "reason": "a small set is enough to break"},
]


class House:
    """Tools by name, and trainings that are waited for."""

    def __init__(self, folder: Path, engine: LocalEngine) -> None:
        self.store, self.engines = Store(folder), Registry({"local": lambda: engine})
        self.bench = Workbench(self.store, self.engines, lambda run_id: None)
        self.dataset: DatasetRecord = ready_dataset(self.store, images=9)

    def call(self, tool: str, **arguments: Any) -> Any:
        spec = load(tool)
        return spec.handler(spec.args.model_validate(arguments), self.bench)

    def trained(self, **arguments: Any) -> CheckStatusResult:
        started = self.call("start_training", dataset_id=self.dataset.id, waive=WAIVED, **arguments)
        assert started.run_id is not None, started.summary
        return self.work(started.run_id)

    def work(self, run_id: str) -> CheckStatusResult:
        """Do a run that waits, and tell how it ended."""
        worker.work(self.store.workspace.home, run_id, self.engines)
        status = self.call("check_status", run_id=run_id)
        assert isinstance(status, CheckStatusResult)
        return status
