"""From an image file to pixels placed on the network's input, kept in memory or on disk for the next epoch.

A JPEG that is much larger than the input is reduced while it is decoded. The reduced image is then treated as the
image: its last row and column may stand for less than the others, and boxes are divided by exactly the reduction,
so that boxes lie on their pixels.

The cache in memory is shared by all loader workers of a process. A file of the cache on disk is named after the content
of the image file and everything else that its pixels depend on: an image that has changed gets another name. Several
processes may use one folder. Left out: caching beside the images; datasets are never written to.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import context, reduction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from yolo.errors import ImageReadError
from yolo.files import atomic_write, read_bytes
from yolo.geometry import ResizeMode, place_boxes, place_image, plan_resize
from yolo.images import FULL_DEPTH, decode_image, possible_reduction
from yolo.structures import AnnotatedImage, GroundTruth, ImageGeometry, ImageNote


@dataclass(eq=False)
class ImageFile:
    """One image file of a dataset, read at most once: its place there, and the size it should have, EXIF applied."""

    index: int
    path: Path
    size_hw: tuple[int, int]
    bit_depth: int = FULL_DEPTH  # of 16-bit samples

    @cached_property
    def stamp(self) -> tuple[int, int]:
        """When it was changed last, in nanoseconds, and its size; ImageReadError if there is no such file."""
        try:
            state = self.path.stat()
        except OSError as error:
            raise ImageReadError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        return state.st_mtime_ns, state.st_size

    @cached_property
    def data(self) -> bytes:
        """Its bytes; ImageReadError if it cannot be read."""
        return read_bytes(self.path, error=ImageReadError)


class PlacedImage(NamedTuple):
    """Pixels on the network's input, and what is needed to put boxes on them."""

    pixels: NDArray[Any]  # (input_h, input_w, 3), not to be written to
    size_hw: tuple[int, int]  # of the image in the file, EXIF applied
    reduction: int  # by how much it was reduced while it was decoded

    def geometry(self, resize: ResizeMode) -> ImageGeometry:
        """How the decoded image was placed; of the image in the file where it was not reduced."""
        height, width, _ = self.pixels.shape
        return plan_resize(_reduced(self.size_hw, self.reduction), (height, width), resize)

    def place(self, ground_truth: GroundTruth, resize: ResizeMode) -> GroundTruth:
        """Boxes on the pixels, from boxes in pixels of the image in the file."""
        if self.reduction > 1:
            ground_truth = ground_truth.with_boxes(ground_truth.boxes / np.float32(self.reduction))
        return place_boxes(ground_truth, self.geometry(resize))


def read_placed(file: ImageFile, input_hw: tuple[int, int], resize: ResizeMode, *, may_reduce: bool) -> PlacedImage:
    """Decode a file and place it on an input.

    Args:
        file: the file.
        input_hw: height and width of the input.
        resize: how images are placed on it.
        may_reduce: decode a large JPEG to a smaller size, but to no less than it has on the input.

    Raises:
        ImageReadError: the file cannot be read.
    """
    size_hw = file.size_hw
    wanted = plan_resize(size_hw, input_hw, resize)
    needed = tuple(round(side * scale) for side, scale in zip(size_hw, wanted.scale_xy[::-1], strict=True))
    reduction = possible_reduction(file.data, size_hw, (needed[0], needed[1])) if may_reduce else 1
    image = decode_image(file.data, name=str(file.path), reduction=reduction, bit_depth=file.bit_depth)
    if reduction > 1 and image.shape[:2] != _reduced(size_hw, reduction):
        # EXIF turns it otherwise than was thought
        reduction, image = 1, decode_image(file.data, name=str(file.path))
    real_hw = size_hw if reduction > 1 else (image.shape[0], image.shape[1])
    geometry = plan_resize((image.shape[0], image.shape[1]), input_hw, resize)
    return PlacedImage(place_image(image, geometry, resize), real_hw, reduction)


def fit_to_size(annotated: AnnotatedImage, size_hw: tuple[int, int]) -> tuple[GroundTruth, ImageNote | None]:
    """The ground truth for an image as it is, with a note where it has another size than was annotated.

    Boxes are cut to the image, and what is wholly outside goes.
    """
    ground_truth = annotated.ground_truth
    if size_hw == annotated.size_hw:
        return ground_truth, None
    height, width = size_hw
    clipped = np.clip(ground_truth.boxes, 0, np.array((width, height, width, height), np.float32))
    fitting = ground_truth.with_boxes(clipped)[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]
    text = (
        f"{annotated.path}: is {width} x {height} pixels, its annotation says "
        f"{annotated.size_hw[1]} x {annotated.size_hw[0]}; the file's size is used, and "
        f"{len(ground_truth) - len(fitting)} of {len(ground_truth)} objects lie outside and are left out"
    )
    return fitting, ImageNote(str(annotated.path), text)


