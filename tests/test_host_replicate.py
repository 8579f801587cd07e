"""Replicate as a host: what is asked there, what its answers mean, what is said when it refuses, and what it costs."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.hosts.faults import Fault
from support.hosts.replicate import Replicate
from support.hosts.replicate_models import Model
from support.hosts.service import serving
from support.purse import MemoryPurse

from loradeck.engines.base import CameraTurn, Purchase
from loradeck.engines.errors import BadSpec, NotInstalled, ProviderError
from loradeck.engines.hosted.host import Created, FindsTrainers, Standing
from loradeck.engines.hosted.purchase import buy
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused
from loradeck.engines.replicate import reading, turns
from loradeck.engines.replicate.host import ReplicateHost, model_name
from loradeck.engines.replicate.table import TABLE, TRAINED_PRICE

OSTRIS = "ostris/flux-dev-lora-trainer"
FLUX = "black-forest-labs/flux-dev-lora"
KONTEXT = "black-forest-labs/flux-kontext-dev"
ESRGAN = "nightmareai/real-esrgan"
AMBIGUOUS = (
    "drop_after_accept",
    "drop_before_accept",
    "drop_in_reply",
    "bad_gateway",
    "bad_gateway_after_accept",
    "server_error",
    "server_error_after_accept",
    "html",
    "html_after_accept",
    "truncated_json",
)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicate]:
    """The loopback service, and the environment that leads to it."""
    with serving(Replicate()) as listening:
        monkeypatch.setenv("REPLICATE_API_TOKEN", listening.key)
        monkeypatch.setenv("REPLICATE_BASE_URL", listening.base_url)
        monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
        yield listening


@pytest.fixture
def host(service: Replicate) -> ReplicateHost:
    return ReplicateHost(sleep=lambda seconds: None)


def purchase(service: Replicate, key: str = "train", **more: Any) -> Purchase:
    intended = datetime.fromisoformat(service.clock.iso()).isoformat()
    return replace(Purchase(key, f"ldk-{key}-1", "intended", OSTRIS, 4.0, intended), **more)


def zipped(folder: Path) -> Path:
    path, picture = folder / "set.zip", io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(picture, "PNG")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", picture.getvalue())
        archive.writestr("a.txt", "a TOK box")
    return path


def trained(host: ReplicateHost, service: Replicate, folder: Path, **inputs: Any) -> tuple[Created, dict[str, Any]]:
    """A training that was asked for, and its inputs."""
    uploaded = host.upload(zipped(folder), "ldk-train-1.zip")
    given = {"input_images": uploaded.url, "trigger_word": "TOK", "steps": 100, "autocaption": False, **inputs}
    return host.create(OSTRIS, given, purchase(service), host.prepare(OSTRIS, "a look")), given


def drawn(host: ReplicateHost, service: Replicate, endpoint: str = FLUX, **inputs: Any) -> Created:
    return host.create(endpoint, {"prompt": "a box", **inputs}, purchase(service, "draw"))


def ended(host: ReplicateHost, created: Created, endpoint: str) -> Standing:
    for _ in range(10):
        standing = host.look(created, endpoint)
        if standing.stage not in {"waiting", "running"}:
            return standing
    raise AssertionError("it does not end")


def edited(host: ReplicateHost, service: Replicate, folder: Path) -> Created:
    """A picture of 32 pixels that is changed, which takes the service no time."""
    return drawn(host, service, KONTEXT, input_image=picture(host, folder))


def picture(host: ReplicateHost, folder: Path) -> str:
    """Where a small picture lies at the host."""
    path = folder / "a.png"
    Image.new("RGB", (32, 32), "teal").save(path)
    return host.upload(path, "a.png").url


# --------------------------------------------------------------------------- a training


def test_a_training_goes_into_a_private_model_and_gives_its_weights_version_and_cost(host, service, tmp_path):
    created, _ = trained(host, service, tmp_path)
    assert service.models["me/a-look"].visibility == "private"
    assert service.creates[0].endpoint == OSTRIS
    standing = ended(host, created, OSTRIS)
    assert standing.stage == "done"
    assert standing.output["version"].startswith("me/a-look:")
    assert standing.output["weights"].endswith(".tar")
    assert standing.usd == pytest.approx(service.charged_usd)
    assert standing.charged


def test_the_version_that_trains_is_the_latest_and_is_kept_with_the_request(host, service, tmp_path):
    newer = "f" * 64
    service.models[OSTRIS].versions.append(newer)
    created, _ = trained(host, service, tmp_path)
    assert created.handle == {"of": "trainings", "model": OSTRIS, "version": newer}


def test_the_bar_in_the_log_is_the_progress_and_each_of_its_lines_is_a_line(host, service, tmp_path):
    created, _ = trained(host, service, tmp_path)
    assert host.look(created, OSTRIS).done_steps in {None, 0, 33}
    seen = [host.look(created, OSTRIS) for _ in range(2)]
    assert [one.steps for one in seen] == [100, 100]
    assert seen[0].done_steps < seen[1].done_steps
    assert len(seen[1].lines) > len(seen[0].lines) > 1


def test_carriage_returns_of_a_bar_separate_lines():
    told = {"status": "processing", "logs": " 10%|# | 1/10 [00:01<\r 20%|## | 2/10 [00:02<\n\n"}
    standing = reading.standing(told, None)
    assert standing.lines == (" 10%|# | 1/10 [00:01<", " 20%|## | 2/10 [00:02<")
    assert (standing.done_steps, standing.steps) == (2, 10)


def test_an_upload_says_where_it_lies_and_that_it_is_gone_after_a_day(host, service, tmp_path):
    service.clock.still = service.clock()
    uploaded = host.upload(zipped(tmp_path), "ldk-train-1.zip")
    assert uploaded.url.startswith(f"{service.base_url}/v1/files/")
    gone = datetime.fromisoformat(uploaded.expires_at) - datetime.fromisoformat(service.clock.iso())
    assert timedelta(hours=23, minutes=59) < gone <= timedelta(hours=24)


def test_a_destination_of_ours_is_used_again_and_a_public_one_is_refused(host, service):
    assert host.prepare(OSTRIS, "look") == host.prepare(OSTRIS, "look") == "me/look"
    service.models["me/open"] = Model("me", "open", {}, visibility="public")
    with pytest.raises(ProviderError, match=r"me/open at Replicate is public.*settings.*Nothing was bought"):
        host.prepare(OSTRIS, "open")


@pytest.mark.parametrize(
    ("name", "taken"),
    [("The Baker's Look", "the-baker-s-look"), ("_x.", "x"), ("é", "lora"), ("a" * 80, "a" * 64)],
)
def test_names_become_those_that_replicate_takes(name, taken):
    assert model_name(name) == taken


# --------------------------------------------------------------------------- pictures


def test_an_official_model_is_asked_by_its_name_and_paid_by_the_picture(host, service, tmp_path):
    created = edited(host, service, tmp_path)
    assert f"/v1/models/{KONTEXT}/predictions" in [call.path for call in service.calls]
    standing = ended(host, created, KONTEXT)
    assert len(standing.output) == 1
    assert standing.usd == pytest.approx(0.025) == pytest.approx(service.charged_usd)


def test_other_models_are_asked_by_their_version_which_is_looked_up_once(host, service, tmp_path):
    inputs = {"image": picture(host, tmp_path), "scale": 2}
    made = [host.create(ESRGAN, inputs, purchase(service, f"up{number}")) for number in range(2)]
    assert [one.handle["version"] for one in made] == [service.models[ESRGAN].versions[-1]] * 2
    assert service.counted("model") == 1
    assert isinstance(ended(host, made[0], ESRGAN).output, list), "also where the model gives one picture alone"


def test_what_was_trained_there_draws_by_its_own_name_and_is_paid_by_the_second(host, service, tmp_path):
    created, _ = trained(host, service, tmp_path)
    version = ended(host, created, OSTRIS).output["version"]
    before = service.charged_usd
    standing = ended(host, drawn(host, service, version, lora_scale=0.9), version)
    assert standing.stage == "done"
    assert standing.usd == pytest.approx(service.charged_usd - before)
    assert standing.usd < TRAINED_PRICE.usd * TRAINED_PRICE.seconds * TRAINED_PRICE.worst


def test_the_key_goes_to_the_api_and_to_no_host_that_outputs_lie_on(host, service, tmp_path):
    standing = ended(host, edited(host, service, tmp_path), KONTEXT)
    assert host.download_headers(standing.output[0]) == {}
    assert host.download_headers(f"{service.base_url}/v1/files/x") == {"Authorization": f"Bearer {service.key}"}
    assert host.download_headers(service.base_url.replace("127.0.0.1", "127.0.0.1.example.com")) == {}


# --------------------------------------------------------------------------- what may have arrived


def test_a_training_that_may_have_arrived_is_found_by_its_upload(host, service, tmp_path):
    _, earlier = trained(host, service, tmp_path)
    service.faults.append(Fault("drop_after_accept"))
    given = {**earlier, "input_images": host.upload(zipped(tmp_path), "ldk-again-1.zip").url}
    bought = purchase(service, "again")
    with pytest.raises(Ambiguous):
        host.create(OSTRIS, given, bought, "me/a-look")
    found = host.find(OSTRIS, given, bought)
    assert [one.id for one in found] == [service.creates[-1].id]
    assert found[0].handle["of"] == "trainings"
    assert ended(host, found[0], OSTRIS).stage == "done"


def test_an_answer_without_an_id_may_have_bought_something(host, service):
    service.faults.append(Fault("renamed", field="id"))
    with pytest.raises(Ambiguous, match="may have taken it"):
        drawn(host, service)


@pytest.mark.parametrize("kind", ["bad_gateway", "html", "drop_before_accept"])
def test_what_fails_before_the_paid_request_bought_nothing(host, service, kind):
    service.faults.append(Fault(kind, on="model", times=99))
    with pytest.raises(NeverSent, match="nothing was sent"):
        host.create(OSTRIS, {"input_images": "https://example.com/a.zip"}, purchase(service), "me/look")
    assert service.counted("create") == 0


def test_only_what_is_of_the_same_model_and_no_older_than_the_intent_can_be_ours(host, service, tmp_path):
    drawn(host, service, seed=1)
    service.clock.forward(15 * 3600)
    intended = purchase(service, "draw")
    drawn(host, service, seed=2)
    drawn(host, service, "lucataco/flux-dev-lora", seed=1)
    assert host.find(FLUX, {"prompt": "a box", "seed": 1}, intended) == []
    created = drawn(host, service, seed=1)
    assert [one.id for one in host.find(FLUX, {"prompt": "a box", "seed": 1}, intended)] == [created.id]


def test_a_clock_that_is_a_little_ahead_hides_nothing(host, service):
    ahead = datetime.fromisoformat(service.clock.iso()) + timedelta(minutes=4)
    created = drawn(host, service, seed=1)
    bought = purchase(service, "draw", intended_at=ahead.isoformat())
    assert [one.id for one in host.find(FLUX, {"prompt": "a box", "seed": 1}, bought)] == [created.id]


def test_a_much_older_one_counts_only_where_there_is_none_of_the_right_time(host, service):
    older = drawn(host, service, seed=9)
    service.clock.forward(1800)
    bought, inputs = purchase(service, "draw"), {"prompt": "a box", "seed": 9}
    assert [one.id for one in host.find(FLUX, inputs, bought)] == [older.id], "a clock may be wrong"
    ours = drawn(host, service, seed=9)
    assert [one.id for one in host.find(FLUX, inputs, bought)] == [ours.id]


def test_all_pages_are_read_back_to_the_intent_and_no_further(host, service):
    old = [drawn(host, service, seed=9) for _ in range(4)]
    service.clock.forward(15 * 3600)
    bought = purchase(service, "draw")
    ours = [drawn(host, service, seed=9) for _ in range(5)]
    service.page_size = 2
    found = host.find(FLUX, {"prompt": "a box", "seed": 9}, bought)
    assert [one.id for one in found] == [one.id for one in ours], "the oldest first"
    assert not {one.id for one in old} & {one.id for one in found}
    assert service.counted("list") == 1 + 3, "one page of trainings, three of predictions"


def test_one_whose_inputs_were_removed_can_be_ours_after_those_that_are_like_it(host, service, tmp_path):
    bought = purchase(service, "draw")
    removed = edited(host, service, tmp_path)
    service.advance()
    service.clock.forward(2 * 3600)
    inputs = {"prompt": "a box", "input_image": picture(host, tmp_path)}
    assert [one.id for one in host.find(KONTEXT, inputs, bought)] == [removed.id], "nothing may be paid twice"
    alike = host.create(KONTEXT, inputs, bought)
    assert [one.id for one in host.find(KONTEXT, inputs, bought)] == [alike.id, removed.id]


def test_a_list_that_cannot_be_read_is_no_proof_of_absence(host, service):
    service.faults.append(Fault("bad_gateway", on="list", times=99))
    with pytest.raises(Ambiguous):
        host.find(FLUX, {"prompt": "a box"}, purchase(service))


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_is_bought_through_a_fault_is_created_once_in_the_end(host, service, kind):
    service.faults.append(Fault(kind))
    purse, inputs = MemoryPurse(), {"prompt": "a box", "seed": 7}

    def bought() -> Purchase:
        return buy(host, purse, "draw", FLUX, inputs, 0.05, sleep=lambda seconds: None)

    if not Fault(kind).arrived:
        with pytest.raises(ProviderError, match=r"[Nn]othing was bought"):
            bought()
        assert service.counted("create") == 1, "never sent again by itself"
        assert not service.creates
    assert bought().provider_id == bought().provider_id == service.creates[0].id
    assert len(service.creates) == 1


# --------------------------------------------------------------------------- how it stands


def test_a_queued_request_waits_and_a_word_that_is_not_known_is_taken_for_work(host, service, tmp_path):
    service.faults.append(Fault("unknown_status"))
    created = edited(host, service, tmp_path)
    standing = host.look(created, KONTEXT)
    assert standing.stage == "running"
    assert "'resuming', which is not known here" in standing.error
    assert ended(host, created, KONTEXT).stage == "done"
    assert reading.standing({"status": "starting"}, None).stage == "waiting"


@pytest.mark.parametrize(
    ("told", "stage"),
    [
        ({"output": ["x"]}, "done"),
        ({"error": "no"}, "failed"),
        ({"output": None}, "failed"),
    ],
)
def test_a_word_that_is_not_known_ends_as_the_rest_of_the_answer_says(told, stage):
    whole = {"status": "finished", "completed_at": "2026-11-29T12:00:00Z", **told}
    assert reading.standing(whole, None).stage == stage


def test_a_request_that_was_aborted_cost_nothing(host, service):
    service.faults.append(Fault("aborted"))
    standing = ended(host, drawn(host, service), FLUX)
    assert (standing.stage, standing.usd, standing.charged) == ("failed", 0.0, False)
    assert "before it began" in standing.error
    assert "start it again" in standing.next_step


def test_one_that_waited_too_long_is_gone(host, service, tmp_path):
    service.faults.append(Fault("gone_while_queued"))
    created, given = trained(host, service, tmp_path)
    standing = host.look(created, OSTRIS)
    assert standing.gone
    assert standing.usd is None, "whether it cost anything is not told"
    assert "30 minutes" in standing.error
    assert host.find(OSTRIS, given, purchase(service)) == []


def test_a_picture_that_a_filter_kept_back_is_told_as_such(host, service):
    service.faults.append(Fault("nsfw"))
    standing = ended(host, drawn(host, service), FLUX)
    assert standing.stage == "failed"
    assert standing.blanked
    assert standing.usd is None
    assert "word the prompt otherwise" in standing.next_step


def test_a_training_that_fails_tells_its_error_and_what_its_time_cost(host, service, tmp_path):
    service.faults.append(Fault("failed"))
    created, _ = trained(host, service, tmp_path)
    standing = ended(host, created, OSTRIS)
    assert "CUDA out of memory" in standing.error
    assert standing.charged
    assert standing.usd == pytest.approx(service.charged_usd)


def test_a_cancelled_training_costs_the_time_it_ran(host, service, tmp_path):
    created, _ = trained(host, service, tmp_path)
    for _ in range(2):
        host.look(created, OSTRIS)
    host.cancel(created, OSTRIS)
    standing = host.look(created, OSTRIS)
    assert standing.stage == "cancelled"
    assert 0 < standing.usd < 100 * 1.2 * 0.001525


def test_one_that_is_cancelled_before_it_ran_costs_nothing_and_cancelling_twice_is_no_error(host, service):
    service.queued_polls = 5
    created = drawn(host, service)
    host.cancel(created, FLUX)
    host.cancel(created, FLUX)
    standing = host.look(created, FLUX)
    assert (standing.stage, standing.usd) == ("cancelled", 0.0)


def test_a_cancel_that_comes_too_late_leaves_the_result(host, service, tmp_path):
    service.faults.append(Fault("cancel_races"))
    created = edited(host, service, tmp_path)
    host.look(created, KONTEXT)
    host.cancel(created, KONTEXT)
    assert host.look(created, KONTEXT).stage == "done"


def test_a_result_that_was_removed_is_told_as_lost_and_paid(host, service, tmp_path):
    created = edited(host, service, tmp_path)
    ended(host, created, KONTEXT)
    service.clock.forward(2 * 3600)
    standing = host.look(created, KONTEXT)
    assert standing.stage == "failed"
    assert standing.usd == pytest.approx(0.025)
    assert "hour is over" in standing.error


# --------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (
            402,
            "You have insufficient credit to run this model.",
            r"add billing at https://replicate\.com/account/billing",
        ),
        (403, "You do not have permission.", rf"https://replicate\.com/{FLUX} while signed in"),
        (404, "The requested resource could not be found.", "gone, private or gated"),
        (422, "- input.seed: Input should be a valid integer\n", r"change what it names.*input\.seed"),
    ],
)
def test_what_is_refused_is_told_in_a_sentence_with_the_next_step(host, service, status, words, told):
    service.faults.append(Fault("refused", status=status, message=words))
    with pytest.raises(Refused, match=told) as raised:
        drawn(host, service)
    assert raised.value.status == status
    assert not service.creates


def test_a_wrong_token_is_told_with_where_to_get_one_and_is_not_shown(host, service, monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_wrong_and_long_enough")
    with pytest.raises(Refused, match=r"api-tokens.*REPLICATE_API_TOKEN") as raised:
        drawn(host, service)
    assert "r8_wrong" not in str(raised.value)


def test_without_a_token_the_host_is_not_ready_and_nothing_is_sent(host, service, monkeypatch):
    assert host.available().ready
    monkeypatch.setenv("REPLICATE_API_TOKEN", "")
    assert not host.available().ready
    assert "REPLICATE_API_TOKEN" in host.available().fix
    with pytest.raises(NotInstalled, match="REPLICATE_API_TOKEN"):
        drawn(host, service)
    assert not service.calls


def test_a_throttled_create_says_when_to_come_again(host, service):
    service.faults.append(Fault("throttled", message="Request was throttled. Your rate limit resets in ~7s."))
    with pytest.raises(Refused, match="asked again later") as raised:
        drawn(host, service)
    assert raised.value.throttled
    assert raised.value.retry_after == 7.0
    assert service.counted("create") == 1


def test_an_input_that_the_schema_refuses_names_the_field(host, service):
    with pytest.raises(Refused, match="num_outputs"):
        drawn(host, service, num_outputs=9)


# --------------------------------------------------------------------------- webhooks


def test_a_webhook_carries_the_mark_and_a_request_is_found_by_it(host, service, monkeypatch):
    monkeypatch.setenv("LORADECK_WEBHOOK_URL", f"{service.delivery_url}/me/")
    created = drawn(host, service)
    job = service.jobs[created.id]
    assert job.webhook == f"{service.delivery_url}/me/hooks/replicate/ldk-draw-1"
    assert job.events == ("start", "completed")
    listed = {"model": FLUX, "webhook": job.webhook, "input": {"prompt": "rewritten there"}}
    assert reading.likeness(listed, FLUX, {"prompt": "a box"}, purchase(service, "draw")) == "mark"
    assert reading.likeness(listed, FLUX, {"prompt": "a box"}, purchase(service, "other")) is None


def test_without_an_address_no_webhook_is_asked_for(host, service):
    assert service.jobs[drawn(host, service).id].webhook is None


# --------------------------------------------------------------------------- the table and the live schema


def _rows() -> list[tuple[str, set[str], dict[str, Any]]]:
    """Endpoint ("" for what was trained there), the inputs that a row sends, and what it always sends."""
    rows = []
    for trainer in TABLE.trainers:
        rows.append((trainer.endpoint, {trainer.zip_field, *trainer.fields.values()}, dict(trainer.fixed)))
    for drawer in TABLE.drawers:
        sizes = set(drawer.size_fields) if drawer.size_style == "width_height" else {"aspect_ratio"}
        names = {*drawer.fields.values(), *drawer.lora_fields} if drawer.most_loras else set(drawer.fields.values())
        rows.append((drawer.endpoint, {*names, *sizes} - {""}, dict(drawer.fixed)))
    assert TABLE.captioner is not None
    rows.append((TABLE.captioner.endpoint, {TABLE.captioner.image_field}, dict(TABLE.captioner.fixed)))
    for editor in TABLE.editors:
        moved = set(editor.turn(CameraTurn(30))) if editor.turn else set()
        rows.append((editor.endpoint, {*editor.fields.values(), *moved}, dict(editor.fixed)))
    return rows


def test_every_row_speaks_the_schema_of_its_endpoint(host, service, tmp_path):
    created, _ = trained(host, service, tmp_path)
    version = ended(host, created, OSTRIS).output["version"]
    for endpoint, names, fixed in _rows():
        live = host.inputs(endpoint or version)
        assert live is not None, endpoint
        assert names | set(fixed) <= set(live), endpoint
        assert {name for name, field in live.items() if field.required} <= names | set(fixed), endpoint
        for name, value in fixed.items():
            assert not live[name].choices or value in live[name].choices, (endpoint, name)
            assert live[name].minimum is None or value >= live[name].minimum, (endpoint, name)


def test_the_bounds_of_the_default_trainer_are_those_of_its_schema(host, service):
    row, live = TABLE.trainer("flux1-dev"), host.inputs(OSTRIS)
    assert row.endpoint == OSTRIS
    for ours, (low, high) in row.bounds.items():
        field = live[row.fields[ours]]
        assert (field.minimum, field.maximum) == (low, high)
    assert live["autocaption"].default is True, "which the row turns off"


def test_choices_that_a_schema_refers_to_are_read():
    from loradeck.engines.replicate import schema

    properties = {"ratio": {"allOf": [{"$ref": "#/components/schemas/ratio"}], "default": "1:1"}}
    inputs = {"properties": properties, "required": ["ratio"]}
    told = {"components": {"schemas": {"Input": inputs, "ratio": {"enum": ["1:1", "16:9"], "type": "string"}}}}
    field = schema.fields(told, training=False)["ratio"]
    assert (field.choices, field.default, field.required) == (("1:1", "16:9"), "1:1", True)
    assert schema.fields(told, training=True) is None


def test_a_schema_that_cannot_be_read_is_none(host, service):
    assert host.inputs("nobody/nothing") is None
    service.faults.append(Fault("bad_gateway", on="model", times=99))
    assert host.inputs(FLUX) is None


def test_the_host_tells_no_price(host, service):
    assert host.price(FLUX) is None
    assert not service.calls


def test_another_trainer_is_used_as_its_live_schema_says(host, service):
    assert isinstance(host, FindsTrainers)
    row = host.trainer("qwen-image", "replicate/qwen-image-lora-trainer")
    assert row.zip_field == "dataset"
    assert row.fields == {"steps": "steps", "learning_rate": "learning_rate", "rank": "lora_rank", "seed": "seed"}
    assert row.bounds == {"steps": (100, 6000), "rank": (8, 128)}
    assert row.defaults == {"steps": 1000, "learning_rate": 0.0002, "rank": 64}
    assert set(row.fields.values()) <= set(host.inputs(row.endpoint)), (
        "the live schema of its training, not its picture"
    )
    ostris = host.trainer("flux1-dev", OSTRIS)
    assert ostris.zip_field == "input_images"
    assert ostris.fixed == {"autocaption": False}
    assert "resolution" not in ostris.fields, "it is a list in words there"


@pytest.mark.parametrize(
    ("endpoint", "told"), [(FLUX, "does not look like a trainer"), ("flux trainer", "give owner/name")]
)
def test_what_is_no_trainer_is_refused_before_anything_is_uploaded(host, service, endpoint, told):
    with pytest.raises(BadSpec, match=told):
        host.trainer("flux1-dev", endpoint)


def test_bases_that_nobody_trains_there_are_told_with_what_does():
    trained_there = {row.base_model for row in TABLE.trainers}
    assert trained_there == {"flux1-dev"}
    for base, sentence in TABLE.instead.items():
        assert base not in trained_there
        assert sentence.startswith(f"No trainer for {base} was found at Replicate on 20")
        assert "engine=fal" in sentence


@pytest.mark.parametrize(
    ("turn", "moves"),
    [
        (CameraTurn(0), (0, 0, 0, False)),
        (CameraTurn(90), (90, 0, 0, False)),
        (CameraTurn(315, 60), (-45, -1, 0, False)),
        (CameraTurn(360, -30), (0, 1, 0, False)),
        (CameraTurn(0, 0, 10), (0, 0, 10, False)),
        (CameraTurn(0, 0, 0), (0, 0, 0, True)),
        (CameraTurn(270, start=270), (0, 0, 0, False)),
        (CameraTurn(180, start=90), (90, 0, 0, False)),
        (CameraTurn(0, 0, 10, start_zoom=10), (0, 0, 0, False)),
        (CameraTurn(0, 0, 5, start_zoom=10), (0, 0, 0, True)),
    ],
)
def test_a_camera_turn_becomes_the_moves_of_the_model(turn, moves):
    told = turns.moves(turn)
    assert tuple(told[name] for name in ("rotate_degrees", "vertical_tilt", "move_forward", "use_wide_angle")) == moves


@pytest.mark.parametrize("degrees", [91, 180, 269])
def test_a_view_from_behind_is_out_of_reach_and_told(degrees):
    with pytest.raises(BadSpec, match="engine=fal"):
        turns.moves(CameraTurn(degrees))


def test_importing_the_engine_loads_nothing_heavy():
    heavy = ["httpx", "PIL", "numpy", "torch", "replicate"]
    code = (
        "import sys, loradeck.engines.replicate.host, loradeck.engines.replicate as engine\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
