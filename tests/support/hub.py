"""A hub of models on a real socket, as much of huggingface.co's as a download and an upload meet.

Info, tree, files and refusals; a repository made, large files by git-lfs, a commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" * 6 + "beef"
TOKEN = "hf_right"

INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/[^/]+)?")
TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/[^/]+")
PREUPLOAD = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/preupload/[^/]+")
COMMIT_TO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/commit/[^/]+")
LFS = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<name>.+)")


@dataclass
class Hub:
    """What the hub serves and how it behaves; `asked` lists every file that was sent, with the byte it began at.

    `private` is None for a repository that nobody made yet; `commits` are the messages of what was uploaded.
    """

    repository: str
    files: dict[str, bytes]
    gated: bool = False
    accepted: bool = True
    down: int = 0
    cuts: dict[str, int] = field(default_factory=dict)  # connections still to be cut in the middle of a file
    asked: list[tuple[str, int]] = field(default_factory=list)
    endpoint: str = ""
    private: bool | None = False
    commits: list[str] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)  # by SHA-256, sent ahead of a commit

    @classmethod
    def of(cls, repository: str, folder: Path, **more: bytes) -> Hub:
        """A hub that serves a folder's files."""
        there = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        return cls(repository, {**there, **more})

    def names(self) -> set[str]:
        """The files that were sent."""
        return {name for name, _ in self.asked}


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub answers on a port of this machine, at `hub.endpoint`, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if hub.down:
            return self._refuse(hub.down)
        if token and token != TOKEN:
            return self._refuse(401, message="Invalid credentials in Authorization header")
        known = next((found for form in (TREE, FILE, INFO) if (found := form.fullmatch(path))), None)
        if known is None or known["repo"] != hub.repository or hub.private is None:
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if known.re is FILE:
            return self._file(known["name"], token, body)
        return self._json(self._tree() if known.re is TREE else self._info("blobs=" in self.path))

    def do_POST(self) -> None:
        """Make a repository, say how files are to be sent, take a commit."""
        hub, path = self.hub, self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if hub.down:
            return self._refuse(hub.down)
        if self.headers.get("authorization", "") != f"Bearer {TOKEN}":
            return self._refuse(401, message="Invalid credentials in Authorization header")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        known = next((found for form in (PREUPLOAD, COMMIT_TO, LFS) if (found := form.fullmatch(path))), None)
        if known is None or known["repo"] != hub.repository or hub.private is None:
            return self._refuse(404, "RepoNotFound", "Repository not found")
        if known.re is PREUPLOAD:
            return self._json({"files": [self._way(one) for one in json.loads(body)["files"]]})
        if known.re is LFS:
            return self._json({"transfer": "basic", "objects": [self._put(one) for one in json.loads(body)["objects"]]})
        return self._commit([json.loads(line) for line in body.splitlines()])

    def do_PUT(self) -> None:
        """The content of a large file, at the address that the hub gave for it."""
        data = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.hub.large[hashlib.sha256(data).hexdigest()] = data
        self._json({})

    def _create(self, asked: dict[str, Any]) -> None:
        hub, name = self.hub, f"{asked.get('organization') or 'owner'}/{asked['name']}"
        if name != hub.repository:
            return self._refuse(403, message="You have no rights there")
        made = hub.private is None
        if made:
            hub.private = asked.get("visibility") == "private"
        self._json({"url": f"{hub.endpoint}/{name}"}, status=200 if made else 409)
        return None

    def _way(self, one: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if _is_large(one["path"]) else "regular"
        return {"path": one["path"], "uploadMode": mode, "shouldIgnore": False}

    def _put(self, one: dict[str, Any]) -> dict[str, Any]:
        there = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] in self.hub.large:
            return there
        return {**there, "actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{one['oid']}"}}}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        hub = self.hub
        if lines[0]["value"].get("parentCommit", COMMIT) != COMMIT:
            return self._refuse(412, message="A commit has happened since")
        for line in lines:
            told = line["value"]
            if line["key"] == "header":
                hub.commits.append(told["summary"])
            elif line["key"] == "file":
                hub.files[told["path"]] = base64.b64decode(told["content"])
            elif line["key"] == "lfsFile":
                hub.files[told["path"]] = hub.large[told["oid"]]
        self._json({"commitUrl": f"{hub.endpoint}/{hub.repository}/commit/{COMMIT}", "commitOid": COMMIT})
        return None

    def _info(self, closely: bool) -> dict[str, Any]:
        siblings = [{"rfilename": name, **(_told(name, data) if closely else {})} for name, data in self._all()]
        return {
            "id": self.hub.repository,
            "sha": COMMIT,
            "private": bool(self.hub.private),
            "gated": self.hub.gated and "auto",
            "siblings": siblings,
        }

    def _all(self) -> list[tuple[str, bytes]]:
        """The files, with the one that every repository is made with."""
        return [(".gitattributes", b"*.safetensors filter=lfs"), *self.hub.files.items()]

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}
            for name, data in self.hub.files.items()
        ]

    def _file(self, name: str, token: str, body: bool) -> None:
        hub = self.hub
        if hub.gated and not (token and hub.accepted):
            return self._refuse(403 if token else 401, "GatedRepo", "Access to this model is restricted")
        if name not in hub.files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        data = hub.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{_oid(data)}"')
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if not body:
            return None
        hub.asked.append((name, start))
        if hub.cuts.get(name, 0):
            hub.cuts[name] -= 1
            self.wfile.write(data[start : (start + len(data)) // 2])
            self.wfile.flush()
            self.close_connection = True
            return None
        self.wfile.write(data[start:])
        return None

    def _json(self, answer: Any, status: int = 200) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on standard error."""


def _is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".png"))


def _told(name: str, data: bytes) -> dict[str, Any]:
    """Size and git's id of a file; of a large one git keeps a pointer, and the content is told by its SHA-256."""
    if not _is_large(name):
        return {"size": len(data), "blobId": _oid(data)}
    digest = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()
    large = {"sha256": digest, "size": len(data), "pointerSize": len(pointer)}
    return {"size": len(data), "blobId": _oid(pointer), "lfs": large}


def _oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
