"""How far a dataset has come: its pictures, its captions, and whether its last verdict still speaks of it."""

from __future__ import annotations

from dataclasses import dataclass

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, ReportRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import ImageStatus, Verdict
from loradeck.tools.errors import BadArgument


@dataclass(frozen=True)
class Standing:
    """A dataset at this moment. `judged` is the fingerprint of its last verdict, by its own target model."""

    kept: int
    captioned: int
    fingerprint: str | None = None
    verdict: Verdict | None = None
    judged: str | None = None

    @property
    def complete(self) -> bool:
        """True when there are images and each has a caption."""
        return 0 < self.kept <= self.captioned

    @property
    def passed(self) -> bool:
        """True when it was judged as it is now, and may train."""
        return self.judged == self.fingerprint and self.verdict in {Verdict.PASS, Verdict.WARN}

    def __str__(self) -> str:
        """In a word or a few: empty, curated, captioned, or its last verdict."""
        if not self.complete:
            return "curated" if self.kept else "empty"
        if self.verdict is None:
            return "captioned"
        return f"last verdict: {self.verdict}" if self.judged == self.fingerprint else "changed since its last verdict"


def standing(store: Store, dataset: DatasetRecord) -> Standing:
    """Where the dataset stands; only a complete one has a fingerprint worth comparing."""
    kept = store.count(ImageRecord, "dataset_id = ? and status = ?", [dataset.id, ImageStatus.KEPT])
    held = "dataset_id = ? and image_id in (select id from images where status = ?)"
    bare = Standing(kept, store.count(CaptionRecord, held, [dataset.id, ImageStatus.KEPT]))
    if not bare.complete:
        return bare
    condition = "dataset_id = ? and target_model = ?"
    values = [dataset.id, dataset.target_model]
    last = store.where(ReportRecord, condition, values, order="created_at desc, rowid desc", limit=1)
    verdict, judged = (Verdict(last[0].verdict), last[0].fingerprint) if last else (None, None)
    return Standing(kept, bare.captioned, _fingerprint(store, dataset), verdict, judged)


def _fingerprint(store: Store, dataset: DatasetRecord) -> str | None:
    """None where the dataset cannot be judged at all, which validate_coverage tells."""
    # late, as the rulebook everywhere: a start does without
    from loradeck.tools.rulebook.fingerprint import fingerprint
    from loradeck.tools.validate_coverage.tool import facts_now

    try:
        return fingerprint(facts_now(store, dataset))
    except BadArgument:
        return None
