"""Claude as a captioner, against a loopback Anthropic: what is asked, what is paid, and what is never paid twice."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from support.hosts.anthropic import Anthropic
from support.hosts.faults import ALWAYS, Fault
from support.hosts.service import serving
from support.purse import Killed, MemoryPurse
from support.reporter import MemoryJournal, MemoryReporter

from loradeck.engines.anthropic.captioner import AnthropicCaptioner
from loradeck.engines.anthropic.models import MODELS, model
from loradeck.engines.anthropic.one_by_one import AT_ONCE, OneByOne
from loradeck.engines.anthropic.picture import as_jpeg, fitted
from loradeck.engines.base import Captioner, CaptionJob, Described
from loradeck.engines.errors import Cancelled, Leaving, NotInstalled, ProviderError
from loradeck.engines.hosted.answered import Answers

KEY = "sk-ant-right-key-0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"caption": {"type": "string"}, "subject": {"type": "string"}},
    "required": ["caption", "subject"],
    "additionalProperties": False,
}
SAID = {"caption": "a kettle on a stove, copper and black.", "subject": "kettle"}
PRICE = (2.0, 10.0)
"""USD a million tokens of the default model, in and out."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Anthropic]:
    service = Anthropic(key=KEY, usd_per_mtok=PRICE, answer=lambda asked: SAID)
    with serving(service) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", running.base_url)
        yield running


class Desk:
    """A run that asks: its journal and ledger stay when a process dies, and `heard` is what was kept of the answers."""

    def __init__(self, folder: Path, pictures: int, **limits: Any) -> None:
        self.jobs = [job(folder, number) for number in range(pictures)]
        self.journal, self.purse = MemoryJournal(), MemoryPurse(**limits)
        self.heard: list[Described] = []
        self.slept: list[float] = []
        self.reporter = MemoryReporter(self.journal, purse=self.purse)

    def describe(self, reporter: MemoryReporter | None = None) -> tuple[str, ...]:
        captioner = AnthropicCaptioner(sleep=self.slept.append)
        return captioner.describe(self.jobs, reporter or self.reporter, self.heard.append)

    @property
    def states(self) -> dict[str, int]:
        found = [one.state for one in self.purse.all()]
        return {state: found.count(state) for state in found}

    @property
    def spent(self) -> float:
        return sum(one.usd or 0.0 for one in self.purse.all())


def job(folder: Path, number: int) -> CaptionJob:
    path = folder / f"{number:03d}.png"
    Image.new("RGB", (48, 32), (number * 40 % 256, 90, 200)).save(path)
    return CaptionJob(f"img_{number}", path, "Name what varies.", SCHEMA)


# --------------------------------------------------------------------------- what is asked, and paid


def test_each_picture_is_described_once_and_settled_at_what_it_cost(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 6)
    assert desk.describe() == ()
    assert {one.job_id for one in desk.heard} == {job.id for job in desk.jobs}
    assert (desk.heard[0].caption, desk.heard[0].attributes) == (SAID["caption"], {"subject": "kettle"})
    assert len(host.creates) == 6
    assert desk.states == {"settled": 6}
    assert desk.spent == pytest.approx(host.charged_usd)
    assert isinstance(AnthropicCaptioner(), Captioner)


