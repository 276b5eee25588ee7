"""Every way to give a picture gives the pixels that `read_image` reads from its file."""

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from yolo.engine.image_input import load_image, load_images, open_items
from yolo.errors import DataError, ImageReadError
from yolo.images import NO_IMAGE, read_image, write_image
from yolo.media.items import Frame, Unreadable


def picture(channels: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, 256, (7, 5, channels), dtype=np.uint8)


def written_buffer(rgb: Any) -> io.BytesIO:
    """It stands at its end, as after `image.save(buffer)`."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer


class OneWay:
    """As a response of a web server: it can be read once and has no place to go back to."""

    def __init__(self, data: bytes | str) -> None:
        self._data = data

    def read(self) -> bytes | str:
        return self._data


class Upload:
    """As a file that an asynchronous web framework hands over."""

    async def read(self) -> bytes:
        return b""


def with_orientation(path: Path, orientation: int) -> Path:
    """A JPEG whose EXIF block says how to turn it."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    jpeg = cv2.imencode(".jpg", np.full((16, 32, 3), 90, np.uint8))[1].tobytes()
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    return path


@pytest.mark.parametrize(
    "give",
    [
        lambda path, rgb: path,
        lambda path, rgb: str(path),
        lambda path, rgb: path.read_bytes(),
        lambda path, rgb: bytearray(path.read_bytes()),
        lambda path, rgb: memoryview(path.read_bytes()),
        lambda path, rgb: io.BytesIO(path.read_bytes()),
        lambda path, rgb: written_buffer(rgb),
        lambda path, rgb: OneWay(path.read_bytes()),
        lambda path, rgb: Image.open(path),
        lambda path, rgb: Image.fromarray(rgb),
        lambda path, rgb: rgb,
        lambda path, rgb: np.asfortranarray(rgb),
        lambda path, rgb: np.ascontiguousarray(rgb[::-1, ::-1])[::-1, ::-1],
        lambda path, rgb: np.dstack([rgb, rgb[:, :, :1]]),  # alpha
        lambda path, rgb: rgb.astype(np.uint16) * 256 + 255,
        lambda path, rgb: (rgb.astype(np.uint16) * 256).astype(">u2"),
        lambda path, rgb: rgb / 255,
        lambda path, rgb: (rgb / 255).astype(np.float32),
        lambda path, rgb: torch.from_numpy(rgb).permute(2, 0, 1),
        lambda path, rgb: torch.from_numpy(rgb).permute(2, 0, 1) / 255,
        lambda path, rgb: (torch.from_numpy(rgb).permute(2, 0, 1) / 255).half(),
        lambda path, rgb: (torch.from_numpy(rgb).permute(2, 0, 1) / 255).requires_grad_(),
    ],
)
def test_every_way_gives_the_same_pixels(tmp_path: Path, give: Any) -> None:
    path = tmp_path / "a.png"
    write_image(path, picture())
    frame = load_image(give(path, picture()))
    assert np.array_equal(frame.image, read_image(path))
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous


def test_an_open_file_names_its_image_and_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, picture())
    with path.open("rb") as file:
        assert load_image(file).source == str(path)
        (item,) = open_items(file)
        assert isinstance(item, Frame)
        assert item.source == str(path)
    path.write_bytes(b"no image")
    with path.open("rb") as file, pytest.raises(ImageReadError, match=r"a\.png: "):
        load_image(file)
    with path.open() as text, pytest.raises(TypeError, match='gives str: open it with mode "rb"'):
        load_image(text)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"detector\(await file\.read\(\)\)"):
        load_image(Upload())  # type: ignore[arg-type]


def test_bgr_is_for_arrays_and_tensors() -> None:
    rgb, bgr = picture(), picture()[:, :, ::-1]
    assert np.array_equal(load_image(bgr, color="bgr").image, rgb)
    assert np.array_equal(load_image(torch.from_numpy(bgr.copy()).permute(2, 0, 1), color="bgr").image, rgb)
    assert np.array_equal(load_image(np.dstack([bgr, bgr[:, :, 0]]), color="bgr").image, rgb)
    assert np.array_equal(load_image(Image.fromarray(rgb), color="bgr").image, rgb)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1)])
def test_grey_has_three_equal_channels(shape: tuple[int, ...]) -> None:
    grey = picture(1).reshape(shape)
    expected = np.repeat(picture(1), 3, axis=2)
    assert np.array_equal(load_image(grey).image, expected)
    assert np.array_equal(load_image(torch.from_numpy(picture(1)[:, :, 0])).image, expected)
    assert np.array_equal(load_image(torch.from_numpy(picture(1)).permute(2, 0, 1)).image, expected)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16"])
