import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.golden import golden_npz
from tests.reference.slow_darknet_images import slow_stretch
from yolo.geometry import ResizeMode, place_boxes, place_image, plan_resize, plan_resizes, stretch_corners
from yolo.structures import GroundTruth


def test_letterbox_keeps_the_aspect_and_centres() -> None:
    plan = plan_resize((100, 200), (64, 64), "letterbox")
    assert plan.scale_xy == (0.32, 0.32)
    assert plan.offset_xy == (0.0, 16.0)
    placed = place_image(np.full((100, 200, 3), 200, np.uint8), plan, "letterbox")
    assert placed.shape == (64, 64, 3)
    assert (placed[16:48] == 200).all()
    assert (placed[:16] == 114).all()
    assert (placed[48:] == 114).all()


def test_stretch_fills_the_input() -> None:
    plan = plan_resize((100, 200), (64, 64), "stretch")
    assert plan.scale_xy == (0.32, 0.64)
    assert (place_image(np.full((100, 200, 3), 7, np.uint8), plan, "stretch") == 7).all()


def test_from_half_the_size_on_pixels_are_averaged() -> None:
    # one bright column in four: linear interpolation would miss it or see nothing else
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::4] = 200
    averaged = place_image(image, plan_resize((64, 64), (32, 32), "stretch"), "stretch")
    assert sorted(np.unique(averaged)) == [0, 100]
    averaged = place_image(image, plan_resize((64, 64), (16, 16), "stretch"), "stretch")
    assert (averaged == 50).all()
    image = noise(64, 64)
    for height, width in ((32, 33), (33, 32)):  # one side is more than half
        interpolated = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        placed = place_image(image, plan_resize((64, 64), (height, width), "stretch"), "stretch")
        assert (placed == interpolated).all()


def test_an_image_of_the_input_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    assert (place_image(image, plan_resize((32, 32), (32, 32), "letterbox"), "letterbox") == image).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 500), (3000, 2), (7, 31)])
def test_extreme_shapes_leave_at_least_a_pixel(size_hw: tuple[int, int]) -> None:
    plan = plan_resize(size_hw, (32, 32), "letterbox")
    assert place_image(np.zeros((*size_hw, 3), np.uint8), plan, "letterbox").shape == (32, 32, 3)


def test_boxes_follow_the_pixels() -> None:
    # a white square on black must lie where its box is placed
    image = np.zeros((90, 160, 3), np.uint8)
    image[30:60, 40:120] = 255
    plan = plan_resize((90, 160), (64, 64), "letterbox")
    x1, y1, x2, y2 = place_boxes(GroundTruth.from_boxes([[40, 30, 120, 60]], [0]), plan).boxes[0].round().astype(int)
    placed = place_image(image, plan, "letterbox")
    assert (placed[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] == 255).all()
    assert placed[y1 - 2, 32, 0] < 128
    assert placed[y2 + 2, 32, 0] < 128


