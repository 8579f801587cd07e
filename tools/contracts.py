"""Every argument, result and enum that a caller sees, in one place.

The models here are the public surface of loradeck: the MCP tools, ``loradeck call`` and the tests all
speak them. Arguments refuse unknown names (``extra="forbid"``); every result carries ``summary`` and
``next_step`` *inside* the structure, since some clients drop the text beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

# --------------------------------------------------------------------------- enums


class Profile(StrEnum):
    """What is being taught."""

    CHARACTER = "character"
    STYLE = "style"
    ICONS = "icons"
    PRODUCT = "product"
    LOGO = "logo"
    PREMIUM = "premium"
    MOTION = "motion"


class TargetModel(StrEnum):
    """Whose caption rules are followed, and (one to one by default) which base is trained."""

    FLUX1_DEV = "flux1-dev"
    FLUX2_DEV = "flux2-dev"
    KLEIN_4B = "flux2-klein-4b"
    KLEIN_9B = "flux2-klein-9b"
    FLUX3_KLEIN = "flux3-klein"
    Z_IMAGE = "z-image"
    Z_IMAGE_BASE = "z-image-base"
    PREVIEW = "preview"
    WAN_22 = "wan-2.2"
    KONTEXT = "flux1-kontext"
    """Draws with references, and is not trained here."""


class SubjectKind(StrEnum):
    """What a character is; outfit and expression rules hold only where there are any."""

    PERSON = "person"
    CREATURE = "creature"
    ROBOT = "robot"
    OBJECT = "object"


class Severity(StrEnum):
    """An error blocks; a warning is told and trains; an info is told and never counts."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """The worst severity of a report: any error fails, any warning warns."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class ImageStatus(StrEnum):
    """Kept images train; rejected ones stay listed with their reason and can be kept again.

    Proposed ones were drawn for a gap, and count nowhere until somebody looked and kept them.
    """

    KEPT = "kept"
    REJECTED = "rejected"
    PROPOSED = "proposed"


class CaptionMode(StrEnum):
    """Who words the captions: the caller, the image's attributes, or a vision model."""

    GIVEN = "given"
    ATTRIBUTES = "attributes"
    VISION = "vision"


IMPORTED = "imported"
HOSTED = "hosted"
"""In a row, the mode of a caption that came along with its picture, and of one that a host's own captioner worded as it
liked: nobody can ask for either, and CAP-ORIGIN trusts neither.
"""


class RunKind(StrEnum):
    """The long steps."""

    CURATE = "curate"
    CAPTION = "caption"
    TRAIN = "train"
    RENDER = "render"
    CANDIDATES = "candidates"
    COMPARE = "compare"
    IMPORT = "import"
    EXPORT = "export"


class RunState(StrEnum):
    """queued, preparing, running, paused; then one of the four that end a run. quoted: a price was told, no more."""

    QUOTED = "quoted"
    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """True when nothing more will happen unless someone resumes the run."""
        return self in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.LOST}


class SpendState(StrEnum):
    """What is known about the money of a run."""

    NONE = "none"
    QUOTED = "quoted"
    INTENDED = "intended"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SETTLED = "settled"


class AttributeSource(StrEnum):
    """Where an attribute came from; a later one in this order wins over an earlier one."""

    DETECTOR = "detector"
    VISION = "vision"
    METADATA = "metadata"
    ASSISTANT = "assistant"
    PERSON = "person"


class Framing(StrEnum):
    """How much of the subject shows."""

    CLOSE_UP = "close_up"
    MEDIUM = "medium"
    FULL_BODY = "full_body"
    OTHER = "other"
    UNKNOWN = "unknown"


class Angle(StrEnum):
    """Where the camera stands, seen from the subject."""

    FRONT = "front"
    THREE_QUARTER_LEFT = "three_quarter_left"
    THREE_QUARTER_RIGHT = "three_quarter_right"
    PROFILE_LEFT = "profile_left"
    PROFILE_RIGHT = "profile_right"
    BACK = "back"
    BACK_LEFT = "back_left"
    BACK_RIGHT = "back_right"
    LOW = "low"
    HIGH = "high"
    UNKNOWN = "unknown"


class Intensity(StrEnum):
    """How strong an expression is."""

    NEUTRAL = "neutral"
    MODERATE = "moderate"
    INTENSE = "intense"
    UNKNOWN = "unknown"


# --------------------------------------------------------------------------- parts


class Strict(BaseModel):
    """Base of all argument models: an unknown name is refused, never dropped."""

    model_config = ConfigDict(extra="forbid")


class Attributes(Strict):
    """What varies in one image. Leave out what you do not know; say "unknown" to take a value back."""

    framing: Framing | None = None
    angle: Angle | None = None
    expression: str | None = Field(None, max_length=80)
    intensity: Intensity | None = None
    wardrobe: str | None = Field(None, max_length=200)
    background: str | None = Field(None, max_length=200)
    lighting: str | None = Field(None, max_length=200)
    pose: str | None = Field(None, max_length=200)
    subject: str | None = Field(None, max_length=200, description="The thing shown.")
    colors: list[str] | None = Field(None, max_length=12)
    category: str | None = Field(None, max_length=80)
    source_engine: str | None = Field(None, max_length=80)
    keystone: bool | None = None


