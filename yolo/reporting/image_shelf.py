"""Images of a table for pages: read when asked for, reduced, a few of them kept; what cannot be read is counted.

Boxes speak of pixels of the image with its EXIF orientation applied and of the size that the table states; where the
file has another size (a gallery of smaller copies) they are scaled, and a note says so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo.detection_sets import ImageTable
from yolo.errors import ImageReadError
from yolo.images import read_size
from yolo.media.crops import Box, Decoded, cut, decode_reduced, fit, ordered, view_around

_LEAST_VIEW = 32.0  # pixels of the image: less would be a blot of colours
_MOST_ENLARGED = 16.0
_MOST_NEEDED = 6000.0  # pixels of the longer side: larger images are always decoded reduced
_CACHED_BYTES = 96_000_000
_MOST_EXAMPLES = 5
_OTHER_ASPECT = 0.03


@dataclass(frozen=True)
class MissingImages:
    """Images that could not be shown.

    Attributes:
        count: how many.
        examples: at most five, `id: reason`.
    """

    count: int
    examples: tuple[str, ...]


class ImageShelf:
    """Decoded images by their place in a table, a few of them kept; remembers what could not be read.

    Args:
        images: the table.
    """

    def __init__(self, images: ImageTable) -> None:
        self._images = images
        self._missing: dict[int, str] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._kept: OrderedDict[int, tuple[float, Decoded]] = OrderedDict()
        self._resized: set[int] = set()
        self._distorted: set[int] = set()

    @property
    def missing(self) -> MissingImages:
        """Images that were asked for and could not be read."""
        examples = [f"{self._images.image_ids[place]}: {why}" for place, why in self._missing.items()]
        return MissingImages(len(examples), tuple(examples[:_MOST_EXAMPLES]))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know about the pictures, one sentence each."""
        return tuple(
            f"{len(places)} of the images shown {words} (such as {self._images.image_ids[min(places)]})."
            for places, words in (
                (self._resized, "have another size than the annotations state; boxes were scaled to them"),
                (
                    self._distorted,
                    "have another aspect than the annotations state, perhaps because of EXIF orientation or because "
                    "they are other images; boxes may lie in the wrong place",
                ),
            )
            if places
        )

    def size_hw(self, place: int) -> tuple[int, int] | None:
        """Height and width of the file of an image, None if it cannot be read."""
        if place in self._missing:
            return None
        if place not in self._sizes:
            try:
                self._sizes[place] = _readable_size(self._images.paths[place])
            except ImageReadError as error:
                self._missing[place] = str(error)
                return None
        return self._sizes[place]

    def box_scale(self, place: int, size_hw: tuple[int, int]) -> tuple[float, float]:
        """By how much boxes are scaled, x and y, to lie on the file of an image."""
        stated_h, stated_w = (int(side) for side in self._images.sizes_hw[place])
        if stated_h <= 0 or stated_w <= 0 or (stated_h, stated_w) == size_hw:
            return 1.0, 1.0
        x, y = size_hw[1] / stated_w, size_hw[0] / stated_h
        (self._distorted if abs(x / y - 1) > _OTHER_ASPECT else self._resized).add(place)
        return x, y

    def read(self, place: int, needed: float) -> Decoded | None:
        """The image, its longer side not reduced below `needed` pixels; None if it cannot be read."""
        kept = self._kept.get(place)
        if kept is not None and kept[0] >= needed:
            self._kept.move_to_end(place)
            return kept[1]
        try:
            decoded = decode_reduced(Path(self._images.paths[place]), needed=needed)
        except (ImageReadError, MemoryError) as error:
            self._missing[place] = str(error) or "there is not enough memory to decode it"
            return None
        self._kept[place] = (needed, decoded)
        self._kept.move_to_end(place)
        while len(self._kept) > 1 and sum(one.image.nbytes for _, one in self._kept.values()) > _CACHED_BYTES:
            self._kept.popitem(last=False)
        return decoded


def _readable_size(path: str) -> tuple[int, int]:
    """Height and width of a file, both at least 1; ImageReadError if there is none that can be read."""
    if not path:
        raise ImageReadError("no image file is known")
    size_hw = read_size(Path(path))
    if min(size_hw) < 1:
        raise ImageReadError(f"{path}: states a size of {size_hw[1]} x {size_hw[0]} pixels")
    return size_hw


@dataclass(frozen=True)
class Placed:
    """A part of an image at the size of the page, and how boxes get onto it.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        origin: upper left corner of the part, x and y in pixels of the file.
        factor: pixels of the picture for one of the file.
        box_scale: pixels of the file, x and y, for one that the annotation speaks of.
    """

    picture: NDArray[np.uint8]
    origin: tuple[float, float]
    factor: float
    box_scale: tuple[float, float]

    def box(self, box: Sequence[float]) -> Box:
        """Where a box of the annotation's pixels is on the picture."""
        x1, y1, x2, y2 = ordered(box, self.box_scale)
        (x, y), by = self.origin, self.factor
        return (x1 - x) * by, (y1 - y) * by, (x2 - x) * by, (y2 - y) * by


def place_boxes(
    shelf: ImageShelf, image: int, boxes: Sequence[Sequence[float]], *, share: float, side: int
) -> Placed | None:
    """The part of an image where some boxes are; None if the image cannot be read.

    Args:
        shelf: has the image.
        image: its place.
        boxes: xyxy in the pixels that the annotation speaks of, finite.
        share: of the part's side that the boxes take, see `view_around`.
        side: longer side of the picture in pixels.
    """
    size_hw = shelf.size_hw(image)
    if size_hw is None:
        return None
    scale = shelf.box_scale(image, size_hw)
    view = view_around([ordered(box, scale) for box in boxes], size_hw, share=share, least=_LEAST_VIEW)
    shown = max(view[2] - view[0], view[3] - view[1])
    decoded = shelf.read(image, min(side * max(size_hw) / shown, _MOST_NEEDED))
    if decoded is None:
        return None
    x1, y1, x2, y2 = (round(value * decoded.scale) for value in view)
    picture, factor = fit(cut(decoded.image, (x1, y1, x2, y2)), side, most=_MOST_ENLARGED)
    return Placed(picture, (x1 / decoded.scale, y1 / decoded.scale), factor * decoded.scale, scale)
