import os
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.errors import DataError, ImageReadError, SaveError
from yolo.images import write_image
from yolo.media.frames import Frame, Unreadable, VideoWriter, open_source, read_video


def grey(level: int, height: int = 16, width: int = 24) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def frames_of(source: Iterator[Frame | Unreadable]) -> list[Frame]:
    found = list(source)
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
    names = [frame.path.relative_to(tmp_path).as_posix() for frame in frames_of(open_source(str(tmp_path)))]
    assert names == ["a.PNG", "b/c.jpg", "b/z.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(1))
    os.mkfifo(tmp_path / "b.png")
    assert [frame.path.name for frame in frames_of(open_source(str(tmp_path)))] == ["a.png"]


def test_a_glob(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png"):
        write_image(tmp_path / name, grey(1))
    assert [frame.path.name for frame in frames_of(open_source(str(tmp_path / "a*.png")))] == ["a1.png", "a2.png"]


def test_a_bad_image_of_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", grey(1))
    (tmp_path / "b.jpg").write_bytes(b"no image")
    write_image(tmp_path / "c.png", grey(1))
    first, second, third = open_source(str(tmp_path))
    assert isinstance(first, Frame)
    assert isinstance(second, Unreadable)
    assert "b.jpg" in second.reason
    assert isinstance(third, Frame)


def test_a_single_bad_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"b\.jpg"):
        list(open_source(str(tmp_path / "b.jpg")))


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


def test_odd_sizes_lose_a_pixel_and_colours_stay_rgb(tmp_path: Path) -> None:
    image = np.zeros((33, 47, 3), np.uint8)
    image[..., 0] = 200  # red
    with VideoWriter(tmp_path / "a.mp4", fps=None, size_hw=(33, 47)) as writer:
        writer.write(image)
        writer.write(image)
    first, _ = read_video(tmp_path / "a.mp4")
    assert first.image.shape == (32, 46, 3)
    red, green, blue = first.image.reshape(-1, 3).mean(axis=0)
    assert red > 170 > 30 > max(green, blue)
    assert first.fps == pytest.approx(25)


def test_a_frame_of_another_size_is_scaled(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(32, 48)) as writer:
        writer.write(np.zeros((32, 48, 3), np.uint8))
        writer.write(np.full((16, 16, 3), 128, np.uint8))
    frames = list(read_video(tmp_path / "a.mp4"))
    assert [frame.image.shape for frame in frames] == [(32, 48, 3)] * 2


def test_a_size_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=r"a\.mp4"), VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(1, 1)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_leaves_no_half_video(tmp_path: Path) -> None:
    def fail() -> None:
        with VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(32, 32)):
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(int(cv2.__version__.split(".")[0]) < 5, reason="OpenCV 4 does not say whether it wrote")
def test_a_frame_that_is_not_written_is_an_error(tmp_path: Path) -> None:
    def write_to_a_closed_file() -> None:
        with VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(32, 32)) as writer:
            writer._writer.release()
            writer.write(np.zeros((32, 32, 3), np.uint8))

    with pytest.raises(SaveError, match=r"a\.mp4"):
        write_to_a_closed_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes to stand for a full disk")
def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    import resource

    def write_noise() -> None:
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        with VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(240, 320)) as writer:
            for _ in range(100):
                writer.write(noise)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(SaveError, match=r"a\.mp4: could not be saved \(.*\); free some space"):
            write_noise()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
