"""write_captions with mode=vision through its handler and its worker, against a loopback Anthropic."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.datasets import TRIGGER, ready_dataset
from support.hosts.anthropic import Anthropic, Asked
from support.hosts.faults import ALWAYS, Fault
from support.hosts.service import serving
from support.purse import MemoryPurse
from support.reporter import Crash, MemoryJournal, MemoryReporter
from support.rules import facts

from loradeck.engines.anthropic.captioner import AnthropicCaptioner
from loradeck.engines.anthropic.picture import as_jpeg
from loradeck.engines.base import Availability, Captioner, CaptionJob, Cost, Described, Reporter
from loradeck.engines.errors import NotInstalled
from loradeck.engines.registry import Registry
from loradeck.server.worker import work
from loradeck.state import runs
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import (
    HOSTED,
    Angle,
    Framing,
    Intensity,
    Profile,
    RunState,
    Severity,
    SubjectKind,
    WriteCaptionsArgs,
    WriteCaptionsResult,
)
from loradeck.tools.datasets import captions_of, copy_path, kept_images
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.validate_coverage.tool import judge_now
from loradeck.tools.workbench import Job, Workbench
from loradeck.tools.write_captions import job as captioning
from loradeck.tools.write_captions.instructions import attribute_names, instructions, schema
from loradeck.tools.write_captions.seen import attributes_of, worded
from loradeck.tools.write_captions.tool import TOOL

DATASET = "ds_ready"
KEY = "sk-ant-right-key-0123456789"
WORDS = "a starburst badge turns from pink to orange, with a white plus sign in its middle."
GOOD = {"caption": WORDS, "subject": "starburst badge", "colors": ["pink", "orange"], "background": "plain white"}
SHORT = {**GOOD, "caption": "icon"}
PRICE = (2.0, 10.0)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Anthropic]:
    with serving(Anthropic(key=KEY, usd_per_mtok=PRICE, answer=lambda asked: GOOD)) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.base_url)
        yield running


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    """A workbench with a dataset of four icons, none of them captioned, whose workers run at once in this process."""
    home, registry = tmp_path / "home", Registry(captioners={"anthropic": lambda: AnthropicCaptioner(lambda _: None)})
    made = Workbench(Store(home), registry, lambda run_id: _work(home, run_id, registry))
    ready_dataset(made.store, images=4)
    made.store.remove(CaptionRecord, "dataset_id = ?", [DATASET])
    return made


def _work(home: Path, run_id: str, registry: Registry) -> None:
    work(home, run_id, registry)


def call(on: Workbench, **arguments: Any) -> WriteCaptionsResult:
    args = WriteCaptionsArgs.model_validate({"dataset_id": DATASET, "mode": "vision", **arguments})
    answer = TOOL.handler(args, on)
    assert isinstance(answer, WriteCaptionsResult)
    return answer


def bought(on: Workbench, **arguments: Any) -> WriteCaptionsResult:
    """The call, and the one that agrees to its price."""
    quote = call(on, **arguments)
    assert quote.quote_id is not None
    return call(on, quote_id=quote.quote_id, max_cost_usd=5, **arguments)


def images(on: Workbench) -> list[ImageRecord]:
    return kept_images(on.store, DATASET)


def told_again(asked: Asked) -> bool:
    return "Your first caption was refused" in asked.text


# --------------------------------------------------------------------------- the main path


def test_the_first_call_tells_the_price_and_sends_nothing(on: Workbench, host: Anthropic) -> None:
    answer = call(on)
    assert answer.quote_id is not None
    assert (answer.run_id, host.calls) == (None, [])
    assert "4 pictures" in answer.summary
    assert answer.quote_id in answer.next_step


def test_every_picture_is_described_judged_and_saved(on: Workbench, host: Anthropic) -> None:
    answer = bought(on)
    assert (answer.state, answer.accepted, answer.refused, answer.missing) == (RunState.SUCCEEDED, 4, [], [])
    saved = captions_of(on.store, DATASET).values()
    assert {(row.text, row.mode, row.seen) for row in saved} == {(f"{TRIGGER}, {WORDS}", "vision", True)}
    folder = on.store.workspace.dataset(DATASET)
    assert (folder / "003.txt").read_text(encoding="utf-8") == f"{TRIGGER}, {WORDS}"
    assert len(host.creates) == 4
    (run,) = on.store.where(RunRecord, "kind = 'caption'")
    assert (run.cost_usd, run.spend_state) == (pytest.approx(host.charged_usd), "settled")
    assert runs.journal_get(on.store, run.id, "sent")


def test_what_was_seen_joins_the_attributes_and_no_person_is_overruled(on: Workbench, host: Anthropic) -> None:
    first, second = images(on)[:2]
    on.store.change(ImageRecord, second.id, attributes={}, sources={})
    bought(on)
    told, fresh = images(on)[:2]
    assert (told.attributes["subject"], told.sources["subject"]) == (first.attributes["subject"], "person")
    assert (told.attributes["background"], told.sources["background"]) == ("plain white", "vision")
    assert (fresh.attributes["subject"], fresh.attributes["colors"]) == ("starburst badge", ["pink", "orange"])


def test_a_refused_caption_is_sent_back_once_with_its_findings(on: Workbench, host: Anthropic) -> None:
    host.answer = lambda asked: GOOD if told_again(asked) else SHORT
    answer = bought(on)
    assert (answer.accepted, answer.refused, len(host.creates)) == (4, [], 8)
    second = next(asked.text for asked in host.asked if told_again(asked))
    assert f"{TRIGGER}, icon" in second
    assert "characters" in second  # CAP-DETAIL, in its words


def test_a_caption_refused_twice_is_told_and_not_saved(on: Workbench, host: Anthropic) -> None:
    host.answer = lambda asked: SHORT
    answer = bought(on)
    assert (answer.accepted, len(answer.refused), len(answer.missing)) == (0, 4, 4)
    assert "CAP-DETAIL" in {finding.rule_id for finding in answer.refused[0].findings}
    assert len(host.creates) == 8
    assert captions_of(on.store, DATASET) == {}


def test_captions_that_are_there_stay_and_cost_nothing(on: Workbench, host: Anthropic) -> None:
    first = images(on)[0]
    on.store.add(CaptionRecord(first.id, DATASET, f"{TRIGGER}, mine.", "given", seen=True))
    answer = bought(on)
    assert (answer.accepted, len(host.creates)) == (3, 3)
    assert captions_of(on.store, DATASET)[first.id].text == f"{TRIGGER}, mine."
    assert "nothing was spent" in call(on).summary
    assert call(on, overwrite=True).quote_id is not None


def test_only_the_images_named_are_described(on: Workbench, host: Anthropic) -> None:
    answer = bought(on, images=[{"image_id": "2-3"}])
    assert (answer.accepted, len(host.creates)) == (2, 2)


# --------------------------------------------------------------------------- what may not leave


def test_an_image_that_may_not_leave_the_machine_does_not(on: Workbench, host: Anthropic) -> None:
    staying = images(on)[1]
    on.store.change(ImageRecord, staying.id, rights={"may_leave": False})
    answer = bought(on)
    sent = {base64.b64decode(source["data"]) for asked in host.asked for source in _sources(asked)}
    assert as_jpeg(copy_path(on.store, staying)) not in sent
    assert (answer.accepted, answer.missing) == (3, [staying.id])
    assert "IMG-RIGHTS" in answer.summary


def _sources(asked: Asked) -> list[dict[str, Any]]:
    content = asked.params["messages"][0]["content"]
    return [block["source"] for block in content if block["type"] == "image"]


def test_where_none_may_leave_it_says_so(on: Workbench, host: Anthropic) -> None:
    for image in images(on):
        on.store.change(ImageRecord, image.id, rights={"may_leave": False})
    with pytest.raises(Refused, match="IMG-RIGHTS"):
        call(on)


def test_the_key_stands_in_no_file_of_the_workspace(on: Workbench, host: Anthropic) -> None:
    bought(on)
    on.store.close()
    files = [path for path in on.store.workspace.home.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []


# --------------------------------------------------------------------------- never paid twice


def test_a_run_that_ran_out_of_credit_goes_on_and_pays_only_for_the_rest(on: Workbench, host: Anthropic) -> None:
    left = [2]

    def no_credit(request: Any) -> bool:
        left[0] -= 1
        return left[0] < 0

    host.faults = [Fault("refused", on="create", status=402, times=ALWAYS, when=no_credit)]
    stopped = bought(on)
    assert stopped.state == RunState.FAILED
    assert "billing" in stopped.summary
    assert len(captions_of(on.store, DATASET)) == len(host.creates) == 2
    host.faults = []
    done = call(on)
    assert (done.state, done.accepted, len(host.creates)) == (RunState.SUCCEEDED, 4, 4)
    assert on.store.count(RunRecord, "kind = 'caption'") == 1


def test_the_same_quote_again_gives_the_same_run(on: Workbench, host: Anthropic) -> None:
    quote = call(on)
    first = call(on, quote_id=quote.quote_id, max_cost_usd=5)
    again = call(on, quote_id=quote.quote_id, max_cost_usd=5)
    assert (again.run_id, again.accepted, len(host.creates)) == (first.run_id, 4, 4)


def test_a_picture_in_doubt_is_told_and_counted_and_left_for_a_new_call(on: Workbench, host: Anthropic) -> None:
    host.faults = [Fault("drop_after_accept", on="create")]
    answer = bought(on)
    assert (answer.accepted, len(answer.missing)) == (3, 1)
    assert "not known whether" in answer.summary
    (doubt,) = on.store.where(PurchaseRecord, "state = 'unknown'")
    assert doubt.usd is None
    assert bought(on).accepted == 1  # agreed to anew
    assert len(host.creates) == 5


@pytest.mark.parametrize("moment", [1, 3, 4])
def test_a_worker_that_dies_leaves_whole_captions_and_the_next_goes_on(
    on: Workbench, host: Anthropic, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.answer = lambda asked: GOOD if told_again(asked) else SHORT
    run = _queued(on, monkeypatch)
    journal, purse = MemoryJournal(), MemoryPurse()
    with pytest.raises(Crash):
        captioning.run(Job(run, on.store, on.engines, MemoryReporter(journal, purse=purse, crash_at=moment)))
    answer = captioning.run(Job(run, on.store, on.engines, MemoryReporter(journal, purse=purse)))
    in_doubt = sum(one.state == "unknown" for one in purse.all())  # sent, and its answer died with the worker
    assert answer.accepted == len(captions_of(on.store, DATASET)) == 4 - in_doubt
    texts = [f"{asked.images[0]} {told_again(asked)}" for asked in host.asked]
    assert len(texts) == len(set(texts))  # no picture was sent twice in the same words


def _queued(on: Workbench, monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A run as the tool queues it, with nobody at work on it; calls then wait for nothing."""
    monkeypatch.setattr("loradeck.tools.write_captions.vision.WAIT_SECONDS", 0.0)
    bought(replace(on, launch=lambda run_id: None))
    return on.store.where(RunRecord, "kind = 'caption'")[0]


