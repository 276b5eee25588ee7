"""Height, width and orientation of an image from its header alone, for JPEG and PNG; and what a TIFF says of itself.

The first bytes of JPEG and PNG files are read some ten times faster than Pillow opens them. EXIF counts as OpenCV
counts it, which decodes the pixels: in a JPEG before the frame, in a PNG anywhere, as a short number, and XMP not at
all. Headers that are unusual or damaged, and other formats, are left to Pillow and to the decoder.

Sources: ITU-T T.81, annex B (JPEG); PNG, third edition; EXIF 2.3; TIFF 6.0.
"""

from __future__ import annotations

import re
import struct
import zlib
from io import FileIO
from pathlib import Path
from typing import NamedTuple

# Orientations of EXIF that turn the image by a quarter: height and width swap.
QUARTER_TURNS = frozenset({5, 6, 7, 8})
ORIENTATION_TAG = 0x0112
PNG_START = b"\x89PNG\r\n\x1a\n"
_FIRST_BYTES, _MORE_BYTES = 8192, 2**20  # EXIF blocks with a thumbnail have up to 64 kB

_JPEG_START, _JPEG_END, _EXIF = b"\xff\xd8", b"\xff\xd9", b"Exif\0\0"
_FILL, _SCAN, _APP1 = 0xFF, 0xDA, 0xE1
# Start of frame: C0 to CF but for the tables C4 and CC and the reserved C8. The first three are baseline, extended and
# progressive; not every decoder knows the others.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_WITHOUT_LENGTH = frozenset(range(0xD0, 0xDA)) | {0x01, 0x00}  # restarts and the like, which do not belong in a header

_PNG_FIRST_CHUNK, _PNG_HEADER_BYTES, _MAX_PNG_CHUNKS = b"\0\0\0\rIHDR", 33, 20_000
_SHORT = 3
_MAX_TIFF_ENTRIES = 1000
_JPEG2000_DEPTH = 42  # bytes from the start of the code stream to the depth of its first component


class JpegHeader(NamedTuple):
    """The header of a JPEG."""

    size_hw: tuple[int, int]  # as stored, before EXIF turns them; (0, 0) where the file does not say
    exif: bytes  # the EXIF block with its signature, which may turn the image; empty if there is none
    scan: int | None  # where in the file the first pixels begin; None if it ends before them
    is_usual: bool  # the frame is of a common kind, and nothing before it is odd

    def is_truncated(self, data: bytes) -> bool:
        """True if the pixels have no end marker: OpenCV returns such files half grey without an error.

        The marker cannot occur inside the coded pixels, but it does in embedded thumbnails before them and in what
        phones append behind: it is looked for from the pixels on.
        """
        return self.scan is None or data.rfind(_JPEG_END, self.scan) < 0  # from the back, where it usually is


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """The header of the bytes of a file; None if they are not a JPEG.

    >>> read_jpeg_header(b"GIF89a") is None
    True
    """
    if not data.startswith(_JPEG_START):
        return None
    size_hw, exif, is_odd, is_usual, place = (0, 0), b"", False, False, len(_JPEG_START)
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == _SCAN:
            return JpegHeader(size_hw, exif, place, is_usual)
        if marker == _FILL:
            place += 1
            continue
        length = data[place + 2] << 8 | data[place + 3]
        is_odd |= marker in _WITHOUT_LENGTH or length < 2
        if marker in _FRAMES and place + 9 <= len(data):
            bits, height, width = struct.unpack_from(">BHH", data, place + 4)
            size_hw = (height, width)
            is_usual = not is_odd and marker in _USUAL_FRAMES and bits == 8
        elif marker == _APP1 and data.startswith(b"Exif", place + 4):
            # decoders differ about several blocks, and about one behind the frame
            is_odd, is_usual, exif = is_odd or bool(exif), False, data[place + 4 : place + 2 + length]
        place += 2 + length
    return JpegHeader(size_hw, exif, None, is_usual)


def header_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a JPEG or PNG, EXIF orientation applied.

    Returns:
        None for other formats, and for headers that are unusual or damaged.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb", buffering=0) as file:
        data = file.read(_FIRST_BYTES)
        if (header := read_jpeg_header(data)) is not None:
            if not header.is_usual and header.scan is None:  # the bytes may have ended before the frame
                header = read_jpeg_header(data + file.read(_MORE_BYTES)) or header
            size_hw = header.size_hw if header.is_usual else (0, 0)
            orientation = _orientation(header.exif.removeprefix(_EXIF))
        elif data.startswith(PNG_START):
            size_hw, orientation = _png_size(data), _png_orientation(file, data)
        else:
            return None
    if orientation is None or 0 in size_hw:
        return None
    return size_hw[::-1] if orientation in QUARTER_TURNS else size_hw


def _png_size(data: bytes) -> tuple[int, int]:
    """Height and width of a PNG as stored; (0, 0) if its first chunk is damaged."""
    if len(data) < _PNG_HEADER_BYTES or data[8:16] != _PNG_FIRST_CHUNK:
        return 0, 0
    width, height, checksum = *struct.unpack_from(">II", data, 16), struct.unpack_from(">I", data, 29)[0]
    return (height, width) if zlib.crc32(data[12:29]) == checksum else (0, 0)


