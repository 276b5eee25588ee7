"""Decoded images kept in memory, shared by all loader workers of this process."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ImageCache:
    """Fixed-size slots for images of one size, filled when first read.

    The memory is an anonymous shared mapping: forked workers fill it for one another, and /dev/shm, which
    containers keep small, is not used. Where workers are spawned instead, each starts with an empty one.

    Args:
        num_images: length of the dataset.
        size_hw: height and width of every image.
        limit_mb: only the first images that fit are kept.
    """

    def __init__(self, num_images: int, size_hw: tuple[int, int], *, limit_mb: int) -> None:
        height, width = size_hw
        self._arguments = (num_images, size_hw, limit_mb)
        self.num_slots = min(num_images, limit_mb * 1_000_000 // (height * width * 3))
        if self.num_slots:
            buffer = mmap.mmap(-1, self.num_slots * (height * width * 3 + 1))
            flat = np.frombuffer(buffer, np.uint8)
            self._filled = flat[: self.num_slots]
            self._images = flat[self.num_slots :].reshape(self.num_slots, height, width, 3)

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """The image of that index, not to be written to, or None if it was not put."""
        return self._images[index] if index < self.num_slots and self._filled[index] else None

    def put(self, index: int, image: NDArray[np.uint8]) -> None:
        """Keep an image if it has a slot. Two workers that put the same image write the same bytes."""
        if index < self.num_slots:
            self._images[index] = image
            self._filled[index] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._arguments


def _rebuild(num_images: int, size_hw: tuple[int, int], limit_mb: int) -> ImageCache:
    return ImageCache(num_images, size_hw, limit_mb=limit_mb)
