"""What sources give, one after the other: images still to be read, frames, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from yolo.errors import DataError, ImageReadError
from yolo.files import read_bytes
from yolo.images import FULL_DEPTH, decode
from yolo.media.video_read import ALL_FRAMES, FrameChoice, read_video


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of a source; what is about a video or a stream is None for an image."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    source: str  # what it is from, as outputs and messages name it: a path, an address, a device
    index: int | None = None  # number of the frame in its video or stream, from 0
    time: float | None = None  # seconds from the start of the video or stream
    fps: float | None = None  # frames per second of the video
    is_live: bool = False  # of a camera, a stream or a screen, which has no end
    largest: int | None = None  # the largest sample of 16 bits, see `yolo.images.Decoded`


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that is not read yet: whoever gets it reads it, several at once if they like.

    Args:
        source: the name that outputs and messages use: printable, and a path where the image is a file.
        load: gives the bytes of the file, or raises a DataError; None where `source` is the path of the file.
    """

    source: str
    load: Callable[[], bytes] | None = None

    def read(self, *, bit_depth: int = FULL_DEPTH) -> Frame:
        """Decode it; see `read_image`.

        Raises:
            ImageReadError: the image cannot be read.
            DataError: an archive or an address does not give it.
        """
        data = self.load() if self.load is not None else read_bytes(Path(self.source), error=ImageReadError)
        decoded = decode(data, name=self.source, bit_depth=bit_depth)
        return Frame(decoded.pixels, self.source, largest=decoded.largest)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something of a source that could not be read; the rest goes on."""

    source: str
    reason: str
    kind: str = "that could not be opened"  # the category that summaries count; see `ImageReadError.kind`

    @classmethod
    def of(cls, source: str, error: Exception) -> Unreadable:
        """What an error says of a source."""
        return cls(source, str(error), error.kind) if isinstance(error, ImageReadError) else cls(source, str(error))


Item = Frame | ImageFile | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How sources are read."""

    limit: int | None = None  # of images and frames
    frames: FrameChoice = ALL_FRAMES  # of videos
    timeout: float = 10.0  # seconds without an answer after which a stream or an address counts as gone
    reconnects: int = 8  # attempts in a row to reach a stream again


@dataclass(slots=True, eq=False)
class Reading:
    """What the parts of a source share while it is read."""

    options: SourceOptions
    stopped: Event  # set when nobody wants more
    notes: list[str]  # messages printed at the end


def video_items(path: Path, name: str, reading: Reading) -> Iterator[Item]:
    """The frames of a video file under a name; one that is cut short is noted.

    Raises:
        DataError: it has no frame that can be read.
    """
    has_frames = False
    try:
        for frame in read_video(path, reading.options.frames):
            yield Frame(frame.image, name, frame.index, frame.time, frame.fps)
            has_frames = True
    except DataError as error:
        message = str(error).replace(str(path), name)
        if not has_frames:
            raise DataError(message) from error
        reading.notes.append(message)  # the frames that could be read are good
