"""Images in and videos out, one frame at a time with flat memory.

Images come from one file, a folder, a glob or a video; videos are written with plain OpenCV (MPEG-4 part 2 in an mp4
file). Left out: webcams and network streams.
"""

from __future__ import annotations

import glob
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
from yolo.files import atomic_write, expand_home, saving
from yolo.formats.paths import find_files
from yolo.images import IMAGE_SUFFIXES, read_image

_DEFAULT_FPS = 25.0
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts"})
_ACCEPTED = (
    f"accepted are images ({', '.join(sorted(IMAGE_SUFFIXES))}), videos ({', '.join(sorted(VIDEO_SUFFIXES))}), "
    "folders of images, and globs in quotes"
)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source; what is about a video is None for an image file."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    path: Path  # the file it is from
    index: int | None = None  # number of the frame in its video, from 0
    time: float | None = None  # seconds from the start of the video
    fps: float | None = None  # frames per second of the video


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file of a folder or glob that could not be read; the others go on."""

    path: Path
    reason: str


def open_source(source: str) -> Iterator[Frame | Unreadable]:
    """Images of a source, read when asked for.

    Args:
        source: path of an image or a video, a folder (searched with its subfolders), or a glob pattern.

    Raises:
        DataError: at once, if there is nothing of that name or nothing in it that can be read.
        ImageReadError: when iterated, for a single image that cannot be read.
    """
    path = expand_home(source)
    if path.is_dir():
        # ._x.jpg is what macOS leaves beside x.jpg
        found = find_files(path, lambda name: _is_accepted(Path(name)) and not name.startswith("._"))
        trouble = f"source {path}: the folder holds no image or video"
    elif path.is_file():
        if not _is_accepted(path):
            raise DataError(f"source {path}: files of type {path.suffix or '(none)'} cannot be read; {_ACCEPTED}")
        return _read_files([path], several=False)
    elif glob.has_magic(source):
        # Path.glob takes no absolute patterns
        names = sorted(Path(name) for name in glob.iglob(str(path), recursive=True))
        found = [file for file in names if _is_accepted(file)]
        trouble = f"source {source!r}: no image or video matches"
    else:
        raise DataError(f"source {source!r}: there is no such file or folder; {_ACCEPTED}")
    files = [file for file in found if file.is_file()]  # opening a pipe would wait for ever
    if not files:
        raise DataError(f"{trouble}; {_ACCEPTED}")
    return _read_files(files, several=True)


def _is_accepted(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def _read_files(files: list[Path], *, several: bool) -> Iterator[Frame | Unreadable]:
    for path in files:
        try:
            if path.suffix.lower() in VIDEO_SUFFIXES:
                yield from read_video(path)
            else:
                yield Frame(read_image(path), path)
        except DataError as error:
            if not several:
                raise
            yield Unreadable(path, str(error))


def read_video(path: Path) -> Iterator[Frame]:
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
            yield Frame(rgb, path, index, time, fps if fps > 0 else None)
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
