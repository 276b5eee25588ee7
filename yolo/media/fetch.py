"""Images, videos and MJPEG streams behind http(s) addresses; what something is, its bytes say.

An image is fetched into memory, a video into a temporary file. Left out: how addresses are opened and redirects
checked (`yolo.http`); streams in other forms, which FFmpeg opens itself (streams.py).
"""

from __future__ import annotations

import http.client
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

from yolo.arrays import UInt8
from yolo.errors import DataError, ImageReadError
from yolo.files import saving
from yolo.http import PermanentError, TransientError, next_piece, open_address, read_pieces, shown_address
from yolo.images import MAX_IMAGE_BYTES, decode_image
from yolo.media.items import ImageFile, Item, Reading, video_items
from yolo.media.streams import Stream, network_stream
from yolo.media.video_read import VIDEO_SUFFIXES

_MAX_VIDEO_BYTES = 1 << 32
_TIMEOUTS_TO_IMAGE = 6  # so many timeouts may an image take in all
_VIDEO_SECONDS = 3600.0
_ATTEMPTS, _FIRST_WAIT = 3, 0.5  # seconds; doubled before each further one
_FIRST_BYTES = 512
_MJPEG, _HLS = "multipart/x-mixed-replace", b"#EXTM3U"
_MAX_HEADER_BYTES, _MAX_FRAME_BYTES = 1 << 16, 1 << 26
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")
# Matroska and WebM, MPEG-PS, MPEG-1, ASF, FLV
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"0&\xb2u", b"FLV")
# where nothing answers at all, trying again at once does not help
_UNREACHABLE = (socket.gaierror, ConnectionRefusedError)
_Read = TypeVar("_Read")


def fetch_image(address: str, *, timeout: float = 10.0) -> bytes:
    """The bytes behind an address, which should be an image.

    Args:
        address: http or https, of any machine. Redirects to others than public machines are refused.
        timeout: seconds without a byte; in all it may take six times as long.

    Raises:
        DataError: it cannot be fetched, or is larger than 256 MiB.
    """

    def whole(response: http.client.HTTPResponse) -> bytes:
        return b"".join(read_pieces(response, limit=MAX_IMAGE_BYTES, seconds=timeout * _TIMEOUTS_TO_IMAGE))

    return _fetched(address, timeout, whole)


def open_remote(address: str, reading: Reading) -> Stream | Iterator[Item]:
    """What is behind an address: a stream, or the image or the frames of the video.

    Raises:
        DataError: it cannot be fetched, or is nothing of that kind.
    """
    timeout = reading.options.timeout
    return _fetched(address, timeout, partial(_recognise, address, reading))


def _fetched(address: str, timeout: float, read: Callable[[http.client.HTTPResponse], _Read]) -> _Read:
    """What `read` makes of the answer, tried again where that may help."""
    name = shown_address(address)
    for attempt in range(_ATTEMPTS):
        try:
            with open_address(address, timeout=timeout) as response:
                return read(response)
        except PermanentError as error:
            raise DataError(f"{name}: {error}") from error
        except TransientError as error:
            last = error
            is_refused = isinstance(error.__cause__, _UNREACHABLE)
            if attempt == _ATTEMPTS - 1 or is_refused:
                break
            time.sleep(_FIRST_WAIT * 2**attempt)
    raise DataError(f"{name}: could not be fetched; {last}") from last


def _recognise(address: str, reading: Reading, response: http.client.HTTPResponse) -> Stream | Iterator[Item]:
    name, timeout = shown_address(address), reading.options.timeout
    if response.headers.get_content_type() == _MJPEG:
        return Stream(name, lambda: MjpegCapture(address, timeout))
    first = b""
    while len(first) < _FIRST_BYTES and (piece := next_piece(response)):
        first += piece
    if first.startswith(_HLS):
        return network_stream(address, timeout)
    if is_video(first):
        return _read_video(name, _saved(name, first, response), reading)
    seconds = timeout * _TIMEOUTS_TO_IMAGE
    data = b"".join(read_pieces(response, limit=MAX_IMAGE_BYTES, seconds=seconds, first=first))
    return iter([ImageFile(name, lambda: data)])


