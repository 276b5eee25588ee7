import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.errors import SaveError
from yolo.media.video_read import read_video
from yolo.media.video_write import VideoWriter


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