class Finding(BaseModel):
    """One thing that a rule has to say."""

    rule_id: str
    severity: Severity
    where: list[str] = Field(description='Image ids, or ["set"].')
    why: str = Field(description="One sentence with the measured value and the wanted one.")
    fix: str = Field(description="The next action.")


class Waiver(Strict):
    """A rule set aside on purpose; kept on the run for ever."""

    rule_id: str = Field(pattern=r"^[A-Z]{3}-[A-Z]+$")
    reason: str = Field(min_length=8, max_length=400)


class Result(BaseModel):
    """What every structured answer carries."""

    summary: str = Field(description="Two sentences a person would want.")
    next_step: str = Field(description="The call to make next.")


class RunResult(Result):
    """The answer of a step that may go on after the call: poll check_status with run_id."""

    run_id: str | None = None
    state: RunState | None = None


class Crop(BaseModel):
    """The square cut from the original, in pixels of the upright (EXIF-turned) original."""

    x: int
    y: int
    width: int
    height: int
    reason: str = Field(description='Why there: "whole", "face", "upper centre", "asked".')


Box = tuple[int, ...]
"""x, y, width, height in pixels."""


def as_box(values: Sequence[int]) -> tuple[int, int, int, int]:
    """The four numbers of a box."""
    x, y, width, height = values
    return x, y, width, height


class Face(BaseModel):
    """In pixels of the upright original."""

    box: Box
    confidence: float
    angle: Angle | None = None


class Lettering(BaseModel):
    """Text in the copy; box in thousandths of its side."""

    box: Box
    words: str = ""
    confidence: float
    at_margin: bool


class ImageFacts(BaseModel):
    """What was measured on one image; missing where it was not measured."""

    width: int = Field(description="Pixels, original, upright.")
    height: int
    format: str
    bytes: int
    content: Box | None = Field(None, description="Inside bars and margins.")
    sharpness: float | None = Field(None, description="Under 0.8 is blurred.")
    enlarged: float | None = None
    """How little it holds that half its pixels could not, 0 to 1."""
    blocking: float | None = None
    """JPEG's steps as seen in the pixels; 1 is quality 50."""
    jpeg_quality: int | None = None
    brightness: float | None = None
    highlight: float | None = None
    """Mean luma, and that of the brightest twentieth, 0 to 255."""
    crushed: float | None = None
    blown: float | None = None
    """Shares lost in black and in white."""
    faces: list[Face] | None = None
    text: list[Lettering] | None = None
    plain_background: bool | None = None
    background_color: str | None = Field(None, description="Hex, where it is plain.")
    dominant_colors: list[str] = Field(default_factory=list)
    converted: list[str] = Field(default_factory=list)
    """What was done to it, such as "alpha flattened on #ffffff"."""
    loras: list[str] = Field(default_factory=list)
    """That drew it, by its own metadata."""


class Rights(Strict):
    """What is left out stays as it was."""

    source: str | None = Field(None, max_length=300)
    licence: str | None = Field(None, max_length=200)
    consent: str | None = Field(None, max_length=300, description="Of the people shown.")
    may_leave: bool | None = Field(None, description="False: never uploaded to a hosted engine.")


AN_OBJECT = WithJsonSchema({"type": "object"})
"""Where the listing of a model would cost more than it tells."""


class ImageRow(BaseModel):
    """One image of a dataset, compact. `number` is the number on the contact sheet."""

    image_id: str
    number: int
    file: str
    status: ImageStatus
    reasons: list[str] = Field(default_factory=list)
    size: str = Field(description='Original, e.g. "1024x1024".')
    attributes: dict[str, Any] = Field(default_factory=dict)
    attribute_sources: dict[str, AttributeSource] = Field(default_factory=dict)
    caption: str | None = None
    facts: Annotated[ImageFacts | None, AN_OBJECT] = Field(None, description="With detail=true.")
    crop: Crop | None = Field(None, description="With detail=true.")
    rights: Rights | None = Field(None, description="With detail=true.")
    background: str | None = None
    """Hex of the ground that replaced its own."""


class Rejected(BaseModel):
    """An image that was set aside, and why."""

    image_id: str
    file: str
    rule_id: str
    why: str


class DuplicateGroup(BaseModel):
    """Images that show the same; the best copy stays."""

    kept: str
    dropped: list[str]
    how: Literal["exact", "near"]


class Estimate(BaseModel):
    """What a step is expected to take. Missing means unknown, never free."""

    minutes: float | None = None
    usd: float | None = None
    vram_gb: float | None = None
    disk_gb: float | None = None
    basis: str = Field("", description="Where the numbers come from.")
    worst_usd: float | None = None
    price_source: str = ""
    price_date: str = ""


class Artefact(BaseModel):
    """A file that a step left."""

    kind: str = Field(description="lora, checkpoint, sample, sample_grid, loss_chart, visual, contact_sheet, deck ...")
    path: str
    bytes: int | None = None
    step: int | None = None


# --------------------------------------------------------------------------- curate_dataset

Size = Annotated[int, Field(ge=64, le=2048, multiple_of=16)]


