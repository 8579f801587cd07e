"""The LoRA library: files made elsewhere come in, are in use together, go out whole, and come back from the trash."""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save
from support import loras
from support.decks import deck, render
from support.hub import TOKEN, Hub, serving
from support.painter import Painter, bench, trained

from loradeck.engines.errors import BadWeights, Cancelled, NotInstalled
from loradeck.state import runs
from loradeck.state.errors import DiskFull, WorkspaceReadOnly
from loradeck.state.files import sha256_file
from loradeck.state.records import CheckpointRecord, DatasetRecord, ImageRecord, LoraRecord, RunRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.addresses import Guard
from loradeck.tools.catalogue import load
from loradeck.tools.contracts import LorasResult, RunKind, RunState
from loradeck.tools.datasets import copy_path
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.leaving import may_be_published
from loradeck.tools.library import default_loras, find_lora, library
from loradeck.tools.manage_loras import fetching, publishing
from loradeck.tools.manage_loras.sources import plain, split
from loradeck.tools.reporter import StoreReporter
from loradeck.tools.start_training.snapshot import take
from loradeck.tools.workbench import Workbench


@pytest.fixture
def work(tmp_path: Path) -> Workbench:
    return bench(Store(tmp_path / "home"), Painter())


def manage(work: Workbench, action: str, **arguments: Any) -> LorasResult:
    return called(work, "manage_loras", action=action, **arguments)


def called(work: Workbench, tool: str, **arguments: Any) -> LorasResult:
    spec = load(tool)
    answer = spec.handler(spec.args.model_validate(arguments), work)
    assert isinstance(answer, LorasResult)
    assert answer.summary.endswith(".")
    assert answer.next_step
    return answer


# --------------------------------------------------------------------------- import: what a file tells


def test_a_file_comes_in_with_its_name_version_base_trigger_and_hash_and_the_original_stays(
    work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "icons-fluent2-v1.safetensors", modelspec__trigger_phrase="fluenticon")
    before = path.read_bytes()
    (row,) = manage(work, "import", path=str(path)).loras
    assert (row.name, row.version, row.base_model, row.trigger, row.rank) == (
        "icons-fluent2", 1, "preview", "fluenticon", 2,
    )  # fmt: skip
    assert row.sha256 == sha256_file(path) == sha256_file(Path(row.path))
    assert path.read_bytes() == before
    assert row.source == "the file icons-fluent2-v1.safetensors, ComfyUI's keys"


def test_the_same_bytes_again_are_the_same_lora_and_told(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    first = manage(work, "import", path=str(path))
    again = manage(work, "import", path=str(loras.written(tmp_path / "b.safetensors")))
    assert again.loras[0].lora_id == first.loras[0].lora_id
    assert "in the library already" in again.summary
    assert len(library(work.store)) == 1


def test_a_version_is_never_given_twice(work: Workbench, tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        result = manage(work, "import", path=str(loras.written(folder / "icons-v1.safetensors", seed=seed)))
    assert (result.loras[0].name, result.loras[0].version) == ("icons", 2)
    assert "Version 1 of icons was given before" in result.told[0]
    third = manage(work, "import", path=str(loras.written(tmp_path / "icons-v7.safetensors", seed=3)))
    assert third.loras[0].version == 7


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Ünïcode Löra ✨.safetensors", "ünïcode-löra"),
        ("ベーカリー v2.safetensors", "ベーカリー"),
        ("a b;c'$(x).safetensors", "a-b-c-x"),
    ],
)
def test_odd_file_names_become_safe_ones(file: str, name: str, work: Workbench, tmp_path: Path) -> None:
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / file))).loras
    assert row.name == name
    assert work.store.workspace.holds(Path(row.path))


def test_a_file_name_that_says_nothing_gives_way_to_its_folders(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "neon city-v3" / "pytorch_lora_weights.safetensors")
    (row,) = manage(work, "import", path=str(path)).loras
    assert (row.name, row.version) == ("neon-city", 3)


@pytest.mark.parametrize(
    ("base", "keys", "metadata", "found"),
    [
        ("flux1-dev", "kohya", {}, "flux1-dev"),
        ("flux2-klein-4b", "comfyui", {}, "flux2-klein-4b"),
        ("flux2-klein-9b", "fal", {}, "flux2-klein-9b"),
        ("flux2-dev", "comfyui", {"ss_base_model_version": "sdxl_base_v1-0"}, "flux2-dev"),
        ("z-image", "comfyui", {"ss_base_model_version": "z-image-base"}, "z-image-base"),
        ("z-image", "comfyui", {"modelspec__architecture": "Z-Image-Turbo/lora"}, "z-image"),
    ],
)
def test_the_base_is_told_by_shapes_and_by_metadata_where_shapes_leave_a_choice(
    base: str, keys: str, metadata: dict[str, str], found: str, work: Workbench, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "a.safetensors", base, keys, **metadata)
    assert manage(work, "import", path=str(path)).loras[0].base_model == found


def test_what_a_text_encoder_learned_besides_is_told_to_be_left_out(work: Workbench, tmp_path: Path) -> None:
    both = {**loras.tensors("flux1-dev", "kohya")}
    for part, shape in (("lora_down", (2, 768)), ("lora_up", (768, 2))):
        both[f"lora_te1_text_model_encoder_layers_0_mlp_fc1.{part}.weight"] = np.zeros(shape, np.float16)
    (tmp_path / "both.safetensors").write_bytes(save(both))
    result = manage(work, "import", path=str(tmp_path / "both.safetensors"), trigger="zorvex")
    assert "lora_te1_text_model" in result.told[0]
    assert result.loras[0].source.endswith("kohya's keys")


