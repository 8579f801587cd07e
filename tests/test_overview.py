"""check_status without an id: everything can be found, and what it says to do next is what a person wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import grow, ready_dataset
from support.painter import Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import DatasetRecord, DeckRecord, ImageRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.overview import EACH
from loradeck.tools.check_status.tool import handle
from loradeck.tools.contracts import CheckStatusArgs, CheckStatusResult, TargetModel
from loradeck.tools.errors import BadArgument
from loradeck.tools.validate_coverage.tool import judge_now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def glance(store: Store, page: int = 1) -> CheckStatusResult:
    """One call without an id."""
    return handle(CheckStatusArgs(page=page), bench(store, Painter()))


# --------------------------------------------------------------------------- pages


def test_everything_is_found_page_by_page_and_each_once(store: Store) -> None:
    for number in range(EACH + 2):
        store.add(DatasetRecord(f"ds_{number:02}", f"set {number}", "style", "preview", 256))
        store.add(DeckRecord(f"deck_{number:02}", f"Deck {number}"))
    trained(store)
    first, second = glance(store), glance(store, 2)
    seen = [row.id for row in (*first.overview, *second.overview)]
    assert len(seen) == len(set(seen)) == 2 * (EACH + 2) + 1
    assert (first.page, first.pages, second.page) == (1, 2, 2)
    assert {row.kind for row in first.overview} == {"dataset", "deck", "lora"}
    assert f"Page 1 of 2 shows {EACH} of {EACH + 2} datasets, {EACH} of {EACH + 2} decks; page=2" in first.summary
    assert "shows more" not in second.summary
    with pytest.raises(BadArgument, match="last page is 2"):
        glance(store, 3)


def test_what_fits_on_one_page_says_nothing_of_pages(store: Store) -> None:
    runs.enqueue(store, "train", {}, name="fluent")
    assert "age" not in glance(store).summary


# --------------------------------------------------------------------------- what to do next


def judged(store: Store) -> DatasetRecord:
    """A set that was judged as it is."""
    dataset = ready_dataset(store)
    judge_now(store, dataset)
    return dataset


def learned(store: Store, dataset: DatasetRecord) -> str:
    """The id of a LoRA of the set as it is."""
    fingerprint = judge_now(store, dataset).fingerprint
    return trained(store, dataset_id=dataset.id, fingerprint=fingerprint).id


def stage(store: Store) -> str:
    return next(row.state for row in glance(store).overview if row.kind == "dataset")


def test_a_set_that_changed_since_its_verdict_is_told_so_and_judged_again_before_it_trains(store: Store) -> None:
    dataset = judged(store)
    assert stage(store).startswith("last verdict: ")
    assert "start_training" in glance(store).next_step
    image = store.where(ImageRecord, limit=1)[0]
    store.change(ImageRecord, image.id, status="rejected")
    assert stage(store) == "changed since its last verdict"
    assert glance(store).next_step == f'validate_coverage(dataset_id="{dataset.id}") says what is still missing.'
    store.change(ImageRecord, image.id, status="kept")
    assert stage(store).startswith("last verdict: ")


def test_a_verdict_for_another_target_model_says_nothing_of_the_sets_own(store: Store) -> None:
    dataset = ready_dataset(store)
    judge_now(store, dataset, TargetModel.FLUX2_DEV)
    assert stage(store) == "captioned"
    assert "validate_coverage" in glance(store).next_step


def test_a_set_that_grew_since_its_lora_is_judged_and_then_trains_that_lora_further(store: Store) -> None:
    dataset = ready_dataset(store, images=40)
    lora = learned(store, dataset)
    assert f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{lora}"}}])' in glance(store).next_step
    grow(store, dataset.id, 40, 4)
    further = f'start_training(dataset_id="{dataset.id}", continue_from="{lora}")'
    advice = glance(store).next_step
    assert advice.startswith("validate_coverage(")
    assert f"; then {further}" in advice
    judge_now(store, dataset)
    assert glance(store).next_step.startswith(further)
    learned(store, dataset)
    assert "render_deck_visuals" in glance(store).next_step


def test_a_lora_of_another_base_than_the_sets_is_not_trained_further(store: Store) -> None:
    dataset = ready_dataset(store, images=40)
    learned(store, dataset)
    store.change(DatasetRecord, dataset.id, target_model="flux2-dev")
    advice = glance(store).next_step
    assert "validate_coverage" in advice
    assert "continue_from" not in advice


def ended(store: Store, kind: str, state: str, **columns: str) -> RunRecord:
    run = runs.enqueue(store, kind, {}, **columns)
    store.change(RunRecord, run.id, state=state)
    return run


def test_a_run_under_way_or_lost_is_offered_however_much_was_rendered_since(store: Store) -> None:
    dataset = judged(store)
    lost = ended(store, "train", "lost", dataset_id=dataset.id)
    other = ended(store, "train", "lost", dataset_id="ds_other")
    busy = runs.enqueue(store, "train", {}, dataset_id=dataset.id)
    ended(store, "render", "succeeded", deck_id="deck_a")
    assert f'check_status(run_id="{busy.id}"' in glance(store).next_step
    store.change(RunRecord, busy.id, state="cancelled")
    advice = glance(store).next_step
    assert f'start_training(resume="{other.id}"). Lost too: {lost.id}.' in advice
    assert f'Else: start_training(dataset_id="{dataset.id}")' in advice


def test_a_lost_run_whose_work_was_done_since_is_offered_no_more(store: Store) -> None:
    dataset = judged(store)
    ended(store, "train", "lost", dataset_id=dataset.id)
    ended(store, "train", "succeeded", dataset_id=dataset.id)
    assert "lost" not in glance(store).next_step.lower()


def test_of_several_runs_under_way_the_newest_is_followed_and_the_others_are_named(store: Store) -> None:
    first, second = runs.enqueue(store, "train", {}), runs.enqueue(store, "train", {})
    advice = glance(store).next_step
    assert f'check_status(run_id="{second.id}"' in advice
    assert f"Under way too: {first.id}." in advice
