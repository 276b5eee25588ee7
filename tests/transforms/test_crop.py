import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.geometry import PADDING_GREY
from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import (
    Crop,
    WarpParams,
    apply_crop,
    clip_objects,
    crop_sample,
    draw_crop,
    draw_warp,
    move_boxes,
    warp_matrix,
    whole_pixels,
)

WHOLE = Crop(1.0, (0.0, 0.0), (100, 100), (100, 100))


def square(x1: int, y1: int, x2: int, y2: int, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """A square on black."""
    image = np.zeros((100, 100, 3), np.uint8)
    image[y1:y2, x1:x2] = colour
    return image


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def box(*corners: float) -> GroundTruth:
    return GroundTruth.from_boxes([corners], [0])


def seen(truth: GroundTruth, crop: Crop, warp: WarpParams | None = None) -> GroundTruth:
    """What a crop leaves of objects, whatever the pixels."""
    return crop_sample(Sample(np.zeros((*crop.source_hw, 3), np.uint8), truth, 0), crop, warp).ground_truth


def test_the_identity_changes_nothing() -> None:
    image, crop = noise(50, 60), Crop(1.0, (0.0, 0.0), (50, 60), (50, 60))
    for warp in (None, WarpParams()):
        assert (apply_crop(image, crop, warp) == image).all()
        assert seen(box(1, 2, 30, 40), crop, warp).boxes.tolist() == [[1, 2, 30, 40]]


@given(st.floats(0.5, 1.4), st.floats(-15, 15), st.floats(-15, 15))
def test_boxes_follow_the_pixels(scale: float, x: float, y: float) -> None:
    crop = Crop(scale, (x, y), (100, 100), (100, 100))
    pixels = apply_crop(square(40, 45, 60, 70), crop)
    rows, cols = np.nonzero(pixels[..., 0] > 127)
    drawn = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
    # the border of the square falls between two pixels: half a pixel and its rounding
    assert seen(box(40, 45, 60, 70), crop).boxes[0].tolist() == pytest.approx([float(v) for v in drawn], abs=1.01)


def test_outside_is_grey() -> None:
    pixels = apply_crop(square(0, 0, 100, 100), Crop(1.0, (-50.0, 0.0), (100, 100), (100, 100)))
    assert (pixels[:, :49] == PADDING_GREY).all()
    assert (pixels[:, 51:] == 255).all()


def test_what_is_mostly_cut_away_is_difficult_and_what_is_wholly_cut_away_goes() -> None:
    boxes = [[0.0, 0, 20, 20], [0, 30, 20, 50], [30, 30, 40, 40]]
    truth = GroundTruth.from_boxes(boxes, [0, 1, 2])
    # shifted left by 17: 3 of 20 columns of the first two remain; by 39: 1 of 10 columns of the third
    cut = seen(truth, Crop(1.0, (17.0, 0.0), (100, 100), (100, 100)))
    assert cut.difficult.tolist() == [True, True, False]
    assert cut.boxes[0].tolist() == [0, 0, 3, 20]
    assert cut.area[0] == pytest.approx(60)
    cut = seen(truth, Crop(1.0, (39.0, 0.0), (100, 100), (100, 100)))
    assert (cut.labels.tolist(), cut.difficult.tolist()) == ([2], [True])


@pytest.mark.parametrize(
    ("left", "right", "difficult"),
    [
        # a quarter of 20 x 20 left: 5 columns, and a little less
        (-15.0, 5.0, False),
        (-15.1, 4.9, True),
        # half of what is 4 wide is left, but at least 2 pixels are needed
        (-2.0, 2.0, False),
        (-1.9, 1.9, True),
        # a thousandth of a pixel is rounding, not a cut
        (-0.0009, 1.5, False),
        (-0.0012, 1.5, True),
    ],
)
def test_how_much_must_be_left_of_a_cut_object(left: float, right: float, difficult: bool) -> None:
    moved = np.array([[left, 0, right, 20]], np.float32)
    clipped = clip_objects(box(0, 0, 20, 20), moved, np.array((0, 0, 100, 100), np.float32))
    assert clipped.difficult.tolist() == [difficult]


def test_small_objects_that_are_not_cut_stay_what_they_are() -> None:
    truth = box(5, 5, 6.5, 6.5)
    assert seen(truth, WHOLE).difficult.tolist() == [False]
    assert seen(truth, Crop(0.5, (0.0, 0.0), (100, 100), (50, 50))).difficult.tolist() == [False]


def test_no_objects() -> None:
    for warp in (None, WarpParams(degrees=10)):
        assert len(seen(GroundTruth.empty(), Crop(1.3, (5.0, 5.0), (64, 64), (64, 64)), warp)) == 0


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


@given(st.floats(0.2, 4), st.floats(-150, 150), st.floats(-150, 150), st.integers(1, 120), st.integers(1, 120))
def test_rounding_moves_no_edge_by_more_than_half_a_pixel(
    scale: float, x: float, y: float, height: int, width: int
) -> None:
    crop = Crop(scale, (x, y), (80, 100), (height, width))
    for span, origin, source_side, side in zip(whole_pixels(crop), (x, y), (100, 80), (width, height), strict=True):
        assert 0 <= span.source_start < span.source_stop <= source_side
        if span.start == span.stop:  # nothing of the image is seen: at most half a pixel of it could be
            assert min(source_side * scale - origin, side) - max(-origin, 0) <= 1
            continue
        assert 0 <= span.start < span.stop <= side
        for source, target in ((span.source_start, span.start), (span.source_stop, span.stop)):
            # half a pixel of the result, half a pixel of the source; a whole one where nothing less is left
            allowed = 0.5 + scale * (0.5 if span.source_stop - span.source_start > 1 else 1.0)
            assert abs(source * scale - origin - target) <= allowed + 1e-6


def test_what_is_seen_is_exactly_what_the_boxes_say() -> None:
    # doubled: each source pixel becomes two, and interpolation reaches one pixel over the border
    crop = Crop(2.0, (40.0, 60.0), (100, 100), (80, 80))
    pixels = apply_crop(square(30, 40, 50, 60), crop)
    assert seen(box(30, 40, 50, 60), crop).boxes.tolist() == [[20, 20, 60, 60]]
    assert (pixels[21:59, 21:59] == 255).all()
    assert (pixels[:19] == 0).all()
    assert (pixels[:, 61:] == 0).all()


def test_an_image_that_is_wholly_outside_leaves_grey_and_no_objects() -> None:
    truth = GroundTruth.from_boxes([[0.0, 0, 100, 100], [0, 0, 5, 5]], [0, 1])
    for origin in ((300.0, 0.0), (-300.0, 0.0), (0.0, 101.0), (0.0, -60.0)):
        crop = Crop(1.0, origin, (100, 100), (50, 50))
        assert (apply_crop(square(0, 0, 100, 100), crop) == PADDING_GREY).all()
        assert len(seen(truth, crop)) == 0


def test_shrinking_to_half_and_below_averages() -> None:
    stripes = np.zeros((100, 100, 3), np.uint8)
    stripes[:, ::2] = 200
    shrunk = apply_crop(stripes, Crop(0.25, (0.0, 0.0), (100, 100), (25, 25)))
    assert (shrunk == 100).all()
    image = noise(100, 100)
    for side, kind in ((45, cv2.INTER_AREA), (50, cv2.INTER_AREA), (55, cv2.INTER_LINEAR)):
        shrunk = apply_crop(image, Crop(side / 100, (0.0, 0.0), (100, 100), (side, side)))
        assert (shrunk == cv2.resize(image, (side, side), interpolation=kind)).all()


def test_a_warp_is_applied_to_the_crop() -> None:
    halved = Crop(0.5, (10.0, -5.0), (100, 100), (60, 60))
    assert seen(box(30, 40, 50, 60), halved, WarpParams()).boxes.tolist() == [[5, 25, 15, 35]]


def test_a_quarter_turn() -> None:
    # clockwise about (50, 50): (x, y) goes to (100 - y, x)
    turn = WarpParams(degrees=90)
    assert seen(box(10, 20, 30, 60), WHOLE, turn).boxes[0].tolist() == pytest.approx([40, 10, 80, 30], abs=1e-4)
    image = noise(100, 100)
    assert (apply_crop(image, WHOLE, turn) == np.rot90(image, -1)).all()


def test_shear_and_perspective_by_hand() -> None:
    # vertical lines lean by 45 degrees: x grows by y - 50
    lean = warp_matrix(WHOLE, WarpParams(shear_x=45)) @ (50, 70, 1)
    assert lean.tolist() == pytest.approx([70, 70, 1])
    # the right edge, 50 from the centre, is a tenth farther away: 50 + 50 / 1.1
    x, y, depth = warp_matrix(WHOLE, WarpParams(perspective_x=0.1)) @ (100, 50, 1)
    assert (x / depth, y / depth) == pytest.approx((50 + 50 / 1.1, 50))


@given(st.floats(-180, 180), st.floats(-20, 20), st.floats(-20, 20), st.floats(-0.1, 0.1), st.floats(0.7, 1.4))
def test_boxes_are_drawn_around_the_warped_pixels(
    degrees: float, shear_x: float, shear_y: float, perspective: float, scale: float
) -> None:
    # centred, so that the square stays inside
    crop = Crop(scale, (50 * scale - 50,) * 2, (100, 100), (100, 100))
    warp = WarpParams(
        degrees=degrees, shear_x=shear_x, shear_y=shear_y, perspective_x=perspective, perspective_y=-perspective
    )
    result = crop_sample(Sample(square(30, 40, 50, 60, (255, 0, 0)), box(30, 40, 50, 60), 0), crop, warp)
    rows, cols = np.nonzero(result.image[..., 0].astype(int) - result.image[..., 1] > 100)
    drawn = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
    # a corner that is thinner than a pixel does not show
    assert result.ground_truth.boxes[0].tolist() == pytest.approx([float(v) for v in drawn], abs=3.0)


@given(st.integers(0, 2**32), st.floats(0, 3), st.floats(0, 1), st.integers(8, 200), st.integers(8, 200))
def test_no_draw_within_the_limits_reaches_the_horizon(
    seed: int, log_scale: float, translate: float, height: int, width: int
) -> None:
    generator = np.random.default_rng(seed)
    limits = WarpParams(degrees=180, shear_x=45, shear_y=45, perspective_x=0.1, perspective_y=0.1)
    warp = draw_warp(generator, limits)
    assert warp is not None
    scale = float(np.exp(generator.uniform(-log_scale, log_scale)))
    shift = generator.uniform(-translate, translate, 2) * (width, height)
    origin = (float(100 * scale / 2 - width / 2 + shift[0]), float(100 * scale / 2 - height / 2 + shift[1]))
    matrix = warp_matrix(Crop(scale, origin, (100, 100), (height, width)), warp)
    corners = np.array([[0, 0, 1], [100, 0, 1], [0, 100, 1], [100, 100, 1]]) @ matrix.T
    assert (corners[:, 2] > 0.3).all()


def test_outside_of_a_warp_is_grey_and_cut_objects_are_marked_as_by_a_crop() -> None:
    turned = apply_crop(np.full((100, 100, 3), 255, np.uint8), WHOLE, WarpParams(degrees=45))
    assert (turned[2, 2] == PADDING_GREY).all()
    assert (turned[50, 50] == 255).all()
    # a corner turned out of the picture: its lowest point is at 50 - (50 - 17) * sqrt(2) = 3.3 of 24
    corner = seen(box(0, 0, 17, 17), WHOLE, WarpParams(degrees=45))
    assert corner.difficult.tolist() == [True]
    assert corner.boxes[0, 3] == pytest.approx(3.33, abs=0.01)


def test_boxes_keep_what_lies_beyond_the_border() -> None:
    crop = Crop(1.0, (10.0, 0.0), (100, 100), (100, 100))
    for warp in (None, WarpParams()):
        moved = move_boxes(np.array([[0, 5, 30, 40]], np.float32), crop, warp)
        assert moved.tolist() == [[-10, 5, 20, 40]]


def test_nothing_is_drawn_where_nothing_may_change() -> None:
    generator = np.random.default_rng(0)
    assert draw_warp(generator, WarpParams()) is None
    assert generator.random() == np.random.default_rng(0).random()
