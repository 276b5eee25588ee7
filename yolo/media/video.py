"""Writing a video frame by frame with plain OpenCV (MPEG-4 part 2 in an mp4 file)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError
from yolo.files import atomic_write

_DEFAULT_FPS = 25.0


class VideoWriter:
    """Context manager that writes frames of one size; the file appears when it is complete.

    Args:
        path: ends in `.mp4`.
        fps: frames per second; None or 0 for 25.
        size_hw: height and width of the frames; odd sizes are cut by a pixel, which the codec needs.

    Raises:
        DataError: OpenCV cannot write such a file here.
    """

    def __init__(self, path: Path, *, fps: float | None, size_hw: tuple[int, int]) -> None:
        self.path = path
        self.fps = fps or _DEFAULT_FPS
        self.size_hw = (size_hw[0] // 2 * 2, size_hw[1] // 2 * 2)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        temporary = self._stack.enter_context(atomic_write(self.path))
        height, width = self.size_hw
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = cv2.VideoWriter(str(temporary), codec, self.fps, (width, height))
        self._stack.callback(self._writer.release)
        if not self._writer.isOpened():
            error = DataError(f"{self.path}: OpenCV cannot write a video of {width}x{height} here")
            self._stack.__exit__(type(error), error, None)
            raise error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append an (H, W, 3) uint8 RGB frame; one of another size is scaled to the video's.

        Raises:
            DataError: the frame was not written, for example because the disk is full.
        """
        height, width = self.size_hw
        frame = image[:height, :width]
        if frame.shape[:2] != (height, width):
            frame = np.asarray(cv2.resize(image, (width, height)), np.uint8)
        # OpenCV 5 tells whether it wrote; version 4 returns None, whatever happened.
        written: bool | None = self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        if written is False:
            raise DataError(f"{self.path}: a frame could not be written; is the disk full?")
