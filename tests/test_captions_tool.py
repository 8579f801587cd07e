"""write_captions through its handler: what is saved, refused, mended, skipped and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.datasets import TRIGGER, ready_dataset
from support.images import bench

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, SheetRecord
from loradeck.tools.contracts import Severity, WriteCaptionsArgs, WriteCaptionsResult
from loradeck.tools.datasets import captions_of, kept_images
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.validate_coverage.tool import judge_now
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions.tool import TOOL

DATASET = "ds_ready"
GOOD = f"{TRIGGER}, a starburst badge turns from pink to orange, with a white plus sign in its middle."
OTHER = f"{TRIGGER}, folded like a ribbon, this hexagon is violet on one half and pink on the other."


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    """A workbench with a dataset of six icons, none of them captioned."""
    made = bench(tmp_path)
    ready_dataset(made.store, images=6)
    made.store.remove(CaptionRecord, "dataset_id = ?", [DATASET])
    return made


def write(on: Workbench, *images: dict[str, Any], **arguments: Any) -> WriteCaptionsResult:
    args = WriteCaptionsArgs.model_validate({"dataset_id": DATASET, "images": list(images), **arguments})
    answer = TOOL.handler(args, on)
    assert isinstance(answer, WriteCaptionsResult)
    return answer


def sidecar(on: Workbench, number: int) -> Path:
    return on.store.workspace.dataset(DATASET) / f"{number:03d}.txt"


def test_a_good_caption_is_saved_with_its_sidecar_and_metadata(on: Workbench) -> None:
    answer = write(on, {"image_id": "1", "caption": GOOD})
    assert (answer.accepted, answer.refused, len(answer.missing)) == (1, [], 5)
    assert sidecar(on, 1).read_text(encoding="utf-8") == GOOD
    rows = (on.store.workspace.dataset(DATASET) / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0])["text"] == GOOD


def test_good_captions_are_saved_when_others_are_refused(on: Workbench) -> None:
    answer = write(on, {"image_id": "1", "caption": GOOD}, {"image_id": "2", "caption": f"{TRIGGER} icon"})
    assert answer.accepted == 1
    assert [row.image_id for row in answer.refused] == [kept_images(on.store, DATASET)[1].id]
    assert "CAP-DETAIL" in {finding.rule_id for finding in answer.refused[0].findings}
    assert answer.refused[0].proposal is None
    assert not sidecar(on, 2).exists()


def test_a_caption_with_the_trigger_in_the_wrong_place_comes_back_mended(on: Workbench) -> None:
    answer = write(
        on, {"image_id": "1", "caption": f"A pink and orange badge, {TRIGGER.upper()}, with a white plus sign."}
    )
    proposal = answer.refused[0].proposal
    assert proposal is not None
    assert proposal.startswith(f"{TRIGGER}. A pink and orange badge")
    assert proposal.lower().count(TRIGGER) == 1
    assert write(on, {"image_id": "1", "caption": proposal}).accepted == 1


def test_a_trigger_that_is_missing_is_put_in_front_in_the_proposal(on: Workbench) -> None:
    answer = write(on, {"image_id": "1", "caption": "a pink and orange badge with a white plus sign."})
    assert answer.refused[0].proposal == f"{TRIGGER} a pink and orange badge with a white plus sign."


def test_boilerplate_is_cut_from_the_proposal_where_it_is_an_error(on: Workbench) -> None:
    on.store.change(DatasetRecord, DATASET, profile="style")
    text = f"{TRIGGER}, a pink badge with a white plus sign lies on a kitchen table, photorealistic, 8K, masterpiece."
    answer = write(on, {"image_id": "1", "caption": text})
    assert answer.refused[0].proposal == f"{TRIGGER} a pink badge with a white plus sign lies on a kitchen table."


def test_captions_that_are_there_stay_unless_overwrite_is_asked(on: Workbench) -> None:
    write(on, {"image_id": "1", "caption": GOOD})
    kept = write(on, {"image_id": "1", "caption": OTHER})
    assert kept.accepted == 0
    assert "1 kept as they were" in kept.summary
    assert sidecar(on, 1).read_text(encoding="utf-8") == GOOD
    assert write(on, {"image_id": "1", "caption": OTHER}, overwrite=True).accepted == 1
    assert sidecar(on, 1).read_text(encoding="utf-8") == OTHER


def test_captions_are_tidied_before_they_are_judged_and_saved(on: Workbench) -> None:
    untidy = "\ufeff " + GOOD.replace(" badge", "\n  badge") + "\u200b\n"
    assert write(on, {"image_id": "1", "caption": untidy}).accepted == 1
    assert sidecar(on, 1).read_text(encoding="utf-8") == GOOD


# --------------------------------------------------------------------------- looking


def test_a_sheets_code_marks_the_captions_of_its_images_as_seen(on: Workbench) -> None:
    first, second = (image.id for image in kept_images(on.store, DATASET)[:2])
    on.store.add(SheetRecord("sh_abc234", DATASET, [first]))
    answer = write(on, {"image_id": "1", "caption": GOOD}, {"image_id": "2", "caption": OTHER}, sheet_code="SH_abc234")
    captions = captions_of(on.store, DATASET)
    assert (captions[first].seen, captions[second].seen) == (True, False)
    assert answer.summary.count("CAP-SEEN") == 1


def test_the_code_of_another_datasets_sheet_is_told(on: Workbench) -> None:
    on.store.add(SheetRecord("sh_other", "ds_other", ["img_elsewhere"]))
    answer = write(on, {"image_id": "1", "caption": GOOD}, sheet_code="sh_other")
    assert "Not the code of a sheet of this dataset: sh_other" in answer.summary


def test_codes_of_several_sheets_may_be_given_at_once(on: Workbench) -> None:
    ids = [image.id for image in kept_images(on.store, DATASET)[:2]]
    for code, image_id in zip(("sh_one", "sh_two"), ids, strict=True):
        on.store.add(SheetRecord(code, DATASET, [image_id]))
    answer = write(
        on, {"image_id": "1", "caption": GOOD}, {"image_id": "2", "caption": OTHER}, sheet_code="sh_one, sh_two"
    )
    assert all(caption.seen for caption in captions_of(on.store, DATASET).values())
    assert "CAP-SEEN" not in answer.summary


def test_captions_without_a_known_code_are_saved_and_told_as_unseen(on: Workbench) -> None:
    answer = write(on, {"image_id": "1", "caption": GOOD}, sheet_code="sh_nonsense")
    assert "Not the code of a sheet of this dataset: sh_nonsense" in answer.summary
    assert answer.accepted == 1
    assert "CAP-SEEN" in answer.summary


# --------------------------------------------------------------------------- attributes


def attributes(on: Workbench, number: int = 1) -> tuple[dict[str, Any], dict[str, str]]:
    row = kept_images(on.store, DATASET)[number - 1]
    return row.attributes, row.sources


def test_the_assistants_attributes_win_over_a_metadata_file_and_lose_to_a_person(on: Workbench) -> None:
    row = kept_images(on.store, DATASET)[0]
    on.store.change(ImageRecord, row.id, sources={"subject": "metadata", "colors": "person"})
    answer = write(on, {"image_id": "1", "attributes": {"subject": "badge", "colors": ["black"]}})
    values, sources = attributes(on)
    assert (values["subject"], sources["subject"]) == ("badge", "assistant")
    assert values["colors"] == row.attributes["colors"]
    assert "colors of image 1" in answer.summary


def test_unknown_takes_a_value_back(on: Workbench) -> None:
    write(on, {"image_id": "1", "attributes": {"background": "kitchen"}})
    write(on, {"image_id": "1", "attributes": {"background": "unknown"}})
    values, sources = attributes(on)
    assert (values["background"], sources["background"]) == ("unknown", "assistant")


def test_attributes_may_be_given_to_many_images_at_once(on: Workbench) -> None:
    answer = write(on, {"image_id": "all", "attributes": {"category": "badges"}})
    assert {row.attributes["category"] for row in kept_images(on.store, DATASET)} == {"badges"}
    assert "attributes of 6 images" in answer.summary


def test_attributes_alone_write_no_caption(on: Workbench) -> None:
    assert write(on, {"image_id": "1", "attributes": {"category": "badges"}}).accepted == 0
    assert captions_of(on.store, DATASET) == {}


def test_captions_built_from_attributes_are_the_same_on_every_run(on: Workbench) -> None:
    assert write(on, mode="attributes").accepted == 6
    first = {key: caption.text for key, caption in captions_of(on.store, DATASET).items()}
    assert write(on, mode="attributes", overwrite=True).accepted == 6
    assert {key: caption.text for key, caption in captions_of(on.store, DATASET).items()} == first


def test_captions_from_a_persons_attributes_are_not_told_as_unseen(on: Workbench) -> None:
    assert "CAP-SEEN" not in write(on, mode="attributes").summary
    report = judge_now(on.store, replace(on.store.where(DatasetRecord)[0]))
    assert "CAP-SEEN" not in {finding.rule_id for finding in report.findings}


def test_mode_attributes_writes_only_the_images_that_are_named(on: Workbench) -> None:
    answer = write(on, {"image_id": "2-3"}, mode="attributes")
    assert answer.accepted == 2
    assert len(answer.missing) == 4


def test_an_image_of_which_nothing_is_known_stays_missing(on: Workbench) -> None:
    row = kept_images(on.store, DATASET)[0]
    on.store.change(ImageRecord, row.id, attributes={}, sources={})
    answer = write(on, mode="attributes")
    assert answer.missing == [row.id]
    assert "numbers 1" in answer.next_step


def test_trigger_only_writes_the_bare_trigger_for_a_look_and_is_refused_for_icons(on: Workbench) -> None:
    refused = write(on, {"image_id": "1"}, trigger_only=True)
    assert [finding.rule_id for finding in refused.refused[0].findings] == ["CAP-EMPTY"]
    on.store.change(DatasetRecord, DATASET, profile="style")
    written = write(on, {"image_id": "1"}, trigger_only=True)
    assert written.written[0].caption == TRIGGER
    assert [finding.severity for finding in written.written[0].findings] == [Severity.INFO]


# --------------------------------------------------------------------------- what cannot be done


def test_without_a_trigger_the_next_call_is_named(on: Workbench) -> None:
    on.store.change(DatasetRecord, DATASET, trigger=None)
    with pytest.raises(Refused, match=rf'curate_dataset\(dataset_id="{DATASET}", trigger='):
        write(on, {"image_id": "1", "caption": GOOD})


def test_an_unknown_image_among_known_ones_is_named_and_the_others_are_saved(on: Workbench) -> None:
    answer = write(on, {"image_id": "77", "caption": OTHER}, {"image_id": "1", "caption": GOOD})
    assert (answer.accepted, answer.unknown) == (1, ["77"])
    assert "no image here is called so: 77" in answer.summary
    assert "1 that named no image" in answer.next_step
    assert list(captions_of(on.store, DATASET)) == [kept_images(on.store, DATASET)[0].id]


def test_a_call_that_names_no_image_at_all_is_refused(on: Workbench) -> None:
    with pytest.raises(NotFound, match="77"):
        write(on, {"image_id": "77", "caption": OTHER})
    assert captions_of(on.store, DATASET) == {}


def test_one_caption_for_several_images_is_refused(on: Workbench) -> None:
    with pytest.raises(BadArgument, match="means 6 images"):
        write(on, {"image_id": "all", "caption": GOOD})


@pytest.mark.parametrize("images", [[], [{"image_id": "1"}]])
def test_a_call_that_says_nothing_is_told_what_to_say(on: Workbench, images: list[dict[str, Any]]) -> None:
    with pytest.raises(BadArgument, match="mode=attributes"):
        write(on, *images)


def test_an_unknown_attribute_is_refused_by_name(on: Workbench) -> None:
    with pytest.raises(ValidationError, match="mood"):
        write(on, {"image_id": "1", "attributes": {"mood": "sad"}})


def test_images_that_were_set_aside_are_told_and_not_captioned(on: Workbench) -> None:
    row = kept_images(on.store, DATASET)[0]
    on.store.change(ImageRecord, row.id, status="rejected", file=f".rejected/{row.file}")
    answer = write(on, {"image_id": "1", "caption": GOOD})
    assert answer.accepted == 0
    assert "Not kept and so not captioned: numbers 1." in answer.summary