def _png_orientation(file: FileIO, data: bytes) -> int | None:
    """Orientation by the chunk eXIf of a PNG, which may stand before or behind the pixels; None if it is unusual."""
    place, exif = _PNG_HEADER_BYTES, b""
    for _ in range(_MAX_PNG_CHUNKS):
        head = data[place : place + 8] if place + 8 <= len(data) else _read_at(file, place, 8)
        if len(head) < 8:
            return None  # cut off: the decoder names the fault
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IEND":
            return _orientation(exif)
        if kind == b"eXIf":
            if exif or length > _MORE_BYTES:
                return None
            exif = _read_at(file, place + 8, length)
        place += 12 + length
    return None


def _read_at(file: FileIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _orientation(exif: bytes) -> int | None:
    """Orientation by an EXIF block as OpenCV reads it: 1, upright, where it says nothing; None if it is unusual."""
    if not exif:
        return 1
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, first)
        directory = struct.unpack_from(f"{12 * entries}s", exif, first + 2)[0]
        for tag, kind, count, value, _ in struct.iter_unpack(f"{order}HHIHH", directory):
            if tag == ORIENTATION_TAG:
                return int(value) if (kind, count) == (_SHORT, 1) else None
    except struct.error:  # it ends before what it announces
        return None
    return 1


class TiffHeader(NamedTuple):
    """What the first image of a TIFF says of itself."""

    bits: int = 1  # of a sample
    is_unsigned: bool = True  # the samples are whole numbers from 0
    is_preview: bool = False  # it is a reduced version of a later image, as camera raw begins with


NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _SAMPLE_FORMAT = 254, 258, 339
_TIFF_BYTES = {1: 1, _SHORT: 2, 4: 4, 16: 8}  # of one value of a whole number, by its type
_RAW_MARK = slice(8, 10), b"CR"  # Canon's second format of camera raw


def read_tiff_header(data: bytes) -> TiffHeader | None:
    """The header of the bytes of a TIFF or BigTIFF; None if they are something else or damaged."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    if data[_RAW_MARK[0]] == _RAW_MARK[1]:
        return TiffHeader(is_preview=True)
    try:
        (version,) = struct.unpack_from(f"{order}H", data, 2)
        is_big = version == 43
        (first,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, 8 if is_big else 4)
        (entries,) = struct.unpack_from(f"{order}{'Q' if is_big else 'H'}", data, first)
        first, entry, value_bytes = (first + 8, 20, 8) if is_big else (first + 2, 12, 4)
        found = {_BITS_PER_SAMPLE: 1, _SAMPLE_FORMAT: 1, NEW_SUBFILE_TYPE: 0}
        for place in range(first, first + entry * min(entries, _MAX_TIFF_ENTRIES), entry):
            tag, kind, count = struct.unpack_from(f"{order}HH{'Q' if is_big else 'I'}", data, place)
            if tag not in found or kind not in _TIFF_BYTES:
                continue
            value = place + entry - value_bytes
            if count * _TIFF_BYTES[kind] > value_bytes:  # they stand elsewhere
                (value,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, value)
            found[tag] = int.from_bytes(data[value : value + _TIFF_BYTES[kind]], "little" if order == "<" else "big")
    except (struct.error, OverflowError):
        return None
    is_preview = bool(found[NEW_SUBFILE_TYPE] & 1)
    return TiffHeader(found[_BITS_PER_SAMPLE], found[_SAMPLE_FORMAT] == 1, is_preview)


def is_deep_file(path: Path) -> bool:
    """Whether a file may have samples of 16 bits, by its first bytes; a file that cannot be read has none."""
    try:
        with path.open("rb") as file:
            data = file.read(_FIRST_BYTES)
    except (OSError, ValueError):
        return False
    if data.startswith(PNG_START):
        return png_bits(data) > 8
    is_tiff = data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))  # of which the depth may stand anywhere
    return is_tiff or pnm_maximum(data) > 255 or jpeg2000_bits(data) > 8


def png_bits(data: bytes) -> int:
    """Bits of a sample of a PNG by its first bytes; 0 where they are no PNG."""
    return data[24] if data.startswith(PNG_START) and len(data) > 24 else 0


def pnm_maximum(data: bytes) -> int:
    r"""The value that stands for white in a PNM file; 0 where the header does not say, as of PBM.

    >>> pnm_maximum(b"P5 # a comment\n640 480\n4095\n..."), pnm_maximum(b"P4\n8 8\n")
    (4095, 0)
    """
    if named := re.match(rb"P7\s[^\0]{0,200}?\bMAXVAL\s+(\d{1,5})\s", data):
        return int(named[1])
    if not re.match(rb"P[2356]\s", data):
        return 0
    words = re.sub(rb"#[^\r\n]*", b"", data[:_FIRST_BYTES]).split(maxsplit=4)
    return int(words[3]) if len(words) > 3 and words[3].isdigit() and len(words[3]) < 6 else 0


def jpeg2000_bits(data: bytes) -> int:
    """Bits of a sample of a JPEG 2000 file by the header of its code stream; 0 where it has none, or signed samples."""
    start = data.find(b"\xff\x4f\xff\x51", 0, _MORE_BYTES)
    if start < 0 or len(data) <= start + _JPEG2000_DEPTH:
        return 0
    depth = data[start + _JPEG2000_DEPTH]
    return 0 if depth & 0x80 else depth + 1
