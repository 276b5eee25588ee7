"""What the header of a JPEG file says, read from its bytes: size, EXIF, where the pixels begin.

Left out: decoding (`images` does it) and other formats.

Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

from typing import NamedTuple

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FILL, _SCAN, _APP1 = 0xFF, 0xDA, 0xE1
# start of frame: C0 to CF but for the tables C4 and CC and the reserved C8
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class JpegHeader(NamedTuple):
    """The header of a JPEG.

    Attributes:
        size_hw: height and width as stored, before EXIF turns them; (0, 0) where the file does not say.
        has_exif: there is an EXIF block, which may turn the image.
        scan: where in the file the first pixels begin; None if it ends before them.
    """

    size_hw: tuple[int, int]
    has_exif: bool
    scan: int | None


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of the bytes of a file; None for what is no JPEG.

    >>> read_jpeg_header(b"GIF89a") is None
    True
    """
    if not data.startswith(_START):
        return None
    size_hw, has_exif, place = (0, 0), False, len(_START)
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == _SCAN:
            return JpegHeader(size_hw, has_exif, place)
        if marker == _FILL:
            place += 1
            continue
        if marker in _FRAMES:
            # length 2, precision 1, height 2, width 2
            size_hw = (_number(data, place + 5), _number(data, place + 7))
        has_exif |= marker == _APP1 and data[place + 4 : place + 8] == b"Exif"
        place += 2 + _number(data, place + 2)
    return JpegHeader(size_hw, has_exif, None)


def is_truncated(data: bytes, header: JpegHeader) -> bool:
    """True for a JPEG whose pixels have no end marker.

    OpenCV returns such files half grey without an error. The end marker cannot occur inside the coded pixels, but it
    does in embedded thumbnails before them and in what phones append behind: it is looked for from the pixels on.
    """
    # from the back, where it usually is
    return header.scan is None or data.rfind(_END, header.scan) < 0


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")
