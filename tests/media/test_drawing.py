from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolo.media.drawing import (
    BLUE,
    ORANGE,
    Outline,
    batch_sheet,
    class_colour,
    draw_detections,
    draw_ground_truth,
    draw_outlines,
    draw_paths,
    draw_targets,
    image_grid,
    side_by_side,
    with_caption,
)
from yolo.media.labels import WHITE, DrawStyle
from yolo.structures import Batch, Detections, GroundTruth, Targets

BLACK = np.zeros((120, 160, 3), np.uint8)


def found(box: list[float], label: int = 0) -> Detections:
    return Detections(torch.tensor([box]), torch.tensor([0.9]), torch.tensor([label]), (120, 160))


def test_a_box_is_drawn_on_its_edges_in_the_colour_of_its_class() -> None:
    picture = draw_detections(BLACK, found([40, 50, 100, 90], 1), ("a", "b"))
    for row, col in ((70, 40), (70, 99), (89, 70)):
        assert tuple(picture[row, col]) == class_colour(1)
    assert not picture[70, 70].any()
    assert not picture[70, 101].any()


def test_the_image_that_was_given_stays_as_it_is() -> None:
    draw_detections(BLACK, found([40, 50, 100, 90]), ("a",))
    assert not BLACK.any()


@pytest.mark.parametrize("box", [[0, 0, 160, 120], [150, 110, 160, 120], [-20, -20, 5, 5], [0, 0, 0, 0]])
def test_names_stay_on_the_image(box: list[float]) -> None:
    picture = draw_detections(BLACK, found(box), ("a very long class name, much longer than the box",))
    assert picture.shape == BLACK.shape
    assert picture.any()


@pytest.mark.parametrize(("one", "other"), [("ö", "ß"), ("é", "ó"), ("к", "ш"), ("λ", "π")])
def test_names_beyond_ascii_have_letters_of_their_own(one: str, other: str) -> None:
    """A font without a letter draws the same empty box for all it lacks, so two must differ from each other too."""
    missing = "\U0010ffff"
    pictures = [draw_detections(BLACK, found([40, 50, 100, 90]), (name,)) for name in (one, other, missing)]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_labels_cover_neither_objects_nor_each_other_where_there_is_room() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    boxes = [[100.0, 100, 300, 200], [100, 205, 300, 300], [120, 101, 310, 202]]
    style = DrawStyle(labels=False)
    for count in (1, 2, 3):
        one = Detections(torch.tensor(boxes[:count]), torch.full((count,), 0.9), torch.arange(count), (400, 600))
        labelled = draw_detections(image, one, ("a",) * count)
        plain = draw_detections(image, one, ("a",) * count, style=style)
        changed = (labelled != plain).any(axis=2)
        for k, (left, top, right, bottom) in enumerate(one.boxes.int().tolist()):
            assert not changed[top:bottom, left:right].any()
            # the background of each label is all there: letters take some of it
            assert ((labelled == class_colour(k)).all(axis=2) & changed).sum() > 250


def test_a_line_has_the_width_that_was_asked_for() -> None:
    style = DrawStyle(line_width=5, labels=False)
    picture = draw_detections(BLACK, found([40, 50, 100, 90]), ("a",), style=style)
    drawn = (picture == class_colour(0)).all(axis=2)
    assert drawn.sum() == 60 * 40 - 50 * 30
    assert drawn[50:90, 40:100].sum() == drawn.sum()


def test_lines_and_letters_grow_with_the_image() -> None:
    shares = []
    for side in (320, 1280, 3200):
        image, box = np.zeros((side, side, 3), np.uint8), torch.tensor([[0.2, 0.2, 0.8, 0.8]]) * side
        one = Detections(box, torch.tensor([0.9]), torch.tensor([0]), (side, side))
        shares.append(draw_detections(image, one, ("a",)).any(axis=2).mean())
    assert max(shares) < 1.6 * min(shares)


def test_track_ids_are_written_where_there_are_any() -> None:
    pictures = [
        draw_detections(BLACK, found([40, 50, 100, 90]), ("a",), track_ids=ids).tobytes()
        for ids in (None, [-1], [3], [4])
    ]
    assert pictures[0] == pictures[1]
    assert len(set(pictures)) == 3


def test_nothing_found_changes_nothing() -> None:
    assert (draw_detections(BLACK, Detections.empty((120, 160)), ()) == BLACK).all()
    assert (draw_ground_truth(BLACK, GroundTruth.empty(), ()) == BLACK).all()


