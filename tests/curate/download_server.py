"""A web server on this machine for the tests of downloads: ranges, and on request every misbehaviour."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from yolo.curate.fetch import Archive

Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; the first of `server.behaviours`, if any is left, answers instead of `serve_ranges`."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        self.close_connection = True
        content = self.server.files.get(self.path)
        behaviour = self.server.behaviours.pop(0) if self.server.behaviours else serve_ranges
        if content is None:
            self.answer(404, b"no such file")
        else:
            behaviour(self, content)

    def answer(self, status: int, body: bytes = b"", *, length: int | None = -1, **headers: str) -> None:
        """Status, headers, body; `length` is what Content-Length says: -1 for the truth, None for nothing."""
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length == -1 else length))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the tests are quiet."""


class FileServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reset()

    def reset(self) -> None:
        self.files: dict[str, bytes] = {}
        self.behaviours: list[Behaviour] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def put(self, name: str, content: bytes, **changes: Any) -> Archive:
        """Serve a file and describe it; what is described can be changed."""
        self.files[f"/{name}"] = content
        values: dict[str, Any] = {
            "name": name,
            "addresses": (self.address(f"/{name}"),),
            "num_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "inside": ".",
            "folder": "things",
            "max_bytes": 1 << 20,
            "max_files": 100,
        }
        return Archive(**(values | changes))

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


@contextmanager
def file_server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def serve_ranges(handler: Handler, content: bytes) -> None:
    wanted = handler.headers.get("Range")
    if wanted is None:
        handler.answer(200, content)
        return
    begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if begin >= len(content):
        handler.answer(416)
        return
    span = f"bytes {begin}-{len(content) - 1}/{len(content)}"
    handler.answer(206, content[begin:], Content_Range=span)


def cut_after(count: int) -> Behaviour:
    """Promise the whole file, send so many bytes of it and hang up."""

    def behave(handler: Handler, content: bytes) -> None:
        handler.answer(200, content[:count], length=len(content))

    return behave


def ignore_range(handler: Handler, content: bytes) -> None:
    handler.answer(200, content)


def status(code: int) -> Behaviour:
    return lambda handler, content: handler.answer(code, b"sorry")


def redirect(to: str) -> Behaviour:
    return lambda handler, content: handler.answer(302, b"elsewhere", Location=to)


def tar_of(files: Mapping[str, bytes], *, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as opened:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def manifest_of(*archives: Archive, **descriptor: Any) -> str:
    """A manifest with one dataset, `things`, of these archives."""
    described = {
        archive.name: {
            "addresses": list(archive.addresses),
            "bytes": archive.num_bytes,
            "sha256": archive.sha256,
            "inside": archive.inside,
            "folder": archive.folder,
            "max_bytes": archive.max_bytes,
            "max_files": archive.max_files,
        }
        for archive in archives
    }
    dataset = {
        "archives": list(described),
        "terms": "free",
        "yaml": "things.yaml",
        "descriptor": descriptor or {"train": "things/images", "names": ["thing"]},
    }
    return yaml.safe_dump(
        {"terms": {"free": "Do what you like."}, "archives": described, "datasets": {"things": dataset}}
    )
