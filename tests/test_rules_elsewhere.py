"""Rules that are judged where the work is done, each broken on purpose and passed once (renders: test_deck_looks)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.datasets import ready_dataset
from support.decks import deck, render
from support.engine import registry
from support.images import bench, curate, picture, save
from support.painter import Painter, trained
from support.painter import bench as studio
from support.rules import breaks, facts, image, keeps, passes
from support.training import pictures

from loradeck.state.records import DeckRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.diagnosis import Curve, RunFacts, diagnose
from loradeck.tools.contracts import Finding, Profile, RunState, Severity, StartTrainingArgs, TrainingPlan
from loradeck.tools.errors import Refused
from loradeck.tools.render_deck_visuals import looks
from loradeck.tools.rulebook import manifest
from loradeck.tools.rulebook.facts import KeptImage
from loradeck.tools.start_training import plan as plans
from loradeck.tools.start_training import snapshot, told
from loradeck.tools.start_training.tool import TOOL
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions.compose import compose, what_is_known

INFO, WARNING = Severity.INFO, Severity.WARNING
PLAN = TrainingPlan(
    engine="local",
    base_model="preview",
    images=40,
    steps=300,
    passes_over_set=30,
    rank=16,
    alpha=16,
    learning_rate=1e-3,
    batch_size=4,
    resolution=128,
    seed=42,
    checkpoint_every=75,
    sample_every=75,
    sample_prompts=[],
)


def on_plan(target: str = "preview", says: tuple[str, ...] = (), **changes: Any) -> list[Finding]:
    return told.what_to_know(PLAN.model_copy(update=changes), target, says)


def diagnosed(held_out: Curve, **facts: Any) -> list[str]:
    run = RunFacts("run_1", RunState.RUNNING, "", step=60, steps=100, held_out=held_out, plan=PLAN)
    return [diagnosis.what for diagnosis in diagnose(replace(run, **facts))]


# --------------------------------------------------------------------------- pictures that come in


@breaks("CAP-ORIGIN", INFO)
def test_a_caption_of_another_hand_is_not_taken(tmp_path: Path) -> list[Finding]:
    save(picture(1), tmp_path / "in" / "a.png").with_suffix(".txt").write_text("a cat, tabby")
    return curate(bench(tmp_path), source=tmp_path / "in", trigger="flicx").findings


@passes("CAP-ORIGIN")
def test_a_caption_that_begins_with_the_trigger_is_trusted(tmp_path: Path) -> list[Finding]:
    save(picture(1), tmp_path / "in" / "a.png").with_suffix(".txt").write_text("flicx, a tabby cat")
    return curate(bench(tmp_path), source=tmp_path / "in", trigger="flicx").findings


@breaks("IMG-FORMAT", INFO)
def test_transparency_that_was_laid_on_a_colour_is_told(tmp_path: Path) -> list[Finding]:
    clear = picture(1).convert("RGBA")
    clear.putalpha(128)
    save(clear, tmp_path / "in" / "a.png")
    return curate(bench(tmp_path), source=tmp_path / "in").findings


@breaks("IMG-CROP", INFO)
def test_a_picture_that_is_not_square_is_cut_and_that_is_told(tmp_path: Path) -> list[Finding]:
    save(picture(1, 600, 900), tmp_path / "in" / "a.png")
    return curate(bench(tmp_path), source=tmp_path / "in").findings


@passes("IMG-FORMAT", "IMG-CROP")
def test_a_plain_square_picture_is_taken_as_it_is(tmp_path: Path) -> list[Finding]:
    save(picture(1), tmp_path / "in" / "a.png")
    return curate(bench(tmp_path), source=tmp_path / "in").findings


# --------------------------------------------------------------------------- captions that are built


@keeps("CAP-STABLE")
def test_captions_built_in_another_run_are_the_same_for_the_same_pictures() -> None:
    def built(images: list[KeptImage]) -> dict[str, str | None]:
        around = facts(images, Profile.ICONS)
        return {one.sha256: compose(around, what_is_known(around, one, one.sha256, [])) for one in around.images}

    first = [image(number, subject=f"thing {number}", colors=["red", "blue"]) for number in range(1, 21)]
    again = [replace(one, id=f"img_new{one.number}") for one in reversed(first)]
    assert built(again) == built(first)
    assert None not in built(first).values()


# --------------------------------------------------------------------------- plans


@breaks("TRN-RANGE", WARNING)
@pytest.mark.parametrize("change", [{"steps": 900}, {"rank": 128}, {"says": ("Preservation is off.",)}])
def test_numbers_outside_the_usual_range_are_told(change: dict[str, Any]) -> list[Finding]:
    return on_plan(**change)


@breaks("TRN-RANGE", INFO)
def test_captions_that_follow_another_model_are_told() -> list[Finding]:
    return on_plan("z-image")


@breaks("TRN-CONVERGED", INFO)
def test_steps_past_convergence_are_told() -> list[Finding]:
    return on_plan("flux2-dev", base_model="flux2-dev", steps=2000)


@passes("TRN-RANGE", "TRN-CONVERGED")
def test_a_plan_in_the_usual_range_has_nothing_to_be_said() -> list[Finding]:
    return on_plan()


@keeps("TRN-CADENCE")
def test_checkpoints_and_samples_come_in_the_cadence_of_the_rulebook() -> None:
    most = (plans.CHECKPOINT_STEPS, plans.SAMPLE_STEPS)
    assert [[plans.cadence(steps, every) for every in most] for steps in (2000, 100)] == [[500, 250], [25, 25]]


@keeps("TRN-SPEND")
def test_nothing_that_costs_money_starts_on_a_first_call(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    arguments = StartTrainingArgs(dataset_id=ready_dataset(store).id, engine="tiny")
    training = TOOL.handler(arguments, Workbench(store, registry(costs_money=True), lambda run_id: None))
    drawing = render(studio(store, Painter(costs=True)), deck=deck())
    assert (training.state, drawing.state) == (RunState.QUOTED, RunState.QUOTED)
    assert training.quote_id != drawing.quote_id
    assert (store.count(RunRecord), store.count(DeckRecord)) == (0, 0)


# --------------------------------------------------------------------------- runs


@breaks("TRN-FINGERPRINT")
@pytest.mark.parametrize("changed", ["001.png", "001.txt"])
def test_what_changed_after_it_passed_is_not_trained(changed: str, tmp_path: Path) -> list[str]:
    pairs = snapshot.take(tmp_path / "run", pictures(tmp_path / "in"))
    (tmp_path / "run" / changed).unlink()
    (tmp_path / "run" / changed).write_bytes(b"another")
    with pytest.raises(Refused) as refused:
        snapshot.read(tmp_path / "run", [pair.as_row() for pair in pairs], "zorbik", "f" * 64)
    return [str(refused.value)]


@passes("TRN-FINGERPRINT")
def test_what_passed_is_trained(tmp_path: Path) -> list[str]:
    pairs = snapshot.take(tmp_path / "run", pictures(tmp_path / "in"))
    assert len(snapshot.read(tmp_path / "run", [pair.as_row() for pair in pairs], "zorbik", "f" * 64).items) == 3
    return []


@breaks("TRN-LOSS", WARNING)
def test_a_held_out_loss_that_does_not_fall_is_told() -> list[str]:
    return diagnosed([(0, 1.0), (20, 1.0), (50, 0.998)])


@breaks("TRN-CONVERGED", INFO)
def test_a_held_out_loss_that_turns_is_told() -> list[str]:
    return diagnosed([(0, 1.0), (20, 0.6), (50, 0.9)])


@breaks("TRN-FINITE")
def test_a_loss_that_is_no_number_is_told() -> list[str]:
    return diagnosed([], state=RunState.FAILED, error="The loss became nan at step 10.", error_kind="Diverged")


@passes("TRN-LOSS", "TRN-CONVERGED", "TRN-FINITE")
def test_a_held_out_loss_that_falls_has_nothing_to_be_said() -> list[str]:
    return diagnosed([(0, 1.0), (20, 0.8), (50, 0.6)])


# --------------------------------------------------------------------------- renders


@breaks("RND-TRIGGER", INFO)
def test_a_trigger_that_a_prompt_lacks_is_put_in_front_and_told(tmp_path: Path) -> list[str]:
    store = Store(tmp_path / "home")
    trained(store)
    return render(studio(store, Painter()), deck=deck()).told


@passes("RND-TRIGGER")
def test_a_prompt_with_its_trigger_is_left_alone(tmp_path: Path) -> list[str]:
    store = Store(tmp_path / "home")
    trained(store)
    slides = [{"name": "one", "prompt": "a red house in fluentlook"}]
    return render(studio(store, Painter()), deck=deck(slides=slides)).told


# --------------------------------------------------------------------------- the page


def test_the_page_tells_the_numbers_that_are_in_force() -> None:
    says = {rule.id: rule.says for rule in manifest.EVERY}
    assert f"spread over {looks.BLANK_SPREAD:g} of" in says["RND-BLANK"]
    assert f"{looks.DARK_MEAN:g} of 255" in says["RND-DARK"]
    assert f"highlights {looks.DARK_HIGHLIGHT:g}" in says["RND-DARK"]
    assert f"by {looks.TWIN_DISTANCE:g} of 255" in says["RND-TWIN"]
    assert "({}-{} for FLUX.2)".format(*told.CONVERGED) in says["TRN-CONVERGED"]
    assert f"every {plans.CHECKPOINT_STEPS} steps and samples every {plans.SAMPLE_STEPS}" in says["TRN-CADENCE"]


def test_a_rule_on_a_plan_can_be_named_in_a_waiver(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    waiver = {"rule_id": "TRN-RANGE", "reason": "a long run on purpose"}
    arguments = StartTrainingArgs(dataset_id=ready_dataset(store).id, engine="tiny", steps=900, waive=[waiver])
    started = TOOL.handler(arguments, Workbench(store, registry(), lambda run_id: None))
    assert [row.waived for row in store.where(RunRecord)] == [[waiver]], started
    assert started.plan is not None
    assert all(told.severity == INFO and told.why.startswith("Waived: ") for told in started.plan.told), started
    assert started.plan.told
