"""Hosts call back: over a real socket, signed as they sign, and only what they said just now is written down."""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.hosts.fal import Fal
from support.hosts.faults import ALWAYS, Fault
from support.hosts.jobs import Hook, Job
from support.hosts.replicate import Replicate
from support.hosts.service import Clock, serving
from support.hosts.sets import zipped

from loradeck.engines.base import Purchase
from loradeck.engines.errors import Unknown
from loradeck.engines.fal.host import FalHost
from loradeck.engines.hosted.hooks import AGAIN_SECONDS, FRESH_SECONDS, KEPT_SECONDS, Trusted, Unverified
from loradeck.engines.hosted.host import Host
from loradeck.engines.hosted.purchase import buy
from loradeck.engines.hosted.watch import Watch
from loradeck.engines.hosted.wire import Ambiguous
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.server import webhooks
from loradeck.server.cli import main
from loradeck.state import news, runs, spend
from loradeck.state.records import NewsRecord, PurchaseRecord
from loradeck.state.store import Store
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.spending.purse import StorePurse

TRAINER = {"replicate": "ostris/flux-dev-lora-trainer", "fal": "fal-ai/flux-2-trainer"}
MARK = "ldk-abcdefghjkmn"


@dataclass
class Place:
    """A workspace with a run, a host's loopback service, and the receiver that its webhooks go to."""

    provider: str
    service: Any
    store: Store
    receiver: webhooks.Receiver
    run: str
    sent: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.receiver.server_port}"

    def host(self) -> Host:
        return ReplicateHost(sleep=lambda _: None) if self.provider == "replicate" else FalHost(sleep=lambda _: None)

    def bought(self, mark: str = MARK, **values: Any) -> PurchaseRecord:
        kept = PurchaseRecord(mark, self.run, f"item {mark}", "unknown", self.provider, "a/b", 2.0)
        self.store.add(replace(kept, **values))
        return self.purchase(mark)

    def purchase(self, mark: str = MARK) -> PurchaseRecord:
        found = self.store.find(PurchaseRecord, mark)
        assert found is not None
        return found

    def hook(self, mark: str = MARK, id: str = "req-1") -> Hook:
        """What the host sends about a training of that id."""
        extra = {"version": "f" * 64, "destination": "me/look"}
        address = f"{self.url}/hooks/{self.provider}/{mark}"
        job = Job(id, TRAINER[self.provider], "train", {"steps": 10}, self.service.clock(), address, extra=extra)
        with self.service.lock:
            self.service.jobs.setdefault(id, job)
        return self.service.hook(job, "completed")

    def post(self, hook: Hook, *, method: str = "POST", length: int | None = None) -> int:
        """Send it as it is, and give the status of the answer. With `length` another one is promised."""
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.server_port, timeout=5)
        try:
            connection.putrequest(method, urlsplit(hook.url).path)
            size = len(hook.body) if length is None else length
            for name, value in {**hook.headers, **({"Content-Length": str(size)} if size >= 0 else {})}.items():
                connection.putheader(name, value.encode())
            connection.endheaders(hook.body)
            return connection.getresponse().status
        finally:
            connection.close()

    def news(self) -> list[tuple[str, str, str]]:
        return [(one.provider, one.provider_id, one.mark) for one in self.store.where(NewsRecord)]


@pytest.fixture
def clock() -> Clock:
    return Clock(still=1_790_000_000.0)


