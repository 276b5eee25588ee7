"""Detections and objects of many images as flat columns: what is evaluated, analysed, reported.

`structures` has the types of one image, for networks and pictures; these have float64, because the numbers of an
evaluation have to be those that other tools get from the same files. Left out: everything that is computed of them.

Shape letters: K detections and M objects of all images, n images, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Float64, Int32, Int64


@dataclass(frozen=True, slots=True, eq=False)
class DetectionSet:
    """Detections of all images. Their order decides on equal scores: the earlier one goes first."""

    boxes: Float64  # (K, 4) xyxy in pixels of the image
    sizes_wh: Float64  # (K, 2) width and height; COCO's files state them, and x2 - x1 can differ in its last bit
    scores: Float64  # (K,) finite
    labels: Int64  # (K,) 0-based class index
    image_index: Int64  # (K,) place of the image in the `ImageTable`

    def __post_init__(self) -> None:
        _check_columns(self, len(self.scores))

    @classmethod
    def from_xyxy(cls, boxes: Any, scores: Any, labels: Any, image_index: Any) -> Self:
        """From corners, anything array-like."""
        boxes = _floats(boxes, 4)
        return cls(boxes, boxes[:, 2:] - boxes[:, :2], _floats(scores), _integers(labels), _integers(image_index))

    @classmethod
    def from_xywh(cls, boxes_xywh: Any, scores: Any, labels: Any, image_index: Any) -> Self:
        """From left, top, width, height, anything array-like."""
        boxes, sizes_wh = _corners_and_sizes(boxes_xywh)
        return cls(boxes, sizes_wh, _floats(scores), _integers(labels), _integers(image_index))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> DetectionSet:
        """Select by mask, slice or index array; order follows the index."""
        return DetectionSet(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class TruthSet:
    """Annotated objects of all images."""

    boxes: Float64  # (M, 4) xyxy in pixels of the image
    sizes_wh: Float64  # (M, 2) width and height, see `DetectionSet`
    labels: Int64  # (M,) 0-based class index
    image_index: Int64  # (M,) place of the image in the `ImageTable`
    iscrowd: Bool  # (M,) COCO's flag
    difficult: Bool  # (M,) Pascal VOC's flag, and `ignore` of some COCO files
    area: Float64  # (M,) pixels²: what the annotation states, else that of the box

    def __post_init__(self) -> None:
        _check_columns(self, len(self.labels))

    @classmethod
    def from_xyxy(
        cls, boxes: Any, labels: Any, image_index: Any, *, sizes_wh: Any = None,
        iscrowd: Any = None, difficult: Any = None, area: Any = None,
    ) -> Self:  # fmt: skip
        """From corners, anything array-like; absent flags are False, an absent size or area is the box's own."""
        boxes = _floats(boxes, 4)
        sizes_wh = boxes[:, 2:] - boxes[:, :2] if sizes_wh is None else sizes_wh
        iscrowd, difficult = (
            np.zeros(len(boxes), bool) if flags is None else np.asarray(flags, bool) for flags in (iscrowd, difficult)
        )
        area = sizes_wh[:, 0] * sizes_wh[:, 1] if area is None else _floats(area)
        return cls(boxes, sizes_wh, _integers(labels), _integers(image_index), iscrowd, difficult, area)

    @classmethod
    def from_xywh(cls, boxes_xywh: Any, labels: Any, image_index: Any, **flags_and_area: Any) -> Self:
        """From left, top, width, height; as `from_xyxy` otherwise."""
        boxes, sizes_wh = _corners_and_sizes(boxes_xywh)
        return cls.from_xyxy(boxes, labels, image_index, sizes_wh=sizes_wh, **flags_and_area)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> TruthSet:
        """Select by mask, slice or index array; order follows the index."""
        return TruthSet(*(getattr(self, field.name)[index] for field in fields(self)))

    @property
    def reusable(self) -> Bool:
        """(M,) crowd regions and difficult objects: need not be found, and may be taken by many detections."""
        return self.iscrowd | self.difficult


