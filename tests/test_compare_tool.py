"""compare_renders from the first call to the last pick: what is drawn and kept, what is measured, what is refused."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.datasets import ready_dataset
from support.decks import deck, render
from support.painter import Buyer, Painter, bench, trained

from loradeck.engines.base import DrawRequest, DrawResult, Reporter
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import CheckpointRecord, ImageRecord, LoraRecord, PickRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.report import report
from loradeck.tools.compare_renders.break_even import Training, training_of
from loradeck.tools.compare_renders.plan import Column
from loradeck.tools.compare_renders.tool import handle
from loradeck.tools.contracts import CompareArgs, CompareResult, RunKind, RunState, ViewArgs
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.render_deck_visuals.plan import Brush, Look
from loradeck.tools.view_images.tool import handle as look_at
from loradeck.tools.workbench import Workbench

PROMPTS = ["a red house", "a bell"]


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def work(tmp_path: Path, painter: Painter) -> Workbench:
    return bench(Store(tmp_path / "home"), painter)


def compare(work: Workbench, **arguments: Any) -> CompareResult:
    return handle(CompareArgs.model_validate(arguments), work)


def two(lora: LoraRecord) -> list[dict[str, Any]]:
    return [{"loras": [{"lora_id": lora.id}]}, {"loras": []}]


def small(work: Workbench, lora: LoraRecord, **more: Any) -> CompareResult:
    return compare(work, **{"prompts": PROMPTS, "variants": two(lora), "width": 96, "height": 64, **more})


def learned(work: Workbench, tmp_path: Path, name: str = "fluent", hue: str = "#aa3311") -> LoraRecord:
    """A LoRA whose training, images and checkpoints are known."""
    store = work.store
    run = runs.enqueue(
        store, RunKind.TRAIN, {"pairs": [], "estimate": {"usd": 2.5}}, name=name, engine="painter", steps=20
    )
    folder = store.workspace.run(run.id)
    (folder / "dataset").mkdir()
    pairs = []
    for number, colour in enumerate([hue, "#bb4411", "#cc5511"]):
        path = folder / "dataset" / f"{number}.png"
        Image.effect_noise((64, 64), 20).convert("RGB").save(path)
        Image.blend(Image.open(path), Image.new("RGB", (64, 64), colour), 0.7).save(path)
        pairs.append({"file": path.name, "image": sha256_file(path), "caption": "x"})
    lora = trained(store, name, run_id=run.id)
    for step in (10, 20):
        path = folder / f"step-{step:06}.safetensors"
        path.write_bytes(f"checkpoint {step}".encode())
        store.add(CheckpointRecord(run.id, step, str(path), sha256_file(path)))
    store.change(
        RunRecord, run.id, state="succeeded", spec={"pairs": pairs}, cost_usd=2.5, attempt=1,
        started_at="2026-11-28T10:00:00+00:00", finished_at="2026-11-28T10:20:00+00:00",
    )  # fmt: skip
    return lora


# --------------------------------------------------------------------------- one comparison


def test_a_comparison_leaves_a_labelled_grid_a_table_of_every_picture_and_a_row_of_numbers_a_variant(
    work: Workbench, tmp_path: Path
) -> None:
    lora = learned(work, tmp_path)
    made = small(work, lora, seeds=[3, 4])
    assert made.state == RunState.SUCCEEDED, made.summary
    assert [one.variant for one in made.variants] == ["fluent-v1", "base alone"]
    for one in made.variants:
        assert one.images == 4
        assert None not in {one.consistency, one.closeness, one.diversity, one.copies, one.seconds}
    assert made.variants[1].leak is None, "the base has no trigger"
    assert "statistics" in made.measured_by
    with Image.open(str(made.grid)) as grid:
        assert grid.width > 2 * 320
        assert grid.height > 4 * 200
    table = next(file for file in made.files if file.path.endswith(".csv"))
    rows = list(csv.DictReader(io.StringIO(Path(table.path).read_text(encoding="utf-8"))))
    assert [row["role"] for row in rows].count("asked") == 8
    assert [row["role"] for row in rows].count("unmarked") == 2
    assert [row["role"] for row in rows].count("base") == 2, "the base as gentle as with the LoRA"
    home = work.store.workspace.run(str(made.run_id))
    assert all((home / row["file"]).is_file() for row in rows)
    assert any(words.startswith("RND-TRIGGER: 'fluentlook' was put in front of 2 prompts") for words in made.told)
    assert "8 pictures, and 4 for the leak" in made.summary
    assert f'view_images(of="{made.run_id}", what="compare")' in made.next_step


def test_the_same_call_again_draws_nothing_and_other_seeds_are_another_comparison(
    work: Workbench, painter: Painter
) -> None:
    lora = trained(work.store)
    first = small(work, lora)
    drawn = len(painter.drawn)
    assert small(work, lora).run_id == first.run_id
    assert len(painter.drawn) == drawn
    assert small(work, lora, seeds=[5]).run_id != first.run_id


def test_other_labels_and_another_order_are_the_same_comparison_measured_anew_with_its_picks(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    lora = learned(work, tmp_path)
    first = small(work, lora)
    compare(work, run_id=first.run_id, picks=[{"prompt": 1, "variant": "base alone"}])
    swapped = [{"loras": [], "label": "fluent-v1"}, {"loras": [{"lora_id": lora.id}], "label": "base alone"}]
    made = small(work, lora, variants=swapped)
    assert (made.state, made.run_id, len(painter.drawn)) == (RunState.SUCCEEDED, first.run_id, 8)
    assert [one.variant for one in made.variants] == ["fluent-v1", "base alone"]
    assert [one.wins for one in made.variants] == ["1 of 1, 100% (21-100%)", "0 of 1, 0% (0-79%)"]
    for new, old in zip(made.variants, reversed(first.variants), strict=True):
        same = ("images", "consistency", "closeness", "copies", "leak", "seconds")
        assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    assert runs.get(work.store, str(made.run_id)).name == "Comparison: fluent-v1, base alone"
    shown = look_at(ViewArgs(of=str(made.run_id), what="compare"), work)
    assert "1 fluent-v1; 2 base alone" in shown.text
    assert small(work, lora, variants=swapped) == made
    assert runs.get(work.store, str(made.run_id)).attempt == 2, "not measured again without need"


def test_a_prompt_that_comes_again_is_told_and_is_one_row(work: Workbench, painter: Painter) -> None:
    lora = trained(work.store)
    made = small(work, lora, prompts=["a red house", "a bell", " a red house\n"], seeds=[1, 1])
    assert [one.images for one in made.variants] == [2, 2]
    assert "1 of 3 prompts came again; each is one row, and is drawn once." in made.told
    assert len(painter.drawn) == 8
    assert small(work, lora, seeds=[1]).run_id == made.run_id


def test_strengths_checkpoints_stacks_and_references_are_columns_of_their_own(
    tmp_path: Path,
) -> None:
    painter = Painter(base="flux2-klein-4b")
    work = bench(Store(tmp_path / "home"), painter)
    lora = learned(work, tmp_path)
    lora_id = lora.id
    work.store.change(LoraRecord, lora_id, base_model="flux2-klein-4b")
    other = trained(work.store, "ink", trigger="inkline", base_model="flux2-klein-4b")
    reference = tmp_path / "hero.png"
    Image.new("RGB", (64, 64), "white").save(reference)
    made = compare(
        work, prompts=PROMPTS[:1], width=64, height=64,
        variants=[
            {"loras": [{"lora_id": lora_id, "strength": 0.6}]},
            {"loras": [{"lora_id": lora_id}], "checkpoint": 10},
            {"loras": [{"lora_id": lora_id}, {"lora_id": other.id, "strength": 0.5}]},
            {"references": [str(reference)], "base_model": "flux2-klein-4b"},
            {"loras": [], "label": "nothing"},
        ],
    )  # fmt: skip
    assert [one.variant for one in made.variants] == [
        "fluent-v1 at 0.6", "fluent-v1 step 10", "fluent-v1 + ink-v1 at 0.5", "1 reference", "nothing",
    ]  # fmt: skip
    files = {tuple(Path(ref.path).name for ref in request.loras) for request in painter.requests}
    assert ("step-000010.safetensors",) in files
    assert any(len(request.loras) == 2 for request in painter.requests)
    kept = next(request.references[0] for request in painter.requests if request.references)
    with Image.open(kept) as copy:
        assert (copy.size, copy.getpixel((9, 9))) == ((64, 64), (255, 255, 255))
    assert kept != reference, "the comparison keeps its own copy"
    assert any(request.upcoming for request in painter.requests)
    marks = {job.prompt for request in painter.requests if len(request.loras) == 2 for job in request.jobs}
    assert "fluentlook, inkline, a red house" in marks


def test_a_decks_own_prompts_with_its_style_words_seeds_and_sizes_choose_its_checkpoint(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    lora = learned(work, tmp_path)
    shown = render(work, deck=deck(), prompt_prefix="flat vector,", formats=["png"])
    painter.requests.clear()
    variants = [{"loras": [{"lora_id": lora.id}], "checkpoint": step} for step in (10, 20)]
    made = compare(work, deck=shown.deck_id, variants=variants)
    assert made.state == RunState.SUCCEEDED
    jobs = [job for request in painter.requests for job in request.jobs]
    assert {(job.width, job.height) for job in jobs} == {(320, 180)}
    assert any(
        job.prompt == "fluentlook, flat vector, a red house, story" and job.seed == shown.visuals[1].seed
        for job in jobs
    )
    assert render(work, deck_id=shown.deck_id).state == RunState.SUCCEEDED, "the deck is not at work for it"
    picks = [{"prompt": row, "variant": "fluent-v1 step 10"} for row in (1, 2, 3)]
    told = compare(work, run_id=made.run_id, picks=picks)
    assert 'manage_loras(action="import"' in told.next_step
    assert f'deck_id="{shown.deck_id}"' in told.next_step


def test_a_deck_that_was_never_rendered_gives_its_prompts_from_its_file(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    file = tmp_path / "deck.json"
    file.write_text(deck(defaults={"before": "flat vector,", "guidance": 3.5}).model_dump_json())
    one, other = trained(work.store), trained(work.store, name="other")
    variants = [{"loras": [{"lora_id": lora.id}]} for lora in (one, other)]
    made = compare(work, deck=str(file), variants=variants)
    assert made.state == RunState.SUCCEEDED
    assert {request.guidance for request in painter.requests} == {3.5}
    assert {job.seed for request in painter.requests for job in request.jobs} == {7, 8, 9}
    assert any("flat vector, a red house, story" in job.prompt for request in painter.requests for job in request.jobs)
    with pytest.raises(NotFound, match=r"deck\.yaml"):
        compare(work, deck=str(tmp_path / "deck.yaml"), variants=variants)


# --------------------------------------------------------------------------- looks


def dataset_of(work: Workbench, lora: LoraRecord) -> list[Path]:
    return sorted((work.store.workspace.run(str(lora.run_id)) / "dataset").iterdir())


def test_closeness_is_ranked_only_among_variants_of_one_look_and_whose_that_is_is_told(
    work: Workbench, tmp_path: Path
) -> None:
    one, other = learned(work, tmp_path), learned(work, tmp_path, "ink", "#1122cc")
    made = small(work, one, variants=[{"loras": []}, *({"loras": [{"lora_id": lora.id}]} for lora in (one, other))])
    assert [(row.variant, row.look) for row in made.variants] == [
        ("base alone", "fluent-v1"), ("fluent-v1", "fluent-v1"), ("ink-v1", "ink-v1"),
    ]  # fmt: skip
    ranked = re.findall(r"lose(?:st)? to the look of fluent-v1 (?:is|are) ([^)]*)", made.summary)
    assert len(ranked) == 1
    assert "ink-v1" not in ranked[0]
    assert "look of ink-v1" not in made.summary, "nothing else was measured against that"
    assert "of base alone, fluent-v1 against 3 pictures that fluent-v1 learned from; of ink-v1" in made.measured_by
    assert any("only among variants that were measured against the same" in words for words in made.told)


def test_loras_that_learned_from_the_same_pictures_have_one_look(work: Workbench, tmp_path: Path) -> None:
    one, other = learned(work, tmp_path), learned(work, tmp_path)
    for mine, theirs in zip(dataset_of(work, one), dataset_of(work, other), strict=True):
        theirs.write_bytes(mine.read_bytes())
    made = small(work, one, variants=[{"loras": [{"lora_id": lora.id}]} for lora in (other, one)])
    assert [row.look for row in made.variants] == ["fluent-v2"] * 2
    assert re.search("lose(st)? to the training look", made.summary)
    assert made.measured_by.endswith("closeness and leak against 3 pictures that fluent-v2 learned from.")


def test_training_images_that_do_not_open_are_left_out_and_counted(work: Workbench, tmp_path: Path) -> None:
    lora = learned(work, tmp_path)
    first, second, third = dataset_of(work, lora)
    first.write_bytes(b"nonsense")
    second.write_bytes(second.read_bytes()[:200])
    made = small(work, lora)
    assert made.state == RunState.SUCCEEDED
    assert "Training images that do not open were left out: 2." in made.told
    assert "against 1 picture that fluent-v1 learned from" in made.measured_by
    assert made.variants[0].copies == 0
    third.write_bytes(b"nonsense")
    made = small(work, lora, seeds=[9])
    assert made.variants[0].closeness is made.variants[0].copies is None
    assert any(words.startswith("What fluent-v1 learned from is not known") for words in made.told)


# --------------------------------------------------------------------------- stopped, killed, seen


def test_a_stop_keeps_what_is_done_with_its_grid_and_table_and_the_next_call_draws_the_rest(
    work: Workbench, painter: Painter
) -> None:
    lora = trained(work.store)
    painter.stop_after = 3
    stopped = small(work, lora)
    assert stopped.state == RunState.CANCELLED
    assert sum(one.images for one in stopped.variants) == 2, "the third was of the leak"
    assert stopped.grid is not None
    assert Path(stopped.grid).is_file()
    assert (
        f'compare_renders(run_id="{stopped.run_id}")'
        in report(work.store, runs.get(work.store, str(stopped.run_id))).next_step
    )
    painter.stop_after = None
    made = compare(work, run_id=stopped.run_id)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, stopped.run_id)
    assert len(painter.drawn) == len(set(painter.drawn)) == 8


def test_a_killed_comparison_goes_on_where_it_was(work: Workbench, painter: Painter) -> None:
    lora = trained(work.store)
    painter.die_after = 4
    assert small(work, lora).state == RunState.LOST
    painter.die_after = None
    assert small(work, lora).state == RunState.SUCCEEDED
    assert len(painter.drawn) == len(set(painter.drawn)) == 8


@pytest.mark.parametrize("damage", ["", '{"pictures": [', '{"pictures": 1}', "\x00"])
def test_a_table_that_is_lost_or_damaged_is_measured_again_and_nothing_is_drawn(
    work: Workbench, painter: Painter, damage: str
) -> None:
    first = small(work, trained(work.store))
    table = work.store.workspace.run(str(first.run_id)) / "comparison.json"
    calls: list[dict[str, Any]] = [{}, {"picks": [{"prompt": 1, "variant": "base alone"}]}]
    for more in calls:
        table.write_text(damage) if damage else table.unlink()
        made = compare(work, run_id=first.run_id, **more)
        assert (made.state, made.run_id, len(made.variants)) == (RunState.SUCCEEDED, first.run_id, 2)
        assert json.loads(table.read_text(encoding="utf-8"))["missing"] == 0
    assert made.variants[1].wins == "1 of 1, 100% (21-100%)"
    assert len(painter.drawn) == 8


def test_what_goes_while_pictures_are_drawn_leaves_those_that_are_there_in_a_table(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora, draw = learned(work, tmp_path), Painter.draw
    point = work.store.where(CheckpointRecord, order="step")[0]

    def losing(self: Painter, request: DrawRequest, reporter: Reporter) -> DrawResult:
        Path(point.path).unlink(missing_ok=True)
        return draw(self, request, reporter)

    monkeypatch.setattr(Painter, "draw", losing)
    use = {"loras": [{"lora_id": lora.id}]}
    made = small(work, lora, variants=[use, {**use, "checkpoint": 10}])
    assert made.state == RunState.FAILED
    assert "has no checkpoint at step 10" in made.summary
    assert [one.images for one in made.variants] == [2, 0]


def test_where_nothing_is_left_to_draw_a_deleted_lora_keeps_no_comparison_from_going_on(
    work: Workbench, painter: Painter
) -> None:
    lora = trained(work.store)
    made = small(work, lora)
    folder = work.store.workspace.run(str(made.run_id))
    (folder / "comparison.json").unlink()
    work.store.change(LoraRecord, lora.id, deleted_at="2026-11-29T00:00:00+00:00")
    picture = next((folder / "pictures").glob("01-fluent*row01_seed1.png"))
    aside = picture.rename(folder / picture.name)
    with pytest.raises(NotFound, match=r'manage_loras\(action="restore"'):
        compare(work, run_id=made.run_id)
    aside.rename(picture)
    assert compare(work, run_id=made.run_id).run_id == made.run_id
    assert len(painter.drawn) == 8


def test_the_grid_is_shown_page_by_page_and_by_the_plain_view_of_the_run(work: Workbench) -> None:
    lora = trained(work.store)
    made = small(work, lora, prompts=[f"a house {number}" for number in range(8)])
    first = look_at(ViewArgs(of=str(made.run_id), what="compare"), work)
    second = look_at(ViewArgs(of=str(made.run_id), what="compare", page=2), work)
    assert len(first.jpegs) == len(second.jpegs) == 1
    assert "1 fluent-v1; 2 base alone" in first.text
    assert "7 a house 6" in second.text
    assert look_at(ViewArgs(of=str(made.run_id)), work).text == first.text
    assert len([file for file in made.files if file.kind == "comparison_grid"]) == 2


# --------------------------------------------------------------------------- picks


def test_picks_are_kept_counted_and_replaced_by_later_ones_of_the_same_voter(work: Workbench) -> None:
    made = small(work, trained(work.store), seeds=[1, 2])
    labels = [one.variant for one in made.variants]
    picks = [{"prompt": 1, "variant": labels[0], "seed": 1}, {"prompt": 1, "variant": labels[1], "seed": 2}]
    told = compare(work, run_id=made.run_id, picks=picks)
    assert [one.wins for one in told.variants] == ["1 of 2, 50% (9-91%)"] * 2
    assert [one.accepted for one in told.variants] == [one.accepted for one in made.variants] == [4, 4]
    assert told.break_even == made.break_even, "a pick says which is best, not which are good enough"
    assert "no winner can be told" in told.summary
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": labels[0]}])
    assert told.variants[0].wins == "1 of 1, 100% (21-100%)"
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 2, "variant": labels[1], "by": "assistant"}])
    assert told.variants[0].wins == "persons 1 of 1, 100% (21-100%); assistants 0 of 1, 0% (0-79%)"
    assert work.store.count(PickRecord) == 2
    status = report(work.store, runs.get(work.store, str(made.run_id)))
    assert status.result is not None
    assert status.result["variants"][0]["wins"] == told.variants[0].wins


def test_the_winner_is_the_next_call_to_render_with(work: Workbench) -> None:
    lora = trained(work.store)
    made = compare(
        work, prompts=PROMPTS, width=64, height=64,
        variants=[{"loras": [{"lora_id": lora.id, "strength": 0.7}], "label": "soft"}, {"loras": []}],
    )  # fmt: skip
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": "soft"}])
    assert f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{lora.id}", "strength": 0.7}}]' in told.next_step


def test_a_label_that_nobody_gave_is_never_one_that_was_given(work: Workbench) -> None:
    lora = trained(work.store)
    named = [{"label": "base alone", "loras": [{"lora_id": lora.id}]}, {"loras": []}]
    made = small(work, lora, variants=named)
    assert [one.variant for one in made.variants] == ["base alone", "2: base alone"]
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": "base alone"}])
    assert [one.wins[:6] for one in told.variants] == ["1 of 1", "0 of 1"]
    soft = {"label": "3: base alone", "loras": [{"lora_id": lora.id, "strength": 0.5}]}
    made = small(work, lora, variants=[named[0], soft, {"loras": []}])
    assert [one.variant for one in made.variants] == ["base alone", "3: base alone", "4: base alone"]


@pytest.mark.parametrize(
    ("pick", "words"),
    [
        ({"prompt": 3, "variant": "fluent-v1"}, "rows are 1 to 2"),
        ({"prompt": 1, "variant": "nobody"}, "'fluent-v1', 'base alone'"),
        ({"prompt": 1, "variant": "fluent-v1", "seed": 9}, "its seeds are 1"),
    ],
)
def test_a_pick_of_what_is_not_there_is_refused_and_none_of_the_call_is_kept(
    work: Workbench, pick: dict[str, Any], words: str
) -> None:
    made = small(work, trained(work.store))
    with pytest.raises(BadArgument, match=words):
        compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": "fluent-v1"}, pick])
    assert work.store.count(PickRecord) == 0


# --------------------------------------------------------------------------- money and rights


def test_what_costs_is_quoted_first_with_the_pictures_of_the_leak_in_it(tmp_path: Path) -> None:
    painter = Painter(costs=True)
    work = bench(Store(tmp_path / "home"), painter)
    lora = learned(work, tmp_path)
    quoted = small(work, lora)
    assert quoted.state == RunState.QUOTED
    assert "drawing 6 pictures to compare 2 variants (2 of them without the trigger, for the leak)" in quoted.summary
    assert "0.30 USD" in quoted.summary
    assert painter.drawn == []
    made = small(work, lora, quote_id=quoted.quote_id, max_cost_usd=0.3)
    assert made.state == RunState.SUCCEEDED
    assert small(work, lora).run_id == made.run_id, "what is drawn is not paid again"


def test_a_comparison_that_ended_early_goes_on_with_what_it_bought_and_tells_cost_and_break_even(
    tmp_path: Path,
) -> None:
    painter = Buyer(costs=True)
    work = bench(Store(tmp_path / "home"), painter)
    lora = learned(work, tmp_path)
    quoted = small(work, lora)
    failed = small(work, lora, quote_id=quoted.quote_id, max_cost_usd=0.3)
    assert failed.state == RunState.FAILED
    painter.lost = False
    made = compare(work, run_id=failed.run_id)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, failed.run_id)
    assert work.store.count(PurchaseRecord) == 6
    assert {one.usd for one in made.variants} == {0.05}
    assert {one.usd_accepted for one in made.variants} == {0.05}
    assert any("training (2.50 USD, 20.0 minutes) does not pay for itself" in words for words in made.break_even)


def test_training_counts_each_run_once_and_those_of_the_loras_that_one_went_on_with(work: Workbench) -> None:
    store, looks, parent = work.store, [], None
    for name, usd in (("first", 2.5), ("second", 0.5), ("third", 0.25)):
        run = runs.enqueue(store, RunKind.TRAIN, {}, name=name, engine="painter", steps=20)
        times = {"started_at": "2026-11-28T10:00:00+00:00", "finished_at": "2026-11-28T10:20:00+00:00"}
        store.change(RunRecord, run.id, cost_usd=usd, attempt=1, **times)
        parent = trained(store, name, run_id=run.id, parent_lora_id=parent).id
        looks.append(Look(parent, "s" * 64, "preview", 1.0, name))

    def taken(*stacked: Look) -> Training | None:
        return training_of(store, Column("a", Brush("local", "preview", looks=stacked)))

    assert taken(looks[0]) == taken(looks[0], looks[0]) == Training(2.5, 20.0)
    assert taken(looks[2]) == taken(looks[2], looks[1]) == Training(3.25, 60.0)
    store.change(LoraRecord, looks[0].lora_id, run_id=None)
    assert taken(looks[2]) is None, "what the one before cost is not known"


class Two:
    """A painter here that costs nothing, and one at a host that does."""

    def __init__(self) -> None:
        self.of = {"here": Painter("here"), "host": Painter("host", costs=True, elsewhere=True)}

    def names(self) -> list[str]:
        return list(self.of)

    def open(self, name: str) -> Painter:
        return self.of[name]

    def choose(self, base_model: str, ability: str) -> Painter:
        return self.of["here"]


def test_of_engines_side_by_side_only_those_that_cost_are_in_the_quote(tmp_path: Path) -> None:
    engines, work = Two(), bench(Store(tmp_path / "home"), Painter())
    work = replace(work, engines=engines)
    lora = trained(work.store)
    variants = [{"loras": [{"lora_id": lora.id}], "engine": name} for name in ("here", "host")]
    quoted = compare(work, prompts=PROMPTS, variants=variants, width=64, height=64)
    assert quoted.state == RunState.QUOTED
    assert "drawing 6 pictures to compare 2 variants (4 of them without the trigger, for the leak) at host" in (
        quoted.summary
    )
    assert all(not painter.drawn for painter in engines.of.values())


def test_a_comparison_outlives_its_lora(work: Workbench) -> None:
    lora = trained(work.store)
    made = small(work, lora)
    work.store.change(LoraRecord, lora.id, deleted_at="2026-11-29T00:00:00+00:00")
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": "base alone"}])
    assert told.variants[1].wins == "1 of 1, 100% (21-100%)"


def test_what_leads_and_is_not_there_any_more_is_told_in_place_of_a_call_that_would_fail(
    work: Workbench, tmp_path: Path
) -> None:
    lora = learned(work, tmp_path)
    at = {"loras": [{"lora_id": lora.id}], "checkpoint": 10}
    whole, early = small(work, lora), small(work, lora, variants=[at, {"loras": []}])
    compare(work, run_id=whole.run_id, picks=[{"prompt": 1, "variant": "fluent-v1"}])
    compare(work, run_id=early.run_id, picks=[{"prompt": 1, "variant": "fluent-v1 step 10"}])
    Path(work.store.where(CheckpointRecord, "step = 10")[0].path).unlink()
    gone = compare(work, run_id=early.run_id)
    assert gone.state == RunState.SUCCEEDED
    assert gone.next_step.endswith("has no checkpoint at step 10; those on the disk are 20.")
    work.store.change(LoraRecord, lora.id, deleted_at="2026-11-29T00:00:00+00:00")
    for made in (whole, early):
        told = compare(work, run_id=made.run_id).next_step
        assert f'manage_loras(action="restore", lora_id="{lora.id}")' in told
        assert "render_deck_visuals" not in told


def test_a_lora_that_is_deleted_while_it_is_compared_has_its_numbers_all_the_same(
    work: Workbench, painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora, draw = learned(work, tmp_path), painter.draw

    def drawn(request: Any, reporter: Any) -> Any:
        result = draw(request, reporter)
        if request.jobs[-1].id.startswith("02"):
            work.store.change(LoraRecord, lora.id, deleted_at="2026-11-29T00:00:00+00:00")
        return result

    monkeypatch.setattr(painter, "draw", drawn)
    made = small(work, lora)
    assert made.state == RunState.SUCCEEDED
    assert made.variants[0].closeness is not None


def test_what_learned_from_images_that_may_not_leave_is_not_sent_to_a_host(tmp_path: Path) -> None:
    painter = Painter(elsewhere=True)
    work = bench(Store(tmp_path / "home"), painter)
    dataset = ready_dataset(work.store, 1)
    image = work.store.where(ImageRecord)[0]
    work.store.change(ImageRecord, image.id, rights={"may_leave": False})
    pairs = [{"file": image.file, "image": image.sha256}]
    run = runs.enqueue(work.store, RunKind.TRAIN, {"pairs": pairs}, dataset_id=dataset.id)
    work.store.change(RunRecord, run.id, state="succeeded")
    lora = trained(work.store, run_id=run.id)
    with pytest.raises(Refused, match="IMG-RIGHTS"):
        small(work, lora)
    assert painter.drawn == []


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompts": None}, "either prompts"),
        ({"deck": "deck_x"}, "either prompts"),
        ({"variants": None}, "two to six variants"),
        ({"prompts": ["x" * 10_000]}, "1 to 2000 characters, one of these has 10000"),
        ({"prompts": ["  "]}, "1 to 2000 characters"),
        ({"variants": [{"label": "a"}, {"label": "a"}]}, "labelled 'a'"),
        ({"variants": [{}, {}]}, "draw the same pictures"),
        ({"variants": [{"checkpoint": 5}, {}]}, "name that LoRA"),
        ({"picks": [{"prompt": 1, "variant": "a"}]}, "give its run_id"),
        ({"variants": [{"references": ["/nowhere/hero.png"]}, {}]}, "never learned to look at reference pictures"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(work: Workbench, arguments: dict[str, Any], words: str) -> None:
    lora = trained(work.store)
    with pytest.raises((BadArgument, NotFound, Refused), match=words) as told:
        small(work, lora, **arguments)
    assert "\n" not in str(told.value)
    assert work.store.count(RunRecord) == 0


def test_loras_and_checkpoints_that_are_not_there_name_those_that_are(work: Workbench, tmp_path: Path) -> None:
    lora = learned(work, tmp_path)
    with pytest.raises(NotFound, match="the nearest are fluent"):
        compare(work, prompts=["a"], variants=[{"loras": [{"lora_id": "fluant"}]}, {}])
    with pytest.raises(NotFound, match="no checkpoint at step 15; those on the disk are 10, 20"):
        compare(work, prompts=["a"], variants=[{"loras": [{"lora_id": lora.id}], "checkpoint": 15}, {}])
    bare = trained(work.store, "bare")
    with pytest.raises(NotFound, match="none of its run is on this disk"):
        compare(work, prompts=["a"], variants=[{"loras": [{"lora_id": bare.id}], "checkpoint": 15}, {}])


def test_a_lora_of_another_base_and_references_on_a_base_without_are_refused(work: Workbench, tmp_path: Path) -> None:
    lora, reference = trained(work.store), tmp_path / "hero.png"
    Image.new("RGB", (64, 64), "white").save(reference)
    variant = {"loras": [{"lora_id": lora.id}], "base_model": "flux1-dev"}
    with pytest.raises(Refused, match="was trained on preview and does nothing on flux1-dev"):
        compare(work, prompts=["a"], variants=[variant, {}])
    with pytest.raises(Refused, match="never learned to look at reference pictures"):
        compare(work, prompts=["a"], variants=[{"references": [str(reference)]}, {}])


def test_a_run_of_another_kind_is_named_and_so_are_arguments_that_do_not_go_with_picks(work: Workbench) -> None:
    shown = render(work, deck=deck(), formats=["png"])
    with pytest.raises(BadArgument, match="is a render run, not a comparison"):
        compare(work, run_id=shown.run_id)
    made = small(work, trained(work.store))
    with pytest.raises(BadArgument, match="leave out prompts, seeds"):
        compare(work, run_id=made.run_id, prompts=["a"], seeds=[2])
