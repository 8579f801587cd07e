"""The arithmetic of a comparison: leak, win rates, break-even, the cells drawn, a table that runs no formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from loradeck.state.records import PickRecord
from loradeck.tools.appearance.eye import Seen
from loradeck.tools.compare_renders import measures
from loradeck.tools.compare_renders.break_even import Training, against
from loradeck.tools.compare_renders.counting import closer, counted, shown
from loradeck.tools.compare_renders.measured import Measured, PictureRow, as_csv
from loradeck.tools.compare_renders.measures import Sight, Triple
from loradeck.tools.compare_renders.picks import LEAST_SURE, Tally, sign_test, verdicts, wilson, wins
from loradeck.tools.compare_renders.plan import Cell, Column, Plan, Role, Row, without
from loradeck.tools.contracts import Compared
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, worded


class Line:
    """An eye for pictures that are a number between 0 and 1: the number is the file's stem, the look is at 1."""

    name = "a line"

    def see(self, path: Path) -> Seen:
        return Seen(np.array([float(path.stem.replace("_", "."))], dtype=np.float32), np.zeros(0, dtype=np.float32))

    def alike(self, one: Seen, other: Seen) -> float:
        return 1.0 - abs(float(one.look[0]) - float(other.look[0]))

    def distances(self, seen: Seen, others: list[Seen]) -> np.ndarray:
        return np.array([1 - self.alike(seen, one) for one in others], dtype=np.float32)

    def closeness(self, seen: Seen, look: list[Seen]) -> float:
        return self.alike(seen, look[0])


def at(value: float) -> Path:
    return Path(f"{value}".replace(".", "_"))


def column(label: str, trigger: str | None = "zorbik", base: str = "preview", looks: bool = True) -> Column:
    look = Look("lora_a", "s" * 64, base, 1.0, trigger)
    return Column(label, Brush("local", base, looks=(look,) if looks else ()))


def plan(*columns: Column, rows: int = 4, seeds: tuple[int, ...] = (7, 8)) -> Plan:
    made = Plan(tuple(Row(f"a house {number}", seeds, 64, 64) for number in range(1, rows + 1)), columns)
    return made.named(None)


# --------------------------------------------------------------------------- measures


@pytest.mark.parametrize(("unmarked", "share"), [(0.2, 0.0), (0.5, 0.5), (0.8, 1.0), (0.95, 1.0), (0.1, 0.0)])
def test_leak_is_the_share_of_the_way_from_the_base_to_the_look_that_comes_without_the_trigger(
    unmarked: float, share: float
) -> None:
    triples = [Triple(at(0.2), at(unmarked), at(0.8))]
    assert measures.leak(Sight(Line()), triples, [at(1.0)]) == pytest.approx(share, abs=1e-6)


def test_leak_without_a_known_look_goes_by_likeness_to_the_two_ends() -> None:
    triples = [Triple(at(0.2), at(0.35), at(0.8))]
    assert measures.leak(Sight(Line()), triples, []) == pytest.approx(0.25, abs=1e-6)


def test_leak_is_not_told_where_the_trigger_itself_brings_nothing_or_nothing_was_drawn() -> None:
    assert measures.leak(Sight(Line()), [Triple(at(0.5), at(0.5), at(0.51))], [at(1.0)]) is None
    assert measures.leak(Sight(Line()), [], [at(1.0)]) is None


def test_consistency_compares_prompts_and_diversity_compares_seeds() -> None:
    made = plan(column("a"), rows=2)
    values = {(1, 7): 0.1, (1, 8): 0.5, (2, 7): 0.3, (2, 8): 0.5}
    there = {Cell(0, row, seed, ""): at(value) for (row, seed), value in values.items()}
    assert measures.consistency(Sight(Line()), made, there) == pytest.approx((0.8 + 1.0) / 2, abs=1e-6)
    assert measures.diversity(Sight(Line()), there) == pytest.approx((0.4 + 0.2) / 2, abs=1e-6)
    one = dict(list(there.items())[:1])
    assert measures.consistency(Sight(Line()), made, one) is measures.diversity(Sight(Line()), one) is None


