import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo.errors import ImageReadError
from yolo.image_headers import header_size
from yolo.images import read_image, read_size


def _encoded(kind: str, size_hw: tuple[int, int] = (20, 40), mode: str = "RGB", **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size_hw[::-1]).save(buffer, kind, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _block(kind: int, value: int, *, order: str = "<", entries: int = 1) -> bytes:
    """A TIFF block with the orientation as its last entry."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    others = b"".join(struct.pack(f"{order}HHII", 0x0100 + k, 4, 1, 7) for k in range(entries - 1))
    packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
    entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + packed
    return start + struct.pack(f"{order}H", entries) + others + entry + bytes(4)


def _segment(content: bytes, marker: int = 0xE1) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _decoded_size(data: bytes) -> tuple[int, int]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    height, width = image.shape[:2]
    return height, width


def _put(folder: Path, data: bytes) -> Path:
    path = folder / "a.image"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_all_orientations_as_they_are_decoded(tmp_path: Path, kind: str, orientation: int) -> None:
    path = _put(tmp_path, _encoded(kind, exif=_exif(orientation)))
    assert read_size(path) == read_image(path).shape[:2] == ((40, 20) if 5 <= orientation <= 8 else (20, 40))
    assert (header_size(path) is None) == (kind == "WEBP")


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"comment": b"x" * 60_000, "icc_profile": b"y" * 100_000}),
        ("PNG", "I;16", {}),
        ("PNG", "P", {}),
        ("PNG", "1", {}),
        ("PNG", "LA", {}),
    ],
)
def test_plain_files_of_all_kinds_are_read_here(tmp_path: Path, kind: str, mode: str, options: dict[str, Any]) -> None:
    path = _put(tmp_path, _encoded(kind, mode=mode, **options))
    assert header_size(path) == read_size(path) == (20, 40)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_animated_files_have_the_size_of_their_canvas(tmp_path: Path, kind: str) -> None:
    more = [Image.new("RGB", (40, 20), (shade, 0, 0)) for shade in (80, 160)]
    path = _put(tmp_path, _encoded(kind, save_all=True, append_images=more))
    assert read_size(path) == (20, 40)


def test_a_multi_page_tiff_has_the_size_of_its_first_page(tmp_path: Path) -> None:
    path = _put(tmp_path, _encoded("TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]))
    assert read_size(path) == (20, 40)


JPEG = _encoded("JPEG")
PNG = _encoded("PNG")
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6"/></x:xmpmeta>'
FRAME = JPEG.index(b"\xff\xc0")
ODD_JPEGS = {
    "orientation in xmp": JPEG[:2] + _segment(XMP) + JPEG[2:],
    "two exif blocks": JPEG[:2] + _segment(_exif(6)) + _segment(_exif(1)) + JPEG[2:],
    "exif behind the frame": JPEG[:-2] + _segment(_exif(6)) + JPEG[-2:],
    "a long for an orientation": JPEG[:2] + _segment(b"Exif\0\0" + _block(4, 6)) + JPEG[2:],
    "big endian": JPEG[:2] + _segment(b"Exif\0\0" + _block(3, 6, order=">", entries=9)) + JPEG[2:],
    "an empty exif block": JPEG[:2] + _segment(b"Exif\0\0") + JPEG[2:],
    "an exif block of nonsense": JPEG[:2] + _segment(b"Exif\0\0II*\0\xff\xff\xff\x7f") + JPEG[2:],
    "a thumbnail": JPEG[:2] + _segment(_exif(6)[:-4] + bytes(4) + _encoded("JPEG", (3, 5))) + JPEG[2:],
    "fill bytes": JPEG[:FRAME] + b"\xff\xff\xff" + JPEG[FRAME:],
    "exif beyond the first bytes": JPEG[:2] + _segment(bytes(9000), 0xE2) + _segment(_exif(8)) + JPEG[2:],
}


@pytest.mark.parametrize("data", ODD_JPEGS.values(), ids=list(ODD_JPEGS))
def test_odd_jpegs_have_the_size_they_are_decoded_to(tmp_path: Path, data: bytes) -> None:
    assert read_size(_put(tmp_path, data)) == _decoded_size(data)


@pytest.mark.parametrize("behind", [False, True])
def test_exif_of_a_png_may_stand_before_or_behind_the_pixels(tmp_path: Path, behind: bool) -> None:
    place = PNG.index(b"IEND" if behind else b"IDAT") - 4
    data = PNG[:place] + _chunk(b"eXIf", _block(3, 6)) + PNG[place:]
    assert header_size(_put(tmp_path, data)) == _decoded_size(data) == (40, 20)


def test_a_png_that_claims_an_endless_size_is_refused(tmp_path: Path) -> None:
    header = struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:29]
    path = _put(tmp_path, PNG[:8] + _chunk(b"IHDR", header) + PNG[33:])
    with pytest.raises(ImageReadError, match=r"claims to be 2147483647 x 2147483647 pixels; more than 200 million"):
        read_size(path)


def test_a_jpeg_cannot_claim_more_than_decoding_takes(tmp_path: Path) -> None:
    data = JPEG[: FRAME + 5] + b"\xff\xff\xff\xff" + JPEG[FRAME + 9 :]
    with pytest.raises(ImageReadError, match=r"claims to be 65535 x 65535 pixels"):
        read_size(_put(tmp_path, data))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", PNG[:8], PNG[:20], b"GIF89a", b"\xff\xd8\xff\xd9"])
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes) -> None:
    assert header_size(_put(tmp_path, data)) is None
    with pytest.raises(ImageReadError):
        read_size(tmp_path / "a.image")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"gone.jpg: No such file"):
        read_size(tmp_path / "gone.jpg")
    with pytest.raises(ImageReadError):
        read_size(Path("a\0b.jpg"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.sampled_from([JPEG, PNG, ODD_JPEGS["big endian"]]), st.data())
def test_damaged_headers_are_refused_or_have_the_size_they_are_decoded_to(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = _put(tmp_path, bytes(damaged))
    try:
        size_hw = read_size(path)
        decoded = read_image(path)
    except ImageReadError:
        return
    assert size_hw == decoded.shape[:2]
