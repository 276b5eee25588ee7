import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.geometry import PADDING_GREY
from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import Crop, cut_boxes, whole_frame
from yolo.transforms.view import see
from yolo.transforms.warp import Bend, draw_bend, warp_boxes, warp_image, warp_matrix

WHOLE = Crop(1.0, (0.0, 0.0), (100, 100), (100, 100))


def disc_and_square() -> np.ndarray:
    """A square of red from (30, 40) to (50, 60) on black."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 30:50] = (255, 0, 0)
    return image


def boxes(*corners: float) -> GroundTruth:
    return GroundTruth.from_boxes([corners], [0])


def warp_ground_truth(truth: GroundTruth, crop: Crop, bend: Bend) -> GroundTruth:
    return cut_boxes(truth, warp_boxes(truth.boxes, crop, bend), whole_frame(crop.size_hw))


def test_no_bend_is_the_crop() -> None:
    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    assert (warp_image(image, WHOLE, Bend()) == image).all()
    assert warp_ground_truth(boxes(30, 40, 50, 60), WHOLE, Bend()).boxes.tolist() == [[30, 40, 50, 60]]
    halved = Crop(0.5, (10.0, -5.0), (100, 100), (60, 60))
    assert warp_ground_truth(boxes(30, 40, 50, 60), halved, Bend()).boxes.tolist() == [[5, 25, 15, 35]]


def test_a_quarter_turn() -> None:
    # clockwise about (50, 50): (x, y) goes to (100 - y, x)
    turn = Bend(degrees=90)
    moved = warp_ground_truth(boxes(10, 20, 30, 60), WHOLE, turn).boxes[0]
    assert moved.tolist() == pytest.approx([40, 10, 80, 30], abs=1e-4)
    image = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    assert (warp_image(image, WHOLE, turn) == np.rot90(image, -1)).all()


def test_shear_and_perspective_by_hand() -> None:
    # vertical lines lean by 45 degrees: x grows by y - 50
    lean = warp_matrix(WHOLE, Bend(shear_x=45)) @ (50, 70, 1)
    assert lean.tolist() == pytest.approx([70, 70, 1])
    # the right edge, 50 from the centre, is a tenth farther away: 50 + 50 / 1.1
    x, y, depth = warp_matrix(WHOLE, Bend(perspective_x=0.1)) @ (100, 50, 1)
    assert (x / depth, y / depth) == pytest.approx((50 + 50 / 1.1, 50))


@given(st.floats(-180, 180), st.floats(-20, 20), st.floats(-20, 20), st.floats(-0.1, 0.1), st.floats(0.7, 1.4))
def test_boxes_are_drawn_around_the_pixels(
    degrees: float, shear_x: float, shear_y: float, perspective: float, scale: float
) -> None:
    # centred, so that the square stays inside
    crop = Crop(scale, (50 * scale - 50,) * 2, (100, 100), (100, 100))
    bend = Bend(
        degrees=degrees, shear_x=shear_x, shear_y=shear_y, perspective_x=perspective, perspective_y=-perspective
    )
    seen = see(Sample(disc_and_square(), boxes(30, 40, 50, 60), 0), crop, bend)
    rows, cols = np.nonzero(seen.image[..., 0].astype(int) - seen.image[..., 1] > 100)
    found = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
    # a corner that is thinner than a pixel does not show
    assert seen.ground_truth.boxes[0].tolist() == pytest.approx([float(v) for v in found], abs=3.0)


@given(st.integers(0, 2**32), st.floats(0, 3), st.floats(0, 1), st.integers(8, 200), st.integers(8, 200))
def test_no_draw_within_the_limits_reaches_the_horizon(
    seed: int, log_scale: float, translate: float, height: int, width: int
) -> None:
    generator = np.random.default_rng(seed)
    bend = draw_bend(generator, Bend(degrees=180, shear_x=45, shear_y=45, perspective_x=0.1, perspective_y=0.1))
    assert bend is not None
    scale = float(np.exp(generator.uniform(-log_scale, log_scale)))
    shift = generator.uniform(-translate, translate, 2) * (width, height)
    origin = (float(100 * scale / 2 - width / 2 + shift[0]), float(100 * scale / 2 - height / 2 + shift[1]))
    matrix = warp_matrix(Crop(scale, origin, (100, 100), (height, width)), bend)
    corners = np.array([[0, 0, 1], [100, 0, 1], [0, 100, 1], [100, 100, 1]]) @ matrix.T
    assert (corners[:, 2] > 0.3).all()


def test_outside_is_grey_and_cut_objects_are_marked_as_by_a_crop() -> None:
    turned = warp_image(np.full((100, 100, 3), 255, np.uint8), WHOLE, Bend(degrees=45))
    assert (turned[2, 2] == PADDING_GREY).all()
    assert (turned[50, 50] == 255).all()
    # a corner turned out of the picture: its lowest point is at 50 - (50 - 17) * sqrt(2) = 3.3 of 24
    corner = warp_ground_truth(boxes(0, 0, 17, 17), WHOLE, Bend(degrees=45))
    assert corner.difficult.tolist() == [True]
    assert corner.boxes[0, 3] == pytest.approx(3.33, abs=0.01)


def test_nothing_is_drawn_where_nothing_may_change() -> None:
    generator = np.random.default_rng(0)
    assert draw_bend(generator, Bend()) is None
    assert generator.random() == np.random.default_rng(0).random()


def test_no_objects() -> None:
    assert len(warp_ground_truth(GroundTruth.empty(), WHOLE, Bend(degrees=10))) == 0