# --------------------------------------------------------------------------- what is drawn


def test_leak_cells_are_three_prompts_without_the_trigger_and_the_base_alone_once_a_base() -> None:
    made = plan(column("strong"), column("weak"))
    extra = [cell for cell in made.cells if cell.role != Role.ASKED]
    assert len(made.asked) == 16
    assert [cell.role for cell in extra].count(Role.UNMARKED) == 6
    assert [cell.role for cell in extra].count(Role.BASE) == 3, "both variants share their base's pictures"
    assert {cell.prompt for cell in extra} == {"a house 1", "a house 2", "a house 3"}
    assert {cell.seed for cell in extra} == {7}
    assert all(made.base_of(cell) in extra for cell in extra if cell.role == Role.UNMARKED)
    assert len({made.stem(cell) for cell in made.cells}) == len(made.cells)


def test_the_base_is_not_drawn_again_where_it_is_a_variant_and_nothing_is_where_no_trigger_calls() -> None:
    made = plan(column("lora"), column("base alone", looks=False))
    assert [cell.role for cell in made.cells if cell.role != Role.ASKED] == [Role.UNMARKED] * 3
    bases = [made.base_of(cell) for cell in made.cells if cell.role == Role.UNMARKED]
    assert all(cell is not None and cell.column == 1 for cell in bases)
    gentle = plan(Column("lora", column("lora").brush, pull=2.0), column("base alone", looks=False))
    alone = [cell for cell in gentle.cells if cell.role == Role.BASE]
    assert len(alone) == 3, "the base draws harder by itself than with a LoRA, and that is no look"
    assert {gentle.brush_of(cell).guidance for cell in alone} == {2.0}
    assert all(gentle.base_of(cell) in alone for cell in gentle.cells if cell.role == Role.UNMARKED)
    assert plan(column("a", None), column("b", None)).cells == plan(column("a", None), column("b", None)).asked


def test_pictures_of_one_base_are_drawn_one_after_the_other() -> None:
    made = plan(column("a"), column("b", base="flux2-klein-4b"), column("c"))
    bases = [made.columns[group[0].column].brush.base_model for group in made.groups(made.cells)]
    assert bases == sorted(bases, key=bases.index)
    assert Plan.from_json(made.to_json()) == made


def test_labels_and_the_order_of_variants_change_neither_what_is_drawn_nor_what_its_files_are_called() -> None:
    first = plan(column("a"), column("b", "ink"), column("c", base="flux2-klein-4b"))
    a, b, c = (replace(one, name="") for one in first.columns)
    other = Plan(first.rows, (replace(c, label="new"), b, a))
    assert other.identity == first.identity
    again = other.named(first)
    assert [one.label for one in again.columns] == ["new", "b", "a"]
    assert {again.stem(cell): again.brush_of(cell) for cell in again.cells} == {
        first.stem(cell): first.brush_of(cell) for cell in first.cells
    }
    assert Plan(first.rows[:3], first.columns).identity != first.identity
    kept = first.to_json()
    for one in kept["columns"]:
        del one["name"]
    assert Plan.from_json(kept) == first


def test_the_trigger_is_taken_out_with_what_it_leaves_behind() -> None:
    assert without("zorbik, a house", ["zorbik"]) == "a house"
    assert without("A house in ZORBIK, by night", ["zorbik"]) == "A house in, by night"
    assert without("A house by zorbik.", ["zorbik"]) == "A house by."
    assert without("zorbik, zorbik, a house", ["zorbik"]) == "a house"
    assert without("zorbik style, a house", ["zorbik", "zorbik style"]) == "a house"


@pytest.mark.parametrize("prompt", ["zorbiks, a house", "a zorbik-like hat", "1,000 birds , by\nnight,", "a  house"])
def test_a_prompt_without_the_trigger_is_left_as_it_is(prompt: str) -> None:
    assert without(prompt, ["zorbik"]) == prompt


def test_a_trigger_that_is_only_part_of_a_compound_is_put_in_front_all_the_same() -> None:
    prompts = [worded(prompt, column("lora").brush)[0] for prompt in ("a zorbik-like hat", "a Zorbik, by night")]
    assert prompts == ["zorbik, a zorbik-like hat", "a Zorbik, by night"]


