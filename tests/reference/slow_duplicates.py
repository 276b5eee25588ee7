"""Near duplicates by comparing every image with every other: the oracle of curate/duplicates.py."""

import numpy as np
from numpy.typing import NDArray


def slow_close_pairs(fingerprints: list[int], most_bits: int) -> set[tuple[int, int]]:
    """Pairs (a, b), a < b, whose fingerprints differ in at most `most_bits` bits."""
    return {
        (a, b)
        for b in range(len(fingerprints))
        for a in range(b)
        if (fingerprints[a] ^ fingerprints[b]).bit_count() <= most_bits
    }


def slow_near_groups(fingerprints: list[int], thumbnails: NDArray[np.uint8], most_bits: int) -> list[tuple[int, ...]]:
    """Connected groups of two or more; thumbnails are compared after a quadratic surface was fitted away."""
    groups = [{place} for place in range(len(fingerprints))]
    for a, b in slow_close_pairs(fingerprints, most_bits):
        first, second = _detail(thumbnails[a]), _detail(thumbnails[b])
        if min(first.std(), second.std()) < 3 or np.corrcoef(first, second)[0, 1] < 0.9:
            continue
        together = [group for group in groups if {a, b} & group]
        groups = [group for group in groups if not {a, b} & group] + [set.union(*together)]
    return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)


def _detail(thumbnail: NDArray[np.uint8]) -> NDArray[np.float64]:
    side = int(len(thumbnail) ** 0.5)
    y, x = (axis.ravel() / side for axis in np.mgrid[:side, :side])
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    values = thumbnail.astype(float)
    return np.asarray(values - surface @ np.linalg.lstsq(surface, values, rcond=None)[0])
