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
from yolo.image_headers import JpegHeader, header_size, jpeg2000_bits, read_jpeg_header
from yolo.images import (
    NO_IMAGE,
    DepthTally,
    decode,
    decode_image,
    possible_reduction,
    read_image,
    read_size,
    read_to_show,
    write_image,
)

SIZE_HW = (20, 40)


def photo(height: int = 24, width: int = 40) -> np.ndarray:
    """Left half red, right half blue: shows channel order and orientation."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image


def encoded(kind: str, size_hw: tuple[int, int] = SIZE_HW, mode: str = "RGB", **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size_hw[::-1]).save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def exif_block(kind: int, value: int, *, order: str = "<", entries: int = 1) -> bytes:
    """A TIFF block with the orientation as its last entry."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    others = b"".join(struct.pack(f"{order}HHII", 0x0100 + k, 4, 1, 7) for k in range(entries - 1))
    packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
    entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + packed
    return start + struct.pack(f"{order}H", entries) + others + entry + bytes(4)


def segment(content: bytes, marker: int = 0xE1) -> bytes:
    """Of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def put(folder: Path, data: bytes) -> Path:
    path = folder / "a.image"
    path.write_bytes(data)
    return path


def jpeg_header(data: bytes) -> JpegHeader:
    header = read_jpeg_header(data)
    assert header is not None
    return header


JPEG, PNG = encoded("JPEG"), encoded("PNG")
FRAME = JPEG.index(b"\xff\xc0")
EXIF = segment(oriented(6).tobytes())
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6"/></x:xmpmeta>'


def in_front(*segments: bytes) -> bytes:
    """A JPEG that begins with these segments."""
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


ODD_JPEGS = {
    "orientation in xmp": in_front(segment(XMP)),
    "two exif blocks": in_front(EXIF, segment(oriented(1).tobytes())),
    "exif behind the frame": JPEG[: FRAME + 19] + EXIF + JPEG[FRAME + 19 :],
    "exif behind the pixels": JPEG[:-2] + EXIF + JPEG[-2:],
    "a long for an orientation": in_front(segment(b"Exif\0\0" + exif_block(4, 6))),
    "big endian": in_front(segment(b"Exif\0\0" + exif_block(3, 6, order=">", entries=9))),
    "an empty exif block": in_front(segment(b"Exif\0\0")),
    "an exif block of nonsense": in_front(segment(b"Exif\0\0II*\0\xff\xff\xff\x7f")),
    "more entries than there are": in_front(segment(b"Exif\0\0" + exif_block(3, 6).replace(b"\1\0\x12", b"\7\0\x12"))),
    "a thumbnail": in_front(segment(oriented(6).tobytes()[:-4] + bytes(4) + encoded("JPEG", (3, 5)))),
    "fill bytes": JPEG[:FRAME] + b"\xff\xff\xff" + JPEG[FRAME:],
    "exif beyond the first bytes": in_front(segment(bytes(9000), 0xE2), segment(oriented(8).tobytes())),
}


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff"])
def test_written_and_read_back_as_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ümlaut 图{suffix}"
    write_image(path, photo())
    assert np.abs(read_image(path).astype(int) - photo()).mean() < 3
    assert read_size(path) == (24, 40)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]  # no temporary file stays


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_and_agrees_with_the_size(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "a"
    Image.fromarray(photo()).save(path, kind, exif=oriented(orientation), quality=95)
    image = read_image(path)
    assert image.shape[:2] == read_size(path) == ((40, 24) if 5 <= orientation <= 8 else (24, 40))
    assert (header_size(path) is None) == (kind in ("WEBP", "TIFF"))
    # where the red half goes, from the definition of the eight orientations
    sides = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
    row, col = {"left": (12, 5), "right": (12, 35), "top": (5, 12), "bottom": (35, 12)}[sides.get(orientation, "left")]
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


def test_a_pointer_of_git_lfs_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(ImageReadError, match=r"a\.jpg: is a pointer of Git LFS, .*: git lfs pull") as caught:
        read_image(path)
    assert caught.value.kind == NO_IMAGE


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), (b"", "empty"), (b"no image", "not an image")]
)
def test_missing_empty_and_foreign_files_name_the_path(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "a.image"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageReadError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ImageReadError, match=r"a\.image: (No such file|is not an image)"):
        read_size(path)


def test_paths_that_cannot_be_images() -> None:
    with pytest.raises(ImageReadError, match="cannot be read"):
        read_image(Path(__file__).parent)
    with pytest.raises(ImageReadError):
        read_size(Path("a\0b.jpg"))


def test_a_truncated_jpeg_is_refused_though_opencv_would_take_it(tmp_path: Path) -> None:
    data = encoded("JPEG", (64, 64))
    for length in range(2, len(data) - 1):
        assert jpeg_header(data[:length]).is_truncated(data[:length])
    assert not jpeg_header(data).is_truncated(data)
    with pytest.raises(ImageReadError, match="cut off"):
        read_image(put(tmp_path, data[:-20]))


@pytest.mark.parametrize("trailer", [b"film \xff\xda\x00 more", b"\0\0garbage"])
def test_a_jpeg_with_any_trailer_is_whole(tmp_path: Path, trailer: bytes) -> None:
    # phones append a film to a photograph: its bytes may hold any marker
    assert read_image(put(tmp_path, JPEG + trailer)).shape == (20, 40, 3)


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
    written = BytesIO()
    Image.fromarray(photo(80, 160)).save(written, "JPEG", exif=oriented(6), quality=95)
    image = decode_image(written.getvalue(), name="a", reduction=4)
    assert image.shape == (40, 20, 3)
    assert image[5, 10, 0] > 200  # the red half is above
    assert image[35, 10, 2] > 200


def test_how_much_may_be_reduced() -> None:
    even, odd = encoded("JPEG", (800, 1600)), encoded("JPEG", (801, 1600))
    assert possible_reduction(even, (800, 1600), (100, 200)) == 8
    assert possible_reduction(even, (800, 1600), (101, 200)) == 4
    assert possible_reduction(even, (800, 1600), (320, 640)) == 2
    assert possible_reduction(even, (800, 1600), (400, 801)) == 1
    assert possible_reduction(even, (1600, 800), (400, 200)) == 4  # turned by EXIF
    assert possible_reduction(even, (800, 1598), (100, 200)) == 1  # another size
    assert possible_reduction(even[:2] + EXIF + even[2:], (800, 1600), (100, 200)) == 8
    assert possible_reduction(odd, (801, 1600), (101, 200)) == 8
    assert possible_reduction(odd[:2] + EXIF + odd[2:], (801, 1600), (101, 200)) == 1
    assert possible_reduction(encoded("PNG", (800, 1600)), (800, 1600), (100, 200)) == 1


def png_of_claimed_size(height: int, width: int) -> bytes:
    return PNG[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + PNG[24:29]) + PNG[33:]


def jpeg_of_claimed_size(height: int, width: int) -> bytes:
    return JPEG[: FRAME + 5] + struct.pack(">HH", height, width) + JPEG[FRAME + 9 :]


def bmp_of_claimed_size(height: int, width: int) -> bytes:
    data = encoded("BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


@pytest.mark.parametrize("make", [png_of_claimed_size, jpeg_of_claimed_size, bmp_of_claimed_size])
def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    tmp_path: Path, make: Callable[[int, int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, make(20_000, 60_000))
    monkeypatch.setattr(cv2, "imdecode", lambda *arguments: pytest.fail("was decoded"))
    for read in (read_image, read_size):
        with pytest.raises(ImageReadError, match="pixels") as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_the_largest_size_is_200_million_pixels(tmp_path: Path) -> None:
    assert read_size(put(tmp_path, png_of_claimed_size(20_000, 10_000))) == (20_000, 10_000)
    with pytest.raises(ImageReadError, match=r"claims to be 10001 x 20000 pixels; more than 200 million are not read"):
        read_size(put(tmp_path, png_of_claimed_size(20_000, 10_001)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 16_000), (16_000, 1)])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_tiny_and_very_long_images(tmp_path: Path, height: int, width: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(path, np.full((height, width, 3), (200, 100, 50), np.uint8))
    image = read_image(path)
    assert image.shape == (height, width, 3)
    assert np.abs(image.astype(int) - (200, 100, 50)).max() <= 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, kind: str) -> None:
    red, blue = (Image.new("RGB", (16, 12), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    red.save(tmp_path / "a", kind, save_all=True, append_images=[blue, blue])
    image = read_image(tmp_path / "a")
    assert image.shape == (12, 16, 3)
    assert image[6, 8, 0] > 240
    assert image[6, 8, 2] < 15
    assert read_size(tmp_path / "a") == (12, 16)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 20}, {"comment": b"\xff\xc0 no frame"}])
def test_the_header_of_a_jpeg(options: dict[str, Any]) -> None:
    data = encoded("JPEG", **options)
    header = jpeg_header(data)
    assert header == JpegHeader(size_hw=SIZE_HW, exif=b"", scan=data.index(b"\xff\xda"), is_usual=True)
    # fill bytes and a segment without content change nothing, and the thumbnail in an EXIF block is not the image
    between = b"\xff\xff\xff" + segment(b"", 0xE5) + b"\xff" + segment(b"Exif\0\0" + encoded("JPEG", (5, 6)))
    header = jpeg_header(data[:2] + between + data[2:])
    assert (header.size_hw, header.is_usual) == (SIZE_HW, True)
    assert header.exif.startswith(b"Exif\0\0\xff\xd8")


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_other_files_have_no_jpeg_header(data: bytes) -> None:
    assert read_jpeg_header(data) is None


def test_a_segment_without_end_ends_the_search() -> None:
    # a length of 0, which the standard forbids, points at itself
    assert jpeg_header(b"\xff\xd8" + b"\xff\xe1\x00\x00" * 3).scan is None


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
def test_sizes_of_usual_files_are_read_from_their_headers(
    tmp_path: Path, kind: str, mode: str, options: dict[str, Any]
) -> None:
    path = put(tmp_path, encoded(kind, mode=mode, **options))
    assert header_size(path) == read_size(path) == SIZE_HW


@pytest.mark.parametrize("data", ODD_JPEGS.values(), ids=list(ODD_JPEGS))
def test_odd_jpegs_have_the_size_they_are_decoded_to(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path, data)
    assert read_size(path) == read_image(path).shape[:2]


@pytest.mark.parametrize("behind", [False, True])
def test_exif_of_a_png_may_stand_before_or_behind_the_pixels(tmp_path: Path, behind: bool) -> None:
    place = PNG.index(b"IEND" if behind else b"IDAT") - 4
    path = put(tmp_path, PNG[:place] + chunk(b"eXIf", exif_block(3, 6)) + PNG[place:])
    assert header_size(path) == read_image(path).shape[:2] == (40, 20)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", PNG[:8], PNG[:20], b"GIF89a", b"\xff\xd8\xff\xd9"])
def test_what_is_not_an_image_has_no_size(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path, data)
    assert header_size(path) is None
    with pytest.raises(ImageReadError):
        read_size(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.sampled_from([JPEG, PNG, ODD_JPEGS["big endian"]]), st.data())
def test_damaged_headers_are_refused_or_have_the_size_they_are_decoded_to(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = put(tmp_path, bytes(damaged))
    try:
        size_hw = read_size(path)
        decoded = read_image(path)
    except ImageReadError:
        return
    assert size_hw == decoded.shape[:2]


def test_a_path_may_be_text(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((2, 3, 3), 7, np.uint8))
    assert read_image(str(tmp_path / "a.png")).shape == (2, 3, 3)


def deep_tiff(bits: int, rows: list[list[int]], *, sample_format: int = 1) -> bytes:
    """A grey TIFF of packed samples, big-endian, without compression."""
    packed = b""
    for row in rows:
        text = "".join(format(value, f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        packed += int(text, 2).to_bytes(len(text) // 8, "big")
    short, long = 3, 4
    tags = [(256, long, len(rows[0])), (257, long, len(rows)), (258, short, bits), (259, short, 1), (262, short, 1)]
    tags += [(273, long, 8), (277, short, 1), (278, long, len(rows)), (279, long, len(packed))]
    tags.append((339, short, sample_format))
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == short else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    return b"MM\0*" + struct.pack(">I", 8 + len(packed)) + packed + struct.pack(">H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14, 16])
def test_a_tiff_of_any_depth_fills_the_range(tmp_path: Path, bits: int) -> None:
    white = 2**bits - 1
    path = put(tmp_path, deep_tiff(bits, [[0, white] * 4, [white // 2] * 8]))
    image = read_image(path, bit_depth=16 if bits == 16 else 8)  # what the file says goes first
    assert image[0].tolist() == [[0] * 3, [255] * 3] * 4
    assert image[1, 0, 0] == pytest.approx(white // 2 * 255 / white, abs=1)
    assert read_size(path) == (2, 8)


@pytest.mark.parametrize("kind", [".png", ".tif", ".pgm", ".ppm"])
@pytest.mark.parametrize(
    ("bit_depth", "expected"), [(16, [0, 3, 15, 255]), (12, [0, 62, 255, 255]), (8, [0, 255, 255, 255])]
)
def test_the_bit_depth_says_what_is_white(kind: str, bit_depth: int, expected: list[int]) -> None:
    values = np.array([[0, 1000, 4095, 65535]], np.uint16)
    colour = np.repeat(values[:, :, None], 3, axis=2) if kind == ".ppm" else values
    data = cv2.imencode(kind, colour)[1].tobytes()
    decoded = decode(data, name="a", bit_depth=bit_depth)
    assert decoded.pixels[0].tolist() == [[value] * 3 for value in expected]
    assert decoded.largest == 65535
    assert decode(encoded("PNG"), name="a", bit_depth=bit_depth).largest is None


def test_sixteen_bit_colours_of_a_tiff_keep_their_order() -> None:
    """OpenCV 5 fills them with noise if it is asked for RGB."""
    image = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    data = cv2.imencode(".tif", image[:, :, ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data, name="a"), image >> 8)


@pytest.mark.parametrize(("maximum", "expected"), [(100, [0, 128, 255]), (4095, [0, 127, 255]), (1000, [0, 128, 255])])
def test_the_maximum_of_a_pgm_is_white(maximum: int, expected: list[int]) -> None:
    samples = np.array([0, maximum // 2, maximum], ">u2" if maximum > 255 else "u1")
    data = b"P5 # by hand\n3 1\n%d\n" % maximum + samples.tobytes()
    assert decode_image(data, name="a", bit_depth=10)[0, :, 0].tolist() == expected


def test_jpeg_2000_of_twelve_bits_says_so() -> None:
    data = bytearray(cv2.imencode(".jp2", np.zeros((64, 64), np.uint16))[1].tobytes())
    assert jpeg2000_bits(bytes(data)) == 16
    data[data.index(b"\xff\x4f\xff\x51") + 42] = 11
    assert jpeg2000_bits(bytes(data)) == 12
    assert jpeg2000_bits(b"\xff\x4f\xff\x51") == 0


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.25, 0.5)])
def test_floats_are_read_from_zero_to_one(tmp_path: Path, low: float, high: float) -> None:
    Image.fromarray(np.array([[low, high]], np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [round(low * 255), round(high * 255)]
    assert read_size(tmp_path / "a.tif") == (1, 2)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[0, 255]], np.float32), "floating-point samples from 0 to 255; only 0 to 1"),
        (np.array([[0, np.nan]], np.float32), "floating-point samples"),
        (np.array([[-1, 1]], np.float32), "floating-point samples from -1 to 1"),
        (np.array([[0, 9]], np.int32), "samples of 32 bits or with a sign"),
    ],
)
def test_other_numbers_are_refused_and_not_guessed(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ImageReadError, match=reason):
        read_image(tmp_path / "a.tif")


def test_signed_samples_are_refused() -> None:
    data = cv2.imencode(".tif", np.array([[0, 9]], np.int16))[1].tobytes()
    with pytest.raises(ImageReadError, match="samples of 32 bits or with a sign"):
        decode_image(data, name="a")


@pytest.mark.parametrize(
    ("bit_depth", "largest", "expected"),
    [
        (16, [], []),
        (16, [None, None], []),
        (16, [4095], ["1 image has samples up to 4095 where 65535 is white", "--bit-depth 12"]),
        (16, [4096], []),  # one image may be dark
        (16, [300, 4095, None], ["2 images have samples up to 4095", "--bit-depth 12"]),
        (16, [9000] * 7 + [16383], ["8 images have samples up to 16383", "--bit-depth 14"]),
        (16, [9000] * 7 + [16384], []),
        (16, [200], ["--bit-depth 8"]),
        (16, [0], []),
        (12, [4095, 3000], []),
        (12, [4096], ["1 image has 16 bits and samples above 4095, which become white", "--bit-depth 13"]),
        (12, [65535, 90], ["2 images have 16 bits and, 1 of them samples above 4095", "--bit-depth 16"]),
    ],
)
def test_the_tally_of_bit_depths(bit_depth: int, largest: list[int | None], expected: list[str]) -> None:
    tally = DepthTally(bit_depth)
    for one in largest:
        tally.add(one)
    said = " ".join(tally.notes())
    assert bool(said) == bool(expected)
    assert all(part in said for part in expected)


def test_people_see_dark_images(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 1000, 4000]], np.uint16))
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 3, 15]
    assert read_to_show(tmp_path / "a.png")[0, :, 0].tolist() == [0, 62, 250]


def test_dark_images_among_others_of_the_full_range_are_said() -> None:
    tally = DepthTally(16)
    for largest in (65535, 4095, 40000, None):
        tally.add(largest)
    (note,) = tally.notes()
    assert note.startswith("1 of 3 16-bit images have samples up to 4095 where 65535 is white")
    bright = DepthTally(16)
    for largest in (65535, 4096, 0):
        bright.add(largest)
    assert bright.notes() == []
