"""What every engine promises: specs in, results out, a reporter on the side.

An engine knows neither MCP nor SQL. It gets a spec (plain data), a folder of images with captions, and a
`Reporter`. Every call is *re-entrant*: started again after a crash with the same spec and journal it goes on
(resumes the checkpoint, re-attaches to the provider's job) and never starts over or pays again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Ability = Literal["train", "draw", "edit", "upscale"]


# --------------------------------------------------------------------------- what an engine says of itself


@dataclass(frozen=True)
class BaseModelInfo:
    """One base that an engine can work on; `licence` is what its makers allow of the pictures, in a few words."""

    name: str
    abilities: frozenset[Ability]
    needs: str = ""
    preview: bool = False
    licence: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do, and on which bases."""

    abilities: frozenset[Ability]
    base_models: tuple[BaseModelInfo, ...]
    costs_money: bool = False
    leaves_machine: bool = False
    advanced: tuple[str, ...] = ()

    def base(self, name: str) -> BaseModelInfo | None:
        """The base of that name, or None."""
        return next((base for base in self.base_models if base.name == name), None)


@dataclass(frozen=True)
class Availability:
    """Ready, or why not and what to install or set."""

    ready: bool
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Cost:
    """What a spec is expected to take; None is unknown, never free.

    `worst_usd` is the most that it can come to. `price_source` is "live" where the host told the price itself, "table"
    where ours is used, and `price_date` the day (ISO 8601) on which it was told or checked.
    """

    minutes: float | None = None
    usd: float | None = None
    vram_gb: float | None = None
    disk_gb: float | None = None
    basis: str = ""
    worst_usd: float | None = None
    price_source: str = ""
    price_date: str = ""


@dataclass(frozen=True)
class Defaults:
    """An engine's recipe for one base, where the caller named no number."""

    steps: int
    rank: int
    alpha: float
    learning_rate: float
    batch_size: int
    resolution: int
    guidance: float
    draw_steps: int


# --------------------------------------------------------------------------- training


@dataclass(frozen=True)
class DatasetItem:
    """One training pair; `sha256` is of the image file's bytes.

    `mask` is a picture of the same shape that says what counts (white) and what does not (black), where there is one.
    """

    image: Path
    caption: str
    sha256: str
    mask: Path | None = None


@dataclass(frozen=True)
class DatasetFolder:
    """The image folder with .txt sidecars, as read at the start of a run."""

    path: Path
    items: tuple[DatasetItem, ...]
    trigger: str
    fingerprint: str


@dataclass(frozen=True)
class TrainSpec:
    """Everything that decides a training but the images.

    `run_dir` is where the engine writes `checkpoints/`, `samples/` and the final file; `warm_start` is a
    LoRA file to start from; `resolution` is the side in pixels that training sees; `cache` is a folder for what later
    runs on the same images need not compute again (the run's own where there is none). `test_prompts` are drawn once,
    at the last step. `dated` (ISO 8601) is the file's date where a training is done again; else it is the first start.
    """

    run_id: str
    run_dir: Path
    name: str
    base_model: str
    trigger: str
    profile: str
    steps: int
    rank: int
    alpha: float
    learning_rate: float
    batch_size: int
    resolution: int
    seed: int
    checkpoint_every: int
    sample_every: int
    sample_prompts: tuple[str, ...] = ()
    test_prompts: tuple[str, ...] = ()
    warm_start: Path | None = None
    cache: Path | None = None
    dated: str | None = None
    advanced: dict[str, Any] = field(default_factory=dict)


HIGH_NOISE = "high_noise_lora"
"""Metadata key of a training that gives two files (Wan 2.2): the name of the second, which lies beside the first."""
HIGH_NOISE_SHA256 = "high_noise_sha256"
"""Metadata key of the second file's SHA-256."""


@dataclass(frozen=True)
class TrainResult:
    """A LoRA file, alpha folded in, and what was measured on the way."""

    lora_path: Path
    sha256: str
    steps: int
    rank: int
    base_model: str
    final_loss: float | None
    held_out_first: float | None = None
    held_out_last: float | None = None
    preview: bool = False
    metadata: dict[str, str] = field(default_factory=dict)


# --------------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class LoraRef:
    """A LoRA file and how strongly it acts; `sha256` is of the file's bytes."""

    path: Path
    strength: float
    sha256: str
    base_model: str


@dataclass(frozen=True)
class DrawJob:
    """One picture to draw, to be written to `out` (PNG, atomically)."""

    id: str
    prompt: str
    seed: int
    width: int
    height: int
    out: Path


LEAST_REFERENCE_SIDE, MOST_REFERENCE_ASPECT = 64, 8
"""Pixels of the shorter side of a reference, and longer over shorter: what diffusers' FLUX.2 pipelines take
(`Flux2ImageProcessor.check_image_input`)."""