class RightsOf(Rights):
    """Rights of some images."""

    images: list[str] | None = Field(None, description="Default: those added, else all.")


class CropOf(Strict):
    """Pixels of the upright original; the image alone: as the detector would."""

    image: str
    x: int | None = Field(None, ge=0)
    y: int | None = Field(None, ge=0)
    side: int | None = Field(None, ge=64)


class BackgroundOf(Strict):
    """By solid colours, one for each image."""

    images: list[str]
    make: Literal["solid", "original"] = "solid"


class CurateArgs(Strict):
    """Arguments of curate_dataset."""

    source: str | list[str] | None = Field(
        None, description="Folder, .zip, image paths or https URLs. Omit to change an existing dataset."
    )
    name: str | None = Field(
        None, min_length=1, max_length=60, description="Of a new dataset; with dataset_id, its new name."
    )
    dataset_id: str | None = Field(None, description="Add to or change this dataset (id or name).")
    trigger: str | None = Field(
        None, min_length=2, max_length=60, description="The made-up word or phrase that will call the look."
    )
    profile: Profile | None = Field(None, description="What is taught; new datasets default to style.")
    target_model: TargetModel | None = Field(None, description="Default preview (embedded, free).")
    subject: str | None = Field(None, max_length=400, description="Who or what the set shows, in words.")
    subject_kind: SubjectKind | None = Field(None, description="For profile character; default person.")
    keep: list[str] | None = Field(
        None, description='Image ids or sheet numbers and ranges ("4", "7-9", "all") to keep even if rejected.'
    )
    reject: list[str] | None = Field(None, description='Ids, numbers, ranges, or "all but 4, 9" to set aside.')
    undo: bool = Field(False, description="Take back the last keep, reject, crop or background.")
    crops: list[CropOf] | None = Field(None, max_length=500, description="Where to cut images instead.")
    backgrounds: BackgroundOf | None = Field(None, description="Grounds to replace.")
    rights: RightsOf | None = Field(None, description="Where images come from, who may use them.")
    resolution: Size | None = Field(None, description="Side of the square copies, pixels. Default 1024.")
    categories: list[str] | None = Field(None, description="Declared categories of a look, for balance.")
    detail: bool = Field(False, description="Facts and crops in the rows too.")
    page: int = Field(1, ge=1, description="50 rows a page.")


class CurateResult(RunResult):
    """Answer of curate_dataset."""

    dataset_id: str | None = None
    name: str | None = None
    trigger: str | None = None
    profile: Profile | None = None
    target_model: TargetModel | None = None
    kept: int = 0
    rejected: list[Rejected] = Field(default_factory=list)
    duplicates: list[DuplicateGroup] = Field(default_factory=list)
    images: list[ImageRow] = Field(default_factory=list)
    page: int = 1
    pages: int = 1
    findings: list[Finding] = Field(default_factory=list)
    folder: str | None = Field(None, description="Where the copies, sidecars and metadata.jsonl are.")


# --------------------------------------------------------------------------- write_captions


class CaptionItem(Strict):
    """One image's caption, attributes or both."""

    image_id: str = Field(description="Id, number on the sheet, or file name.")
    attributes: Attributes | None = None
    caption: str | None = Field(None, max_length=4000)


class WriteCaptionsArgs(Strict):
    """Arguments of write_captions."""

    dataset_id: str = Field(description="Id or name.")
    images: list[CaptionItem] = Field(
        default_factory=list, max_length=500, description="What you saw; with mode=attributes, which (none: all)."
    )
    mode: CaptionMode = Field(
        CaptionMode.GIVEN, description="Who words them: you, the attributes known, or a vision model (paid)."
    )
    overwrite: bool = Field(False, description="Replace captions that are there already.")
    sheet_code: str | None = Field(None, description="The code printed on the sheet or image you looked at.")
    trigger_only: bool = Field(False, description="Write the bare trigger where nothing else is known.")
    engine: str = Field("auto", description="For mode=vision: auto, anthropic, replicate, fal.")
    quote_id: str | None = Field(None, description="Agreed to.")
    max_cost_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Never spend more.")


class CaptionRefusal(BaseModel):
    """A caption that was not saved, why, and a mended proposal where one could be made."""

    image_id: str
    caption: str
    findings: list[Finding]
    proposal: str | None = None


class CaptionRow(BaseModel):
    """A caption that was saved; findings are warnings and infos."""

    image_id: str
    caption: str
    findings: list[Finding] = Field(default_factory=list)


class WriteCaptionsResult(RunResult):
    """Answer of write_captions."""

    dataset_id: str
    accepted: int
    written: list[CaptionRow] = Field(default_factory=list, description="First 50, those with findings first.")
    refused: list[CaptionRefusal] = Field(default_factory=list)
    unknown: list[str] = Field(default_factory=list, description="What named no image; nothing was saved for it.")
    missing: list[str] = Field(default_factory=list, description="Kept images that have no caption yet.")
    quote_id: str | None = None


# --------------------------------------------------------------------------- validate_coverage


