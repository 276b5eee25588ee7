"""From an image file to pixels placed on the network's input, decoding no more of it than that needs.

A JPEG that is much larger than the input is reduced while it is decoded. The reduced image is then treated as the
image: its last row and column may stand for less than the others, and boxes are divided by exactly the reduction,
so that boxes lie on their pixels.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolo.errors import ImageReadError
from yolo.geometry import ResizeMode, place_boxes, place_image, plan_resize
from yolo.images import decode_image, possible_reduction, read_bytes
from yolo.structures import AnnotatedImage, GroundTruth, ImageGeometry, ImageNote


class ImageFile:
    """One image file of a dataset, read at most once.

    Attributes:
        index: place in the dataset.
        path: of the file.
        size_hw: height and width that its image should have, EXIF applied.
    """

    def __init__(self, index: int, path: Path, size_hw: tuple[int, int]) -> None:
        self.index = index
        self.path = path
        self.size_hw = size_hw

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
        return read_bytes(self.path)


class PlacedImage(NamedTuple):
    """Pixels on the network's input, and what is needed to put boxes on them.

    Attributes:
        pixels: (input_h, input_w, 3), not to be written to.
        size_hw: height and width of the image in the file, EXIF applied.
        reduction: by how much it was reduced while it was decoded.
    """

    pixels: NDArray[Any]
    size_hw: tuple[int, int]
    reduction: int

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
    image = decode_image(file.data, name=str(file.path), reduction=reduction)
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
