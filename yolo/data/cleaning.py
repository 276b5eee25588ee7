"""The policies for boxes in training and `gridyolo data`: fix, drop or refuse what is faulty, for all formats alike.

A box is kept, fixed or dropped, and counted; no box takes its image with it. Left out: the formats themselves, any
lower limit on size (what the grid can not represent is a matter of statistics), and `report`, which measures boxes as
they stand (engine/ground_truth_files.py).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.detection_sets import TruthSet
from yolo.formats.issues import DataIssue, ReadReport
from yolo.formats.objects import SILENT_CLIP, RawSource, repeated_rows
from yolo.structures import GroundTruth

BoxPolicy = Literal["fix", "drop", "strict"]


def clean_objects(source: RawSource, *, policy: BoxPolicy, report: ReadReport) -> tuple[GroundTruth, Int64]:
    """Apply the box policy.

    `fix` cuts boxes to their image and puts swapped corners in order; what cannot be fixed, and exact duplicates,
    are dropped. `drop` drops every box that `fix` would change; up to a pixel is cut without a word. `strict` does as
    `fix`; that it then refuses is the reader's part.

    Args:
        source: as annotated.
        policy: see above.
        report: receives what is fixed and dropped; objects that stay are counted by `keep_images`.

    Returns:
        The objects fit for use in their order, boxes in pixels of their image, and the row of the source each is from.
    """
    raw, left = source.objects, np.ones(len(source.objects), bool)
    limits = source.sizes_hw[raw.image_index][:, [1, 0, 1, 0]].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        inverted, ordered = _in_order(raw.boxes, source.inclusive)
        boxes = np.clip(ordered, 0.0, limits)
        # how far the clip moved a side; NaN and infinity are reported as such
        moved = np.abs(boxes - ordered).max(axis=1, initial=0.0) > SILENT_CLIP
    for kind, faulty, what in (
        ("not_finite", ~np.logical_and.reduce(np.isfinite(raw.boxes), axis=1), ""),
        ("inverted", inverted & (policy == "drop"), ""),
        ("degenerate", _is_stray_click(raw.boxes, source.inclusive), "has equal corners in the file"),
        ("degenerate", _has_no_area(boxes), ""),
        ("clipped", moved & (policy == "drop"), ""),
    ):
        left = _drop(left, faulty, kind, what, source, report)
    columns = [raw.image_index, raw.labels, raw.iscrowd.astype(np.int64), *ordered.T]
    repeated = np.zeros(len(raw), bool)
    repeated[left] = repeated_rows([column[left] for column in columns])
    left = _drop(left, repeated, "duplicate", "appears twice", source, report)
    _report_repaired("inverted", inverted & left, "put in order:", ordered, source, report)
    _report_repaired("clipped", moved & left, "cut to", boxes, source, report)
    return _ground_truth(raw[left], boxes[left]), np.flatnonzero(left)


def _drop(left: Bool, faulty: Bool, kind: str, what: str, source: RawSource, report: ReadReport) -> Bool:
    """What is left without the faulty ones, which are counted."""
    report.drop_objects(
        kind,
        np.flatnonzero(left & faulty).tolist(),
        lambda row: source.issue(row, kind, f"box {_text(source.objects.boxes[row])} {what or _where(source, row)}"),
    )
    return left & ~faulty


def _report_repaired(
    kind: str, repaired: Bool, verb: str, become: Float64, source: RawSource, report: ReadReport
) -> None:
    def issue(row: int) -> DataIssue:
        old, new = _text(source.objects.boxes[row]), _text(become[row])
        return source.issue(row, kind, f"box {old} {verb} {new} {_where(source, row)}")

    report.repair_objects(kind, np.flatnonzero(repaired).tolist(), issue)


def _in_order(boxes: Float64, inclusive: float) -> tuple[Bool, Float64]:
    """Which boxes have swapped corners, and all boxes (T, 4) with corners in order."""
    low, high = boxes[:, :2], boxes[:, 2:]
    swapped: Bool = high < low + inclusive  # False for NaN
    ordered = np.concatenate(
        [np.where(swapped, high - inclusive, low), np.where(swapped, low + inclusive, high)], axis=1
    )
    return swapped[:, 0] | swapped[:, 1], ordered


def _has_no_area(boxes: Float64) -> Bool:
    """Whether corners fall together in float32, as everybody after this sees them."""
    x1, y1, x2, y2 = boxes.astype(np.float32).T
    has_area: Bool = (x2 > x1) & (y2 > y1)
    return ~has_area


def _is_stray_click(boxes: Float64, inclusive: float) -> Bool:
    """Whether corners are equal where these are the first and the last pixel: what a click without a drag leaves."""
    equal: Bool = np.logical_or.reduce(boxes[:, :2] + inclusive == boxes[:, 2:], axis=1)
    return equal & (inclusive > 0)


def _ground_truth(raw: TruthSet, boxes: Float64) -> GroundTruth:
    boxes_as_kept = boxes.astype(np.float32)
    # of the corners as they are kept, so that a copy in another format has the same area
    x1, y1, x2, y2 = boxes_as_kept.T
    own = (x2 - x1) * (y2 - y1)
    with np.errstate(over="ignore"):
        stated = raw.area.astype(np.float32)
    return GroundTruth(
        boxes=boxes_as_kept,
        labels=raw.labels,
        difficult=raw.difficult,
        iscrowd=raw.iscrowd,
        area=np.where(np.isfinite(stated) & (stated >= 0), stated, own),
    )


def _where(source: RawSource, row: int) -> str:
    height, width = source.sizes_hw[source.objects.image_index[row]].tolist()
    return f"in an image of {width} x {height}"


def _text(box: Float64) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box.tolist()) + ")"
