"""Fetching results: gone on from where it broke off, checked, and with a key for the host's own addresses alone."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tiny_http import Answer, Asked, TinyServer, serving

from loradeck.engines.errors import ProviderError
from loradeck.engines.hosted.download import TRIES, Expired, Wanted, fetch, fetch_all

DATA = bytes(range(256)) * 1000
TAG = {"ETag": '"v1"'}


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with serving(whole) as server:
        yield server


def whole(asked: Asked) -> Answer:
    """A server that knows ranges."""
    wanted = asked.headers.get("range")
    if not wanted:
        return Answer(200, DATA, dict(TAG))
    if asked.headers.get("if-range") != TAG["ETag"]:
        return Answer(200, DATA, dict(TAG))
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    return Answer(206, DATA[start:], {**TAG, "Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"})


def cut(after: int, **headers: str) -> Answer:
    return Answer(200, DATA, {**TAG, **headers}, drop=after)


def get(server: TinyServer, out: Path, sha256: str = "", most: int = 10**6) -> Path:
    return fetch(Wanted(f"{server.url}/weights.tar", out, sha256, most), lambda _: {}, "memory", sleep=lambda _: None)


def test_a_file_arrives_whole_and_is_not_fetched_twice(server: TinyServer, tmp_path: Path) -> None:
    out = tmp_path / "new" / "weights.tar"
    assert get(server, out).read_bytes() == DATA
    assert get(server, out) == out
    assert len(server.asked) == 1
    assert sorted(path.name for path in out.parent.iterdir()) == ["weights.tar"]


def test_a_download_that_breaks_off_goes_on_where_it_was(server: TinyServer, tmp_path: Path) -> None:
    server.queue = [cut(100_000)]
    assert get(server, tmp_path / "w").read_bytes() == DATA
    first, second = server.asked
    assert "range" not in first.headers
    assert 0 < int(second.headers["range"].removeprefix("bytes=").rstrip("-")) <= 100_000


def test_what_a_killed_process_left_is_gone_on_from(server: TinyServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(DATA[:5000])
    (tmp_path / "w.part-of").write_text(TAG["ETag"])
    assert get(server, tmp_path / "w").read_bytes() == DATA
    assert server.asked[0].headers["range"] == "bytes=5000-"


def test_a_part_of_another_file_is_not_gone_on_from(server: TinyServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(b"x" * 5000)
    (tmp_path / "w.part-of").write_text('"v0"')
    assert get(server, tmp_path / "w").read_bytes() == DATA


@pytest.mark.parametrize(
    "answers",
    [
        [cut(50_000), Answer(200, DATA, dict(TAG))],
        [cut(50_000), Answer(206, DATA[7:], {**TAG, "Content-Range": "bytes 7-255999/256000"})],
        [cut(50_000), Answer(416, b"")],
        [Answer(200, DATA, {}, drop=1000), Answer(200, DATA, {})],
        [Answer(200, DATA[:1000], dict(TAG), length=len(DATA), drop=1000)],
        [Answer(503), Answer(429), Answer(drop=0)],
        [Answer(200, b"<html>wait</html>", {"Content-Type": "text/html"})],
    ],
    ids=["range ignored", "wrong range", "416", "no tag", "shorter than told", "busy", "html"],
)
def test_servers_that_do_otherwise_give_the_whole_file_in_the_end(
    server: TinyServer, tmp_path: Path, answers: list[Answer]
) -> None:
    server.queue = answers
    assert get(server, tmp_path / "w").read_bytes() == DATA


def test_the_hash_that_the_host_told_is_checked(server: TinyServer, tmp_path: Path) -> None:
    server.queue = [Answer(200, b"wrong")]
    assert get(server, tmp_path / "w", hashlib.sha256(DATA).hexdigest()).read_bytes() == DATA
    with pytest.raises(ProviderError, match="not the file that it announced"):
        get(server, tmp_path / "v", "0" * 64)
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_expired_says_what_can_still_be_done(server: TinyServer, tmp_path: Path, status: int) -> None:
    server.answer = lambda asked: Answer(status, b"<Error/>")
    with pytest.raises(Expired, match=r"no more .*paid for.* in the dashboard"):
        get(server, tmp_path / "w")
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [Answer(200, DATA), Answer(200, DATA, length=-1)])
def test_what_is_larger_than_any_result_is_not_kept(server: TinyServer, tmp_path: Path, answer: Answer) -> None:
    server.answer = lambda asked: answer
    with pytest.raises(ProviderError, match="larger than"):
        get(server, tmp_path / "w", most=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_never_gives_it_is_left_with_the_part_kept(server: TinyServer, tmp_path: Path) -> None:
    server.answer = lambda asked: Answer(500)
    with pytest.raises(ProviderError, match="resume the run soon"):
        get(server, tmp_path / "w")
    assert len(server.asked) == TRIES


def test_headers_go_to_the_addresses_they_are_for_through_redirects(server: TinyServer, tmp_path: Path) -> None:
    with serving(whole) as storage:
        server.answer = lambda asked: Answer(302, b"", {"Location": f"{storage.url}/signed?token=x"})
        own = f"{server.url}/"
        fetch(
            Wanted(f"{own}weights.tar", tmp_path / "w"),
            lambda url: {"authorization": "Bearer key"} if url.startswith(own) else {},
            "memory",
        )
        assert server.asked[0].headers["authorization"] == "Bearer key"
        assert "authorization" not in storage.asked[0].headers


def test_redirects_without_end_are_seen(server: TinyServer, tmp_path: Path) -> None:
    server.answer = lambda asked: Answer(302, b"", {"Location": "/again"})
    with pytest.raises(ProviderError, match="without end"):
        get(server, tmp_path / "w")


def test_a_redirect_into_the_open_is_not_followed(server: TinyServer, tmp_path: Path) -> None:
    server.answer = lambda asked: Answer(302, b"", {"Location": "http://storage.example.com/weights"})
    with pytest.raises(ProviderError, match="not https, which is not followed"):
        get(server, tmp_path / "w")
    assert len(server.asked) == 1


def test_several_come_at_a_time_and_one_that_is_gone_keeps_no_other_back(server: TinyServer, tmp_path: Path) -> None:
    server.answer = lambda asked: Answer(404) if asked.path == "/3" else Answer(200, asked.path.encode())
    wanted = [Wanted(f"{server.url}/{number}", tmp_path / str(number)) for number in range(6)]
    got = fetch_all(wanted, lambda _: {}, "memory")
    assert [isinstance(one, Expired) for one in got] == [number == 3 for number in range(6)]
    assert (tmp_path / "5").read_bytes() == b"/5"


def test_a_large_file_takes_little_memory(server: TinyServer, tmp_path: Path) -> None:
    data = bytes(24 * 2**20)
    server.answer = lambda asked: Answer(200, data)
    tracemalloc.start()
    try:
        get(server, tmp_path / "w", most=2**30)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "w").stat().st_size == len(data)
    assert most < 8 * 2**20
