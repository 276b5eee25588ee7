"""Writing COCO annotation files.

Boxes are `[left, top, width, height]` in pixels, from which readers get the float32 corners back to the last bit.
Annotation ids start at 1, because pycocotools takes the id 0 for "unmatched". `difficult` of Pascal VOC is an
additional key, which pycocotools ignores: there such objects count. Left out: segmentation and key points, which
nothing here reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from yolo.detection_sets import coco_image_ids, xyxy_to_xywh
from yolo.formats.values import float32, plain_id, shortest, shortest_float32
from yolo.structures import AnnotatedImage, GroundTruth


def ground_truth_dict(
    images: Iterable[AnnotatedImage],
    class_names: Sequence[str],
    *,
    category_ids: Sequence[int] | None = None,
    full_paths: bool = False,
) -> dict[str, Any]:
    """The ground truth of an evaluation as the content of a COCO annotation file; numbers are float64.

    Args:
        images: all images evaluated, with or without objects.
        class_names: names of the classes.
        category_ids: COCO's id of each class; class index + 1 if absent.
        full_paths: name image files by their whole path, so that they are found from any folder.
    """
    images = list(images)
    ids = coco_image_ids(image.image_id for image in images)
    names = [str(image.path.absolute()) if full_paths else image.path.name for image in images]
    category_ids = category_ids or range(1, len(class_names) + 1)
    records, annotations = _records(images, names, [ids[image.image_id] for image in images], category_ids, _exact)
    return {
        "info": {"description": "ground truth written by gridyolo"},
        "licenses": [],
        "images": records,
        "categories": [
            {"id": int(category_id), "name": name} for category_id, name in zip(category_ids, class_names, strict=True)
        ],
        "annotations": annotations,
    }


def coco_content(
    images: Iterable[AnnotatedImage],
    references: Sequence[str],
    *,
    image_ids: Sequence[int | str],
    class_names: Sequence[str],
    category_ids: Sequence[int],
) -> dict[str, Any]:
    """A split of a dataset as the content of a COCO file; numbers have as few decimals as they can.

    Args:
        images: with boxes in pixels.
        references: `file_name` of each.
        image_ids: `id` of each, from `numbered_image_ids`.
        class_names: what the labels mean.
        category_ids: id of each class.
    """
    records, annotations = _records(images, references, image_ids, category_ids, _short)
    categories = sorted(zip(category_ids, class_names, strict=True))
    return {
        "info": {"description": "written by gridyolo"},
        "licenses": [],
        "images": records,
        "annotations": annotations,
        "categories": [{"id": category_id, "name": name, "supercategory": ""} for category_id, name in categories],
    }


def numbered_image_ids(image_ids: Sequence[str], *, from_coco: bool) -> tuple[Sequence[int | str], bool]:
    """The `id` that each image of a dataset gets, and whether they are new numbers.

    Whole numbers where the ids are such. Of a dataset that was COCO, other ids stay text; of other datasets, all
    images are numbered from 1.

    >>> numbered_image_ids(["7", "12"], from_coco=False), numbered_image_ids(["7", "a"], from_coco=True)
    (([7, 12], False), ([7, 'a'], False))
    >>> numbered_image_ids(["7", "a"], from_coco=False)
    ([1, 2], True)
    """
    ids = [_id(image_id) for image_id in image_ids]
    if not from_coco and any(isinstance(image_id, str) for image_id in ids):
        return list(range(1, len(ids) + 1)), True
    return ids, False


def _id(text: str) -> int | str:
    """The number that a text is, within 64 bits; else the text."""
    found = plain_id(text)
    return found if isinstance(found, int) and abs(found) < 2**63 else text


def _records(
    images: Iterable[AnnotatedImage],
    file_names: Sequence[str],
    image_ids: Sequence[int | str],
    category_ids: Sequence[int],
    numbers: Callable[[GroundTruth], Iterator[dict[str, Any]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """`images` and `annotations`."""
    records, annotations = [], list[dict[str, Any]]()
    for image, file_name, image_id in zip(images, file_names, image_ids, strict=True):
        height, width = image.size_hw
        records.append({"id": image_id, "file_name": file_name, "height": height, "width": width})
        for label, own in zip(image.ground_truth.labels.tolist(), numbers(image.ground_truth), strict=True):
            place = {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(category_ids[label])}
            annotations.append(place | own)
    return records, annotations


def _exact(truth: GroundTruth) -> Iterator[dict[str, Any]]:
    """Box, area and flags in float64."""
    flags = zip(truth.iscrowd.tolist(), truth.difficult.tolist(), strict=True)
    for box, area, (iscrowd, difficult) in zip(
        xyxy_to_xywh(truth.boxes).tolist(), truth.area.tolist(), flags, strict=True
    ):
        yield {"bbox": box, "area": area, "iscrowd": int(iscrowd), "difficult": int(difficult)}


def _short(truth: GroundTruth) -> Iterator[dict[str, Any]]:
    """Box, area and flags in the shortest numbers from which the float32 corners come back."""
    flags = zip(truth.iscrowd.tolist(), truth.difficult.tolist(), strict=True)
    for (x1, y1, x2, y2), area, (iscrowd, difficult) in zip(
        truth.boxes.tolist(), truth.area.tolist(), flags, strict=True
    ):
        (x, w), (y, h) = _start_and_length(x1, x2), _start_and_length(y1, y2)
        own = {"bbox": [x, y, w, h], "area": _tidy(shortest_float32(area)), "iscrowd": int(iscrowd)}
        yield own | {"difficult": 1} if difficult else own


def _start_and_length(first: float, last: float) -> tuple[float, float]:
    """Two numbers whose first, and whose sum, are rounded to the float32 corners."""
    start = shortest_float32(first)
    return _tidy(start), _tidy(shortest(last - start, lambda length: float32(start + length) == last))


def _tidy(value: float) -> float | int:
    return int(value) if value.is_integer() else value
