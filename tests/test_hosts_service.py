"""The hosts' loopback services speak the protocol: their official clients train, draw and caption against them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
import replicate
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import Webhooks
from safetensors.numpy import load
from support.hosts.anthropic import Anthropic
from support.hosts.fal import Fal
from support.hosts.faults import ALWAYS, KINDS, Fault
from support.hosts.images import encoded, paint
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from support.hosts.sets import zipped

TRAINER = "ostris/flux-dev-lora-trainer"
SMALL = {"aspect_ratio": "custom", "width": 256, "height": 256, "output_format": "png"}
WEB = httpx.Client()
KEY = {"Authorization": "Key right-key"}


@pytest.fixture
def host() -> Iterator[Replicate]:
    with serving(Replicate()) as service:
        yield service


@pytest.fixture
def fal() -> Iterator[Fal]:
    with serving(Fal()) as service:
        yield service


def client_of(service: Replicate, key: str = "right-key", **more: Any) -> replicate.Client:
    client = replicate.Client(key, base_url=service.base_url, **more)
    client.poll_interval = 0
    return client


def begin(client: replicate.Client, **more: Any) -> Any:
    """A training of two pictures, just accepted."""
    file = client.files.create(io.BytesIO(zipped()), filename="set.zip")
    version = client.models.get(TRAINER).latest_version
    assert version
    given = {"input_images": file.urls["get"], "steps": 1000, "trigger_word": "TOK"}
    return client.trainings.create(model=TRAINER, version=version.id, input=given, destination="me/look", **more)


def ended(job: Any) -> Any:
    while job.status not in ("succeeded", "failed", "canceled"):
        job.reload()
    return job


def private(client: replicate.Client) -> None:
    client.models.create("me", "look", hardware="gpu-t4", visibility="private")


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address for webhooks, and what came in there."""
    heard: list[tuple[dict[str, str], bytes]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on standard error."""

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    server.server_close()
    thread.join()


def test_replicates_client_trains_and_draws_with_what_it_trained() -> None:
    with serving(Replicate(), secure=True) as host:
        client = client_of(
            host, transport=httpx.HTTPTransport(verify=ssl.create_default_context(cafile=host.authority))
        )
        assert client.accounts.current().username == "me"
        private(client)
        with pytest.raises(ReplicateError, match="409"):
            private(client)
        job = ended(begin(client))
        assert job.status == "succeeded"
        assert "1000/1000 [" in job.logs
        trained = host.jobs[job.id]
        assert trained.dataset
        assert trained.dataset.captions == {"000": "a fox, TOK", "001": "a fox, TOK"}
        assert client.models.get("me/look").latest_version.id == job.output["version"].split(":")[1]  # type: ignore[union-attr]
        drawn = [client.run(job.output["version"], input={"prompt": one, **SMALL}) for one in ("a fox", "a hen")]
        assert [create.kind for create in host.creates] == ["train", "draw", "draw"]
        assert host.charged_usd == pytest.approx(sum(one.charged_usd for one in host.jobs.values()))
        # The client sends its token wherever it fetches from, which is what no adapter of ours may do.
        assert drawn[0][0].read() != drawn[1][0].read()
        assert host.authorized["delivery"] == ["Bearer right-key"] * 2


def test_trained_weights_are_a_tar_with_a_lora_that_is_gone_after_an_hour(host: Replicate) -> None:
    client = client_of(host)
    private(client)
    address = ended(begin(client)).output["weights"]
    with tarfile.open(fileobj=io.BytesIO(WEB.get(address).content)) as archive:
        names = archive.getnames()
        file = archive.extractfile("output/flux_train_replicate/lora.safetensors")
        assert file
        tensors = load(file.read())
    assert "output/flux_train_replicate/captions/000.txt" in names
    assert tensors["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"].shape == (4, 3072)
    host.clock.forward(3600)
    assert WEB.get(address).status_code == 404


def test_replicate_refuses_in_its_own_words(host: Replicate) -> None:
    with pytest.raises(ReplicateError, match="401"):
        client_of(host, "wrong").accounts.current()
    client = client_of(host)
    with pytest.raises(ReplicateError, match="destination does not exist"):
        begin(client)
    private(client)
    with pytest.raises(ReplicateError, match="Additional property promt is not allowed"):
        client.predictions.create(model="black-forest-labs/flux-dev-lora", input={"prompt": "", "promt": ""})
    with pytest.raises(ReplicateError, match="404"):  # by name only official models run
        client.predictions.create(model="lucataco/flux-dev-lora", input={"prompt": ""})
    assert host.creates == []


def test_trainings_are_listed_newest_first_in_pages_and_can_be_cancelled(host: Replicate) -> None:
    host.page_size = 2
    client = client_of(host)
    private(client)
    jobs = [begin(client) for _ in range(3)]
    jobs[1].reload()
    jobs[1].cancel()
    first = client.trainings.list()
    second = client.trainings.list(first.next)  # type: ignore[arg-type]
    assert [one.id for one in [*first, *second]] == [job.id for job in reversed(jobs)]
    assert [one.status for one in first] == ["starting", "canceled"]
    assert first[0].input == jobs[2].input
    assert host.cancels == [jobs[1].id]
    assert 0 < host.charged_usd < 1200 * 0.001525


def test_replicates_webhooks_bear_a_signature_that_its_client_accepts(host: Replicate) -> None:
    client = client_of(host)
    private(client)
    host.faults.append(Fault("duplicate_webhook"))
    with listening() as (address, heard):
        job = begin(client, webhook=address, webhook_events_filter=["completed"])
        host.advance()
        host.wait_for_hooks()
    (headers, body), again = heard
    Webhooks.validate(headers=headers, body=body.decode(), secret=client.webhooks.default.secret())
    assert json.loads(body)["status"] == "succeeded"
    assert json.loads(body)["id"] == job.id
    assert again[1] == body


def test_fals_client_uploads_trains_and_draws(tmp_path: Path) -> None:
    with serving(Fal(), secure=True) as host:
        (tmp_path / "set.zip").write_bytes(zipped(20))
        place = host.base_url.removeprefix("https://")
        env = {
            **os.environ,
            "FAL_KEY": "right-key",
            "FAL_RUN_HOST": place,
            "FAL_QUEUE_RUN_HOST": place,
            "SSL_CERT_FILE": str(host.authority),
        }
        script = Path(__file__).parent / "support" / "hosts" / "client_of_fal.py"
        told = subprocess.run(
            [sys.executable, str(script), host.base_url, host.delivery_url, str(tmp_path)],
            env=env,
            capture_output=True,
            check=True,
            text=True,
        )
        seen = json.loads(told.stdout)
        assert seen["states"] == ["InProgress", "InProgress", "Completed"]
        assert set(seen["trained"]) == {"diffusers_lora_file", "config_file"}
        picture = seen["drawn"]["images"][0]
        assert (picture["width"], picture["height"]) == (64, 48)
        assert seen["refused"][0] == 422
        assert seen["refused"][2] == "extra_forbidden"
        assert seen["refused"][1][0]["loc"] == ["body", "promt"]
        assert seen["stopped"] == "client_cancelled"
        small, large = host.uploads
        assert large.sha256 == hashlib.sha256((tmp_path / "set.zip").read_bytes()).hexdigest()
        assert len(large.parts) > 1
        assert small.expires is None
        assert large.expires == large.created + 86_400
        assert [create.kind for create in host.creates] == ["train", "draw", "draw", "draw"]
        assert set(host.authorized["delivery"]) == {"Bearer cdn-token"}
        assert set(host.authorized["api"]) == {"Key right-key"}


def test_fal_tells_prices_schemas_and_the_requests_that_ended(fal: Fal) -> None:
    api = httpx.Client(base_url=fal.base_url, headers=KEY)
    asked = {"endpoint_id": "fal-ai/flux-2/lora", "expand": "openapi-3.0"}
    (price,) = api.get("/v1/models/pricing", params=asked).json()["prices"]
    assert (price["unit_price"], price["unit"], price["currency"]) == (0.021, "megapixels", "USD")
    (model,) = api.get("/v1/models", params=asked).json()["models"]
    (schema,) = model["openapi"]["components"]["schemas"].values()
    assert schema["properties"]["loras"]["maxItems"] == 3
    for prompt in ("a fox", "a hen"):
        api.post("/fal-ai/flux-2/lora", json={"prompt": prompt})
    first = api.get(f"/fal-ai/flux-2/requests/{fal.creates[0].id}/status")
    assert (first.status_code, first.json()["status"]) == (202, "IN_PROGRESS")
    listing = {**asked, "expand": "payloads"}
    assert api.get("/v1/models/requests/by-endpoint", params=listing).json()["items"] == []
    fal.advance()
    items = api.get("/v1/models/requests/by-endpoint", params=listing).json()["items"]
    assert {item["json_input"]["prompt"] for item in items} == {"a fox", "a hen"}
    assert {item["status_code"] for item in items} == {200}


def test_fals_webhooks_are_signed_with_a_key_of_its_set(fal: Fal) -> None:
    fal.faults.append(Fault("late_webhook"))
    with listening() as (address, heard):
        hook = {"fal_webhook": address}
        WEB.post(f"{fal.base_url}/fal-ai/flux-lora", params=hook, json={"prompt": "a fox"}, headers=KEY)
        fal.advance()
        fal.wait_for_hooks()
        assert heard == []
        fal.send_late_hooks()
        fal.wait_for_hooks()
    ((headers, body),) = heard
    (key,) = WEB.get(f"{fal.base_url}/.well-known/jwks.json").json()["keys"]
    parts = [headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
    signed = "\n".join([*parts, hashlib.sha256(body).hexdigest()]).encode()
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), signed)
    assert json.loads(body)["status"] == "OK"


@pytest.mark.parametrize(
    ("endpoint", "keys", "module"),
    [
        ("fal-ai/flux-lora-fast-training", ["diffusers_lora_file"], "transformer.transformer_blocks.0.attn.to_q"),
        ("fal-ai/flux-2-klein-9b-base-trainer", ["diffusers_lora_file"], "base_model.model.double_blocks.0"),
        ("fal-ai/wan-22-image-trainer", ["diffusers_lora_file", "high_noise_lora"], "diffusion_model.blocks.0"),
        ("blackforestlabs/flux-3/klein/base/trainer", ["lora_file"], "diffusion_model.single_blocks.0"),
    ],
)
def test_each_of_fals_trainers_gives_its_own_keys(fal: Fal, endpoint: str, keys: list[str], module: str) -> None:
    archive = f"data:application/zip;base64,{base64.b64encode(zipped()).decode()}"
    known = fal.endpoints[endpoint]
    given = {known.archive: archive, **({"trigger_phrase": "TOK"} if "wan" in endpoint else {})}
    told = WEB.post(f"{fal.base_url}/{endpoint}", json=given, headers=KEY).json()
    fal.advance()
    output = WEB.get(told["response_url"], headers=KEY).json()
    assert list(output) == [*keys, "config_file"]
    assert any(name.startswith(module) for name in load(WEB.get(output[keys[0]]["url"]).content))
    assert fal.charged_usd == pytest.approx(known.usd * 1000)


CAPTION = {
    "type": "object",
    "properties": {"caption": {"type": "string"}, "framing": {"enum": ["close_up", "medium"]}},
    "required": ["caption", "framing"],
    "additionalProperties": False,
}


def message(picture: bytes, **more: Any) -> dict[str, Any]:
    """One question about one picture."""
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()}
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": "Caption it."}]
    form = {"format": {"type": "json_schema", "schema": CAPTION}}
    asked = {"model": "claude-opus-4-8", "max_tokens": 500, "messages": [{"role": "user", "content": blocks}]}
    return {**asked, "output_config": form, **more}


def fox() -> bytes:
    return encoded(paint("a fox", 1, (150, 100)), "png")


def test_anthropics_client_gets_the_scripted_answer_by_picture_and_by_batch() -> None:
    with serving(Anthropic()) as host:
        client = anthropic.Anthropic(api_key="right-key", base_url=host.base_url, max_retries=0)
        host.answers[hashlib.sha256(fox()).hexdigest()] = {"caption": "a fox", "framing": "medium"}
        told = client.messages.create(**message(fox()))
        assert json.loads(told.content[0].text) == {"caption": "a fox", "framing": "medium"}  # type: ignore[union-attr]
        assert told.usage.input_tokens >= 150 * 100 // 750
        tool = {"name": "caption", "input_schema": CAPTION}
        used = client.messages.create(
            **message(fox(), output_config={}, tools=[tool], tool_choice={"type": "tool", "name": "caption"})
        )
        assert used.content[0].input["caption"] == "a fox"  # type: ignore[union-attr]
        whole, host.failing = host.charged_usd, {"two"}
        asked = [{"custom_id": name, "params": message(fox())} for name in ("one", "two")]
        batch = client.messages.batches.create(requests=asked)  # type: ignore[arg-type]
        while client.messages.batches.retrieve(batch.id).processing_status != "ended":
            continue
        results = {one.custom_id: one.result for one in client.messages.batches.results(batch.id)}
        assert (results["one"].type, results["two"].type) == ("succeeded", "errored")
        assert [one.id for one in client.messages.batches.list()] == [batch.id]
        assert host.charged_usd - whole < whole / 2
        assert [create.kind for create in host.creates] == ["message", "message", "batch"]


def test_anthropic_refuses_in_its_own_shape() -> None:
    with serving(Anthropic()) as host:
        client = anthropic.Anthropic(api_key="right-key", base_url=host.base_url, max_retries=0)
        with pytest.raises(anthropic.AuthenticationError):
            anthropic.Anthropic(api_key="wrong", base_url=host.base_url).messages.create(**message(fox()))
        host.faults += [Fault("throttled", retry_after=7), Fault("refused", status=529, message="Overloaded")]
        with pytest.raises(anthropic.RateLimitError) as limited:
            client.messages.create(**message(fox()))
        assert limited.value.response.headers["retry-after"] == "7"
        with pytest.raises(anthropic.InternalServerError, match="overloaded_error"):
            client.messages.create(**message(fox()))
        loose = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}
        with pytest.raises(anthropic.BadRequestError, match="additionalProperties"):
            client.messages.create(**message(fox(), output_config=loose))
        assert host.creates == []


def create(service: Fal, timeout: float = 0.2) -> httpx.Response:
    return WEB.post(f"{service.base_url}/fal-ai/flux-lora", json={"prompt": "a fox"}, headers=KEY, timeout=timeout)


ANSWERED = {
    "throttled": 429,
    "refused": 403,
    "no_credit": 403,
    "bad_gateway": 502,
    "bad_gateway_after_accept": 502,
    "server_error": 500,
    "server_error_after_accept": 500,
    "html": 200,
    "html_after_accept": 200,
    "truncated_json": 200,
    "renamed": 200,
}
SILENT = sorted(kind for kind in KINDS if kind.startswith(("drop_", "hang_")))


@pytest.mark.parametrize("kind", [*ANSWERED, *SILENT])
def test_a_fault_of_a_create_tells_whether_it_arrived(fal: Fal, kind: str) -> None:
    fal.faults.append(Fault(kind))
    if kind in SILENT:
        with pytest.raises(httpx.TransportError):
            create(fal)
    else:
        assert create(fal).status_code == ANSWERED[kind]
    ((fault, path),) = fal.fired
    assert path == "/fal-ai/flux-lora"
    assert len(fal.creates) == fault.arrived
    assert create(fal, 5).json()["status"] == "IN_QUEUE"  # the plan is used up


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("aborted", ["starting", "aborted"]),
        ("failed", ["starting", "processing", "processing", "failed"]),
        ("nsfw", ["starting", "processing", "processing", "failed"]),
        ("unknown_status", ["starting", "resuming", "resuming", "succeeded"]),
        ("lag", ["starting", "starting", "starting", "processing", "processing", "succeeded"]),
        ("gone_while_queued", ["starting", 404]),
    ],
)
def test_a_fault_of_a_job_shows_as_it_is_polled(host: Replicate, kind: str, statuses: list[str | int]) -> None:
    host.faults.append(Fault(kind, polls=2))
    api = httpx.Client(base_url=host.base_url, headers={"Authorization": "Bearer right-key"})
    version = next(model.versions[0] for model in host.models.values() if model.id == TRAINER)
    job = api.post("/v1/predictions", json={"version": version, "input": {"prompt": "a fox", **SMALL}}).json()
    seen: list[str | int] = [job["status"]]
    while seen[-1] in ("starting", "processing", "resuming"):
        told = api.get(f"/v1/predictions/{job['id']}")
        seen.append(told.json()["status"] if told.is_success else told.status_code)
    assert seen == statuses
    assert (host.charged_usd > 0) == (kind not in ("aborted", "gone_while_queued"))


def test_a_field_can_be_renamed_for_good(fal: Fal) -> None:
    fal.faults.append(Fault("renamed", on="price", field="unit_price", times=ALWAYS))
    asked = {"endpoint_id": "fal-ai/flux-lora"}
    told = [WEB.get(f"{fal.base_url}/v1/models/pricing", params=asked, headers=KEY).json() for _ in range(2)]
    assert [set(one["prices"][0]) & {"unit_price", "unit_price_v2"} for one in told] == [{"unit_price_v2"}] * 2


def test_an_nsfw_refusal_reaches_the_client_as_the_models_error(host: Replicate) -> None:
    host.faults.append(Fault("nsfw"))
    with pytest.raises(ModelError, match="NSFW"):
        client_of(host).run("qwen/qwen-edit-multiangle", input={"image": picture_url()}, wait=False)


def picture_url() -> str:
    return f"data:image/png;base64,{base64.b64encode(fox()).decode()}"


def test_fal_paints_black_what_it_finds_unsafe_and_bills_a_refusal_that_says_so(fal: Fal) -> None:
    fal.faults += [Fault("nsfw"), Fault("charged_422")]
    black, refused = (create(fal, 5).json()["response_url"] for _ in range(2))
    fal.advance()
    told = WEB.get(black, headers=KEY).json()
    assert told["has_nsfw_concepts"] == [True]
    assert (
        Image.open(io.BytesIO(WEB.get(told["images"][0]["url"]).content)).convert("RGB").getextrema() == ((0, 0),) * 3
    )
    answer = WEB.get(refused, headers=KEY)
    assert answer.status_code == 422
    assert answer.headers["x-fal-error-type"] == "content_policy_violation"
    assert fal.charged_usd == pytest.approx(2 * 0.035)


def test_a_cancel_that_loses_the_race_finds_the_job_done_and_paid(host: Replicate) -> None:
    host.faults.append(Fault("cancel_races"))
    client = client_of(host)
    private(client)
    job = begin(client)
    job.cancel()
    assert job.status == "succeeded"
    assert host.charged_usd == pytest.approx(1200 * 0.001525)


def test_downloads_break_off_go_on_and_run_out(fal: Fal) -> None:
    address = fal.deliver("out.bin", b"0123456789")["url"]
    fal.faults += [Fault("truncated"), Fault("ignored_range"), Fault("expired", status=410)]
    with pytest.raises(httpx.RemoteProtocolError):
        WEB.get(address)
    rest = {"Range": "bytes=5-"}
    assert WEB.get(address, headers=rest).content == b"0123456789"
    assert WEB.get(address).status_code == 410
    found = WEB.get(address, headers=rest)
    assert (found.status_code, found.content) == (206, b"56789")


@pytest.mark.parametrize("kind", ["not_a_lora", "climbing_tar"])
def test_weights_can_be_what_they_should_not_be(host: Replicate, kind: str) -> None:
    host.faults.append(Fault(kind))
    client = client_of(host)
    private(client)
    data = WEB.get(ended(begin(client)).output["weights"]).content
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        climbs = [name for name in archive.getnames() if ".." in name]
        file = archive.extractfile("output/flux_train_replicate/lora.safetensors")
        assert file
        loras = [name for name in load(file.read()) if "lora" in name]
    assert (bool(climbs), bool(loras)) == {"not_a_lora": (False, False), "climbing_tar": (True, True)}[kind]


def test_a_host_that_is_full_refuses_for_now_and_keeps_count(fal: Fal) -> None:
    fal.most_live = 2
    answers = [create(fal, 5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    fal.advance()
    assert create(fal, 5).status_code == 200
    assert (fal.peak_live, len(fal.creates)) == (2, 3)


def test_a_redirect_leads_to_the_other_host_which_sees_whether_a_key_came_along(host: Replicate) -> None:
    host.faults.append(Fault("redirected", on="account"))
    bearer = {"Authorization": "Bearer right-key"}
    with httpx.Client(follow_redirects=True) as careful:
        assert careful.get(f"{host.base_url}/v1/account", headers=bearer).status_code == 401
    assert host.authorized == {"api": ["Bearer right-key"], "delivery": []}
    WEB.get(f"{host.delivery_url}/v1/account", headers=bearer)
    assert host.authorized["delivery"] == ["Bearer right-key"]


def test_what_replicate_keeps_is_removed_in_time(host: Replicate) -> None:
    client = client_of(host)
    file = client.files.create(io.BytesIO(zipped()), filename="set.zip")
    drawn = client.predictions.create(model="black-forest-labs/flux-dev-lora", input={"prompt": "a fox"})
    host.clock.forward(3600)
    host.advance()
    drawn.reload()
    assert drawn.output
    host.clock.forward(3600)
    drawn.reload()
    assert (drawn.status, drawn.output, drawn.input) == ("succeeded", None, {})
    host.clock.forward(86_400)
    with pytest.raises(ReplicateError, match="404"):
        client.files.get(file.id)


def test_a_training_fails_on_a_zip_that_is_none(host: Replicate) -> None:
    client = client_of(host)
    private(client)
    file = client.files.create(io.BytesIO(b"no zip"), filename="set.zip")
    version = client.models.get(TRAINER).latest_version
    assert version
    given = {"input_images": file.urls["get"]}
    job = ended(client.trainings.create(model=TRAINER, version=version.id, input=given, destination="me/look"))
    assert (job.status, job.error) == ("failed", "File is not a zip file")


def test_edits_follow_their_reference_upscales_are_larger_and_captions_tell_pictures_apart(fal: Fal) -> None:
    hen = encoded(paint("a hen", 1, (150, 100)), "png")
    addresses = [fal.deliver("one.png", data)["url"] for data in (fox(), hen)]
    asked = [
        ("fal-ai/qwen-image-edit-2511-multiple-angles", {"image_urls": [one], "horizontal_angle": 90, "seed": 1})
        for one in addresses
    ]
    asked.append(("fal-ai/seedvr/upscale/image", {"image_url": addresses[0], "upscale_factor": 2}))
    asked += [("fal-ai/florence-2-large/more-detailed-caption", {"image_url": one}) for one in addresses]
    made = [WEB.post(f"{fal.base_url}/{name}", json=given, headers=KEY).json() for name, given in asked]
    fal.advance()
    first, second, large, said, other = (WEB.get(one["response_url"], headers=KEY).json() for one in made)
    edits = [WEB.get(one["images"][0]["url"]).content for one in (first, second)]
    assert edits[0] != edits[1]
    assert (large["image"]["width"], large["image"]["height"]) == (300, 200)
    assert said["results"] != other["results"]


def test_a_mistake_of_the_fake_itself_is_told() -> None:
    service = Fal()
    with pytest.raises(AssertionError, match="JSONDecodeError"), serving(service), pytest.raises(httpx.TransportError):
        WEB.post(f"{service.base_url}/fal-ai/flux-lora", content=b"{", headers=KEY)


def test_what_a_client_sent_before_it_died_is_counted_once_the_service_is_quiet(fal: Fal) -> None:
    body = json.dumps({"prompt": "a fox"})
    head = f"POST /fal-ai/flux-lora HTTP/1.1\r\nAuthorization: Key right-key\r\nContent-Length: {len(body)}\r\n\r\n"
    place = ("127.0.0.1", int(fal.base_url.rpartition(":")[2]))
    for sent in (head + body, head + body[:-1], head):
        with socket.create_connection(place) as wire:
            wire.sendall(sent.encode())
    assert fal.quiet()
    assert len(fal.creates) == 1
    assert [call.status for call in sorted(fal.calls, key=lambda call: -call.status)] == [200, 0, 0]
