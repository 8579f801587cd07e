"""What a rule may look at: a set of kept images with their captions, as plain data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal

from loradeck.tools.contracts import Angle, AttributeSource, CaptionMode, Framing, Profile, SubjectKind, TargetModel
from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.tables import FIGURES, House, ProfileRow, Thresholds

UNKNOWN = "unknown"
BACKS = frozenset({Angle.BACK, Angle.BACK_LEFT, Angle.BACK_RIGHT})
THREE_QUARTERS = frozenset({Angle.THREE_QUARTER_LEFT, Angle.THREE_QUARTER_RIGHT})
CLOSE_UP_FRONT = "close_up_front"
CLOSE_UP_THREE_QUARTER = "close_up_three_quarter"
ANGLE_CLASSES: tuple[str, ...] = (
    *(str(angle) for angle in Angle if angle != Angle.UNKNOWN),
    CLOSE_UP_FRONT,
    CLOSE_UP_THREE_QUARTER,
)
"""What COV-ANGLE counts: the plain angles, and the two close-ups that are their own."""
WITNESSES = frozenset(AttributeSource) - {AttributeSource.ASSISTANT}
"""Sources of attributes that did see the image."""


@cache
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """A phrase as whole words, in any case."""
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """What was measured on one image; None where it was not. Units as in `contracts.ImageFacts`."""

    sharpness: float | None = None
    enlarged: float | None = None
    blocking: float | None = None
    jpeg_quality: int | None = None
    brightness: float | None = None
    highlight: float | None = None
    crushed: float | None = None
    blown: float | None = None
    faces: int | None = None
    overlay: Literal["margin", "repeated", "scene"] | None = None
    """Text laid over the picture: at its margin, the same on several, or elsewhere."""
    words: str = ""
    """What that text says, as far as it was read."""
    loras: tuple[str, ...] = ()
    """LoRAs that drew it, by its own metadata."""
    strangeness: float | None = None
    """How far it looks from the rest of the set, in robust deviations."""


@dataclass(frozen=True)
class KeptImage:
    """One image that will train. Sizes are (width, height) in pixels; `copy_size` is None when no copy can be read."""

    id: str
    number: int
    sha256: str
    original_size: tuple[int, int]
    copy_size: tuple[int, int] | None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    caption: str | None = None
    mode: str | None = None
    seen: bool = False
    plain_background: bool | None = None
    crop: Mapping[str, Any] | None = None
    overruled: frozenset[str] = frozenset()
    """Rules that had rejected the image before a person kept it on purpose."""
    measured: Measured = Measured()
    has_rights: bool = True
    """False where nothing is known of where it comes from or who may use it."""

    def known(self, name: str) -> str | None:
        """An attribute's value as text, or None when it is missing or unknown."""
        value = self.attributes.get(name)
        text = "" if value is None or isinstance(value, list) else str(value).replace("_", " ").strip().lower()
        return text if text and text != UNKNOWN else None

    @property
    def framing(self) -> Framing | None:
        """How much shows, where known."""
        value = self.attributes.get("framing")
        return Framing(value) if value in set(Framing) - {Framing.UNKNOWN} else None

    @property
    def angle(self) -> Angle | None:
        """Where the camera stands, where known."""
        value = self.attributes.get("angle")
        return Angle(value) if value in set(Angle) - {Angle.UNKNOWN} else None

    @property
    def framing_class(self) -> str | None:
        """close_up, medium, full_body or back_or_other: the classes that COV-FRAMING counts."""
        if self.angle in BACKS or self.framing == Framing.OTHER:
            return "back_or_other"
        return None if self.framing is None else str(self.framing)

    @property
    def angle_class(self) -> str | None:
        """One of `ANGLE_CLASSES`, where the angle is known."""
        if self.angle is None:
            return None
        if self.framing == Framing.CLOSE_UP and self.angle == Angle.FRONT:
            return CLOSE_UP_FRONT
        if self.framing == Framing.CLOSE_UP and self.angle in THREE_QUARTERS:
            return CLOSE_UP_THREE_QUARTER
        return str(self.angle)

    @property
    def face_shows(self) -> bool:
        """False when the camera looks at the back; unknown counts as showing."""
        return self.angle not in BACKS

    @property
    def vouched(self) -> bool:
        """True when its caption was built from attributes that someone or something read off the image itself."""
        return self.mode == CaptionMode.ATTRIBUTES and bool(self.sources) and set(self.sources.values()) <= WITNESSES


@dataclass(frozen=True)
class SetFacts:
    """A dataset as the rules see it: what is taught, to what, and the kept images by number."""

    profile: Profile
    target_model: TargetModel
    trigger: str | None
    images: tuple[KeptImage, ...]
    resolution: int
    subject_kind: SubjectKind = SubjectKind.PERSON
    subject: str = ""
    categories: tuple[str, ...] = ()
    house: House = field(default_factory=House)

    @property
    def limits(self) -> Thresholds:
        """The thresholds in force."""
        return self.house.thresholds

    @property
    def row(self) -> ProfileRow:
        """The profile's numbers in force."""
        return self.house.profiles[self.profile]

    def judged_words(self, text: str) -> str:
        """A text without the phrases that the house allows, for the rules that look for words.

        Empty where it is not English, whose words alone they know: CAP-LANGUAGE tells that they did not judge.
        """
        if not is_english(text):
            return ""
        for phrase in self.house.allowed:
            text = phrase_pattern(phrase).sub(" ", text)
        return text

    @property
    def caption_words(self) -> tuple[int, int]:
        """Fewest and most caption words after the trigger."""
        return self.house.words_for(self.target_model)

    @property
    def is_figure(self) -> bool:
        """True when one identity is taught, seen from all sides."""
        return self.profile in FIGURES

    @cached_property
    def _counted(self) -> dict[str, Counter[str]]:
        return {}

    def values(self, name: str) -> Counter[str]:
        """The known values of an attribute, and how many images have each; counted once."""
        if name not in self._counted:
            self._counted[name] = Counter(value for image in self.images if (value := image.known(name)))
        return self._counted[name]

    def has(self, name: str) -> bool:
        """True when at least one image knows the attribute."""
        return bool(self.values(name))

    @property
    def wears(self) -> bool:
        """A person always has outfits; others only when one was named."""
        return self.is_figure and (self.subject_kind == SubjectKind.PERSON or self.has("wardrobe"))

    @property
    def emotes(self) -> bool:
        """A person always has expressions; others only when one was named."""
        return self.is_figure and (self.subject_kind == SubjectKind.PERSON or self.has("expression"))

    @property
    def captioned(self) -> tuple[KeptImage, ...]:
        """The images that have a caption."""
        return tuple(image for image in self.images if image.caption is not None)