def slow_plan(size_hw: tuple[int, int], input_hw: tuple[int, int], mode: ResizeMode) -> tuple[list[float], list[float]]:
    """Scale and offset, x before y, one number at a time."""
    (height, width), (input_h, input_w) = size_hw, input_hw
    new_h, new_w = input_h, input_w
    if mode == "letterbox":
        ratio = min(input_h / height, input_w / width)
        new_h, new_w = max(1, round(height * ratio)), max(1, round(width * ratio))
    return [new_w / width, new_h / height], [float((input_w - new_w) // 2), float((input_h - new_h) // 2)]


@pytest.mark.parametrize("mode", ["letterbox", "stretch", "stretch_corners"])
def test_many_plans_at_once_are_those_of_single_images(mode: ResizeMode) -> None:
    sizes = np.random.default_rng(0).integers(1, 2000, (300, 2))
    sizes = np.concatenate([sizes, [[1, 2000], [2000, 1], [1, 1], [224, 224]]])
    scales, offsets = plan_resizes(sizes, (224, 320), mode)
    expected = [slow_plan((height, width), (224, 320), mode) for height, width in sizes.tolist()]
    assert list(zip(scales.tolist(), offsets.tolist(), strict=True)) == expected
    assert plan_resize((2000, 1), (224, 320), mode).scale_xy == tuple(scales[-3].tolist())


def test_no_images_have_no_plans() -> None:
    scales, offsets = plan_resizes(np.zeros((0, 2), np.int32), (32, 32), "letterbox")
    assert scales.shape == offsets.shape == (0, 2)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_two_pixels_become_four_by_hand() -> None:
    # corners aligned: the steps are (2 - 1) / (4 - 1) = 1/3 of the way from black to white
    row = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert stretch_corners(row, (1, 4))[0, :, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    column = row.transpose(1, 0, 2)
    assert stretch_corners(column, (4, 1))[:, 0, 2].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_three_pixels_become_two_without_anti_aliasing() -> None:
    row = np.array([[[0, 0, 0], [255, 255, 255], [51, 51, 51]]], np.uint8)
    assert stretch_corners(row, (1, 2))[0, :, 0].tolist() == pytest.approx([0, 0.2])


def test_channels_keep_their_order() -> None:
    image = np.full((5, 5, 3), (255, 0, 51), np.uint8)
    assert stretch_corners(image, (3, 7))[1, 1].tolist() == pytest.approx([1, 0, 0.2])


@given(st.tuples(*[st.integers(1, 12)] * 4), st.integers(0, 99))
def test_equals_the_slow_oracle(sizes: tuple[int, int, int, int], seed: int) -> None:
    height, width, new_h, new_w = sizes
    image = noise(height, width, seed)
    stretched = stretch_corners(image, (new_h, new_w))
    np.testing.assert_allclose(stretched, slow_stretch(image, (new_h, new_w)) / 255, atol=2e-6)


def test_a_size_of_one_takes_the_last_pixel_and_one_pixel_fills_everything() -> None:
    image = noise(4, 6)
    assert stretch_corners(image, (1, 1))[0, 0].tolist() == pytest.approx((image[-1, -1] / 255).tolist())
    np.testing.assert_allclose(stretch_corners(image, (4, 1))[:, 0], image[:, -1] / 255, atol=1e-6)
    filled = stretch_corners(image[:1, :1], (5, 7))
    np.testing.assert_allclose(filled, np.broadcast_to(image[0, 0] / 255, (5, 7, 3)), atol=1e-6)


def test_the_last_row_is_not_black_where_the_float_step_rounds_down() -> None:
    # 447 times the float32 step (n - 1) / 447 is less than n - 1 for these n
    for height in (8, 15, 29, 449):
        white = np.full((height, height, 3), 255, np.uint8)
        assert stretch_corners(white, (448, 448)).min() > 0.999999


def test_the_result_is_contiguous_float32_in_zero_to_one() -> None:
    stretched = stretch_corners(np.full((3, 3, 3), 255, np.uint8), (448, 448))
    assert stretched.dtype == np.float32
    assert stretched.shape == (448, 448, 3)
    assert stretched.flags["C_CONTIGUOUS"]
    assert stretched.max() <= 1


def test_floats_keep_their_unit() -> None:
    image = noise(37, 53)
    fractions = image.astype(np.float32) / np.float32(255)
    assert (stretch_corners(fractions, (37, 53)) == fractions).all()
    np.testing.assert_allclose(stretch_corners(image, (80, 80)), stretch_corners(fractions, (80, 80)), atol=1e-6)


def test_views_and_read_only_images_are_taken_and_left_alone() -> None:
    image = noise(20, 30)
    image.setflags(write=False)
    before = image.copy()
    mirrored = stretch_corners(image[:, ::-1], (16, 16))
    np.testing.assert_allclose(mirrored, stretch_corners(image, (16, 16))[:, ::-1], atol=1e-5)
    fractions = image.astype(np.float32)
    copy = fractions.copy()
    stretch_corners(fractions, (20, 30))[:] = 7
    assert (image == before).all()
    assert (fractions == copy).all()


def test_it_is_not_what_opencv_resizes() -> None:
    image = noise(37, 53)
    resized = cv2.resize(image, (80, 80), interpolation=cv2.INTER_LINEAR) / 255
    assert np.abs(stretch_corners(image, (80, 80)) - resized).max() > 0.05


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (5, 5), (5, 5, 4)])
def test_images_without_pixels_or_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot stretch"):
        stretch_corners(np.zeros(shape, np.uint8), (4, 4))
    with pytest.raises(ValueError, match="cannot stretch"):
        stretch_corners(noise(4, 4), (0, 4))


def test_equals_darknets_resize() -> None:
    arrays = golden_npz("image_ops.npz")
    cases = [("image", key) for key in arrays if key.startswith("resize_")]
    cases += [("image_small", key) for key in arrays if key.startswith("small_resize_")]
    assert len(cases) == 5
    for source, key in cases:
        width, height = (int(side) for side in key.rsplit("_", 1)[1].split("x"))
        stretched = stretch_corners(arrays[source].transpose(1, 2, 0), (height, width))
        np.testing.assert_allclose(stretched.transpose(2, 0, 1), arrays[key], atol=2e-5, err_msg=key)
