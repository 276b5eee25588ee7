import gzip
import io
import json
import os
import socket
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.curate.download_server import (
    Behaviour,
    FileServer,
    Handler,
    cut_after,
    file_server,
    ignore_range,
    manifest_of,
    redirect,
    serve_ranges,
    status,
    tar_of,
    zip_of,
)
from tests.data.dataset_trees import put_text
from yolo.config import DataDownloadConfig
from yolo.curate.download import (
    MARKER,
    Archive,
    DownloadedDataset,
    Fetched,
    Patience,
    Unpacked,
    alone_in,
    dataset_called,
    download,
    fetch,
    partly_there,
    read_manifest,
    sha256_of,
    unpack,
)
from yolo.data.dataset_yaml import read_dataset_yaml
from yolo.data.read import find_dataset, read_split
from yolo.errors import ConfigError, DataError
from yolo.images import write_image

CONTENT = bytes(range(256)) * 40  # 10240 bytes
QUICK = Patience(attempts=3, first_wait=0.0, timeout=0.5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "*")
    with file_server() as server:
        yield server


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    seen: list[int] = []
    assert fetch(archive, tmp_path / "new", patience=QUICK, advance=seen.append) == Fetched(
        tmp_path / "new" / "a.zip", False
    )
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert _left(tmp_path / "new") == ["a.zip"]
    assert seen == sorted(seen)
    assert seen[-1] == len(CONTENT)
    _, headers = server.requests[0]
    assert headers["User-Agent"].startswith("gridyolo/")
    assert "Range" not in headers


def test_a_file_that_is_there_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert fetch(archive, tmp_path, patience=QUICK).was_there
    assert server.requests == []


@pytest.mark.parametrize("own", [b"mine", b"\1" * len(CONTENT)])
def test_another_file_of_that_name_is_left_alone(server: FileServer, tmp_path: Path, own: bytes) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip").write_bytes(own)
    with pytest.raises(DataError, match=archive.sha256) as caught:
        fetch(archive, tmp_path, patience=QUICK)
    assert ("has 4 bytes" if own == b"mine" else sha256_of(tmp_path / "a.zip")) in str(caught.value)
    assert (tmp_path / "a.zip").read_bytes() == own


def test_a_cut_connection_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [cut_after(3000)]
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-"]
    assert server.requests[1][1]["If-Range"] == '"v1"'


def test_a_later_run_goes_on(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [cut_after(4000)]
    with pytest.raises(DataError, match="4000 of 10240 bytes are kept"):
        fetch(archive, tmp_path, patience=QUICK._replace(attempts=1))
    assert partly_there(archive, tmp_path) == 4000
    assert not (tmp_path / "a.zip").exists()
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=4000-"]
    assert _left(tmp_path) == ["a.zip"]


def test_a_server_without_ranges_starts_again(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [cut_after(4000), ignore_range]
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_gone_on_with(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(b"\xff" * 100)
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"address": archive.addresses[0], "validator": '"v0"'}))
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert len(server.requests) == 1  # If-Range made the server send all of it


@pytest.mark.parametrize("size", [100, len(CONTENT), len(CONTENT) + 1])
def test_a_wrong_part_of_unknown_origin_is_fetched_anew(server: FileServer, tmp_path: Path, size: int) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(b"\xff" * size)
    (tmp_path / "a.zip.part.json").write_text("no json")
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT


