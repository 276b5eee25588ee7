"""Videos in and out, one frame at a time with flat memory.

Read and written by OpenCV (MPEG-4 part 2 in an mp4 file).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError, ImageReadError, SaveError, printable
from yolo.files import atomic_write, saving

_DEFAULT_FPS = 25.0
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts"})


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One frame of a video."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    index: int  # from 0
    time: float  # seconds from the start
    fps: float | None  # frames per second of the video, where it says


def read_video(path: Path) -> Iterator[VideoFrame]:
    """Frames of a video in order.

    Times come from the container, so they are right with a variable frame rate.

    Raises:
        DataError: the video cannot be opened or has no frame.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise DataError(f"{path}: the video cannot be opened; it is damaged or its codec is not known to OpenCV")
        fps = capture.get(cv2.CAP_PROP_FPS)
        index = 0
        while True:
            was_read, image = capture.read()
            if not was_read:
                break
            time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000  # of the frame that was read last
            rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
            yield VideoFrame(rgb, index, time, fps if fps > 0 else None)
            index += 1
        if index == 0:
            raise ImageReadError(f"{path}: the video has no frame that can be decoded")
    finally:
        capture.release()


class VideoWriter:
    """Context manager that writes frames of one size; the file appears when it is complete.

    Args:
        path: ends in `.mp4`.
        fps: frames per second; None or 0 for 25.
        size_hw: height and width of the frames; odd sizes are cut by a pixel, which the codec needs.

    Raises:
        SaveError: OpenCV cannot write such a file here.
    """

    def __init__(self, path: Path, *, fps: float | None, size_hw: tuple[int, int]) -> None:
        self.path = path
        self.fps = fps or _DEFAULT_FPS
        self.size_hw = (size_hw[0] // 2 * 2, size_hw[1] // 2 * 2)

    def __enter__(self) -> Self:
        height, width = self.size_hw
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_write(self.path))
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._temporary), codec, self.fps, (width, height))
            stack.callback(self._writer.release)
            if not self._writer.isOpened():
                raise SaveError(f"{printable(self.path)}: OpenCV cannot write a video of {width}x{height} here")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an (H, W, 3) uint8 RGB frame; one of another size is scaled to the video's.

        Raises:
            SaveError: the frame was not written, for example because the disk is full.
        """
        height, width = self.size_hw
        frame = image[:height, :width]
        if frame.shape[:2] != (height, width):
            frame = np.asarray(cv2.resize(image, (width, height)), np.uint8)
        with saving(self.path, self._temporary):
            # OpenCV 5 says whether it wrote; version 4 returns None, whatever happened
            written: bool | None = self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            if written is False:
                raise OSError("OpenCV could not write a frame")
