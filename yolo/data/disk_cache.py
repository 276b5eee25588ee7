"""Placed images kept in files, for the next training on the same images as well.

A file is named after the content of the image file and after everything else that its pixels depend on: an image
that has changed has another name, and never comes out of the cache as it was. Several processes may use one folder.
Left out: caching beside the images; datasets are never written to.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import cv2
import numpy as np

from yolo.data.reading import ImageFile, PlacedImage
from yolo.files import atomic_write
from yolo.geometry import ResizeMode

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
        digest = hashlib.blake2b(f"{self._settings} {file.size_hw} ".encode(), digest_size=20)
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
