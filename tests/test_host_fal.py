"""fal as a host, over a real socket: uploads, purchases and what became of them, prices, schemas, and the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.hosts.fal import Fal
from support.hosts.fal_endpoints import known
from support.hosts.faults import ALWAYS, Fault
from support.hosts.jobs import Failure
from support.hosts.service import Clock, serving
from support.hosts.sets import zipped
from support.purse import MemoryPurse

from loradeck.engines.base import Purchase
from loradeck.engines.errors import NotInstalled, Unknown
from loradeck.engines.fal import storage
from loradeck.engines.fal.host import BASES, FalHost
from loradeck.engines.fal.table import LOOKS, TABLE
from loradeck.engines.hosted.host import Created, LiveField, LivePrice, Standing
from loradeck.engines.hosted.progress import steps_told
from loradeck.engines.hosted.purchase import buy
from loradeck.engines.hosted.wire import Ambiguous, Refused

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DRAW, TRAIN = "fal-ai/flux-lora", "fal-ai/flux-2-trainer"
FOX = {"prompt": "a fox", "seed": 7, "image_size": {"width": 64, "height": 48}}


class Desk:
    """A host, the service it speaks to, and purchases with marks of their own."""

    def __init__(self, service: Fal, **more: Any) -> None:
        self.service = service
        self.waits: list[float] = []
        self.host = FalHost(sleep=self.waits.append, now=lambda: NOW, **more)

    def purchase(self, mark: str = "ldk-1", at: datetime = NOW) -> Purchase:
        return Purchase("draw", mark, "intended", DRAW, 0.1, at.isoformat())

    def create(self, inputs: dict[str, Any] | None = None, endpoint: str = DRAW, mark: str = "ldk-1") -> Created:
        return self.host.create(endpoint, FOX if inputs is None else inputs, self.purchase(mark))

    def ended(self, inputs: dict[str, Any] | None = None, endpoint: str = DRAW) -> Standing:
        created = self.create(inputs, endpoint)
        self.service.advance()
        return self.host.look(created, endpoint)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with serving(Fal(clock=Clock(still=NOW.timestamp()))) as service:
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
        yield Desk(service)


def stored(folder: Path, data: bytes) -> Path:
    path = folder / "set.zip"
    path.write_bytes(data)
    return path


# Uploads


def test_a_small_file_is_stored_in_one_piece_for_a_day_under_its_name(desk: Desk, tmp_path: Path) -> None:
    uploaded = desk.host.upload(stored(tmp_path, b"words"), "ldk-1 set.zip")
    (file,) = desk.service.uploads
    assert (file.name, file.content_type, file.path.read_bytes()) == ("ldk-1-set.zip", "application/zip", b"words")
    assert uploaded.url.endswith(f"{file.id}/ldk-1-set.zip")
    assert file.expires == (NOW + timedelta(days=1)).timestamp()
    assert uploaded.expires_at == (NOW + timedelta(days=1)).isoformat()


def test_a_large_file_travels_in_parts_and_arrives_whole(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PART_BYTES", 1000)
    host = Desk(desk.service, in_parts_above=2000).host
    data = bytes(index % 251 for index in range(3500))
    desk.service.faults.append(Fault("bad_gateway", on="upload"))
    uploaded = host.upload(stored(tmp_path, data), "set.zip")
    (file,) = desk.service.uploads
    assert file.path.read_bytes() == data
    assert uploaded.url.endswith(f"{file.id}/set.zip")
    assert desk.service.counted("upload") == 4 + 1


def test_one_token_of_the_storage_serves_several_uploads(desk: Desk, tmp_path: Path) -> None:
    for _ in range(3):
        desk.host.upload(stored(tmp_path, b"words"), "set.zip")
    assert desk.service.counted("token") == 1


def test_the_storages_token_is_fetched_anew_before_it_ends(desk: Desk, tmp_path: Path) -> None:
    moments = [NOW]
    host = FalHost(now=lambda: moments[0])
    host.upload(stored(tmp_path, b"words"), "set.zip")
    moments[0] = NOW + timedelta(minutes=56)
    desk.service.clock.forward(56 * 60)
    host.upload(stored(tmp_path, b"words"), "set.zip")
    assert desk.service.counted("token") == 2


def test_an_upload_of_which_nobody_tells_the_address_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.service.faults.append(Fault("renamed", on="upload", field="access_url"))
    with pytest.raises(Ambiguous, match="did not tell access_url; start again"):
        desk.host.upload(stored(tmp_path, b"words"), "set.zip")


# Purchases and what became of them


def test_a_training_is_followed_from_the_queue_to_its_file(desk: Desk, tmp_path: Path) -> None:
    archive = desk.host.upload(stored(tmp_path, zipped()), "ldk-1.zip").url
    created = desk.create({"image_data_url": archive, "steps": 500}, TRAIN)
    seen = [desk.host.look(created, TRAIN) for _ in range(3)]
    assert [one.stage for one in seen] == ["running", "running", "done"]
    assert (seen[0].done_steps, seen[0].steps) == (167, 500)
    assert seen[0].lines[0].startswith("Training:")
    weights = httpx.get(seen[2].output["diffusers_lora_file"]["url"])
    assert weights.content
    assert (seen[2].usd, seen[2].charged) == (pytest.approx(500 * 0.0064), True)
    assert desk.service.charged_usd == pytest.approx(seen[2].usd)


def test_a_request_in_the_queue_waits(desk: Desk) -> None:
    desk.service.queued_polls = 2
    assert desk.host.look(desk.create(), DRAW).stage == "waiting"


def test_the_addresses_that_fal_gives_are_used(desk: Desk) -> None:
    created = desk.create()
    root = f"{desk.service.base_url}/fal-ai/flux-lora/requests/{created.id}"
    assert created.handle == {"status_url": f"{root}/status", "response_url": root, "cancel_url": f"{root}/cancel"}


def test_an_address_on_another_host_is_never_asked(desk: Desk) -> None:
    created = desk.create()
    elsewhere = Created(created.id, {**created.handle, "status_url": f"{desk.service.delivery_url}/status"})
    assert desk.host.look(elsewhere, DRAW).stage == "running"
    assert desk.service.authorized["delivery"] == []


def test_a_request_is_not_repeated_by_fal_nor_sent_elsewhere_and_tells_how_long_it_may_wait(desk: Desk) -> None:
    headers: dict[str, str] = {}

    def notes(request: Any) -> bool:
        headers.update({name.lower(): value for name, value in request.headers.items()})
        return False

    desk.service.faults.append(Fault("throttled", when=notes))
    desk.create()
    assert (headers["x-fal-no-retry"], headers["x-app-fal-disable-fallback"]) == ("1", "true")
    assert headers["x-fal-request-timeout"] == headers["x-fal-request-start-timeout"] == "21600"
    assert json.loads(headers["x-fal-object-lifecycle-preference"]) == {"expiration_duration_seconds": 604_800}


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://me.example", "https://me.example/hooks/fal/ldk%207"),
        ("https://me.example/there/?run=1", "https://me.example/there/hooks/fal/ldk%207?run=1"),
    ],
)
def test_the_webhook_carries_the_mark_of_the_purchase(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, base: str, address: str
) -> None:
    monkeypatch.setenv("LORADECK_WEBHOOK_URL", base)
    desk.create(mark="ldk 7")
    (job,) = desk.service.jobs.values()
    assert job.webhook == address


@pytest.mark.parametrize("kind", ["drop_after_accept", "html_after_accept", "bad_gateway", "renamed"])
def test_a_create_without_a_clear_answer_is_ambiguous_and_sent_once(desk: Desk, kind: str) -> None:
    desk.service.faults.append(Fault(kind, field="request_id"))
    with pytest.raises(Ambiguous):
        desk.create()
    assert desk.service.counted("create") == 1
    assert desk.waits == []


def test_what_a_model_refuses_is_told_in_its_words_and_may_be_charged(desk: Desk) -> None:
    standing = desk.ended({**FOX, "num_inference_steps": 900})
    assert (standing.stage, standing.usd, standing.charged) == ("failed", None, None)
    assert standing.error == "num_inference_steps: Input should be less than or equal to 50"
    assert standing.next_step == "Change what it names, and start again."


def test_what_fal_could_not_do_itself_is_never_charged(desk: Desk) -> None:
    desk.service.faults.append(Fault("failed"))
    standing = desk.ended()
    assert (standing.stage, standing.usd, standing.charged) == ("failed", 0.0, False)
    assert standing.error == "CUDA out of memory"
    assert "charges nothing" in standing.next_step


def test_a_content_policy_withholds_the_picture_and_may_charge(desk: Desk) -> None:
    desk.service.faults.append(Fault("charged_422"))
    standing = desk.ended()
    assert (standing.stage, standing.blanked, standing.charged) == ("failed", True, None)
    assert standing.next_step.startswith("Word the prompt otherwise")


def test_a_picture_that_the_safety_checker_blackened_is_told(desk: Desk) -> None:
    assert not desk.ended().blanked
    desk.service.faults.append(Fault("nsfw"))
    standing = desk.ended()
    assert (standing.stage, standing.blanked) == ("done", True)


def test_an_unknown_status_is_told_and_looked_at_on(desk: Desk) -> None:
    desk.service.faults.append(Fault("unknown_status", polls=1))
    created = desk.create()
    first, second = desk.host.look(created, DRAW), desk.host.look(created, DRAW)
    assert (first.stage, "IN_REVIEW" in first.error) == ("running", True)
    assert (second.stage, second.error) == ("running", "")


def test_a_request_that_fal_does_not_know_is_gone(desk: Desk) -> None:
    standing = desk.host.look(Created("00000000-0000-0000-0000-000000000000"), DRAW)
    assert (standing.stage, standing.gone) == ("failed", True)
    assert "start again" in standing.next_step


def test_a_gateway_between_leaves_the_standing_open(desk: Desk) -> None:
    created = desk.create()
    desk.service.advance()
    desk.service.faults.append(Fault("bad_gateway", on="result", times=2))
    assert desk.host.look(created, DRAW).stage == "done"
    desk.service.faults.append(Fault("bad_gateway", on="result", times=ALWAYS))
    with pytest.raises(Ambiguous, match="502"):
        desk.host.look(created, DRAW)


def test_a_response_that_lags_behind_its_status_is_waited_for(desk: Desk) -> None:
    created = desk.create()
    desk.service.advance()
    early = Fault("refused", on="result", status=400, message="Request is still in progress")
    desk.service.faults.append(early)
    assert desk.host.look(created, DRAW).stage == "running"
    assert desk.host.look(created, DRAW).stage == "done"


def test_a_refused_response_without_a_kind_is_a_failure_and_not_waited_for(desk: Desk) -> None:
    created = desk.create()
    desk.service.advance()
    desk.service.faults.append(Fault("refused", on="result", status=400, message="Unsupported picture"))
    standing = desk.host.look(created, DRAW)
    assert (standing.stage, standing.error, standing.charged) == ("failed", "Unsupported picture", None)


def test_a_failure_whose_response_is_gone_is_told_by_its_status(desk: Desk) -> None:
    desk.service.faults.append(Fault("charged_422"))
    created = desk.create()
    desk.service.advance()
    desk.service.faults.append(Fault("refused", on="result", status=404, message="Request not found"))
    standing = desk.host.look(created, DRAW)
    assert (standing.stage, standing.gone, standing.charged) == ("failed", False, None)
    assert standing.error == "The content could not be processed."


def test_a_cancelled_request_is_cancelled_and_cancelling_again_does_no_harm(desk: Desk) -> None:
    created = desk.create()
    for _ in range(2):
        desk.host.cancel(created, DRAW)
    standing = desk.host.look(created, DRAW)
    assert (standing.stage, standing.charged) == ("cancelled", None)
    assert len(desk.service.cancels) == 2
    desk.host.cancel(Created("00000000-0000-0000-0000-000000000000"), DRAW)


def test_a_request_that_ended_before_the_stop_arrived_is_done(desk: Desk) -> None:
    desk.service.faults.append(Fault("cancel_races"))
    created = desk.create()
    desk.host.cancel(created, DRAW)
    assert desk.host.look(created, DRAW).stage == "done"


# Finding what may have been bought


def test_a_request_is_found_by_its_mark_once_it_has_ended(desk: Desk) -> None:
    sent = desk.create({**FOX, "prompt": "a fox, ldk-1"})
    sought = {**FOX, "prompt": "a fox, ldk-1"}
    assert desk.host.find(DRAW, sought, desk.purchase()) == []
    desk.service.advance()
    (found,) = desk.host.find(DRAW, sought, desk.purchase())
    assert (found.id, found.handle["mark"]) == (sent.id, "ldk-1")
    assert desk.host.look(found, DRAW).stage == "done"


def test_the_likeliest_come_first_and_strangers_not_at_all(desk: Desk) -> None:
    same = [desk.create({**FOX, "num_images": 1}).id for _ in range(2)]
    desk.create({**FOX, "seed": 8})
    marked = desk.create({**FOX, "prompt": "ldk-1"}).id
    desk.create(FOX, "fal-ai/flux-2/lora")
    desk.service.advance()
    found = desk.host.find(DRAW, FOX, desk.purchase())
    assert found[0].id == marked
    assert sorted(one.id for one in found[1:]) == sorted(same)
    assert ["mark" in one.handle for one in found] == [True, False, False]


def test_a_clock_that_is_hours_ahead_still_finds_it_and_older_ones_are_somebody_elses(desk: Desk) -> None:
    desk.create()
    desk.service.advance()
    for hours, count in ((1, 1), (13, 1), (15, 0)):
        assert len(desk.host.find(DRAW, FOX, desk.purchase(at=NOW + timedelta(hours=hours)))) == count


def test_a_list_without_times_settles_nothing(desk: Desk) -> None:
    desk.create()
    desk.service.advance()
    desk.service.faults.append(Fault("renamed", on="list", field="sent_at"))
    with pytest.raises(Ambiguous, match="does not tell when"):
        desk.host.find(DRAW, FOX, desk.purchase())


def test_all_pages_of_the_list_are_read(desk: Desk) -> None:
    desk.service.page_size = 2
    for seed in range(5):
        desk.create({**FOX, "seed": seed})
    desk.service.advance()
    for seed in range(5):
        assert len(desk.host.find(DRAW, {**FOX, "seed": seed}, desk.purchase())) == 1


def test_a_list_that_never_ends_is_given_up(desk: Desk) -> None:
    desk.service.page_size = 0
    desk.create()
    desk.service.advance()
    assert desk.host.find(DRAW, FOX, desk.purchase()) == []
    assert desk.service.counted("list") == 20


def test_a_purchase_whose_answer_was_lost_is_never_sent_again_and_found_once_it_has_ended(desk: Desk) -> None:
    purse = MemoryPurse(now=NOW.isoformat())
    desk.service.faults.append(Fault("drop_after_accept"))

    def bought() -> Purchase:
        return buy(desk.host, purse, "draw", DRAW, FOX, 0.1, sleep=desk.waits.append, now=lambda: NOW)

    with pytest.raises(Unknown, match="its list shows a request only once it has ended"):
        bought()
    desk.service.advance()
    purchase = bought()
    assert (purchase.state, purchase.provider_id) == ("submitted", desk.service.creates[0].id)
    assert desk.service.counted("create") == 1


def test_a_key_that_may_not_list_says_so(desk: Desk) -> None:
    desk.service.faults.append(Fault("refused", on="list", status=403, message="Admin key required"))
    with pytest.raises(Refused, match="does not give its list of requests to this account"):
        desk.host.find(DRAW, FOX, desk.purchase())


# Prices and schemas


def test_the_price_is_told_live(desk: Desk) -> None:
    assert desk.host.price(TRAIN) == LivePrice(0.0064, "steps")
    assert desk.host.price("fal-ai/nothing") is None


@pytest.mark.parametrize("kind", ["renamed", "html", "bad_gateway"])
def test_a_price_that_cannot_be_read_is_none(desk: Desk, kind: str) -> None:
    desk.service.faults.append(Fault(kind, on="price", field="unit_price", times=ALWAYS))
    assert desk.host.price(TRAIN) is None


def test_what_a_request_cost_is_not_told_where_the_price_is_not(desk: Desk) -> None:
    desk.service.faults.append(Fault("renamed", on="price", field="unit_price", times=ALWAYS))
    standing = desk.ended()
    assert (standing.stage, standing.usd, standing.charged) == ("done", None, None)


def test_the_live_schema_tells_names_bounds_choices_and_defaults(desk: Desk) -> None:
    fields = desk.host.inputs(TRAIN)
    assert fields is not None
    assert fields["steps"] == LiveField("steps", minimum=100, maximum=10_000, default=1000)
    assert fields["output_lora_format"].choices == ("fal", "comfy")
    assert fields["image_data_url"].required
    drawing = desk.host.inputs(DRAW)
    assert drawing is not None
    assert drawing["image_size"].choices == ()  # a size in pixels is taken besides its names


def test_a_schema_that_drifted_or_is_gone_is_none(desk: Desk) -> None:
    desk.service.faults.append(Fault("renamed", on="schema", field="paths", times=ALWAYS))
    assert desk.host.inputs(TRAIN) is None
    assert desk.host.inputs("fal-ai/nothing") is None


# Refusals and the key


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (401, "Unauthorized", "key", "fal does not know this key; copy it again from https://fal.ai/dashboard/keys"),
        (403, "User is locked. Reason: Exhausted balance.", "credit", "add some at https://fal.ai/dashboard/billing"),
        (402, "Payment required", "credit", "add some at https://fal.ai/dashboard/billing"),
        (403, "Forbidden", "forbidden", "https://fal.ai/models/fal-ai/flux-lora while signed in, and accept"),
        (404, "Application not found", "missing", "it is gone, private or gated"),
        (422, "Extra inputs", "input", "change what it names. It said: Extra inputs"),
        (400, "blocked by content policy", "content", "word the prompt otherwise"),
        (429, "Too many", "throttled", "is asked again later"),
    ],
)
def test_a_refusal_is_a_sentence_with_the_next_step(desk: Desk, status: int, said: str, kind: str, words: str) -> None:
    desk.service.faults.append(Fault("refused", status=status, message=said))
    with pytest.raises(Refused, match="fal") as refused:
        desk.create()
    assert (refused.value.status, refused.value.kind) == (status, kind)
    assert words in str(refused.value)
    assert desk.service.key not in str(refused.value)


def test_without_a_key_nothing_is_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.host.available().ready
    monkeypatch.delenv("FAL_KEY")
    there = desk.host.available()
    assert (there.ready, "set FAL_KEY" in there.fix) == (False, True)
    with pytest.raises(NotInstalled, match="set FAL_KEY"):
        desk.create()
    assert desk.host.price(TRAIN) is None
    assert desk.host.inputs(TRAIN) is None
    assert desk.service.calls == []


def test_the_key_goes_to_fal_alone_and_the_storages_token_to_the_storage(desk: Desk, tmp_path: Path) -> None:
    archive = desk.host.upload(stored(tmp_path, zipped()), "set.zip").url
    standing = desk.ended({"image_data_url": archive}, TRAIN)
    result = standing.output["diffusers_lora_file"]["url"]
    assert desk.host.download_headers(result) == {}
    assert desk.host.download_headers(f"{desk.service.base_url}/x") == {"Authorization": f"Key {desk.service.key}"}
    assert set(desk.service.authorized["api"]) == {f"Key {desk.service.key}"}
    assert set(desk.service.authorized["delivery"]) == {f"Bearer {desk.service.cdn_token}"}


def test_without_the_variable_the_real_addresses_are_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "k")
    monkeypatch.delenv("LORADECK_FAL_URL", raising=False)
    headers = FalHost().download_headers
    assert [bool(headers(f"{base}/x")) for base in BASES.values()] == [True, True, True]
    assert headers("https://v3.fal.media/files/x") == headers("https://queue.fal.run.example/x") == {}


def test_the_bar_in_a_log_tells_the_step() -> None:
    lines = ["loading", " 35%|###5 | 354/1000 [02:11<03:59, loss: 3.1e-01]", "saved 2/2"]
    assert steps_told(lines) == (354, 1000)
    assert steps_told(["loading 3/4"]) == (None, None)


# The table

ROWS = [*TABLE.trainers, *TABLE.drawers, *TABLE.editors]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.endpoint)
def test_every_row_names_inputs_that_its_endpoint_has(row: Any) -> None:
    properties = known()[row.endpoint].schema["properties"]
    named = {*row.fields.values(), *row.fixed}
    named |= {row.zip_field} if hasattr(row, "zip_field") else set()
    named |= {row.lora_fields[0]} if getattr(row, "lora_style", "none") == "list" else set()
    named |= {row.size_style} if hasattr(row, "size_style") else set()
    for more in getattr(row, "by_profile", {}).values():
        named |= set(more)
    assert named <= set(properties)


@pytest.mark.parametrize("row", TABLE.trainers, ids=lambda row: row.endpoint)
def test_every_trainer_is_asked_within_its_bounds_for_a_look_and_a_character(row: Any) -> None:
    endpoint = known()[row.endpoint]
    assert row.base_model == endpoint.base
    assert [out.path[0] for out in row.outputs if out.role in {"lora", "high_noise_lora"}] == list(endpoint.outputs)
    for name, value in row.defaults.items():
        low, high = row.bounds[name]
        live = endpoint.schema["properties"][row.fields[name]]
        assert max(low, live["minimum"]) <= value <= min(high, live["maximum"])
    assert row.price.usd == pytest.approx(endpoint.usd * 1000, rel=0.1)
    looks = [row.by_profile.get(look, {}) for look in LOOKS]
    assert all(look == looks[0] for look in looks)
    assert "character" not in row.by_profile


def test_a_row_can_be_bought_as_it_stands(desk: Desk, tmp_path: Path) -> None:
    """Each trainer, drawer and editor with its fixed inputs is accepted, and its output stands where the row says."""
    archive = desk.host.upload(stored(tmp_path, zipped(side=16)), "set.zip").url
    picture = desk.ended().output["images"][0]["url"]
    values = {"prompt": "a fox", "seed": 7, "horizontal": 90, "vertical": 0, "zoom": 5, "trigger": "TOK", "steps": 100}
    for row in ROWS:
        lists = getattr(row, "many", True)
        given = {**values, "images": [picture] if lists else picture, "references": [picture]}
        inputs = dict(row.fixed) | {field: given[name] for name, field in row.fields.items() if name in given}
        inputs["num_inference_steps"] = 4 if "num_inference_steps" in inputs else None
        if hasattr(row, "zip_field"):
            inputs[row.zip_field] = archive
        if getattr(row, "size_style", "none") == "image_size":
            inputs["image_size"] = {"width": 64, "height": 64}
        standing = desk.ended({name: value for name, value in inputs.items() if value is not None}, row.endpoint)
        assert standing.stage == "done", (row.endpoint, standing.error)
        for out in row.outputs:
            found: Any = standing.output
            for key in out.path:
                if not (out.role == "config" and key not in found):
                    found = found[key]
            assert str(found).startswith("http"), row.endpoint


def test_a_failure_that_names_no_reason_still_has_words(desk: Desk) -> None:
    created = desk.create()
    desk.service.advance()
    job = desk.service.jobs[created.id]
    job.result, job.failure = None, Failure("", "runner_disconnected", 503)
    standing = desk.host.look(created, DRAW)
    assert (standing.error, standing.charged) == ("runner_disconnected", False)
