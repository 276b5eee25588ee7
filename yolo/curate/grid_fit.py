"""How many objects of a dataset a grid cannot hold, and which input size, grid and boxes per cell fit it.

A grid has one class vector and B boxes per cell, and an object belongs to the cell that its centre lies in. Where m
objects share a cell, three answers to "how many of them can be found?" are counted:

    one_object    1: the paper and darknet assign one object per cell. Whatever B is, m - 1 are lost.
    boxes         min(B, m): each box takes an object. This is what training does with loss.objects_per_cell = B; the
                  target of the class vector is all their classes, and a box may yield several. Objects of different
                  classes can so be found, but each brings a false positive with the other's class.
    one_class     min(B, n), n the objects of the cell's most frequent class: what can be found without such false
                  positives, every box being of the cell's one class.

Trainable objects alone are counted: not VOC's difficult ones, not COCO's crowds. Images are placed on the input as in
training without augmentation, so a letterboxed image that is not square uses a part of the cells only.

The recommendation is a rule of thumb. A stride *sees* the objects at an input size if at least 90 % of them have a
shorter side of half a cell (stride / 2 pixels) or more, and at least half of the objects of each class have one of a
whole cell. The second condition protects rare small classes; classes with less than 1 % of the objects do not decide.

    input size      the smallest multiple of 32 from 224 to 640 at which stride 16 sees the objects; else 640.
    grid and B      of the strides 32 (only if it sees the objects), 16 and 8, and for each of 2, 3 and 4 boxes, the
                    first that loses less than 1 % of the objects, by the rule `boxes`. Where none does, the first that
                    loses at most 1 % of the objects more than the best.

At least two boxes, as in the paper, because the boxes of a cell become specialists for shapes. The numbers 90 %, half a
cell and so on are judgement, from two small datasets: a start, and training decides what is right for one's own data.
Left out: objects of one cell so alike that non-maximum suppression takes them for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from yolo.arrays import Bool, Float32, Float64, Int64
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes

MAX_BOXES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLimits:
    """What one grid loses of a dataset; the rules are in the head of this file."""

    input_size: int  # side of the input in pixels
    grid_size: int  # S
    num_objects: int  # trainable objects
    shared_cells: int  # cells with more than one object
    most_in_cell: int  # the most objects in any one cell
    lost_one_object: int  # objects lost when a cell has one object
    lost_boxes: tuple[int, ...]  # objects lost when each box takes one, for B = 1, 2, ...
    lost_one_class: tuple[int, ...]  # objects lost when all boxes of a cell are of one class, for B = 1, 2, ...

    def share(self, lost: int) -> float:
        """A number of objects as a share of all, in [0, 1]; 0 where there are none."""
        return lost / self.num_objects if self.num_objects else 0.0


def trainable_objects(images: AnnotatedImages) -> Bool:
    """(T,) bool: the objects that are trained on, neither difficult nor crowds."""
    return ~(images.objects.difficult | images.objects.iscrowd)


def measure_grids(
    images: AnnotatedImages, grids: Iterable[tuple[int, int]], *, resize: ResizeMode
) -> tuple[GridLimits, ...]:
    """Count what each grid, a pair (input_size, grid_size), loses with 1 to `MAX_BOXES` boxes per cell."""
    trainable = trainable_objects(images)
    image_index, labels = images.image_index[trainable], images.objects.labels[trainable]
    boxes = images.objects.boxes[trainable]
    num_classes = int(labels.max(initial=0)) + 1
    counts = range(1, MAX_BOXES + 1)
    measured = []
    for input_size, grid_size in grids:
        scales, offsets = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
        cell = _owner_cells(boxes, scales[image_index], offsets[image_index], input_size, grid_size)
        # one number for image, cell and class: a single sort brings together what shares a cell
        in_cell, in_class = _crowds((image_index * grid_size**2 + cell) * num_classes + labels, num_classes)
        measured.append(
            GridLimits(
                input_size=input_size,
                grid_size=grid_size,
                num_objects=len(labels),
                shared_cells=int((in_cell > 1).sum()),
                most_in_cell=int(in_cell.max(initial=0)),
                lost_one_object=len(labels) - len(in_cell),
                lost_boxes=tuple(_lost(in_cell, in_cell, count) for count in counts),
                lost_one_class=tuple(_lost(in_cell, in_class, count) for count in counts),
            )
        )
    return tuple(measured)


def _owner_cells(boxes: Float32, scales_xy: Float64, offsets_xy: Float64, input_size: int, grid_size: int) -> Int64:
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
    """For each cell with objects, their number and that of the most frequent class."""
    class_keys, class_counts = np.unique(key, return_counts=True)
    _, cell_starts = np.unique(class_keys // num_classes, return_index=True)
    if not len(cell_starts):  # reduceat wants at least one
        return class_counts, class_counts
    return np.add.reduceat(class_counts, cell_starts), np.maximum.reduceat(class_counts, cell_starts)


def _lost(in_cell: Int64, candidates: Int64, num_boxes: int) -> int:
    return int((in_cell - np.minimum(candidates, num_boxes)).sum())


INPUT_SIZES = tuple(range(224, 641, 32))

_STRIDES = (32, 16, 8)
_MAIN_STRIDE = 16
_MIN_BOXES = 2
_SEEN_SHARE = 0.9  # of all objects: half a cell
_SEEN_CLASS_SHARE = 0.5  # of the objects of a class: a whole cell
_DECIDING_SHARE = 0.01  # of all objects: rarer classes do not decide
_TOLERATED_LOSS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """How large the trainable objects are on an input, in cells of a stride."""

    input_size: int  # side of the input in pixels
    stride: int  # side of a cell in pixels
    share: float  # of all objects, those whose shorter side is half a cell or more
    worst_class: int  # label of the class with the smallest `worst_class_share`; on ties the smallest objects
    worst_class_share: float  # of the objects of that class, those whose shorter side is a whole cell or more

    @property
    def is_enough(self) -> bool:
        """Whether the stride sees the objects, as the head of this file says."""
        return self.share >= _SEEN_SHARE and self.worst_class_share >= _SEEN_CLASS_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What fits, and why."""

    input_size: int  # side of the input in pixels
    grid_size: int  # S
    boxes_per_cell: int  # B
    visibility: Visibility  # of the objects at that input size, at stride 16
    limits: GridLimits  # what that grid loses
    reasons: tuple[str, ...]  # sentences for people

    @property
    def lost_share(self) -> float:
        """Share of the trainable objects that cannot be represented, by the rule `boxes`."""
        return self.limits.share(self.limits.lost_boxes[self.boxes_per_cell - 1])


