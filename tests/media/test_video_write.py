import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.errors import DataError, SaveError
from yolo.media.streams import OpenCvCapture
from yolo.media.video_read import FrameChoice, read_video
from yolo.media.video_write import VideoWriter, has_pyav, video_suffix

SUFFIXES = [".webm", ".mp4"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_odd_sizes_gain_a_pixel_and_colours_stay_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    image = np.zeros((33, 47, 3), np.uint8)
    image[..., 0] = 200  # red
    with VideoWriter(path, fps=None, size_hw=(33, 47)) as writer:
        writer.write(image)
        writer.write(image)
    first, _ = read_video(path)
    assert first.image.shape == (34, 48, 3)
    red, green, blue = first.image[-1].mean(axis=0)
    assert red > 170 > 30 > max(green, blue)
    assert first.fps == pytest.approx(25)


@pytest.mark.parametrize("fps", [211.222, 1000 / 33, 29.97, 0.5, 1000.0])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_frame_rate_is_written(tmp_path: Path, suffix: str, fps: float) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, fps=fps, size_hw=(32, 48)) as writer:
        for _ in range(4):
            writer.write(np.zeros((32, 48, 3), np.uint8))
    times = [frame.time for frame in read_video(path)]
    assert times == pytest.approx([k / fps for k in range(4)], rel=2e-3, abs=1e-3)


@pytest.mark.parametrize("fps", [0.0, -5.0, float("nan"), float("inf"), 1e6, None])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_rate_is_replaced_and_said(tmp_path: Path, suffix: str, fps: float | None) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, fps=fps, size_hw=(32, 48)) as writer:
        for _ in range(3):
            writer.write(np.zeros((32, 48, 3), np.uint8))
    assert len(list(read_video(path))) == 3
    rate = 1000 if fps == 1e6 else 25
    says = f"a{suffix}: written with {rate} frames per second, {fps or 0:g} is not a rate that videos have"
    assert writer.notes == ([says] if fps else [])


@pytest.mark.parametrize(
    ("size_hw", "written"),
    [((1, 1), (16, 16)), ((1, 640), (16, 640)), ((33, 47), (34, 48)), ((20, 32_000), (16, 16_000))],
)
def test_any_size_is_written(tmp_path: Path, size_hw: tuple[int, int], written: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "a.webm", fps=5, size_hw=size_hw) as writer:
        writer.write(np.full((*size_hw, 3), 200, np.uint8))
    (frame,) = read_video(tmp_path / "a.webm")
    assert frame.image.shape[:2] == written
    assert frame.image.max() > 150
    too_large = "a.webm: written at 16000 x 16 pixels, because a video cannot have 32000 x 20"
    assert writer.notes == ([too_large] if size_hw[1] > 16_000 else [])


def test_a_frame_of_another_size_is_fitted_between_black_bars(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", fps=5, size_hw=(32, 64)) as writer:
        writer.write(np.zeros((32, 64, 3), np.uint8))
        writer.write(np.full((16, 16, 3), 200, np.uint8))
    _, frame = read_video(tmp_path / "a.webm")
    assert frame.image.shape == (32, 64, 3)
    assert frame.image[:, 22:42].min() > 150
    assert frame.image[:, [0, 8, 56, 63]].max() < 50


@pytest.mark.parametrize("suffix", [".webm", video_suffix()])
def test_frames_are_shown_at_their_times(tmp_path: Path, suffix: str) -> None:
    """At an even rate a frame is repeated until the next one; PyAV writes the times themselves."""
    path, times = tmp_path / f"a{suffix}", [3.0, 3.1, 4.0, 4.13, 6.0]
    with VideoWriter(path, fps=10, size_hw=(32, 48)) as writer:
        for k, time in enumerate(times):
            writer.write(np.full((32, 48, 3), 50 * k, np.uint8), time)
    frames = list(read_video(path))
    shown = [min(frames, key=lambda one: abs(one.image.mean() - 50 * k)) for k in range(5)]
    assert [frame.time for frame in shown] == pytest.approx([0, 0.1, 1.0, 1.13, 3.0], abs=0.051)
    assert len(frames) == (5 if suffix == ".mp4" else 31)


def test_a_long_pause_is_not_filled_up(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", fps=10, size_hw=(32, 48)) as writer:
        for time in (0.0, 1e6, 1e6 + 0.1):
            writer.write(np.zeros((32, 48, 3), np.uint8), time)
    assert len(list(read_video(tmp_path / "a.webm"))) == 3


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
        with VideoWriter(tmp_path / "a.webm", fps=5, size_hw=(32, 32)) as writer:
            writer._encoder.close()
            writer.write(np.zeros((32, 32, 3), np.uint8))

    with pytest.raises(SaveError, match=r"a\.webm"):
        write_to_a_closed_file()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes to stand for a full disk")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_an_error_and_the_frames_so_far_are_kept(tmp_path: Path, suffix: str) -> None:
    import resource

    def write_noise() -> None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 240, 320, 3), np.uint8)
        with VideoWriter(tmp_path / f"a{suffix}", fps=1, size_hw=(240, 320)) as writer:
            for image in noise:
                writer.write(image)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(SaveError, match=r"could not be saved \(.*\); free some space"):
            write_noise()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]
    if suffix != ".mp4" or has_pyav():  # OpenCV's MP4 has its index at the end
        assert next(read_video(tmp_path / f"a{suffix}")).image.std() > 20