def test_a_whole_part_needs_no_request(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert server.requests == []


def test_a_wrong_sum_says_both_and_leaves_nothing(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.files["/a.zip"] = CONTENT[::-1]
    with pytest.raises(DataError, match=archive.sha256) as caught:
        fetch(archive, tmp_path, patience=QUICK)
    assert "expected " + archive.sha256 in str(caught.value)
    (tmp_path / "x").write_bytes(CONTENT[::-1])
    assert sha256_of(tmp_path / "x") in str(caught.value)
    assert f"put it at {tmp_path / 'a.zip'} and run the same command again" in str(caught.value)
    assert _left(tmp_path) == ["x"]
    assert len(server.requests) == 1


def _longer(handler: Handler, content: bytes) -> None:
    handler.answer(200, content + b"more", length=None)


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
        (status(403), "answers 403 Forbidden", 1),
        (status(500), "answers 500", 3),
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
        fetch(archive, tmp_path, patience=QUICK)
    assert archive.addresses[0] in str(caught.value)
    assert len([path for path, _ in server.requests if path == "/a.zip"]) == attempts
    assert not (tmp_path / "a.zip").exists()
    assert partly_there(archive, tmp_path) == 0


@pytest.mark.parametrize("behaviour", [status(500), cut_after(0), _garbage, status(416)])
def test_a_passing_trouble_passes(server: FileServer, tmp_path: Path, behaviour: Behaviour) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [behaviour] * 2
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_the_waits_double(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [status(503)] * 4
    waits: list[float] = []
    monkeypatch.setattr("yolo.curate.download.time.sleep", waits.append)
    fetch(archive, tmp_path, patience=Patience(attempts=5, first_wait=1.5))
    assert waits == [1.5, 3.0, 6.0, 12.0]


def test_progress_renews_patience(server: FileServer, tmp_path: Path) -> None:
    content = CONTENT * 410  # 4.2 MB: each answer but the last brings more than the megabyte that counts as progress

    def piecewise(handler: Handler, whole: bytes) -> None:
        begin = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        headers = {"Content_Range": f"bytes {begin}-{len(whole) - 1}/{len(whole)}"} if begin else {}
        handler.answer(206 if begin else 200, whole[begin : begin + 1_100_000], length=len(whole) - begin, **headers)

    archive = server.put("a.zip", content)
    server.behaviours = [piecewise] * 4
    assert fetch(archive, tmp_path, patience=QUICK._replace(attempts=2)).path.read_bytes() == content
    assert len(server.requests) == 4


def test_redirects_are_followed_with_the_range(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.files["/moved.zip"] = CONTENT
    server.behaviours = [cut_after(1000), redirect("/moved.zip")]
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/a.zip", "/a.zip", "/moved.zip"]
    assert server.ranges[-1] == "bytes=1000-"


def test_a_circle_of_redirects_ends(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [redirect("/a.zip")] * 30
    with pytest.raises(DataError, match=r"302 .* infinite loop"):
        fetch(archive, tmp_path, patience=QUICK)


def test_the_next_address_goes_on(server: FileServer, tmp_path: Path) -> None:
    first, second = server.address("/gone.zip"), server.address("/a.zip")
    server.files["/gone.zip"] = CONTENT
    archive = server.put("a.zip", CONTENT, addresses=(first, second))
    server.behaviours = [cut_after(2000), status(404)]
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=2000-", "bytes=2000-"]
    assert "If-Range" not in server.requests[2][1]  # the other server's name of a version means nothing here


def test_an_address_with_the_wrong_file_does_not_spoil_the_next(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT, addresses=(server.address("/bad.zip"), server.address("/a.zip")))
    server.files["/bad.zip"] = CONTENT[::-1]
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT


def test_without_a_network_the_way_out_is_told(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_names(*arguments: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    archive = server.put("a.zip", CONTENT, addresses=("https://nowhere.invalid/a.zip", "http://nowhere.invalid/a.zip"))
    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    monkeypatch.setattr("yolo.curate.download.time.sleep", lambda seconds: pytest.fail("nothing to wait for"))
    with pytest.raises(DataError) as caught:
        fetch(archive, tmp_path)
    message = str(caught.value)
    for words in ("https://nowhere.invalid/a.zip: no connection", archive.sha256, "10240 bytes", str(tmp_path)):
        assert words in message


def test_a_certificate_that_is_not_valid_is_not_tried_again(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    calls: list[object] = []

    def not_valid(self: object, *arguments: object, **options: object) -> object:
        calls.append(self)
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_message = "self-signed certificate"
        raise error

    archive = server.put("a.zip", CONTENT, addresses=(server.address("/a.zip").replace("http:", "https:"),))
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", not_valid)
    with pytest.raises(DataError, match=r"certificate is not valid \(self-signed"):
        fetch(archive, tmp_path, patience=QUICK)
    assert len(calls) == 1


def test_an_interrupt_keeps_the_part(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT * 100)

    def interrupt(total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(archive, tmp_path, patience=QUICK, advance=interrupt)
    assert 0 < partly_there(archive, tmp_path) < archive.num_bytes
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT * 100
    assert server.ranges[1] is not None


def test_a_full_disk_is_no_broken_connection(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = server.put("a.zip", CONTENT)
    (tmp_path / "a.zip.part").mkdir()  # nothing can be written there
    with pytest.raises(IsADirectoryError):
        fetch(archive, tmp_path, patience=QUICK)
    assert len(server.requests) == 1


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="there is no such lock on this system")
    folder = tmp_path / "new"
    with alone_in(folder), pytest.raises(DataError, match="another download is running"), alone_in(folder):
        pytest.fail("both are in")
    assert not folder.exists()
    with alone_in(folder):
        (folder / "archive").write_bytes(b"")
    assert _left(folder) == ["archive"]


def test_serve_ranges_is_a_fair_server(server: FileServer, tmp_path: Path) -> None:
    """The oracle of the tests above: whatever the part, the rest fits."""
    archive = server.put("a.zip", CONTENT)
    server.behaviours = [serve_ranges]
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:-1])
    assert fetch(archive, tmp_path, patience=QUICK).path.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) - 1}-"]


def test_of_a_body_without_end_no_more_is_written_than_agreed(server: FileServer, tmp_path: Path) -> None:
    archive = server.put("a.zip", CONTENT * 100)
    server.behaviours = [lambda handler, content: handler.answer(200, content * 3, length=None)]
    totals: list[int] = []
    with pytest.raises(DataError, match="sends more than the 1024000 bytes"):
        fetch(archive, tmp_path, patience=QUICK, advance=totals.append)
    assert max(totals) <= archive.num_bytes
    assert _left(tmp_path) == []


FILES = {"top/a.txt": b"abc", "top/deep/er/b.bin": bytes(3000), "top/empty": b"", "other/c.txt": b"c"}
MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": tar_of,
    "tar.gz": lambda files: tar_of(files, mode="w:gz"),
    "zip": zip_of,
}


def _unpack(content: bytes, folder: Path, **changes: object) -> Unpacked:
    """Into folder/out, from folder/archive."""
    (folder / "archive").write_bytes(content)
    (folder / "out").mkdir(exist_ok=True)
    options: dict[str, object] = {"max_bytes": 1 << 20, "max_files": 50}
    return unpack(folder / "archive", folder / "out", **(options | changes))  # type: ignore[arg-type]


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _tar_with(*entries: tarfile.TarInfo, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for info in entries:
            opened.addfile(info, io.BytesIO(bytes(info.size)))
        for name, content in ({"good.txt": b"good"} | files).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def _zip_with(name: str, content: bytes = b"x", *, mode: int = 0, again: bool = False) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("placeholder" if "\0" in name else name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(info, content)
        if again:
            with pytest.warns(UserWarning, match="Duplicate"):
                opened.writestr(name, b"other")
        opened.writestr("good.txt", b"good")
    if "\0" in name:
        return buffer.getvalue().replace(b"placeholder", name.ljust(11).encode())
    return buffer.getvalue()


@pytest.mark.parametrize("kind", MAKERS)
def test_everything(tmp_path: Path, kind: str) -> None:
    seen: list[int] = []
    assert _unpack(MAKERS[kind](FILES), tmp_path, advance=seen.append) == Unpacked(4, 3004, 0)
    assert _tree(tmp_path / "out") == FILES
    assert sum(seen) == 3004


@pytest.mark.parametrize("kind", MAKERS)
def test_one_folder_of_it(tmp_path: Path, kind: str) -> None:
    assert _unpack(MAKERS[kind](FILES), tmp_path, inside="top") == Unpacked(3, 3003, 1)
    assert _tree(tmp_path / "out") == {"a.txt": b"abc", "deep/er/b.bin": bytes(3000), "empty": b""}


@pytest.mark.parametrize("kind", MAKERS)
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b b", "é", "c.txt", ".d"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=2000),
        min_size=1,
        max_size=6,
    )
)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, kind: str, files: dict[str, bytes]) -> None:
    if any(f"{other}/".startswith(f"{name}/") for name in files for other in files if other != name):
        return  # a file cannot be a folder as well
    folder = tmp_path_factory.mktemp("tree")
    assert _unpack(MAKERS[kind](files), folder).num_files == len(files)
    assert _tree(folder / "out") == files


def test_folders_and_dots_in_names(tmp_path: Path) -> None:
    folder = _entry("./d", tarfile.DIRTYPE)
    _unpack(_tar_with(folder, _entry("./d/./e.txt", size=2), folder), tmp_path)
    assert _tree(tmp_path / "out") == {"d/e.txt": bytes(2), "good.txt": b"good"}


def test_permissions_and_owners_are_those_of_new_files(tmp_path: Path) -> None:
    wicked = _entry("run.sh")
    wicked.mode, wicked.uid = 0o7777, 0
    _unpack(_tar_with(wicked), tmp_path)
    (tmp_path / "new").touch()
    assert (tmp_path / "out" / "run.sh").stat().st_mode == (tmp_path / "new").stat().st_mode
    (tmp_path / "zip").mkdir()
    _unpack(_zip_with("run.sh", mode=stat.S_IFREG | 0o7777), tmp_path / "zip")
    assert (tmp_path / "zip" / "out" / "run.sh").stat().st_mode == (tmp_path / "new").stat().st_mode


HOSTILE_NAMES = {
    "../out.txt": "leads out",
    "a/../../out.txt": "leads out",
    "a/..": "leads out",
    "TMP/out.txt": "absolute",
    "//host/share/x": "absolute",
    "C:/x.txt": "absolute",
    "C:x.txt": "absolute",
    "a\\..\\..\\x": "backslash",
    "\\x": "backslash",
}


@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES.items())
@pytest.mark.parametrize("kind", MAKERS)
def test_names_that_lead_out(tmp_path: Path, kind: str, name: str, words: str) -> None:
    name = name.replace("TMP", tmp_path.as_posix())
    with pytest.raises(DataError, match=words):
        _unpack(MAKERS[kind]({name: b"x", "good.txt": b"good"}), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]
    assert _tree(tmp_path / "out") == {}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_is_passed_over_is_judged_as_well(tmp_path: Path, name: str) -> None:
    name = name.replace("TMP", tmp_path.as_posix())
    with pytest.raises(DataError, match="entry"):
        _unpack(tar_of({"good/good.txt": b"good", name: b"x"}), tmp_path, inside="good")


def test_a_zero_byte_in_a_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="zero byte"):
        _unpack(_zip_with("a.txt\0.sh"), tmp_path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (_entry("l", tarfile.SYMTYPE, link="/etc/passwd"), "a symbolic link"),
        (_entry("l", tarfile.SYMTYPE, link="good.txt"), "a symbolic link"),
        (_entry("l", tarfile.LNKTYPE, link="../../x"), "a hard link"),
        (_entry("l", tarfile.CHRTYPE), "a device"),
        (_entry("l", tarfile.BLKTYPE), "a device"),
        (_entry("l", tarfile.FIFOTYPE), "a named pipe"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path: Path, entry: tarfile.TarInfo, words: str) -> None:
    with pytest.raises(DataError, match=words):
        _unpack(_tar_with(entry), tmp_path)
    assert not os.path.lexists(tmp_path / "out" / "l")


def test_sparse_files_are_not_unpacked(tmp_path: Path) -> None:
    sparse = _entry("huge", tarfile.GNUTYPE_SPARSE)
    with pytest.raises(DataError, match=r"special kind|damaged"):
        _unpack(_tar_with(sparse), tmp_path)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFLNK | 0o777, "a symbolic link"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFIFO, "pipe"),
        (stat.S_IFSOCK, "socket"),
    ],
)
def test_links_and_devices_in_a_zip(tmp_path: Path, mode: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        _unpack(_zip_with("l", b"/etc/passwd", mode=mode), tmp_path)
    assert not os.path.lexists(tmp_path / "out" / "l")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(_zip_with("secret"))
    central = content.index(b"PK\1\2")
    content[central + 8] |= 1
    with pytest.raises(DataError, match="is encrypted"):
        _unpack(bytes(content), tmp_path)


def test_the_same_name_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'\./a': is there twice"):
        _unpack(_tar_with(_entry("a", size=1), _entry("./a", size=2)), tmp_path)
    (tmp_path / "zip").mkdir()
    with pytest.raises(DataError, match="'a': is there twice"):
        _unpack(_zip_with("a", again=True), tmp_path / "zip")


def test_a_file_that_is_a_folder_as_well(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a file and a folder"):
        _unpack(_tar_with(_entry("a"), _entry("a/b")), tmp_path)
    (tmp_path / "2").mkdir()
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(_entry("a/b"), _entry("a")), tmp_path / "2")


def test_nothing_that_exists_is_overwritten_or_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "good.txt").write_text("mine")
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(), tmp_path)
    assert (tmp_path / "out" / "good.txt").read_text() == "mine"
    (tmp_path / "out" / "good.txt").unlink()
    (tmp_path / "out" / "good.txt").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(), tmp_path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_bombs_end_at_the_limit(tmp_path: Path, kind: str) -> None:
    content = MAKERS[kind]({"a": bytes(40_000), "b": bytes(60_001)})
    assert kind == "tar" or len(content) < 2000
    with pytest.raises(DataError, match="more than the 100000 bytes"):
        _unpack(content, tmp_path, max_bytes=100_000)
    assert sum(len(data) for data in _tree(tmp_path / "out").values()) <= 100_000
    (tmp_path / "fits").mkdir()
    assert _unpack(content, tmp_path / "fits", max_bytes=100_001).num_bytes == 100_001


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    """Header and directory say 10 bytes; the content is a megabyte of zeros."""
    content = bytearray(zip_of({"a": bytes(1 << 20)}))
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(signature) + place, 10)
    with pytest.raises(DataError):
        _unpack(bytes(content), tmp_path, max_bytes=1000)
    assert sum(len(data) for data in _tree(tmp_path / "out").values()) <= 1000


