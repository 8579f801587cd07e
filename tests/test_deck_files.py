"""A deck's files when the workspace was moved, and when another program holds one of them."""

from __future__ import annotations

import errno
from dataclasses import asdict
from pathlib import Path

import pytest
from pypdf import PdfReader
from support.decks import deck, render
from support.painter import Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, LoraRecord, RunRecord, SampleRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.render_deck_visuals.written import Written
from loradeck.tools.workbench import Workbench


@pytest.fixture
def work(tmp_path: Path) -> Workbench:
    """A workspace in which a deck was drawn with a LoRA."""
    store = Store(tmp_path / "home")
    trained(store)
    drawn = bench(store, Painter())
    render(drawn, deck=deck())
    return drawn


def moved(store: Store, to: Path) -> Store:
    """The same workspace, opened where its folder lies now."""
    store.close()
    store.workspace.home.rename(to)
    return Store(to)


def test_a_moved_workspace_keeps_its_deck_and_one_slide_is_drawn_again_into_it(work: Workbench, tmp_path: Path) -> None:
    painter = Painter()
    there = bench(moved(work.store, tmp_path / "elsewhere"), painter)
    result = render(there, deck_id="The Bakery", only=["cover"])
    assert painter.drawn == ["01_cover"]
    assert len(PdfReader(there.store.workspace.deck(str(result.deck_id)) / "deck.pdf").pages) == 4
    assert all(Path(row.path).is_relative_to(tmp_path / "elsewhere") for row in result.visuals)


def test_the_answer_of_a_run_tells_where_its_files_lie_after_a_move(work: Workbench, tmp_path: Path) -> None:
    store = work.store
    run = runs.enqueue(store, "render", {})
    home = store.workspace.home
    beside = f"{home}-beside/deck.pdf"
    here = str(home / "decks" / "d.pdf")
    store.change(RunRecord, run.id, result={"summary": f"See {here}.", "files": [{"path": here}, {"path": beside}]})
    there = moved(store, tmp_path / "elsewhere")
    result = there.where(RunRecord, "id = ?", [run.id])[0].result
    inside = str(tmp_path / "elsewhere" / "decks" / "d.pdf")
    assert result == {"summary": f"See {inside}.", "files": [{"path": inside}, {"path": beside}]}


def test_paths_of_the_workspace_are_stored_without_it_and_others_whole(work: Workbench, tmp_path: Path) -> None:
    store = work.store
    run_id = store.where(RunRecord)[0].id
    own, foreign = store.workspace.run(run_id) / "a.png", tmp_path / "b.png"
    store.add(SampleRecord(run_id, 1, str(own), "p"))
    store.add(SampleRecord(run_id, 2, str(foreign), "p"))
    assert [row["path"] for row in store.read("select path from samples order by step")] == [
        f"runs/{run_id}/a.png", str(foreign),
    ]  # fmt: skip
    assert [row.path for row in store.where(SampleRecord, order="step")] == [str(own), str(foreign)]


def test_whole_paths_of_an_earlier_release_follow_the_workspace_too(work: Workbench, tmp_path: Path) -> None:
    store = work.store
    run = runs.enqueue(store, "train", {})
    inside = store.workspace.run(run.id) / "checkpoints" / "step-000005.safetensors"
    store.add(CheckpointRecord(run.id, 5, str(inside), "0"))
    store.add(SampleRecord(run.id, 5, str(tmp_path / "s.png"), "p"))
    for table in ("checkpoints", "visuals", "loras"):
        store.db.execute(f"update {table} set path = ? || path", [f"{store.workspace.home}/"])
    lora = store.where(LoraRecord)[0]
    old = {"visuals": [{"brush": {"looks": [{"lora_id": lora.id, "path": lora.path}]}}]}
    store.change(RunRecord, store.where(RunRecord, "kind = 'render'")[0].id, spec=old)
    store.db.execute("delete from _sqlite_migrations where name like 'm002%'")
    there = moved(store, tmp_path / "elsewhere")
    files = [row.path for kind in (CheckpointRecord, VisualRecord, LoraRecord) for row in there.where(kind)]
    assert all(Path(path).is_relative_to(there.workspace.home) for path in files)
    assert there.where(SampleRecord)[0].path == str(tmp_path / "s.png")
    assert there.where(LoraRecord) == [type(lora)(**{**asdict(lora), "path": files[-1]})]
    assert "path" not in str(there.where(RunRecord, "kind = 'render'")[0].spec)


def test_a_copy_that_another_program_holds_open_is_told_with_what_to_do(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = render(work, deck_id="The Bakery", output_dir=str(out))
    honest = Path.replace

    def denied(path: Path, target: Path) -> Path:
        if target == out / "deck.pdf":
            error = PermissionError(errno.EACCES, "Access is denied")
            error.winerror = 5  # type: ignore[attr-defined]  # as on Windows
            raise error
        return honest(path, target)

    monkeypatch.setattr(Path, "replace", denied)
    edits = [{"slide": "cover", "heading": "Another"}]
    again = render(work, deck_id=first.deck_id, edits=edits, output_dir=str(out))
    assert any("deck.pdf is open in another program; close it there" in words for words in again.told)


def test_a_file_is_ours_until_somebody_changes_it_and_what_was_taken_over_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deck.typ"
    written = Written(tmp_path)
    assert not written.knows(path)
    written.save(path, b"ours")
    assert written.is_ours(path)
    path.write_bytes(b"a person's")
    again = Written(tmp_path)
    assert again.knows(path)
    assert not again.is_ours(path)
    again.taken_in(path, b"a person's")
    again.save(path, b"merged")
    assert (again.kept, path.read_bytes()) == ([], b"merged")


def test_what_changed_after_it_was_taken_over_is_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "deck.typ"
    written = Written(tmp_path)
    written.save(path, b"ours")
    path.write_bytes(b"a person's, saved once more")
    written.taken_in(path, b"a person's")
    written.save(path, b"merged")
    assert (tmp_path / "deck-kept-1.typ").read_bytes() == b"a person's, saved once more"
    assert written.kept
