"""Every number of the rulebook in one place: profiles, target models, thresholds.

The fingerprint of a dataset holds the numbers in force, so a report that was given under other numbers is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loradeck.tools.contracts import Profile, TargetModel

RULEBOOK_VERSION = "4"
"""Raised whenever a rule starts to judge differently."""

STRICT = frozenset({Profile.CHARACTER, Profile.STYLE, Profile.MOTION})
BRAND = frozenset({Profile.ICONS, Profile.PRODUCT, Profile.LOGO, Profile.PREMIUM})
FIGURES = frozenset({Profile.CHARACTER, Profile.MOTION})
"""Profiles that teach one identity, seen from all sides."""

NEVER_WAIVED = frozenset({"CAP-TRIGGER", "IMG-READABLE", "TRN-FINGERPRINT", "TRN-SPEND"})


@dataclass(frozen=True)
class ProfileRow:
    """What is taught, and how many images that takes: block below, warn below, best from-to, warn above."""

    teaches: str
    never_captioned: str
    always_captioned: str
    block_below: int
    warn_below: int
    best: tuple[int, int]
    warn_above: int


PROFILES: dict[Profile, ProfileRow] = {
    Profile.CHARACTER: ProfileRow(
        "one identity",
        "face, body, scars, hair, eyes, skin; style, camera and quality words; an outfit that never changes",
        "expression, camera angle, environment, lighting, a distinctive pose, the outfit when it varies",
        10,
        15,
        (20, 30),
        40,
    ),
    Profile.STYLE: ProfileRow(
        "a look",
        "the look itself, its medium, its grade",
        "subject, setting, lighting when it varies",
        10,
        20,
        (30, 60),
        200,
    ),
    Profile.ICONS: ProfileRow(
        "an icon family", "the drawing style", "the thing drawn, its colours, its parts", 20, 40, (40, 60), 200
    ),
    Profile.PRODUCT: ProfileRow(
        "product illustrations", "the drawing style", "subject, scene, colours", 15, 30, (30, 50), 200
    ),
    Profile.LOGO: ProfileRow("logo illustrations", "the drawing style", "subject, colours", 12, 25, (25, 40), 200),
    Profile.PREMIUM: ProfileRow(
        "premium illustrations", "the drawing style", "subject, scene, light, colours", 25, 50, (50, 80), 200
    ),
    Profile.MOTION: ProfileRow(
        "one identity in motion", "as character", "as character, plus motion and camera movement", 5, 10, (10, 15), 30
    ),
}


@dataclass(frozen=True)
class TargetRow:
    """What a base wants: caption words after the trigger, and the usual ranges of a training (None: engine's own)."""

    words: tuple[int, int]
    encoder: str
    steps: tuple[int, int]
    learning_rate: tuple[float, float] | None
    rank: tuple[int, int] | None
    files: int = 1


TARGETS: dict[TargetModel, TargetRow] = {
    TargetModel.FLUX1_DEV: TargetRow((30, 80), "T5 + CLIP", (1000, 2000), (1e-4, 4e-4), (16, 32)),
    TargetModel.FLUX2_DEV: TargetRow((30, 80), "Mistral-3", (800, 3000), (1e-4, 1.5e-4), (16, 48)),
    TargetModel.KLEIN_4B: TargetRow((30, 80), "Qwen3", (500, 1200), (1e-4, 3e-4), (16, 32)),
    TargetModel.KLEIN_9B: TargetRow((30, 80), "Qwen3", (500, 1200), (1e-4, 3e-4), (16, 32)),
    # Captions as for its forerunner; steps around those of fal's trainer (1000), which sets rate and rank itself.
    TargetModel.FLUX3_KLEIN: TargetRow((30, 80), "Qwen3-VL", (500, 1500), None, None),
    TargetModel.Z_IMAGE: TargetRow((20, 50), "Qwen3", (1000, 2000), (1e-4, 1e-4), None),
    TargetModel.Z_IMAGE_BASE: TargetRow((20, 50), "Qwen3", (1000, 2000), (5e-4, 5e-4), None),
    TargetModel.PREVIEW: TargetRow((8, 35), "small Qwen3, 64 tokens", (100, 400), None, (8, 16)),
    TargetModel.WAN_22: TargetRow((80, 150), "UMT5", (800, 1500), (7e-4, 7e-4), None, files=2),
    # Reads prompts as FLUX.1 does. No engine trains it; the steps are those of its sibling.
    TargetModel.KONTEXT: TargetRow((30, 80), "T5 + CLIP", (1000, 2000), None, None),
}


def _number(default: Any, rule_id: str) -> Any:
    """A threshold and the rule that it belongs to."""
    return field(default=default, metadata={"rule": rule_id})


@dataclass(frozen=True)
class Thresholds:
    """Where a rule begins to speak. Shares are of the captions or images that the rule looks at."""

    length_error_below: float = _number(0.5, "CAP-LENGTH")
    """Of the target's fewest words."""
    length_error_above: float = _number(2.0, "CAP-LENGTH")
    """Of the target's most words."""
    detail_characters: tuple[int, int] = _number((10, 700), "CAP-DETAIL")
    """After the trigger."""
    redundant_error: float = _number(0.8, "CAP-REDUNDANT")
    redundant_warning: float = _number(0.5, "CAP-REDUNDANT")
    phrase_words: int = _number(5, "CAP-REDUNDANT")
    """Longest phrase that is counted."""
    phrase_content_words: int = _number(2, "CAP-REDUNDANT")
    template_warning: float = _number(0.5, "CAP-TEMPLATE")
    set_rules_from: int = _number(5, "CAP-REDUNDANT")
    """CAP-REDUNDANT and CAP-TEMPLATE need this many captions to say anything."""
    near_duplicate: float = _number(85.0, "CAP-DUPLICATE")
    """rapidfuzz ratio, trigger removed; good captions stay under 50."""
    near_duplicate_content: float = _number(0.75, "CAP-DUPLICATE")
    """And this share of content words in common, so that short captions of two things pass."""
    covers_error_missing: int = _number(2, "CAP-COVERS")
    unknown_error: float = _number(0.10, "COV-KNOWN")
    framing_bands: tuple[tuple[str, float, float], ...] = _number(
        (
            ("close_up", 0.33, 0.40),
            ("medium", 0.25, 0.30),
            ("full_body", 0.20, 0.25),
            ("back_or_other", 0.10, 0.10),
        ),
        "COV-FRAMING",
    )
    framing_slack: float = _number(0.10, "COV-FRAMING")
    angles: tuple[int, int] = _number((3, 5), "COV-ANGLE")
    """Error below the first, warning below the second."""
    frontal: tuple[float, float] = _number((0.80, 0.60), "COV-FRONTAL")
    """Error from the first share on, warning from the second."""
    expressions: tuple[int, int, int] = _number((3, 5, 7), "COV-EXPRESSION")
    """Error below, warning below, warning above."""
    neutral: tuple[float, float] = _number((0.25, 0.50), "COV-NEUTRAL")
    repeat: tuple[float, float] = _number((0.35, 0.20), "COV-REPEAT")
    """Error from the first share on, warning from the second."""
    wardrobe_images: int = _number(15, "COV-WARDROBE")
    """One outfit is an error in sets of this size or more."""
    backgrounds: tuple[int, int] = _number((3, 5), "COV-BACKGROUND")
    background_share: float = _number(0.40, "COV-BACKGROUND")
    lightings: tuple[int, int] = _number((2, 3), "COV-LIGHTING")
    category_low: float = _number(0.5, "COV-CATEGORY")
    """At least this / k of the set, for k categories."""
    category_high: tuple[float, float] = _number((0.6, 2.0), "COV-CATEGORY")
    """At most min(first, second / k)."""
    megapixels: float = _number(64.0, "IMG-READABLE")
    """The largest picture that is decoded."""
    sharpness: float = _number(0.8, "IMG-SHARP")
    """Under it edges are spread over more than two pixels: a gaussian of sigma 0.8 gives 1/(2 * 0.8 ** 2)."""
    enlarged: float = _number(0.885, "IMG-SHARP")
    """Enlarging twice leaves 0.03 to 0.13 of the second finest octave's energy in the finest; sharp photographs have
    0.84 on the middle and rarely under 0.15."""
    jpeg_quality: int = _number(36, "IMG-JPEG")
    blocking: float = _number(1.4, "IMG-JPEG")
    """Times the standard table's steps: 1 is quality 50, 1.25 is 40, 1.67 is 30."""
    blown: float = _number(0.2, "IMG-EXPOSURE")
    crushed: float = _number(0.35, "IMG-EXPOSURE")
    """Shares of the pixels lost in white and in black."""
    dark: tuple[float, float] = _number((64.0, 100.0), "IMG-EXPOSURE")
    """Mean luma and that of the brightest twentieth: photographs taken three stops too short stay under both, all but
    2% of others are brighter in one, as a night with a lamp in it is."""
    strangeness: float = _number(3.5, "IMG-OUTLIER")
    """Robust deviations from the rest of the set."""
    size_error: int = _number(512, "IMG-SIZE")
    size_warning: int = _number(1024, "IMG-SIZE")
    """Shorter side of the original, pixels."""


NEUTRAL_WANTED = (0.30, 0.40)
"""The share of neutral among the expressions that COV-NEUTRAL wants; it speaks outside of `Thresholds.neutral`."""
OUTFITS_WANTED = (3, 5)
"""How many outfits COV-WARDROBE wants; it speaks below the first."""


@dataclass(frozen=True)
class House:
    """What a set is judged by: the rulebook's own numbers, and where a team's `loradeck.toml` says otherwise."""

    thresholds: Thresholds = Thresholds()
    profiles: Mapping[Profile, ProfileRow] = field(default_factory=lambda: PROFILES)
    caption_words: Mapping[TargetModel, tuple[int, int]] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    """Phrases that no caption may hold (CAP-CONSTANT)."""
    allowed: tuple[str, ...] = ()
    """Phrases that no vocabulary rule minds."""
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rule id -> what the file says of it, in words: "redundant_warning = 0.6"."""

    def words_for(self, target: TargetModel) -> tuple[int, int]:
        """Fewest and most caption words after the trigger for a target model."""
        return self.caption_words.get(target, TARGETS[target].words)

    def in_force(self, profile: Profile, target: TargetModel) -> dict[str, Any]:
        """The numbers and phrases that a verdict depends on, as plain data for the fingerprint."""
        return {
            "version": RULEBOOK_VERSION,
            "profile": asdict(self.profiles[profile]),
            "words": list(self.words_for(target)),
            "thresholds": asdict(self.thresholds),
            "forbidden": sorted(self.forbidden),
            "allowed": sorted(self.allowed),
        }