@dataclass(frozen=True)
class DrawRequest:
    """Pictures to draw with the same LoRAs. A job whose `out` exists already is kept as it is.

    `references` are picture files that every job leans on. `upcoming` are the prompts of later requests on the same
    base: an engine that opens its text encoders for this one encodes them along.
    """

    base_model: str
    jobs: tuple[DrawJob, ...]
    loras: tuple[LoraRef, ...] = ()
    guidance: float | None = None
    steps: int | None = None
    references: tuple[Path, ...] = ()
    upcoming: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture that was drawn; sizes in pixels. `native` is the size it was drawn at before scaling."""

    job_id: str
    path: Path
    width: int
    height: int
    native: tuple[int, int]


@dataclass(frozen=True)
class DrawResult:
    """All pictures of a request, in its order. `told` are sentences on what may be off in them, with the next step."""

    pictures: tuple[Picture, ...]
    preview: bool = False
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class CameraTurn:
    """Where the camera moves, in degrees: `horizontal` 0-360 (0 the front, 90 the subject's right side seen, 180 the
    back), `vertical` -30 (from below) to 90 (from above); `zoom` 0 (wide) to 10 (close-up).

    `start` and `start_zoom` are where it stands in the picture that is changed, for editors that know moves alone.
    """

    horizontal: float
    vertical: float = 0.0
    zoom: float = 5.0
    start: float = 0.0
    start_zoom: float = 5.0


@dataclass(frozen=True)
class EditJob:
    """One picture made from others: `images` (the first is the one to change), words, and a camera turn.

    With neither words nor a turn, and one image, it is enlarged.
    """

    draw: DrawJob
    images: tuple[Path, ...]
    turn: CameraTurn | None = None


@dataclass(frozen=True)
class EditRequest:
    """Pictures to change or to enlarge. `model` is the row of the engine's table, such as "multi_angle", "restyle",
    "edit" or "upscale"; `base_model` is "" where an editing model of the host's own does it.
    """

    base_model: str
    jobs: tuple[EditJob, ...]
    guidance: float | None = None
    steps: int | None = None
    model: str = "edit"


# --------------------------------------------------------------------------- captions


@dataclass(frozen=True)
class CaptionJob:
    """One picture to be described. `instructions` is the whole text that goes with it (what to name and what not), and
    `schema` the JSON schema of the answer: an object with a caption, and attributes beside it.

    `again` tells what the rules said of a first caption, for the one more try that a refused caption gets.
    """

    id: str
    image: Path
    instructions: str
    schema: dict[str, Any] = field(default_factory=dict)
    again: str = ""


@dataclass(frozen=True)
class Described:
    """What a captioner saw: the caption without the trigger, and attributes by their names, both as it worded them."""

    job_id: str
    caption: str
    attributes: dict[str, Any] = field(default_factory=dict)
    usd: float | None = None


@runtime_checkable
class Captioner(Protocol):
    """Who describes pictures for money: a vision model, or a host's own captioner."""

    @property
    def name(self) -> str:
        """The name callers use as `engine`: anthropic, replicate, fal."""

    @property
    def follows(self) -> bool:
        """True where it heeds the instructions; a host's own captioner words what it likes (CAP-ORIGIN)."""

    def available(self) -> Availability:
        """Ready, or why not."""

    def estimate(self, jobs: Sequence[CaptionJob]) -> Cost:
        """Minutes and USD. Raises NotInstalled or BadSpec where it could not be asked at all."""

    def describe(
        self, jobs: Sequence[CaptionJob], reporter: Reporter, done: Callable[[Described], None]
    ) -> tuple[str, ...]:
        """Describe pictures, several at once; `done` hears each as it comes, and keeps it durably before it returns.

        Re-entrant: what was answered in an earlier call of the same run is not paid again, and told to `done` once
        more. Returns sentences on what could not be described, with the next step. Raises ProviderError where no
        further picture can be described (a wrong key, no credit), once what is on its way has been kept.
        """


# --------------------------------------------------------------------------- money

PurchaseState = Literal["intended", "submitted", "unknown", "settled", "void"]
"""intended: written down before it is sent. submitted: the host gave an id. unknown: it may have arrived, or not.
settled: what it cost is known. void: it is certain that nothing was bought."""