def test_modes_of_pillow_are_as_their_png_files(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(picture(1)[:, :, 0].astype(np.uint16) * 256 + 200)
    else:
        image = Image.fromarray(picture()).convert(mode)
    assert image.mode == mode
    path = tmp_path / "a.png"
    image.save(path)
    assert np.array_equal(load_image(image).image, read_image(path))
    assert np.array_equal(load_image(Image.open(path)).image, read_image(path))


def test_pillow_images_of_numbers() -> None:
    assert load_image(Image.new("I", (2, 2), 0x1234)).image.max() == 0x12
    assert load_image(Image.new("F", (2, 2), 1.0)).image.min() == 255
    with pytest.raises(ValueError, match="mode I must be uint8, uint16 or float"):
        load_image(Image.new("I", (2, 2), 70_000))


def test_exif_turns_pictures_alike(tmp_path: Path) -> None:
    path = with_orientation(tmp_path / "turned.jpg", 6)
    for way in (path, path.read_bytes(), Image.open(path)):
        assert load_image(way).image.shape == (32, 16, 3)
    assert load_image(Image.open(path)).source == str(path)


def test_read_only_arrays_and_an_array_that_is_not_copied() -> None:
    rgb = picture()
    assert np.shares_memory(load_image(rgb).image, rgb)
    rgb.flags.writeable = False
    assert np.array_equal(load_image(rgb).image, picture())


def test_a_name_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_image(tmp_path / "a.png", picture())
    assert load_image("~/a.png").source == str(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((0, 5, 3), np.uint8), ValueError, r"got \(0, 5, 3\)$"),
        (np.zeros((3, 5, 7), np.uint8), ValueError, r"did you mean image\.transpose\(1, 2, 0\)"),
        (torch.zeros(7, 5, 3), ValueError, r"got \(7, 5, 3\); did you mean image\.permute\(2, 0, 1\)"),
        (np.zeros((2, 7, 5, 3), np.uint8), ValueError, r"as a list: list\(images\)"),
        (np.zeros(5, np.uint8), ValueError, r"must be \(H, W\)"),
        (np.zeros((5, 5), np.int64), ValueError, "got int64"),
        (np.zeros((5, 5), bool), ValueError, "got bool"),
        (np.full((5, 5), 255.0), ValueError, "got 255 to 255; values from 0 to 255 are given as uint8"),
        (np.full((5, 5), np.nan), ValueError, "got nan to nan"),
        (torch.full((3, 5, 5), -0.5), ValueError, "a tensor of floats must have values from 0 to 1"),
        (None, TypeError, "not NoneType$"),
        (iter([picture()]), TypeError, r"not list_iterator; .*detector\.predict"),
        (b"", ImageReadError, "the bytes of an image: the file is empty"),
        (b"no image", ImageReadError, "is not an image that can be decoded"),
        ("nowhere.jpg", ImageReadError, r"^nowhere\.jpg"),
    ],
)
def test_what_is_no_image_says_what_is_wrong(bad: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_image(bad)


def test_a_cut_file_that_pillow_opened(tmp_path: Path) -> None:
    Image.fromarray(np.tile(picture(), (20, 20, 1))).save(tmp_path / "whole.jpg")
    path = tmp_path / "cut.jpg"
    path.write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with Image.open(path) as opened, pytest.raises(ImageReadError, match=r"cut\.jpg: cannot be decoded"):
        load_image(opened)


def test_errors_of_a_list_name_the_place() -> None:
    with pytest.raises(ValueError, match=r"^image 1: an array of floats"):
        list(load_images([picture(), np.full((5, 5), 9.0)]))


def test_items_of_an_iterable_are_found_one_by_one(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture())

    def endless() -> Any:
        yield picture()
        yield tmp_path
        yield tmp_path / "none.png"
        yield b"no image"
        while True:
            yield picture()

    items = open_items(endless())
    first, second, third, fourth, fifth = (next(items) for _ in range(5))
    assert isinstance(first, Frame)
    assert not isinstance(second, Frame | Unreadable)
    assert isinstance(third, Unreadable)
    assert "none.png" in third.reason
    assert (fourth, isinstance(fifth, Frame)) == (
        Unreadable("image 3", "the bytes of an image: is not an image that can be decoded", NO_IMAGE),
        True,
    )


PNG = cv2.imencode(".png", picture())[1].tobytes()


@pytest.mark.parametrize(
    "one", [picture(), torch.from_numpy(picture()).permute(2, 0, 1), Image.fromarray(picture()), PNG]
)
def test_one_image_is_a_source_of_one(one: Any) -> None:
    assert len(list(open_items(one))) == 1


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        open_items("nowhere.jpg")
    with pytest.raises(TypeError, match="not int"):
        open_items(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^image 1: "):
        list(open_items([picture(), np.zeros(5)]))


def test_text_with_an_address_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", picture())
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return (tmp_path / "a.png").read_bytes()

    monkeypatch.setattr("yolo.media.fetch.fetch_image", fetch)
    frame = load_image("HTTPS://host/a.png")
    assert np.array_equal(frame.image, picture())
    assert asked == ["HTTPS://host/a.png"]
    with pytest.raises(ImageReadError):  # only text is an address
        load_image(Path("https://host/a.png"))
    assert len(asked) == 1
