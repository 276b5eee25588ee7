"""What users of Python call an image, as the (H, W, 3) uint8 RGB that detectors take.

The same picture gives the same pixels however it is given: as a path, an address, an open file, its bytes, a Pillow
image, an array or a tensor. Grey becomes RGB, alpha is dropped, 16 bits become 8 and EXIF orientation is applied, all
as `read_image` does it. Left out: sources of many images (`yolo.media.sources`).
"""

from __future__ import annotations

import warnings
from collections.abc import Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from yolo.config.predict import ColorOrder
from yolo.errors import DataError, ImageReadError, printable
from yolo.files import expand_home, read_bytes
from yolo.http import is_web_address, shown_address
from yolo.images import FULL_DEPTH, decode, to_bytes
from yolo.media.items import Frame, Item, Unreadable

if TYPE_CHECKING:
    from yolo.media.sources import Source

ImageInput = str | Path | bytes | BinaryIO | Image.Image | NDArray[Any] | Tensor

_ACCEPTED = "a path, an http(s) address, bytes, an open file, a Pillow image, a NumPy array or a tensor"
_ALPHA = 4  # channels of RGBA
# of Pillow's modes those with numbers beyond a byte: kept for the rules of arrays
_WIDE_MODES = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})


def is_batch(image: object) -> bool:
    """True for what stands for several images: lists, tuples, and tensors of four dimensions."""
    return isinstance(image, list | tuple) or (isinstance(image, Tensor) and image.ndim == 4)


@contextmanager
def _naming(place: int) -> Iterator[None]:
    """Let errors about one image of several say which one it is."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"image {place}: {error}") from error
    except ValueError as error:
        raise ValueError(f"image {place}: {error}") from error


def load_images(images: Any, *, color: ColorOrder = "rgb", bit_depth: int = FULL_DEPTH) -> Iterator[Frame]:
    """Each image of a batch, see `is_batch`; errors name its place in it."""
    for place, image in enumerate(images):
        with _naming(place):
            frame = load_image(image, color=color, bit_depth=bit_depth)
        yield frame


def open_items(
    source: str | Path | Iterable[ImageInput], *, color: ColorOrder = "rgb", bit_depth: int = FULL_DEPTH
) -> Generator[Item]:
    """What `detect_items` takes, of a source or of an iterable of sources and images.

    Raises:
        DataError: at once, where a single source cannot be opened; others that cannot are passed on as `Unreadable`.
    """
    if isinstance(source, str | Path):
        return _opened(source)
    is_one = isinstance(source, bytes | bytearray | memoryview | Image.Image) or _is_file(source)
    if is_one or getattr(source, "ndim", 0) in (2, 3):
        source = [source]  # type: ignore[list-item]  # what has three dimensions is one image
    elif not isinstance(source, Iterable):
        raise TypeError(f"a source is a path, an address or an iterable of images, not {type(source).__name__}")
    return _each_of(source, color, bit_depth)


def _opened(source: str | Path) -> Generator[Item]:
    # programs that pass arrays need nothing of folders, archives and streams
    from yolo.media.sources import open_source

    return _all_of(open_source(source))


def _all_of(source: Source) -> Generator[Item]:
    with source:
        yield from source
    for note in source.notes():
        warnings.warn(note, stacklevel=2)


def _each_of(sources: Iterable[ImageInput], color: ColorOrder, bit_depth: int) -> Generator[Item]:
    for place, source in enumerate(sources):
        if not isinstance(source, str | Path):
            item: Item
            try:
                with _naming(place):
                    item = load_image(source, color=color, bit_depth=bit_depth)
            except ImageReadError as error:
                item = Unreadable.of(f"image {place}", error)
            yield item
            continue
        try:
            yield from _opened(source)
        except DataError as error:
            yield Unreadable.of(str(source), error)


def load_image(image: ImageInput, *, color: ColorOrder = "rgb", bit_depth: int = FULL_DEPTH) -> Frame:
    """Read or convert one image.

    Args:
        image: one of
            path of an image file;
            text that begins with http:// or https://: the image is fetched from there;
            bytes of an image file;
            file or buffer opened for reading bytes, which is read from its start where it can be rewound;
            Pillow image of any mode;
            array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4);
            tensor (H, W), (1, H, W), (3, H, W) or (4, H, W), on any device.
            Arrays and tensors are uint8, uint16 (of which the upper eight of `bit_depth` bits are taken), or floats
            from 0 to 1.
        color: order of the channels of arrays and tensors.
        bit_depth: bits that the samples of 16-bit files and arrays use.

    Returns:
        The image with its path or address, if it has one. An RGB array of bytes is not copied.

    Raises:
        ImageReadError: a file that cannot be read.
        DataError: an address that gives no file.
        ValueError: an array or tensor of another shape, type or range.
        TypeError: anything else.
    """
    if isinstance(image, str) and is_web_address(image):
        # what reads videos and streams is imported where it is asked for
        from yolo.media.fetch import fetch_image

        name = shown_address(image)
        return _decoded(fetch_image(image), name, name, bit_depth)
    if isinstance(image, str | Path):
        path = expand_home(image)
        return _decoded(read_bytes(path, error=ImageReadError), str(path), str(path), bit_depth)
    if isinstance(image, bytes | bytearray | memoryview):
        return _decoded(bytes(image), "the bytes of an image", "", bit_depth)
    if _is_file(image):
        return _from_file(image, bit_depth)
    if isinstance(image, Image.Image):
        return _from_pillow(image, bit_depth)
    if isinstance(image, Tensor):
        values = _channels_last(image)
        pixels = _as_rgb(values, color, what="a tensor", channels_first=True, bit_depth=bit_depth)
        return Frame(pixels, source="", largest=_largest(values))
    if isinstance(image, np.ndarray):
        return Frame(_as_rgb(image, color, what="an array", bit_depth=bit_depth), source="", largest=_largest(image))
    raise TypeError(f"an image is {_ACCEPTED}, not {type(image).__name__}{_hint(image)}")


def _decoded(data: bytes, name: str, source: str, bit_depth: int) -> Frame:
    decoded = decode(data, name=name, bit_depth=bit_depth)
    return Frame(decoded.pixels, source=source, largest=decoded.largest)


def _largest(values: NDArray[Any]) -> int | None:
    """The largest sample of an image of 16 bits; None for others."""
    return int(values.max()) if values.dtype.kind == "u" and values.dtype.itemsize == 2 else None


def _hint(value: object) -> str:
    if hasattr(value, "__iter__"):
        return "; several images are a list or a tuple of those, and detector.predict takes them one by one"
    return ""


def _is_file(value: object) -> TypeGuard[BinaryIO]:
    """True for what can be read like a file, such as an upload or io.BytesIO; Pillow's images cannot."""
    return callable(getattr(value, "read", None)) and not isinstance(value, np.ndarray | Tensor | Image.Image)


