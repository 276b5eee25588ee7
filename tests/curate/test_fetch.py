import socket
import ssl
from pathlib import Path

import pytest

from tests.curate.download_server import Behaviour, FileServer, Handler, cut_after, ignore_range, redirect, status
from yolo.curate.fetch import Fetched, RetryPolicy, bytes_there, exclusive, fetch, sha256_of
from yolo.errors import DataError

CONTENT = bytes(range(256)) * 40  # 10240 bytes
QUICK = RetryPolicy(attempts=3, first_wait=0.0, timeout=0.2)


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    seen: list[int] = []
    assert fetch(archive, tmp_path / "new", policy=QUICK, advance=seen.append) == Fetched(
        tmp_path / "new" / "a.zip", False
    )
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert _left(tmp_path / "new") == ["a.zip"]
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    _, headers = server.requests[0]
    assert headers["User-Agent"].startswith("gridyolo/")
    assert "Range" not in headers


@pytest.mark.parametrize("name", ["a.zip", "a.zip.part"])
def test_a_whole_file_is_not_requested(server: FileServer, tmp_path: Path, name: str) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / name).write_bytes(CONTENT)
    assert fetch(archive, tmp_path, policy=QUICK).was_there == (name == "a.zip")
    assert _left(tmp_path) == ["a.zip"]
    assert server.requests == []


@pytest.mark.parametrize("own", [b"mine", b"\1" * len(CONTENT)])
def test_another_file_of_that_name_is_left_alone(server: FileServer, tmp_path: Path, own: bytes) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip").write_bytes(own)
    with pytest.raises(DataError, match=archive.sha256) as caught:
        fetch(archive, tmp_path, policy=QUICK)
    assert ("has 4 bytes" if own == b"mine" else sha256_of(tmp_path / "a.zip")) in str(caught.value)
    assert (tmp_path / "a.zip").read_bytes() == own


@pytest.mark.parametrize("behaviours", [[cut_after(3000)], [cut_after(3000), ignore_range]])
def test_a_cut_connection_continues_where_it_ended(
    server: FileServer, tmp_path: Path, behaviours: list[Behaviour]
) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = behaviours.copy()
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-"]