def test_a_caption_that_somebody_wrote_meanwhile_stays(
    on: Workbench, host: Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, third = _queued(on, monkeypatch), images(on)[2]
    on.store.add(CaptionRecord(third.id, DATASET, f"{TRIGGER}, mine.", "given", seen=True))
    answer = captioning.run(Job(run, on.store, on.engines, MemoryReporter()))
    assert captions_of(on.store, DATASET)[third.id].text == f"{TRIGGER}, mine."
    assert answer.accepted == 3
    assert "left as they are: 3" in answer.summary


def test_the_same_call_sent_again_while_the_person_is_asked_is_one_run(on: Workbench, host: Anthropic) -> None:
    idle = replace(on, launch=lambda run_id: None, progress=_hurry)

    def ask(question: str) -> bool:
        with pytest.raises(Refused, match="no more waiting"):
            call(replace(idle, ask=lambda question: True))
        return True

    with pytest.raises(Refused, match="no more waiting"):
        call(replace(idle, ask=ask))
    assert on.store.count(RunRecord, "kind = 'caption'") == 1


def _hurry(done: float, total: float | None, message: str) -> None:
    raise Refused("no more waiting in a test")


def test_while_a_run_is_at_work_another_wish_is_refused_and_the_same_one_joins(
    on: Workbench, host: Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _queued(on, monkeypatch)
    waiting = replace(on, launch=lambda run_id: None)
    assert call(waiting).run_id == run.id
    with pytest.raises(Refused, match=run.id):
        call(waiting, images=[{"image_id": "1"}])


# --------------------------------------------------------------------------- what cannot be asked


def test_captions_of_ones_own_go_in_another_call(on: Workbench, host: Anthropic) -> None:
    with pytest.raises(BadArgument, match="mode=given"):
        call(on, images=[{"image_id": "1", "caption": "x"}])


def test_without_anybody_to_describe_it_says_what_to_set(on: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(NotInstalled, match="ANTHROPIC_API_KEY"):
        call(on)
    with pytest.raises(NotInstalled, match="no captioner named 'openai'"):
        call(on, engine="openai")


# --------------------------------------------------------------------------- a host's own captioner


class Florence:
    """A host's own captioner: says what it likes, for nothing."""

    name = "florence"
    follows = False

    def available(self) -> Availability:
        return Availability(True)

    def estimate(self, jobs: Sequence[CaptionJob]) -> Cost:
        return Cost(usd=0.01, worst_usd=0.02, price_source="table", price_date="2026-11-01")

    def describe(
        self, jobs: Sequence[CaptionJob], reporter: Reporter, done: Callable[[Described], None]
    ) -> tuple[str, ...]:
        for job in jobs:
            done(Described(job.id, "A pink starburst badge with a white plus sign on a plain ground.", {}, 0.0))
        return ()


def test_a_hosts_own_captions_are_saved_marked_and_not_trusted(on: Workbench) -> None:
    florence: dict[str, Callable[[], Captioner]] = {"florence": Florence}
    registry, home = Registry(captioners=florence), on.store.workspace.home
    there = replace(on, engines=registry, launch=lambda run_id: _work(home, run_id, registry))
    answer = bought(there, engine="florence")
    assert answer.accepted == 4
    assert "CAP-ORIGIN" in answer.summary
    assert {row.mode for row in captions_of(on.store, DATASET).values()} == {HOSTED}
    on.store.change(DatasetRecord, DATASET, profile="style")
    found = judge_now(on.store, on.store.where(DatasetRecord)[0]).findings
    assert ("CAP-ORIGIN", Severity.ERROR) in {(one.rule_id, one.severity) for one in found}


# --------------------------------------------------------------------------- what a model is told


@pytest.mark.parametrize("profile", list(Profile))
def test_the_instructions_name_what_the_profile_names_and_what_it_never_does(profile: Profile) -> None:
    of_set = facts([], profile, subject="a red-haired courier")
    said = instructions(of_set)
    for words in (of_set.row.always_captioned, of_set.row.never_captioned, of_set.row.teaches):
        assert words in said
    fewest, most = of_set.caption_words
    assert f"{fewest} to {most} words" in said
    assert of_set.trigger in said
    assert "a red-haired courier" in said
    assert "{" not in said


def test_the_answer_is_asked_for_in_the_words_that_attributes_have() -> None:
    of_set = facts([], Profile.CHARACTER, categories=("estate", "church"))
    wanted = schema(of_set)
    properties = wanted["properties"]
    for name, kind in (("framing", Framing), ("angle", Angle), ("intensity", Intensity)):
        assert properties[name]["enum"] == [str(one) for one in kind]
    assert properties["category"]["enum"] == ["estate", "church", "unknown"]
    assert wanted["required"] == list(properties)
    assert set(attribute_names(of_set)) | {"caption"} == set(properties)
    assert json.loads(json.dumps(wanted)) == wanted


def test_a_thing_has_no_expression_and_wears_nothing() -> None:
    thing = facts([], Profile.CHARACTER, subject_kind=SubjectKind.OBJECT)
    assert {"expression", "wardrobe"}.isdisjoint(attribute_names(thing))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a kettle on a stove.", "zorbik, a kettle on a stove."),
        ("A kettle on a stove.", "zorbik. A kettle on a stove."),
        ("zorbik, a kettle\non a  stove.", "zorbik, a kettle on a stove."),
        ("A zorbik kettle on a stove.", "zorbik. A kettle on a stove."),
        ("zorbik", "zorbik"),
    ],
)
def test_the_trigger_stands_first_and_once(said: str, kept: str) -> None:
    assert worded(said, "zorbik") == kept


def test_what_is_unknown_or_no_attribute_is_left_out() -> None:
    seen = {
        "framing": "close_up", "angle": "unknown", "expression": " ", "wardrobe": "x" * 300, "lighting": "Unknown",
        "colors": ["red", "unknown"], "mood": "calm", "pose": 7, "background": " a  street ",
    }  # fmt: skip
    assert attributes_of(seen) == {"framing": "close_up", "colors": ["red"], "background": "a street"}
