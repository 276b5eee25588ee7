"""Where images come from: a file, a folder, a glob or a video, one at a time with flat memory."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError
from yolo.files import expand_home
from yolo.formats.paths import find_files
from yolo.images import IMAGE_SUFFIXES, read_image
from yolo.media.video import VIDEO_SUFFIXES, read_video

_ACCEPTED = (
    f"accepted are images ({', '.join(sorted(IMAGE_SUFFIXES))}), videos ({', '.join(sorted(VIDEO_SUFFIXES))}), "
    "folders of images, and globs in quotes"
)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source; what is about a video is None for an image."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    source: str  # what it is from, as outputs and messages name it: a path, an address, a device
    index: int | None = None  # number of the frame in its video or stream, from 0
    time: float | None = None  # seconds from the start of the video or stream
    fps: float | None = None  # frames per second of the video


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that is not read yet: whoever gets it reads it, several at once if they like."""

    path: Path

    def read(self) -> Frame:
        """Decode it; see `read_image`."""
        return Frame(read_image(self.path), str(self.path))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something of a source that could not be read; the rest goes on."""

    source: str
    reason: str


Item = Frame | ImageFile | Unreadable


def open_source(source: str) -> Iterator[Item]:
    """Images of a source, in order, found when asked for; image files are left for the caller to read.

    Args:
        source: path of an image or a video, a folder (searched with its subfolders), or a glob pattern.

    Raises:
        DataError: at once, if there is nothing of that name or nothing in it that can be read.
        DataError: when iterated, for a single video that cannot be read.
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


def _read_files(files: list[Path], *, several: bool) -> Iterator[Item]:
    for path in files:
        try:
            if path.suffix.lower() in VIDEO_SUFFIXES:
                for frame in read_video(path):
                    yield Frame(frame.image, str(path), frame.index, frame.time, frame.fps)
            else:
                yield ImageFile(path)
        except DataError as error:
            if not several:
                raise
            yield Unreadable(str(path), str(error))
