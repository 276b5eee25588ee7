"""Placed images kept in memory, shared by all loader workers of this process. `disk_cache` keeps them in files."""

from __future__ import annotations

import mmap
import os
from multiprocessing import context, reduction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo.data.reading import ImageFile, PlacedImage

# per slot: time stamp and size of the file, height and width of its image, reduction; all 0 where nothing is kept
_NUM_FACTS = 5


class ImageCache(Protocol):
    """Keeps placed images of one dataset, one input and one resize."""

    def get(self, file: ImageFile) -> PlacedImage | None:
        """What was kept of that file, None if nothing was, or the file has changed; ImageReadError if it is gone."""

    def put(self, file: ImageFile, placed: PlacedImage) -> None:
        """Keep an image, if there is room."""


class MemoryCache:
    """Fixed-size slots for images of one size, filled when first read.

    The memory is an anonymous shared mapping: workers fill it for one another, and /dev/shm, which containers keep
    small, is not used. Where the system has no memory files, spawned workers start with an empty one each.

    Args:
        num_images: length of the dataset.
        size_hw: height and width of every image.
        limit_mb: only the first images that fit are kept.
    """

    def __init__(self, num_images: int, size_hw: tuple[int, int], *, limit_mb: int) -> None:
        height, width = size_hw
        num_slots = min(num_images, limit_mb * 1_000_000 // (height * width * 3 + 8 * _NUM_FACTS))
        memory = os.memfd_create("image-cache") if hasattr(os, "memfd_create") and num_slots else -1
        self._map(num_slots, size_hw, memory)

    def _map(self, num_slots: int, size_hw: tuple[int, int], memory: int) -> None:
        height, width = size_hw
        self.num_slots = num_slots
        self._size_hw = size_hw
        self._memory = memory
        if not num_slots:
            return
        facts_bytes = num_slots * 8 * _NUM_FACTS
        total = facts_bytes + num_slots * height * width * 3
        if memory >= 0:
            os.ftruncate(memory, total)
        buffer = mmap.mmap(memory, total)
        self._facts: NDArray[np.int64] = np.frombuffer(buffer, np.int64, num_slots * _NUM_FACTS).reshape(-1, _NUM_FACTS)
        self._images = np.frombuffer(buffer, np.uint8, offset=facts_bytes).reshape(num_slots, height, width, 3)

    def __del__(self) -> None:
        if getattr(self, "_memory", -1) >= 0:
            os.close(self._memory)

    def get(self, file: ImageFile) -> PlacedImage | None:
        """See `ImageCache`."""
        if file.index >= self.num_slots:
            return None
        changed, size, height, width, scale = self._facts[file.index].tolist()
        # scale is 0 where nothing is kept
        if not scale or (changed, size) != file.stamp:
            return None
        return PlacedImage(self._images[file.index], (height, width), scale)

    def put(self, file: ImageFile, placed: PlacedImage) -> None:
        """See `ImageCache`. Two workers that put the same image write the same bytes."""
        if file.index < self.num_slots:
            self._images[file.index] = placed.pixels
            self._facts[file.index] = (*file.stamp, *placed.size_hw, placed.reduction)

    def __reduce__(self) -> tuple[Any, ...]:
        # a process that is being spawned inherits the memory; any other copy is an empty cache
        spawning = self._memory >= 0 and context.get_spawning_popen() is not None
        return _rebuild, (self.num_slots, self._size_hw, reduction.DupFd(self._memory) if spawning else None)


def _rebuild(num_slots: int, size_hw: tuple[int, int], memory: Any) -> MemoryCache:
    height, width = size_hw
    if memory is None:
        # room for one more than the slots, against rounding; their number limits it
        return MemoryCache(
            num_slots, size_hw, limit_mb=num_slots * (height * width * 3 + 8 * _NUM_FACTS) // 1_000_000 + 1
        )
    cache = MemoryCache(0, size_hw, limit_mb=0)
    cache._map(num_slots, size_hw, memory.detach())
    return cache
