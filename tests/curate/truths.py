"""Hypothesis strategies for what is annotated on images: every float32 box that fits in them."""

import numpy as np
from hypothesis import strategies as st

from yolo.structures import GroundTruth

sizes_hw = st.tuples(st.integers(1, 9000), st.integers(1, 9000))


@st.composite
def spans(draw: st.DrawFn, size: int) -> tuple[float, float]:
    """First and last coordinate of a box in an image of that size, different as float32."""
    whole = st.integers(0, size).map(float)
    near_ends = st.sampled_from([0.0, 1e-42, 1e-12, 1e-8, 1e-5, 0.1, 1 / 3, 0.5, 1.0, size - 1e-3, float(size)])
    anywhere = st.floats(0, size, width=32)
    number = st.one_of(whole, anywhere, near_ends)
    first, last = sorted(float(np.float32(min(max(draw(number), 0), size))) for _ in range(2))
    if first == last:
        first, last = (first, float(np.nextafter(np.float32(last), np.float32(np.inf)))) if last < size else (0.0, last)
    return first, last


@st.composite
def truths(draw: st.DrawFn, size_hw: tuple[int, int], *, classes: int = 3) -> GroundTruth:
    """Up to five objects, no two of one class with equal boxes."""
    height, width = size_hw
    rows: dict[tuple[int, float, float, float, float], None] = {}
    for _ in range(draw(st.integers(0, 5))):
        (x1, x2), (y1, y2) = draw(spans(width)), draw(spans(height))
        rows[draw(st.integers(0, classes - 1)), x1, y1, x2, y2] = None
    count = len(rows)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    truth = GroundTruth.from_boxes(
        [row[1:] for row in rows], [row[0] for row in rows], difficult=draw(flags), iscrowd=draw(flags)
    )
    area = [draw(st.one_of(st.just(own), st.floats(0, 1e8, width=32))) for own in truth.area.tolist()]
    return GroundTruth.from_boxes(
        truth.boxes, truth.labels, difficult=truth.difficult, iscrowd=truth.iscrowd, area=area
    )


@st.composite
def sized_truths(draw: st.DrawFn) -> tuple[tuple[int, int], GroundTruth]:
    """An image size and what is on the image."""
    size_hw = draw(sizes_hw)
    return size_hw, draw(truths(size_hw))
