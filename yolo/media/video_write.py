"""Videos out, one frame at a time with flat memory.

With PyAV (the extra `video`) H.264 in an MP4 file, with the times of the frames and the sound of the source. It is
written in fragments, which can be played however the program ends, and put in order for browsers when it is complete.
Without PyAV what OpenCV's FFmpeg has: VP8 in a WebM file, which browsers play too, at an even rate and without sound.

Pixels are even in number for these codecs: the last row or column is repeated, nothing is cut off.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import SaveError, printable
from yolo.files import atomic_write, opencv_name, saving
from yolo.process import silent_stderr

_DEFAULT_FPS, _MAX_FPS = 25.0, 1000.0
_TICKS = 90_000  # a second, in which times are written
_MIN_SIDE, _MAX_SIDE = 16, 16_000  # pixels; not every player takes less, and no encoder more than 16,383
_SAME_RATE = 1e-3  # of a rate: nobody sees such a difference
_MAX_REPEATED = 60.0  # seconds: where no frame comes for longer, a video of an even rate is not filled up
_FOURCC = {".webm": "VP80", ".mp4": "mp4v"}
# At 1280 x 720 superfast took two thirds of the time of veryfast, for a larger file.
_X264 = {"preset": "superfast", "crf": "23"}
_SECONDS_BETWEEN_KEY_FRAMES = 4
_BT601, _LIMITED_RANGE = 6, 1  # how OpenCV converts to YUV, in FFmpeg's numbers


def has_pyav() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


def video_suffix() -> str:
    """Suffix of the videos that can be written here and that browsers play."""
    return ".mp4" if has_pyav() else ".webm"


class _Encoder(Protocol):
    fps: float  # frames per second of the file

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame of even size; times rise."""

    def close(self) -> None:
        """Finish the file."""


