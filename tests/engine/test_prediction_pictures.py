from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yolo.engine.output_names import OutputNames
from yolo.engine.prediction_pictures import PictureWriter
from yolo.engine.result import Result
from yolo.engine.result_writer import Unwritten
from yolo.images import read_image, read_size
from yolo.media.video_read import ALL_FRAMES, FrameChoice, read_video
from yolo.media.video_write import has_pyav, video_suffix
from yolo.structures import Detections


def result(
    source: str, frame: int | None = None, time: float | None = None, level: int = 90, width: int = 48, **more: Any
) -> Result:
    image = np.full((32, width, 3), level, np.uint8)
    found = Detections.empty((32, width))
    return Result(found, class_names=("a",), image=image, source=source, frame=frame, time=time, fps=10, **more)


class Pictures(PictureWriter):
    def __init__(self, folder: Path, frames: FrameChoice = ALL_FRAMES) -> None:
        self.names = OutputNames()
        super().__init__(folder, self.names, frames=frames)

    def write(self, result: Result) -> str:
        return self.add(self.draw(result), self.names.of_file(result.source, result.frame))


def test_images_are_named_for_their_files(tmp_path: Path) -> None:
    with closing(Pictures(tmp_path)) as pictures:
        names = [pictures.write(result(source)) for source in ("x/a.png", "y/a.png")]
    assert names == ["a.jpg", "a-2.jpg"]
    assert abs(int(read_image(tmp_path / "a.jpg").mean()) - 90) < 3
    assert pictures.notes == []


def test_images_are_encoded_where_they_are_drawn_and_frames_are_not(tmp_path: Path) -> None:
    """The thread that writes in order has no more to do for an image than to write bytes."""
    with closing(Pictures(tmp_path)) as pictures:
        picture = pictures.draw(result("a.png"))
        assert picture.file is not None
        content, suffix = picture.file
        assert suffix == ".jpg"
        assert (tmp_path / pictures.add(picture, "a")).read_bytes() == content
        assert pictures.draw(result("a.mp4", 0, 0.0)).file is None


def test_an_image_too_wide_for_a_jpeg_is_a_png_and_the_next_follows(tmp_path: Path) -> None:
    with closing(Pictures(tmp_path)) as pictures:
        names = [pictures.write(result("a.png", width=width)) for width in (70_000, 48)]
    assert names == ["a.png", "a-2.jpg"]
    assert read_size(tmp_path / "a.png") == (32, 70_000)
    assert pictures.notes == ["a.png: written as PNG, because a JPEG cannot have 70000 x 32 pixels"]


def test_streams_that_take_turns_have_a_video_each(tmp_path: Path) -> None:
    with closing(Pictures(tmp_path)) as pictures:
        for frame in range(5):
            for source, level in (("cam0", 40), ("cam1", 200)):
                pictures.write(result(source, frame, frame / 10, level, is_live=True))
        # a stream that begins anew, and one that has filled its file
        pictures.write(result("cam0", 0, 0.0, is_live=True))
        name = pictures.write(result("cam1", 5, 3600.0, is_live=True))
    assert name == f"cam1-2{video_suffix()}"
    for stem, level, count in (("cam0", 40, 5), ("cam1", 200, 5), ("cam0-2", 90, 1), ("cam1-2", 90, 1)):
        frames = list(read_video(tmp_path / (stem + video_suffix())))
        assert len(frames) == count
        assert all(abs(frame.image.mean() - level) < 6 for frame in frames)
    assert any("pip install 'gridyolo[video]'" in note for note in pictures.notes) != has_pyav()


def test_a_video_behind_an_address_is_one_file_however_long(tmp_path: Path) -> None:
    """It is no stream: it does not begin a new file each hour, and it is finished when the next video begins."""
    with closing(Pictures(tmp_path)) as pictures:
        first, second = "https://example.org/a.mp4", "https://example.org/b.mp4"
        names = [pictures.write(result(first, frame, frame * 2000.0)) for frame in range(3)]
        names.append(pictures.write(result(second, 0, 0.0)))
        assert list(read_video(tmp_path / names[0]))
    assert names == [f"{stem}{video_suffix()}" for stem in "aaab"]


def test_a_part_of_a_video_keeps_its_pace(tmp_path: Path) -> None:
    """Every fifth frame of ten a second from 7 s on: two frames a second, from 0 on."""
    with closing(Pictures(tmp_path, frames=FrameChoice(start=7, every_frames=5))) as pictures:
        for frame in range(70, 90, 5):
            pictures.write(result("a.mp4", frame, frame / 10))
    frames = list(read_video(tmp_path / f"a{video_suffix()}"))
    assert [round(frame.time, 2) for frame in frames] == [0, 0.5, 1.0, 1.5]


def test_a_video_that_becomes_too_large_ends_early_and_the_next_is_written(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)

    def frame(source: str, number: int) -> Result:
        large = np.tile(noise, (20, 20, 1))[:, :, ::-1] if source == "a.mp4" else noise
        found = Detections.empty(large.shape[:2])
        return Result(found, class_names=("a",), image=large, source=source, frame=number, time=number / 5, fps=5)

    unwritten, names = Unwritten(), list[str]()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with closing(Pictures(tmp_path)) as pictures:
            for source, count in (("a.mp4", 30), ("b.mp4", 3)):
                for number in range(count):
                    with unwritten.attempt("pictures"):
                        names.append(pictures.write(frame(source, number)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names[-3:] == [f"b{video_suffix()}"] * 3
    assert len(list(read_video(tmp_path / f"b{video_suffix()}"))) == 3
    (line,) = unwritten.lines()
    assert line.startswith("pictures of ")
    assert "could not be saved (File too large)" in line


def test_a_picture_that_no_file_can_hold_is_written_smaller(tmp_path: Path) -> None:
    with closing(Pictures(tmp_path)) as pictures:
        name = pictures.write(result("a.bmp", width=1_000_001))
    assert name == "a.jpg"
    assert read_size(tmp_path / "a.jpg") == (2, 65_500)
    assert pictures.notes == ["a.jpg: written smaller, because no file can have 1000001 x 32 pixels"]
