import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.geometry import PADDING_GREY
from yolo.structures import GroundTruth
from yolo.transforms.crop import Crop, crop_ground_truth, crop_image, draw_crop


def white_square(x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
    image = np.zeros((100, 100, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    return image


def test_the_identity_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8)
    crop = Crop(1.0, (0.0, 0.0), (50, 60))
    assert (crop_image(image, crop) == image).all()
    truth = GroundTruth.from_boxes([[1.0, 2, 30, 40]], [3])
    assert crop_ground_truth(truth, crop).boxes.tolist() == [[1, 2, 30, 40]]


@given(st.floats(0.5, 1.4), st.floats(-15, 15), st.floats(-15, 15))
def test_boxes_follow_the_pixels(scale: float, x: float, y: float) -> None:
    crop = Crop(scale, (x, y), (100, 100))
    pixels = crop_image(white_square(40, 45, 60, 70), crop)
    truth = crop_ground_truth(GroundTruth.from_boxes([[40.0, 45, 60, 70]], [0]), crop)
    rows, cols = np.nonzero(pixels[..., 0] > 127)
    seen = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
    # the border of the square falls between two pixels: half a pixel and its rounding
    assert truth.boxes[0].tolist() == pytest.approx([float(v) for v in seen], abs=1.01)


def test_outside_is_grey() -> None:
    pixels = crop_image(white_square(0, 0, 100, 100), Crop(1.0, (-50.0, 0.0), (100, 100)))
    assert (pixels[:, :49] == PADDING_GREY).all()
    assert (pixels[:, 51:] == 255).all()


def test_what_is_mostly_cut_away_is_difficult_and_what_is_wholly_cut_away_goes() -> None:
    boxes = [[0.0, 0, 20, 20], [0, 30, 20, 50], [30, 30, 40, 40]]
    # shifted left by 17: 3 of 20 columns of the first two remain; by 39: 1 of 10 columns of the third
    cut = crop_ground_truth(GroundTruth.from_boxes(boxes, [0, 1, 2]), Crop(1.0, (17.0, 0.0), (100, 100)))
    assert cut.difficult.tolist() == [True, True, False]
    assert cut.boxes[0].tolist() == [0, 0, 3, 20]
    assert cut.area[0] == pytest.approx(60)
    cut = crop_ground_truth(GroundTruth.from_boxes(boxes, [0, 1, 2]), Crop(1.0, (39.0, 0.0), (100, 100)))
    assert (cut.labels.tolist(), cut.difficult.tolist()) == ([2], [True])


def test_small_objects_that_are_not_cut_stay_what_they_are() -> None:
    truth = GroundTruth.from_boxes([[5.0, 5, 6.5, 6.5]], [0])
    kept = crop_ground_truth(truth, Crop(1.0, (0.0, 0.0), (100, 100)))
    assert kept.difficult.tolist() == [False]
    assert crop_ground_truth(truth, Crop(0.5, (0.0, 0.0), (50, 50))).difficult.tolist() == [False]


def test_no_objects() -> None:
    assert len(crop_ground_truth(GroundTruth.empty(), Crop(1.3, (5.0, 5.0), (64, 64)))) == 0


def test_draws_stay_in_their_limits() -> None:
    generator = np.random.default_rng(0)
    crops = [draw_crop(generator, (100, 200), (50, 80), scale=0.5, translate=0.1) for _ in range(300)]
    factors = np.array([crop.scale for crop in crops])
    assert 1 / 1.5 <= factors.min() < 0.7
    assert 1.45 < factors.max() <= 1.5
    shifts = [crop.origin_xy[0] - (200 * crop.scale - 80) / 2 for crop in crops]
    assert 7.5 < max(np.abs(shifts)) <= 8.0
    anywhere = [draw_crop(generator, (100, 200), (50, 80), scale=0.0, translate=None) for _ in range(300)]
    origins = np.array([crop.origin_xy for crop in anywhere])
    assert (origins >= 0).all()
    assert (origins <= (120, 50)).all()