@pytest.mark.parametrize("kind", MAKERS)
def test_too_many_entries(tmp_path: Path, kind: str) -> None:
    content = MAKERS[kind]({str(number): b"" for number in range(11)})
    with pytest.raises(DataError, match="more than the 10 entries"):
        _unpack(content, tmp_path, max_files=10)
    (tmp_path / "fits").mkdir()
    assert _unpack(content, tmp_path / "fits", max_files=11).num_files == 11


def test_bytes_that_are_passed_over_count_for_the_limit(tmp_path: Path) -> None:
    """A small tar.gz whose unwanted file is long: to reach the next entry it has to be unzipped all the same."""
    content = tar_of({"junk": bytes(3 << 20), "good/a": b"a"}, mode="w:gz")
    with pytest.raises(DataError, match="headers included"):
        _unpack(content, tmp_path, inside="good", max_bytes=1000)


def test_a_header_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    long_name = _entry("x", tarfile.GNUTYPE_LONGNAME, size=2 << 20)
    content = gzip.compress(_tar_with(long_name))
    assert len(content) < 10_000
    with pytest.raises(DataError, match="has a header of 2097152 bytes"):
        _unpack(content, tmp_path, max_bytes=1 << 30)


@pytest.mark.parametrize("kind", MAKERS)
def test_cut_anywhere(tmp_path: Path, kind: str) -> None:
    whole = MAKERS[kind]({"a": os.urandom(1500), "b": os.urandom(700)})
    # of a tar the files end here, each with a header and filled up to blocks of 512; two blocks of zeros follow
    last = 512 + 1536 + 512 + 1024 if kind == "tar" else len(whole) - 1
    for length in (0, 1, 3, 100, 511, 512, 600, 1024, 2047, last - 1, last):
        folder = tmp_path / str(length)
        folder.mkdir()
        with pytest.raises(DataError, match="is damaged or cut off"):
            _unpack(whole[:length], folder)


