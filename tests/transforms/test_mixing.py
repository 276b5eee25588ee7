from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.structures import GroundTruth, Sample
from yolo.transforms.mixing import copy_paste, covered_shares, draw_share, mixup


def plain(level: int, label: int) -> Sample:
    truth = GroundTruth.from_boxes([[1.0, 2, 20, 30]], [label], difficult=[label == 2])
    return Sample(np.full((40, 40, 3), level, np.uint8), truth, label)


def test_both_images_shine_through_and_the_objects_of_both_stay() -> None:
    first, second = plain(200, 1), plain(100, 2)
    mixed = mixup(first, second, 0.7)
    assert (mixed.image == 170).all()  # 0.7 * 200 + 0.3 * 100
    assert mixed.index == 1
    assert mixed.ground_truth.labels.tolist() == [1, 2]
    assert mixed.ground_truth.difficult.tolist() == [False, True]
    assert (first.image == 200).all()
    assert (second.image == 100).all()


def test_no_image_all_but_vanishes() -> None:
    generator = np.random.default_rng(0)
    shares = [draw_share(generator) for _ in range(2000)]
    assert 0.48 < np.mean(shares) < 0.52
    assert 0.9 < np.mean([0.25 < share < 0.75 for share in shares]) <= 1


GREEN = (0, 255, 0)


def scene(
    box: tuple[int, int, int, int], *, colour: tuple[int, int, int] = GREEN, index: int = 0, **flags: Any
) -> Sample:
    image = np.zeros((100, 120, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = colour
    return Sample(image, GroundTruth.from_boxes([box], [index], **flags), index)


@given(st.integers(0, 2**32))
def test_pasted_objects_are_where_their_boxes_are_and_cover_little(seed: int) -> None:
    sample = scene((10, 10, 50, 40), colour=(255, 0, 0))
    donor = scene((30, 20, 60, 70), index=4)
    result = copy_paste(sample, [donor], np.random.default_rng(seed), scale=0.5)
    truth = result.ground_truth
    assert 1 <= len(truth) <= 4
    assert truth.labels.tolist() == [0] + [4] * (len(truth) - 1)
    assert truth.boxes[0].tolist() == [10, 10, 50, 40]
    painted = np.zeros((100, 120), bool)
    for place, (x1, y1, x2, y2) in enumerate(truth.boxes[1:].astype(int).tolist(), 1):
        assert 0 <= x1 < x2 <= 120
        assert 0 <= y1 < y2 <= 100
        painted[y1:y2, x1:x2] = True
        assert (covered_shares(truth.boxes[place], truth.boxes[:place]) <= 0.1).all()
    green = result.image[..., 1] > 0
    assert (green <= painted).all()  # nothing outside the boxes changed
    if len(truth) == 2:  # alone
        x1, y1, x2, y2 = truth.boxes[1].astype(int).tolist()
        assert (result.image[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3] == GREEN).all()
        assert 0 < result.image[y1, (x1 + x2) // 2, 1] < 255  # the edge fades
    assert (sample.image == scene((10, 10, 50, 40), colour=(255, 0, 0)).image).all()


@pytest.mark.parametrize("flags", [{"difficult": [True]}, {"iscrowd": [True]}])
def test_crowds_and_difficult_objects_stay_where_they_are(flags: dict[str, Any]) -> None:
    sample = scene((10, 10, 50, 40))
    assert copy_paste(sample, [scene((30, 20, 60, 70), **flags)], np.random.default_rng(0), scale=0.5) is sample


def test_small_objects_and_no_donors_leave_the_sample() -> None:
    sample = scene((10, 10, 50, 40))
    assert copy_paste(sample, [scene((30, 20, 37, 70))], np.random.default_rng(0), scale=0.5) is sample
    assert copy_paste(sample, [], np.random.default_rng(0), scale=0.5) is sample


def test_no_place_no_paste() -> None:
    # everything is covered by objects already, and what is larger than the image does not fit
    full = Sample(
        np.zeros((100, 120, 3), np.uint8), GroundTruth.from_boxes([[0.0, 0, 120, 100], [0, 0, 9, 9]], [0, 0]), 0
    )
    tiles = [[x, y, x + 10, y + 10] for x in range(0, 120, 10) for y in range(0, 100, 10)]
    crowded = Sample(full.image, GroundTruth.from_boxes(tiles, [0] * len(tiles)), 0)
    donor = scene((0, 0, 119, 99), index=4)
    for seed in range(20):
        assert len(copy_paste(crowded, [donor], np.random.default_rng(seed), scale=0.9).ground_truth) == len(tiles)


def test_covered_shares_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 30, 30], [2, 2, 2, 2]], np.float32)
    # of the first: columns 5 to 10, rows 0 to 10 are half; of the second: 5 of 10 columns, 5 of 10 rows
    shares = covered_shares(np.array([5, 0, 10, 10], np.float32), boxes)
    assert shares.tolist() == pytest.approx([0.5, 0.25, 0, 0])
