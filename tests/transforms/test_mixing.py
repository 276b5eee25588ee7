from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.samples import sample
from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import WarpParams
from yolo.transforms.mixing import copy_paste, covered_shares, draw_share, mixup, mosaic

GREEN = (0, 255, 0)


def test_mosaic_shows_four_images_and_boxes_on_their_pixels() -> None:
    generator = np.random.default_rng(0)
    tiles = [sample(index, 40 * index) for index in range(4)]
    for _ in range(20):
        result = mosaic(tiles, generator, scale=0.3, limits=WarpParams())
        assert result.image.shape == (64, 64, 3)
        assert result.index == 0
        for x1, y1, x2, y2 in result.ground_truth.boxes.round().astype(int):
            inside = result.image[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].reshape(-1, 3)
            if len(inside):
                assert np.abs(inside.mean(axis=0) - (200, 30, 60)).max() < 12
        assert {0, 40, 80, 120} & set(np.unique(result.image[..., 1]).tolist())


def test_tiles_meet_a_quarter_of_the_side_from_the_border_at_least() -> None:
    generator = np.random.default_rng(0)
    tiles = [Sample(np.full((100, 200, 3), level, np.uint8), GroundTruth.empty(), 0) for level in (10, 20, 30, 40)]
    images = [mosaic(tiles, generator, scale=0, limits=WarpParams()).image for _ in range(500)]
    columns = [np.flatnonzero(image[0, :, 0] == 20)[0] for image in images]
    rows = [np.flatnonzero(image[:, 0, 0] == 30)[0] for image in images]
    # of 200 columns from 50 to 149, of 100 rows from 25 to 74
    assert (min(columns), max(columns)) == (50, 149)
    assert (min(rows), max(rows)) == (25, 74)


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
    shares = [draw_share(generator) for _ in range(5000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.01)
    assert np.std(shares) == pytest.approx(
        (1 / (4 * 17)) ** 0.5, rel=0.03
    )  # of Beta(8, 8): ab / (a + b)² / (a + b + 1)


def scene(
    box: tuple[int, int, int, int], *, colour: tuple[int, int, int] = GREEN, index: int = 0, **flags: Any
) -> Sample:
    image = np.zeros((100, 120, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = colour
    return Sample(image, GroundTruth.from_boxes([box], [index], **flags), index)


EMPTY = Sample(np.zeros((100, 120, 3), np.uint8), GroundTruth.empty(), 0)


@given(st.integers(0, 2**32))
def test_pasted_objects_are_where_their_boxes_are_and_cover_little(seed: int) -> None:
    red = scene((10, 10, 50, 40), colour=(255, 0, 0))
    donor = scene((30, 20, 60, 70), index=4)
    result = copy_paste(red, [donor], np.random.default_rng(seed), scale=0.5)
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
    assert ((result.image[..., 1] > 0) <= painted).all()  # nothing outside the boxes changed
    assert (red.image == scene((10, 10, 50, 40), colour=(255, 0, 0)).image).all()


def test_up_to_three_objects_are_pasted_and_a_tenth_of_another_may_be_covered() -> None:
    donor = scene((30, 20, 60, 70), index=4)
    counts, covered = set(), []
    for seed in range(200):
        boxes = copy_paste(EMPTY, [donor], np.random.default_rng(seed), scale=0.2).ground_truth.boxes
        counts.add(len(boxes))
        covered += [covered_shares(boxes[place], boxes[:place]).max() for place in range(1, len(boxes))]
    assert counts == {1, 2, 3}
    assert 0.095 < max(covered) <= 0.1


def test_ten_places_are_drawn_for_an_object() -> None:
    generator, same = np.random.default_rng(3), np.random.default_rng(3)
    copy_paste(EMPTY, [scene((30, 20, 60, 70))], generator, scale=0.5)
    for _ in range(same.integers(1, 4)):
        same.integers(1)  # which object
        same.uniform(size=2)  # scale, mirrored
        same.random((10, 2))
    assert generator.random() == same.random()


def test_the_edge_of_a_pasted_object_fades_over_three_pixels() -> None:
    result = copy_paste(EMPTY, [scene((30, 20, 60, 70))], np.random.default_rng(3), scale=0)
    x1, y1, x2, y2 = result.ground_truth.boxes[0].astype(int).tolist()
    # a quarter, a half and three quarters of 255, rounded to even
    assert result.image[(y1 + y2) // 2, x1 : x1 + 5, 1].tolist() == [64, 128, 191, 255, 255]
    assert (result.image[y1 + 3 : y2 - 3, x1 + 3 : x2 - 3] == GREEN).all()


@pytest.mark.parametrize("flags", [{"difficult": [True]}, {"iscrowd": [True]}])
def test_crowds_and_difficult_objects_stay_where_they_are(flags: dict[str, Any]) -> None:
    assert copy_paste(EMPTY, [scene((30, 20, 60, 70), **flags)], np.random.default_rng(0), scale=0.5) is EMPTY


def test_objects_are_copied_from_eight_pixels_on() -> None:
    generator = np.random.default_rng(0)
    for width in (7.95, 8.0):
        donor = Sample(EMPTY.image, GroundTruth.from_boxes([[30, 20, 30 + width, 70]], [0]), 0)
        assert (copy_paste(EMPTY, [donor], generator, scale=0.5) is EMPTY) == (width < 8)
    assert copy_paste(EMPTY, [], generator, scale=0.5) is EMPTY


def test_no_place_no_paste() -> None:
    # everything is covered by objects already, and what is larger than the image does not fit
    tiles = [[x, y, x + 10, y + 10] for x in range(0, 120, 10) for y in range(0, 100, 10)]
    crowded = Sample(EMPTY.image, GroundTruth.from_boxes(tiles, [0] * len(tiles)), 0)
    donor = scene((0, 0, 119, 99), index=4)
    for seed in range(20):
        assert len(copy_paste(crowded, [donor], np.random.default_rng(seed), scale=0.9).ground_truth) == len(tiles)


def test_covered_shares_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 30, 30], [2, 2, 2, 2]], np.float32)
    # of the first: columns 5 to 10, rows 0 to 10 are half; of the second: 5 of 10 columns, 5 of 10 rows
    shares = covered_shares(np.array([5, 0, 10, 10], np.float32), boxes)
    assert shares.tolist() == pytest.approx([0.5, 0.25, 0, 0])
