import base64
import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from yolo.errors import ImageReadError
from yolo.media.crops import PAPER, cut, decode_reduced, fit, jpeg_uri, ordered, view_around


def test_large_boxes_and_none_give_the_whole_image() -> None:
    assert view_around([], (100, 200), share=0.25, least=8) == (0, 0, 200, 100)
    # 60 / 0.25 = 240 is more than there is
    assert view_around([(10, 10, 70, 50)], (100, 200), share=0.25, least=8) == (0, 0, 200, 100)
    # 41 / 0.25 = 164 is more than 0.8 of 200: rather all of it
    assert view_around([(10, 10, 51, 50)], (100, 200), share=0.25, least=8) == (0, 0, 200, 100)
    # 37 / 0.25 = 148 is not
    assert view_around([(10, 10, 47, 47)], (100, 200), share=0.25, least=8) == (0, 0, 148, 100)


def test_small_boxes_are_shown_with_their_surroundings() -> None:
    # two boxes together are 20 x 10 around (50, 45): a square of 80 around it, moved down into the image
    boxes = [(40.0, 40.0, 50.0, 50.0), (50.0, 42.0, 60.0, 48.0)]
    assert view_around(boxes, (400, 400), share=0.25, least=8) == (10, 5, 90, 85)
    assert view_around([(0, 0, 4, 4)], (400, 400), share=0.25, least=32) == (0, 0, 32, 32)
    assert view_around([(396, 398, 400, 400)], (400, 400), share=0.25, least=32) == (368, 368, 400, 400)


def test_a_view_is_no_larger_than_the_image_on_either_side() -> None:
    # a square of 100 does not fit into a strip of 40
    assert view_around([(200, 10, 225, 20)], (40, 600), share=0.25, least=8) == (162.5, 0, 262.5, 40)


def test_boxes_that_reach_out_take_the_view_with_them() -> None:
    # 20 beyond the right edge and a margin of 2
    assert view_around([(100, 20, 220, 60)], (100, 200), share=0.5, least=8) == (0, 0, 222, 100)
    # never further than half of the image
    assert view_around([(-1e5, -1e5, 1e5, 1e5)], (100, 200), share=0.5, least=8) == (-102, -52, 302, 152)


@given(
    st.tuples(*[st.floats(-500, 1500)] * 4), st.integers(1, 1000), st.integers(1, 1000), st.floats(0.05, 1.0)
)  # fmt: skip
def test_views_hold_the_box_as_far_as_half_an_image_outside(
    corners: tuple[float, float, float, float], height: int, width: int, share: float
) -> None:
    box = ordered(corners)
    x1, y1, x2, y2 = view_around([box], (height, width), share=share, least=8)
    assert x1 < x2
    assert y1 < y2
    for low, high, first, last, size in ((box[0], box[2], x1, x2, width), (box[1], box[3], y1, y2, height)):
        assert first <= max(low, -size / 2) + 1e-6 or low > 1.5 * size
        assert last >= min(high, 1.5 * size) - 1e-6 or high < -size / 2


def test_ordered_bounds_numbers() -> None:
    assert ordered((5, 6, 1, 2)) == (1, 2, 5, 6)
    assert ordered((-math.inf, 0, math.inf, 1)) == (-1e5, 0, 1e5, 1)
    assert ordered((1, 2, 3, 4), (10, 100)) == (10, 200, 30, 400)


def test_beyond_the_image_is_paper() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    piece = cut(image, (4, -1, 8, 2))
    assert piece.shape == (3, 4, 3)
    assert (piece[1:, :2] == 0).all()
    assert (piece[0] == PAPER).all()
    assert (piece[:, 2:] == PAPER).all()
    assert (cut(image, (50, 50, 50, 50)) == PAPER).all()
    assert cut(image, (50, 50, 50, 50)).shape == (1, 1, 3)


def test_fit_scales_the_longer_side() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    picture, factor = fit(image, 300, most=8)
    assert (picture.shape, factor) == ((150, 300, 3), 3.0)
    picture, factor = fit(image, 300, most=2)
    assert (picture.shape, factor) == ((100, 200, 3), 2.0)
    assert fit(np.zeros((1, 1000, 3), np.uint8), 100, most=8)[0].shape == (1, 100, 3)


def test_images_are_reduced_as_far_as_enough_is_left(tmp_path: Path) -> None:
    path = tmp_path / "ä.jpg"
    path.write_bytes(cv2.imencode(".jpg", np.full((400, 801, 3), 90, np.uint8))[1].tobytes())
    for needed, scale in ((100, 1 / 8), (101, 1 / 4), (200, 1 / 4), (400, 1 / 2), (401, 1), (5000, 1)):
        decoded = decode_reduced(path, needed=needed)
        assert decoded.scale == scale
        assert decoded.image.shape == (-(-400 // round(1 / scale)), -(-801 // round(1 / scale)), 3)


def test_what_is_no_image_is_an_error_for_people(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(ImageReadError, match=r"a\.jpg"):
        decode_reduced(path, needed=100)


def test_a_uri_is_the_picture() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15] = (255, 145, 0)
    uris = [jpeg_uri(image, quality=90, sharp_colours=sharp) for sharp in (False, True)]
    colours = []
    for uri in uris:
        kind, _, data = uri.partition(",")
        assert kind == "data:image/jpeg;base64"
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert decoded.shape == image.shape
        colours.append(decoded[10, 15].astype(int))
    off = [np.abs(colour - (255, 145, 0)).max() for colour in colours]
    assert off[1] < 25 < off[0]
