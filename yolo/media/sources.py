"""Where images come from: one file, a folder, a glob, a video; one at a time, with flat memory.

Left out: webcams and network streams.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError, ImageReadError
from yolo.formats.paths import find_files
from yolo.images import IMAGE_SUFFIXES, read_image

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts"})
_ACCEPTED = (
    f"accepted are images ({', '.join(sorted(IMAGE_SUFFIXES))}), videos ({', '.join(sorted(VIDEO_SUFFIXES))}), "
    "folders of images, and globs in quotes"
)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        path: the file it is from.
        index: number of the frame in its video, from 0; None for an image file.
        time: seconds from the start of the video; None for an image file.
        fps: frames per second of the video; None for an image file.
    """

    image: NDArray[np.uint8]
    path: Path
    index: int | None = None
    time: float | None = None
    fps: float | None = None


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
    path = Path(source)
    if path.is_dir():
        return _read_files(_files_in(path), several=True)
    if path.is_file():
        return _read_files([_accept(path)], several=False)
    if glob.has_magic(source):
        # Path.glob takes no absolute patterns
        found = sorted(Path(name) for name in glob.iglob(source, recursive=True))
        files = [file for file in found if file.is_file() and _is_accepted(file)]
        if not files:
            raise DataError(f"source {source!r}: no image or video matches; {_ACCEPTED}")
        return _read_files(files, several=True)
    raise DataError(f"source {source!r}: there is no such file or folder; {_ACCEPTED}")


def _is_accepted(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def _accept(path: Path) -> Path:
    if not _is_accepted(path):
        raise DataError(f"source {path}: files of type {path.suffix or '(none)'} cannot be read; {_ACCEPTED}")
    return path


def _files_in(folder: Path) -> list[Path]:
    # ._x.jpg is what macOS leaves beside x.jpg
    found = find_files(folder, lambda name: _is_accepted(Path(name)) and not name.startswith("._"))
    files = [file for file in found if file.is_file()]  # opening a pipe would wait for ever
    if not files:
        raise DataError(f"source {folder}: the folder holds no image or video; {_ACCEPTED}")
    return files


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
