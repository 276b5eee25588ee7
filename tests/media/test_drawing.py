import numpy as np
import pytest
import torch

from yolo.media.drawing import (
    class_colour,
    contact_sheet,
    draw_detections,
    draw_ground_truth,
    draw_targets,
    side_by_side,
    with_caption,
)
from yolo.structures import Detections, GroundTruth, Targets

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


def test_nothing_found_changes_nothing() -> None:
    assert (draw_detections(BLACK, Detections.empty((120, 160)), ()) == BLACK).all()
    assert (draw_ground_truth(BLACK, GroundTruth.empty(), ()) == BLACK).all()


def test_difficult_and_crowd_are_told_apart() -> None:
    boxes = [[40, 50, 100, 90]]
    pictures = [
        draw_ground_truth(BLACK, GroundTruth.from_boxes(boxes, [0], **flags), ("a",))
        for flags in ({}, {"difficult": [True]}, {"iscrowd": [True]})
    ]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_sheets_hold_every_image() -> None:
    images = [np.full((30, 40, 3), 50 + 50 * k, np.uint8) for k in range(4)]
    sheet = contact_sheet(images[:3], columns=2, size=80)
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
