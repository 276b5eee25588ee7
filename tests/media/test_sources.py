import io
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.errors import ConfigError, DataError, ImageReadError
from yolo.images import write_image
from yolo.media.items import Frame, ImageFile, Item, Reading, SourceOptions, Unreadable
from yolo.media.sources import open_source, shown_source
from yolo.media.streams import Stream
from yolo.media.video_read import FrameChoice
from yolo.media.video_write import VideoWriter

HEIC = b"\0\0\0\x18ftypheic"


def grey(level: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def frames_of(source: Iterator[Item]) -> list[Frame]:
    found = [one.read() if isinstance(one, ImageFile) else one for one in source]
    assert all(isinstance(one, Frame) for one in found)
    return [one for one in found if isinstance(one, Frame)]


def test_one_image(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(9))
    (frame,) = frames_of(open_source(str(tmp_path / "a.png")))
    assert (frame.image == 9).all()
    assert (frame.index, frame.time) == (None, None)


def test_a_folder_with_subfolders_in_order(tmp_path: Path) -> None:
    for name in ("b/z.png", "a.PNG", "b/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, grey(1))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._a.PNG").write_bytes(b"left behind by macOS")
    names = [Path(frame.source).relative_to(tmp_path).as_posix() for frame in frames_of(open_source(str(tmp_path)))]
    assert names == ["a.PNG", "b/c.jpg", "b/z.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(1))
    os.mkfifo(tmp_path / "b.png")
    assert [Path(frame.source).name for frame in frames_of(open_source(str(tmp_path)))] == ["a.png"]


def test_a_glob(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png"):
        write_image(tmp_path / name, grey(1))
    assert [Path(frame.source).name for frame in frames_of(open_source(str(tmp_path / "a*.png")))] == [
        "a1.png",
        "a2.png",
    ]


def test_a_bad_image_is_an_error_when_it_is_read(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(1))
    (tmp_path / "b.jpg").write_bytes(b"no image")
    first, second = open_source(str(tmp_path))
    assert isinstance(first, ImageFile)
    assert isinstance(second, ImageFile)
    assert (first.read().image == 1).all()
    with pytest.raises(ImageReadError, match=r"b\.jpg"):
        second.read()


def test_a_bad_video_of_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    write_image(tmp_path / "b.png", grey(1))
    first, second = open_source(str(tmp_path))
    assert isinstance(first, Unreadable)
    assert "a.mp4" in first.reason
    assert isinstance(second, ImageFile)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.jpg", "no such file"),
        ("*.jpg", "no image or video matches"),
        ("notes.csv", "files of type .csv"),
        ("photo.cr2", "files of type .cr2"),
        ("photo.heic", "HEIC image, which needs pip install"),
        ("letter", "files of type .none. cannot be read"),
        ("names.txt", "names no file"),
        ("empty", "holds no image"),
    ],
)
def test_bad_sources_fail_at_once_and_say_what_is_accepted(
    tmp_path: Path, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.csv").write_text("x")
    (tmp_path / "letter").write_text("x")
    (tmp_path / "photo.cr2").write_bytes(b"II*\0")
    (tmp_path / "photo.heic").write_bytes(HEIC)
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    (tmp_path / "names.txt").write_text("# nothing yet\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(tmp_path / name))
    assert name in str(caught.value)
    assert ".mp4" in str(caught.value) or name == "names.txt"


def test_a_video_frame_by_frame_with_times(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with VideoWriter(path, fps=10, size_hw=(32, 48)) as writer:
        for level in (0, 80, 160, 240):
            writer.write(grey(level, 32, 48))
    found = frames_of(open_source(str(path)))
    assert [frame.index for frame in found] == [0, 1, 2, 3]
    assert [frame.time for frame in found] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-3)
    assert [float(frame.image.mean()) for frame in found] == pytest.approx([0, 80, 160, 240], abs=6)
    assert found[0].fps == pytest.approx(10)


def test_a_damaged_video(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"not a video at all")
    with pytest.raises(DataError, match=r"v\.mp4"):
        list(open_source(str(path)))


def names_of(source: Iterator[Item]) -> list[str]:
    return [Path(one.source).name for one in source]


def test_folders_and_files_with_brackets_are_meant_as_they_are_written(tmp_path: Path) -> None:
    for name in ("trip [2024]/a1.png", "trip [2024]/b.png", "[x].png", "x.png", "p [1]a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, grey(1))
    for pattern, found in (
        ("trip [2024]/a*.png", ["a1.png"]),
        ("trip [2024]/*", ["a1.png", "b.png"]),
        ("[x].png", ["[x].png"]),
        ("[wx].*", ["x.png"]),
        ("p [1]*.png", ["p [1]a.png"]),
        ("**/[ab]*.png", ["a1.png", "b.png"]),
    ):
        assert names_of(open_source(str(tmp_path / pattern))) == found, pattern


def test_a_relative_glob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "-a.png", grey(1))
    assert names_of(open_source("*.png")) == ["-a.png"]


def test_several_sources_in_the_order_given(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, grey(1))
    (tmp_path / "README").write_text("what a shell finds, too")
    words = [tmp_path / "b.png", tmp_path / "README", tmp_path / "c", tmp_path / "a.png"]
    found = open_source(words)
    assert found.total == 3
    items = list(found)
    assert [Path(one.source).name for one in items] == ["b.png", "README", "d.png", "a.png"]
    assert isinstance(items[1], Unreadable)
    assert "files of type (none)" in items[1].reason
    with pytest.raises(DataError, match="nowhere"):
        open_source([tmp_path / "a.png", "nowhere.png"])
    with pytest.raises(DataError, match="no source is given"):
        open_source([])


def test_a_bad_video_among_several_sources(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    write_image(tmp_path / "b.png", grey(1))
    first, second = open_source([tmp_path / "a.mp4", tmp_path / "b.png"])
    assert isinstance(first, Unreadable)
    assert first.source == str(tmp_path / "a.mp4")
    assert isinstance(second, ImageFile)


def test_a_list_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lists/a.png", "from_here.png", "lists/sub/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, grey(1))
    (tmp_path / "lists" / "notes.csv").write_text("x")
    names = [
        "# comment",
        "a.png",
        "",
        " sub\\b.png",
        "gone.png",
        "from_here.png",
        "notes.csv",
        str(tmp_path / "lists/a.png"),
    ]
    (tmp_path / "lists" / "all.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(names).encode())
    found = open_source("lists/all.txt")
    assert found.total == 6
    items = list(found)
    assert [Path(one.source).name for one in items] == [
        "a.png",
        "b.png",
        "gone.png",
        "from_here.png",
        "notes.csv",
        "a.png",
    ]
    assert [type(one) for one in items] == [ImageFile, ImageFile, Unreadable, ImageFile, Unreadable, ImageFile]
    assert isinstance(items[2], Unreadable)
    assert "no such file; it is listed in lists/all.txt" in items[2].reason
    (tmp_path / "wide.txt").write_text("a.png", encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16"):
        open_source("wide.txt")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_read_and_printable(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write_image(tmp_path / "a.png", grey(7))
    try:
        (tmp_path / "a.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    (tmp_path / "all.txt").write_bytes(b"caf\xe9.png\n")
    for source in (tmp_path, tmp_path / name, tmp_path / "all.txt"):
        (frame,) = frames_of(open_source(source))
        assert (frame.image == 7).all()
        assert frame.source == str(tmp_path / "caf%E9.png")


def test_images_that_are_not_read_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    for name in ("a.heic", "b.HEIC", "c.svg", "notes.txt", "._d.gif", "._e.svg"):
        (tmp_path / name).write_bytes(HEIC)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jpg").mkdir()
    write_image(tmp_path / "e.png", grey(1))
    for source in (str(tmp_path), str(tmp_path / "*")):
        found = open_source(source)
        assert len(list(found)) == 1
        assert found.notes()[0].startswith("3 files were not read: 2 .heic, 1 .svg; HEIC and AVIF need pip install")
        assert found.notes()[1] == "2 paths that are named like images are not files: pipes, broken links or the like"
    (tmp_path / "e.png").unlink()
    with pytest.raises(DataError, match=r"3 files were not read: 2 \.heic"):
        open_source(tmp_path)


def test_a_file_is_what_its_first_bytes_say(tmp_path: Path) -> None:
    """A PNG called .jpg, and images without a suffix, if they are named themselves."""
    write_image(tmp_path / "a.png", grey(3))
    for name in ("a.jpg", "photo", "export.dat"):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
        (frame,) = frames_of(open_source(tmp_path / name))
        assert (frame.image == 3).all()


def test_a_limit_counts_what_can_be_read(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"{number}.png", grey(1))
    (tmp_path / "all.txt").write_text("gone.png\n0.png\n1.png\n2.png")
    found = open_source(tmp_path / "all.txt", SourceOptions(limit=2))
    assert found.total == 2
    assert names_of(found) == ["gone.png", "0.png", "1.png"]


def test_a_closed_source_gives_nothing_more(tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / f"{number}.png", grey(1))
    with open_source(tmp_path) as found:
        assert found.total == 4
        next(found)
    assert list(found) == []
    found.close()


def test_a_video_that_ends_early_gives_its_frames_and_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    capture = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (24, 16))
    for _ in range(50):
        capture.write(grey(9))
    capture.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(str(path), SourceOptions(frames=FrameChoice(every_frames=2)))
    frames = frames_of(source)
    assert [frame.index for frame in frames] == list(range(0, 2 * len(frames), 2))
    assert any("of 50 frames could be read" in note for note in source.notes())


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))


def test_an_image_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", grey(5))
    pipe(monkeypatch, (tmp_path / "a.png").read_bytes())
    (frame,) = frames_of(open_source("-"))
    assert (frame.image == 5).all()
    assert frame.source == "stdin"


def test_an_image_on_standard_input_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", grey(5))
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr("yolo.media.sources.MAX_IMAGE_BYTES", len(data))
    pipe(monkeypatch, data)
    assert len(frames_of(open_source("-"))) == 1
    pipe(monkeypatch, data + b"x")
    with pytest.raises(DataError, match=f"standard input has more than {len(data)} bytes"):
        next(open_source("-"))


def test_a_list_on_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "BM.png", grey(1))
    write_image(tmp_path / "b.png", grey(2))
    pipe(monkeypatch, b"BM.png\r\n\ngone.png\n# no\nb.png")
    assert [one.source for one in open_source("-")] == ["BM.png", "gone.png", "b.png"]


def test_a_pipe_is_read_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that writes the list may be waiting for new images."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, grey(1))
    reader, writer = os.pipe()
    with open(reader, "rb") as stream, open(writer, "wb", buffering=0) as sender:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        source = open_source("-")
        sender.write(b"a.png\nb.p")
        assert next(source).source == "a.png"
        threading.Timer(0.01, partial(_finish, sender)).start()
        assert [one.source for one in source] == ["b.png"]


def _finish(sender: io.FileIO) -> None:
    sender.write(b"ng\n")
    sender.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "nothing came"), (b"\0\0\0\x20ftypisom", "give videos as files"), (b"a" * 70_000, "longer than a path")],
)
def test_standard_input_that_is_neither(monkeypatch: pytest.MonkeyPatch, data: bytes, message: str) -> None:
    pipe(monkeypatch, data)
    with pytest.raises(DataError, match=message):
        list(open_source("-"))


