"""The picture of a set's coverage: what stands in which cell, what is wanted, and that the pixels say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.rules import balanced, changed, facts, image

from loradeck.tools.contracts import Profile, Severity, SubjectKind
from loradeck.tools.pictures.canvas import BLUE, ORANGE, RED
from loradeck.tools.pictures.heatmap import BAND, COLOUR, coverage_pictures
from loradeck.tools.pictures.jpeg import ANSWER_BYTES, SIDE, jpeg
from loradeck.tools.rulebook.facts import ANGLE_CLASSES, KeptImage, SetFacts
from loradeck.tools.rulebook.tables import House, Thresholds
from loradeck.tools.validate_coverage.matrix import Matrix, Need, matrix
from loradeck.tools.validate_coverage.panels import Bar, Bars, panels


def view(number: int, angle: str, expression: str | None = None, framing: str = "medium") -> KeptImage:
    return image(number, angle=angle, framing=framing, **({"expression": expression} if expression else {}))


def of(images: Sequence[KeptImage], row: str, column: str) -> tuple[int, Need]:
    made = matrix(facts(images))
    cell = made.cells[made.rows.index(row)][made.columns.index(column)]
    return cell.count, cell.need


def drawn(made: SetFacts) -> list[Image.Image]:
    shown = matrix(made) if made.is_figure else None
    return coverage_pictures("A set", "It was never judged", shown, panels(made))


def pixels(picture: Image.Image, colour: str) -> int:
    wanted = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    return int((np.abs(np.asarray(picture.convert("RGB")).astype(int) - wanted).max(axis=2) < 8).sum())


# --------------------------------------------------------------------------- the matrix


def test_every_kept_image_stands_in_one_cell_and_the_sums_agree() -> None:
    made = matrix(facts([*balanced(), image(21), view(22, "front", "wistful")]))
    assert sum(made.row_sum(row) for row in range(len(made.rows))) == 22
    assert sum(made.column_sum(column) for column in range(len(made.columns))) == 22
    assert made.rows == (*ANGLE_CLASSES, "unknown")
    assert (made.columns[0], made.columns[-1]) == ("neutral", "unknown")


def test_wordings_of_one_family_share_a_column_and_a_back_counts_as_neutral() -> None:
    images = [view(1, "front", "furious glare"), view(2, "front", "angry"), view(3, "back", "smiling")]
    assert of(images, "front", "anger") == (2, Need.NOTHING)
    assert of(images, "back", "neutral") == (1, Need.NOTHING)


def test_the_full_range_is_wanted_from_the_front_and_in_close_ups() -> None:
    made = matrix(facts([view(1, "front", "neutral")]))
    assert len(made.columns) == Thresholds().expressions[1]
    wanted = made.wanted
    assert [row for row, column in wanted if column == made.columns[1]] == [
        "front", "three_quarter_left", "three_quarter_right", "close_up_front", "close_up_three_quarter"
    ]  # fmt: skip
    assert ("front", "neutral") not in wanted
    assert {row for row, column in wanted if column == made.columns[3]} == {
        "front", "close_up_front", "close_up_three_quarter"
    }  # fmt: skip


def test_a_three_quarter_view_with_one_expression_beside_neutral_wants_no_other() -> None:
    made = matrix(facts([view(1, "three_quarter_left", "neutral"), view(2, "three_quarter_left", "angry")]))
    assert [pair for pair in made.wanted if pair[0] == "three_quarter_left"] == []


@pytest.mark.parametrize("angle", ["profile_left", "profile_right", "low", "high", "back", "back_left", "back_right"])
def test_neutral_alone_is_wanted_where_a_face_is_hardly_read(angle: str) -> None:
    assert [column for row, column in matrix(facts([view(1, "front")])).wanted if row == angle] == ["neutral"]


def test_an_expression_in_profile_is_marked_unless_it_is_a_close_up() -> None:
    assert of([view(1, "profile_left", "angry")], "profile_left", "anger") == (1, Need.ELSEWHERE)
    assert of([view(1, "profile_left", "angry", "close_up")], "profile_left", "anger") == (1, Need.NOTHING)


def test_a_balanced_set_fills_every_cell_but_some() -> None:
    rows = {row for row, _ in matrix(facts(balanced())).wanted}
    assert rows == {"front", "three_quarter_left", "back_right", "high", "close_up_three_quarter"}


def test_many_families_share_a_last_column() -> None:
    words = ["calm", "smiling", "angry", "sad", "afraid", "tired", "focused", "surprised", "disgusted", "pensive"]
    made = matrix(facts([view(n, "front", word) for n, word in enumerate(words, 1)]))
    assert made.columns[-1] == "others"
    assert len(made.columns) == Thresholds().expressions[2] + 1
    assert made.column_sum(len(made.columns) - 1) == 3


def test_a_thing_without_expressions_has_one_column() -> None:
    made = matrix(facts([view(1, "front")], subject_kind=SubjectKind.OBJECT))
    assert made.columns == ("images",)
    assert {row for row, _ in made.wanted} == {*ANGLE_CLASSES} - {"front"}


# --------------------------------------------------------------------------- the bars


def panel(made: SetFacts, title: str) -> Bars:
    return next(bars for bars in panels(made) if bars.title == title)


def test_framing_stands_against_the_bands_in_force() -> None:
    bars = panel(facts(balanced()), "Framing")
    assert bars.bars[0] == Bar("close up", 7, 0.35, (0.33, 0.40))
    bands = (("close_up", 0.10, 0.20), *Thresholds().framing_bands[1:])
    own = House(thresholds=replace(Thresholds(), framing_bands=bands))
    changed_bars = panel(facts(balanced(), house=own), "Framing")
    assert changed_bars.bars[0].wanted == (0.10, 0.20)
    assert (bars.told, changed_bars.told) == (None, Severity.WARNING)


def test_the_share_of_neutral_is_of_the_images_in_which_a_face_shows() -> None:
    (bar,) = panel(facts(balanced()), "Expression").bars
    assert (bar.count, round(bar.share, 3), bar.wanted) == (8, 0.444, (0.30, 0.40))


def test_a_set_without_variety_is_told_in_the_colour_of_the_rule() -> None:
    made = facts(changed(balanced(), wardrobe="grey coat", background="kitchen"))
    assert panel(made, "Wardrobe").told == Severity.ERROR
    assert panel(made, "Background").told == Severity.ERROR
    assert panel(made, "Lighting").told is None
    first, second = drawn(made)
    assert pixels(first, COLOUR[Severity.ERROR]) + pixels(second, COLOUR[Severity.ERROR]) > 200
    assert sum(pixels(picture, RED) for picture in drawn(facts(balanced()))) < 120  # the legend's corner


def test_wordings_that_say_the_same_are_one_bar_under_the_commonest() -> None:
    values = ["industrial corridor", "industrial corridor", "a corridor, industrial", "kitchen", None]
    images = [image(n, background=value) for n, value in enumerate(values, 1)]
    bars = panel(facts(images, Profile.STYLE), "Background")
    assert [(bar.label, bar.count) for bar in bars.bars] == [("industrial corridor", 3), ("kitchen", 1)]
    assert bars.unknown == 1


def test_categories_stand_against_their_bounds_and_an_empty_one_is_there() -> None:
    images = [image(n, category="the estate") for n in range(1, 31)]
    made = facts(images, Profile.STYLE, categories=("the_estate", "church"))
    bars = panel(made, "Category")
    assert bars.bars == (Bar("the_estate", 30, 1.0, (0.25, 0.6)), Bar("church", 0, 0.0, (0.25, 0.6)))
    assert bars.told == Severity.ERROR
    assert [one.title for one in panels(facts(images, Profile.STYLE))] == ["Background", "Lighting"]
    assert [one.title for one in panels(facts(images, Profile.ICONS))] == ["Subject"]


# --------------------------------------------------------------------------- the pixels


SETS = {
    "balanced": facts(balanced()),
    "bare": facts([image(1)]),
    "icons": facts([image(n, subject=f"thing {n}") for n in range(1, 61)], Profile.ICONS),
    "long": facts([image(n, category="c" * 80, background="a very long wording " * 9) for n in range(1, 9)],
                  Profile.STYLE, categories=tuple("abcdefghijklmnop")),
    "strange": facts([view(n, "front", f"feeling {n} of some length") for n in range(1, 30)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_pictures_of_any_set_are_as_wide_and_high_as_a_client_shows(name: str) -> None:
    pictures = drawn(SETS[name])
    assert all(picture.width == SIDE and picture.height <= SIDE for picture in pictures)
    assert sum(len(jpeg(picture, ANSWER_BYTES // len(pictures))) for picture in pictures) < ANSWER_BYTES


def test_words_stay_on_the_paper_and_off_the_cells() -> None:
    for picture in drawn(SETS["strange"]) + drawn(SETS["long"]):
        edge = np.asarray(picture)[:, -12:]
        assert (edge == 255).all()


def test_a_cell_that_is_wanted_looks_unlike_one_that_needs_nothing() -> None:
    wanted, filled = matrix(facts([view(1, "front")])), matrix(facts(balanced()))
    (few,), (more,) = (coverage_pictures("t", "s", made, ()) for made in (filled, wanted))
    per_cell = (pixels(more, ORANGE) - pixels(few, ORANGE)) / (len(wanted.wanted) - len(filled.wanted))
    assert per_cell > 100


def test_the_most_images_have_the_deepest_shade() -> None:
    lots = Matrix(
        ("front",), ("neutral",), ((replace(matrix(facts([view(1, "front", "calm")])).cells[0][0], count=9),),)
    )
    assert pixels(coverage_pictures("t", "s", lots, ())[0], BLUE) > 1_000


def test_the_wanted_band_is_behind_the_bar_and_the_bar_as_long_as_its_share() -> None:
    def one(share: float) -> Image.Image:
        return coverage_pictures("t", "s", None, [Bars("Framing", "", (Bar("x", 1, share, (0.3, 0.4)),))])[0]

    assert pixels(one(0.5), BLUE) == pytest.approx(2 * pixels(one(0.25), BLUE), rel=0.03)
    assert pixels(one(0.0), BAND) > pixels(one(0.5), BAND) > 100