def test_a_later_run_continues(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [cut_after(4000)]
    with pytest.raises(DataError, match="4000 of 10240 bytes are kept"):
        fetch(archive, tmp_path, policy=QUICK._replace(attempts=1))
    assert bytes_there(archive, tmp_path) == 4000
    assert not (tmp_path / "a.zip").exists()
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=4000-"]
    assert _left(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("size", [100, len(CONTENT), len(CONTENT) + 1])
def test_a_part_of_another_file_is_replaced(server: FileServer, tmp_path: Path, size: int) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(b"\xff" * size)
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT


def test_a_wrong_sum_says_both_and_leaves_nothing(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.files["/a.zip"] = CONTENT[::-1]
    with pytest.raises(DataError, match=archive.sha256) as caught:
        fetch(archive, tmp_path, policy=QUICK)
    assert "expected " + archive.sha256 in str(caught.value)
    (tmp_path / "x").write_bytes(CONTENT[::-1])
    assert sha256_of(tmp_path / "x") in str(caught.value)
    assert f"put it at {tmp_path / 'a.zip'} and run the same command again" in str(caught.value)
    assert _left(tmp_path) == ["x"]
    assert len(server.requests) == 1


def _longer(handler: Handler, content: bytes) -> None:
    handler.answer(200, content * 3, length=None)


def _other_length(handler: Handler, content: bytes) -> None:
    handler.answer(200, content + b"more")


def _other_range(handler: Handler, content: bytes) -> None:
    handler.answer(206, content[1:], Content_Range=f"bytes 1-{len(content) - 1}/{len(content)}")


def _encoded(handler: Handler, content: bytes) -> None:
    handler.answer(200, content, Content_Encoding="gzip")


def _garbage(handler: Handler, content: bytes) -> None:
    handler.wfile.write(b"this is not http\r\n\r\n")


def _silent(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"", length=len(content))
    handler.connection.recv(1)  # until the client gives up


@pytest.mark.parametrize(
    ("behaviour", "words", "attempts"),
    [
        (_longer, "sends more than the 10240 bytes", 1),
        (_other_length, "has another file: 10244 bytes, expected 10240", 1),
        (_other_range, "another range than it was asked for", 3),
        (_encoded, "Content-Encoding gzip", 1),
        (_garbage, "the connection broke", 3),
        (_silent, "timed out", 1),
        (cut_after(0), "ended after 0 of 10240 bytes", 3),
        (status(404), "answers 404 Not Found", 1),
        (status(503), "answers 503", 3),
        (status(204), "answers 204", 1),
        (redirect("file:///etc/passwd"), "answers 302|not http", 1),
        (redirect("ftp://127.0.0.1/a.zip"), "is not http", 1),
        (redirect("/missing"), "answers 404", 1),
    ],
)
def test_bad_answers(server: FileServer, tmp_path: Path, behaviour: Behaviour, words: str, attempts: int) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [behaviour] * 9
    with pytest.raises(DataError, match=words) as caught:
        fetch(archive, tmp_path, policy=QUICK)
    assert archive.addresses[0] in str(caught.value)
    assert len([path for path, _ in server.requests if path == "/a.zip"]) == attempts
    assert not (tmp_path / "a.zip").exists()
    assert bytes_there(archive, tmp_path) == 0


@pytest.mark.parametrize("behaviour", [status(500), cut_after(0), _garbage, status(416)])
def test_transient_errors_are_retried(server: FileServer, tmp_path: Path, behaviour: Behaviour) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [behaviour] * 2
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_the_waits_double(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [status(503)] * 4
    waits: list[float] = []
    monkeypatch.setattr("yolo.curate.fetch.time.sleep", waits.append)
    fetch(archive, tmp_path, policy=RetryPolicy(attempts=5, first_wait=1.5))
    assert waits == [1.5, 3.0, 6.0, 12.0]


def test_progress_resets_the_attempts(server: FileServer, tmp_path: Path) -> None:
    content = CONTENT * 410  # 4.2 MB: each answer but the last brings more than the megabyte that counts as progress

    def piecewise(handler: Handler, whole: bytes) -> None:
        begin = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers = {"Content_Range": f"bytes {begin}-{len(whole) - 1}/{len(whole)}"} if begin else {}
        handler.answer(206 if begin else 200, whole[begin : begin + 1_100_000], length=len(whole) - begin, **headers)

    archive = server.put("a.zip", content)
    server.behaviours = [piecewise] * 4
    assert fetch(archive, tmp_path, policy=QUICK._replace(attempts=2)).path.read_bytes() == content
    assert len(server.requests) == 4


def test_redirects_are_followed_with_the_range(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.files["/moved.zip"] = CONTENT
    server.behaviours = [cut_after(1000), redirect("/moved.zip")]
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/a.zip", "/a.zip", "/moved.zip"]
    assert server.ranges[-1] == "bytes=1000-"


def test_a_circle_of_redirects_ends(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [redirect("/a.zip")] * 30
    with pytest.raises(DataError, match=r"302 .* infinite loop"):
        fetch(archive, tmp_path, policy=QUICK)


def test_the_next_address_continues(server: FileServer, tmp_path: Path) -> None:
    first, second = server.address("/gone.zip"), server.address("/a.zip")
    server.files["/gone.zip"] = CONTENT
    archive = server.put("a.zip", CONTENT, addresses=(first, second))
    server.behaviours = [cut_after(2000), status(404)]
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=2000-", "bytes=2000-"]


def test_an_address_with_the_wrong_file_does_not_spoil_the_next(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT, addresses=(server.address("/bad.zip"), server.address("/a.zip")))
    server.files["/bad.zip"] = CONTENT[::-1]
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT


def test_offline_the_message_says_what_to_do(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_names(*arguments: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    archive = server.put("a.zip", CONTENT, addresses=("https://nowhere.invalid/a.zip", "http://nowhere.invalid/a.zip"))
    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    monkeypatch.setattr("yolo.curate.fetch.time.sleep", lambda seconds: pytest.fail("nothing to wait for"))
    with pytest.raises(DataError) as caught:
        fetch(archive, tmp_path)
    message = str(caught.value)
    for words in ("https://nowhere.invalid/a.zip: no connection", archive.sha256, "10240 bytes", str(tmp_path)):
        assert words in message


def test_a_certificate_that_is_not_valid_is_not_tried_again(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def not_valid(self: object, *arguments: object, **options: object) -> object:
        calls.append(self)
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    archive = server.put("a.zip", CONTENT, addresses=(server.address("/a.zip").replace("http:", "https:"),))
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", not_valid)
    with pytest.raises(DataError, match=r"certificate is not valid \(self-signed"):
        fetch(archive, tmp_path, policy=QUICK)
    assert len(calls) == 1


def test_an_interrupt_keeps_the_part(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT * 100)

    def interrupt(total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(archive, tmp_path, policy=QUICK, advance=interrupt)
    assert 0 < bytes_there(archive, tmp_path) < archive.num_bytes
    assert fetch(archive, tmp_path, policy=QUICK).path.read_bytes() == CONTENT * 100
    assert server.ranges[1] is not None


def test_a_failing_disk_is_not_a_connection_error(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").mkdir()  # nothing can be written there
    with pytest.raises(IsADirectoryError):
        fetch(archive, tmp_path, policy=QUICK)
    assert len(server.requests) == 1


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with exclusive(folder), pytest.raises(DataError, match="another download is running"), exclusive(folder):
        pytest.fail("both are in")
    assert not folder.exists()
    with exclusive(folder):
        (folder / "archive").write_bytes(b"")
    assert _left(folder) == ["archive"]