class ValidateArgs(Strict):
    """Arguments of validate_coverage."""

    dataset_id: str = Field(description="Id or name.")
    target_model: TargetModel | None = Field(None, description="Judge for another model than the dataset's.")
    deck: str | None = Field(
        None,
        description="Path of a deck file, or a deck's id or title: what its slides need and the set lacks is told.",
    )


class Shot(BaseModel):
    """A missing picture, concrete enough to make it."""

    text: str
    attributes: dict[str, str] = Field(default_factory=dict)
    worth: float = Field(description="Higher is more valuable.")


class ValidateResult(Result):
    """Answer of validate_coverage. A report stays good until anything that it judged changes."""

    dataset_id: str
    report_id: str
    verdict: Verdict
    findings: list[Finding]
    coverage: dict[str, dict[str, int]] = Field(description="Attribute -> value -> kept images.")
    shot_list: list[Shot] = Field(default_factory=list)
    fingerprint: str
    kept: int
    captioned: int


# --------------------------------------------------------------------------- start_training


class StartTrainingArgs(Strict):
    """Arguments of start_training. Everything but the dataset has a default from the rulebook."""

    dataset_id: str | None = Field(None, description="Id or name; not needed with resume.")
    engine: str = Field("auto", description="auto, local, replicate, fal ...")
    base_model: TargetModel | None = Field(None, description="Default: the dataset's target model.")
    name: str | None = Field(None, max_length=60, description="Name of the LoRA; default the dataset's.")
    steps: int | None = Field(None, ge=1, le=20000, description="Default: the recipe of the base.")
    rank: int | None = Field(None, ge=1, le=256, description="Size of the LoRA; default: the recipe.")
    alpha: float | None = Field(None, gt=0, le=1024, description="Default: the recipe, mostly rank.")
    learning_rate: float | None = Field(None, gt=0, le=0.1, description="Default: the recipe.")
    batch_size: int | None = Field(None, ge=1, le=64, description="Images a step; default: the recipe.")
    resolution: Size | None = Field(None, description="Pixels a side that training sees; default: the recipe.")
    seed: int = Field(42, ge=0, le=2**32 - 1, description="Same seed, same weights.")
    checkpoint_every: int | None = Field(None, ge=1, description="Steps.")
    sample_every: int | None = Field(None, ge=1, description="Steps.")
    sample_prompts: list[str] | None = Field(None, max_length=8, description="Drawn along the way, same seeds.")
    waive: list[Waiver] = Field(default_factory=list, description="Rules set aside, with a reason that is kept.")
    advanced: dict[str, Any] = Field(default_factory=dict, description="Engine options; unknown ones are refused.")
    continue_from: str | None = Field(None, description="A LoRA id: warm start, after the set has grown.")
    resume: str | None = Field(None, description="A run id: go on from its last checkpoint.")
    quote_id: str | None = Field(None, description="Of the quote that the person agreed to.")
    max_cost_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Never spend more.")


class TrainingPlan(BaseModel):
    """What will be done, in numbers."""

    engine: str
    base_model: str
    images: int
    steps: int
    passes_over_set: float = Field(description="steps x batch size / images.")
    rank: int
    alpha: float
    learning_rate: float
    batch_size: int
    resolution: int
    seed: int
    checkpoint_every: int
    sample_every: int
    sample_prompts: list[str]
    continue_from: str | None = None
    waived: list[Waiver] = Field(default_factory=list)
    told: list[Finding] = Field(default_factory=list, description="What the plan wants you to know.")
    maps: list[str] = Field(default_factory=list, description="How each argument reaches a hosted engine.")


class EngineOffer(BaseModel):
    """The same training by one engine."""

    engine: str
    ready: bool
    minutes: float | None = None
    usd: float | None = None
    licence: str = ""
    told: list[str] = Field(default_factory=list)


class StartTrainingResult(RunResult):
    """Answer of start_training: started, quoted, or refused with the findings that block."""

    dataset_id: str | None = None
    plan: TrainingPlan | None = None
    estimate: Estimate | None = None
    quote_id: str | None = None
    engines: list[EngineOffer] = Field(default_factory=list, description="Side by side.")
    findings: list[Finding] = Field(default_factory=list, description="What blocks, when refused.")
    preview_note: str | None = Field(None, description="Set when the embedded preview base is used.")


# --------------------------------------------------------------------------- check_status


class CheckStatusArgs(Strict):
    """Arguments of check_status."""

    run_id: str | None = Field(None, description="Id or name; omit for everything at a glance.")
    wait_seconds: float = Field(0, ge=0, le=25, description="Wait this long for news; running out is normal.")
    page: int = Field(1, ge=1, description="Of the overview, without run_id.")


class Glance(BaseModel):
    """One line of the overview."""

    kind: Literal["dataset", "run", "lora", "deck"]
    id: str
    name: str
    state: str
    about: str
    updated_at: str


class Diagnosis(BaseModel):
    """What is going wrong, and the call that remedies it."""

    what: str
    why: str
    remedy: str


