"""Every number of the rulebook in one place: profiles, target models, thresholds.

The fingerprint of a dataset holds the numbers in force, so a report that was given under other numbers is stale.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from loradeck.tools.contracts import Profile, TargetModel

RULEBOOK_VERSION = "2"
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
    TargetModel.Z_IMAGE: TargetRow((20, 50), "Qwen3", (1000, 2000), (1e-4, 1e-4), None),
    TargetModel.Z_IMAGE_BASE: TargetRow((20, 50), "Qwen3", (1000, 2000), (5e-4, 5e-4), None),
    TargetModel.PREVIEW: TargetRow((8, 35), "small Qwen3, 64 tokens", (100, 400), None, (8, 16)),
    TargetModel.WAN_22: TargetRow((80, 150), "UMT5", (800, 1500), (7e-4, 7e-4), None, files=2),
}


@dataclass(frozen=True)
class Thresholds:
    """Where a rule begins to speak. Shares are of the captions or images that the rule looks at."""

    length_error_below: float = 0.5
    """CAP-LENGTH: of the target's fewest words."""
    length_error_above: float = 2.0
    """CAP-LENGTH: of the target's most words."""
    detail_characters: tuple[int, int] = (10, 700)
    """CAP-DETAIL: after the trigger."""
    redundant_error: float = 0.8
    redundant_warning: float = 0.5
    phrase_words: int = 5
    """CAP-REDUNDANT: longest phrase that is counted."""
    phrase_content_words: int = 2
    template_warning: float = 0.5
    set_rules_from: int = 5
    """CAP-REDUNDANT and CAP-TEMPLATE need this many captions to say anything."""
    near_duplicate: float = 85.0
    """CAP-DUPLICATE: rapidfuzz ratio, trigger removed; good captions stay under 50."""
    near_duplicate_content: float = 0.75
    """CAP-DUPLICATE: and this share of content words in common, so that short captions of two things pass."""
    covers_error_missing: int = 2
    unknown_error: float = 0.10
    framing_bands: tuple[tuple[str, float, float], ...] = (
        ("close_up", 0.33, 0.40),
        ("medium", 0.25, 0.30),
        ("full_body", 0.20, 0.25),
        ("back_or_other", 0.10, 0.10),
    )
    framing_slack: float = 0.10
    angles: tuple[int, int] = (3, 5)
    """COV-ANGLE: error below the first, warning below the second."""
    frontal: tuple[float, float] = (0.80, 0.60)
    """COV-FRONTAL: error from the first share on, warning from the second."""
    expressions: tuple[int, int, int] = (3, 5, 7)
    """COV-EXPRESSION: error below, warning below, warning above."""
    neutral: tuple[float, float] = (0.25, 0.50)
    repeat: tuple[float, float] = (0.35, 0.20)
    """COV-REPEAT: error from the first share on, warning from the second."""
    wardrobe_images: int = 15
    """COV-WARDROBE: one outfit is an error in sets of this size or more."""
    backgrounds: tuple[int, int] = (3, 5)
    background_share: float = 0.40
    lightings: tuple[int, int] = (2, 3)
    category_low: float = 0.5
    """COV-CATEGORY: at least this / k of the set, for k categories."""
    category_high: tuple[float, float] = (0.6, 2.0)
    """COV-CATEGORY: at most min(first, second / k)."""
    size_error: int = 512
    size_warning: int = 1024
    """IMG-SIZE: shorter side of the original, pixels."""


THRESHOLDS = Thresholds()


def words_for(target: TargetModel) -> tuple[int, int]:
    """Fewest and most caption words after the trigger for a target model."""
    return TARGETS[target].words


def in_force(profile: Profile, target: TargetModel) -> dict[str, Any]:
    """The numbers that a verdict depends on, as plain data for the fingerprint."""
    return {
        "version": RULEBOOK_VERSION,
        "profile": asdict(PROFILES[profile]),
        "words": list(words_for(target)),
        "thresholds": asdict(THRESHOLDS),
    }
