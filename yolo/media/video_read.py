"""Frames of a video file, read by OpenCV with flat memory: all of them, a part, or every n-th.

Frames are upright (the rotation that phones write is applied) and have the time that the file gives them, so times are
right with a variable frame rate. OpenCV seeks by counting frames of an even rate; `_seek` therefore looks the times of
all frames up in the file's packets, which are read without decoding, and checks where it has come to.

Left out: streams, which have no length and cannot be sought (`streams`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError, ImageReadError, printable
from yolo.files import opencv_name
from yolo.images import MAX_PIXELS

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts"})

_SAME_TIME = 1e-4  # seconds: no two frames are closer
_WORTH_A_SEEK = 30  # frames: to skip fewer they are decoded
_SEEK_MARGINS = (0.1, 2.0, 15.0)  # seconds before the wanted frame, where a seek has gone too far
_TOLERATED = 2  # frames by which containers miscount


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of a video."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    index: int  # in the video, from 0
    time: float  # seconds from the start
    fps: float | None  # frames per second of the video, where it says


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameChoice:
    """Which frames of a video are wanted: from the first at or after `start`, to the last before `end`."""

    start: float = 0.0  # seconds
    end: float | None = None  # seconds
    every_frames: int = 1  # of which the first is taken
    every_seconds: float | None = None  # of each such time the first frame is taken

    @classmethod
    def parse(cls, *, start: float | None = None, end: float | None = None, every: str = "1") -> FrameChoice:
        """From the options of a command, which have been checked.

        >>> FrameChoice.parse(every="2.5s").every_seconds, FrameChoice.parse(every="10").every_frames
        (2.5, 10)
        """
        seconds = float(every[:-1]) if every.endswith("s") else None
        return cls(start=start or 0.0, end=end, every_frames=1 if seconds else int(every), every_seconds=seconds)

    def rate(self, fps: float | None) -> float | None:
        """How many frames of a video come in a second, if it has `fps`; None where it does not say."""
        if self.every_seconds is not None:
            return min(1 / self.every_seconds, fps or math.inf)
        return fps / self.every_frames if fps else None

    def next_after(self, index: int, time: float, first: int) -> tuple[int, float]:
        """The least number and time of the frame to take after one that was taken.

        Args:
            index: of the frame that was taken.
            time: its.
            first: number of the first frame that was taken.
        """
        if self.every_seconds is None:
            return first + ((index - first) // self.every_frames + 1) * self.every_frames, -math.inf
        passed = math.floor((time - self.start) / self.every_seconds + _SAME_TIME)
        return index + 1, self.start + (passed + 1) * self.every_seconds


ALL_FRAMES = FrameChoice()


def read_video(path: Path, choice: FrameChoice = ALL_FRAMES) -> Iterator[VideoFrame]:
    """Frames of a video in order.

    Raises:
        DataError: the video cannot be opened or has no frame; or, behind its last frame, frames of it could not be
            read.
    """
    with _opened(path) as capture:
        fps = capture.get(cv2.CAP_PROP_FPS)
        rate = fps if 0 < fps < math.inf else None
        position = _Position(path, capture, rate)
        least_index, least_time, first = 0, choice.start - _SAME_TIME, None
        while position.advance_to(least_index, least_time):
            if choice.end is not None and position.time >= choice.end - _SAME_TIME:
                break
            first = position.index if first is None else first
            yield VideoFrame(position.image(), position.index, position.time, rate)
            least_index, least_time = choice.next_after(position.index, position.time, first)
            least_time -= _SAME_TIME
        else:
            position.check_complete()
        if first is None:
            raise ImageReadError(f"{printable(path)}: {_nothing_chosen(choice, position)}")


def _nothing_chosen(choice: FrameChoice, position: _Position) -> str:
    if position.index < 0:
        return "the video has no frame that can be decoded"
    if position.time < choice.start:
        return f"the video ends at {position.time:.2f} s, before --start {choice.start:g}"
    return f"the video has no frame between --start {choice.start:g} and --end {choice.end:g}"


@contextmanager
def _opened(path: Path, *, packets: bool = False) -> Iterator[cv2.VideoCapture]:
    """A file opened by FFmpeg, to be decoded or as packets."""
    capture = cv2.VideoCapture(_file_name(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1] if packets else [])
    try:
        if not capture.isOpened():
            raise DataError(
                f"{printable(path)}: no video could be found in it; it is damaged, holds sound only, or its codec is "
                "not known to OpenCV"
            )
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > MAX_PIXELS:
            raise DataError(
                f"{printable(path)}: claims frames of {width:.0f} x {height:.0f} pixels; more than "
                f"{MAX_PIXELS // 1_000_000} million are not read"
            )
        yield capture
    finally:
        capture.release()


def _file_name(path: Path) -> Any:
    # an absolute path cannot be taken for an address such as data:...
    return opencv_name(os.path.abspath(path))  # noqa: PTH100 resolves no links


class _Position:
    """Where in a video the capture is."""

    def __init__(self, path: Path, capture: cv2.VideoCapture, fps: float | None) -> None:
        self._path, self._capture, self._fps = path, capture, fps
        self.index, self.time = -1, -math.inf  # of the frame that was grabbed last
        self._times: NDArray[np.float64] | None = None  # of all frames, once they are needed
        self._can_seek = True

    def advance_to(self, least_index: int, least_time: float) -> bool:
        """Grab the next frame with at least this number and time; False at the end of the video."""
        if self._can_seek and self._is_far(least_index, least_time):
            self._seek(least_index, least_time)
        while self._grab():
            if self.index >= least_index and self.time >= least_time:
                return True
        return False

    def image(self) -> NDArray[np.uint8]:
        """The frame that was grabbed last, (H, W, 3) RGB."""
        was_decoded, image = self._capture.retrieve()
        if not was_decoded:
            raise ImageReadError(f"{printable(self._path)}: frame {self.index} cannot be decoded")
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def check_complete(self) -> None:
        """Raise a DataError if frames were missing when the video came to its end."""
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        read = self.index + 1
        if not 0 < read < count - _TOLERATED or self._fps is None:
            return
        in_packets = len(packet_times(self._path))
        if (self.time + (1 + _TOLERATED) / self._fps) * self._fps >= count:
            # it lasts as long as it should: a container that gives no count has it guessed from a rate
            count = in_packets
        if read < max(count, in_packets) - _TOLERATED:
            raise DataError(
                f"{printable(self._path)}: {read:,} of {max(int(count), in_packets):,} frames could be read; the video "
                "is damaged or was cut off"
            )

    def _grab(self) -> bool:
        if not self._capture.grab():
            return False
        time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if time <= self.time + _SAME_TIME / 2:  # damaged times; what writes and tracks needs them in order
            time = self.time + 1 / (self._fps or 25.0)
        self.index, self.time = self.index + 1, max(time, 0.0)
        return True

    def _is_far(self, least_index: int, least_time: float) -> bool:
        gap = (least_time - max(self.time, 0.0)) * (self._fps or 25.0)
        return max(least_index - self.index, gap) > _WORTH_A_SEEK

    def _seek(self, least_index: int, least_time: float) -> None:
        """Go to just before a frame, if its time and number can be found in the packets; else stay."""
        if self._times is None:
            self._times = packet_times(self._path)
        if len(self._times) < 2 or np.diff(self._times).min() < _SAME_TIME:
            self._can_seek = False  # a container without times
            return
        target = max(least_index, int(np.searchsorted(self._times, least_time)))
        if target >= len(self._times):
            return  # decode to the end, which may be another than the packets say
        for margin in (*_SEEK_MARGINS, None):
            wanted = 0.0 if margin is None else max(float(self._times[target]) - margin, 0.0)
            self._capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * wanted)
            if not self._capture.grab():
                continue
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            index = int(np.searchsorted(self._times, time - _SAME_TIME))
            is_known = index < len(self._times) and abs(self._times[index] - time) < _SAME_TIME
            if is_known and index < target:
                self.index, self.time = index, time
                return
        self._start_again()

    def _start_again(self) -> None:
        """Back to the first frame, from which frames can be counted."""
        self._can_seek = False
        self._capture.open(_file_name(self._path), cv2.CAP_FFMPEG)
        self.index, self.time = -1, -math.inf


def packet_times(path: Path) -> NDArray[np.float64]:
    """The times of a video's frames in seconds from its start, in order, read without decoding."""
    times = []
    with _opened(path, packets=True) as capture:
        while capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return np.sort(np.array(times, np.float64))
