"""Image files for the tests of the check."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from yolo.arrays import UInt8


def scene(seed: int = 0, *, size_hw: tuple[int, int] = (120, 160)) -> UInt8:
    """Smooth blobs: like a photo in that its low frequencies are strong."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_CUBIC), np.uint8)


def save(path: Path, image: Any, **options: Any) -> Path:
    """Write an array; the suffix chooses the format."""
    Image.fromarray(image).save(path, **options)
    return path


def jpeg(image: UInt8, **options: Any) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def damaged(data: bytes, count: int = 100) -> bytes:
    """The bytes of a file with zeros in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes(count) + data[middle + count :]


def with_orientation(value: int) -> Image.Exif:
    """EXIF for `save`."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif
