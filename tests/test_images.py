import struct
import zlib
from collections.abc import Callable
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
from yolo.images import (
    decode_image,
    header_size,
    is_truncated,
    possible_reduction,
    read_image,
    read_jpeg_header,
    read_size,
    write_image,
)


def photo(height: int = 24, width: int = 40) -> np.ndarray:
    """Left half red, right half blue: shows channel order and orientation."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff"])
def test_written_and_read_back_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ümlaut 图{suffix}"
    write_image(path, photo())
    assert np.abs(read_image(path).astype(int) - photo()).mean() < 3
    assert read_size(path) == (24, 40)


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", photo())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_agrees_with_the_size(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(photo()).save(path, exif=exif, quality=95)
    image = read_image(path)
    assert image.shape[:2] == read_size(path) == ((24, 40) if orientation < 5 else (40, 24))
    # where the red half goes, from the definition of the eight orientations
    red_side = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
    row, col = {"left": (12, 5), "right": (12, 35), "top": (5, 12), "bottom": (35, 12)}[red_side[orientation]]
    assert image[row, col, 0] > 200


@pytest.mark.parametrize("kind", ["grey", "alpha", "sixteen", "palette", "cmyk"])
def test_other_pixel_formats_become_rgb(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.jpg" if kind == "cmyk" else "a.png")
    if kind == "grey":
        Image.new("L", (8, 6), 99).save(path)
    elif kind == "alpha":
        Image.new("RGBA", (8, 6), (10, 20, 30, 0)).save(path)
    elif kind == "sixteen":
        cv2.imwrite(str(path), np.full((6, 8), 99 * 256, np.uint16))
    elif kind == "palette":
        Image.new("RGB", (8, 6), (10, 20, 30)).convert("P").save(path)
    else:
        Image.new("CMYK", (8, 6), (0, 0, 0, 100)).save(path)
    image = read_image(path)
    assert image.shape == (6, 8, 3)
    assert image.dtype == np.uint8
    if kind in ("grey", "sixteen"):
        assert (image == 99).all()


def test_missing_empty_and_foreign_files_name_the_path(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.png"
    empty.touch()
    text.write_text("no image")
    for path, reason in ((tmp_path / "none.jpg", "cannot be read"), (empty, "empty"), (text, "not an image")):
        with pytest.raises(ImageReadError, match=reason) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        with pytest.raises(ImageReadError):
            read_size(path)


def test_a_truncated_jpeg_is_refused_though_opencv_would_take_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageReadError, match="cut off"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_size_of_a_turned_image_agrees_in_every_format(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a{suffix}"
    Image.fromarray(photo()).save(path, exif=exif)
    assert read_size(path) == read_image(path).shape[:2]


def test_a_jpeg_with_any_trailer_is_whole(tmp_path: Path) -> None:
    # phones append a film to a photograph: its bytes may hold any marker
    path = tmp_path / "a.jpg"
    write_image(path, photo())
    path.write_bytes(path.read_bytes() + b"film \xff\xda\x00 more")
    assert read_image(path).shape == (24, 40, 3)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_image(path, photo())
    path.write_bytes(path.read_bytes() + b"\0\0garbage")
    assert read_image(path).shape == (24, 40, 3)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="cannot be read"):
        read_image(tmp_path)


def noisy_photo(height: int, width: int) -> np.ndarray:
    """Soft shapes with a little noise, as a camera sees them."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (height // 25 + 2, width // 25 + 2, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return (smooth + generator.normal(0, 5, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size_hw", [(240, 320), (241, 323), (37, 500)])
def test_reduced_decoding_is_close_to_decoding_and_averaging(reduction: int, size_hw: tuple[int, int]) -> None:
    data = cv2.imencode(".jpg", noisy_photo(*size_hw)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    reduced = decode_image(data, name="a", reduction=reduction)
    assert reduced.shape == (-(-size_hw[0] // reduction), -(-size_hw[1] // reduction), 3)
    # whole blocks of pixels only; the rest stands for less
    rows, cols = size_hw[0] // reduction, size_hw[1] // reduction
    whole = decode_image(data, name="a")[: rows * reduction, : cols * reduction]
    averaged = whole.reshape(rows, reduction, cols, reduction, 3).astype(np.float32).mean(axis=(1, 3))
    difference = np.abs(reduced[:rows, :cols] - averaged)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) < 10


def test_what_is_reduced_is_rgb_and_turned_by_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    written = BytesIO()
    Image.fromarray(photo(80, 160)).save(written, "JPEG", exif=exif, quality=95)
    image = decode_image(written.getvalue(), name="a", reduction=4)
    assert image.shape == (40, 20, 3)
    assert image[5, 10, 0] > 200  # the red half is above
    assert image[35, 10, 2] > 200


def with_exif(data: bytes) -> bytes:
    return data[:2] + b"\xff\xe1\x00\x08Exif\0\0" + data[2:]


def test_how_much_may_be_reduced() -> None:
    def jpeg(height: int, width: int) -> bytes:
        return cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()

    even = jpeg(800, 1600)
    assert possible_reduction(even, (800, 1600), (100, 200)) == 8
    assert possible_reduction(even, (800, 1600), (101, 200)) == 4
    assert possible_reduction(even, (800, 1600), (320, 640)) == 2
    assert possible_reduction(even, (800, 1600), (400, 801)) == 1
    assert possible_reduction(even, (1600, 800), (400, 200)) == 4  # turned by EXIF
    assert possible_reduction(even, (800, 1598), (100, 200)) == 1  # another size
    assert possible_reduction(with_exif(even), (800, 1600), (100, 200)) == 8
    odd = jpeg(801, 1600)
    assert possible_reduction(odd, (801, 1600), (101, 200)) == 8
    assert possible_reduction(with_exif(odd), (801, 1600), (101, 200)) == 1
    png = cv2.imencode(".png", np.zeros((800, 1600, 3), np.uint8))[1].tobytes()
    assert possible_reduction(png, (800, 1600), (100, 200)) == 1


def png_header(height: int, width: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def jpeg_of_claimed_size(height: int, width: int) -> bytes:
    data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_of_claimed_size(height: int, width: int) -> bytes:
    data = bytearray(cv2.imencode(".bmp", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("make", [png_header, jpeg_of_claimed_size, bmp_of_claimed_size])
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    tmp_path: Path, make: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(make(20_000, 60_000))
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: pytest.fail("was decoded"))
    with pytest.raises(ImageReadError, match="pixels") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 30_000), (30_000, 1), (3, 30_000)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_tiny_and_very_long_images(tmp_path: Path, height: int, width: int, suffix: str) -> None:
    if suffix == ".webp" and max(height, width) > 16_383:
        pytest.skip("WebP has no sides above 16,383 pixels")
    path = tmp_path / f"a{suffix}"
    write_image(path, np.full((height, width, 3), (200, 100, 50), np.uint8))
    image = read_image(path)
    assert image.shape == (height, width, 3)
    assert np.abs(image.astype(int) - (200, 100, 50)).max() <= 8


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_of_an_animation_the_first_picture_is_read(tmp_path: Path, suffix: str) -> None:
    red, blue = (Image.new("RGB", (16, 12), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    path = tmp_path / f"a{suffix}"
    red.save(path, save_all=True, append_images=[blue, blue])
    image = read_image(path)
    assert image.shape == (12, 16, 3)
    assert image[6, 8, 0] > 240
    assert image[6, 8, 2] < 15


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