class VideoWriter:
    """Context manager that writes frames of one size; the file appears when it is complete.

    A video that cannot be written further, because the disk is full, keeps the frames that it has.

    Args:
        path: ends in `.mp4` or `.webm`; see `video_suffix`.
        fps: frames per second, for frames without times; None or 0 for 25.
        size_hw: height and width of the frames.
        sound: a file whose sound, between the times of the first and the last frame, is added; needs PyAV.

    A rate or a size that cannot be written is replaced by the nearest that can.

    Attributes:
        notes: what is not as it was asked for.

    Raises:
        SaveError: such a file cannot be written here.
    """

    def __init__(self, path: Path, *, fps: float | None, size_hw: tuple[int, int], sound: Path | None = None) -> None:
        self.path = path
        self.fps = min(fps, _MAX_FPS) if fps and math.isfinite(fps) and fps > 0 else _DEFAULT_FPS
        self.size_hw = _possible_size(size_hw)
        self.notes: list[str] = []
        self._asked_fps, self._asked_hw = fps, size_hw
        self._sound = sound
        self._first_time, self._last_time = 0.0, -math.inf  # of the frames that were written
        self._count = 0
        self._failure: SaveError | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_write(self.path))
            use_pyav = self.path.suffix == ".mp4" and has_pyav()
            self._encoder: _Encoder = (_PyAvEncoder if use_pyav else _OpenCvEncoder)(
                self._temporary, self.fps, self.size_hw
            )
            self._stack = stack.pop_all()
        self._note_changes()
        return self

    def _note_changes(self) -> None:
        name, asked, written = printable(self.path.name), self._asked_fps, self._encoder.fps
        if asked and not (math.isfinite(asked) and abs(written - asked) <= _SAME_RATE * asked):
            self.notes.append(
                f"{name}: written with {written:g} frames per second, {asked:g} is not a rate that videos have"
            )
        (height, width), (high, wide) = self.size_hw, self._asked_hw
        if height < high or width < wide:
            self.notes.append(
                f"{name}: written at {width} x {height} pixels, because a video cannot have {wide} x {high}"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._failure is None:
            try:
                self._write(self._encoder.close)
                self._write(self._probe_room)
                self._put_in_order()
            except SaveError as failure:
                self._keep(failure)
                raise
            self._stack.__exit__(None, None, None)
            return
        with suppress(Exception):  # the error that counts has been raised
            self._encoder.close()
        if self._failure is not None:
            self._keep(self._failure)
        else:
            self._stack.__exit__(kind, error, trace)

    def write(self, image: NDArray[np.uint8], time: float | None = None) -> None:
        """Append an (H, W, 3) uint8 RGB frame; one of another size is fitted into the video's, with black bars.

        Args:
            image: the frame.
            time: in seconds of the source; by default one frame after the last.

        Raises:
            SaveError: the frame was not written, for example because the disk is full.
        """
        if not self._count:
            self._first_time = time or 0.0
        following = self._last_time + 1 / self.fps if self._count else self._first_time
        if time is None or time <= self._last_time:
            time = following
        frame = _fitted(image, self.size_hw)
        self._write(lambda: self._encoder.write(frame, time - self._first_time))
        self._last_time = time
        self._count += 1

    def _write(self, action: Callable[[], None]) -> None:
        """Call what writes; where it fails, remember how much of the file is good."""
        size = 0
        try:
            with saving(self.path, self._temporary, errors=_writer_errors()):
                try:
                    action()
                except Exception:
                    size = self._temporary.stat().st_size
                    raise
        except SaveError as error:
            os.truncate(self._temporary, size)  # `saving` appends bytes to learn why writing failed
            self._failure = error
            raise

    def _probe_room(self) -> None:
        """Find out whether the end of the file was written: OpenCV says nothing where it was not.

        Where the disk or the file was full, there is no room for one more byte.
        """
        size = self._temporary.stat().st_size
        with self._temporary.open("ab", buffering=0) as file:
            file.write(b"\0")
            file.truncate(size)

    def _keep(self, failure: SaveError) -> None:
        """Leave a file that could not be finished under its name, if there are frames in it."""
        if self._count > 1 and self._temporary.exists():
            self._temporary.replace(self.path)
        self._stack.__exit__(SaveError, failure, None)

    def _put_in_order(self) -> None:
        """Copy the packets of a fragmented file into one that plays at once, with the sound."""
        if not isinstance(self._encoder, _PyAvEncoder) or not self._count:
            return
        from yolo.media.video_sound import copy_with_sound

        ordered = self._temporary.with_name(f"{self._temporary.stem}-ordered{self._temporary.suffix}")
        end = self._last_time + 1 / self.fps
        try:
            note = copy_with_sound(self._temporary, ordered, sound=self._sound, start=self._first_time, end=end)
            self.notes += [note] if note else []
            ordered.replace(self._temporary)
        except _writer_errors() as error:  # the fragmented file is a good video
            self.notes.append(f"{printable(self.path.name)} has no sound and is not arranged for the web ({error})")
        finally:
            ordered.unlink(missing_ok=True)


def _writer_errors() -> tuple[type[Exception], ...]:
    if not has_pyav():
        return (OSError, cv2.error)
    import av

    return (OSError, cv2.error, av.FFmpegError)


def _possible_size(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a video for frames of a size: even, and neither too small nor too large.

    >>> _possible_size((121, 161)), _possible_size((1, 1)), _possible_size((400, 32_000))
    ((122, 162), (16, 16), (200, 16000))
    """
    scale = min(1.0, _MAX_SIDE / max(size_hw))
    height, width = (max(2 * math.ceil(round(side * scale) / 2), _MIN_SIDE) for side in size_hw)
    return height, width


def _fitted(image: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame at the size of the video: a row or column is repeated, or it is scaled and centred on black."""
    height, width = size_hw
    lacking_h, lacking_w = height - image.shape[0], width - image.shape[1]
    if lacking_h == lacking_w == 0:
        return image
    if {lacking_h, lacking_w} <= {0, 1}:  # one more row or column
        return np.asarray(cv2.copyMakeBorder(image, 0, lacking_h, 0, lacking_w, cv2.BORDER_REPLICATE), np.uint8)
    scale = min(height / image.shape[0], width / image.shape[1])
    new_h, new_w = max(1, round(scale * image.shape[0])), max(1, round(scale * image.shape[1]))
    top, left = (height - new_h) // 2, (width - new_w) // 2
    frame = np.zeros((height, width, 3), np.uint8)
    frame[top : top + new_h, left : left + new_w] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA)
    return frame


class _PyAvEncoder:
    """H.264 in fragments of MP4."""

    def __init__(self, path: Path, fps: float, size_hw: tuple[int, int]) -> None:
        import av

        self._av = av
        try:
            with ExitStack() as opened:
                options = {"movflags": "+hybrid_fragmented"}
                self._container = opened.enter_context(av.open(str(path), "w", format="mp4", options=options))
                stream: Any = self._container.add_stream("libx264", rate=Fraction(fps).limit_denominator(10_000))
                opened.pop_all()  # it stays open for `write`
        except (av.FFmpegError, ValueError) as error:
            raise SaveError(f"{printable(path)}: PyAV cannot write H.264 here ({error})") from error
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        key_frames = round(np.clip(_SECONDS_BETWEEN_KEY_FRAMES * fps, 10, 250))
        stream.options = {**_X264, "g": str(key_frames)}
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.colorspace, stream.codec_context.color_range = _BT601, _LIMITED_RANGE
        self._stream, self._duration, self._last = stream, round(_TICKS / fps), -1
        self.fps = fps

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Encode a frame."""
        # OpenCV converts several times faster than FFmpeg
        yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        frame = self._av.VideoFrame.from_ndarray(yuv, format="yuv420p")
        self._last = max(round(time * _TICKS), self._last + 1)
        frame.pts, frame.time_base, frame.duration = self._last, Fraction(1, _TICKS), self._duration
        frame.colorspace, frame.color_range = _BT601, _LIMITED_RANGE
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the frames that the encoder still holds, and the end of the file."""
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class _OpenCvEncoder:
    """What OpenCV's FFmpeg can write; frames are repeated so that each is shown at its time."""

    def __init__(self, path: Path, fps: float, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        codec = cv2.VideoWriter.fourcc(*_FOURCC[path.suffix])
        for rate in (fps, float(round(fps)) or 1.0):  # the codec of .mp4 has no clock for 211.222
            with silent_stderr():  # OpenCV writes there that WebM has no number for VP8, which is so
                self._writer = cv2.VideoWriter(opencv_name(path), cv2.CAP_FFMPEG, codec, rate, (width, height))
            if self._writer.isOpened():
                break
        else:
            raise SaveError(f"{printable(path)}: OpenCV cannot write a video of {width}x{height} here")
        self.fps, self._written = rate, 0
        self._late = 0.0  # seconds that were not filled up
        self._last: NDArray[np.uint8] | None = None

    def write(self, image: NDArray[np.uint8], time: float) -> None:
        """Append a frame at its time, no earlier than after the last."""
        bgr = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
        gap = time - self._late - self._written / self.fps
        if gap > _MAX_REPEATED:
            self._late += gap
            gap = 0.0
        for _ in range(round(gap * self.fps)):
            self._append(bgr if self._last is None else self._last)
        self._append(bgr)
        self._last = bgr

    def _append(self, bgr: NDArray[np.uint8]) -> None:
        # OpenCV 5 says whether it wrote; version 4 returns None, whatever happened
        written: bool | None = self._writer.write(bgr)
        if written is False:
            raise OSError("OpenCV could not write a frame")
        self._written += 1

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()
