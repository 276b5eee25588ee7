import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from yolo.errors import DataError, ImageReadError
from yolo.images import write_image
from yolo.media.sources import Frame, ImageFile, Item, Unreadable, open_source
from yolo.media.video import VideoWriter


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
        ("notes.txt", "files of type .txt"),
        ("empty", "holds no image"),
    ],
)
def test_bad_sources_fail_at_once_and_say_what_is_accepted(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message) as caught:
        open_source(str(tmp_path / name))
    assert name in str(caught.value)
    assert ".mp4" in str(caught.value)


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
