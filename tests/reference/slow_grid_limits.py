"""What a grid loses, image by image and cell by cell, with the very functions that place and encode in training."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import torch

from yolo.geometry import ResizeMode, place_boxes, plan_resize
from yolo.grid import GridSpec
from yolo.structures import AnnotatedImage


def labels_by_cell(
    images: Iterable[AnnotatedImage], *, input_size: int, grid_size: int, resize: ResizeMode
) -> list[list[int]]:
    """The labels of the trainable objects of every cell that has any."""
    grid = GridSpec(grid_size=grid_size, boxes_per_cell=1, num_classes=1)
    cells: list[list[int]] = []
    for image in images:
        plan = plan_resize(image.size_hw, (input_size, input_size), resize)
        truth = place_boxes(image.ground_truth, plan)
        encoded = grid.encode(torch.from_numpy(truth.boxes), (input_size, input_size))
        on_image: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place in range(len(truth)):
            if not truth.difficult[place] and not truth.iscrowd[place]:
                on_image[int(encoded.row[place]), int(encoded.col[place])].append(int(truth.labels[place]))
        cells += on_image.values()
    return cells


def lost_one_object(cells: list[list[int]]) -> int:
    return sum(len(labels) - 1 for labels in cells)


def lost_boxes(cells: list[list[int]], num_boxes: int) -> int:
    return sum(max(0, len(labels) - num_boxes) for labels in cells)


def lost_one_class(cells: list[list[int]], num_boxes: int) -> int:
    lost = 0
    for labels in cells:
        most_frequent = Counter(labels).most_common(1)[0][1]
        lost += len(labels) - min(num_boxes, most_frequent)
    return lost
