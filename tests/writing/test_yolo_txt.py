import numpy as np
import pytest
from hypothesis import given, settings

from tests.writing.truths import sized_truths
from yolo.structures import GroundTruth
from yolo.writing.yolo_txt import label_text


def read_line(line: str, size_hw: tuple[int, int]) -> list[float]:
    """Class and float32 corners that a line stands for, cut to the image: what the format says, spelled out."""
    height, width = size_hw
    label, *numbers = map(float, line.split())
    if len(numbers) == 4:
        cx, cy, w, h = numbers
        corners = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
    else:
        xs, ys = numbers[::2], numbers[1::2]
        corners = [min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height]
    x1, y1, x2, y2 = corners
    cut = [max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)]
    return [label, *np.array(cut).astype(np.float32).tolist()]


@settings(max_examples=400)
@given(sized_truths())
def test_every_float32_box_is_read_back_to_the_last_bit(case: tuple[tuple[int, int], GroundTruth]) -> None:
    size_hw, truth = case
    lines = label_text(truth, size_hw).splitlines()
    expected = np.column_stack([truth.labels, truth.boxes]).tolist()
    assert [read_line(line, size_hw) for line in lines] == expected


def test_whole_pixels_need_few_digits() -> None:
    # 40 x 20 pixels: box (10, 5)..(20, 10) has its centre at (15, 7.5), 0.375 and 0.375 of the image
    truth = GroundTruth.from_boxes([[10, 5, 20, 10]], [2])
    assert label_text(truth, (20, 40)) == "2 0.375 0.375 0.25 0.25\n"


def test_numbers_are_as_short_as_they_can_be() -> None:
    # a third of 640 pixels: with one decimal less, centre and size no longer give 213 and 426
    truth = GroundTruth.from_boxes([[213, 0, 426, 480]], [0])
    _, cx, cy, w, h = label_text(truth, (480, 640)).split()
    assert (cy, h) == ("0.5", "1")
    decimals = len(cx.split(".")[1])
    assert decimals <= 8
    fewer = f"0 {float(cx):.{decimals - 1}f} 0.5 {float(w):.{decimals - 1}f} 1"
    assert read_line(fewer, (480, 640)) != [0, 213, 0, 426, 480]


def test_corners_that_no_centre_can_bring_back_make_a_polygon() -> None:
    truth = GroundTruth.from_boxes([[1e-30, 0, 39, 20]], [1])
    text = label_text(truth, (20, 40))
    assert len(text.split()) == 7
    assert read_line(text, (20, 40)) == [1, float(np.float32(1e-30)), 0, 39, 20]


def test_a_background_has_no_text() -> None:
    assert label_text(GroundTruth.empty(), (20, 40)) == ""


@pytest.mark.parametrize("size", [1, 7, 500, 4096])
def test_no_number_leaves_the_image_by_more_than_a_whisker(size: int) -> None:
    truth = GroundTruth.from_boxes([[0, 0, size, size], [0, 0, size / 3, size]], [0, 0])
    for line in label_text(truth, (size, size)).splitlines():
        cx, cy, w, h = map(float, line.split()[1:])
        assert all(0 < number <= 1 for number in (cx, cy, w, h))
        corners = np.array([cx - w / 2, cy - h / 2, 1 - cx - w / 2, 1 - cy - h / 2]) * size
        assert corners.min() > -1e-3
