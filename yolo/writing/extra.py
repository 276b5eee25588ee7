"""`extra.csv`: what Pascal VOC and YOLO have no place for, so that nothing is lost on the way through them.

Columns: `image`, path below the dataset; `image_id`; `object`, its number from 1 in the annotation of the image;
`difficult`, `iscrowd`, `area`. A row without `object` gives the image its id, the others give an object its flags and
area. Only what the format would lose has a row. Left out: reading it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from yolo.structures import AnnotatedImage, Bool, GroundTruth
from yolo.writing.exact_numbers import number_text, shortest_float32s

EXTRA_COLUMNS = ("image", "image_id", "object", "difficult", "iscrowd", "area")


def extra_rows(image: AnnotatedImage, reference: str, *, own_id: str, keeps_difficult: bool) -> Iterator[list[str]]:
    """The rows of one image; none if the format holds all of it.

    Args:
        image: what is to be kept.
        reference: path of the image below the dataset, with forward slashes.
        own_id: the id that readers give it by its place.
        keeps_difficult: whether the annotations of the format have this flag.
    """
    if image.image_id != own_id:
        yield [reference, image.image_id, "", "", "", ""]
    truth = image.ground_truth
    lost = np.flatnonzero(_lost(truth, keeps_difficult=keeps_difficult))
    areas = shortest_float32s(truth.area[lost])
    for place, area in zip(lost.tolist(), areas, strict=True):
        flags = [str(int(truth.difficult[place])), str(int(truth.iscrowd[place]))]
        yield [reference, "", str(place + 1), *flags, number_text(area)]


def _lost(truth: GroundTruth, *, keeps_difficult: bool) -> Bool:
    return truth.iscrowd | _has_other_area(truth) | (truth.difficult & (not keeps_difficult))


def _has_other_area(truth: GroundTruth) -> Bool:
    """Whose area is not that of the box, which readers take where none is stated, within the rounding of corners."""
    x1, y1, x2, y2 = truth.boxes.astype(np.float64).T
    width, height = x2 - x1, y2 - y1
    across, down = np.spacing(truth.boxes[:, 2]), np.spacing(truth.boxes[:, 3])
    rounding = across * height + down * width + across * down + np.spacing(truth.area)
    other: Bool = np.abs(width * height - truth.area) > rounding
    return other
