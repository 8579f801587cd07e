"""compare_renders from the first call to the last pick: what is drawn and kept, what is measured, what is refused."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.datasets import ready_dataset
from support.decks import deck, render
from support.painter import Buyer, Painter, bench, trained

from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import CheckpointRecord, ImageRecord, LoraRecord, PickRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.report import report
from loradeck.tools.compare_renders.tool import handle
from loradeck.tools.contracts import CompareArgs, CompareResult, RunKind, RunState, ViewArgs
from loradeck.tools.errors import BadArgument, NotFound, Refused
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


def learned(work: Workbench, tmp_path: Path) -> LoraRecord:
    """A LoRA whose training, images and checkpoints are known."""
    store = work.store
    run = runs.enqueue(
        store, RunKind.TRAIN, {"pairs": [], "estimate": {"usd": 2.5}}, name="fluent", engine="painter", steps=20
    )
    folder = store.workspace.run(run.id)
    (folder / "dataset").mkdir()
    pairs = []
    for number, colour in enumerate(["#aa3311", "#bb4411", "#cc5511"]):
        path = folder / "dataset" / f"{number}.png"
        Image.effect_noise((64, 64), 20).convert("RGB").save(path)
        Image.blend(Image.open(path), Image.new("RGB", (64, 64), colour), 0.7).save(path)
        pairs.append({"file": path.name, "image": sha256_file(path), "caption": "x"})
    lora = trained(store, run_id=run.id)
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
    assert [one.accepted for one in told.variants] == [1, 1]
    assert "no winner can be told" in told.summary
    told = compare(work, run_id=made.run_id, picks=[{"prompt": 1, "variant": labels[0]}])
    assert told.variants[0].wins == "1 of 1, 100% (21-100%)"
    assert told.variants[0].accepted == 2, "a whole row is the picture of each seed"
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
    picks = [{"prompt": 1, "variant": "fluent-v1"}, {"prompt": 2, "variant": "fluent-v1"}]
    told = compare(work, run_id=made.run_id, picks=[*picks[:1], {"prompt": 2, "variant": "base alone"}])
    assert told.variants[0].usd_accepted == 0.1
    assert any("training (2.50 USD, 20.0 minutes) does not pay for itself" in words for words in told.break_even)
    told = compare(work, run_id=made.run_id, picks=picks)
    assert any("none of the pictures without the LoRA was accepted" in words for words in told.break_even)


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
