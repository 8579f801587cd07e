"""One dataclass a table: what a row holds, typed. Lists and dicts are stored as JSON text.

`paths` names the columns that hold a file of the workspace: whole in a record, relative to the workspace in its row,
so that a workspace can be moved. `tells_paths` names the JSON columns whose texts speak of such files, likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class DatasetRecord:
    """A set of images being made ready for one look."""

    table: ClassVar[str] = "datasets"
    id: str
    name: str
    profile: str
    target_model: str
    resolution: int
    trigger: str | None = None
    subject: str = ""
    subject_kind: str = "person"
    categories: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class ImageRecord:
    """One image; `file` is the name of the normalised copy inside the dataset's folder.

    `ground` is the colour (#rrggbb) that replaced its background; `made` names all that its copy was made by.
    """

    table: ClassVar[str] = "images"
    id: str
    dataset_id: str
    number: int
    file: str
    original_path: str
    original_name: str
    sha256: str
    status: str
    copy_sha256: str | None = None
    phash: str | None = None
    dhash: str | None = None
    reasons: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    crop: dict[str, Any] | None = None
    ground: str | None = None
    made: str | None = None
    rights: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class LookRecord:
    """What is compared of one image, packed: `look` for duplicates, `vector` for strangers in the set."""

    table: ClassVar[str] = "looks"
    upsert: ClassVar[bool] = True
    key: ClassVar[str] = "image_id"
    image_id: str
    dataset_id: str
    look: bytes
    vector: bytes


@dataclass(frozen=True)
class CaptionRecord:
    """The caption of one image; `seen` is true when it came with a sheet's code."""

    table: ClassVar[str] = "captions"
    upsert: ClassVar[bool] = True
    key: ClassVar[str] = "image_id"
    image_id: str
    dataset_id: str
    text: str
    mode: str
    seen: bool = False
    findings: list[dict[str, Any]] = field(default_factory=list)
    updated_at: str = ""


@dataclass(frozen=True)
class SheetRecord:
    """A contact sheet or image that was shown; its code proves that it was looked at."""

    table: ClassVar[str] = "sheets"
    key: ClassVar[str] = "code"
    code: str
    of: str
    image_ids: list[str] = field(default_factory=list)
    created_at: str = ""


@dataclass(frozen=True)
class ReportRecord:
    """A verdict on a dataset, and the fingerprint that it judged."""

    table: ClassVar[str] = "reports"
    id: str
    dataset_id: str
    fingerprint: str
    target_model: str
    verdict: str
    report: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One long step. `spec` is all that the job needs; times of leases are epoch seconds."""

    table: ClassVar[str] = "runs"
    tells_paths: ClassVar[tuple[str, ...]] = ("result",)
    id: str
    kind: str
    state: str
    spend_state: str = "none"
    name: str = ""
    dataset_id: str | None = None
    deck_id: str | None = None
    engine: str = ""
    base_model: str = ""
    fingerprint: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    waived: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: str | None = None
    step: int = 0
    steps: int = 0
    message: str = ""
    attempt: int = 0
    cancel_requested: bool = False
    token: str | None = None
    pid: int | None = None
    pid_started: float | None = None
    lease_until: float = 0.0
    cost_usd: float | None = None
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    updated_at: str = ""


@dataclass(frozen=True)
class CheckpointRecord:
    """A whole checkpoint on the disk."""

    table: ClassVar[str] = "checkpoints"
    paths: ClassVar[tuple[str, ...]] = ("path",)
    upsert: ClassVar[bool] = True
    run_id: str
    step: int
    path: str
    sha256: str
    score: float | None = None
    created_at: str = ""


@dataclass(frozen=True)
class SampleRecord:
    """A sample picture drawn during a training."""

    table: ClassVar[str] = "samples"
    paths: ClassVar[tuple[str, ...]] = ("path",)
    upsert: ClassVar[bool] = True
    run_id: str
    step: int
    path: str
    prompt: str
    created_at: str = ""


@dataclass(frozen=True)
class EventRecord:
    """A line for a person."""

    table: ClassVar[str] = "events"
    id: int
    run_id: str
    level: str
    message: str
    created_at: str


@dataclass(frozen=True)
class LoraRecord:
    """One version of a look, as a file."""

    table: ClassVar[str] = "loras"
    paths: ClassVar[tuple[str, ...]] = ("path",)
    id: str
    name: str
    version: int
    base_model: str
    path: str
    sha256: str
    bytes: int
    trigger: str | None = None
    rank: int | None = None
    steps: int | None = None
    dataset_id: str | None = None
    run_id: str | None = None
    parent_lora_id: str | None = None
    fingerprint: str | None = None
    preview: bool = False
    active: bool = False
    strength: float = 1.0
    meta: dict[str, Any] = field(default_factory=dict)
    deleted_at: str | None = None
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class DeckRecord:
    """A deck: its specification, the LoRAs it is drawn with, and how."""

    table: ClassVar[str] = "decks"
    id: str
    title: str
    spec: dict[str, Any] = field(default_factory=dict)
    loras: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class VisualRecord:
    """One take of one slide; `recipe` is the hash of all that decides its pixels."""

    table: ClassVar[str] = "visuals"
    paths: ClassVar[tuple[str, ...]] = ("path",)
    id: str
    deck_id: str
    slide: str
    take: int
    path: str
    prompt: str
    seed: int
    width: int
    height: int
    recipe: str
    sha256: str
    run_id: str | None = None
    picked: bool = True
    findings: list[dict[str, Any]] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""


@dataclass(frozen=True)
class SpendRecord:
    """One row of the ledger: a quote, and what became of it.

    `state` is quoted, then intended (agreed to, for one run), submitted, unknown or settled as the run's purchases
    go. `binding` is the hash of all that was quoted for. `worst_usd` is what is set aside from `accepted_at` on, and
    `max_cost_usd` the limit that was agreed to.
    """

    table: ClassVar[str] = "spend"
    id: str
    state: str
    provider: str
    what: str
    run_id: str | None = None
    fingerprint: str = ""
    binding: str = ""
    quote_usd: float | None = None
    worst_usd: float | None = None
    max_cost_usd: float | None = None
    actual_usd: float | None = None
    price_source: str = ""
    price_date: str = ""
    expires_at: str | None = None
    accepted_at: str | None = None
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class PurchaseRecord:
    """One paid request of a run. `id` marks it among all that was ever sent; `why` is what is known of an odd end."""

    table: ClassVar[str] = "purchases"
    id: str
    run_id: str
    item: str
    state: str
    provider: str
    endpoint: str
    worst_usd: float
    usd: float | None = None
    provider_id: str | None = None
    handle: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True)
class NewsRecord:
    """A host sent word of a request by itself. `mark` is its purchase's; what it said of the result is not kept."""

    table: ClassVar[str] = "news"
    upsert: ClassVar[bool] = True
    provider: str
    provider_id: str
    mark: str
    received_at: str


@dataclass(frozen=True)
class PickRecord:
    """Somebody's choice in a comparison: the best variant of a prompt's row (from 1), of one seed or of all.

    `by` is "person" or "assistant".
    """

    table: ClassVar[str] = "picks"
    run_id: str
    prompt: int
    variant: str
    by: str
    seed: int | None = None
    created_at: str = ""