def test_the_request_has_the_schema_the_instructions_and_no_parameter_that_the_model_refuses(
    tmp_path: Path, host: Anthropic
) -> None:
    desk = Desk(tmp_path, 1)
    desk.describe()
    params = host.asked[0].params
    assert params["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert (params["system"], params["model"]) == ("Name what varies.", "claude-sonnet-5-5")
    assert params["thinking"] == {"type": "between_tools"}
    assert "temperature" not in params


def test_another_model_is_asked_as_it_wants_to_be(
    tmp_path: Path, host: Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORADECK_VISION_MODEL", "claude-haiku-5-5")
    Desk(tmp_path, 1).describe()
    params = host.asked[0].params
    assert (params["model"], params["output_config"]["effort"]) == ("claude-haiku-5-5", "low")
    assert "thinking" not in params


def test_a_second_try_tells_what_the_rules_said(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 1)
    desk.describe()
    desk.jobs = [replace(desk.jobs[0], again="CAP-LENGTH: 3 words, wanted 8.")]
    desk.describe()
    assert "CAP-LENGTH" in host.asked[1].text
    assert [one.key for one in desk.purse.all()] == ["caption-img_0", "caption-img_0-again"]


def test_a_large_picture_is_sent_small_and_without_what_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    words = PngImagePlugin.PngInfo()
    words.add_text("comment", "taken at 12 Secret Street")
    Image.new("RGB", (1800, 1200), "teal").save(path, pnginfo=words, exif=Image.Exif())
    jpeg = as_jpeg(path)
    with Image.open(io.BytesIO(jpeg)) as sent:
        assert sent.format == "JPEG"
        assert sent.size == fitted(1800, 1200)
        assert max(sent.size) <= 1568
        assert sent.width / sent.height == pytest.approx(1.5, rel=0.01)
        assert not sent.getexif()
    assert b"Secret" not in jpeg
    assert fitted(1024, 1024) == (1024, 1024)


def test_what_left_the_machine_is_written_down(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 2)
    desk.describe()
    rows = desk.journal.get("sent")
    sent = {base64.b64decode(block["source"]["data"]) for asked in host.asked for block in _pictures(asked.params)}
    assert len(rows or []) == 2
    assert {row["sha256"] for row in rows or []} == {hashlib.sha256(one).hexdigest() for one in sent}
    assert {row["bytes"] for row in rows or []} == {len(one) for one in sent}
    assert {row["to"] for row in rows or []} == {"127.0.0.1"}


def _pictures(params: dict[str, Any]) -> list[dict[str, Any]]:
    return [block for block in params["messages"][0]["content"] if block["type"] == "image"]


def test_the_quote_lies_between_the_bill_and_the_worst_case(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 3)
    quote = AnthropicCaptioner().estimate(desk.jobs)
    desk.describe()
    assert quote.usd is not None
    assert quote.worst_usd is not None
    assert host.charged_usd <= quote.usd < quote.worst_usd
    assert (quote.price_source, quote.price_date[:4]) == ("table", "2026")
    assert sum(one.worst_usd for one in desk.purse.all()) == pytest.approx(quote.worst_usd)


def test_a_model_without_a_known_price_is_counted_as_the_dearest(
    tmp_path: Path, host: Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, 1)
    usual = AnthropicCaptioner().estimate(desk.jobs).usd or 0.0
    monkeypatch.setenv("LORADECK_VISION_MODEL", "claude-of-tomorrow")
    unknown = AnthropicCaptioner().estimate(desk.jobs)
    assert (unknown.usd or 0.0) > usual
    assert "not known" in unknown.basis
    assert model("claude-of-tomorrow").output_usd == max(row.output_usd for row in MODELS)


# --------------------------------------------------------------------------- never twice


@pytest.mark.parametrize("moment", ["submitted", "settle"])
def test_a_process_that_dies_after_an_answer_pays_nothing_again(tmp_path: Path, host: Anthropic, moment: str) -> None:
    desk = Desk(tmp_path, 1)
    desk.purse.crash_on = moment
    with pytest.raises(Killed):
        desk.describe()
    assert desk.describe() == ()
    assert len(host.creates) == 1
    assert {one.job_id for one in desk.heard} == {"img_0"}
    assert desk.states == {"settled": 1}
    assert desk.spent == pytest.approx(host.charged_usd)


def test_a_process_that_dies_before_the_answer_is_in_doubt_and_says_so(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 1)
    desk.purse.crash_on = "intend"
    with pytest.raises(Killed):
        desk.describe()
    (told,) = desk.describe()
    assert "not known whether" in told
    assert (desk.states, len(host.creates)) == ({"unknown": 1}, 0)


DOUBTFUL = [
    "drop_before_read",
    "drop_after_accept",
    "drop_in_reply",
    "bad_gateway_after_accept",
    "server_error",
    "html_after_accept",
    "truncated_json",
]


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_what_may_have_arrived_is_told_counted_and_never_sent_again(tmp_path: Path, host: Anthropic, kind: str) -> None:
    desk = Desk(tmp_path, 2)
    host.faults = [Fault(kind, on="create")]
    (told,) = desk.describe()
    again = desk.describe()
    assert "not known whether" in told
    assert again == (told,)
    assert host.counted("create") == 2
    assert desk.states == {"unknown": 1, "settled": 1}
    assert len(desk.heard) == 2  # the one that came, told once by each call


@pytest.mark.parametrize("fault", [Fault("throttled", retry_after=7, times=3), Fault("refused", status=529, times=3)])
def test_a_host_that_has_no_room_is_asked_again_later(tmp_path: Path, host: Anthropic, fault: Fault) -> None:
    desk = Desk(tmp_path, 3)
    host.faults = [replace(fault, on="create")]
    assert desk.describe() == ()
    assert (len(host.creates), host.counted("create")) == (3, 6)
    assert desk.states == {"settled": 3}
    if fault.retry_after:
        assert sum(desk.slept) >= 6.9


def test_a_host_that_cannot_be_reached_is_given_up_after_a_while(
    tmp_path: Path, host: Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    desk = Desk(tmp_path, 2)
    (told,) = desk.describe()
    assert "Nothing was paid" in told
    assert "000.png, 001.png" in told
    assert desk.states == {"void": 2}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("refused", status=401, message="invalid x-api-key", times=ALWAYS), "ANTHROPIC_API_KEY"),
        (Fault("refused", status=400, message="Your credit balance is too low", times=ALWAYS), "billing"),
        (Fault("refused", status=404, message="model: claude-sonnet-5-5", times=ALWAYS), "LORADECK_VISION_MODEL"),
    ],
)
def test_what_would_meet_every_picture_ends_the_run_with_the_next_step(
    tmp_path: Path, host: Anthropic, fault: Fault, words: str
) -> None:
    desk = Desk(tmp_path, 12)
    host.faults = [fault]
    with pytest.raises(ProviderError, match=words) as caught:
        desk.describe()
    assert KEY not in str(caught.value)
    assert host.counted("create") <= AT_ONCE
    assert desk.states == {"void": host.counted("create")}


