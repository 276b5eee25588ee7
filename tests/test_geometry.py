import numpy as np
import pytest

from yolo.geometry import PADDING_GREY, ResizeMode, place_boxes, place_image, plan_resize, plan_resizes
from yolo.structures import GroundTruth


def test_letterbox_keeps_the_aspect_and_centres() -> None:
    plan = plan_resize((100, 200), (64, 64), "letterbox")
    assert plan.scale_xy == (0.32, 0.32)
    assert plan.offset_xy == (0.0, 16.0)
    placed = place_image(np.full((100, 200, 3), 200, np.uint8), plan, "letterbox")
    assert placed.shape == (64, 64, 3)
    assert (placed[16:48] == 200).all()
    assert (placed[:16] == PADDING_GREY).all()
    assert (placed[48:] == PADDING_GREY).all()


def test_stretch_fills_the_input() -> None:
    plan = plan_resize((100, 200), (64, 64), "stretch")
    assert plan.scale_xy == (0.32, 0.64)
    assert (place_image(np.full((100, 200, 3), 7, np.uint8), plan, "stretch") == 7).all()


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


@pytest.mark.parametrize("mode", ["letterbox", "stretch", "stretch_corners"])
def test_many_plans_at_once_are_the_single_ones(mode: ResizeMode) -> None:
    sizes = np.random.default_rng(0).integers(1, 2000, (300, 2))
    sizes = np.concatenate([sizes, [[1, 2000], [2000, 1], [1, 1], [224, 224]]])
    scales, offsets = plan_resizes(sizes, (224, 320), mode)
    plans = [plan_resize((height, width), (224, 320), mode) for height, width in sizes.tolist()]
    assert scales.tolist() == [list(plan.scale_xy) for plan in plans]
    assert offsets.tolist() == [list(plan.offset_xy) for plan in plans]


def test_no_images_have_no_plans() -> None:
    scales, offsets = plan_resizes(np.zeros((0, 2), np.int32), (32, 32), "letterbox")
    assert scales.shape == offsets.shape == (0, 2)