def is_video(data: bytes) -> bool:
    r"""Whether the first bytes of a file are those of a container of videos.

    >>> is_video(b"\0\0\0\x20ftypisom"), is_video(b"\0\0\0\x1cftypavif")
    (True, False)
    """
    if data[4:8] == b"ftyp":
        return data[8:12] not in _IMAGE_BRANDS
    if data[:4] == b"RIFF":
        return data[8:12] == b"AVI "
    is_transport = data[:1] == b"G" and data[188:189] == b"G"  # MPEG-TS: packets of 188 bytes
    return is_transport or data.startswith(_VIDEO_STARTS)


def _saved(name: str, first: bytes, response: http.client.HTTPResponse) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder with the video as its only file: OpenCV reads files."""
    suffix = PurePosixPath(urlsplit(name).path).suffix.lower()
    folder = tempfile.TemporaryDirectory(prefix="gridyolo-", ignore_cleanup_errors=True)
    path = Path(folder.name, "video" + (suffix if suffix in VIDEO_SUFFIXES else ".mp4"))
    try:
        with saving(path), path.open("wb") as file:
            for piece in read_pieces(response, limit=_MAX_VIDEO_BYTES, seconds=_VIDEO_SECONDS, first=first):
                file.write(piece)
    except BaseException:
        folder.cleanup()
        raise
    return folder


def _read_video(name: str, folder: tempfile.TemporaryDirectory[str], reading: Reading) -> Iterator[Item]:
    with folder:
        (path,) = Path(folder.name).iterdir()
        yield from video_items(path, name, reading)


class MjpegCapture:
    """Motion JPEG over HTTP, as cameras send it: JPEGs as parts of an answer that does not end."""

    fps: float | None = None

    def __init__(self, address: str, timeout: float) -> None:
        self._name = shown_address(address)
        try:
            self._response = open_address(address, timeout=timeout)
        except (PermanentError, TransientError) as error:
            raise DataError(f"{self._name}: {error}") from error
        boundary = self._response.headers.get_param("boundary", "", unquote=True)
        # cameras disagree whether the dashes belong to it
        self._boundary = b"--" + str(boundary).strip().lstrip("-").encode()

    def read(self) -> UInt8 | None:
        """The next frame that can be decoded; None where the answer ends."""
        try:
            while (data := self._next_part()) is not None:
                try:
                    return decode_image(data, name=self._name)
                except ImageReadError:  # a frame that was cut on its way; the next one may be whole
                    continue
        except (http.client.HTTPException, OSError) as error:
            raise DataError(f"{self._name}: was lost ({error or type(error).__name__})") from error
        return None

    def _next_part(self) -> bytes | None:
        """The body of the next part, by its stated length or up to the boundary; None at the end."""
        length: int | None = None
        while line := self._response.readline(_MAX_HEADER_BYTES):
            key, _, value = line.partition(b":")
            if key.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
            elif not line.strip() and length is not None:
                break
            elif line.startswith(b"\xff\xd8"):  # without a length, or without headers
                return self._up_to_boundary(line)
        if not line or length is None:
            return None
        if length > _MAX_FRAME_BYTES:
            raise DataError(f"{self._name}: announces a frame of {length:,} bytes")
        data = self._response.read(length)
        return data if len(data) == length else None

    def _up_to_boundary(self, line: bytes) -> bytes:
        data = bytearray()
        while line and not line.lstrip(b"-").startswith(self._boundary.lstrip(b"-")):
            data += line
            if len(data) > _MAX_FRAME_BYTES:
                raise DataError(f"{self._name}: sends a frame of more than {_MAX_FRAME_BYTES:,} bytes")
            line = self._response.readline(_MAX_HEADER_BYTES)
        return bytes(data)

    def close(self) -> None:
        """End the answer."""
        self._response.close()