def recommend(
    images: AnnotatedImages, class_names: tuple[str, ...], *, resize: ResizeMode, input_size: int | None = None
) -> Recommendation | None:
    """Recommend input size, S and B; None where there is no trainable object.

    Args:
        images: the dataset.
        class_names: by label.
        resize: how images are placed on the input.
        input_size: keep to this one, a multiple of 32; None to recommend one, too.
    """
    if not trainable_objects(images).any():
        return None
    sizes = INPUT_SIZES if input_size is None else (input_size,)
    tried = (visibility(images, size, _MAIN_STRIDE, resize=resize) for size in sizes)
    seen = next((one for one in tried if one.is_enough), None)
    seen = seen or visibility(images, sizes[-1], _MAIN_STRIDE, resize=resize)
    size_reason = _reason_of_size(seen, class_names, is_given=input_size is not None)
    limits, boxes_per_cell, grid_reason = _choose_grid(images, seen.input_size, resize=resize)
    return Recommendation(
        input_size=seen.input_size,
        grid_size=limits.grid_size,
        boxes_per_cell=boxes_per_cell,
        visibility=seen,
        limits=limits,
        reasons=(size_reason, grid_reason, _reason_of_cost(images, seen.input_size)),
    )


def visibility(images: AnnotatedImages, input_size: int, stride: int, *, resize: ResizeMode) -> Visibility:
    """Measure how large the trainable objects, of which there must be some, are on an input; see `Visibility`."""
    trainable = trainable_objects(images)
    scales, _ = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
    boxes, labels = images.objects.boxes[trainable], images.objects.labels[trainable]
    sides = (boxes[:, 2:] - boxes[:, :2]) * scales[images.image_index[trainable]]
    shorter = sides.min(axis=1)  # (T,) pixels of the input
    counts = np.bincount(labels)
    whole_cell = np.bincount(labels, weights=shorter >= stride)
    deciding = counts >= _DECIDING_SHARE * len(labels)
    # above 1 for those that do not decide; some class always does unless there are hundreds, all of them rare
    deciding = deciding if deciding.any() else counts == counts.max()
    shares = np.where(deciding, whole_cell / np.maximum(counts, 1), 2.0)
    mean_side = np.bincount(labels, weights=shorter) / np.maximum(counts, 1)
    worst = int(np.lexsort((mean_side, shares))[0])
    return Visibility(
        input_size=input_size,
        stride=stride,
        share=float((shorter >= stride / 2).mean()),
        worst_class=worst,
        worst_class_share=float(shares[worst]),
    )


