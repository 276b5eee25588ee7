"""The box policy, object by object: slow, and obvious."""

import math
from collections.abc import Sequence

import numpy as np

from yolo.data.cleaning import BoxPolicy
from yolo.formats.objects import RawObject

Box = tuple[float, float, float, float]


def slow_clean(
    objects: Sequence[RawObject], sizes_hw: Sequence[tuple[int, int]], *, policy: BoxPolicy, inclusive: float
) -> tuple[list[tuple[int, Box]], list[tuple[int, str]], list[tuple[int, str]]]:
    """Rows kept with their box, rows dropped with the reason, rows fixed with what was done."""
    kept: list[tuple[int, Box]] = []
    dropped: list[tuple[int, str]] = []
    fixed: list[tuple[int, str]] = []
    seen: set[tuple[object, ...]] = set()
    for row, item in enumerate(objects):
        height, width = sizes_hw[item.image]
        if not all(math.isfinite(side) for side in item[:4]):
            dropped.append((row, "not_finite"))
            continue
        x1, x2, x_swapped = _ordered(item.x1, item.x2, inclusive)
        y1, y2, y_swapped = _ordered(item.y1, item.y2, inclusive)
        inverted = x_swapped or y_swapped
        clipped = (_clip(x1, width), _clip(y1, height), _clip(x2, width), _clip(y2, height))
        small = [float(np.float32(side)) for side in clipped]
        cut = max(abs(new - old) for new, old in zip(clipped, (x1, y1, x2, y2), strict=True)) > 1.0 + 1e-6
        key = (item.image, item.label, x1, y1, x2, y2, item.iscrowd)
        if policy == "drop" and inverted:
            dropped.append((row, "inverted"))
        elif not (small[2] > small[0] and small[3] > small[1]) or _is_click(item, inclusive):
            dropped.append((row, "degenerate"))
        elif policy == "drop" and cut:
            dropped.append((row, "clipped"))
        elif key in seen:
            dropped.append((row, "duplicate"))
        else:
            seen.add(key)
            kept.append((row, clipped))
            fixed += [(row, kind) for kind, done in (("inverted", inverted), ("clipped", cut)) if done]
    return kept, dropped, fixed


def _is_click(item: RawObject, inclusive: float) -> bool:
    return inclusive > 0 and (item.x1 + inclusive == item.x2 or item.y1 + inclusive == item.y2)


def _ordered(low: float, high: float, inclusive: float) -> tuple[float, float, bool]:
    if high < low + inclusive:
        return high - inclusive, low + inclusive, True
    return low, high, False


def _clip(side: float, limit: int) -> float:
    return min(max(side, 0.0), float(limit))
