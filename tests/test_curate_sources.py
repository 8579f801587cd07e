"""Where pictures come from: folders, zips, single files, addresses; and what is kept out on the way."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.images import bench, curate, folder_of, picture, save

from loradeck.server.worker import work
from loradeck.tools.addresses import is_public
from loradeck.tools.curate_dataset import tool
from loradeck.tools.curate_dataset.downloads import Downloader, NotFetched
from loradeck.tools.curate_dataset.gathering import gather
from loradeck.tools.curate_dataset.sources import Survey, survey
from loradeck.tools.errors import BadArgument, LoradeckError


def names(source: Path | str) -> list[str]:
    """The names of the pictures that a source gives."""
    return [found.name for found in survey([str(source)]).found]


def refusal(*sources: Path | str) -> str:
    with pytest.raises(BadArgument) as refused:
        survey([str(source) for source in sources])
    return str(refused.value)


# --------------------------------------------------------------------------- folders


def test_a_missing_folder_is_told_with_what_to_give_instead(tmp_path: Path) -> None:
    assert "attachments never reach" in refusal(tmp_path / "nowhere")
    assert "full path" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "text", ["sandbox:/mnt/data/a.png", "/mnt/data/upload.png", "attachment://1", "data:image/png;base64,AA"]
)
def test_a_chat_attachment_gets_the_sentence_about_attachments(text: str) -> None:
    assert "Chat attachments never reach a local server" in refusal(text)


def test_an_empty_folder_and_one_full_of_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is empty" in refusal(tmp_path / "empty")
    (tmp_path / "texts").mkdir()
    for number in range(3):
        (tmp_path / "texts" / f"{number}.txt").write_text("words")
    assert "no picture, only 3 other files" in refusal(tmp_path / "texts")


def test_hidden_files_and_what_file_managers_leave_are_passed_over(tmp_path: Path) -> None:
    folder_of(tmp_path, 1, width=32)
    for junk in ("._a00.png", ".DS_Store", "__MACOSX/a00.png", ".thumbs/a.png"):
        (tmp_path / junk).parent.mkdir(exist_ok=True)
        save(picture(1, 32), tmp_path / "x.png").rename(tmp_path / junk)
    (tmp_path / "Thumbs.db").touch()
    assert names(tmp_path) == ["a00.png"]


def test_a_folder_of_folders_is_read_whole_and_subfolders_beside_pictures_are_told(tmp_path: Path) -> None:
    folder_of(tmp_path / "in" / "church", 1, width=32)
    folder_of(tmp_path / "in" / "estate" / "night", 1, width=32)
    assert names(tmp_path / "in") == ["church/a00.png", "estate/night/a00.png"]
    save(picture(3, 32), tmp_path / "in" / "top.png")
    seen = survey([str(tmp_path / "in")])
    assert [found.name for found in seen.found] == ["top.png"]
    assert "church, estate" in seen.remarks[0]


def test_links_out_of_the_folder_are_refused_and_links_inside_are_followed(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1, width=32)
    secret = save(picture(9, 32), tmp_path / "outside" / "secret.png")
    (tmp_path / "in" / "stolen.png").symlink_to(secret)
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "inside.png").symlink_to(tmp_path / "in" / "a00.png")
    seen = survey([str(tmp_path / "in")])
    assert [found.name for found in seen.found] == ["a00.png", "inside.png"]
    assert [file for file, why in seen.refused if "points out" in why] == ["folder", "stolen.png"]


def test_a_folder_that_holds_only_links_out_says_so(tmp_path: Path) -> None:
    secret = save(picture(9, 32), tmp_path / "outside" / "secret.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "stolen.png").symlink_to(secret)
    assert "stolen.png: A link that points out" in refusal(tmp_path / "in")


def test_a_caption_behind_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    on = bench(tmp_path)
    folder_of(tmp_path / "in", 1)
    (tmp_path / "secret.txt").write_text("flicx password")
    (tmp_path / "in" / "a00.txt").symlink_to(tmp_path / "secret.txt")
    result = curate(on, source=tmp_path / "in", trigger="flicx")
    assert result.images[0].caption is None
    assert result.findings == curate(on, dataset_id=result.dataset_id).findings
    assert not any(finding.rule_id == "CAP-ORIGIN" for finding in result.findings)


def test_a_pipe_called_png_does_not_hang(tmp_path: Path) -> None:
    folder_of(tmp_path, 1, width=32)
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["a00.png"]


def test_a_name_that_is_not_valid_unicode_is_refused_alone(tmp_path: Path) -> None:
    folder_of(tmp_path, 1, width=32)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.png")).write_bytes((tmp_path / "a00.png").read_bytes())
    seen = survey([str(tmp_path)])
    assert [found.name for found in seen.found] == ["a00.png"]
    assert "not valid Unicode" in seen.refused[0][1]


def test_single_files_are_taken_and_wrong_ones_among_them_are_told(tmp_path: Path) -> None:
    good = save(picture(1, 32), tmp_path / "good.png")
    (tmp_path / "notes.txt").write_text("x")
    seen = survey([str(good), str(tmp_path / "gone.png"), str(tmp_path / "notes.txt"), f"file://{good}"])
    assert [found.name for found in seen.found] == ["good.png", "good.png"]
    assert [file for file, _ in seen.refused] == ["gone.png", "notes.txt"]
    assert "is no picture" in refusal(tmp_path / "notes.txt")


def test_plain_http_is_refused() -> None:
    assert "Only https" in refusal("http://example.com/a.png")


# --------------------------------------------------------------------------- zips


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def png(seed: int) -> bytes:
    data = io.BytesIO()
    picture(seed).save(data, "PNG")
    return data.getvalue()


def test_a_zip_gives_its_pictures_and_what_lies_beside_them(tmp_path: Path) -> None:
    on = bench(tmp_path)
    members = {
        "set/a b.png": png(1),
        "set/c.png": png(2),
        "set/metadata.jsonl": b'{"file_name": "a b.png", "name": "a bee"}\n',
        "set/c.txt": b"flicx, a sea",
        "__MACOSX/set/._c.png": b"junk",
        "readme.md": b"hello",
    }
    result = curate(on, source=zipped(tmp_path / "set.zip", **members), trigger="flicx")
    assert [row.file for row in result.images] == ["a_b.png", "c.png"]
    assert result.images[0].attributes == {"subject": "a bee"}
    assert result.images[1].caption == "flicx, a sea"
    again = curate(on, source=(tmp_path / "set.zip").rename(tmp_path / "moved.zip"), dataset_id=result.dataset_id)
    assert (again.kept, len(again.images)) == (2, 2)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:/evil.png", "..\\evil.png"])
def test_a_path_out_of_the_zip_is_refused_and_writes_nothing_outside(tmp_path: Path, name: str) -> None:
    on = bench(tmp_path)
    result = curate(on, source=zipped(tmp_path / "in.zip", **{"good.png": png(1), name: png(2)}))
    assert result.kept == 1
    assert "points out of the zip" in result.rejected[0].why
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "in.zip", **{"good.png": png(1)})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "A link in a zip" in curate(bench(tmp_path), source=path).rejected[0].why


def test_a_zip_bomb_is_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    path = zipped(tmp_path / "in.zip", **{"good.png": png(1), "bomb.png": bytes(30_000_000)})
    result = curate(bench(tmp_path), source=path)
    assert result.kept == 1
    assert "zip bombs" in result.rejected[0].why
    assert sum(file.stat().st_size for file in (tmp_path / "home").rglob("*") if file.is_file()) < 5_000_000


def test_a_member_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "in.zip", **{"good.png": png(1), "liar.png": bytes(3_000_000)})
    data = path.read_bytes()
    assert data.count((3_000_000).to_bytes(4, "little")) == 2
    path.write_bytes(data.replace((3_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little")))
    result = curate(bench(tmp_path), source=path)
    assert (result.kept, result.rejected[0].file) == (1, "liar.png")


def test_what_is_called_zip_and_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_text("no zip")
    with pytest.raises(BadArgument, match="no zip file"):
        curate(bench(tmp_path), source=tmp_path / "in.zip")
    with pytest.raises(BadArgument, match="holds no picture"):
        curate(bench(tmp_path), source=zipped(tmp_path / "words.zip", **{"a.md": b"x"}))


# --------------------------------------------------------------------------- addresses


class Shop(BaseHTTPRequestHandler):
    """Pictures at /a.png and /plain, a redirect, a page, and something too long."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://10.0.0.1/secret.png")
            self.end_headers()
            return
        if path == "/there":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
            return
        if path == "/trickle":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):  # the client hangs up
                for _ in range(100):
                    self.wfile.write(b"\x89")
                    time.sleep(0.05)
            return
        body = {"/a.png": png(1), "/plain": png(2), "/page": b"<html>", "/long": bytes(3_000_000)}.get(path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def shop() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


LOCAL = Downloader(frozenset({"http"}), lambda address: address.startswith("127."), most_bytes=1_000_000)


def test_pictures_are_fetched_and_named_after_what_they_are(shop: str, tmp_path: Path) -> None:
    path, name = LOCAL.fetch(f"{shop}/a.png?token=1", tmp_path)
    assert (path.suffix, name, path.read_bytes()) == (".png", "a.png", png(1))
    assert LOCAL.fetch(f"{shop}/there", tmp_path)[0] == path
    assert LOCAL.fetch(f"{shop}/plain", tmp_path)[0].suffix == ".png"


@pytest.mark.parametrize(
    ("page", "why"),
    [("/away", "private network"), ("/page", "no picture"), ("/long", "larger than"), ("/none", "answered 404")],
)
def test_an_address_that_gives_no_picture_is_told(shop: str, tmp_path: Path, page: str, why: str) -> None:
    with pytest.raises(NotFetched, match=why):
        LOCAL.fetch(shop + page, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_fails_does_not_lose_the_others(shop: str, tmp_path: Path) -> None:
    seen = Survey(urls=[f"{shop}/none", f"{shop}/a.png"])
    gathered = gather(seen, tmp_path, LOCAL, lambda: None)
    assert [found.name for found in gathered.found] == ["a.png"]
    assert len(gathered.refused) == 1


def test_the_real_downloader_fetches_neither_plain_http_nor_this_machine(shop: str, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="Only https"):
        Downloader().fetch(f"{shop}/a.png", tmp_path)
    with pytest.raises(NotFetched, match="private network"):
        Downloader().fetch(shop.replace("http:", "https:") + "/a.png", tmp_path)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(shop: str, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="too slowly"):
        replace(LOCAL, most_seconds=0.3).fetch(f"{shop}/trickle", tmp_path)


def test_when_no_address_gives_a_picture_no_dataset_is_made(tmp_path: Path) -> None:
    on = bench(tmp_path, lambda run_id: work(tmp_path / "home", run_id))
    done = curate(on, source=["https://127.0.0.1:1/a.png"], name="web")
    assert (done.state, done.dataset_id) == ("failed", None)
    assert "No picture could be brought in, so no dataset was made (https://127.0.0.1:1/a.png: The" in done.summary
    assert "private network" in done.summary
    assert done.next_step.startswith("Mend what the summary says.")
    with pytest.raises(LoradeckError, match="no dataset yet"):
        curate(on, dataset_id="web")


def test_addresses_are_always_fetched_in_a_run_since_one_can_keep_a_call_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "WAIT_SECONDS", 0.1)
    launched: list[str] = []
    waiting = curate(bench(tmp_path, launched.append), source="https://127.0.0.1:1/a.png")
    assert (waiting.run_id, waiting.state) == (launched[0], "queued")


PRIVATE = "127.0.0.1 10.1.2.3 192.168.0.1 169.254.169.254 0.0.0.0 ::1 fe80::1%eth0 ::ffff:10.0.0.1 fd00::1 224.0.0.1"
BEHIND_IPV6 = "64:ff9b::169.254.169.254 64:ff9b:1::1 2002:7f00:1:: 2001:0:7f00:1::1 ::127.0.0.1 ::ffff:0:7f00:1 fec0::1"


@pytest.mark.parametrize("address", [*PRIVATE.split(), *BEHIND_IPV6.split()])
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)
    assert is_public("93.184.216.34")


@pytest.mark.parametrize("address", ["2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"])
def test_public_addresses_are_public_by_every_way_to_them(address: str) -> None:
    assert is_public(address)