@pytest.mark.parametrize(
    ("word", "kind"), [("0", "camera:0"), ("camera:3", "camera:3"), ("rtsp://10.0.0.5/1", "rtsp://10.0.0.5/1")]
)
def test_what_is_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []

    def note(streams: list[Stream], reading: Reading) -> Iterator[Item]:
        seen.extend(stream.name for stream in streams)
        return iter(())

    monkeypatch.setattr("yolo.media.sources.read_live", note)
    source = open_source(word)
    assert (source.total, list(source)) == (None, [])
    assert seen == [kind]


def test_a_file_called_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "a.png", grey(1))
    (tmp_path / "a.png").rename("0")
    assert names_of(open_source("0")) == ["0"]


class FakeScreen:
    """What mss gives, without a screen."""

    class ScreenShotError(Exception):
        pass

    def __init__(self) -> None:
        self.monitors = [{"all": 0}, {"first": 1}]

    def mss(self) -> "FakeScreen":
        return self

    def grab(self, monitor: dict[str, int]) -> np.ndarray:
        assert monitor == {"first": 1}
        return np.full((4, 6, 4), (10, 20, 30, 255), np.uint8)  # BGRA

    def close(self) -> None:
        pass


def test_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.media.screen.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"gridyolo\[screen\]"):
        open_source("screen")
    monkeypatch.setattr("yolo.media.screen.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "mss", FakeScreen())
    with open_source("screen", SourceOptions(limit=3)) as source:
        frames = frames_of(source)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].image[0, 0].tolist() == [30, 20, 10]
    assert frames[0].source == "screen:1"
    with pytest.raises(DataError, match="screen:4: there are 1 screens"):
        next(open_source("screen:4"))


def test_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    grab = pytest.importorskip("mss")
    try:
        grab.mss().close()
    except grab.ScreenShotError:
        pytest.skip("this machine has no screen")
    with open_source("screen", SourceOptions(limit=1)) as source:
        assert frames_of(source)[0].image.shape[2] == 3


def test_sources_are_shown_without_passwords() -> None:
    assert shown_source("rtsp://me:secret@10.0.0.5/1") == ("rtsp://me:***@10.0.0.5/1",)
    assert shown_source(("a:b@c.jpg", "0")) == ("a:b@c.jpg", "0")
