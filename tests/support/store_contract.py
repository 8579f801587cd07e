"""What any store has to do. Another one plugs in by a subclass with a `store` fixture of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loradeck.state import runs
from loradeck.state.errors import StateError
from loradeck.state.records import CaptionRecord, CheckpointRecord, DatasetRecord, ImageRecord, RunRecord
from loradeck.state.store import Store

DATASET = DatasetRecord(
    id="ds_1", name="Bäcker", profile="style", target_model="preview", resolution=512, categories=["estate", "club"]
)
IMAGE = ImageRecord(
    id="img_1",
    dataset_id="ds_1",
    number=1,
    file="001.png",
    original_path="/x/a.png",
    original_name="a\n☺.png",
    sha256="0" * 64,
    status="kept",
    attributes={"angle": "front", "colors": ["red"]},
    crop=None,
)


class StoreContract:
    """The promises of the store, one test each."""

    def test_a_record_comes_back_as_it_went_in_but_for_its_stamps(self, store: Store) -> None:
        store.add(DATASET)
        store.add(IMAGE)
        found = store.find(ImageRecord, "img_1")
        assert found is not None
        assert found.created_at
        assert replace(found, created_at="", updated_at="") == IMAGE

    def test_lists_dicts_nothing_and_truth_keep_their_kind(self, store: Store) -> None:
        store.add(DATASET)
        store.add(replace(IMAGE, crop={"x": 1}))
        store.add(CaptionRecord("img_1", "ds_1", "text", "given", seen=True))
        assert store.where(ImageRecord)[0].crop == {"x": 1}
        assert store.where(DatasetRecord)[0].categories == ["estate", "club"]
        assert store.where(CaptionRecord)[0].seen is True

    def test_what_is_not_there_is_none_and_changing_it_is_false(self, store: Store) -> None:
        assert store.find(DatasetRecord, "ds_9") is None
        assert store.change(DatasetRecord, "ds_9", name="x") is False

    def test_a_second_row_with_the_same_id_or_unique_name_is_refused_and_changes_nothing(self, store: Store) -> None:
        store.add(DATASET)
        for second in (DATASET, replace(DATASET, id="ds_2")):
            with pytest.raises(StateError):
                store.add(second)
        assert store.count(DatasetRecord) == 1

    def test_a_record_that_may_be_replaced_is(self, store: Store) -> None:
        run = runs.enqueue(store, "train", {})
        one, other = (str(store.workspace.run(run.id) / name) for name in ("a", "b"))
        store.add(CheckpointRecord(run.id, 5, one, "1"))
        store.add(CheckpointRecord(run.id, 5, other, "2"))
        assert [point.path for point in store.where(CheckpointRecord)] == [other]

    def test_a_row_cannot_point_to_a_row_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(StateError):
            store.add(IMAGE)

    def test_a_transaction_that_breaks_leaves_nothing(self, store: Store) -> None:
        def half_done() -> None:
            with store.transaction():
                store.add(DATASET)
                store.change(DatasetRecord, "ds_1", name="other")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            half_done()
        assert store.count(DatasetRecord) == 0
        store.add(DATASET)  # and the store goes on working

    def test_a_transaction_inside_another_joins_it(self, store: Store) -> None:
        def half_done() -> None:
            with store.transaction():
                with store.transaction():
                    store.add(DATASET)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            half_done()
        assert store.count(DatasetRecord) == 0

    def test_rows_come_in_the_order_page_and_number_asked_for(self, store: Store) -> None:
        for number in range(5):
            store.add(replace(DATASET, id=f"ds_{number}", name=f"n{number}"))
        page = store.where(DatasetRecord, "name <> ?", ["n0"], order="name desc", limit=2, offset=1)
        assert [row.name for row in page] == ["n3", "n2"]
        assert store.count(DatasetRecord, "name > ?", ["n2"]) == 2

    def test_removing_says_how_many_went(self, store: Store) -> None:
        store.add(DATASET)
        assert store.remove(DatasetRecord, "id = ?", ["ds_1"]) == 1
        assert store.remove(DatasetRecord, "id = ?", ["ds_1"]) == 0

    def test_the_journal_keeps_any_json_value_and_replaces_by_key(self, store: Store) -> None:
        run = runs.enqueue(store, "train", {})
        runs.journal_put(store, run.id, "states", {"a": [1, None, "ü"]})
        runs.journal_put(store, run.id, "states", {"a": [2]})
        assert runs.journal_get(store, run.id, "states") == {"a": [2]}
        assert runs.journal_get(store, run.id, "other") is None

    def test_metrics_of_a_step_told_twice_replace_and_what_is_no_number_is_left_out(self, store: Store) -> None:
        run = runs.enqueue(store, "train", {})
        runs.add_metrics(store, run.id, 2, {"loss": 0.5, "grad_norm": float("nan")})
        runs.add_metrics(store, run.id, 1, {"loss": 0.9})
        runs.add_metrics(store, run.id, 2, {"loss": 0.4})
        assert runs.metric(store, run.id, "loss") == [(1, 0.9), (2, 0.4)]
        assert runs.metric(store, run.id, "grad_norm") == []

    def test_changes_are_stamped_and_the_spec_of_a_run_survives(self, store: Store) -> None:
        run = runs.enqueue(store, "train", {"plan": {"steps": 3}}, name="x")
        store.change(RunRecord, run.id, message="hello")
        again = runs.get(store, run.id)
        assert again.spec == {"plan": {"steps": 3}}
        assert again.updated_at > run.created_at