def test_a_base_that_nothing_tells_is_asked_for_by_the_argument(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors", "z-image")
    with pytest.raises(BadArgument, match=r'base_model="z-image" or base_model="z-image-base"\.$'):
        manage(work, "import", path=str(path))
    assert manage(work, "import", path=str(path), base_model="z-image").loras[0].base_model == "z-image"


def test_a_lora_of_another_base_is_refused_with_the_base_that_it_fits(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors", "flux1-dev", "kohya")
    with pytest.raises(Refused, match="for flux1-dev by its shapes, not for flux2-dev"):
        manage(work, "import", path=str(path), base_model="flux2-dev")
    assert library(work.store) == []


@pytest.mark.parametrize(
    ("metadata", "trigger"),
    [
        ({"modelspec__trigger_phrase": "zorvex style"}, "zorvex style"),
        ({"ss_tag_frequency": loras.tags(zorvex=40, cat=12)}, "zorvex"),
        ({"ss_tag_frequency": loras.tags(cat=12, dog=12)}, None),
        ({"ss_tag_frequency": "{not json"}, None),
        ({"ss_tag_frequency": '["a"]'}, None),
        ({"trigger_word": "p3rs0n\n"}, "p3rs0n"),
        ({"trigger_word": "p3rs0n\x00"}, None),
        ({"modelspec__trigger_phrase": "x" * 900}, None),
        ({"modelspec__trigger_phrase": "the baker's"}, "the baker's"),
        ({"modelspec__trigger_phrase": '"+run()+"'}, None),
        ({"trigger_word": "a`b", "ss_tag_frequency": loras.tags(**{"c\\d": 3})}, None),
        ({}, None),
    ],
)
def test_the_trigger_is_read_from_what_trainers_write(
    metadata: dict[str, str], trigger: str | None, work: Workbench, tmp_path: Path
) -> None:
    result = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors", **metadata)))
    assert result.loras[0].trigger == trigger
    assert ("does not tell a trigger word" in result.summary) is (trigger is None)


def test_a_trigger_that_is_missing_is_said_later_by_the_call_that_is_told(work: Workbench, tmp_path: Path) -> None:
    result = manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors")))
    lora_id = result.loras[0].lora_id
    assert f'manage_loras(action="import", lora_id="{lora_id}", trigger="...")' in result.next_step
    assert manage(work, "import", lora_id=lora_id, trigger="zorvex").loras[0].trigger == "zorvex"
    again = manage(work, "import", path=str(tmp_path / "a.safetensors"), trigger="other")
    assert again.loras[0].trigger == "other"
    assert manage(work, "import", lora_id=lora_id, trigger="zor\x7f vex\n").loras[0].trigger == "zor vex"


def test_the_trigger_of_a_lora_that_was_trained_here_is_what_it_learned(work: Workbench) -> None:
    lora = trained(work.store)
    with pytest.raises(Refused, match="trained here on its trigger 'fluentlook'"):
        manage(work, "import", lora_id=lora.id, trigger="other")


# --------------------------------------------------------------------------- import: what is no LoRA


def header_of(entries: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + body


ONE = {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}
WHOLE = loras.content()


@pytest.mark.parametrize(
    ("file", "data", "told"),
    [
        ("a.safetensors", b"", "is empty"),
        ("a.safetensors", WHOLE[:-10], "is not whole"),
        ("a.safetensors", WHOLE[:200], r"header of \d+ bytes|header is broken"),
        ("a.safetensors", WHOLE + b"more", "is not whole"),
        ("a.safetensors", b"PK\x03\x04" + b"x" * 90, "is a zip archive"),
        ("a.safetensors", b"\x80\x04\x95pickled", "is a pickle"),
        ("a.ckpt", WHOLE, "is a pickle by its name"),
        ("a.bin", WHOLE, "is a pickle by its name"),
        ("a.safetensors", b"<!doctype html><html></html>" * 9, "is a web page"),
        ("a.safetensors", b"\x01" * 64, "is of no format that is known"),
        ("a.safetensors", (2**31).to_bytes(8, "little") + b'{"a":1}', "header of 2147483648 bytes"),
        ("a.safetensors", header_of({"a": [1]}), "header is broken"),
        ("a.safetensors", (40).to_bytes(8, "little") + b'{"' + b"[" * 38, "header is broken"),
        ("a.safetensors", header_of({"a.lora_A.weight": {**ONE, "shape": [900, 900]}}, b"x" * 8), "cannot be read"),
        ("a.safetensors", header_of({"a": ONE, "b": ONE}, b"x" * 8), "do not follow each other"),
        ("a.safetensors", header_of({"x.lora_A.weight": ONE}, b"x" * 8), "half of a LoRA"),
        ("a.safetensors", header_of({"x.lokr_w1": ONE}, b"x" * 8), "is a LoKr"),
        ("a.safetensors", header_of({"x.hada_w1_a": ONE}, b"x" * 8), "is a LoHa"),
        ("a.safetensors", header_of({"x.dora_scale": ONE}, b"x" * 8), "is a DoRA"),
        ("a.safetensors", header_of({"model.weight": ONE}, b"x" * 8), "is no LoRA"),
    ],
)
def test_what_is_no_whole_plain_lora_is_refused_in_one_sentence(
    file: str, data: bytes, told: str, work: Workbench, tmp_path: Path
) -> None:
    (tmp_path / file).write_bytes(data)
    with pytest.raises(BadWeights, match=rf"^{file}.*({told}).*\.$"):
        manage(work, "import", path=str(tmp_path / file))
    assert library(work.store) == []
    assert not list((work.store.workspace.home / "loras").rglob("*.safetensors"))


def test_a_lora_for_no_base_that_is_known_says_what_it_calls_itself(work: Workbench, tmp_path: Path) -> None:
    data = header_of(
        {
            "__metadata__": {"ss_base_model_version": "sdxl_base_v1-0"},
            "lora_unet_down_blocks_1.lora_A.weight": ONE,
            "lora_unet_down_blocks_1.lora_B.weight": {**ONE, "data_offsets": [8, 16]},
        },
        b"x" * 16,
    )
    (tmp_path / "xl.safetensors").write_bytes(data)
    with pytest.raises(BadWeights, match=r"no base that is known here.*'sdxl_base_v1-0'"):
        manage(work, "import", path=str(tmp_path / "xl.safetensors"))


def test_a_folder_a_missing_file_and_a_link_to_a_huge_one_are_refused(work: Workbench, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadWeights, match="is a folder"):
        manage(work, "import", path=str(tmp_path / "folder"))
    with pytest.raises(BadWeights, match="There is no file"):
        manage(work, "import", path=str(tmp_path / "none.safetensors"))
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(9 * 2**30)
    link = tmp_path / "link.safetensors"
    link.symlink_to(huge)
    result = manage(work, "import", path=str(link))
    assert result.state == RunState.FAILED
    assert "larger than 8 GiB" in result.summary


def test_import_says_what_it_needs(work: Workbench) -> None:
    with pytest.raises(BadArgument, match="needs path"):
        manage(work, "import")
    with pytest.raises(BadArgument, match="not both"):
        manage(work, "import", path="/a", url="https://a.b/c")
    with pytest.raises(BadArgument, match="neither an https address nor a hub name"):
        manage(work, "import", url="what is this")


@pytest.mark.parametrize(
    "path", ["~nobody-here/a.safetensors", f"/tmp/{'x' * 300}.safetensors", "/tmp/a\0b", "/\ud800"]
)
@pytest.mark.parametrize("action", ["import", "export"])
def test_a_path_that_can_be_none_is_refused_in_one_sentence(action: str, path: str, work: Workbench) -> None:
    lora = trained(work.store)
    with pytest.raises(BadArgument, match=r"^'.*' is no usable path on this machine; give another, in full\.$"):
        manage(work, action, path=path, lora_id=lora.id)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example:99999/a.safetensors",
        "https://files.example:port/a.safetensors",
        "https://[::1/a.safetensors",
        "https://\ud800/a.safetensors",
        "owner/name:\ud800.safetensors",
    ],
)
def test_an_address_that_cannot_be_one_is_told_in_a_sentence(url: str) -> None:
    with pytest.raises(BadArgument, match=r"^The address cannot be read; give it as https://.*\.$"):
        split(url)


def test_an_address_is_told_without_its_keys_and_with_its_host_and_port() -> None:
    assert plain("https://me:s3cret@[2001:db8::1]:8443/a.safetensors?token=s3cret#more") == (
        "https://[2001:db8::1]:8443/a.safetensors"
    )


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, DiskFull), (errno.EROFS, WorkspaceReadOnly)])
def test_a_disk_that_takes_no_more_says_so_and_the_library_is_as_it_was(
    number: int, error: type[Exception], work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = loras.written(tmp_path / "a.safetensors")
    monkeypatch.setattr("shutil.copyfile", refuse)
    with pytest.raises(error):
        manage(work, "import", path=str(path))
    assert library(work.store) == []
    assert not list((work.store.workspace.home / "loras").rglob("*.safetensors"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_library_that_cannot_be_written_says_so_and_is_as_it_was(work: Workbench, tmp_path: Path) -> None:
    folder = work.store.workspace.loras("preview")
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with pytest.raises(WorkspaceReadOnly):
        manage(work, "import", path=str(loras.written(tmp_path / "a.safetensors")))
    assert library(work.store) == []
    folder.chmod(0o700)


# --------------------------------------------------------------------------- import: from the network


@dataclass
class Server:
    """Files on a loopback address. `cuts` are connections still to break in the middle; `moved` are redirects."""

    files: dict[str, tuple[bytes, str]]
    cuts: int = 0
    moved: dict[str, str] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def files_at(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in server.moved:
                self.send_response(302)
                self.send_header("Location", server.moved[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data, kind = server.files.get(path, (b"", ""))
            asked = self.headers.get("range", "")
            server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
            self.send_response(206 if asked else 200 if data else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("ETag", '"one"')
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if server.cuts:
                server.cuts -= 1
                self.wfile.write(data[start : (start + len(data)) // 2])
                self.close_connection = True
                return
            self.wfile.write(data[start:])

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: running.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{running.server_address[1]}"
    try:
        yield server
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard("file", frozenset({"http"}), lambda address: address == "127.0.0.1")
    monkeypatch.setattr(fetching, "GUARD", guard)


WEIGHTS = (loras.content(modelspec__trigger_phrase="zorvex"), "application/octet-stream")


@pytest.mark.usefixtures("loopback")
def test_an_address_is_fetched_by_a_run_that_goes_on_after_a_cut_and_keeps_no_key(work: Workbench) -> None:
    with files_at(Server({"/neon-v2.safetensors": WEIGHTS}, cuts=2)) as server:
        result = manage(work, "import", url=f"{server.address}/neon-v2.safetensors?token=s3cret")
    assert result.state == RunState.SUCCEEDED
    (row,) = result.loras
    assert (row.name, row.version, row.trigger) == ("neon", 2, "zorvex")
    assert row.sha256 == sha256_file(Path(row.path))
    assert [asked for asked in server.ranges if asked] != []
    assert row.source == f"{server.address}/neon-v2.safetensors, ComfyUI's keys"
    (run,) = work.store.where(RunRecord)
    assert run.kind == RunKind.IMPORT
    assert "s3cret" not in json.dumps([run.spec, run.result])
    assert not (work.store.workspace.run(run.id) / "came").exists()
    home = work.store.workspace.home
    assert not [path for path in home.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/page.safetensors", "is a web page"),
        ("/none.safetensors", "answered 404"),
        ("/moved.safetensors", "private network"),
        ("/moved-to-file.safetensors", "Only https"),
        ("/cut.safetensors", "is not whole"),
    ],
)
def test_what_an_address_gives_that_is_no_lora_ends_the_run_with_a_sentence(
    path: str, told: str, work: Workbench
) -> None:
    server = Server(
        {"/page.safetensors": (b"<html>", "text/html"), "/cut.safetensors": (WHOLE[:-9], "")},
        moved={"/moved.safetensors": "http://127.0.0.2/x", "/moved-to-file.safetensors": "file:///etc/passwd"},
    )
    with files_at(server):
        result = manage(work, "import", url=f"{server.address}{path}?key=s3cret")
    assert result.state == RunState.FAILED
    assert told in result.summary
    assert "s3cret" not in json.dumps(work.store.where(RunRecord)[0].spec)


def test_private_addresses_and_plain_http_are_not_fetched(work: Workbench) -> None:
    assert "private network" in manage(work, "import", url="https://127.0.0.1/a.safetensors").summary
    assert "Only https" in manage(work, "import", url="http://example.com/a.safetensors").summary


@pytest.mark.usefixtures("loopback")
def test_a_base_is_asked_for_after_the_download_which_is_not_made_again(work: Workbench) -> None:
    with files_at(Server({"/z.safetensors": (loras.content("z-image"), "")})) as server:
        url = f"{server.address}/z.safetensors"
        assert 'base_model="z-image"' in manage(work, "import", url=url).summary
        again = manage(work, "import", url=url, base_model="z-image")
    assert again.loras[0].base_model == "z-image"
    assert len(server.ranges) == 1
    assert work.store.count(RunRecord) == 1


@contextmanager
def dripping(chunk: bytes, seconds: float) -> Iterator[str]:
    """The address of a server that sends a chunk every so many seconds, without end and without saying how much."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                while not over.wait(seconds):
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    over = threading.Event()
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: running.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/a.safetensors"
    finally:
        over.set()
        running.shutdown()
        running.server_close()
        thread.join()


@pytest.mark.usefixtures("loopback")
def test_a_stop_is_heard_while_a_server_sends_a_byte_now_and_then(work: Workbench) -> None:
    with dripping(b"x", 0.05) as url:
        importing = threading.Thread(target=lambda: manage(work, "import", url=url), daemon=True)
        importing.start()
        part = work.store.workspace.home / "runs"
        while not list(part.rglob("file.part")):
            assert importing.is_alive()
            time.sleep(0.02)
        (run,) = work.store.where(RunRecord)
        runs.request_cancel(work.store, run.id)
        importing.join(10)
        assert not importing.is_alive()
    assert runs.get(work.store, run.id).state == RunState.CANCELLED


@pytest.mark.usefixtures("loopback")
def test_a_file_that_comes_too_slowly_is_given_up(work: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SLOW_SECONDS", 0.3)
    with dripping(b"x", 0.02) as url:
        assert "came too slowly and was given up" in manage(work, "import", url=url).summary


@pytest.mark.usefixtures("loopback")
def test_the_room_is_looked_at_while_a_file_of_unknown_length_comes(
    work: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter([fetching.SPARE + 1, fetching.SPARE + 1, 0])
    monkeypatch.setattr(fetching, "LOOK_BYTES", 1_000_000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: SimpleNamespace(free=next(room)))
    with dripping(b"x" * 500_000, 0.01) as url:
        assert "the workspace's disk has no room" in manage(work, "import", url=url).summary


def test_a_key_does_not_outlive_an_import_that_is_stopped_before_it_begins(
    work: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.tools.manage_loras.tool.WAIT_SECONDS", 0.1)
    waiting = replace(work, launch=lambda _: None)
    run = manage(waiting, "import", url="https://files.example/a.safetensors?token=s3cret")
    kept = work.store.workspace.run(str(run.run_id)) / runs.SECRET
    assert "s3cret" in kept.read_text()
    runs.request_cancel(work.store, str(run.run_id))
    assert not kept.exists()


@pytest.fixture
def hub_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hub, str], None]:
    def point(hub: Hub, token: str = "") -> None:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere/token")
        monkeypatch.setenv("HF_TOKEN", token)

    return point


def test_a_hub_name_is_got_with_its_file_or_asked_which(work: Workbench, hub_here: Callable[[Hub, str], None]) -> None:
    there = {"pytorch_lora_weights.safetensors": loras.content(), "b.safetensors": loras.content(seed=4), "x.md": b"x"}
    with serving(Hub("owner/neon-city", dict(there), cuts={"pytorch_lora_weights.safetensors": 1})) as hub:
        hub_here(hub, "")
        which = manage(work, "import", url="owner/neon-city")
        assert 'url="owner/neon-city:b.safetensors" or url="owner/neon-city:pytorch_lora' in which.summary
        (row,) = manage(work, "import", url="owner/neon-city:pytorch_lora_weights.safetensors").loras
        assert row.name == "neon-city"
        assert row.source == "owner/neon-city:pytorch_lora_weights.safetensors at the hub, ComfyUI's keys"
        hub.files = {"only.safetensors": loras.content(seed=9)}
        assert manage(work, "import", url="owner/neon-city").loras[0].name == "only"
        assert "shows no repository owner/other" in manage(work, "import", url="owner/other").summary
        hub.files = {"a.ckpt": b"x"}
        hub.commits.append("another")
        assert "no .safetensors file" in manage(work, "import", url="owner/neon-city").summary


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_while_the_hub_sends_is_told(
    error: Exception, work: Workbench, hub_here: Callable[[Hub, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", full)
    with serving(Hub("owner/neon", {"a.safetensors": loras.content()})) as hub:
        hub_here(hub, "")
        assert (
            "a.safetensors could not be written (No space left on device)"
            in manage(work, "import", url="owner/neon").summary
        )


# --------------------------------------------------------------------------- in use


def test_several_active_loras_of_one_base_are_drawn_together_with_their_strengths(work: Workbench) -> None:
    one, two, other = trained(work.store, "one"), trained(work.store, "two"), trained(work.store, "three")
    manage(work, "activate", lora_id=one.id, strength=0.8)
    both = manage(work, "activate", lora_id=two.id, strength=0.4)
    assert "one v1 at 0.8, two v1 at 0.4" in both.summary
    result = render(work, deck=deck(("cover",)))
    assert "active LoRAs" in result.told[0]
    engine = work.engines.open("painter")
    assert isinstance(engine, Painter)
    assert [(lora.sha256, lora.strength) for lora in engine.requests[0].loras] == [(one.sha256, 0.8), (two.sha256, 0.4)]
    manage(work, "deactivate", lora_id=one.id)
    assert [lora.id for lora in default_loras(work.store)] == [two.id]
    manage(work, "deactivate", lora_id=two.id)
    assert [lora.id for lora in default_loras(work.store)] == [other.id]


def test_active_loras_of_another_base_than_the_newest_active_ones_are_left_out(work: Workbench) -> None:
    flux = trained(work.store, "flux", base_model="flux1-dev", preview=False)
    here = trained(work.store, "here")
    for lora in (flux, here):
        manage(work, "activate", lora_id=lora.id)
    assert [lora.id for lora in default_loras(work.store)] == [here.id]
    assert [lora.id for lora in default_loras(work.store, "flux1-dev")] == [flux.id]


def test_the_lora_that_was_activated_last_decides_which_base_draws(work: Workbench) -> None:
    older = trained(work.store, "older", base_model="flux2-dev", preview=False)
    newer = trained(work.store, "newer")
    for lora in (newer, older):
        manage(work, "activate", lora_id=lora.id)
    assert [lora.id for lora in default_loras(work.store)] == [older.id]
    manage(work, "activate", lora_id=newer.id)
    assert [lora.id for lora in default_loras(work.store)] == [newer.id]
    assert newer.id in called(work, "list_loras").next_step


def test_a_lora_that_is_deleted_while_it_is_activated_is_not_in_use(
    work: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = trained(work.store)
    monkeypatch.setattr(
        "loradeck.tools.manage_loras.tool.require_whole", lambda one: manage(work, "delete", lora_id=one.id)
    )
    with pytest.raises(NotFound, match="is deleted"):
        manage(work, "activate", lora_id=lora.id, strength=2)
    (back,) = manage(work, "restore", lora_id=lora.id).loras
    assert (back.active, back.strength) == (False, 1.0)


def test_a_file_that_is_gone_or_changed_is_told_and_not_used(work: Workbench) -> None:
    lora = trained(work.store)
    assert "Its file is whole: its hash is as it came." in called(work, "list_loras", lora_id=lora.id).told
    Path(lora.path).write_bytes(b"x" * lora.bytes)
    with pytest.raises(Refused, match="was changed since it came"):
        manage(work, "activate", lora_id=lora.id)
    with pytest.raises(Refused, match="was changed since it came"):
        render(work, deck=deck(("cover",)))
    Path(lora.path).unlink()
    assert any("Its file is gone" in line for line in called(work, "list_loras", lora_id=lora.id).told)


# --------------------------------------------------------------------------- trash


def test_delete_moves_to_the_trash_and_restore_brings_the_same_lora_back(work: Workbench) -> None:
    lora = trained(work.store)
    Path(lora.path).with_suffix(".md").write_text("card")
    render(work, deck=deck(("cover",)))
    manage(work, "activate", lora_id=lora.id, strength=0.7)
    gone = manage(work, "delete", lora_id=lora.id)
    assert "'The Bakery'" in gone.told[0]
    assert gone.loras[0].deleted_at
    assert not Path(lora.path).exists()
    assert ".trash" in gone.loras[0].path
    assert called(work, "list_loras").loras == []
    assert called(work, "list_loras", lora_id=lora.id).loras[0].deleted_at
    with pytest.raises(NotFound, match='action="restore"'):
        manage(work, "activate", lora_id=lora.id)
    (back,) = manage(work, "restore", lora_id="fluent").loras
    assert (back.lora_id, back.version, back.path, back.sha256) == (lora.id, 1, lora.path, lora.sha256)
    assert (back.active, back.strength) == (False, 0.7)
    assert Path(lora.path).with_suffix(".md").read_text() == "card"
    with pytest.raises(NotFound, match="is not deleted"):
        manage(work, "restore", lora_id=lora.id)


def test_a_deleted_file_that_is_imported_again_is_told_to_be_restored(work: Workbench, tmp_path: Path) -> None:
    path = loras.written(tmp_path / "a.safetensors")
    (row,) = manage(work, "import", path=str(path)).loras
    manage(work, "delete", lora_id=row.lora_id)
    with pytest.raises(Refused, match="lies in the trash"):
        manage(work, "import", path=str(path))


def test_a_trashed_file_that_was_changed_is_not_restored(work: Workbench) -> None:
    lora = trained(work.store)
    (gone,) = manage(work, "delete", lora_id=lora.id).loras
    Path(gone.path).write_bytes(b"other")
    with pytest.raises(Refused, match="was changed"):
        manage(work, "restore", lora_id=lora.id)
    assert Path(gone.path).read_bytes() == b"other"
    assert not Path(lora.path).exists()


def test_a_file_in_the_place_of_a_deleted_one_is_never_replaced(work: Workbench) -> None:
    lora = trained(work.store)
    manage(work, "delete", lora_id=lora.id)
    Path(lora.path).write_bytes(b"mine")
    with pytest.raises(Refused, match="not by loradeck"):
        manage(work, "restore", lora_id=lora.id)
    assert Path(lora.path).read_bytes() == b"mine"


def test_a_persons_own_file_stays_where_it_is_when_the_trash_was_emptied(work: Workbench) -> None:
    lora = trained(work.store)
    (gone,) = manage(work, "delete", lora_id=lora.id).loras
    Path(gone.path).unlink()
    own, notes = Path(lora.path), Path(lora.path).with_suffix(".md")
    own.write_bytes(b"my own")
    notes.write_text("my notes")
    with pytest.raises(Refused, match=r"in the trash is gone; .* put it at .*\.trash"):
        manage(work, "restore", lora_id=lora.id)
    assert (own.read_bytes(), notes.read_text()) == (b"my own", "my notes")


def test_a_persons_own_notes_do_not_become_the_card_of_a_restored_lora(work: Workbench) -> None:
    lora = trained(work.store)
    (gone,) = manage(work, "delete", lora_id=lora.id).loras
    Path(lora.path).with_suffix(".md").write_text("my notes")
    with pytest.raises(Refused, match=r"fluent-v1\.md is there, and not by loradeck"):
        manage(work, "restore", lora_id=lora.id)
    assert Path(gone.path).is_file()


def test_a_restore_that_was_cut_between_its_files_and_its_row_goes_on(work: Workbench) -> None:
    lora = trained(work.store)
    (gone,) = manage(work, "delete", lora_id=lora.id).loras
    Path(gone.path).rename(lora.path)
    assert manage(work, "restore", lora_id=lora.id).loras[0].path == lora.path


def test_delete_by_a_name_of_several_versions_is_refused_so_that_a_second_call_deletes_no_other(
    work: Workbench,
) -> None:
    first, second = trained(work.store), trained(work.store, trigger="b")
    with pytest.raises(Refused, match=rf"{second.id}.*{first.id}"):
        manage(work, "delete", lora_id="fluent")
    manage(work, "delete", lora_id="fluent-v2")
    with pytest.raises(NotFound, match="is deleted"):
        manage(work, "delete", lora_id="fluent-v2")
    assert [lora.id for lora in library(work.store)] == [first.id]
    assert load("manage_loras").idempotent is False


def test_a_lora_that_a_run_under_way_uses_is_not_deleted(work: Workbench) -> None:
    lora = trained(work.store)
    work.store.add(RunRecord(id="run_a", kind="train", state="running", spec={"parent_lora_id": lora.id}))
    with pytest.raises(Refused, match="run_a, which is under way"):
        manage(work, "delete", lora_id=lora.id)
    assert Path(lora.path).is_file()


# --------------------------------------------------------------------------- lineage


def test_the_lineage_of_a_lora_is_told(work: Workbench) -> None:
    first = trained(work.store, "baker")
    second = trained(work.store, "baker", trigger="b", parent_lora_id=first.id)
    third = trained(work.store, "baker", trigger="c", parent_lora_id=second.id)
    render(work, deck=deck(("cover",)), loras=[{"lora_id": third.id}])
    told = called(work, "list_loras", lora_id=third.id).told
    assert told[0] == f"It goes on from baker v2 ({second.id}), which goes on from baker v1 ({first.id})."
    assert any("Decks drawn with it: 'The Bakery'" in line for line in told)
    assert f"Trained further as baker v2 ({second.id})." in called(work, "list_loras", lora_id=first.id).told


# --------------------------------------------------------------------------- publish


@pytest.fixture
def published(work: Workbench, tmp_path: Path) -> LoraRecord:
    """A LoRA of a run with two sample pictures."""
    (row,) = manage(work, "import", path=str(loras.written(tmp_path / "neon.safetensors")), trigger="zorvex").loras
    store = work.store
    store.add(RunRecord(id="run_t", kind="train", state="succeeded", spec={"pairs": [{"image": "a" * 64}]}))
    for number in (1, 2):
        picture = tmp_path / f"{number}.png"
        picture.write_bytes(b"\x89PNG" + bytes([number]) * 9)
        store.add(SampleRecord("run_t", 100, str(picture), f"zorvex, [a house] {number}"))
    store.change(LoraRecord, row.lora_id, run_id="run_t")
    return find_lora(store, row.lora_id)


def willing(work: Workbench) -> tuple[Workbench, list[str]]:
    """A client whose person says yes, and what they were asked."""
    asked: list[str] = []
    return replace(work, ask=lambda question: asked.append(question) or True), asked


def test_publishing_makes_a_private_repository_with_a_card_once_the_person_agreed(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    asking, asked = willing(work)
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        result = manage(asking, "publish", lora_id=published.id, name="owner/neon")
        again = manage(asking, "publish", lora_id=published.id, name="owner/neon")
    assert result.state == RunState.SUCCEEDED, result.summary
    assert hub.private is True
    assert len(hub.commits) == len(asked) == 1
    assert "nothing was sent again" in again.summary
    assert {"README.md", "pytorch_lora_weights.safetensors", "images/1.png", "neon-v1-comfyui.safetensors"} <= set(
        hub.files
    )
    card = hub.files["README.md"].decode()
    assert card.startswith("---\n")
    assert "This LoRA is for loradeck's embedded preview base alone" in card
    for words in ('instance_prompt: "zorvex"', "## Gallery", "(images/1.png)", "## Images and credits", "## Licence"):
        assert words in card
    home = work.store.workspace.home
    assert not [path for path in home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert any("Published" in line for line in called(work, "list_loras", lora_id=published.id).told)


def publish(work: Workbench, lora: LoraRecord, **more: str) -> LorasResult:
    return manage(work, "publish", lora_id=lora.id, name="owner/neon", **more)


def offer_of(answer: LorasResult) -> str:
    assert "Nothing was sent yet" in answer.summary
    return re.findall(r'offer_id="(offer_\w+)"', answer.next_step)[0]


def test_a_client_that_cannot_ask_agrees_by_the_id_of_the_offer(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        first = offer_of(publish(work, published))
        second = offer_of(publish(work, published))  # the same call again is no yes
        third = offer_of(publish(work, published, offer_id=first))  # nor is an offer that another took the place of
        assert len({first, second, third}) == 3
        assert hub.private is None
        assert publish(work, published, offer_id=third).state == RunState.SUCCEEDED
        assert hub.private is True


def test_an_offer_lapses_after_an_hour_and_with_what_it_offered(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        offer = offer_of(publish(work, published))
        with monkeypatch.context() as later:
            later.setattr(publishing, "OFFER_LASTS", timedelta(0))
            offer = offer_of(publish(work, published, offer_id=offer))
        manage(work, "import", lora_id=published.id, trigger="other")
        assert offer_of(publish(work, published, offer_id=offer)) != offer
        assert hub.private is None


def test_a_client_that_can_ask_is_asked_whatever_was_offered_before(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        offer = offer_of(publish(work, published))
        with pytest.raises(Refused, match="person said no"):
            publish(replace(work, ask=lambda question: False), published, offer_id=offer)
        assert hub.private is None


@pytest.mark.parametrize("name", ["README.md", "pytorch_lora_weights.safetensors"])
def test_what_others_put_into_a_repository_is_named_and_stays(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None], name: str
) -> None:
    with serving(Hub("owner/neon", {name: b"mine", "notes.md": b"mine too"}, private=True)) as hub:
        hub_here(hub, TOKEN)
        result = publish(replace(work, ask=lambda question: True), published)
    assert result.state == RunState.FAILED
    assert f"owner/neon has {name} already" in result.summary
    assert hub.files == {name: b"mine", "notes.md": b"mine too"}


def test_another_lora_does_not_take_the_place_of_the_one_that_is_published(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None], tmp_path: Path
) -> None:
    yes = replace(work, ask=lambda question: True)
    (other,) = manage(work, "import", path=str(loras.written(tmp_path / "b.safetensors", seed=5))).loras
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        publish(yes, published)
        before = dict(hub.files)
        assert "pytorch_lora_weights.safetensors already" in publish(yes, find_lora(work.store, other.lora_id)).summary
        assert hub.files == before


def test_a_card_that_changed_is_published_again_after_another_question(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    asking, asked = willing(work)
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        publish(asking, published)
        manage(work, "import", lora_id=published.id, trigger="newword")
        assert publish(asking, published).state == RunState.SUCCEEDED
        assert "newword" in hub.files["README.md"].decode()
        hub.files["README.md"] = b"changed at the hub"
        manage(work, "import", lora_id=published.id, trigger="third")
        assert "has README.md already" in publish(asking, published).summary
    assert hub.files["README.md"] == b"changed at the hub"
    assert len(asked) == 3


@pytest.mark.parametrize("gone", ["repository", "pytorch_lora_weights.safetensors"])
def test_what_is_gone_at_the_hub_is_sent_again_after_another_question(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None], gone: str
) -> None:
    asking, asked = willing(work)
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        publish(asking, published)
        there = dict(hub.files)
        if gone == "repository":
            hub.private = None
            hub.files.clear()
        else:
            del hub.files[gone]
        assert publish(asking, published).state == RunState.SUCCEEDED
        assert hub.files == there
    assert len(asked) == 2


@pytest.mark.parametrize("looks", [1, 2])
def test_a_publish_that_is_stopped_sends_nothing_more(
    work: Workbench,
    published: LoraRecord,
    hub_here: Callable[[Hub, str], None],
    monkeypatch: pytest.MonkeyPatch,
    looks: int,
) -> None:
    """Before the repository is made, and between that and the sending."""
    left = iter(range(looks, 0, -1))

    def check(reporter: StoreReporter) -> None:
        if next(left) == 1:
            raise Cancelled("stopped")

    monkeypatch.setattr(StoreReporter, "raise_if_cancelled", check)
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        assert publish(replace(work, ask=lambda question: True), published).state == RunState.CANCELLED
        assert (hub.private, hub.files) == (None if looks == 1 else True, {})
        assert "offer_id=" in publish(work, published).next_step, "after a stop the person is asked again"


def test_what_changed_since_the_person_agreed_is_not_sent(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    later: list[str] = []
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, TOKEN)
        manage(
            replace(work, ask=lambda question: True, launch=later.append), "publish", lora_id=published.id,
            name="owner/neon",
        )  # fmt: skip
        work.store.change(LoraRecord, published.id, trigger="other")
        work.launch(later[0])
        assert "changed since the person agreed" in str(runs.get(work.store, later[0]).error)
        assert hub.private is None


def test_publishing_needs_a_token_a_name_a_yes_and_images_that_may_leave(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    with serving(Hub("owner/neon", {}, private=None)) as hub:
        hub_here(hub, "")
        with pytest.raises(NotInstalled, match="set HF_TOKEN"):
            manage(work, "publish", lora_id=published.id, name="owner/neon")
        hub_here(hub, TOKEN)
        with pytest.raises(BadArgument, match="owner/name"):
            manage(work, "publish", lora_id=published.id, name="neon")
        with pytest.raises(Refused, match="person said no"):
            manage(replace(work, ask=lambda question: False), "publish", lora_id=published.id, name="owner/neon")
        work.store.add(DatasetRecord(id="ds", name="a", profile="style", target_model="preview", resolution=64))
        work.store.add(
            ImageRecord(
                id="img_a", dataset_id="ds", number=1, file="a", original_path="a", original_name="a",
                sha256="a" * 64, status="kept", rights={"may_leave": False},
            )
        )  # fmt: skip
        with pytest.raises(Refused, match="IMG-RIGHTS"):
            manage(work, "publish", lora_id=published.id, name="owner/neon")
        assert hub.private is None


def test_a_repository_that_everybody_sees_gets_nothing_and_a_hub_that_is_down_is_gone_on_with(
    work: Workbench, published: LoraRecord, hub_here: Callable[[Hub, str], None]
) -> None:
    yes = replace(work, ask=lambda question: True)
    with serving(Hub("owner/neon", {}, private=False)) as hub:
        hub_here(hub, TOKEN)
        assert "can be seen by everybody" in manage(yes, "publish", lora_id=published.id, name="owner/neon").summary
        assert hub.files == {}
        hub.private = True
        assert publish(work, published).state == RunState.SUCCEEDED


# --------------------------------------------------------------------------- what may not leave


@pytest.fixture
def secret(work: Workbench, tmp_path: Path) -> LoraRecord:
    """A LoRA of a run on one image that may not leave, taken in and set aside as a training does."""
    (tmp_path / "in").mkdir()
    Image.effect_noise((300, 300), 60).convert("RGB").save(tmp_path / "in" / "one.png")
    curate(work, source=str(tmp_path / "in"), name="secret", resolution=128, rights={"may_leave": False})
    (image,) = work.store.where(ImageRecord)
    run_id, source = "run_s", (copy_path(work.store, image), "zorvex, noise", image.copy_sha256)
    pairs = [pair.as_row() for pair in take(work.store.workspace.run(run_id) / "dataset", [source])]
    work.store.add(
        RunRecord(id=run_id, kind="train", state="succeeded", dataset_id=image.dataset_id, spec={"pairs": pairs})
    )
    path = loras.written(tmp_path / "s.safetensors", seed=7)
    return trained(work.store, "secret", run_id=run_id, dataset_id=image.dataset_id, source=path)


def curate(work: Workbench, **arguments: Any) -> None:
    spec = load("curate_dataset")
    spec.handler(spec.args.model_validate(arguments), work)


def test_what_learned_from_an_image_that_may_not_leave_stays_when_its_copy_is_made_again(
    work: Workbench, secret: LoraRecord
) -> None:
    before = work.store.where(ImageRecord)[0].copy_sha256
    curate(work, dataset_id="secret", resolution=64)
    assert work.store.where(ImageRecord)[0].copy_sha256 != before
    with pytest.raises(Refused, match="learned from 1 images"):
        may_be_published(work.store, secret)
    curate(work, dataset_id="secret", rights={"may_leave": True})
    may_be_published(work.store, secret)


@pytest.mark.usefixtures("secret")
def test_a_stopped_training_on_it_does_not_go_on_elsewhere_either(work: Workbench) -> None:
    curate(work, dataset_id="secret", resolution=64)
    work.store.change(RunRecord, "run_s", state="cancelled", engine="painter")
    spec = load("start_training")
    with pytest.raises(Refused, match="IMG-RIGHTS: the set of run_s"):
        spec.handler(spec.args.model_validate({"resume": "run_s"}), bench(work.store, Painter(elsewhere=True)))


def test_an_image_of_a_run_that_its_dataset_does_not_know_any_more_counts_as_any_of_them(
    work: Workbench, secret: LoraRecord
) -> None:
    work.store.change(RunRecord, "run_s", spec={"pairs": [{"file": "gone.png", "image": "0" * 64}]})
    with pytest.raises(Refused, match="IMG-RIGHTS"):
        may_be_published(work.store, secret)


def test_an_export_that_comes_back_may_leave_as_little_as_what_it_was_written_from(
    work: Workbench, secret: LoraRecord, tmp_path: Path
) -> None:
    for file in manage(work, "export", lora_id=secret.id, path=str(tmp_path / "out")).files:
        if file.path.endswith(".safetensors"):
            (row,) = manage(work, "import", path=file.path).loras
            if row.lora_id == secret.id:  # the same bytes
                continue
            assert row.parent_lora_id is None
            with pytest.raises(Refused, match="IMG-RIGHTS"):
                may_be_published(work.store, find_lora(work.store, row.lora_id))
            said = called(work, "list_loras", lora_id=row.lora_id)
            assert f"an export of secret v1 ({secret.id})" in json.dumps(said.model_dump())


def test_a_checkpoint_that_is_imported_may_leave_as_little_as_its_training(
    work: Workbench, secret: LoraRecord, tmp_path: Path
) -> None:
    path = loras.written(tmp_path / "100.safetensors", seed=8)
    work.store.add(CheckpointRecord("run_s", 100, str(path), sha256_file(path)))
    (row,) = manage(work, "import", path=str(path)).loras
    assert "a checkpoint of run_s" in json.dumps(called(work, "list_loras", lora_id=row.lora_id).model_dump())
    with pytest.raises(Refused, match="IMG-RIGHTS"):
        may_be_published(work.store, find_lora(work.store, row.lora_id))
