import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from yolo.jpeg import is_truncated, read_jpeg_header


def jpeg(size_hw: tuple[int, int] = (24, 40), **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", **options)
    return written.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 20}, {"comment": b"\xff\xc0 no frame"}])
def test_the_size_is_that_of_the_frame(options: dict[str, Any]) -> None:
    header = read_jpeg_header(jpeg(**options))
    assert header is not None
    assert header.size_hw == (24, 40)
    assert not header.has_exif
    assert header.scan is not None


def test_an_exif_block_is_seen_and_its_thumbnail_is_not_the_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    header = read_jpeg_header(jpeg(exif=exif))
    assert header is not None
    assert header.has_exif
    assert header.size_hw == (24, 40)
    data = jpeg()
    with_thumbnail = data[:2] + segment(0xE1, b"Exif\0\0" + jpeg((5, 6))) + data[2:]
    header = read_jpeg_header(with_thumbnail)
    assert header is not None
    assert header.size_hw == (24, 40)


def test_fill_bytes_and_empty_segments() -> None:
    data = jpeg()
    header = read_jpeg_header(data[:2] + b"\xff\xff\xff" + segment(0xE5, b"") + b"\xff" + data[2:])
    assert header is not None
    assert header.size_hw == (24, 40)


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_other_files_have_none(data: bytes) -> None:
    assert read_jpeg_header(data) is None


def test_cut_anywhere_is_truncated() -> None:
    data = jpeg()
    for length in range(2, len(data) - 1):
        header = read_jpeg_header(data[:length])
        assert header is not None
        assert is_truncated(data[:length], header)
    header = read_jpeg_header(data)
    assert header is not None
    assert not is_truncated(data, header)


def test_a_segment_without_end_ends_the_search() -> None:
    # a length of 0, which the standard forbids, points at itself
    header = read_jpeg_header(b"\xff\xd8" + b"\xff\xe1\x00\x00" * 3)
    assert header is not None
    assert header.scan is None
