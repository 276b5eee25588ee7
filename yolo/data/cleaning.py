"""Which boxes are fit for use: the one policy that all formats share, applied to a whole source at once.

A box is kept, mended or dropped, and counted; no box takes its image with it. Left out: the formats themselves, and
any lower limit on size (what the grid can not represent is a matter of statistics).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from yolo.arrays import Bool, Float64, Int64
from yolo.formats.issues import DataAccount
from yolo.formats.objects import RawObjects, RawSource
from yolo.structures import GroundTruth

BoxPolicy = Literal["fix", "drop", "strict"]

# VOC's 1-based pixels and rounding in exporters move borders by up to a pixel; that is not worth a message.
_SILENT_CLIP = 1.0 + 1e-6


def clean_objects(source: RawSource, *, policy: BoxPolicy, account: DataAccount) -> tuple[GroundTruth, Int64]:
    """Apply the box policy.

    `fix` cuts boxes to their image and puts swapped corners in order; what cannot be mended, and exact duplicates,
    are dropped. `drop` drops every box that `fix` would mend; up to a pixel is cut without a word. `strict` does as
    `fix`; that it then refuses is the reader's part.

    Args:
        source: as annotated.
        policy: see above.
        account: receives what is mended and dropped; objects that stay are counted by `keep_images`.

    Returns:
        The objects fit for use in their order, boxes in pixels of their image, and the image each is on.
    """
    raw = source.objects
    heights_widths = source.sizes_hw[raw.image_index].astype(np.float64)  # (T, 2)
    limits = heights_widths[:, [1, 0, 1, 0]]  # (T, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        inverted, ordered = _in_order(raw.boxes, source.inclusive)
        boxes = np.clip(ordered, 0.0, limits)
        # how far the clip moved a side; NaN and infinity are told as such
        moved = np.abs(boxes - ordered).max(axis=1, initial=0.0) > _SILENT_CLIP
    open_rows = np.ones(len(raw), bool)

    def drop(kind: str, faulty: Bool) -> None:
        rows = np.flatnonzero(faulty & open_rows)
        open_rows[rows] = False
        account.drop_objects(
            kind, rows.tolist(), lambda row: source.issue(row, kind, f"box {_text(raw.boxes[row])} {_why(source, row)}")
        )

    finite = np.logical_and.reduce(np.isfinite(raw.boxes), axis=1)
    drop("not_finite", ~finite)
    if policy == "drop":
        drop("inverted", inverted)
    drop("degenerate", _has_no_area(boxes))
    if policy == "drop":
        drop("clipped", moved)
    duplicates = _duplicates(raw, ordered, np.flatnonzero(open_rows))
    open_rows[duplicates] = False
    account.drop_objects(
        "duplicate",
        duplicates.tolist(),
        lambda row: source.issue(row, "duplicate", f"box {_text(raw.boxes[row])} is there already"),
    )

    def repair(kind: str, mended: Bool, become: Float64, verb: str) -> None:
        account.repair_objects(
            kind,
            np.flatnonzero(mended & open_rows).tolist(),
            lambda row: source.issue(
                row, kind, f"box {_text(raw.boxes[row])} {verb} {_text(become[row])} {_why(source, row)}"
            ),
        )

    repair("inverted", inverted, ordered, "put in order:")
    repair("clipped", moved, boxes, "cut to")
    kept = np.flatnonzero(open_rows)
    return _ground_truth(raw[kept], boxes[kept]), raw.image_index[kept]


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


def _duplicates(raw: RawObjects, boxes: Float64, rows: Int64) -> Int64:
    """The rows that repeat class, box and crowd flag of an earlier row on the same image."""
    columns = [raw.image_index[rows], raw.labels[rows], raw.iscrowd[rows].astype(np.int64)]
    columns += [column.view(np.int64) for column in np.ascontiguousarray(boxes[rows].T) + 0.0]  # -0.0 becomes 0.0
    mixed = np.zeros(len(rows), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    order = np.argsort(mixed, kind="stable")
    same = mixed[order][1:] == mixed[order][:-1]
    suspects = np.zeros(len(rows), bool)
    suspects[order[1:][same]] = suspects[order[:-1][same]] = True
    # equal sums are nearly always equal boxes; only these few are compared one by one
    seen: set[tuple[int, ...]] = set()
    repeated = []
    for place in np.flatnonzero(suspects).tolist():
        key = tuple(int(column[place]) for column in columns)
        if key in seen:
            repeated.append(int(rows[place]))
        seen.add(key)
    return np.asarray(repeated, np.int64)


def _ground_truth(raw: RawObjects, boxes: Float64) -> GroundTruth:
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
        area=np.where(np.isfinite(stated), stated, own),
    )


def _why(source: RawSource, row: int) -> str:
    height, width = source.sizes_hw[source.objects.image_index[row]].tolist()
    return f"in an image of {width} x {height}"


def _text(box: Float64) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box.tolist()) + ")"