@dataclass(frozen=True)
class Purchase:
    """One paid request of a run, as the ledger has it.

    `key` names it within the run and `mark` among all that was ever sent; the mark is sent along where a host has room
    for it, so that the request can be found in the host's list. `handle` is what the host gave to ask for it again
    (addresses of its status, say). Times are ISO 8601.
    """

    key: str
    mark: str
    state: PurchaseState
    endpoint: str
    worst_usd: float
    intended_at: str
    usd: float | None = None
    provider_id: str | None = None
    handle: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Purse(Protocol):
    """The ledger of one run, as an engine uses it. Every method is on the disk before it returns."""

    def get(self, key: str) -> Purchase | None:
        """What was bought under that key, or None."""

    def all(self) -> list[Purchase]:
        """Everything of this run, oldest first."""

    def intend(self, key: str, endpoint: str, worst_usd: float) -> Purchase:
        """Write down what is about to be bought, and set its worst case aside.

        What stands under that key already is given back as it is, unless it is void, which becomes a new intent with a
        new mark. Raises OverBudget where the run's limit, the day's or the workspace's would be passed; nothing is
        written then.
        """

    def submitted(self, key: str, provider_id: str, handle: dict[str, Any] | None = None) -> Purchase:
        """The host took it, and this is its id there."""

    def unknown(self, key: str, why: str) -> Purchase:
        """It was sent, and nothing tells whether it arrived; its worst case stays set aside."""

    def void(self, key: str, why: str) -> Purchase:
        """It is certain that nothing was bought; what has an id of the host's (by its own word) stays as it is."""

    def settle(self, key: str, usd: float | None) -> Purchase:
        """It is over and cost that much; None where the host does not tell, which counts as its worst case."""

    def held(self, provider_id: str) -> bool:
        """True where a purchase of any run has that id: a request found in a host's list is then somebody else's."""

    def news(self, provider_id: str) -> bool:
        """True once for each word that the host sent of that request by itself (a webhook)."""


# --------------------------------------------------------------------------- reporter and engine


@runtime_checkable
class Journal(Protocol):
    """A small durable memory of one run. `put` is on the disk before it returns."""

    def put(self, key: str, value: Any) -> None:
        """Store a JSON value under a key, replacing what was there."""

    def get(self, key: str) -> Any | None:
        """Read it back, or None."""


@runtime_checkable
class Reporter(Protocol):
    """What an engine tells while it works, and hears.

    Progress and metrics may be gathered for a while before they are written. An engine therefore calls `flush` before
    it writes a state that a resume starts from: the steps before that state are never measured again.
    """

    @property
    def journal(self) -> Journal:
        """The durable memory of this run."""

    @property
    def purse(self) -> Purse:
        """The ledger of this run. Engines that cost nothing leave it alone."""

    def progress(self, step: int, steps: int, message: str = "") -> None:
        """Where the work stands; cheap, may be called at every step."""

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Numbers measured at a step: loss, held_out_loss, grad_norm, learning_rate ..."""

    def pause(self, step: int, steps: int, message: str) -> None:
        """The work waits for something that a person can mend, and the message says what it is.

        The next `progress` says that it goes on. It returns at once, even where it cannot be written down.
        """

    def event(self, message: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """A line for a person."""

    def checkpoint(self, step: int, path: Path, sha256: str) -> None:
        """A checkpoint is whole on the disk; a resume may start from it."""

    def sample(self, step: int, path: Path, prompt: str) -> None:
        """A sample picture is on the disk."""

    def flush(self) -> None:
        """Whatever was told so far is on the disk before this returns."""

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when the person said stop, `LeaseLost` when another worker took over.

        Where the worker itself must end and the run goes on later, it is `Leaving`, which is a `Cancelled` too.
        """


@runtime_checkable
class Engine(Protocol):
    """Where a look is learned and drawn. Made by a zero-argument factory that imports nothing heavy."""

    @property
    def name(self) -> str:
        """The name callers use: local, replicate, fal ..."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; answered without loading anything."""

    def available(self) -> Availability:
        """Ready, or why not."""

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:
        """The recipe for a base, a set of that many images and a profile. Raises BadSpec for another's base."""

    def check(self, spec: TrainSpec) -> list[str]:
        """Remarks on what this engine takes but ignores or advises against; empty when there are none.

        Raises BadSpec or BadWeights, with what to change, where `train` would refuse the spec before any work.
        """

    def maps(self, spec: TrainSpec) -> list[str]:
        """How each argument reaches another's service, a sentence each; empty where the numbers are used as they are.

        What is ignored, bounded or put elsewhere (a trigger into every caption) is told here too.
        """

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        """Minutes, USD, VRAM and disk."""

    def train(self, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter) -> TrainResult:
        """Learn a LoRA. Re-entrant."""

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw pictures. Re-entrant: pictures that exist are kept."""

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        """Change pictures by words or a turn of the camera; those that fail are left out and told.

        Raises BadSpec where the engine cannot.
        """

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        """Enlarge pictures without inventing. Raises BadSpec where the engine cannot."""