def test_a_picture_that_the_host_does_not_take_costs_the_others_nothing(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 3)
    host.faults = [Fault("refused", on="create", status=400, message="Could not process image")]
    (told,) = desk.describe()
    assert "Could not process image" in told
    assert (len(desk.heard), desk.states) == (2, {"void": 1, "settled": 2})


@pytest.mark.parametrize(("reason", "words"), [("refusal", "declined"), ("max_tokens", "cut off")])
def test_an_answer_that_is_no_use_is_paid_and_told_and_not_asked_for_again(
    tmp_path: Path, host: Anthropic, reason: str, words: str
) -> None:
    desk = Desk(tmp_path, 1)
    host.stop_reason = reason
    (told,) = desk.describe()
    assert words in told
    assert desk.describe() == (told,)
    assert (len(host.creates), desk.heard, desk.states) == (1, [], {"settled": 1})


@pytest.mark.parametrize("said", ["I see a kettle.", '["caption"]', '{"caption": ""}', '{"caption": 7}'])
def test_words_that_are_not_the_json_asked_for_are_told(tmp_path: Path, host: Anthropic, said: str) -> None:
    desk = Desk(tmp_path, 1)
    host.answer = lambda asked: said
    (told,) = desk.describe()
    assert "cannot be used" in told


def test_a_limit_stops_the_sending_and_keeps_what_came(tmp_path: Path, host: Anthropic) -> None:
    one = AnthropicCaptioner().estimate([job(tmp_path, 0)]).worst_usd or 0.0
    desk = Desk(tmp_path, 8, limit_usd=1.1 * one)
    (told,) = desk.describe()
    assert "max_cost_usd" in told
    assert 1 <= len(desk.heard) < 8
    assert desk.spent <= 1.1 * one
    assert desk.states == {"settled": len(desk.heard)}