class CheckStatusResult(RunResult):
    """Answer of check_status."""

    kind: RunKind | None = None
    step: int | None = None
    steps: int | None = None
    message: str | None = None
    loss: float | None = Field(None, description="Training loss, mean of the last 20 steps.")
    held_out_loss: float | None = Field(None, description="At fixed noise and sigmas; this one must fall.")
    eta_seconds: float | None = None
    cost_usd: float | None = None
    spend_state: SpendState | None = None
    diagnosis: list[Diagnosis] = Field(default_factory=list)
    artefacts: list[Artefact] = Field(default_factory=list)
    events: list[str] = Field(default_factory=list, description="Last ten, oldest first.")
    poll_after_seconds: float | None = None
    result: dict[str, Any] | None = Field(None, description="The step's own answer, less the files in `artefacts`.")
    overview: list[Glance] = Field(default_factory=list)
    page: int | None = Field(None, description="Of the overview.")
    pages: int | None = None
    preview_note: str | None = None


# --------------------------------------------------------------------------- render_deck_visuals

DeckFormat = Literal["png", "typst", "pdf", "pptx"]
Aspect = Literal["16:9", "4:3", "3:2", "1:1", "2:1", "a4"]
"""Of pages; "a4" is A4 lying on its side, "2:1" a spread of two pages."""

Layout = Literal[
    "full_bleed",
    "image_left",
    "image_right",
    "card",
    "background",
    "grid",
    "reference_sheet",
    "storyboard",
    "icon_sheet",
    "lookbook",
    "spread",
]
"""How a slide is set."""
ONE_PICTURE = frozenset({"full_bleed", "image_left", "image_right", "card", "background"})
MANY_PICTURES = frozenset({"grid", "storyboard", "icon_sheet"})
"""Layouts that have one picture, and those that must have panels; the others may have either."""

Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Pixels = Annotated[int, Field(ge=64, le=4096)]
LONGEST_DRAWN = 8000
"""Characters of a prompt as drawn: a slide's, a panel's, style words and triggers together."""
FrameName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,40}$")]
"""Small letters, digits and underscores: a file stem on every system."""


class Theme(Strict):
    """Colours as #rrggbb, fonts by family name, the shape of the pages."""

    background: Colour = Field("#121212", description="Of the pages, #rrggbb; in YAML in quotes.")
    text: Colour = Field("#f2efe6", description="Of words; moved until they can be read on the background.")
    accent: Colour = Field("#c9a227", description="Of lines and marks.")
    font: str | None = Field(None, max_length=60, description="Of body text. Default: Inter, which is shipped.")
    heading_font: str | None = Field(None, max_length=60, description="Of headings. Default: that of body text.")
    aspect: Aspect = Field("16:9", description="Of a page.")


class LoraUse(Strict):
    """A LoRA and how strongly it acts."""

    lora_id: str = Field(description="Id, or name (newest version).")
    strength: float = Field(1.0, ge=-2, le=4, description="1 is as trained.")


class DeckDefaults(Strict):
    """How a deck's pictures are drawn where neither the call nor the slide says otherwise."""

    loras: list[LoraUse] | None = Field(None, description="Default: the active LoRAs, else the newest; [] for none.")
    engine: str | None = Field(None, description="auto, local, fal, replicate ...")
    base_model: TargetModel | None = Field(None, description="Default: that of the LoRAs.")
    width: Pixels | None = Field(None, description="Of a picture. Default: 1024, and the page's shape.")
    height: Pixels | None = Field(None, description="Of a picture. Default: from the width and the page's shape.")
    steps: int | None = Field(None, ge=1, le=100, description="Of drawing. Default: the base's.")
    guidance: float | None = Field(None, ge=0, le=20, description="How hard the prompt pulls. Default: the base's.")
    seed: Seed = Field(7, description="Of the first slide; the next ones count on.")
    before: str | None = Field(None, max_length=400, description="Style words before every prompt.")
    after: str | None = Field(None, max_length=400, description="Style words behind every prompt.")


class Panel(Strict):
    """One of several pictures on a slide."""

    name: FrameName | None = Field(None, description="Default: its number.")
    prompt: str = Field(min_length=1, max_length=2000, description="Of this picture, behind the slide's own prompt.")
    caption: str | None = Field(None, max_length=200, description="Set under it.")
    seed: Seed | None = Field(None, description="Default: the slide's, and 60 more for each panel.")


class Slide(Strict):
    """One slide and its visual, or the several panels of it."""

    name: FrameName = Field(description="File stem, e.g. fault_line.")
    prompt: str | None = Field(
        None, min_length=1, max_length=2000, description="Of the picture; with panels, in front of each one's prompt."
    )
    as_drawn: Annotated[str | None, SkipJsonSchema()] = Field(None, min_length=1, max_length=LONGEST_DRAWN)
    """In the place of a prompt, of a picture that is drawn again: style words and triggers of the deck are in it."""
    panels: list[Panel] = Field(
        default_factory=list,
        max_length=16,
        description="The pictures of a grid, storyboard, icon sheet, lookbook or reference sheet; a reference sheet "
        "with a prompt alone has the usual views.",
    )
    heading: str | None = Field(None, max_length=120, description="Set as text, whatever signs it holds.")
    body: str | None = Field(None, max_length=1200, description='Lines; "- " makes a bullet.')
    notes: str | None = Field(None, max_length=4000, description="For the speaker, before prompt and seed.")
    seed: Seed | None = Field(None, description="Default: the deck's, and one more for each slide before this one.")
    width: Pixels | None = Field(None, description="Of each of its pictures. Default: the deck's.")
    height: Pixels | None = Field(None, description="Of each of its pictures. Default: the deck's.")
    layout: Layout = Field("full_bleed", description="How the slide is set.")

    @model_validator(mode="after")
    def _pictures_fit_the_layout(self) -> Slide:
        """One picture or panels, as the layout wants them."""
        if self.panels and self.layout in ONE_PICTURE:
            many = ", ".join(name for name in get_args(Layout) if name not in ONE_PICTURE)
            raise PydanticCustomError("panels", f"the layout {self.layout} has one picture; for panels take {many}")
        if not self.panels and self.layout in MANY_PICTURES:
            raise PydanticCustomError("panels", f"the layout {self.layout} needs panels: [{{name, prompt, caption}}]")
        if not self.panels and self.prompt is None and self.as_drawn is None:
            raise PydanticCustomError("prompt", "a prompt is missing")
        return self