@pytest.fixture
def place(provider: str, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("LORADECK_REPLICATE_WEBHOOK_SECRET", raising=False)
    service: Any = Replicate(clock=clock) if provider == "replicate" else Fal(clock=clock)
    with serving(service):
        monkeypatch.setenv("REPLICATE_API_TOKEN", service.key)
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("REPLICATE_BASE_URL", service.base_url)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        store = Store(tmp_path / "home")
        run = runs.enqueue(store, "train", {}, engine=provider)
        known = {"replicate": ReplicateHost(sleep=lambda _: None), "fal": FalHost(sleep=lambda _: None)}
        with webhooks.Receiver(tmp_path / "home", 0, known, now=clock) as receiver:
            thread = threading.Thread(target=lambda: receiver.serve_forever(poll_interval=0.01), daemon=True)
            thread.start()
            monkeypatch.setenv("LORADECK_WEBHOOK_URL", f"http://127.0.0.1:{receiver.server_port}")
            yield Place(provider, service, store, receiver, run.id)
            receiver.shutdown()
            thread.join()


both = pytest.mark.parametrize("provider", ["replicate", "fal"])
one = pytest.mark.parametrize("provider", ["replicate"])


# --------------------------------------------------------------------------- what is heard


@both
def test_a_signed_word_is_news_and_settles_what_was_in_doubt(place: Place) -> None:
    place.bought()
    assert place.post(place.hook()) == 200
    assert place.news() == [(place.provider, "req-1", MARK)]
    settled = place.purchase()
    assert (settled.state, settled.provider_id, settled.why) == ("submitted", "req-1", "")
    assert runs.get(place.store, place.run).spend_state == "submitted"
    assert "has the request after all, by its own word (req-1)" in runs.events(place.store, place.run)[-1].message


@one
def test_whatever_was_thought_the_hosts_word_is_that_it_is_bought(place: Place) -> None:
    for state in ("intended", "unknown", "void"):
        place.bought(f"ldk-{state}", state=state)
        assert place.post(place.hook(f"ldk-{state}", f"req-{state}")) == 200
        assert place.purchase(f"ldk-{state}").state == "submitted"
    assert len(runs.events(place.store, place.run)) == 2  # an intent is no doubt: the answer may be on its way


@both
def test_the_purchase_that_a_webhook_settled_can_be_asked_for_at_its_host(place: Place) -> None:
    store, host = place.store, place.host()
    priced = spend.quote(store, provider=place.provider, what="a training", quote_usd=2.0, worst_usd=4.0)
    spend.accept(store, priced.id, place.run, 4.0, spend.Limits())
    claimed = runs.claim(store, place.run)
    assert claimed is not None
    reporter = StoreReporter(store, place.run, str(claimed.token))
    trainer = TRAINER[place.provider]
    archive = host.upload(_stored(store.workspace.home), "set.zip").url
    names = ("input_images", "trigger_word") if place.provider == "replicate" else ("image_data_url", "default_caption")
    inputs = {names[0]: archive, names[1]: "TOK", "steps": 100}

    def bought() -> Purchase:
        return buy(
            host, reporter.purse, "train", trainer, inputs, 4.0, host.prepare(trainer, "look"), sleep=lambda _: None
        )

    place.service.faults.append(Fault("drop_after_accept"))
    place.service.faults.append(Fault("bad_gateway", on="list", times=ALWAYS))
    with pytest.raises(Unknown):
        bought()
    place.service.advance()
    place.service.wait_for_hooks()
    watch = Watch(host, reporter, sleep=lambda _: None)
    watch.follow(bought(), steps=100)
    [(purchase, standing)] = watch.ended()
    assert (standing.stage, purchase.state) == ("done", "settled")
    assert [create.id for create in place.service.creates] == [purchase.provider_id]


def _stored(folder: Path) -> Path:
    path = folder / "set.zip"
    path.write_bytes(zipped())
    return path


@one
def test_the_worker_hears_each_word_once(place: Place) -> None:
    purse = StorePurse(place.store, place.run, "", lambda write: write())
    place.bought(state="submitted", provider_id="req-1")
    assert not purse.news("req-1")
    for _ in range(2):
        assert place.post(place.hook()) == 200
        assert [purse.news("req-1") for _ in range(2)] == [True, False]
    assert not purse.news("req-2")


# --------------------------------------------------------------------------- what changes nothing


@one
def test_a_word_that_comes_twice_is_the_same_word(place: Place) -> None:
    place.bought()
    hook = place.hook()
    assert place.post(hook) == 200
    before = place.purchase()
    assert [place.post(hook) for _ in range(3)] == [200] * 3
    assert place.purchase() == before
    assert len(place.news()) == 1
    assert len(runs.events(place.store, place.run)) == 1


@one
def test_after_the_end_nothing_is_news(place: Place) -> None:
    before = place.bought(state="settled", provider_id="req-1", usd=1.5)
    assert [place.post(place.hook(id=id)) for id in ("req-1", "req-2")] == [200, 200]
    assert (place.purchase(), place.news()) == (before, [])


@one
def test_a_purchase_that_is_another_request_is_left_as_it_is(place: Place) -> None:
    before = place.bought(state="submitted", provider_id="req-1")
    assert place.post(place.hook(id="req-2")) == 409
    assert (place.purchase(), place.news()) == (before, [])


@one
def test_a_word_replayed_under_another_mark_gives_one_request_to_no_second_purchase(place: Place) -> None:
    place.bought()
    before = place.bought("ldk-other")
    hook = place.hook()
    assert place.post(hook) == 200
    assert place.post(replace(hook, url=hook.url.replace(MARK, "ldk-other"))) == 409
    assert place.purchase("ldk-other") == before
    assert place.news() == [(place.provider, "req-1", MARK)]


# --------------------------------------------------------------------------- what is refused


def _other_signature(name: str, value: str) -> str:
    return value[:3] + value[3:][::-1] if "ignature" in name else value


FORGERIES: dict[str, Callable[[Hook], Hook]] = {
    "another body": lambda hook: replace(hook, body=hook.body.replace(b"req-1", b"req-2")),
    "another signature": lambda hook: replace(
        hook, headers={name: _other_signature(name, value) for name, value in hook.headers.items()}
    ),
    "no signature": lambda hook: replace(
        hook, headers={name: value for name, value in hook.headers.items() if "ignature" not in name}
    ),
    "no hexadecimal": lambda hook: replace(
        hook, headers={name: "v1 ü" if "ignature" in name else value for name, value in hook.headers.items()}
    ),
    "another time": lambda hook: replace(
        hook,
        headers={name: str(int(value) + 1) if "imestamp" in name else value for name, value in hook.headers.items()},
    ),
    "no time": lambda hook: replace(
        hook, headers={name: value for name, value in hook.headers.items() if "imestamp" not in name}
    ),
}


@both
def test_what_the_host_did_not_sign_is_refused_and_leaves_nothing(place: Place) -> None:
    before = place.bought()
    hook = place.hook()
    assert {name: place.post(forged(hook)) for name, forged in FORGERIES.items()} == dict.fromkeys(FORGERIES, 401)
    assert (place.purchase(), place.news()) == (before, [])
    assert place.post(hook) == 200


@both
def test_what_another_account_or_host_signed_is_refused(place: Place) -> None:
    before = place.bought()
    other = type(place)(place.provider, type(place.service)(clock=place.service.clock), *_rest(place))
    if place.provider == "replicate":
        other.service.secret = "whsec_" + base64.b64encode(b"of another account").decode()
    assert place.post(other.hook()) == 401
    assert (place.purchase(), place.news()) == (before, [])


def _rest(place: Place) -> tuple[Any, ...]:
    return place.store, place.receiver, place.run


@both
def test_what_was_signed_more_than_five_minutes_off_is_refused(place: Place, clock: Clock) -> None:
    before = place.bought()
    hook = place.hook()
    for apart in (FRESH_SECONDS + 1, -FRESH_SECONDS - 1):
        clock.forward(apart)
        assert place.post(hook) == 401
        assert (place.purchase(), place.news()) == (before, [])
        clock.forward(-apart)
    clock.forward(FRESH_SECONDS)
    assert place.post(hook) == 200


@both
def test_a_mark_that_was_never_sent_there_is_unknown_and_no_host_is_asked_for_keys(place: Place) -> None:
    before = place.bought()
    hook, of = place.hook(), place.provider
    other = {"replicate": "fal", "fal": "replicate"}[of]
    for path in ("", f"{of}/", f"{of}/ldk-nobody", f"nobody/{MARK}", f"{other}/{MARK}", f"{of}/{MARK}/x", MARK):
        assert place.post(replace(hook, url=f"{place.url}/hooks/{path}")) == 404
    assert (place.purchase(), place.news(), place.service.counted("secret")) == (before, [], 0)


@both
def test_a_signed_body_without_a_request_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.bought()
    for id in ("../../v1/account", "x" * 65, ""):
        assert place.post(place.hook(id=id)) == 401
    assert place.news() == []


@one
def test_what_is_too_long_or_of_no_length_is_not_read(place: Place) -> None:
    place.bought()
    hook = place.hook()
    unsent = replace(hook, body=b"")
    assert place.post(unsent, length=webhooks.MOST_BYTES + 1) == 413
    assert place.post(unsent, length=-1) == 411
    assert place.post(unsent, method="GET") == 405
    assert place.news() == []


@one
def test_a_body_that_ends_early_is_not_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks._Call, "timeout", 0.05)
    place.bought()
    hook = place.hook()
    with pytest.raises(http.client.BadStatusLine):  # the connection is ended
        place.post(hook, length=len(hook.body) + 10)
    assert place.news() == []


