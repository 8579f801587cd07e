"""The rows of a provider's table: endpoint, names of inputs and outputs, bounds, price, and the day all was checked.

The table is data: a row says how our arguments reach an endpoint, and one module (`engine.py`) does it for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from loradeck.engines.base import CameraTurn

Per = Literal["run", "1000 steps", "step", "image", "megapixel", "second"]
LoraStyle = Literal["list", "single", "destination", "none"]
"""`list`: [{path, scale}]. `single`: one address and one scale. `destination`: the trained model draws by itself."""
SizeStyle = Literal["image_size", "width_height", "aspect_ratio", "none"]
"""`image_size`: {"width", "height"}. `aspect_ratio`: the nearest of `ratios`, in words such as "16:9"."""


@dataclass(frozen=True)
class PriceRow:
    """USD by unit. `least` is the smallest charge. `seconds` is how long one picture or 1000 steps take, where seconds
    are paid. `worst` is the factor from what is expected to the most that it can come to.
    """

    usd: float
    per: Per
    least: float = 0.0
    seconds: float = 0.0
    worst: float = 1.0


@dataclass(frozen=True)
class OutputRow:
    """Where a file stands in an output: keys and indices from its top, and what the file is.

    A `version` is no file but the name of the trained model at its host, which draws by itself.
    """

    path: tuple[str | int, ...]
    role: Literal["lora", "high_noise_lora", "image", "config", "text", "version"] = "lora"


@dataclass(frozen=True)
class TrainerRow:
    """How an endpoint trains a base.

    `fields` maps our arguments (trigger, steps, learning_rate, rank, resolution, batch_size, name) to its inputs; what
    is not in it is ignored there, and told. `fixed` is always sent, such as auto-captioning off. `bounds` are of its
    inputs, by our names. `defaults` are the recipe there, by our names, better than the endpoint's own. `by_profile`
    are further inputs by profile (is_style for a look). `minutes` are (fixed, per 1000 steps). `told` are sentences on
    what it does not do. `most_images` and `least_images` are what it takes.
    """

    base_model: str
    endpoint: str
    zip_field: str
    fields: Mapping[str, str]
    price: PriceRow
    outputs: tuple[OutputRow, ...]
    checked: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    by_profile: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    defaults: Mapping[str, float] = field(default_factory=dict)
    minutes: tuple[float, float] = (3.0, 10.0)
    licence: str = ""
    told: tuple[str, ...] = ()
    least_images: int = 4
    most_images: int = 1000


@dataclass(frozen=True)
class DrawerRow:
    """How an endpoint draws on a base. `fields` maps prompt, seed, guidance, steps, references to its inputs."""

    base_model: str
    endpoint: str
    fields: Mapping[str, str]
    price: PriceRow
    outputs: tuple[OutputRow, ...]
    checked: str
    lora_style: LoraStyle = "none"
    lora_fields: tuple[str, str] = ("loras", "")
    """Names of the input for the file (or list), and of the one for its scale."""
    lora_refusal: str = ""
    """Where the host takes no LoRA that is uploaded to it: the sentence that says so, and what to do."""
    most_loras: int = 0
    size_style: SizeStyle = "image_size"
    size_fields: tuple[str, str] = ("width", "height")
    ratios: tuple[str, ...] = ()
    multiple: int = 16
    most_side: int = 2048
    least_side: int = 64
    fixed: Mapping[str, Any] = field(default_factory=dict)
    least_references: int = 0
    most_references: int = 0
    defaults: Mapping[str, float] = field(default_factory=dict)
    """guidance and steps."""
    licence: str = ""
    seconds: float = 10.0
    """How long a picture takes, for the estimate of minutes."""


@dataclass(frozen=True)
class EditorRow:
    """How an endpoint changes a picture. `model` is what requests name: multi_angle, restyle, edit, upscale.

    `fields` maps images, prompt, seed, horizontal, vertical, zoom, guidance, steps to its inputs; `many` says that
    images are a list, of `most_images` at most. `turn` gives the inputs for a camera turn where they are no angles; it
    raises BadSpec for one that is out of reach.
    """

    model: str
    endpoint: str
    fields: Mapping[str, str]
    price: PriceRow
    outputs: tuple[OutputRow, ...]
    checked: str
    many: bool = True
    most_images: int = 1
    fixed: Mapping[str, Any] = field(default_factory=dict)
    turn: Callable[[CameraTurn], Mapping[str, Any]] | None = None
    seconds: float = 20.0


@dataclass(frozen=True)
class CaptionerRow:
    """How a host's own captioner is asked, and where its words stand."""

    endpoint: str
    image_field: str
    price: PriceRow
    output: OutputRow
    checked: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Everything that a provider is asked for."""

    trainers: tuple[TrainerRow, ...]
    drawers: tuple[DrawerRow, ...]
    editors: tuple[EditorRow, ...]
    captioner: CaptionerRow | None = None
    instead: Mapping[str, str] = field(default_factory=dict)
    """For bases that are not trained there: a sentence on what is offered instead."""

    def trainer(self, base_model: str, endpoint: str | None = None) -> TrainerRow | None:
        """The first row for a base, or the one of a named endpoint."""
        rows = (row for row in self.trainers if row.base_model == base_model)
        return next((row for row in rows if endpoint in {None, row.endpoint}), None)

    def drawer(self, base_model: str, references: bool = False) -> DrawerRow | None:
        """The first row for a base, that leans on references where some are given."""
        rows = (row for row in self.drawers if row.base_model == base_model)
        return next((row for row in rows if not references or row.most_references), None)

    def editor(self, model: str) -> EditorRow | None:
        """The row of a kind of change."""
        return next((row for row in self.editors if row.model == model), None)
