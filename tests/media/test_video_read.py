from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.errors import DataError, ImageReadError
from yolo.media.video_read import FrameChoice, VideoFrame, _Position, packet_times, read_video

BITS, SIDE = 10, 16  # a frame carries its number as black and white squares


def numbered(number: int) -> np.ndarray:
    row = np.repeat([255 * (number >> bit & 1) for bit in range(BITS)], SIDE)
    return np.broadcast_to(row[None, :, None], (32, BITS * SIDE, 3)).astype(np.uint8)


def number_on(frame: VideoFrame) -> int:
    return sum(1 << bit for bit in range(BITS) if frame.image[16, SIDE * bit + SIDE // 2].mean() > 127)


def write(path: Path, count: int, fps: float = 20.0) -> Path:
    """A video of the codec that every OpenCV can write, with a key frame every twelve frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (BITS * SIDE, 32))
    for number in range(count):
        writer.write(numbered(number))
    writer.release()
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("video") / "a.mp4", 300)


def test_all_frames_in_order_with_their_times(video: Path) -> None:
    frames = list(read_video(video))
    assert [number_on(frame) for frame in frames] == [frame.index for frame in frames] == list(range(300))
    assert [frame.time for frame in frames] == pytest.approx([k / 20 for k in range(300)])
    assert frames[0].fps == pytest.approx(20)
    assert packet_times(video) == pytest.approx([k / 20 for k in range(300)])


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (FrameChoice(start=0.1), range(2, 300)),
        (FrameChoice(start=12.02, end=12.2), range(241, 244)),
        (FrameChoice(start=14.9), range(298, 300)),
        (FrameChoice(every_frames=7), range(0, 300, 7)),
        (FrameChoice(every_frames=90), range(0, 300, 90)),
        (FrameChoice(start=5, end=10, every_frames=40), range(100, 200, 40)),
        (FrameChoice(every_seconds=2.5), range(0, 300, 50)),
        (FrameChoice(start=1, every_seconds=0.12), [20, 23, 25, 28, 30, 32, 35]),
        (FrameChoice(every_seconds=0.01, end=0.2), range(4)),
    ],
)
def test_chosen_frames_are_those_and_keep_their_numbers(
    video: Path, choice: FrameChoice, expected: range | list[int]
) -> None:
    frames = list(read_video(video, choice))
    expected = list(expected)
    if len(expected) == 7 and choice.every_seconds:  # the first of many
        frames = frames[:7]
    assert [frame.index for frame in frames] == [number_on(frame) for frame in frames] == expected
    assert [frame.time for frame in frames] == pytest.approx([k / 20 for k in expected])


def test_frames_after_a_seek_are_those_of_reading_through(video: Path) -> None:
    through = list(read_video(video))[250:]
    sought = list(read_video(video, FrameChoice(start=12.5)))
    assert len(sought) == 50
    assert all((a.image == b.image).all() for a, b in zip(through, sought, strict=True))


def test_little_is_decoded_before_the_start(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, grab = [], _Position._grab

    def counting_grab(self: _Position) -> bool:
        decoded.append(self.index)
        return grab(self)

    monkeypatch.setattr(_Position, "_grab", counting_grab)
    first = next(read_video(video, FrameChoice(start=14)))
    assert first.index == 280
    assert len(decoded) < 10


def test_a_start_behind_the_end_says_how_long_the_video_is(video: Path) -> None:
    with pytest.raises(ImageReadError, match=r"a\.mp4: the video ends at 14\.95 s, before --start 99"):
        list(read_video(video, FrameChoice(start=99)))
    with pytest.raises(ImageReadError, match=r"no frame between --start 5\.01 and --end 5\.02"):
        list(read_video(video, FrameChoice(start=5.01, end=5.02)))


def test_a_video_that_was_cut_off_gives_its_frames_and_says_how_many(tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(cut), cv2.VideoWriter.fourcc(*"MJPG"), 20, (BITS * SIDE, 32))
    for number in range(100):
        writer.write(numbered(number))
    writer.release()
    data = cut.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    frames: list[int] = []
    with pytest.raises(DataError, match=r"cut\.avi: \d\d of 100 frames could be read; the video is damaged") as error:
        frames.extend(map(number_on, read_video(cut)))
    assert frames == list(range(len(frames)))
    assert f"{len(frames)} of" in str(error.value)
    # asked for the beginning only, nothing is missing
    assert len(list(read_video(cut, FrameChoice(end=1)))) == 20


@pytest.mark.parametrize("content", [b"", b"no video", b"\0\0\0\x18ftypmp42" + bytes(500)])
def test_what_is_no_video_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mp4: no video could be found in it"):
        list(read_video(tmp_path / "a.mp4"))


def test_a_name_that_looks_like_an_address_or_a_pattern_is_a_file(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data:a%02d.mp4", "cafés 100%.mp4"):
        Path(name).write_bytes(video.read_bytes())
        assert next(read_video(Path(name))).index == 0
