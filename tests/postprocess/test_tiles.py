"""The plan of the tiles."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.errors import ConfigError
from yolo.postprocess.tiles import Tiling


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    size=st.integers(32, 700),
    overlap=st.floats(0.05, 0.75).map(lambda value: round(value, 3)),
)
def test_the_plan_covers_every_pixel_and_overlaps_as_asked(height: int, width: int, size: int, overlap: float) -> None:
    tiling = Tiling(size, overlap)
    tiles = tiling.plan((height, width))
    assert tiles == Tiling(size, overlap).plan((height, width))
    rows = sorted({(y1, y2) for _, y1, _, y2 in tiles})
    columns = sorted({(x1, x2) for x1, _, x2, _ in tiles})
    assert tiles == [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]
    for spans, length in ((rows, height), (columns, width)):
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(end - start == min(size, length) for start, end in spans)
        # neighbours overlap as asked, so nothing between them is left out
        assert all(left[1] - right[0] >= overlap * size for left, right in pairwise(spans))
        # and no tile could be spared
        assert len(spans) == 1 or length > (len(spans) - 1) * int(size * (1 - overlap) + 1e-9) + overlap * size


def test_the_plan_of_a_photo_by_hand() -> None:
    # 640 * 0.8 = 512: 4000 = 640 + 6.56 * 512 needs 7 steps, 3000 = 640 + 4.6 * 512 needs 5
    tiles = Tiling(640, 0.2).plan((3000, 4000))
    assert len(tiles) == 8 * 6
    assert tiles[0] == (0, 0, 640, 640)
    assert tiles[-1] == (3360, 2360, 4000, 3000)
    # exactly two tiles
    assert Tiling(100, 0.2).plan((100, 180)) == [(0, 0, 100, 100), (80, 0, 180, 100)]
    assert len(Tiling(100, 0.2).plan((100, 181))) == 3


@pytest.mark.parametrize(
    ("size", "overlap"), [(31, 0.2), (0, 0.2), (-5, 0.2), (64, 0.04), (64, 0.76), (64, float("nan"))]
)
def test_impossible_tilings(size: int, overlap: float) -> None:
    with pytest.raises(ConfigError, match=r"tile must be|overlap must be"):
        Tiling(size, overlap)