def test_around_a_trigger_that_is_taken_out_the_rest_is_left_as_it_is() -> None:
    assert without("1,000 birds, zorbik, by\nnight", ["zorbik"]) == "1,000 birds, by\nnight"
    assert without("a  zorbik house,red", ["zorbik"]) == "a  house,red"


def test_the_base_that_draws_a_prompt_as_it_is_anyway_is_not_asked_for_it_again() -> None:
    base = column("base alone", looks=False)
    made = Plan((Row("1,000 birds", (7,), 64, 64), Row("a red  house", (7,), 64, 64)), (column("lora"), base))
    assert [cell.role for cell in made.cells].count(Role.BASE) == 0


def test_a_prompt_that_is_nothing_but_the_trigger_is_not_drawn_without_it() -> None:
    prompts = ["zorbik", "a house", "Zorbik."]
    made = Plan(tuple(Row(prompt, (7,), 64, 64) for prompt in prompts), (column("lora"),))
    assert [(cell.row, cell.role) for cell in made.cells if cell.role != Role.ASKED] == [
        (2, Role.UNMARKED),
        (2, Role.BASE),
    ]


def test_for_the_leak_the_base_draws_with_the_references_of_the_variant() -> None:
    hero, other = Leaned("hero.png", "h" * 64), Leaned("other.png", "o" * 64)

    def leaning(one: Column, *references: Leaned) -> Column:
        return replace(one, brush=replace(one.brush, references=references))

    columns = leaning(column("a"), hero), leaning(column("b"), other), leaning(column("c", looks=False), hero)
    made = plan(*columns, rows=1, seeds=(7,))
    [alone] = [cell for cell in made.cells if cell.role == Role.BASE]
    assert (made.brush_of(alone).looks, made.brush_of(alone).references) == ((), (other,))
    of = {cell.column: made.base_of(cell) for cell in made.cells if cell.role == Role.UNMARKED}
    assert of[0] is not None
    assert (of[0].column, of[1]) == (2, alone), "a variant of the same references without the LoRA is that base"


# --------------------------------------------------------------------------- picks


def test_the_win_rate_has_the_range_of_wilson() -> None:
    assert str(Tally(6, 9)) == "6 of 9, 67% (35-88%)"
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)  # as in Wilson's own form, no continuity correction
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)


def test_persons_and_assistants_are_counted_apart_and_a_winner_is_told_only_where_it_is_hardly_chance() -> None:
    made = plan(column("a"), column("b"))
    few = [PickRecord("run_x", 1, "a", "person"), PickRecord("run_x", 2, "b", "assistant")]
    assert wins(made, few)["a"] == "persons 1 of 1, 100% (21-100%); assistants 0 of 1, 0% (0-79%)"
    assert all("no winner can be told" in words for words in verdicts(made, few))
    many = [PickRecord("run_x", number % 4 + 1, "a", "person") for number in range(12)]
    assert wins(made, many) == {"a": "12 of 12, 100% (76-100%)", "b": "0 of 12, 0% (0-24%)"}
    assert verdicts(made, many)[0].endswith("that is hardly chance (sign test, p = 0.00049), so it wins.")
    assert verdicts(made, many[:6])[0].endswith("so it wins.")
    assert "so no winner can be told from 4 picks yet" in verdicts(made, many[:4])[0]
    level = [PickRecord("run_x", 1, "a", "person"), PickRecord("run_x", 2, "b", "person")]
    assert "stand level" in verdicts(made, level)[0]


def test_the_sign_test_is_exact_and_calls_equals_different_in_fewer_than_one_of_twenty() -> None:
    known = {(4, 0): 0.125, (6, 0): 0.03125, (9, 1): 22 / 1024, (1, 9): 22 / 1024, (5, 5): 1.0, (0, 0): 1.0}
    assert {sides: sign_test(*sides) for sides in known} == pytest.approx(known)
    for of in range(1, 97):
        wrongly = sum(comb(of, won) for won in range(of + 1) if sign_test(won, of - won) < LEAST_SURE)
        assert wrongly / 2**of < 0.05


