"""Kinds of files: which are read, by which first bytes, and which never are."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo.errors import ImageReadError
from yolo.image_formats import IMAGE_SUFFIXES, READ_KINDS, UNREAD_SUFFIXES, image_kind, lacks_extra, not_read
from yolo.images import decode_image, read_image, read_size

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
HEIC, AVIF = b"\0\0\0\x18ftypheic\0\0\0\0", b"\0\0\0\x1cftypavif\0\0\0\0"


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(NOISE).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


MODES = {
    "BMP": "RGB L 1 P RGBA",
    "DIB": "RGB L 1 P",
    "GIF": "RGB L 1 P RGBA LA",
    "TIFF": "RGB L 1 P RGBA LA CMYK",
    "PPM": "RGB L 1",
    "JPEG2000": "RGB L RGBA LA CMYK",
    "TGA": "RGB L 1 P RGBA LA",
    "PCX": "RGB L 1 P",
    "DDS": "RGB L RGBA LA",
    "SGI": "RGB L RGBA",
    "QOI": "RGB RGBA",
    "PNG": "RGB L 1 P RGBA LA",
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes.split()])
def test_what_pillow_writes_is_read_whatever_its_name(tmp_path: Path, kind: str, mode: str) -> None:
    data = encoded(kind, mode)
    (tmp_path / "a.jpg").write_bytes(data)  # most files with a wrong name are called so
    with Image.open(BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    found = read_image(tmp_path / "a.jpg")
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert read_size(tmp_path / "a.jpg") == (24, 32)


def test_only_listed_formats_are_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """EPS starts ghostscript, and a format that some other package has added to Pillow may do anything."""
    monkeypatch.setattr("subprocess.check_call", lambda *arguments, **options: pytest.fail("a program was started"))
    monkeypatch.setattr("subprocess.Popen", lambda *arguments, **options: pytest.fail("a program was started"))
    Image.init()
    monkeypatch.setitem(Image.OPEN, "FOREIGN", (lambda *arguments: pytest.fail("was opened"), None))
    monkeypatch.setattr(Image, "ID", [*Image.ID, "FOREIGN"])
    wmf = b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhHI", 0, 0, 100, 100, 96, 0) + b"\0\0\1\0\x09\0" + bytes(60)
    for name, data in {"a.eps": encoded("EPS"), "b.pdf": encoded("PDF"), "c.wmf": wmf, "d.jpg": encoded("EPS")}.items():
        path = tmp_path / name
        path.write_bytes(data)
        for read in (read_image, read_size):
            with pytest.raises(ImageReadError, match="is not an image that can be decoded"):
                read(path)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns=', "SVG"),
        (b"%PDF-1.4", "PDF"),
        (b"\0\0\0\x20ftypisom", "video"),
        (b"\0\0\0\x18ftypcrx ", "camera raw"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"v/1\x01", "OpenEXR"),
        (b"\0\0\0\x18ftypmif1", "HEIC"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"P5\n# a comment\n", "PNM"),
        (b"P5.jpg\nP6.jpg\n", ""),
        (b"BM are initials.", ""),
        (b"", ""),
    ],
)
def test_kinds_by_first_bytes(data: bytes, kind: str) -> None:
    assert image_kind(data) == kind
    if kind and kind not in READ_KINDS:
        with pytest.raises(ImageReadError, match=f"but an? {kind}"):
            decode_image(data, name="a.jpg")


def test_no_suffix_is_both_read_and_not() -> None:
    assert not IMAGE_SUFFIXES & UNREAD_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES | UNREAD_SUFFIXES)


def test_heic_and_avif_without_what_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    monkeypatch.setattr("yolo.image_formats.features.check", lambda name: False)
    for name, data in {"a.heic": HEIC, "b.avif": AVIF, "c.jpg": HEIC}.items():
        path = tmp_path / name
        path.write_bytes(data)
        for read in (read_image, read_size):
            with pytest.raises(ImageReadError, match=r"(HEIC|AVIF) image, which needs pip install 'gridyolo\[heif\]'"):
                read(path)
    assert lacks_extra(tmp_path / "a.heic")
    (tmp_path / "d.heic").write_bytes(encoded("JPEG"))  # some phones and converters name them so
    assert not lacks_extra(tmp_path / "d.heic")
    assert read_image(tmp_path / "d.heic").shape == (24, 32, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 5])
def test_avif_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Its own boxes turn it, which Pillow hands on as EXIF and OpenCV leaves out."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = np.zeros((24, 40, 3), np.uint8)
    picture[:, :20, 0] = 255
    Image.fromarray(picture).save(tmp_path / "a.avif", quality=95, exif=exif)
    image = read_image(tmp_path / "a.avif")
    assert image.shape[:2] == read_size(tmp_path / "a.avif") == ((24, 40) if orientation in (1, 3) else (40, 24))
    row, column = {1: (12, 5), 3: (12, 35), 6: (5, 12), 5: (5, 12)}[orientation]
    assert image[row, column, 0] > 200


@pytest.mark.parametrize("orientation", [1, 3, 6, 5])
def test_heic_is_turned_by_its_own_boxes_alone(tmp_path: Path, orientation: int) -> None:
    """Cameras write the turn into EXIF as well: taken twice it would turn the image too far."""
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = pillow_heif.from_pillow(Image.fromarray(picture))
    image.info["exif"] = exif.tobytes()
    image.save(tmp_path / "a.heic", quality=95)
    stored = pillow_heif.open_heif(tmp_path / "a.heic")
    found = read_image(tmp_path / "a.heic")
    assert found.shape[:2] == read_size(tmp_path / "a.heic") == stored.size[::-1]
    assert np.abs(found.astype(int) - np.asarray(stored.to_pillow().convert("RGB"))).max() <= 1


def test_the_message_about_what_is_not_read() -> None:
    assert not_read({}) == not_read({".svg": 0}) == []
    assert not_read({".heic": 2}) == ["2 files were not read: 2 .heic; HEIC and AVIF need pip install 'gridyolo[heif]'"]


def test_camera_raw_is_not_taken_for_its_preview(tmp_path: Path) -> None:
    """DNG, NEF and ARW are TIFF files that begin with a small picture."""
    preview = BytesIO()
    Image.fromarray(NOISE).save(preview, "TIFF", tiffinfo={254: 1})
    canon = bytearray(encoded("TIFF"))
    canon[8:10] = b"CR"
    for name, data in {"a.dng": preview.getvalue(), "b.tif": preview.getvalue()}.items():
        (tmp_path / name).write_bytes(data)
        for read in (read_image, read_size):
            with pytest.raises(ImageReadError, match="begins with a small preview, as camera raw does"):
                read(tmp_path / name)
    with pytest.raises(ImageReadError, match="preview"):
        decode_image(bytes(canon), name="c.cr2")
