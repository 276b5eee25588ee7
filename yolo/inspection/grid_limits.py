"""How many objects of a dataset a grid cannot hold.

The output of a grid has one class vector and B boxes per cell, and an object belongs to the cell that its centre
lies in. Where m objects share a cell, three answers to "how many of them can be found?" are counted:

    one_object    1: the paper and darknet teach one object per cell. Whatever B is, m - 1 are lost.
    boxes         min(B, m): each box takes an object. This is what training does with loss.objects_per_cell = B; the
                  class vector is taught all their classes, and a box may yield several. Objects of different classes
                  can so be found, but each brings a false twin with the other's class.
    one_class     min(B, n), n the objects of the cell's most frequent class: what can be found without such twins,
                  every box being of the cell's one class.

Taught objects alone are counted: not VOC's difficult ones, not COCO's crowds. Images are placed on the input as in
training without augmentation, so a letterboxed image that is not square uses a part of the cells only. Left out:
objects of one cell so alike that non-maximum suppression takes them for one, and how small objects become
(recommendation.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolo.data.annotations import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes
from yolo.structures import Bool, Int64

MAX_BOXES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLimits:
    """What one grid loses of a dataset; the rules are in the head of this file.

    Attributes:
        input_size: side of the input in pixels.
        grid_size: S.
        num_objects: taught objects.
        shared_cells: cells with more than one object.
        most_in_cell: the most objects in any one cell.
        lost_one_object: objects lost when a cell has one object.
        lost_boxes: objects lost when each box takes one, for B = 1, 2, ...
        lost_one_class: objects lost when all boxes of a cell are of one class, for B = 1, 2, ...
    """

    input_size: int
    grid_size: int
    num_objects: int
    shared_cells: int
    most_in_cell: int
    lost_one_object: int
    lost_boxes: tuple[int, ...]
    lost_one_class: tuple[int, ...]

    def share(self, lost: int) -> float:
        """A number of objects as a share of all, in [0, 1]; 0 where there are none."""
        return lost / self.num_objects if self.num_objects else 0.0


def taught_objects(images: AnnotatedImages) -> Bool:
    """(T,) bool: objects that a training teaches, neither difficult nor crowds."""
    return ~(images.objects.difficult | images.objects.iscrowd)


def measure_grids(
    images: AnnotatedImages, grids: Iterable[tuple[int, int]], *, resize: ResizeMode, max_boxes: int = MAX_BOXES
) -> tuple[GridLimits, ...]:
    """Count for each grid what it loses.

    Args:
        images: the dataset.
        grids: pairs (input_size, grid_size).
        resize: how images are placed on the input.
        max_boxes: B is counted from 1 to this.
    """
    taught = taught_objects(images)
    image_index, labels = images.image_index[taught], images.objects.labels[taught]
    boxes = images.objects.boxes[taught]
    num_classes = int(labels.max(initial=0)) + 1
    measured = []
    for input_size, grid_size in grids:
        scales, offsets = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
        cell = _owner_cells(boxes, scales[image_index], offsets[image_index], input_size, grid_size)
        # one number for image, cell and class: a single sort brings together what shares a cell
        key = np.sort((image_index * grid_size**2 + cell) * num_classes + labels)
        in_cell, in_class = _crowds(key, num_classes)
        measured.append(
            GridLimits(
                input_size=input_size,
                grid_size=grid_size,
                num_objects=len(labels),
                shared_cells=int((in_cell > 1).sum()),
                most_in_cell=int(in_cell.max(initial=0)),
                lost_one_object=len(labels) - len(in_cell),
                lost_boxes=tuple(_lost(in_cell, in_cell, count) for count in range(1, max_boxes + 1)),
                lost_one_class=tuple(_lost(in_cell, in_class, count) for count in range(1, max_boxes + 1)),
            )
        )
    return tuple(measured)


def _owner_cells(
    boxes: NDArray[np.float32],
    scales_xy: NDArray[np.float64],
    offsets_xy: NDArray[np.float64],
    input_size: int,
    grid_size: int,
) -> Int64:
    """(T,) owner cell of each object, row by row: the steps of `geometry.place_boxes` and `GridSpec.encode`.

    They are in float32 as there, so that a centre on the line between two cells falls to the same side.
    """
    scale, offset = scales_xy.astype(np.float32), offsets_xy.astype(np.float32)
    first = (boxes[:, :2] * scale + offset) / np.float32(input_size)
    last = (boxes[:, 2:] * scale + offset) / np.float32(input_size)
    place_xy = np.floor((first + last) / 2 * np.float32(grid_size))  # (T, 2)
    col, row = np.clip(place_xy, 0, grid_size - 1).astype(np.int64).T
    return np.asarray(row * grid_size + col, np.int64)


def _crowds(key: Int64, num_classes: int) -> tuple[Int64, Int64]:
    """For each cell with objects, their number and that of the most frequent class, from the sorted keys."""
    class_starts = _run_starts(key)
    class_counts = np.diff(np.append(class_starts, len(key)))
    cell_starts = _run_starts(key[class_starts] // num_classes)
    if not len(cell_starts):  # reduceat wants at least one
        return class_counts, class_counts
    return np.add.reduceat(class_counts, cell_starts), np.maximum.reduceat(class_counts, cell_starts)


def _run_starts(values: Int64) -> Int64:
    """Where runs of equal values begin."""
    return np.flatnonzero(np.diff(values, prepend=-1) != 0)


def _lost(in_cell: Int64, candidates: Int64, num_boxes: int) -> int:
    return int((in_cell - np.minimum(candidates, num_boxes)).sum())