def test_difficult_and_crowd_objects_look_different() -> None:
    boxes = [[40, 50, 100, 90]]
    pictures = [
        draw_ground_truth(BLACK, GroundTruth.from_boxes(boxes, [0], **flags), ("a",))
        for flags in ({}, {"difficult": [True]}, {"iscrowd": [True]})
    ]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_sheets_hold_every_image() -> None:
    images = [np.full((30, 40, 3), 50 + 50 * k, np.uint8) for k in range(4)]
    sheet = image_grid(images[:3], columns=2, size=80)
    assert sheet.shape == (2 * 60 + 3 * 4, 2 * 80 + 3 * 4, 3)
    assert [int(sheet[34, 40, 0]), int(sheet[34, 124, 0]), int(sheet[98, 40, 0])] == [50, 100, 150]
    pair = side_by_side(images[0], images[1])
    assert pair.shape == (30, 84, 3)
    assert (pair[0, 0, 0], pair[0, -1, 0]) == (50, 100)


def test_ignored_targets_are_grey_and_below_the_others() -> None:
    boxes = [[40.0, 50, 100, 90], [40.0, 50, 80, 90]]
    truth = GroundTruth.from_boxes(boxes, [1, 0], difficult=[False, True])
    targets = Targets.from_ground_truths([truth])
    picture = draw_targets(BLACK, targets, ("a", "b"))
    assert tuple(picture[70, 40]) == class_colour(1)  # the edge they share
    red, green, blue = picture[70, 79].tolist()
    assert red == green == blue > 0
    named = draw_ground_truth(BLACK, truth, ("a", "b"))
    assert tuple(named[70, 79]) == class_colour(0)


def test_an_image_without_targets_stays_as_it_is() -> None:
    assert not draw_targets(BLACK, Targets.from_ground_truths([GroundTruth.empty()]), ("a",)).any()


@pytest.mark.parametrize("caption", ["", "name.jpg", "a/long/path/" * 30, "two\nlines", "\udcff"])
def test_captions_take_one_line_below(caption: str) -> None:
    captioned = with_caption(BLACK, caption)
    assert captioned.shape[1:] == BLACK.shape[1:]
    assert captioned.shape == with_caption(BLACK, "x").shape
    assert (captioned[: len(BLACK)] == BLACK).all()
    assert (np.unique(captioned[len(BLACK) :]).size > 10) == bool(caption)


def test_of_long_captions_the_end_is_shown() -> None:
    one, other, another = (with_caption(BLACK, text) for text in ("a" * 90 + "x", "b" + "a" * 90 + "x", "a" * 90 + "y"))
    assert (one == other).all()
    assert (one != another).any()


BLACK_OUTLINES = np.zeros((60, 80, 3), np.uint8)


def test_a_line_is_centred_on_the_edge_of_its_box() -> None:
    image = draw_outlines(BLACK_OUTLINES, [Outline((20, 10, 50, 40), ORANGE, width=2, edged=False)])
    rows, columns = np.nonzero((image == ORANGE).all(axis=2))
    # pixels 19 and 20 lie on both sides of x = 20, pixels 49 and 50 of x = 50
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (19, 50, 9, 40)
    assert (image[25, [19, 20, 49, 50]] == ORANGE).all()
    assert not image[25, 21:49].any()
    assert not BLACK_OUTLINES.any()  # a new image


@pytest.mark.parametrize("background", [0, 128, 255])
def test_an_outline_stands_out_from_any_background(background: int) -> None:
    image = draw_outlines(np.full_like(BLACK_OUTLINES, background), [Outline((20, 10, 50, 40), BLUE)])
    dark, line, light = image[25, 18].astype(int), image[25, 19], image[25, 21].astype(int)
    assert (line == BLUE).all()
    assert dark.max() < 40 < 200 < light.min()


def test_dashes_have_gaps_and_corners() -> None:
    image = draw_outlines(BLACK_OUTLINES, [Outline((10, 10, 70, 50), BLUE, dashed=True)])
    line = (image[10] == BLUE).all(axis=1)[9:71]
    assert line[:24].tolist() == ([True] * 7 + [False] * 5) * 2
    assert (line == line[::-1]).all()
    # the edges have the same gaps
    on_white = draw_outlines(np.full_like(BLACK_OUTLINES, 255), [Outline((10, 10, 70, 50), BLUE, dashed=True)])
    assert ((on_white[8] < 40).all(axis=1)[14:66] == line[5:57]).all()
    assert ((image[11] > 200).all(axis=1)[14:66] == line[5:57]).all()


