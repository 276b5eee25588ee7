from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo.errors import ImageReadError
from yolo.images import read_image, read_size, write_image


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
