import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.curate.download_server import Behaviour, FileServer, Handler, file_server, redirect, status
from yolo.errors import DataError
from yolo.images import write_image
from yolo.media.fetch import fetch_image, is_video
from yolo.media.items import Frame, ImageFile, Item, SourceOptions, Unreadable
from yolo.media.sources import open_source
from yolo.media.video_write import VideoWriter

QUICK = SourceOptions(timeout=1.0, reconnects=1)


@pytest.fixture(scope="module")
def running_server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def server(running_server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FileServer:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("yolo.media.fetch._FIRST_WAIT", 0.0)
    monkeypatch.setattr("yolo.media.streams._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running_server.reset()
    for level in (1, 2, 3):
        running_server.files[f"/{level}.jpg"] = encoded(level * 60, tmp_path)
    return running_server


def encoded(level: int, folder: Path, height: int = 16) -> bytes:
    write_image(folder / "x.jpg", np.full((height, 24, 3), level, np.uint8))
    data = (folder / "x.jpg").read_bytes()
    (folder / "x.jpg").unlink()
    return data


def level_of(item: Item) -> int:
    frame = item.read() if isinstance(item, ImageFile) else item
    assert isinstance(frame, Frame)
    return round(float(frame.image.mean()) / 60)


def test_an_image(server: FileServer) -> None:
    server.files["/get?id=1"] = server.files["/1.jpg"]
    for path in ("/1.jpg", "/get?id=1"):
        (item,) = open_source(server.address(path))
        assert item.source == server.address(path)
        assert level_of(item) == 1


def test_several_addresses_and_files(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "here.jpg").write_bytes(server.files["/3.jpg"])
    words = [
        server.address("/2.jpg"),
        str(tmp_path / "here.jpg"),
        server.address("/gone.jpg"),
        server.address("/1.jpg"),
    ]
    items = list(open_source(words, QUICK))
    assert [level_of(items[k]) for k in (0, 1, 3)] == [2, 3, 1]
    assert isinstance(items[2], Unreadable)
    assert "gone.jpg: the server answers 404" in items[2].reason


def test_addresses_in_a_list_are_fetched_when_they_are_read(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text(f"{server.address('/2.jpg')}\n{server.address('/gone.jpg')}\n")
    first, second = open_source(tmp_path / "all.txt")
    assert server.requests == []
    assert level_of(first) == 2
    assert isinstance(second, ImageFile)
    with pytest.raises(DataError, match="404"):
        second.read()


def test_trying_again_helps_where_it_may(server: FileServer) -> None:
    server.behaviours = [status(503), lambda handler, content: handler.answer(200, content[:50], length=len(content))]
    assert fetch_image(server.address("/1.jpg")) == server.files["/1.jpg"]
    assert len(server.requests) == 3
    server.behaviours = [status(503)] * 4
    with pytest.raises(DataError, match="could not be fetched; the server answers 503"):
        fetch_image(server.address("/1.jpg"))
    assert len(server.requests) == 6


def test_the_password_of_an_address_is_not_shown(server: FileServer) -> None:
    address = server.address("/1.jpg").replace("http://", "http://me:secret@")
    (item,) = open_source(address)
    assert isinstance(item, ImageFile)
    assert item.source == server.address("/1.jpg").replace("http://", "http://me:***@")
    server.behaviours = [status(401)]
    with pytest.raises(DataError, match="401") as caught:
        list(open_source(address))
    assert "secret" not in str(caught.value)


def _too_long(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"\xff\xd8\xff" + bytes(5000), length=None)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (redirect("http://127.0.0.2/a.jpg"), "internal address"),
        (redirect("file:///etc/passwd"), "not allowed"),
        (_too_long, "more than 1,000 bytes"),
    ],
)
def test_what_is_refused(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, message: str
) -> None:
    monkeypatch.setattr("yolo.media.fetch.MAX_IMAGE_BYTES", 1000)
    for read in (fetch_image, lambda address: list(open_source(address))):
        server.behaviours = [behaviour]
        with pytest.raises(DataError, match=message):
            read(server.address("/1.jpg"))


def test_a_page_in_place_of_an_image(server: FileServer) -> None:
    server.behaviours = [lambda handler, content: handler.answer(200, b"<html>log in", Content_Type="image/jpeg")]
    (item,) = open_source(server.address("/1.jpg"))
    assert isinstance(item, ImageFile)
    with pytest.raises(DataError, match=r"1\.jpg: is not an image"):
        item.read()


def test_a_video_is_fetched_and_its_copy_removed(server: FileServer, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", fps=10, size_hw=(32, 48)) as writer:
        for level in (60, 120, 180):
            writer.write(np.full((32, 48, 3), level, np.uint8))
    server.files["/watch"] = (tmp_path / "v.mp4").read_bytes()
    items = list(open_source(server.address("/watch")))
    assert [level_of(item) for item in items] == [1, 2, 3]
    assert isinstance(items[2], Frame)
    assert (items[2].source, items[2].index) == (server.address("/watch"), 2)
    with open_source(server.address("/watch")) as source:
        next(source)
    server.files["/watch"] = server.files["/watch"][:300]
    with pytest.raises(DataError, match="/watch: no video"):
        list(open_source(server.address("/watch")))
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def mjpeg(frames: list[bytes], *, boundary: str = "frame", stated: str = "frame", length: bool = True) -> Behaviour:
    """A camera that sends some frames, each when the one before was fetched, and hangs up."""

    def behave(handler: Handler, content: bytes) -> None:
        handler.answer(200, b"", length=None, Content_Type=f"multipart/x-mixed-replace; boundary={stated}")
        for frame in frames:
            header = f"--{boundary}\r\nContent-Type: image/jpeg\r\n"
            header += f"Content-Length: {len(frame)}\r\n\r\n" if length else "\r\n"
            handler.wfile.write(header.encode() + frame + b"\r\n")
            handler.wfile.flush()
            threading.Event().wait(0.05)

    return behave


@pytest.mark.parametrize(
    ("boundary", "stated", "length"),
    [("frame", "frame", True), ("frame", '"frame"', False), ("frame", "--frame", False), ("--b", "--b", True)],
)
def test_motion_jpeg(server: FileServer, tmp_path: Path, boundary: str, stated: str, length: bool) -> None:
    frames = [server.files[f"/{k}.jpg"] for k in (1, 2, 3)]
    frames.insert(1, frames[0][:100])  # one that was cut on its way
    server.behaviours = [mjpeg([], stated=stated), mjpeg(frames, boundary=boundary, stated=stated, length=length)]
    server.files["/live"] = b""
    items = list(open_source(server.address("/live"), SourceOptions(timeout=2, reconnects=0)))
    assert [level_of(item) for item in items[:-1]] == [1, 2, 3]
    last = items[-1]
    assert isinstance(last, Unreadable)
    assert "was lost after 3 frames" in last.reason


def test_motion_jpeg_comes_back_with_another_size(server: FileServer, tmp_path: Path) -> None:
    server.files["/live"] = b""
    tall = encoded(60, tmp_path, height=32)
    server.behaviours = [mjpeg([]), mjpeg([server.files["/1.jpg"]]), mjpeg([tall]), status(500)]
    source = open_source(server.address("/live"), QUICK)
    assert [one.image.shape[0] for one in source if isinstance(one, Frame)] == [16, 32]
    assert source.notes() == [f"{server.address('/live')}: reconnected once"]


def test_two_cameras_at_a_time(server: FileServer) -> None:
    first, second = server.files["/1.jpg"], server.files["/2.jpg"]
    with file_server() as other:
        server.files["/live"] = other.files["/live"] = b""
        server.behaviours = [mjpeg([]), mjpeg([first] * 3)]
        other.behaviours = [mjpeg([]), mjpeg([second] * 3)]
        addresses = [server.address("/live"), other.address("/live")]
        items = list(open_source(addresses, SourceOptions(timeout=2, reconnects=0)))
    frames = [one for one in items if isinstance(one, Frame)]
    assert {one.source for one in frames[:2]} == set(addresses)
    for address, level in zip(addresses, (1, 2), strict=True):
        assert [level_of(one) for one in frames if one.source == address] == [level] * 3


def test_a_frame_of_any_length_is_not_believed(server: FileServer) -> None:
    def announce(handler: Handler, content: bytes) -> None:
        handler.answer(200, b"", length=None, Content_Type="multipart/x-mixed-replace; boundary=b")
        handler.wfile.write(b"--b\r\nContent-Length: 99999999999\r\n\r\n")

    server.files["/live"] = b""
    server.behaviours = [announce, announce]
    with pytest.raises(DataError, match=r"announces a frame of 99,999,999,999 bytes"):
        list(open_source(server.address("/live"), QUICK))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1aE\xdf\xa3", True),
        (b"RIFF0000AVI LIST", True),
        (b"RIFF0000WEBPVP8 ", False),
        (b"G" + bytes(187) + b"G" + bytes(187), True),
        (b"GIF89a" + bytes(300), False),
        (b"\xff\xd8\xff\xe0", False),
    ],
)
def test_what_is_a_video(data: bytes, expected: bool) -> None:
    assert is_video(data) is expected