class DeckSpec(Strict):
    """A deck: a title, a theme, how its pictures are drawn, and slides in order."""

    title: str = Field(min_length=1, max_length=120, description="On the title page; a deck can be called by it.")
    subtitle: str | None = Field(None, max_length=200, description="Under the title.")
    theme: Theme = Field(default_factory=Theme, description="Colours, fonts, the shape of the pages.")
    defaults: DeckDefaults = Field(default_factory=DeckDefaults, description="How all its pictures are drawn.")
    slides: list[Slide] = Field(min_length=1, max_length=60, description="In their order.")

    @model_validator(mode="before")
    @classmethod
    def _as_it_was_written_before(cls, data: Any) -> Any:
        """Seed, width and height stood beside the title once, and decks in the store still say so.

        `$schema` is for editors, and says nothing of the deck.
        """
        if not isinstance(data, dict):
            return data
        data = {key: value for key, value in data.items() if key != "$schema"}
        given = data.get("defaults", {})
        if not isinstance(given, dict):
            return data
        moved = {key: data.pop(key) for key in ("seed", "width", "height") if key in data and key not in given}
        return {**data, "defaults": {**moved, **given}} if moved else data


class SlideEdit(Strict):
    """A change to one slide before it is rendered again."""

    slide: str = Field(description='Its name; "icons-star" is the panel star of the slide icons.')
    prompt: str | None = Field(None, max_length=2000)
    add: str | None = Field(None, max_length=400, description='Words put behind the prompt, e.g. "bright daylight".')
    seed: Seed | None = None
    guidance: float | None = Field(None, ge=0, le=20)
    heading: str | None = None
    body: str | None = None
    layout: Layout | None = None


class Pick(Strict):
    """Which take of a slide goes into the deck."""

    slide: str
    take: int = Field(ge=1)


class IntoTypst(Strict):
    """A person's own Typst deck, and how the visuals get into it."""

    file: str = Field(description="Path of the .typ file.")
    how: Literal["images", "cards", "backgrounds"] = Field(
        "images", description="Pictures under slide titles, cards with captions, or textures behind the pages."
    )
    rewrite: bool = Field(
        False, description="True: change the file itself (a backup is kept); else only tell the lines to add."
    )


BRIEF = "brief"
"""In the schema of an argument: a short one that stands for it in the list of tools (`server/schemas.py`)."""


class RenderArgs(Strict):
    """Arguments of render_deck_visuals: a deck to make, or a deck_id to change."""

    deck: str | DeckSpec | None = Field(
        None,
        # The whole schema is a resource; among the tools' definitions it would cost as much as three tools do.
        json_schema_extra={BRIEF: {"anyOf": [{"type": "string"}, {"type": "object"}]}},
        description="Full path of a .yaml, .json or .typ file, or of a .png drawn here, or {title, subtitle, theme: "
        "{background, text, accent, font, heading_font, aspect}, defaults: {loras, engine, base_model, width, height, "
        "steps, guidance, seed, before, after}, "
        "slides: [{name, prompt or panels: [{name, prompt, caption}], heading, body, notes, seed, layout}]}; layouts: "
        "full_bleed, image_left, image_right, card, background, grid, reference_sheet, storyboard, icon_sheet, "
        "lookbook, spread. Whole schema: resource loradeck://schemas/deck.",
    )
    deck_id: str | None = Field(None, description="Id or title of a deck made before; with deck, its new wording.")
    only: list[str] | None = Field(None, description="Names of the slides to render again.")
    edits: list[SlideEdit] = Field(default_factory=list, description="Changes to slides.")
    pick: list[Pick] = Field(default_factory=list, description="Which take goes into the deck.")
    loras: list[LoraUse] | None = Field(None, description="Default: the active LoRAs, else the newest; [] for none.")
    engine: str = Field("auto", description="auto, local, fal, replicate")
    base_model: TargetModel | None = Field(None, description="Default: that of the LoRAs.")
    takes: int = Field(1, ge=1, le=8, description="Pictures a slide, each with its own seed.")
    guidance: float | None = Field(None, ge=0, le=20, description="How hard the prompt pulls; default: the base.")
    steps: int | None = Field(None, ge=1, le=100, description="Of drawing; default: the base.")
    prompt_prefix: str | None = Field(None, max_length=400, description="In the place of the deck's `before`.")
    formats: list[DeckFormat] = Field(
        default_factory=lambda: list[DeckFormat](("png", "typst", "pdf", "pptx")), description="Default: all."
    )
    references: list[str] | None = Field(
        None, max_length=14, description="Paths of pictures to lean on, now and later; [] for none."
    )
    cut_out: bool = Field(False, description="Lay references on a plain ground first.")
    output_dir: str | None = Field(None, description='Copy the files here too, now and later; "" ends that.')
    into: IntoTypst | None = Field(None, description="Put the visuals into a Typst deck of one's own.")
    quote_id: str | None = Field(None, description="Of the quote that the person agreed to.")
    max_cost_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Never spend more.")


