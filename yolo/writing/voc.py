"""Writing Pascal VOC annotations: one XML per image, pixels 1-based and inclusive.

A box of one pixel has equal corners in VOC, as stray clicks have, which readers drop: its xmin is written a little
smaller. Left out: image files, lists and the YAML (dataset.py), iscrowd and areas (extra.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from yolo.structures import Float32, GroundTruth
from yolo.writing.exact_numbers import Bounds, number_text, rounding_bounds, shortest, shortest_float32

# What XML 1.0 has no place for, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Readers cut what reaches over the border, so the first pixel may begin a little before it.
_CUT_OFF = 1e-6
_LOST_FROM_ONE = 1e-7


def can_be_xml(text: str) -> bool:
    r"""Whether XML can hold a text.

    >>> can_be_xml("a & b"), can_be_xml("a\x01")
    (True, False)
    """
    return _NOT_XML.search(text) is None


def annotation_text(file_name: str, size_hw: tuple[int, int], truth: GroundTruth, *, class_names: Sequence[str]) -> str:
    """The annotation of one image.

    Corners are whole numbers where the box is in whole pixels, else as short as brings back the float32 exactly, but
    for what `voc_boxes` changes.

    Args:
        file_name: of the image, without folder.
        size_hw: height and width of the image in pixels.
        truth: boxes in pixels within the image.
        class_names: what the labels mean.
    """
    height, width = size_hw
    lines = [
        "<annotation>",
        "\t<folder>JPEGImages</folder>",
        f"\t<filename>{_escaped(file_name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
    ]
    boxes, _ = voc_boxes(truth, size_hw)
    bounds = rounding_bounds(boxes)
    for number, box in enumerate(boxes.tolist()):
        corners = _corners(box, bounds[4 * number : 4 * number + 4])
        sides = "".join(
            f"<{key}>{number_text(value)}</{key}>"
            for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        )
        lines += [
            "\t<object>",
            f"\t\t<name>{_escaped(class_names[int(truth.labels[number])])}</name>",
            f"\t\t<difficult>{int(truth.difficult[number])}</difficult>",
            f"\t\t<bndbox>{sides}</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*lines, "</annotation>\n"])


def voc_boxes(truth: GroundTruth, size_hw: tuple[int, int]) -> tuple[Float32, int]:
    """The boxes as VOC can hold them, and how many that changes.

    Corners are the first and the last pixel inside, so no box is less than a pixel wide or high: smaller ones become
    the pixel that their middle is in. Counting from 1 loses distances of less than 1e-7 pixels from the border: these
    become 0.

    Args:
        truth: boxes in pixels within the image.
        size_hw: height and width of the image in pixels.

    Returns:
        (M, 4) float32 xyxy pixels, and a number of boxes.
    """
    old = truth.boxes
    low, high = old[:, :2].astype(np.float64), old[:, 2:].astype(np.float64)
    size_wh = np.array(size_hw[::-1], np.float64)
    middle = np.clip((low + high) / 2, 0.5, np.maximum(size_wh - 0.5, 0.5))
    small = high - low < 1
    low, high = np.where(small, np.floor(middle), low), np.where(small, np.floor(middle) + 1, high)
    low = np.where(low < _LOST_FROM_ONE, 0.0, low)
    boxes = np.concatenate([low, high], axis=1).astype(np.float32)
    return boxes, int((boxes != old).any(axis=1).sum())


def _corners(box: Sequence[float], bounds: Sequence[Bounds]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    low_x, low_y, high_x, high_y = bounds
    (xmin, xmax), (ymin, ymax) = _one_based(x1, x2, low_x, high_x), _one_based(y1, y2, low_y, high_y)
    return xmin, ymin, xmax, ymax


def _one_based(first: float, last: float, low: Bounds, high: Bounds) -> tuple[float, float]:
    """The first and the last pixel, from 1; never equal."""
    start = shortest(first + 1, lambda value: low[0] < value - 1 < low[1])
    end = shortest_float32(last, high)
    start = first + 1 if start is None else start
    if start < end:
        return start, end
    # a box of one pixel: begins a little earlier, but by less than float32 knows
    earliest = -_CUT_OFF if first == 0 else low[0]
    smaller = (first + 1 - 10.0**-decimals for decimals in range(1, 16))
    return next((value for value in smaller if earliest < value - 1 < low[1]), start), max(end, last)


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})