def _choose_grid(images: AnnotatedImages, input_size: int, *, resize: ResizeMode) -> tuple[GridLimits, int, str]:
    """The grid, B and the reason."""
    coarse_enough = visibility(images, input_size, max(_STRIDES), resize=resize).is_enough
    strides = _STRIDES if coarse_enough else _STRIDES[1:]
    measured = measure_grids(images, [(input_size, input_size // stride) for stride in strides], resize=resize)
    # in the order in which they cost more
    candidates = [(limits, count) for limits in measured for count in range(_MIN_BOXES, MAX_BOXES + 1)]
    shares = [limits.share(limits.lost_boxes[count - 1]) for limits, count in candidates]
    tolerated = _TOLERATED_LOSS if min(shares) < _TOLERATED_LOSS else min(shares) + _TOLERATED_LOSS
    limits, boxes_per_cell = candidates[next(place for place, share in enumerate(shares) if share < tolerated)]
    return limits, boxes_per_cell, _reason_of_grid(limits, boxes_per_cell, least_share=min(shares))


def _reason_of_grid(limits: GridLimits, boxes_per_cell: int, *, least_share: float) -> str:
    side, lost = limits.grid_size, limits.lost_boxes[boxes_per_cell - 1]
    grid = f"{side}x{side} cells of {limits.input_size // side} px with {boxes_per_cell} boxes each"
    if not lost:
        return f"{grid} can hold all {limits.num_objects} objects."
    reason = (
        f"{grid} cannot hold {lost} of {limits.num_objects} objects ({limits.share(lost):.2%}), because more than "
        f"{boxes_per_cell} share a cell"
    )
    if limits.share(lost) >= _TOLERATED_LOSS:
        reason += f"; no grid that is tried loses less than 1 %, the best {least_share:.2%}"
    return reason + "."


def _reason_of_cost(images: AnnotatedImages, input_size: int) -> str:
    cost = (input_size / 320) ** 2
    reason = f"Time and memory grow with the square of the input size: about {cost:.1f} times those at 320 px"
    longer = float(np.median(images.sizes_hw.max(axis=1)))
    if longer < input_size:
        reason += f". The images are smaller ({longer:.0f} px at the median): enlarging them adds no detail"
    return reason + "."


def _reason_of_size(seen: Visibility, class_names: tuple[str, ...], *, is_given: bool) -> str:
    half, whole = seen.stride // 2, seen.stride
    facts = (
        f"{seen.share:.1%} of the objects have a shorter side of {half} px or more; of the class with the smallest "
        f"objects, {class_names[seen.worst_class]}, {seen.worst_class_share:.1%} have {whole} px or more"
    )
    if is_given:
        return f"At the input size that you gave, {seen.input_size} px: {facts}."
    if seen.is_enough:
        least = ", the smallest that is tried," if seen.input_size == INPUT_SIZES[0] else ""
        return f"At an input of {seen.input_size} px{least} the objects are large enough: {facts}."
    return (
        f"Even at {seen.input_size} px, the largest input size that is tried, many objects are small: {facts} "
        f"(wanted: {_SEEN_SHARE:.0%} and {_SEEN_CLASS_SHARE:.0%}). Expect to miss small ones, or cut images into tiles."
    )