class VisualRow(BaseModel):
    """One rendered picture."""

    slide: str
    take: int
    path: str
    prompt: str = Field(description="As drawn, the trigger in front.")
    seed: int
    width: int
    height: int
    picked: bool
    fresh: bool = Field(description="False when it was kept from before, since nothing changed.")
    stale: bool = False
    """Drawn with a LoRA of which there is a newer version."""
    findings: list[Finding] = Field(default_factory=list)


class RenderResult(RunResult):
    """Answer of render_deck_visuals."""

    deck_id: str | None = None
    visuals: list[VisualRow] = Field(default_factory=list)
    files: list[Artefact] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)
    proposal: dict[str, Any] | None = Field(None, description="A deck read from a Typst file; nothing was drawn.")
    quote_id: str | None = None
    preview_note: str | None = None


# --------------------------------------------------------------------------- generate_candidates


class CandidatesArgs(Strict):
    """Arguments of generate_candidates."""

    dataset_id: str = Field(description="Id or name.")
    shots: list[Shot | str] | None = Field(
        None, description='Of shot_list (default: all), or in words; "all": 12 views.'
    )
    captions: list[str] | dict[str, list[str]] | None = Field(None, description="Draw these; may be by category.")
    mode: Literal["three_pass", "reference", "text"] | None = Field(None, description="Default: by profile.")
    engine: str = Field("auto", description="auto, local, fal, replicate")
    quote_id: str | None = Field(None, description="Of the quote that the person agreed to.")
    max_cost_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Never spend more.")


class Candidate(BaseModel):
    """A picture proposed for a gap, or planned; it trains only once it was kept."""

    image_id: str = ""
    shot: str
    draw_prompt: str
    caption: str
    path: str = ""
    usd: float | None = None


class CandidatesResult(RunResult):
    """Answer of generate_candidates."""

    dataset_id: str
    candidates: list[Candidate] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)
    quote_id: str | None = None


# --------------------------------------------------------------------------- list_loras, manage_loras


class ListLorasArgs(Strict):
    """Arguments of list_loras."""

    lora_id: str | None = Field(None, description="Only this one; id or name.")
    base_model: TargetModel | None = Field(None, description="Only those of this base.")
    page: int = Field(1, ge=1, description="50 rows a page.")


class LoraRow(BaseModel):
    """One LoRA of the library."""

    lora_id: str
    name: str
    version: int
    base_model: str
    trigger: str | None
    path: str
    bytes: int
    sha256: str
    rank: int | None = None
    steps: int | None = None
    dataset_id: str | None = None
    run_id: str | None = None
    parent_lora_id: str | None = None
    active: bool = False
    strength: float = 1.0
    preview: bool = False
    source: str = ""
    """Where an imported one came from, and which trainer's keys it had."""
    deleted_at: str | None = None
    waived: list[Waiver] = Field(default_factory=list, description="Rules set aside for its training.")
    created_at: str


class LorasResult(RunResult):
    """Answer of list_loras and manage_loras."""

    loras: list[LoraRow] = Field(default_factory=list)
    files: list[Artefact] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)
    page: int = 1
    pages: int = 1
    preview_note: str | None = None


class TrainedResult(RunResult):
    """What a training left: the `result` that check_status gives once it succeeded."""

    dataset_id: str | None = None
    lora: LoraRow
    images: int
    final_loss: float | None = None
    held_out_first: float | None = Field(None, description="Before the first step, fixed noise and sigmas.")
    held_out_last: float | None = None
    artefacts: list[Artefact] = Field(default_factory=list, description="Of checkpoints the newest five and the best.")
    checkpoints: int = Field(0, description="How many there are; all lie in `checkpoints_in`.")
    checkpoints_in: str | None = None
    best_step: int | None = Field(None, description="Of the checkpoint with the lowest held-out loss.")
    waived: list[Waiver] = Field(default_factory=list)
    preview_note: str | None = None


class LoraAction(StrEnum):
    """What manage_loras can do."""

    IMPORT = "import"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    EXPORT = "export"
    PUBLISH = "publish"
    DELETE = "delete"
    RESTORE = "restore"