def _reduced(size_hw: tuple[int, int], reduction: int) -> tuple[int, int]:
    height, width = size_hw
    return -(-height // reduction), -(-width // reduction)


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
        num_slots = min(num_images, limit_mb * 1_000_000 // _slot_of(size_hw).itemsize)
        self._map(num_slots, size_hw, _make_memory(num_slots))

    def _map(self, num_slots: int, size_hw: tuple[int, int], memory: int) -> None:
        self.num_slots = num_slots
        self._size_hw = size_hw
        self._memory = memory
        slot = _slot_of(size_hw)
        if num_slots and memory >= 0:
            os.ftruncate(memory, num_slots * slot.itemsize)
        buffer = mmap.mmap(memory, num_slots * slot.itemsize) if num_slots else None
        self._slots: NDArray[Any] = np.ndarray(num_slots, slot, buffer)

    def __del__(self) -> None:
        if getattr(self, "_memory", -1) >= 0:
            os.close(self._memory)

    def get(self, file: ImageFile) -> PlacedImage | None:
        """See `ImageCache`."""
        if file.index >= self.num_slots:
            return None
        changed, size, height, width, reduction = self._slots["facts"][file.index].tolist()
        if not reduction or (changed, size) != file.stamp:
            return None
        return PlacedImage(self._slots["pixels"][file.index], (height, width), reduction)

    def put(self, file: ImageFile, placed: PlacedImage) -> None:
        """See `ImageCache`. Two workers that put the same image write the same bytes."""
        if file.index < self.num_slots:
            self._slots["pixels"][file.index] = placed.pixels
            self._slots["facts"][file.index] = (*file.stamp, *placed.size_hw, placed.reduction)

    def __reduce__(self) -> tuple[Any, ...]:
        # a process that is being spawned inherits the memory; any other copy is an empty cache
        spawning = self._memory >= 0 and context.get_spawning_popen() is not None
        return _rebuild, (self.num_slots, self._size_hw, reduction.DupFd(self._memory) if spawning else None)


def _slot_of(size_hw: tuple[int, int]) -> np.dtype[Any]:
    """Time stamp and size of a file, height and width of its image, reduction, all 0 where nothing is kept; pixels."""
    return np.dtype([("facts", np.int64, 5), ("pixels", np.uint8, (*size_hw, 3))])


def _make_memory(num_slots: int) -> int:
    """A file in memory, -1 where there is no such thing or nothing to keep."""
    return os.memfd_create("image-cache") if hasattr(os, "memfd_create") and num_slots else -1


def _rebuild(num_slots: int, size_hw: tuple[int, int], memory: Any) -> MemoryCache:
    cache = MemoryCache.__new__(MemoryCache)
    cache._map(num_slots, size_hw, _make_memory(num_slots) if memory is None else memory.detach())
    return cache


_SUFFIX = ".placed"
_HEADER = np.dtype([("check", "<u4"), ("height", "<u4"), ("width", "<u4"), ("reduction", "<u4")])
# The folder is measured again whenever this share of its limit was written, and emptied down to _TRIMMED of it.
_WRITTEN, _TRIMMED = 1 / 32, 0.9


class DiskCache:
    """A bounded folder of placed images; the oldest files go first.

    For a moment the folder may hold 1/32 of the limit more, for each process that writes to it.

    Args:
        folder: where; made when first written to. Only files of the cache in it are ever removed.
        input_hw: height and width of the placed images.
        resize: how they are placed.
        may_reduce: whether they are decoded to a smaller size.
        limit_mb: the most that the folder may hold.
    """

    def __init__(
        self, folder: Path, input_hw: tuple[int, int], resize: ResizeMode, *, may_reduce: bool, limit_mb: int
    ) -> None:
        self.folder = folder / "images"
        self._input_hw = input_hw
        self._settings = f"1 {input_hw} {resize} {may_reduce} {cv2.__version__}"
        self._limit = limit_mb * 1_000_000
        self._written_since = self._limit  # measured at the first chance
        self._can_write = True

    def get(self, file: ImageFile) -> PlacedImage | None:
        """See `ImageCache`; a damaged file counts as absent."""
        try:
            content = self._path(file).read_bytes()
        except OSError:  # absent, or removed by another process: decode the image
            return None
        height, width = self._input_hw
        if len(content) != _HEADER.itemsize + height * width * 3:
            return None
        check, *facts = np.frombuffer(content, _HEADER, 1)[0].tolist()
        if check != zlib.crc32(memoryview(content)[4:]):
            return None
        # a copy, because torch warns of arrays that cannot be written to
        pixels = np.frombuffer(content, np.uint8, offset=_HEADER.itemsize).reshape(height, width, 3).copy()
        return PlacedImage(pixels, (facts[0], facts[1]), facts[2])

    def put(self, file: ImageFile, placed: PlacedImage) -> None:
        """See `ImageCache`; after a disk has turned out to be full or not writable, nothing more is kept."""
        header = np.zeros(1, _HEADER)
        header[0] = (0, *placed.size_hw, placed.reduction)
        content = header.tobytes()[4:] + placed.pixels.tobytes()
        path = self._path(file)
        if not self._can_write or len(content) + 4 > self._limit * _WRITTEN:
            return
        try:
            if self._written_since + len(content) > self._limit * _WRITTEN:
                self._trim()
            with atomic_write(path) as temporary:
                temporary.write_bytes(zlib.crc32(content).to_bytes(4, "little") + content)
        except OSError:
            # the training needs no cache: it goes on without
            self._can_write = False
            return
        self._written_since += len(content)

    def _path(self, file: ImageFile) -> Path:
        digest = hashlib.blake2b(f"{self._settings} {file.size_hw} {file.bit_depth} ".encode(), digest_size=20)
        digest.update(file.data)
        name = digest.hexdigest()
        return self.folder / name[:2] / (name[2:] + _SUFFIX)

    def _trim(self) -> None:
        """Remove the oldest files if the next ones could exceed the limit."""
        self._written_since = 0
        kept = []
        for path in self.folder.glob(f"??/*{_SUFFIX}"):
            try:
                state = path.stat()
            except FileNotFoundError:  # another process has just removed it
                continue
            kept.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in kept)
        if total <= self._limit * (1 - _WRITTEN):
            return
        for _, size, path in sorted(kept, key=lambda one: one[0]):
            path.unlink(missing_ok=True)
            total -= size
            if total <= self._limit * _TRIMMED:
                return


def default_cache_dir() -> Path:
    """Where caches of this user belong: $XDG_CACHE_HOME/gridyolo or ~/.cache/gridyolo."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "gridyolo"
