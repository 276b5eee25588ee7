"""Videos out, one frame at a time with flat memory, written by OpenCV (MPEG-4 part 2 in an mp4 file)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import SaveError, printable
from yolo.files import atomic_write, saving

_DEFAULT_FPS = 25.0


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