def with_sound(path: Path, codec: str) -> Path:
    """Ten seconds of grey, and in second k a tone of 200 + 100 k Hz."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream(codec, rate=8000, layout="mono")
        for k in range(100):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 48, 3), 128, np.uint8), format="rgb24")))
            place = np.arange(800 * k, 800 * (k + 1))
            tone = 8000 * np.sin(2 * np.pi * (200 + 100 * (k // 10)) * place / 8000)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, 800 * k
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def loudest(path: Path, start: float) -> float:
    """Frequency of the tone in the 0.4 s from a time on."""
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        frames = [frame for frame in container.decode(audio=0) if start <= frame.time < start + 0.4]
        samples = np.concatenate([frame.to_ndarray()[0].astype(np.float64) for frame in frames])
        rate = frames[0].sample_rate
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.avi", "pcm_s16le")])
def test_the_sound_of_the_source_stays_in_time(tmp_path: Path, name: str, codec: str) -> None:
    source = with_sound(tmp_path / name, codec)
    out = tmp_path / "out.mp4"
    with VideoWriter(out, fps=10, size_hw=(32, 48), sound=source) as writer:
        for frame in read_video(source, FrameChoice(start=4, end=8)):
            writer.write(frame.image, frame.time)
    assert writer.notes == []
    assert [frame.time for frame in read_video(out)] == pytest.approx([k / 10 for k in range(40)])
    assert [loudest(out, k + 0.3) for k in range(4)] == pytest.approx([600, 700, 800, 900], abs=5)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded


def test_a_source_without_sound_is_no_fault(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with VideoWriter(tmp_path / "a.mp4", fps=5, size_hw=(32, 32)) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    for sound, note in ((tmp_path / "a.mp4", ""), (tmp_path / "gone.mp4", "gone.mp4: its sound cannot be taken over")):
        with VideoWriter(tmp_path / "b.mp4", fps=5, size_hw=(32, 32), sound=sound) as writer:
            writer.write(np.zeros((32, 32, 3), np.uint8))
        assert note in " ".join(writer.notes)
        assert bool(note) == bool(writer.notes)
        assert len(list(read_video(tmp_path / "b.mp4"))) == 1


def test_what_a_killed_process_leaves_is_a_video(tmp_path: Path) -> None:
    pytest.importorskip("av")
    rng = np.random.default_rng(0)
    with VideoWriter(tmp_path / "a.mp4", fps=1, size_hw=(128, 128)) as writer:
        for _ in range(60):
            writer.write(rng.integers(0, 256, (128, 128, 3), np.uint8))
        (tmp_path / "copy.mp4").write_bytes(writer._temporary.read_bytes())
    assert next(read_video(tmp_path / "copy.mp4")).index == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes to stand for a full disk")
def test_an_end_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    """OpenCV's own failure is silent, and the last frames are written when it closes the file."""
    import resource

    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    writer = VideoWriter(tmp_path / "a.webm", fps=1, size_hw=(240, 320))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer.__enter__()
    for _ in range(3):
        writer.write(noise)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(SaveError, match=r"a\.webm: could not be saved") as caught:
            writer.__exit__(None, None, None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.others_may_follow


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
def test_names_that_are_not_utf8_are_written_and_read(tmp_path: Path) -> None:
    """OpenCV ended the process where it was given such a name as text."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    path = folder / "ni\udcf1o.avi"
    with VideoWriter(path.with_suffix(".webm"), fps=10.0, size_hw=(32, 48)) as writer:
        writer.write(np.zeros((32, 48, 3), np.uint8), 0.0)
    path.with_suffix(".webm").rename(path)
    assert [frame.image.shape for frame in read_video(path)] == [(32, 48, 3)]
    with pytest.raises(DataError, match="camera"):
        OpenCvCapture("rtsp:\udce9", "no camera", timeout=0.1)