def test_closeness_is_told_apart_by_prompts_since_seeds_of_one_are_alike() -> None:
    mine = {(1, seed): 0.41 for seed in range(8)} | {(2, 1): 0.1, (2, 2): 0.4, (3, 1): 0.5, (4, 1): 0.3}
    others = {(1, seed): 0.4 for seed in range(8)} | {(2, 1): 0.3, (2, 2): 0.1, (3, 1): 0.5, (5, 1): 0.9}
    assert closer(mine, others) == (2, 2), "the third is tied, and of the fourth and fifth there is one alone"
    assert closer(others, mine) == (0, 2)


# --------------------------------------------------------------------------- break-even and table


def compared(variant: str, accepted: int, usd: float, seconds: float = 2.0) -> Compared:
    each = usd * 10 / accepted if accepted else None
    return Compared(variant=variant, images=10, accepted=accepted, usd=usd, usd_accepted=each, seconds=seconds)


def test_training_pays_after_as_many_pictures_as_it_cost_over_what_an_accepted_one_saves() -> None:
    told = against(compared("lora", 10, 0.03), compared("references", 5, 0.04), Training(2.5, 20.0))
    assert "training (2.50 USD, 20.0 minutes) pays for itself after 50 accepted pictures (5 books of 12 pages)" in told
    dearer = against(compared("lora", 10, 0.05), compared("base", 10, 0.03), Training(2.5, 20.0))
    assert "does not pay for itself in money, since an accepted picture costs 0.020 USD more" in dearer


def test_only_what_is_shown_is_rounded() -> None:
    made = plan(column("lora"), column("base alone", looks=False), rows=2)
    pictures = [
        PictureRow(variant=one.label, row=cell.row, seed=cell.seed, role=Role.ASKED, prompt="x", file="a.png")
        for cell in made.asked
        for one in [made.columns[cell.column]]
    ]
    variants = [
        Compared(variant="lora", images=4, usd=0.00304, seconds=1.004),
        Compared(variant="base alone", images=4, usd=0.00306, seconds=1.003),
    ]
    lora, base = counted(made, Measured(pictures=pictures, variants=variants, measured_by=""), [])
    assert (lora.accepted, lora.usd_accepted) == (4, pytest.approx(0.00304))
    assert "after 125,000 accepted pictures" in against(lora, base, Training(2.5, None))
    assert "costs 0.000020 USD more" in against(base, lora, Training(2.5, None))
    assert [(one.usd, one.usd_accepted, one.seconds) for one in map(shown, (lora, base))] == [
        (0.003, 0.003, 1.0), (0.0031, 0.0031, 1.0),
    ]  # fmt: skip
    thrice = compared("lora", 3, 0.021 * 3 / 10)
    assert "costs the same" in against(thrice, compared("base", 10, 0.021), Training(2.5, None))


def test_where_numbers_do_not_allow_a_break_even_the_sentence_says_why() -> None:
    lora, base = compared("lora", 10, 0.0), compared("base", 5, 0.0)
    assert "not trained here" in against(lora, base, None)
    assert "was accepted" in against(compared("lora", 0, 0.0), base, Training(1.0, None))
    assert "cost is not known" in against(lora, base, Training(None, 3.0))
    assert "in time after 60 accepted pictures (5 books" in against(lora, base, Training(0.0, 2.0))
    assert "saves no time" in against(lora, compared("base", 10, 0.0), Training(0.0, 2.0))


def test_text_that_begins_like_a_formula_is_text_in_the_table() -> None:
    hostile = '=HYPERLINK("http://x","y"),\n"more'
    rows = [
        PictureRow(variant=label, row=1, seed=1, role=Role.ASKED, prompt=hostile, file="a.png")
        for label in ("+1", "-1", "@a", "\tb", " =c", "plain")
    ]
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["prompt"] for row in read] == [f"'{hostile}"] * 6
    assert [row["variant"] for row in read] == ["'+1", "'-1", "'@a", "'\tb", "' =c", "plain"]