class ManageLorasArgs(Strict):
    """Arguments of manage_loras."""

    action: LoraAction = Field(description="What to do.")
    lora_id: str | None = Field(None, description="Id, or name (newest version).")
    strength: float | None = Field(None, ge=-2, le=4, description="How strongly it acts; 1 is as trained.")
    path: str | None = Field(None, description="File to import, or folder to export to.")
    url: str | None = Field(None, description='Import: https address or hub name "owner/name[:file]".')
    name: str | None = Field(None, max_length=193, description="Of an imported LoRA; publish: owner/name at the hub.")
    base_model: TargetModel | None = Field(None, description="Of an imported file, where it does not tell.")
    trigger: str | None = Field(None, max_length=60, description="Likewise.")
    format: Literal["diffusers", "comfyui"] | None = Field(None, description="Keys of an export; default both.")
    offer_id: str | None = Field(None, description="Agreed to.")


# --------------------------------------------------------------------------- compare_renders


class Variant(Strict):
    """One column of a comparison."""

    label: str | None = Field(None, max_length=40)
    loras: list[LoraUse] = Field(default_factory=list, max_length=4, description="Stacked; [] is the base alone.")
    checkpoint: int | None = Field(None, ge=0, description="Step of the run that made the first LoRA.")
    engine: str = "auto"
    base_model: TargetModel | None = Field(None, description="Default: that of the LoRAs.")
    references: list[str] = Field(default_factory=list, max_length=10, description="Paths of pictures to lean on.")


class CompareChoice(Strict):
    """Which column is best in one row."""

    prompt: int = Field(ge=1, description="Row of prompts, from 1.")
    variant: str = Field(description="Its label.")
    seed: int | None = Field(None, description="Default: all seeds.")
    by: Literal["person", "assistant"] = "person"


class CompareArgs(Strict):
    """Arguments of compare_renders: a comparison to make, or a run_id to pick in."""

    prompts: list[str] | None = Field(None, min_length=1, max_length=24, description="Rows.")
    deck: str | None = Field(None, description="Id, title or file of a deck whose prompts are the rows.")
    variants: list[Variant] | None = Field(None, min_length=2, max_length=6, description="Columns.")
    seeds: list[Seed] = Field(
        default_factory=lambda: [1], min_length=1, max_length=4, description="Each prompt is drawn with each."
    )
    width: Pixels | None = Field(None, description="Of a picture.")
    height: Pixels | None = Field(None, description="Of a picture.")
    steps: int | None = Field(None, ge=1, le=100, description="Of drawing.")
    guidance: float | None = Field(None, ge=0, le=20, description="Default: the base.")
    run_id: str | None = Field(None, description="A comparison made before, for picks.")
    picks: list[CompareChoice] = Field(default_factory=list, description="The best of each row; kept, and counted.")
    quote_id: str | None = Field(None, description="Agreed to.")
    max_cost_usd: float | None = Field(None, ge=0, allow_inf_nan=False, description="Never spend more.")


class Compared(BaseModel):
    """One column of a comparison, in numbers. Missing means that it could not be measured."""

    variant: str
    images: int
    consistency: float | None = Field(None, description="How alike its pictures of different prompts are, 0 to 1.")
    closeness: float | None = Field(None, description="To the training look, 0 to 1.")
    look: str = Field("", description="The variant whose look that is.")
    diversity: float | None = Field(None, description="Between seeds, 0 to 1.")
    copies: int | None = Field(None, description="Pictures that copy a training image.")
    leak: float | None = Field(None, description="Of the look, without the trigger; 0 is none, 1 is all of it.")
    accepted: int = Field(0, description="Pictures without a finding.")
    seconds: float | None = Field(None, description="An image.")
    usd: float | None = Field(None, description="An image.")
    usd_accepted: float | None = Field(None, description="An accepted image.")
    wins: str = Field("", description='Of picks, with its range: "6 of 9, 67% (35-88%)".')


class CompareResult(RunResult):
    """Answer of compare_renders."""

    variants: list[Compared] = Field(default_factory=list)
    grid: str | None = Field(None, description="A labelled picture: rows are prompts, columns variants.")
    files: list[Artefact] = Field(default_factory=list, description="The table with a row for each picture, and all.")
    measured_by: str = ""
    break_even: list[str] = Field(default_factory=list)
    told: list[str] = Field(default_factory=list)
    quote_id: str | None = None
    preview_note: str | None = None


# --------------------------------------------------------------------------- view_images, stop_run


class ViewArgs(Strict):
    """Arguments of view_images. The answer is pictures and a line of text, no structure."""

    of: str = Field(description="Id or name of a dataset, deck, LoRA or run.")
    what: Literal["sheet", "image", "samples", "loss", "coverage", "compare", "deck"] = Field(
        "sheet",
        description="sheet, image, coverage: of a dataset; samples, loss: of a run; deck, image: of a deck; compare.",
    )
    image_ids: list[str] | None = Field(
        None, max_length=12, description="For what=image or deck: ids, sheet numbers, slides."
    )
    page: int = Field(1, ge=1, description="Of a sheet with many pictures.")


class StopArgs(Strict):
    """Arguments of stop_run."""

    run_id: str = Field(description="Id or name of a run that goes on.")


class StopResult(RunResult):
    """Answer of stop_run: what was done is kept."""

    preview_note: str | None = None
