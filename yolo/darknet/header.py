"""The head of a `.weights` file, in its three historical forms; little-endian, no padding.

    current  int32 major, minor, revision; uint64 seen       20 bytes, version 0.2.0 and later
    2016     int32 major, minor, revision; int32 seen        16 bytes, version 0.1.0: the released YOLOv1 weights
    oldest   float32 rate, momentum, decay; int32 seen       16 bytes; connected matrices are stored inputs first

Nothing marks the form: darknet takes the first two numbers as int32 and decides by their size, since a float such as
0.9 reads as a number far above 1000. The same rule is used here, and the four numbers are kept as they stand, so that
a header is written back byte for byte. Source: darknet src/parser.c, load_weights_upto and save_weights_upto.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yolo.errors import WeightsError

Form = Literal["current", "2016", "oldest"]
HEADER_BYTES: dict[Form, int] = {"current": 20, "2016": 16, "oldest": 16}

_FIRST_CURRENT_VERSION = 2  # major * 10 + minor
_LARGEST_VERSION = 1000
_NUMBERS, _FLOATS, _SHORT_SEEN, _LONG_SEEN = "<iii", "<fff", "<i", "<Q"

# What people hand over instead. As a header these would say a learning rate that nobody ever used.
_OTHER_FILES = {
    b"PK\x03\x04": "a zip archive or PyTorch file",
    b"[net": "a cfg",
    b"<!DOCTYPE": "a web page: the download went wrong",
    b"<!doctype": "a web page: the download went wrong",
    b"<html": "a web page: the download went wrong",
    b"version https://git-lfs": "a Git LFS pointer: the file itself was not fetched",
}


@dataclass(frozen=True, kw_only=True)
class WeightsHeader:
    """The numbers before the first layer.

    Attributes:
        major: version, as an int32. In the oldest form these three are the bits of three floats.
        minor: version.
        revision: version.
        seen: images the network was trained on; the learning rate continues from here.
    """

    major: int
    minor: int
    revision: int
    seen: int

    def __post_init__(self) -> None:
        try:
            self.to_bytes()
        except struct.error as error:
            raise WeightsError(
                f"{self} does not fit the {self.form} header of a weights file: {error}; "
                f"seen is a 32-bit number before version 0.2.0"
            ) from error

    @classmethod
    def new(cls, seen: int = 0) -> WeightsHeader:
        """The header of version 0.2.0, which darknet writes today."""
        return cls(major=0, minor=2, revision=0, seen=seen)

    @classmethod
    def oldest(cls, *, rate: float, momentum: float, decay: float, seen: int = 0) -> WeightsHeader:
        """A header of the oldest form; darknet tells it by a rate or a momentum above 0."""
        major, minor, revision = struct.unpack(_NUMBERS, struct.pack(_FLOATS, rate, momentum, decay))
        return cls(major=major, minor=minor, revision=revision, seen=seen)

    @property
    def form(self) -> Form:
        """Which of the three forms darknet would take these numbers for."""
        if self.transposes_connected:
            return "oldest"
        below = self.major < _LARGEST_VERSION and self.minor < _LARGEST_VERSION
        return "current" if below and self.major * 10 + self.minor >= _FIRST_CURRENT_VERSION else "2016"

    @property
    def transposes_connected(self) -> bool:
        """Whether connected matrices stand in the file as (inputs, outputs)."""
        return self.major > _LARGEST_VERSION or self.minor > _LARGEST_VERSION

    @property
    def size(self) -> int:
        """Bytes of the header."""
        return HEADER_BYTES[self.form]

    @property
    def hyperparameters(self) -> tuple[float, float, float] | None:
        """Learning rate, momentum and decay, which only the oldest form has."""
        if self.form != "oldest":
            return None
        rate, momentum, decay = struct.unpack(_FLOATS, struct.pack(_NUMBERS, self.major, self.minor, self.revision))
        return rate, momentum, decay

    def to_bytes(self) -> bytes:
        """The header as it stands in a file."""
        seen = struct.pack(_LONG_SEEN if self.form == "current" else _SHORT_SEEN, self.seen)
        return struct.pack(_NUMBERS, self.major, self.minor, self.revision) + seen


def read_header(path: Path) -> WeightsHeader:
    """Header of a weights file.

    Raises:
        WeightsError: the file cannot be read, is too short, or is evidently something else.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe, say, would wait for ever
            raise WeightsError(f"{path} is no file: weights are read from ordinary files only")
        with path.open("rb") as file:
            start = file.read(max(*HEADER_BYTES.values(), *map(len, _OTHER_FILES)))
    except OSError as error:
        raise WeightsError(f"{path}: cannot read these weights: {error.strerror or error}") from error
    return parse_header(start, source=str(path))


def parse_header(start: bytes, *, source: str) -> WeightsHeader:
    """Header from the first bytes of a file, all of it or more; `source` is its name for messages.

    Raises:
        WeightsError: too short, or evidently something else.
    """
    for signature, what in _OTHER_FILES.items():
        if start.startswith(signature):
            raise WeightsError(f"{source} is no darknet weights file but {what}")
    short = HEADER_BYTES["2016"]
    if len(start) < short:
        raise WeightsError(f"{source} is no darknet weights file: {len(start)} bytes are shorter than any header")
    major, minor, revision, seen = struct.unpack_from(_NUMBERS + "i", start)
    # the form does not depend on seen, so 0 may stand in for it
    form = WeightsHeader(major=major, minor=minor, revision=revision, seen=0).form
    if form == "current":
        if len(start) < HEADER_BYTES[form]:
            raise WeightsError(f"{source} is no darknet weights file: it ends inside the header")
        (seen,) = struct.unpack_from(_LONG_SEEN, start, struct.calcsize(_NUMBERS))
    return WeightsHeader(major=major, minor=minor, revision=revision, seen=seen)