# --------------------------------------------------------------------------- what signatures are checked by


@both
def test_where_the_keys_cannot_be_had_the_host_is_to_come_again(place: Place) -> None:
    before = place.bought()
    place.service.faults.append(Fault("bad_gateway", on="secret", times=2))
    assert [place.post(place.hook()) for _ in range(2)] == [503, 503]
    assert (place.purchase(), place.news(), place.service.counted("secret")) == (before, [], 2)


@both
def test_the_keys_are_asked_for_once_and_replicates_alone_with_the_token(place: Place) -> None:
    for number in range(3):
        place.bought(f"ldk-{number}")
        assert place.post(place.hook(f"ldk-{number}", f"req-{number}")) == 200
    (call,) = [call for call in place.service.calls if call.operation == "secret"]
    assert bool(call.authorization) is (place.provider == "replicate")


@one
def test_a_secret_in_the_environment_is_used_unasked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORADECK_REPLICATE_WEBHOOK_SECRET", place.service.secret)
    place.bought()
    assert place.post(place.hook()) == 200
    assert place.service.counted("secret") == 0


@one
def test_a_secret_that_is_none_is_told_and_not_shown(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LORADECK_REPLICATE_WEBHOOK_SECRET", "whsec_not-base-64!")
    place.bought()
    assert place.post(place.hook()) == 503
    assert "copy it again into LORADECK_REPLICATE_WEBHOOK_SECRET" in caplog.text
    assert "not-base-64" not in caplog.text


def test_keys_are_kept_for_a_day_and_asked_for_anew_where_none_fits_but_not_for_every_forgery() -> None:
    keys, asked, now = ["old"], [], [0.0]

    def ask() -> str:
        asked.append(keys[0])
        return keys[0]

    trusted = Trusted(ask, clock=lambda: now[0])
    trusted.require(lambda key: key == "old")
    keys[0] = "new"
    for _ in range(5):
        with pytest.raises(Unverified):
            trusted.require(lambda key: key == "new")
    assert asked == ["old"]
    now[0] += AGAIN_SECONDS + 1
    trusted.require(lambda key: key == "new")
    now[0] += KEPT_SECONDS + 1
    trusted.require(lambda key: key == "new")
    assert asked == ["old", "new", "new"]


def test_keys_that_could_not_be_had_are_not_asked_for_by_every_message() -> None:
    asked, now = [], [0.0]

    def ask() -> str:
        asked.append(now[0])
        raise Ambiguous("down")

    trusted = Trusted(ask, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(Ambiguous):
            trusted.require(lambda key: True)
    assert asked == [0.0]
    now[0] += AGAIN_SECONDS + 1
    with pytest.raises(Ambiguous):
        trusted.require(lambda key: True)
    assert len(asked) == 2


# --------------------------------------------------------------------------- the command


@one
def test_a_port_that_is_taken_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LORADECK_HOME", str(place.store.workspace.home))
    monkeypatch.delenv("LORADECK_WEBHOOK_URL")
    port = place.receiver.server_port
    assert main(["webhooks", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert "LORADECK_WEBHOOK_URL is not set" in told
    assert f"Port {port} cannot be listened at" in told


def test_a_word_about_no_purchase_gives_none(tmp_path: Path) -> None:
    assert news.hear(Store(tmp_path), "fal", MARK, "req-1", {}) is None
