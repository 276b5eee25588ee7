"""Merging by hand, and against an oracle that knows the objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo.boxes import iou
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.seams import merge_tiles
from yolo.postprocess.tiles import Tile, Tiling
from yolo.structures import Detections

SETTINGS = PostprocessSettings(score_threshold=0.0, iou_threshold=0.5, max_detections=300)
# two tiles of 100 pixels with 40 in common, and the whole image
LEFT, RIGHT, WHOLE = (0, 0, 100, 100), (60, 0, 160, 100), (0, 0, 160, 100)
Row = tuple[float, float, float, float, float]  # x1, y1, x2, y2 in the image, score


def on(tile: Tile, *rows: Row, label: int = 0) -> Detections:
    """Detections in pixels of a tile from boxes in the image."""
    values = torch.tensor(rows).reshape(-1, 5)
    boxes = values[:, :4] - torch.tensor(tile[:2] * 2)
    size_hw = (tile[3] - tile[1], tile[2] - tile[0])
    return Detections(boxes, values[:, 4], torch.full((len(values),), label), size_hw)


def merged(*views: tuple[Tile, Detections]) -> list[Row]:
    """Boxes and scores, rounded, of the merge."""
    found = merge_tiles([view for _, view in views], [tile for tile, _ in views], (100, 160), SETTINGS)
    rows = torch.cat((found.boxes, found.scores[:, None]), dim=1)
    return [tuple(round(value, 2) for value in row) for row in rows.tolist()]


def test_the_cut_box_goes_though_its_score_is_better() -> None:
    left, right = on(LEFT, (70, 10, 100, 40, 0.9)), on(RIGHT, (70, 10, 110, 40, 0.5))
    assert merged((LEFT, left), (RIGHT, right)) == [(70, 10, 110, 40, 0.5)]
    assert merged((RIGHT, right), (LEFT, left)) == [(70, 10, 110, 40, 0.5)]


def test_a_sliver_whose_edge_is_a_little_off_goes() -> None:
    # the object ends 6 pixels into the right tile, which answers with a box of 9: 56 % of it lie in the object
    left, right = on(LEFT, (20, 10, 66, 40, 0.9)), on(RIGHT, (61, 12, 70, 38, 0.4))
    assert merged((LEFT, left), (RIGHT, right)) == [(20, 10, 66, 40, 0.9)]


def test_a_cut_box_that_nobody_completes_stays() -> None:
    assert merged((LEFT, on(LEFT, (80, 10, 100, 40, 0.9))), (RIGHT, on(RIGHT))) == [(80, 10, 100, 40, 0.9)]


def test_halves_become_one_object_with_the_better_score() -> None:
    # wider than the 40 common pixels: each tile shows a part; edges of networks are a little off
    left, right = on(LEFT, (30, 10, 99, 40, 0.6)), on(RIGHT, (61, 11, 130, 41, 0.8))
    assert merged((LEFT, left), (RIGHT, right)) == [(30, 10, 130, 41, 0.8)]


def test_the_whole_image_replaces_halves() -> None:
    left, right = on(LEFT, (30, 10, 100, 40, 0.9)), on(RIGHT, (60, 10, 130, 40, 0.9))
    whole = on(WHOLE, (31, 10, 129, 40, 0.5))
    assert merged((LEFT, left), (RIGHT, right), (WHOLE, whole)) == [(31, 10, 129, 40, 0.5)]


def test_what_scores_much_less_neither_replaces_nor_completes() -> None:
    left, right = on(LEFT, (30, 10, 100, 40, 0.9)), on(RIGHT, (60, 10, 130, 40, 0.1))
    assert merged((LEFT, left), (RIGHT, right)) == [(30, 10, 100, 40, 0.9), (60, 10, 130, 40, 0.1)]
    whole = on(WHOLE, (31, 10, 129, 40, 0.1))
    assert (30, 10, 100, 40, 0.9) in merged((LEFT, left), (RIGHT, right), (WHOLE, whole))


def test_halves_of_two_objects_side_by_side_stay_apart() -> None:
    # both end at the edge of their tile, but at other heights
    left, right = on(LEFT, (30, 10, 100, 40, 0.9)), on(RIGHT, (60, 45, 130, 75, 0.9))
    assert merged((LEFT, left), (RIGHT, right)) == [(30, 10, 100, 40, 0.9), (60, 45, 130, 75, 0.9)]


def test_other_classes_are_other_objects() -> None:
    left, right = on(LEFT, (70, 10, 100, 40, 0.9)), on(RIGHT, (70, 10, 110, 40, 0.5), label=1)
    assert len(merged((LEFT, left), (RIGHT, right))) == 2


def test_classes_that_do_not_count_are_compared() -> None:
    left, right = on(LEFT, (70, 10, 100, 40, 0.9)), on(RIGHT, (70, 10, 110, 40, 0.5), label=1)
    agnostic = replace(SETTINGS, class_agnostic=True)
    found = merge_tiles([left, right], [LEFT, RIGHT], (100, 160), agnostic)
    assert found.boxes.tolist() == [[70, 10, 110, 40]]
    assert found.labels.tolist() == [1]


def test_an_object_found_twice_has_the_better_score_where_suppression_would_keep_both() -> None:
    # 8 pixels wide, 2 apart in both directions: IoU 36 / 92, but 36 / 64 of each lie in the other
    left, right = on(LEFT, (70, 10, 78, 18, 0.6)), on(RIGHT, (72, 12, 80, 20, 0.7))
    assert merged((LEFT, left), (RIGHT, right)) == [(72, 12, 80, 20, 0.7)]


def test_neighbours_that_both_tiles_found_stay_two() -> None:
    # 24 pixels wide, 10 apart: the share of each in the other is 14 / 24 > 0.5, but each has a better counterpart
    rows = ((62, 10, 86, 34, 0.9), (72, 10, 96, 34, 0.8))
    shifted = ((63, 10, 87, 34, 0.7), (73, 10, 97, 34, 0.6))
    assert merged((LEFT, on(LEFT, *rows)), (RIGHT, on(RIGHT, *shifted))) == list(rows)


def test_a_small_object_before_a_large_one_of_its_class_stays() -> None:
    # 10 x 10 in 90 x 80: much smaller than what the whole image shows there, and not cut
    left, whole = on(LEFT, (20, 30, 30, 40, 0.5)), on(WHOLE, (5, 10, 95, 90, 0.9))
    assert merged((LEFT, left), (WHOLE, whole)) == [(5, 10, 95, 90, 0.9), (20, 30, 30, 40, 0.5)]


def test_what_a_tile_sees_of_an_object_that_fills_it_goes_though_it_seems_whole() -> None:
    left, whole = on(LEFT, (10, 10, 90, 90, 0.9)), on(WHOLE, (2, 0, 158, 100, 0.6))
    assert merged((LEFT, left), (WHOLE, whole)) == [(2, 0, 158, 100, 0.6)]


def test_at_most_as_many_as_the_settings_allow_and_the_best() -> None:
    rows = [(10.0 * k, 0.0, 10.0 * k + 5, 5.0, 0.1 + 0.05 * k) for k in range(10)]
    few = PostprocessSettings(score_threshold=0.0, iou_threshold=0.5, max_detections=3)
    found = merge_tiles([on(LEFT, *rows), on(RIGHT)], [LEFT, RIGHT], (100, 160), few)
    assert found.scores.tolist() == pytest.approx([0.55, 0.5, 0.45])


def test_nothing_on_any_tile() -> None:
    assert len(merge_tiles([on(LEFT), on(RIGHT), on(WHOLE)], [LEFT, RIGHT, WHOLE], (100, 160), SETTINGS)) == 0


@settings(max_examples=6)
@given(seed=st.integers(0, 10**6), overlap=st.sampled_from((0.1, 0.2, 0.35, 0.5)), noise=st.sampled_from((0.0, 1.0)))
def test_random_objects_are_found_once_and_whole(seed: int, overlap: float, noise: float) -> None:
    """Fields of 130 pixels with one object each; every tile answers with what it sees of them, the edges a bit off."""
    generator = np.random.default_rng(seed)
    height, width, step, size = 520, 650, 130, 128
    objects = []
    for x in range(0, width, step):
        for y in range(0, height, step):
            w, h = generator.integers(12, 124, 2)
            left, top = generator.integers(0, step - w - 2), generator.integers(0, step - h - 2)
            objects.append((x + left, y + top, x + left + w, y + top + h))
    true = torch.tensor(np.array(objects)).float()
    tiles: list[Tile] = [*Tiling(size, overlap).plan((height, width)), (0, 0, width, height)]
    found = []
    for x1, y1, x2, y2 in tiles:
        region = torch.tensor((x1, y1, x2, y2)).float()
        seen = torch.cat((true[:, :2].maximum(region[:2]), true[:, 2:].minimum(region[2:])), dim=1)
        is_whole_image = (x1, y1, x2, y2) == tiles[-1]
        enough = ((seen[:, 2:] - seen[:, :2]) >= (40 if is_whole_image else 6)).all(dim=1)
        boxes = seen[enough] - region[:2].repeat(2)
        boxes = boxes + torch.tensor(generator.uniform(-noise, noise, boxes.shape)).float()
        boxes = boxes.maximum(boxes.new_zeros(4)).minimum((region[2:] - region[:2]).repeat(2))
        scores = torch.tensor(generator.uniform(0.3, 0.99, len(boxes))).float()
        found.append(Detections(boxes, scores, torch.zeros(len(boxes)).long(), (y2 - y1, x2 - x1)))
    result = merge_tiles(found, tiles, (height, width), SETTINGS)
    overlaps = iou(true[:, None], result.boxes)
    assert len(result) == len(true)
    # what reaches out of a tile by less than 2 % counts as whole there; and 2 pixels of 12, in both directions
    least = 0.96 if not noise else 0.7
    assert (overlaps.amax(dim=1) >= least).all()
