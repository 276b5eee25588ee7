import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.media.outlines import BLUE, ORANGE, WHITE, Outline, draw_outlines

BLACK = np.zeros((60, 80, 3), np.uint8)


def test_a_line_is_centred_on_the_edge_of_its_box() -> None:
    image = draw_outlines(BLACK, [Outline((20, 10, 50, 40), ORANGE, width=2, edged=False)])
    rows, columns = np.nonzero((image == ORANGE).all(axis=2))
    # pixels 19 and 20 lie on both sides of x = 20, pixels 49 and 50 of x = 50
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (19, 50, 9, 40)
    assert (image[25, [19, 20, 49, 50]] == ORANGE).all()
    assert not image[25, 21:49].any()
    assert not BLACK.any()  # a new image


@pytest.mark.parametrize("background", [0, 128, 255])
def test_an_outline_stands_out_from_any_background(background: int) -> None:
    image = draw_outlines(np.full_like(BLACK, background), [Outline((20, 10, 50, 40), BLUE)])
    dark, line, light = image[25, 18].astype(int), image[25, 19], image[25, 21].astype(int)
    assert (line == BLUE).all()
    assert dark.max() < 40 < 200 < light.min()


def test_dashes_have_gaps_and_corners() -> None:
    image = draw_outlines(BLACK, [Outline((10, 10, 70, 50), BLUE, dashed=True)])
    line = (image[10] == BLUE).all(axis=1)[9:71]
    assert 0.4 < line.mean() < 0.75
    assert line[0]
    assert line[-1]
    assert (line == line[::-1]).all()
    # the edges have the same gaps
    on_white = draw_outlines(np.full_like(BLACK, 255), [Outline((10, 10, 70, 50), BLUE, dashed=True)])
    assert ((on_white[8] < 40).all(axis=1)[14:66] == line[5:57]).all()
    assert ((image[11] > 200).all(axis=1)[14:66] == line[5:57]).all()


def test_lines_at_the_edge_of_the_picture_are_whole() -> None:
    image = draw_outlines(BLACK, [Outline((0, 0, 80, 60), ORANGE, edged=False)])
    assert (image[30, [0, 1, 78, 79]] == ORANGE).all()
    # what lies outside is not drawn at the edge
    assert not draw_outlines(BLACK, [Outline((-50, -50, 200, 200), ORANGE)]).any()
    half = draw_outlines(BLACK, [Outline((60, 20, 120, 40), ORANGE, edged=False)])
    assert not (half[22:38, 70:] == ORANGE).all(axis=2).any()
    assert (half[20, 60:80] == ORANGE).all()


def test_tiny_boxes_are_drawn_large_enough_to_see() -> None:
    rows, columns = np.nonzero((draw_outlines(BLACK, [Outline((40, 30, 40, 30), WHITE)]) == WHITE).all(axis=2))
    assert 7 <= np.ptp(columns) <= 10
    assert 7 <= np.ptp(rows) <= 10


def test_opacity_mixes() -> None:
    image = draw_outlines(BLACK, [Outline((20, 10, 50, 40), (200, 100, 50), edged=False, opacity=0.5)])
    assert image[25, 20].tolist() == [100, 50, 25]


@given(st.tuples(*[st.floats(-200, 200)] * 4), st.booleans(), st.integers(1, 4))
def test_any_box_can_be_drawn(corners: tuple[float, float, float, float], dashed: bool, width: int) -> None:
    x, y, z, w = corners
    box = (min(x, z), min(y, w), max(x, z), max(y, w))
    assert draw_outlines(BLACK, [Outline(box, BLUE, dashed=dashed, width=width)]).shape == BLACK.shape