def _from_file(file: BinaryIO, bit_depth: int) -> Frame:
    """The image in a file, also of a buffer that was just written and stands at its end."""
    name = getattr(file, "name", "")
    source = printable(name) if isinstance(name, str) else ""  # the name of a pipe is its number
    seekable = getattr(file, "seekable", None)
    if callable(seekable) and seekable():
        file.seek(0)
    data: Any = file.read()
    if not isinstance(data, bytes | bytearray):
        if isinstance(data, Coroutine):  # an upload of an asynchronous web framework
            data.close()
            raise TypeError("this file is read asynchronously: pass its bytes, detector(await file.read())")
        raise TypeError(f'a file must give bytes, and this one gives {type(data).__name__}: open it with mode "rb"')
    return _decoded(bytes(data), source or "an open file", source, bit_depth)


def _from_pillow(image: Image.Image, bit_depth: int) -> Frame:
    source, largest = str(getattr(image, "filename", "") or ""), None
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _WIDE_MODES:
            values = np.asarray(upright)
            if upright.mode == "I" and values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max:
                values = values.astype(np.uint16)  # how Pillow opens some files of 16 bits
            pixels = _as_rgb(values, "rgb", what=f"a Pillow image of mode {upright.mode}", bit_depth=bit_depth)
            largest = _largest(values)
        else:
            pixels = np.ascontiguousarray(upright.convert("RGB"), np.uint8)
    except OSError as error:  # it is decoded only now
        raise ImageReadError(f"{source or 'a Pillow image'}: cannot be decoded ({error})") from error
    return Frame(pixels, source=source, largest=largest)


def _channels_last(image: Tensor) -> NDArray[Any]:
    """The values of a tensor (C, H, W) or (H, W) as an array (H, W, C) or (H, W)."""
    values = image.detach()
    if values.dtype in (torch.bfloat16, torch.float16):  # NumPy has no bfloat16
        values = values.float()
    array: NDArray[Any] = values.cpu().numpy()
    return array.transpose(1, 2, 0) if array.ndim == 3 else array


def _as_rgb(
    image: NDArray[Any], color: ColorOrder, *, what: str, bit_depth: int, channels_first: bool = False
) -> NDArray[np.uint8]:
    """An array (H, W) or (H, W, C) of any accepted type as (H, W, 3) uint8 RGB, contiguous."""
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, _ALPHA) or 0 in image.shape:
        shape = (*image.shape[2:], *image.shape[:2]) if channels_first else image.shape
        wanted = "(H, W), or (C, H, W)" if channels_first else "(H, W), or (H, W, C)"
        raise ValueError(f"{what} must be {wanted} with C 1, 3 or 4, got {shape}{_other_order(shape, channels_first)}")
    values = _as_bytes(image, what, bit_depth)[:, :, :3]
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    elif color == "bgr":
        values = values[:, :, ::-1]
    return np.ascontiguousarray(values)


def _other_order(shape: tuple[int, ...], channels_first: bool) -> str:
    """A hint for what has its channels where the other kind has them, and for several images."""
    if len(shape) == 4:
        return "; several images are given as a list: list(images)"
    place, remedy = (-1, "image.permute(2, 0, 1)") if channels_first else (0, "image.transpose(1, 2, 0)")
    return f"; did you mean {remedy}?" if len(shape) == 3 and shape[place] in (1, 3, _ALPHA) else ""


def _as_bytes(image: NDArray[Any], what: str, bit_depth: int) -> NDArray[np.uint8]:
    """Values of 0..255 from those of any accepted type."""
    if image.dtype == np.uint8:
        return np.asarray(image, np.uint8)
    if image.dtype.kind == "u" and image.dtype.itemsize == 2:  # of either byte order
        return to_bytes(image, 2**bit_depth - 1)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"{what} must be uint8, uint16 or float, got {image.dtype}; convert it with .astype('uint8')")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ValueError(
            f"{what} of floats must have values from 0 to 1, got {low:g} to {high:g}; "
            "values from 0 to 255 are given as uint8"
        )
    return np.asarray(np.rint(image * 255), np.uint8)
