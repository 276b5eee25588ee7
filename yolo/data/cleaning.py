"""Which boxes are fit for use: the one policy that all three formats share.

A box is clipped to its image and kept, or dropped and counted; no box takes its image with it. Left out: the
formats themselves, and any lower limit on size (what the grid can not represent is a matter of statistics).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.data.account import DataAccount
from yolo.structures import GroundTruth

# VOC's 1-based pixels and rounding in exporters move borders by up to a pixel; that is not worth a message.
_SILENT_CLIP = 1.0 + 1e-6

Box = tuple[float, float, float, float]


class RawObject(NamedTuple):
    """One object as the annotation has it."""

    where: str  # the line or object, for messages
    label: int  # 0-based class index
    box: Box  # xyxy, pixels, as annotated
    difficult: bool = False
    iscrowd: bool = False
    area: float | None = None  # pixels², where the annotation states one


def clean_objects(
    objects: Iterable[RawObject], size_hw: tuple[int, int], *, path: Path, account: DataAccount
) -> GroundTruth:
    """Apply the box policy to the objects of one image.

    Args:
        objects: as annotated.
        size_hw: height and width of the image in pixels.
        path: the annotation file, for messages.
        account: receives what is clipped and dropped; objects that stay are counted by `keep_image`.

    Returns:
        The objects fit for use, in their order.
    """
    kept: list[RawObject] = []
    seen: set[tuple[int, Box, bool]] = set()
    for item in objects:
        clipped = _clip(item.box, size_hw)
        kind = _fault(item.box, clipped)
        if kind:
            account.drop_object(path, item.where, kind, f"box {_text(item.box)} in an image of {_size(size_hw)}")
            continue
        key = (item.label, item.box, item.iscrowd)
        if key in seen:
            account.drop_object(path, item.where, "duplicate", f"box {_text(item.box)} is there already")
            continue
        seen.add(key)
        if max(abs(new - old) for new, old in zip(clipped, item.box, strict=True)) > _SILENT_CLIP:
            message = f"box {_text(item.box)} cut to {_text(clipped)} in an image of {_size(size_hw)}"
            account.clip_object(path, item.where, message)
        kept.append(item._replace(box=clipped))
    return _ground_truth(kept)


def _clip(box: Box, size_hw: tuple[int, int]) -> Box:
    height, width = size_hw
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
        min(max(x2, 0.0), width),
        min(max(y2, 0.0), height),
    )


def _fault(box: Box, clipped: Box) -> str:
    """The kind of issue that forbids the box, empty if it is fit for use."""
    if not all(math.isfinite(value) for value in box):
        return "not_finite"
    x1, y1, x2, y2 = box
    if x2 < x1 or y2 < y1:
        return "inverted"
    # in float32, as everybody after this sees it: corners may fall together
    x1, y1, x2, y2 = np.asarray(clipped, np.float32).tolist()
    return "" if x2 > x1 and y2 > y1 else "degenerate"


def _ground_truth(objects: list[RawObject]) -> GroundTruth:
    def area(item: RawObject) -> float:
        x1, y1, x2, y2 = item.box
        return (x2 - x1) * (y2 - y1) if item.area is None else item.area

    return GroundTruth.from_boxes(
        [item.box for item in objects],
        [item.label for item in objects],
        difficult=[item.difficult for item in objects],
        iscrowd=[item.iscrowd for item in objects],
        area=[area(item) for item in objects],
    )


def _text(box: Box) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"


def _size(size_hw: tuple[int, int]) -> str:
    height, width = size_hw
    return f"{width} x {height}"