def test_a_stop_keeps_what_was_on_its_way(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 9)
    heard: list[Described] = []

    class Stopping(MemoryReporter):
        def raise_if_cancelled(self) -> None:
            if heard:
                raise Cancelled("Stopped as asked.")

    reporter = Stopping(desk.journal, purse=desk.purse)
    with pytest.raises(Cancelled):
        AnthropicCaptioner().describe(desk.jobs, reporter, heard.append)
    assert len(heard) == len(host.creates) < 9
    assert desk.states == {"settled": len(heard)}


def test_several_are_under_way_at_a_time_and_never_more(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 3 * AT_ONCE)
    together, lock, most, now = threading.Barrier(AT_ONCE), threading.Lock(), 0, 0

    class Meeting:
        host = "anthropic.test"

        def describe(self, parameters: dict[str, Any]) -> dict[str, Any]:
            nonlocal most, now
            with lock:
                now += 1
                most = max(most, now)
            together.wait(timeout=5)
            with lock:
                now -= 1
            return {"id": "msg_1", "content": [{"type": "text", "text": '{"caption": "x"}'}]}

    answers = Answers(desk.journal, desk.jobs, desk.heard.append)
    OneByOne(Meeting(), model(), answers, desk.reporter).describe(answers.open)  # type: ignore[arg-type]
    assert (most, len(desk.heard)) == (AT_ONCE, 3 * AT_ONCE)
    assert {one.usd for one in desk.purse.all()} == {None}  # no usage was told: it counts at its worst


# --------------------------------------------------------------------------- many


