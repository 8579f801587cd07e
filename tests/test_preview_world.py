"""The drawn world of the preview base: the same seed draws the same, and captions tell the truth."""

from __future__ import annotations

import random
import re
import subprocess
import sys

import pytest

from loradeck.engines.local.preview.captions import COLOR_WORDS, TEXTURE_WORDS, caption, made_up, plain_caption
from loradeck.engines.local.preview.draw import draw_scene, draw_texture
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import (
    COLORS,
    SQUARE,
    WIDE,
    Scene,
    held_out,
    pick_scene,
    pick_simple_pair,
    pick_simple_scene,
)


def scenes(count: int, seed: int = 7) -> list[Scene]:
    rng = random.Random(seed)
    return [pick_scene(rng, WIDE if i % 4 == 0 else SQUARE) for i in range(count)]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def told_colors(words: set[str]) -> set[str]:
    names = {alias: name for name, aliases in COLOR_WORDS.items() for alias in aliases}
    return {names.get(word, word) for word in words} & set(COLORS)


def true_colors(scene: Scene) -> set[str]:
    painted = {thing.paint.name for thing in scene.things} | {thing.accent.name for thing in scene.things}
    spoken_of_skies = {"blue", "orange", "grey"}  # "a blue sky", "grey clouds", "an orange sunset"
    return painted | {scene.backdrop.first.name, scene.backdrop.second.name} | spoken_of_skies


def test_the_same_seed_picks_draws_and_tells_the_same() -> None:
    for first, second in zip(scenes(6), scenes(6), strict=True):
        assert first == second
        assert draw_scene(first).tobytes() == draw_scene(second).tobytes()
        assert caption(first, random.Random(1)) == caption(second, random.Random(1))
    assert draw_texture(random.Random(5), 64).tobytes() == draw_texture(random.Random(5), 64).tobytes()


def test_pictures_have_the_size_that_was_asked_for() -> None:
    assert {draw_scene(scene).size for scene in scenes(8)} == {SQUARE, WIDE}


def test_every_shape_is_drawn_in_its_colour() -> None:
    rng = random.Random(3)
    seen: set[str] = set()
    while seen != set(SHAPES):
        scene = pick_scene(rng)
        seen.update(thing.shape for thing in scene.things)
    assert len(SHAPES) >= 30


def test_captions_tell_only_colours_that_are_there() -> None:
    rng = random.Random(11)
    for scene in scenes(1500):
        told = told_colors(words_of(caption(scene, rng, triggers=0.0)))
        assert told <= true_colors(scene)


def test_captions_name_the_thing_and_the_side_it_is_on() -> None:
    rng = random.Random(12)
    for scene in scenes(1500):
        if len(scene.things) != 1:
            continue
        thing, words = scene.things[0], words_of(caption(scene, rng, triggers=0.0))
        assert words & set(thing.kind.nouns)
        sides = words & {"left", "right"}
        assert not sides or sides == {thing.column} or "middle" in words
        for texture, names in TEXTURE_WORDS.items():
            if texture not in ("flat", "gradient") and words & set(names):
                assert thing.texture == texture


def test_plain_captions_leave_nothing_open() -> None:
    rng = random.Random(13)
    for _ in range(300):
        scene = pick_simple_scene(rng)
        thing, told = scene.things[0], plain_caption(scene, rng)
        words = words_of(told)
        assert {thing.shape, *thing.paint.shade.split(), *scene.backdrop.first.shade.split()} <= words, told
        assert told_colors(words) == {thing.paint.name, scene.backdrop.first.name}, told
        assert words & {"left", "right", "centre", "center", "centred", "middle"}, told


def test_plain_captions_of_a_pair_say_which_stands_where() -> None:
    rng = random.Random(14)
    for _ in range(300):
        scene = pick_simple_pair(rng)
        left, right = scene.things
        assert (left.column, right.column, scene.width) == ("left", "right", WIDE[0])
        assert left.x * scene.width + left.radius * scene.height < right.x * scene.width - right.radius * scene.height
        told = plain_caption(scene, rng)
        named = [word for word in re.findall("[a-z]+", told.lower()) if word in SHAPES]
        first, second = (right, left) if "to the right of" in told else (left, right)
        assert named == [first.shape, second.shape], told


def test_four_captions_in_ten_carry_a_made_up_word() -> None:
    scene = scenes(1)[0]
    plain = {caption(scene, random.Random(i), triggers=0.0) for i in range(400)}
    assert len(plain) > 250, "captions of one scene should rarely repeat"
    rng = random.Random(2)
    assert len({made_up(rng) for _ in range(300)}) > 290


def test_some_triples_are_kept_out_of_training() -> None:
    kept = [(s, c, p) for s in SHAPES for c in COLORS for p in ("left", "centre", "right") if held_out(s, c, p)]
    assert 0.05 < len(kept) / (len(SHAPES) * len(COLORS) * 3) < 0.12
    for scene in scenes(400):
        assert not any(held_out(t.shape, t.paint.name, t.column) for t in scene.things)


@pytest.mark.parametrize("module", ["", ".world", ".draw", ".captions", ".measure"])
def test_importing_the_world_loads_no_torch(module: str) -> None:
    code = f"import sys, loradeck.engines.local.preview{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
