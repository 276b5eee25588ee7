"""Writing a split as COCO JSON: `info`, `licenses`, `images`, `annotations`, `categories`.

`difficult` of Pascal VOC is an additional key of an annotation, only where it is set. Left out: image files and the
YAML (dataset.py), segmentation and key points, which no reader here reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from yolo.data.annotations import AnnotatedImages
from yolo.structures import AnnotatedImage
from yolo.writing.exact_numbers import Bounds, rounding_bounds, shortest, shortest_float32, shortest_float32s

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # as int would write it, and within 64 bits


def coco_content(
    images: AnnotatedImages,
    references: Sequence[str],
    *,
    image_ids: Sequence[int | str],
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    """The content of a COCO file; annotations are numbered from 1.

    Args:
        images: with boxes in pixels.
        references: `file_name` of each.
        image_ids: `id` of each, from `coco_image_ids`.
        class_names: what the labels mean.
        category_ids: id of each class.
    """
    annotations: list[dict[str, Any]] = []
    records = []
    for image, reference, image_id in zip(images, references, image_ids, strict=True):
        height, width = image.size_hw
        records.append({"id": image_id, "file_name": reference, "width": width, "height": height})
        for annotation in _annotations(image, category_ids):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **annotation})
    categories = [
        {"id": category_id, "name": name, "supercategory": ""}
        for category_id, name in zip(category_ids, class_names, strict=True)
    ]
    return {
        "info": {"description": "written by gridyolo"},
        "licenses": [],
        "images": records,
        "annotations": annotations,
        "categories": sorted(categories, key=lambda category: int(str(category["id"]))),
    }


def coco_image_ids(image_ids: Sequence[str], *, from_coco: bool) -> tuple[Sequence[int | str], bool]:
    """The `id` that each image gets, and whether they are new numbers.

    Whole numbers where the ids are such. Of a dataset that was COCO, other ids stay text; of other datasets, all
    images are numbered from 1.

    >>> coco_image_ids(["7", "12"], from_coco=False), coco_image_ids(["7", "a"], from_coco=True)
    (([7, 12], False), ([7, 'a'], False))
    >>> coco_image_ids(["7", "a"], from_coco=False)
    ([1, 2], True)
    """
    whole = [_WHOLE_NUMBER.fullmatch(image_id) is not None for image_id in image_ids]
    if not from_coco and not all(whole):
        return list(range(1, len(whole) + 1)), True
    return [int(text) if is_whole else text for text, is_whole in zip(image_ids, whole, strict=True)], False


def _annotations(image: AnnotatedImage, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    truth = image.ground_truth
    bounds = rounding_bounds(truth.boxes)
    areas = shortest_float32s(truth.area)
    found = []
    for number, (x1, y1, x2, y2) in enumerate(truth.boxes.tolist()):
        low_x, low_y, high_x, high_y = bounds[4 * number : 4 * number + 4]
        x, w = _start_and_length(x1, x2, low_x, high_x)
        y, h = _start_and_length(y1, y2, low_y, high_y)
        record: dict[str, Any] = {
            "category_id": category_ids[int(truth.labels[number])],
            "bbox": [_tidy(x), _tidy(y), _tidy(w), _tidy(h)],
            "area": _tidy(areas[number]),
            "iscrowd": int(truth.iscrowd[number]),
        }
        if truth.difficult[number]:
            record["difficult"] = 1
        found.append(record)
    return found


def _start_and_length(first: float, last: float, low: Bounds, high: Bounds) -> tuple[float, float]:
    """Two numbers whose first, and whose sum, are rounded to the float32 corners."""
    start = shortest_float32(first, low)
    length = shortest(last - start, lambda value: high[0] < start + value < high[1])
    return start, last - start if length is None else length


def _tidy(value: float) -> float | int:
    return int(value) if value.is_integer() else value
