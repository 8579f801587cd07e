"""The client of a host: what became of each request, what is sent again, and where the key goes."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.tiny_http import Answer, TinyServer, serving

from loradeck.engines.errors import NotInstalled
from loradeck.engines.hosted import answers
from loradeck.engines.hosted.client import RETRY_AFTER_MOST, TRIES, Client, origin
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

KEY = "r8_secret_key"
CLOSED = "http://127.0.0.1:1"


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with serving() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(server: TinyServer, waits: list[float]) -> Iterator[Client]:
    client = Client(server.url, lambda: {"Authorization": f"Bearer {KEY}"}, sleep=waits.append, name="memory")
    yield client
    client.close()


def told(status: int, body: Any, **headers: str) -> Answer:
    text = body if isinstance(body, str) else json.dumps(body)
    return Answer(status, text.encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def test_json_goes_out_and_comes_in(server: TinyServer, client: Client) -> None:
    server.queue = [told(201, {"id": "p1"}), told(202, {"status": "IN_QUEUE"}), told(200, "")]
    assert client.post_json("/v1/x", {"input": {}}, {"webhook": "no"}) == {"id": "p1"}
    assert client.get_json("v1/x/p1", {"logs": "true"}) == {"status": "IN_QUEUE"}
    assert client.put(f"{server.url}/v1/x/p1/cancel") is None
    assert [(one.method, one.path) for one in server.asked] == [
        ("POST", "/v1/x"),
        ("GET", "/v1/x/p1?logs=true"),
        ("PUT", "/v1/x/p1/cancel"),
    ]
    assert json.loads(server.asked[0].body) == {"input": {}}
    assert server.asked[0].headers["webhook"] == "no"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(drop=0),
        Answer(201, b'{"id": "p1"}', drop=5),
        told(500, {"detail": "broke"}),
        told(502, "<html>Bad gateway</html>"),
        told(201, "<html>Welcome</html>"),
        told(201, '{"id": "p'),
        told(302, "", Location="http://127.0.0.1:1/"),
        told(408, {"detail": "too slow"}),
    ],
    ids=["dropped", "cut", "500", "html 502", "html 201", "broken json", "redirect", "gateway gave up"],
)
def test_what_may_have_arrived_is_sent_once_and_called_ambiguous(
    server: TinyServer, client: Client, answer: Answer
) -> None:
    server.queue = [answer]
    with pytest.raises(Ambiguous):
        client.post_json("/v1/x", {})
    assert len(server.asked) == 1


def test_an_answer_that_does_not_come_in_time_is_ambiguous(server: TinyServer, waits: list[float]) -> None:
    import threading

    held = threading.Event()

    def late(asked: Any) -> Answer:
        held.wait(5)
        return Answer()

    server.answer = late
    with pytest.raises(Ambiguous, match="ReadTimeout"):
        Client(server.url, dict, 0.05, waits.append).post_json("/", {})
    held.set()
    assert len(server.asked) == 1


def test_a_connection_that_is_not_made_was_never_sent(waits: list[float]) -> None:
    client = Client(CLOSED, dict, sleep=waits.append, name="memory")
    with pytest.raises(NeverSent, match="memory could not be reached"):
        client.post_json("/", {})
    assert waits == []
    with pytest.raises(NeverSent):
        client.get_json("/")
    assert len(waits) == TRIES - 1
    with pytest.raises(NeverSent, match="cannot be asked"):
        client.get_json("gopher://x/", tries=1)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"detail": "Invalid token."}, "key", "Invalid token."),
        (402, {"title": "Insufficient credit"}, "credit", "Insufficient credit"),
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, "credit", "Exhausted balance."),
        (403, {"error": {"message": "Accept the licence."}}, "forbidden", "Accept the licence."),
        (404, "<html>nothing</html>", "missing", "no word on why"),
        (422, {"detail": [{"loc": ["body", "steps"], "msg": "at most 6000", "type": "x"}]}, "input", "steps: at most"),
        (422, {"detail": [{"loc": [], "msg": "no", "type": "content_policy_violation"}]}, "content", "no"),
        (400, {"errors": ["this", "that"]}, "input", "this; that"),
        (418, {}, "", "no word on why"),
    ],
)
def test_a_plain_refusal_is_told_in_the_hosts_words(
    server: TinyServer, client: Client, status: int, body: Any, kind: str, said: str
) -> None:
    server.queue = [told(status, body)]
    with pytest.raises(Refused, match=f"memory answered {status}") as refused:
        client.post_json("/", {})
    assert (refused.value.status, refused.value.kind) == (status, kind)
    assert said in str(refused.value)


def test_long_words_are_cut() -> None:
    assert len(answers.sentence(json.dumps({"detail": "a" * 9999}))) < 420


@pytest.mark.parametrize(
    ("headers", "said", "seconds"),
    [
        ({"retry-after": "12"}, "", 12.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 20.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT"}, "", 0.0),
        ({}, "Request was throttled. Your rate limit resets in ~30s.", 30.0),
        ({"retry-after": "soon"}, "", None),
        ({}, "", None),
    ],
)
def test_when_to_come_again_is_read_as_seconds_a_date_or_words(
    headers: dict[str, str], said: str, seconds: float | None
) -> None:
    assert answers.retry_after(headers, said, 1792567660.0) == seconds


def test_a_get_is_tried_again_after_what_passes_and_waits_as_it_is_told(
    server: TinyServer, client: Client, waits: list[float]
) -> None:
    server.queue = [
        told(429, {}, Retry_After="9"),
        told(429, {}, Retry_After="99999"),
        Answer(drop=0),
        told(200, "<html>"),
        told(200, {"fine": True}),
    ]
    assert client.get_json("/") == {"fine": True}
    assert waits[:2] == [9.0, RETRY_AFTER_MOST]
    assert 0.5 <= waits[2] <= waits[3] * 2 <= 16.0


def test_a_get_gives_up_after_some_tries_and_at_once_on_a_refusal(server: TinyServer, client: Client) -> None:
    server.answer = lambda asked: told(503, {"detail": "maintenance"})
    with pytest.raises(Ambiguous, match="maintenance"):
        client.get_json("/")
    assert len(server.asked) == TRIES
    server.answer = lambda asked: told(404, {"detail": "gone"})
    with pytest.raises(Refused, match="gone"):
        client.get_json("/")
    assert len(server.asked) == TRIES + 1


def test_a_caller_may_take_other_replies_as_an_answer(server: TinyServer, client: Client) -> None:
    server.queue = [told(422, {"detail": "charged"}, X_Fal_Billable_Units="1")]
    reply = client.request("GET", "/", tries=3, take=lambda reply: reply.status < 500)
    assert (reply.status, reply.json(), reply.headers["x-fal-billable-units"]) == (422, {"detail": "charged"}, "1")


def test_the_key_goes_to_the_hosts_own_origin_alone(server: TinyServer, client: Client) -> None:
    with serving() as other:
        client.get_json(f"{other.url}/status")
        client.get_json("/status")
        assert "authorization" not in other.asked[0].headers
        server.queue = [told(307, "", Location=f"{other.url}/stolen")]
        with pytest.raises(Ambiguous):
            client.get_json("/moved", tries=1)
        assert len(other.asked) == 1
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert origin("https://a.b/x") == origin("HTTPS://A.b:443") != origin("http://a.b/")
    assert origin("http://[broken") == ("", "", 0)


def test_no_error_holds_the_key(server: TinyServer, waits: list[float]) -> None:
    for key in (KEY + "\nnext", KEY + "ä"):
        broken = Client(server.url, lambda key=key: {"Authorization": key}, sleep=waits.append)  # type: ignore[misc]
        with pytest.raises(NotInstalled, match="copy it again") as error:
            broken.get_json("/")
        assert KEY not in str(error.value)
    good = Client(CLOSED, lambda: {"Authorization": KEY}, sleep=waits.append)
    with pytest.raises(WireError) as unreachable:
        good.get_json("/?token=signed")
    assert KEY not in repr(unreachable.value)
    assert "signed" not in str(unreachable.value)
    assert unreachable.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "ftp://api.example.com", "api.example.com", "http://10.0.0.1"]
)
def test_an_address_that_is_neither_https_nor_here_is_refused(url: str) -> None:
    with pytest.raises(NotInstalled, match="is not https"):
        Client(url, dict, name="memory")


def test_a_file_goes_up_in_a_form_and_again_after_a_drop(server: TinyServer, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(b"PK" * 5000)
    server.queue = [Answer(drop=0), told(201, {"urls": {"get": "u"}})]
    answer = client.upload_multipart("/v1/files", "content", file, name="a.zip", content_type="application/zip")
    assert answer == {"urls": {"get": "u"}}
    first, second = server.asked
    assert b'name="content"; filename="a.zip"' in second.body
    assert b"PK" * 5000 in second.body
    assert len(first.body) == len(second.body)


def test_a_slice_of_a_file_goes_up_as_it_is(server: TinyServer, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    file.write_bytes(bytes(range(100)))
    server.queue = [told(500, {}), told(200, "", ETag="e1")]
    reply = client.upload_raw("/part/2", file, method="PUT", start=10, length=20, headers={"X-Name": "n"})
    assert reply.headers["etag"] == "e1"
    assert [one.body for one in server.asked] == [bytes(range(10, 30))] * 2
    assert server.asked[1].headers["content-length"] == "20"


def test_an_upload_takes_little_memory(server: TinyServer, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "set.zip"
    with file.open("wb") as stream:
        stream.truncate(32 * 2**20)
    server.answer = lambda asked: Answer()
    sizes: list[int] = []
    plain = server.RequestHandlerClass._plain  # type: ignore[attr-defined]

    def counted(handler: Any, headers: dict[str, str]) -> bytes:
        left = total = int(headers["content-length"])
        while left and (piece := handler.rfile.read(min(left, 2**16))):
            left -= len(piece)
        sizes.append(total - left)
        return b""

    server.RequestHandlerClass._plain = counted  # type: ignore[attr-defined]
    tracemalloc.start()
    try:
        client.upload_multipart("/", "content", file)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        server.RequestHandlerClass._plain = plain  # type: ignore[attr-defined]
    assert sizes[0] > 32 * 2**20
    assert most < 8 * 2**20


def test_the_package_of_what_hosts_share_opens_without_httpx() -> None:
    code = (
        "import sys, loradeck.engines.hosted.engine, loradeck.engines.hosted.drawing, loradeck.engines.hosted.training;"
        "print([m for m in ('httpx', 'PIL', 'numpy', 'torch') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