def test_lines_at_the_edge_of_the_picture_are_whole() -> None:
    image = draw_outlines(BLACK_OUTLINES, [Outline((0, 0, 80, 60), ORANGE, edged=False)])
    assert (image[30, [0, 1, 78, 79]] == ORANGE).all()
    # what lies outside is not drawn at the edge
    assert not draw_outlines(BLACK_OUTLINES, [Outline((-50, -50, 200, 200), ORANGE)]).any()
    half = draw_outlines(BLACK_OUTLINES, [Outline((60, 20, 120, 40), ORANGE, edged=False)])
    assert not (half[22:38, 70:] == ORANGE).all(axis=2).any()
    assert (half[20, 60:80] == ORANGE).all()
    # up to 3 pixels outside count as at the edge
    for box, seen in (((-3, 20, 40, 40), True), ((-3.5, 20, 40, 40), False)):
        assert (draw_outlines(BLACK_OUTLINES, [Outline(box, ORANGE, edged=False)])[30, 0] == ORANGE).all() == seen


def test_tiny_boxes_are_drawn_large_enough_to_see() -> None:
    # 7 wide, and half of a line of 2 on both sides
    image = draw_outlines(BLACK_OUTLINES, [Outline((40.5, 30.5, 40.5, 30.5), WHITE)])
    rows, columns = np.nonzero((image == WHITE).all(axis=2))
    assert [int(np.ptp(columns)), int(np.ptp(rows))] == [8, 8]


def test_opacity_mixes() -> None:
    image = draw_outlines(BLACK_OUTLINES, [Outline((20, 10, 50, 40), (200, 100, 50), edged=False, opacity=0.5)])
    assert image[25, 20].tolist() == [100, 50, 25]


@given(st.tuples(*[st.floats(-200, 200)] * 4), st.booleans(), st.integers(1, 4))
def test_any_box_can_be_drawn(corners: tuple[float, float, float, float], dashed: bool, width: int) -> None:
    x, y, z, w = corners
    box = (min(x, z), min(y, w), max(x, z), max(y, w))
    assert draw_outlines(BLACK_OUTLINES, [Outline(box, BLUE, dashed=dashed, width=width)]).shape == BLACK_OUTLINES.shape


def sheet_of(size_hw: tuple[int, int], count: int, dtype: torch.dtype = torch.uint8) -> np.ndarray[Any, Any]:
    images = torch.full((count, 3, *size_hw), 0.5) if dtype.is_floating_point else torch.full((count, 3, *size_hw), 128)
    boxes = torch.tensor([[0.0, 0, size_hw[1] / 2, size_hw[0] / 2]]).repeat(count, 1)
    flags = torch.zeros(count, dtype=torch.bool)
    targets = Targets(boxes, torch.zeros(count, dtype=torch.int64), torch.arange(count), flags, 1)
    batch = Batch(images.to(dtype), targets, tuple(range(count)), (None,) * count)
    return batch_sheet(batch, [f"{k}.jpg" for k in range(count)], ("a",))


@pytest.mark.parametrize(
    ("size_hw", "count", "columns", "tile_w"),
    # small inputs become 288 px, large ones 480; the margins are 4 and 6
    [((64, 64), 1, 1, 288), ((320, 320), 5, 3, 320), ((640, 640), 16, 4, 480), ((32, 64), 2, 2, 288)],
)
def test_sheets_are_legible_at_every_size(size_hw: tuple[int, int], count: int, columns: int, tile_w: int) -> None:
    margin = max(4, tile_w // 80)
    assert sheet_of(size_hw, count).shape[1] == columns * (tile_w + margin) + margin


def test_images_in_floats_look_as_those_in_bytes() -> None:
    # 0.5 rounds to 128
    assert (sheet_of((64, 64), 2) == sheet_of((64, 64), 2, torch.float32)).all()


def test_boxes_lie_where_the_tile_was_enlarged() -> None:
    sheet = sheet_of((64, 64), 1).astype(int)
    sheet[148:168] = 0  # the label is below the box
    coloured = np.ptp(sheet, axis=2) > 60
    rows, cols = np.flatnonzero(coloured.any(axis=1)), np.flatnonzero(coloured.any(axis=0))
    # half of 288 px from the margin of 4 on
    assert (rows[0], rows[-1], cols[0], cols[-1]) == (4, 147, 4, 147)


def test_paths_are_white_on_black_and_may_leave_the_image() -> None:
    image = np.full((60, 80, 3), 128, np.uint8)
    draw_paths(image, [[(10, 30), (70, 30)], [(-1e9, 50), (1e9, 50), (1e9, 1e9)]])
    assert image[30, 40].min() > 220
    assert image[50, 40].min() > 220
    assert image[28:33, 40].min() < 40
    assert (image[10, 40] == 128).all()
    assert (image[30, 2] == 128).all()
