import base64
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.curate.download_server import FileServer, Handler, file_server, redirect, status
from yolo.http import PermanentError, TransientError, is_internal, open_address, read_pieces


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def server(shared_server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    monkeypatch.setenv("no_proxy", "*")
    shared_server.reset()
    shared_server.files["/a"] = b"content"
    return shared_server


def body(address: str, *, limit: int = 100, seconds: float = 5, timeout: float = 2) -> bytes:
    with open_address(address, timeout=timeout) as response:
        return b"".join(read_pieces(response, limit=limit, seconds=seconds))


def test_an_address_that_was_given_may_be_internal(server: FileServer) -> None:
    assert body(server.address("/a")) == b"content"


def test_redirects_on_the_given_machine(server: FileServer) -> None:
    server.behaviours = [redirect("/a"), redirect(server.address("/a"))]
    assert body(server.address("/a")) == b"content"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "not allowed"),
        ("ftp://127.0.0.1/a", "not http"),
        ("http://127.0.0.2:{port}/a", "an internal address"),
        ("http://169.254.169.254/latest/meta-data", "an internal address"),
        ("http://[::ffff:10.0.0.1]/a", "an internal address"),
        ("http://2130706434:{port}/a", "an internal address"),  # 127.0.0.2 as one number
        ("https://10.0.0.1/a", "an internal address"),
    ],
)
def test_redirects_to_others_than_public_machines_are_refused(server: FileServer, target: str, message: str) -> None:
    server.behaviours = [redirect(target.format(port=server.server_port))]
    with pytest.raises(PermanentError, match=message):
        body(server.address("/a"))
    assert len(server.requests) == 1


def test_a_name_that_changes_its_meaning(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is resolved once for each request; what it meant first does not make allowed what it means later."""
    answers = ["127.0.0.1", "10.0.0.1"]
    asked: list[str] = []

    def resolve(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr("yolo.http.socket.getaddrinfo", resolve)
    address = f"http://rebinding.test:{server.server_port}/a"
    server.behaviours = [redirect(address)]
    with pytest.raises(PermanentError, match=r"rebinding.test \(10.0.0.1\)"):
        body(address)
    assert asked == ["rebinding.test", "rebinding.test"]


def test_one_internal_address_among_public_ones_is_enough(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        places = ["127.0.0.1"] if host == "given.test" else ["8.8.8.8", "192.168.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port)) for place in places]

    monkeypatch.setattr("yolo.http.socket.getaddrinfo", resolve)
    server.behaviours = [redirect("http://mixed.test/a")]
    with pytest.raises(PermanentError, match=r"192\.168\.0\.1"):
        body(f"http://given.test:{server.server_port}/a")


def test_behind_a_proxy_redirects_are_checked_too(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.address(""))
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(
        "yolo.http.socket.getaddrinfo",
        lambda host, port, **options: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))],
    )
    server.files["http://8.8.8.8/a"] = b"by the proxy"
    assert body("http://8.8.8.8/a") == b"by the proxy"
    server.behaviours = [redirect("http://10.0.0.1/a")]
    with pytest.raises(PermanentError, match="an internal address"):
        body("http://8.8.8.8/a")


def test_passwords_are_sent_to_the_given_host_only(server: FileServer) -> None:
    with file_server() as other:
        other.files["/a"] = b"content"
        server.behaviours = [redirect(other.address("/a"))]
        assert body(f"http://me:p%40ss@127.0.0.1:{server.server_port}/a") == b"content"
        assert "Authorization" not in other.requests[0][1]
    sent = server.requests[0][1]["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"me:p@ss"


def test_too_much_is_not_read(server: FileServer) -> None:
    server.files["/a"] = bytes(101)
    with pytest.raises(PermanentError, match="more than 100 bytes"):
        body(server.address("/a"))
    server.behaviours = [lambda handler, content: handler.answer(200, content, length=None)]
    with pytest.raises(PermanentError, match="more than 100 bytes"):
        body(server.address("/a"))


def test_a_body_that_ends_too_early(server: FileServer) -> None:
    server.behaviours = [lambda handler, content: handler.answer(200, content, length=50)]
    with pytest.raises(TransientError, match="ended after 7 of 50"):
        body(server.address("/a"))


def _slow_body(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"", length=1000)
    for _ in range(20):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def _slow_header(handler: Handler, content: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(20):
        handler.wfile.write(b"X-More: and more\r\n")
        handler.wfile.flush()
        time.sleep(0.05)


def test_slow_bodies_and_headers_end(server: FileServer) -> None:
    server.behaviours = [_slow_body, _slow_header]
    with pytest.raises(TransientError, match=r"not complete after 0\.2 seconds"):
        body(server.address("/a"), seconds=0.2)
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"no answer within 0\.3 seconds"):
        body(server.address("/a"), timeout=0.1)
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize(
    ("address", "message"),
    [("file:///etc/passwd", "not an http"), ("http://", "not an http"), ("http://a:b:c/", "cannot be requested")],
)
def test_what_is_no_address(address: str, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        body(address)


def test_refusals(server: FileServer) -> None:
    server.behaviours = [status(503), status(403)]
    with pytest.raises(TransientError, match="503"):
        body(server.address("/a"))
    with pytest.raises(PermanentError, match="403"):
        body(server.address("/a"))
    server.behaviours = [lambda handler, content: handler.answer(200, content, Content_Encoding="gzip")]
    with pytest.raises(PermanentError, match="gzip"):
        body(server.address("/a"))


@pytest.mark.parametrize(
    ("address", "internal"),
    [
        ("1.1.1.1", False),
        ("2606:4700::1111", False),
        ("0.0.0.0", True),
        ("100.64.0.1", True),
        ("172.16.0.1", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("64:ff9b::7f00:1", True),
        ("2002:7f00:1::", True),
        ("::ffff:8.8.8.8", False),
    ],
)
def test_internal_addresses(address: str, internal: bool) -> None:
    assert is_internal(address) is internal