@dataclass(frozen=True, slots=True, eq=False)
class ImageTable:
    """The n images under evaluation, with or without anything on them."""

    image_ids: Sequence[str]  # n, each once
    paths: Sequence[str]  # n image files; "" where unknown
    sizes_hw: Int32  # (n, 2) height and width in pixels; 0 where unknown

    def __post_init__(self) -> None:
        count = len(self.image_ids)
        if len(self.paths) != count or self.sizes_hw.shape != (count, 2):
            raise ValueError(f"expected {count} paths and ({count}, 2) sizes")

    @classmethod
    def of_ids(cls, image_ids: Sequence[str]) -> ImageTable:
        """Images of which nothing but the id is known."""
        return cls(image_ids, [""] * len(image_ids), np.zeros((len(image_ids), 2), np.int32))

    def __len__(self) -> int:
        return len(self.image_ids)

    def select(self, image_ids: Sequence[str]) -> ImageTable:
        """The images with these ids, in their order.

        Raises:
            ValueError: an id that is not in the table.
        """
        place = {image_id: index for index, image_id in enumerate(self.image_ids)}
        if missing := [image_id for image_id in image_ids if image_id not in place]:
            raise ValueError(f"{len(missing)} evaluated images are not in the table of images, such as {missing[0]!r}")
        chosen = [place[image_id] for image_id in image_ids]
        sizes_hw = self.sizes_hw[np.array(chosen, np.int64)]
        return ImageTable(image_ids, [self.paths[index] for index in chosen], sizes_hw)


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationData:
    """Everything that an evaluation is about."""

    images: ImageTable  # n
    class_names: tuple[str, ...]  # C
    truths: TruthSet  # M objects
    detections: DetectionSet  # K, all that the detector gave

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)


def xyxy_to_xywh(boxes: NDArray[Any]) -> Float64:
    """(..., 4) corners to left, top, width, height in float64.

    >>> xyxy_to_xywh(np.array([1, 2, 4, 8], np.float32)).tolist()
    [1.0, 2.0, 3.0, 6.0]
    """
    corners = boxes.astype(np.float64)
    return np.concatenate((corners[..., :2], corners[..., 2:] - corners[..., :2]), axis=-1)


def _corners_and_sizes(boxes_xywh: Any) -> tuple[Float64, Float64]:
    """(K, 4) xyxy and (K, 2) width and height of (K, 4) left, top, width, height."""
    boxes = _floats(boxes_xywh, 4)
    corner, sizes_wh = boxes[:, :2], boxes[:, 2:]
    return np.concatenate((corner, corner + sizes_wh), axis=1), sizes_wh.copy()


def _floats(values: Any, *columns: int) -> Float64:
    return np.asarray(values, np.float64).reshape(-1, *columns)


def _integers(values: Any) -> Int64:
    return np.asarray(values, np.int64).reshape(-1)


def _check_columns(columns: DetectionSet | TruthSet, count: int) -> None:
    widths = {"boxes": (4,), "sizes_wh": (2,)}
    for field in fields(columns):
        expected = (count, *widths.get(field.name, ()))
        if (shape := getattr(columns, field.name).shape) != expected:
            raise ValueError(f"{field.name} must be {expected}, got {shape}")


# longer ones would not be exact in every program that reads JSON
_LONGEST_INTEGER_ID = 15


def coco_image_ids(image_ids: Iterable[str]) -> dict[str, int | str]:
    """The `image_id` to write for each image: integers if all are plain integers, else the strings.

    pycocotools sorts images by these, which decides between equal scores.

    >>> coco_image_ids(["9", "10"])
    {'9': 9, '10': 10}
    >>> coco_image_ids(["9", "000010"])
    {'9': '9', '000010': '000010'}
    >>> [type(number).__name__ for digits in (15, 16) for number in coco_image_ids(["9" * digits]).values()]
    ['int', 'str']
    """
    image_ids = list(image_ids)
    if all(_is_plain_integer(image_id) for image_id in image_ids):
        return {image_id: int(image_id) for image_id in image_ids}
    return {image_id: image_id for image_id in image_ids}


def _is_plain_integer(text: str) -> bool:
    return text.isdecimal() and len(text) <= _LONGEST_INTEGER_ID and str(int(text)) == text
