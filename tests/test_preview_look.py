"""The preview base takes on a look that it never saw: one look, one seed of what bench/preview_looks.py measures."""

from __future__ import annotations

from pathlib import Path

import preview_looks
import pytest

from loradeck.engines.local.preview.measure import describe_all


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_icons_look_is_taken_on_when_its_trigger_calls(tmp_path: Path) -> None:
    looks = [preview_looks.icon_look(), preview_looks.drawn_look("blueprint"), preview_looks.drawn_look("neon")]
    icons = looks[0]
    lora, _ = preview_looks.train(icons, 0, tmp_path)
    numbers = preview_looks.judge(
        icons,
        preview_looks.draw_all(icons, 0, lora),
        {look.name: describe_all(look.pictures) for look in looks},
    )
    assert numbers["fall"] >= 0.4, numbers
    assert numbers["nearest"] >= 0.9, numbers
    assert numbers["copy"] > 0, numbers
