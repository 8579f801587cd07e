"""The parts of a multipart body as they come in, one of them in pieces so that a large file is never in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from python_multipart.multipart import MultipartParser, parse_options_header
from support.hosts.exchange import Request


class Form:
    """Iterating gives the bytes of the part called `streamed`; its file's name and type are known after the first.

    The other parts are in `fields` when the body is over.
    """

    def __init__(self, request: Request, streamed: str) -> None:
        self.fields: dict[str, bytes] = {}
        self.file_name, self.content_type = "file", "application/octet-stream"
        self._streamed, self._request = streamed, request
        self._part, self._header, self._ready = "", b"", list[bytes]()
        _, options = parse_options_header(request.headers["content-type"])
        calls: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_data,
            "on_header_value": self._header_data,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
        }
        self._parser = MultipartParser(options[b"boundary"], calls)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._request.pieces():
            self._parser.write(piece)
            ready, self._ready = self._ready, []
            yield from ready

    def _begin(self) -> None:
        self._part = ""

    def _header_data(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_end(self) -> None:
        text, self._header = self._header.decode(), b""
        if named := re.search(r'(?<!file)name="([^"]*)"', text):
            self._part = named[1]
        if self._part != self._streamed:
            return
        if file := re.search(r'filename="([^"]*)"', text):
            self.file_name = file[1]
        if typed := re.fullmatch(r"content-type(.+)", text, re.IGNORECASE):
            self.content_type = typed[1]

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part == self._streamed:
            self._ready.append(data[start:end])
        else:
            self.fields[self._part] = self.fields.get(self._part, b"") + data[start:end]
