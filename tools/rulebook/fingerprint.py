"""The hash of all that a verdict depends on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from loradeck.tools.rulebook.facts import KeptImage, SetFacts


def fingerprint(facts: SetFacts) -> str:
    """SHA-256, hex, of kept images (bytes of their copies), crops, attributes, captions, and all the set declares.

    The numbers in force and the rulebook's version are in it too; the order of the images does not matter.
    """
    content = {
        "images": sorted(_canonical(_image(image)) for image in facts.images),
        "trigger": facts.trigger,
        "profile": facts.profile,
        "target_model": facts.target_model,
        "resolution": facts.resolution,
        "subject": [facts.subject_kind, facts.subject],
        "categories": sorted(facts.categories),
        "rules": facts.house.in_force(facts.profile, facts.target_model),
    }
    return hashlib.sha256(_canonical(content).encode("utf-8", "surrogatepass")).hexdigest()


def _image(image: KeptImage) -> dict[str, Any]:
    return {
        "sha256": image.sha256,
        "sizes": [image.original_size, image.copy_size],
        "crop": dict(image.crop) if image.crop else None,
        "attributes": dict(image.attributes),
        "sources": dict(image.sources),
        "caption": image.caption,
        "mode": image.mode,
        "seen": image.seen,
        "plain_background": image.plain_background,
        "overruled": sorted(image.overruled),
        "measured": asdict(image.measured),
    }


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