def test_a_damaged_header_in_the_middle_is_seen(tmp_path: Path) -> None:
    """tarfile by itself takes it for the end."""
    content = bytearray(tar_of({"a": bytes(10), "b": b"b"}))
    content[1024 + 5] ^= 1  # in the name of b: the sum of its header is wrong now
    with pytest.raises(DataError, match="no proper end"):
        _unpack(bytes(content), tmp_path)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_flipped_bit_is_seen(tmp_path: Path, kind: str) -> None:
    content = bytearray(MAKERS[kind]({"a": os.urandom(5000)}))
    content[2500] ^= 4
    with pytest.raises(DataError, match="damaged"):
        _unpack(bytes(content), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\3\4", b"\x1f\x8b", b"<html>Not found</html>" * 60, bytes(2000)])
def test_no_archive_at_all(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError):
        _unpack(content, tmp_path)


@given(
    content=st.binary(max_size=1500), start=st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08\0", tar_of(FILES)[:700]])
)
def test_any_bytes_give_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    with pytest.raises(DataError, match="archive"):
        _unpack(start + content, folder)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_folder_asked_for_is_not_in_it(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="no files in 'absent'"):
        _unpack(MAKERS[kind](FILES), tmp_path, inside="absent")
    with pytest.raises(DataError, match="is a file, expected a folder"):
        _unpack(MAKERS[kind](FILES), tmp_path, inside="top/a.txt")


def test_folders_on_the_way_are_not_passed_over_files(tmp_path: Path) -> None:
    entries = [_entry(name, tarfile.DIRTYPE) for name in ("kit", "kit/a", "kit/b")]
    content = _tar_with(*entries, _entry("kit/a/x", size=1), _entry("kit/b/y", size=1))
    assert _unpack(content, tmp_path, inside="kit/a") == Unpacked(1, 1, 2)  # kit/b/y and good.txt


DATA = Path(__file__).parents[2] / "data"


def _content() -> dict[str, Any]:
    return {
        "terms": {"free": "Do what you like."},
        "archives": {
            "a.zip": {
                "addresses": ["https://example.org/a.zip"],
                "bytes": 10,
                "sha256": "AB" * 32,
                "inside": "./a/",
                "folder": "things/a",
                "max_bytes": 20,
                "max_files": 3,
            }
        },
        "datasets": {
            "things": {"archives": ["a.zip"], "terms": "free", "yaml": "t.yaml", "descriptor": {"train": "things/a"}}
        },
    }


def _write(path: Path, content: Any) -> Path:
    return put_text(path / "manifest.yaml", yaml.safe_dump(content))


def test_every_key(tmp_path: Path) -> None:
    (dataset,) = read_manifest(_write(tmp_path, _content())).values()
    (archive,) = dataset.archives
    assert dataset.name == "things"
    assert dataset.terms == "Do what you like."
    assert dataset.yaml == "t.yaml"
    assert dataset.descriptor == {"train": "things/a"}
    assert dataset.folders == {"things/a": (archive,)}
    assert archive == ("a.zip", ("https://example.org/a.zip",), 10, "ab" * 32, "a", "things/a", 20, 3)


def _set(section: str, name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content[section][name][key] = value

    return change


def _archive(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("archives", "a.zip", key, value)


def _dataset(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("datasets", "things", key, value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.update(archive={}), r"unknown key 'archive'; did you mean 'archives'\?"),
        (lambda content: content.pop("terms"), "'terms' is missing"),
        (lambda content: content.update(archives=[]), r"archives: is \[\], expected names with values"),
        (lambda content: content.update(datasets={3: {}}), "expected names with values"),
        (lambda content: content["archives"].update({"../a.zip": content["archives"]["a.zip"]}), "is a file name"),
        (lambda content: content["archives"].update({".a": content["archives"]["a.zip"]}), "is a file name"),
        (lambda content: content["datasets"].update({"a/b": content["datasets"]["things"]}), "name of a dataset"),
        (lambda content: content["archives"]["a.zip"].pop("sha256"), r"archives\.a\.zip: 'sha256' is missing"),
        (_archive("sha265", "x"), "unknown key 'sha265'; did you mean 'sha256'"),
        (_archive("sha256", "ab" * 31), "expected 64 hexadecimal digits"),
        (_archive("sha256", int("1" * 64)), "expected 64 hexadecimal digits"),
        (_archive("sha256", "zz" * 32), "expected 64 hexadecimal digits"),
        (_archive("bytes", "10"), "'bytes' is '10', expected a whole number above 0"),
        (_archive("bytes", True), "'bytes' is True"),
        (_archive("bytes", 0), "'bytes' is 0"),
        (_archive("max_bytes", 1.5), "'max_bytes' is 1.5"),
        (_archive("max_files", -1), "'max_files' is -1"),
        (_archive("addresses", "https://example.org/a.zip"), "expected a list of texts"),
        (_archive("addresses", []), "expected a list of texts"),
        (_archive("addresses", ["https://a.org/a", "https://a.org/a"]), "has something twice"),
        (_archive("addresses", ["ftp://example.org/a.zip"]), "expected https://HOST/PATH"),
        (_archive("addresses", ["file:///etc/passwd"]), "expected https://HOST/PATH"),
        (_archive("addresses", ["https:///a.zip"]), "expected https://HOST/PATH"),
        (_archive("addresses", ["https://me:secret@example.org/a.zip"]), "without password"),
        (_archive("addresses", ["https://example.org/a\r\nHost: b"]), "expected https://HOST/PATH"),
        (_archive("addresses", ["https://[::1/a"]), "expected https://HOST/PATH"),
        (_archive("folder", "/etc"), "expected a relative folder"),
        (_archive("folder", "a/../../b"), "leads out"),
        (_archive("folder", "c:\\x"), "expected a relative folder"),
        (_archive("folder", "."), "expected a new folder"),
        (_archive("folder", ["a"]), "expected a relative folder"),
        (_archive("inside", ""), "expected a relative folder"),
        (_archive("inside", "../a"), "leads out"),
        (_dataset("archives", ["b.zip"]), "'b.zip', which is not described"),
        (_dataset("archives", ["a.zip", "a.zip"]), "has something twice"),
        (_dataset("terms", "none"), "'terms' is 'none', expected a name under terms"),
        (_dataset("terms", ["free"]), "expected a name under terms"),
        (_dataset("yaml", "../t.yaml"), "'yaml' is '../t.yaml', expected a file name such as things.yaml"),
        (_dataset("yaml", "t.json"), "expected a file name such as things.yaml"),
        (_dataset("descriptor", "train"), r"things\.descriptor: is 'train'"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    content = _content()
    change(content)
    with pytest.raises(DataError, match=words) as caught:
        read_manifest(_write(tmp_path, content))
    assert "manifest.yaml" in str(caught.value)


def test_a_folder_in_a_folder(tmp_path: Path) -> None:
    content = _content()
    content["archives"]["b.zip"] = content["archives"]["a.zip"] | {"folder": "things"}
    content["datasets"]["things"]["archives"].append("b.zip")
    with pytest.raises(DataError, match="folder 'things/a' lies in folder 'things'"):
        read_manifest(_write(tmp_path, content))


@pytest.mark.parametrize("text", ["", "3", "[a, b]", "a: [", "a: !!python/object:os.system {}"])
def test_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"manifest\.yaml"):
        read_manifest(put_text(tmp_path / "manifest.yaml", text))
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "absent.yaml")


def test_names_are_found_and_guessed() -> None:
    known = read_manifest(None)
    assert dataset_called("VOC2007", known).name == "voc2007"
    with pytest.raises(ConfigError, match=r"did you mean coco2017\? \(it has voc2007, voc2012, voc, coco2017, coco"):
        dataset_called("coco-2017", known)
    with pytest.raises(ConfigError, match=r"no such dataset in the manifest \(it has"):
        dataset_called("imagenet", known)


def test_the_shipped_manifest() -> None:
    known = read_manifest(None)
    assert {name: [archive.name for archive in dataset.archives] for name, dataset in known.items()} == {
        "voc2007": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"],
        "voc2012": ["VOCtrainval_11-May-2012.tar"],
        "voc": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"],
        "coco2017": ["annotations_trainval2017.zip", "val2017.zip", "train2017.zip"],
        "coco2017-val": ["annotations_trainval2017.zip", "val2017.zip"],
    }
    archives = {archive for dataset in known.values() for archive in dataset.archives}
    assert len({archive.sha256 for archive in archives}) == len(archives) == 6
    for archive in archives:
        assert archive.addresses[0].startswith("https://")
        assert all(address.endswith(f"/{archive.name}") for address in archive.addresses)
        # a tar holds its files as they are; of the zips those of images hardly shrink
        limit = 5 * archive.num_bytes if "annotations" in archive.name else 1.3 * archive.num_bytes
        assert archive.num_bytes <= archive.max_bytes <= limit


@pytest.mark.parametrize("name", ["voc", "coco2017"])
def test_the_descriptors_in_the_repository_say_the_same(name: str) -> None:
    dataset = read_manifest(None)[name]
    path = DATA / dataset.yaml
    if not path.is_file():
        pytest.skip("the repository's data folder is not here")
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == dataset.descriptor


@pytest.mark.parametrize("name", read_manifest(None))
def test_the_descriptors_can_be_read(tmp_path: Path, name: str) -> None:
    dataset = read_manifest(None)[name]
    root = tmp_path / dataset.descriptor["path"]
    for key in ("train", "val", "test"):
        sources = dataset.descriptor.get(key, [])
        for source in sources if isinstance(sources, list) else [sources]:
            put_text(root / source, "")
    content = read_dataset_yaml(put_text(tmp_path / dataset.yaml, yaml.safe_dump(dict(dataset.descriptor))))
    assert content.class_names is not None
    assert len(content.class_names) == (20 if name.startswith("voc") else 80)
    assert content.notes == ()
    assert content.root == root
    assert {archive.folder.split("/")[0] for archive in dataset.archives} == {root.name}


QUICK_DATA_DOWNLOAD = Patience(attempts=2, first_wait=0.0, timeout=2.0)


class Site:
    """A server, a manifest of what it has, an output folder."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.server = server
        self.manifest = folder / "manifest.yaml"
        self.output = folder / "out"
        self.printed = io.StringIO()

    def describe(self, *archives: Archive, **descriptor: Any) -> None:
        put_text(self.manifest, manifest_of(*archives, **descriptor))

    def download(self, dataset: str = "things", **options: Any) -> DownloadedDataset:
        config = DataDownloadConfig(
            dataset=dataset, output=str(self.output), **({"manifest": str(self.manifest)} | options)
        )
        return download(config, Console(file=self.printed, width=500), patience=QUICK_DATA_DOWNLOAD)

    def tree(self) -> list[str]:
        files = (path for path in self.output.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.output).as_posix() for path in files)


@pytest.fixture
def site(server: FileServer, tmp_path: Path) -> Site:
    return Site(server, tmp_path)


def _voc_files(tmp_path: Path, name: str, split: str) -> dict[str, bytes]:
    """One image of a VOC tree with a box, and the list that has it."""
    write_image(tmp_path / "one.jpg", np.full((20, 40, 3), 99, np.uint8))
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    xml = f"<annotation><object><name>cat</name>{box}</object></annotation>"
    root = "VOCdevkit/VOC2007"
    return {
        f"{root}/Annotations/{name}.xml": xml.encode(),
        f"{root}/JPEGImages/{name}.jpg": (tmp_path / "one.jpg").read_bytes(),
        f"{root}/ImageSets/Main/{split}.txt": f"{name}\n".encode(),
    }


def _describe_voc(site: Site, tmp_path: Path) -> None:
    """Two archives that fill one folder, a third one for its neighbour, as VOC 2007 and 2012 do."""
    place = {"inside": "VOCdevkit/VOC2007", "folder": "VOCdevkit/VOC2007"}
    other = {"VOCdevkit/VOC2012/ImageSets/Main/trainval.txt": b""}
    site.describe(
        site.server.put("trainval.tar", tar_of(_voc_files(tmp_path, "000001", "trainval")), **place),
        site.server.put("test.tar", tar_of(_voc_files(tmp_path, "000002", "test")), **place),
        site.server.put("2012.tar", tar_of(other), inside="VOCdevkit/VOC2012", folder="VOCdevkit/VOC2012"),
        path="VOCdevkit",
        train="VOC2007/ImageSets/Main/trainval.txt",
        val="VOC2007/ImageSets/Main/test.txt",
        names=["cat"],
    )


def test_from_nothing_to_a_dataset_that_can_be_read(site: Site, tmp_path: Path) -> None:
    _describe_voc(site, tmp_path)
    result = site.download()
    assert result.yaml == site.output / "things.yaml"
    assert result.next_command == f"gridyolo train --data {result.yaml}"
    assert result.new_folders == (site.output / "VOCdevkit/VOC2007", site.output / "VOCdevkit/VOC2012")
    assert result.archives == ()
    assert sorted(path.name for path in site.output.iterdir()) == ["VOCdevkit", "things.yaml"]
    assert sorted(path.name for path in (site.output / "VOCdevkit").iterdir()) == ["VOC2007", "VOC2012"]
    descriptor = find_dataset(result.yaml)
    for split, name in (("train", "000001"), ("val", "000002")):
        (image,) = read_split(descriptor, split).images
        assert image.path.name == f"{name}.jpg"
        assert image.ground_truth.boxes.tolist() == [[0, 0, 9, 9]]
    printed = site.printed.getvalue()
    assert printed.startswith("Do what you like.\n")
    assert "trainval.tar: fetched in 0:00" in printed
    assert printed.count("its SHA-256 is right") == 3
    assert printed.endswith(f"go on with: {result.next_command}\n")
    assert "\x1b" not in printed


def test_a_second_time_nothing_is_done(site: Site, tmp_path: Path) -> None:
    _describe_voc(site, tmp_path)
    first = site.download()
    before, asked = site.tree(), len(site.server.requests)
    again = site.download()
    assert again == first._replace(new_folders=())
    assert site.tree() == before
    assert len(site.server.requests) == asked
    assert "things is there already" in site.printed.getvalue()


def test_only_what_is_missing_is_fetched(site: Site) -> None:
    one = site.server.put("one.zip", zip_of({"one/a": b"a"}), inside="one", folder="d/one")
    two = site.server.put("two.tar.gz", tar_of({"two/b": b"b"}, mode="w:gz"), inside="two", folder="d/two")
    site.describe(one)
    site.download()
    site.describe(one, two)
    assert site.download().new_folders == (site.output / "d/two",)
    assert [path for path, _ in site.server.requests] == ["/one.zip", "/two.tar.gz"]
    assert [name for name in site.tree() if name.startswith("d/")] == [
        f"d/one/{MARKER}",
        "d/one/a",
        f"d/two/{MARKER}",
        "d/two/b",
    ]


def test_without_train_the_next_step_is_to_measure(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})), val="things")
    assert site.download().next_command == f"gridyolo val --weights WEIGHTS --data {site.output / 'things.yaml'}"


def test_archives_are_kept_on_request_and_used_again(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    kept = site.download(keep_archives=True).archives
    assert kept == (site.output / "downloads" / "a.zip",)
    assert kept[0].is_file()
    for path in sorted((site.output / "things").iterdir()):
        path.unlink()
    (site.output / "things").rmdir()
    assert site.download().archives == kept  # it was there before this run: it is not this run's to delete
    assert len(site.server.requests) == 1
    assert "a.zip: is there" in site.printed.getvalue()


def test_an_archive_put_there_by_hand(site: Site) -> None:
    content = zip_of({"a": b"a"})
    site.describe(site.server.put("a.zip", content, addresses=("https://nowhere.invalid/a.zip",)))
    (site.output / "downloads").mkdir(parents=True)
    (site.output / "downloads" / "a.zip").write_bytes(content)
    site.download()
    assert (site.output / "things" / "a").read_bytes() == b"a"
    assert site.server.requests == []


def test_after_a_failure_the_same_command_goes_on(site: Site) -> None:
    archive = site.server.put("a.zip", zip_of({"a": bytes(5000)}) + b"")
    site.describe(archive)
    site.server.behaviours = [cut_after(50)] * 2
    with pytest.raises(DataError, match="50 of"):
        site.download()
    assert site.tree() == ["downloads/a.zip.part", "downloads/a.zip.part.json"]
    site.download()
    assert site.server.ranges[-1] == "bytes=50-"
    assert site.tree() == ["things.yaml", f"things/{MARKER}", "things/a"]


def test_an_interrupt_tells_how_to_go_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        raise KeyboardInterrupt

    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    monkeypatch.setattr("yolo.curate.download.unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        site.download()
    assert site.tree() == ["downloads/a.zip"]
    assert "the same command goes on" in site.printed.getvalue()
    monkeypatch.undo()
    site.download()
    assert len(site.server.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        zip_of({"a": b"a", "../b": b"b"}),
        zip_of({"a": bytes(2 << 20)}),
        tar_of({"a": b"a", "b": bytes(9000)})[:5000],
        b"<html>" * 500,
    ],
)
def test_of_a_bad_archive_nothing_is_left(site: Site, content: bytes) -> None:
    """The sum is right, so that it is the unpacking that refuses it."""
    site.describe(site.server.put("a.zip", content, folder="some/where/things"))
    with pytest.raises(DataError):
        site.download()
    assert site.tree() == ["downloads/a.zip"]
    assert [path.name for path in site.output.iterdir()] == ["downloads"]


@pytest.mark.parametrize("marker", [None, "no json", "[]", '{"sha256": {"a.zip": "00"}}'])
def test_a_folder_of_the_user_is_not_touched(site: Site, marker: str | None) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    put_text(site.output / "things" / "mine.txt", "mine")
    if marker is not None:
        put_text(site.output / "things" / MARKER, marker)
    before = site.tree()
    with pytest.raises(DataError, match=r"things: is there already.*another --output"):
        site.download()
    assert site.tree() == before
    assert site.server.requests == []


def test_a_dangling_link_is_in_the_way_as_well(site: Site, tmp_path: Path) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    site.output.mkdir()
    (site.output / "things").symlink_to(tmp_path / "absent")
    with pytest.raises(DataError, match="is there already"):
        site.download()
    assert not (tmp_path / "absent").exists()


def test_the_marker_has_the_sums(site: Site) -> None:
    archive = site.server.put("a.zip", zip_of({"a": b"a"}))
    site.describe(archive)
    site.download()
    assert json.loads((site.output / "things" / MARKER).read_text()) == {"sha256": {"a.zip": archive.sha256}}


def test_a_yaml_of_the_user_stays(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    put_text(site.output / "things.yaml", "train: elsewhere\n")
    site.download()
    assert (site.output / "things.yaml").read_text() == "train: elsewhere\n"
    assert "differs from what would be written" in site.printed.getvalue()


def test_a_yaml_that_says_the_same_is_not_mentioned(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    written = site.download().yaml
    assert yaml.safe_load(written.read_text()) == {"train": "things/images", "names": ["thing"]}
    site.download()
    assert "differs" not in site.printed.getvalue()


def test_too_little_space_is_seen_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.server.put("a.zip", zip_of({"a": b"a"}), max_bytes=1000)
    site.describe(archive)
    needed = archive.num_bytes + 1000
    free = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr("yolo.curate.download.shutil.disk_usage", lambda place: free)
    with pytest.raises(DataError, match=r"up to 0\.0 GB are needed .* make room"):
        site.download()
    assert site.server.requests == []
    assert not site.output.exists()
    free.free = needed
    site.download()


def test_what_has_come_already_needs_no_space(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.server.put("a.zip", zip_of({"a": b"a"}), max_bytes=1000)
    site.describe(archive)
    put_text(site.output / "downloads" / "a.zip.part", "").write_bytes(site.server.files["/a.zip"][:60])
    free = SimpleNamespace(free=archive.num_bytes - 60 + 1000)
    monkeypatch.setattr("yolo.curate.download.shutil.disk_usage", lambda place: free)
    site.download()
    assert site.server.ranges == ["bytes=60-"]


def test_files_of_something_else_are_told(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a/x": b"a", "b/y": b"b"}), inside="a"))
    site.download()
    assert site.tree() == ["things.yaml", f"things/{MARKER}", "things/x"]
    assert "1 files of the archives belong to something else" in site.printed.getvalue()


def test_two_archives_with_the_same_file(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"x": b"a"})), site.server.put("b.zip", zip_of({"x": b"b"})))
    with pytest.raises(DataError, match="'x': is there twice"):
        site.download()


def test_a_terminal_has_a_bar(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": bytes(100_000)})))
    config = DataDownloadConfig(dataset="things", output=str(site.output), manifest=str(site.manifest))
    console = Console(file=site.printed, width=200, force_terminal=True)
    download(config, console, patience=QUICK_DATA_DOWNLOAD)
    assert "\x1b" in site.printed.getvalue()


def test_an_unknown_name_has_the_nearest_one(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    with pytest.raises(ConfigError, match=r"no such dataset in the manifest; did you mean things\?"):
        site.download("thing")
    with pytest.raises(ConfigError, match="did you mean voc2007"):
        site.download("voc207", manifest="")


@pytest.mark.parametrize("options", [{}, {"dataset": "voc", "output": ""}])
def test_what_is_required(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"--dataset is required|--output"):
        DataDownloadConfig(**options)  # type: ignore[arg-type]