def test_many_pictures_go_as_a_batch_at_half_the_price(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    quote = AnthropicCaptioner().estimate(desk.jobs)
    alone = sum(AnthropicCaptioner().estimate([job]).usd or 0.0 for job in desk.jobs)
    assert quote.usd == pytest.approx(alone / 2)
    host.answer = lambda asked: {"caption": f"picture {asked.images[0][:8]}", "subject": "kettle"}
    assert desk.describe() == ()
    assert [create.kind for create in host.creates] == ["batch"]
    assert len({one.caption for one in desk.heard}) == len({as_jpeg(job.image) for job in desk.jobs})
    assert {one.job_id for one in desk.heard} == {job.id for job in desk.jobs}
    assert (desk.states, desk.spent) == ({"settled": 1}, pytest.approx(host.charged_usd))
    assert len(desk.journal.get("sent") or []) == 41


def test_a_batch_whose_creation_went_unanswered_is_found_by_its_mark(tmp_path: Path, host: Anthropic) -> None:
    desk, other = Desk(tmp_path, 41), Desk(tmp_path, 41)
    other.purse.now = "2026-11-28T12:00:01+00:00"
    other.jobs = [replace(job, id=f"other_{job.id}") for job in other.jobs]
    for purse, name in ((desk.purse, "a"), (other.purse, "b")):
        _renamed(purse, name)
    host.faults = [Fault("drop_after_accept", on="create", times=2)]
    assert desk.describe() == ()
    assert other.describe() == ()
    assert len(host.creates) == 2
    assert desk.purse.all()[0].provider_id == host.creates[0].id
    assert other.purse.all()[0].provider_id == host.creates[1].id


def _renamed(purse: MemoryPurse, name: str) -> None:
    """Marks as real ledgers give them: no two ever the same."""
    plain = purse.intend

    def intend(key: str, endpoint: str, worst_usd: float) -> Any:
        purse.bought[key] = replace(plain(key, endpoint, worst_usd), mark=f"ldk.{name}.0")
        return purse.bought[key]

    purse.intend = intend  # type: ignore[method-assign]


def test_a_batch_that_the_list_does_not_have_stays_in_doubt(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    host.faults = [Fault("drop_before_accept", on="create")]
    (told,) = desk.describe()
    assert "not known whether" in told
    assert desk.describe() == (told,)
    assert (host.counted("create"), desk.states) == (1, {"unknown": 1})


@pytest.mark.parametrize("moment", ["intend", "submitted", "settle"])
def test_a_process_that_dies_over_a_batch_goes_on_with_it(tmp_path: Path, host: Anthropic, moment: str) -> None:
    desk = Desk(tmp_path, 41)
    desk.purse.crash_on = moment
    with pytest.raises(Killed):
        desk.describe()
    told = desk.describe()
    if moment == "intend":  # nothing had been sent, which nobody can know
        assert "not known whether" in told[0]
        assert host.creates == []
        return
    assert told == ()
    assert len(host.creates) == 1
    assert {one.job_id for one in desk.heard} == {job.id for job in desk.jobs}
    assert desk.spent == pytest.approx(host.charged_usd)


def test_what_failed_in_a_batch_is_not_paid_and_told(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    host.failing = {"ldk-batch-0-0-0-0007"}
    (told,) = desk.describe()
    assert told.startswith("007.png: ")
    assert len(desk.heard) == 40
    assert desk.spent == pytest.approx(host.charged_usd)


@pytest.mark.parametrize("field", ["id", "created_at"])
def test_a_batch_told_in_another_form_is_found_or_stays_in_doubt(tmp_path: Path, host: Anthropic, field: str) -> None:
    desk = Desk(tmp_path, 41)
    host.faults = [Fault("renamed", on="create", field=field), Fault("renamed", on="list", field="created_at")]
    assert desk.describe() == ()
    assert (len(host.creates), desk.states) == (1, {"settled": 1})


def test_a_picture_that_cannot_be_read_costs_nothing(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 2)
    desk.jobs[0].image.write_bytes(b"no picture")
    assert AnthropicCaptioner().estimate(desk.jobs).usd
    (told,) = desk.describe()
    assert told.startswith("000.png: The training copy cannot be read")
    assert (len(host.creates), len(desk.heard)) == (1, 1)


def test_a_throttled_batch_is_begun_once(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    host.faults = [
        Fault("throttled", on="create", times=2),
        Fault("bad_gateway", on="poll"),
        Fault("html", on="result"),
    ]
    assert desk.describe() == ()
    assert (len(host.creates), desk.states) == (1, {"settled": 1})


def test_a_stop_ends_the_batch_at_the_host(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    host.batch_polls = ALWAYS
    with pytest.raises(Cancelled):
        desk.describe(MemoryReporter(desk.journal, purse=desk.purse, cancel_at=0))
    assert [batch.cancelled for batch in host.batches.values()] == [True]
    (told,) = desk.describe()
    assert "not paid" in told
    assert (desk.spent, desk.states) == (0.0, {"settled": 1})


def test_a_worker_that_merely_leaves_lets_the_batch_go_on(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)

    class Left(MemoryReporter):
        def raise_if_cancelled(self) -> None:
            if host.creates:
                raise Leaving("The worker was asked to end.")

    with pytest.raises(Leaving):
        desk.describe(Left(desk.journal, purse=desk.purse))
    assert [batch.cancelled for batch in host.batches.values()] == [False]
    assert desk.describe() == ()
    assert (len(desk.heard), len(host.creates)) == (41, 1)


# --------------------------------------------------------------------------- the key, and what is loaded


def test_without_a_key_it_says_how_to_set_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    ready = AnthropicCaptioner().available()
    assert not ready.ready
    assert "ANTHROPIC_API_KEY" in ready.fix
    with pytest.raises(NotInstalled, match="ANTHROPIC_API_KEY"):
        Desk(tmp_path, 1).describe()


def test_a_key_does_not_travel_openly(tmp_path: Path, host: Anthropic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://proxy.example")
    desk = Desk(tmp_path, 1)
    with pytest.raises(NotInstalled, match="https"):
        desk.describe()
    assert desk.purse.all() == []


def test_the_key_goes_to_the_api_alone_and_stands_in_nothing_that_is_kept(tmp_path: Path, host: Anthropic) -> None:
    desk = Desk(tmp_path, 41)
    desk.describe()
    assert host.authorized["delivery"] == []
    assert KEY not in f"{desk.journal.kept} {desk.purse.bought} {desk.reporter.events} {desk.reporter.steps}"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, loradeck.engines.anthropic.captioner\n"
        "print([name for name in ('anthropic', 'httpx', 'PIL', 'numpy', 'torch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
