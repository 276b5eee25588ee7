"""The plan of the tiles, and detection on synthetic pictures with a detector that finds blobs."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolo.arrays import UInt8
from yolo.errors import ConfigError
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.tiles import Tiling, detect_tiled
from yolo.structures import Detections

SETTINGS = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=300)
COLOURS = ((255, 0, 0), (0, 0, 255))
_INPUT, _SMALLEST = 160, 4  # side of the input, and of the smallest object that is seen on it


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    size=st.integers(32, 700),
    overlap=st.floats(0.05, 0.75).map(lambda value: round(value, 3)),
)
def test_the_plan_covers_every_pixel_and_overlaps_as_asked(height: int, width: int, size: int, overlap: float) -> None:
    tiling = Tiling(size, overlap)
    tiles = tiling.plan((height, width))
    assert tiles == Tiling(size, overlap).plan((height, width))
    rows = sorted({(y1, y2) for _, y1, _, y2 in tiles})
    columns = sorted({(x1, x2) for x1, _, x2, _ in tiles})
    assert tiles == [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]
    for spans, length in ((rows, height), (columns, width)):
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(end - start == min(size, length) for start, end in spans)
        # neighbours overlap as asked, so nothing between them is left out
        assert all(left[1] - right[0] >= overlap * size for left, right in pairwise(spans))
        # and no tile could be spared
        assert len(spans) == 1 or length > (len(spans) - 1) * int(size * (1 - overlap) + 1e-9) + overlap * size


def test_the_plan_of_a_photo_by_hand() -> None:
    # 640 * 0.8 = 512: 4000 = 640 + 6.56 * 512 needs 7 steps, 3000 = 640 + 4.6 * 512 needs 5
    tiles = Tiling(640, 0.2).plan((3000, 4000))
    assert len(tiles) == 8 * 6
    assert tiles[0] == (0, 0, 640, 640)
    assert tiles[-1] == (3360, 2360, 4000, 3000)
    # exactly two tiles
    assert Tiling(100, 0.2).plan((100, 180)) == [(0, 0, 100, 100), (80, 0, 180, 100)]
    assert len(Tiling(100, 0.2).plan((100, 181))) == 3


@pytest.mark.parametrize(
    ("size", "overlap"), [(31, 0.2), (0, 0.2), (-5, 0.2), (64, 0.04), (64, 0.76), (64, float("nan"))]
)
def test_impossible_tilings(size: int, overlap: float) -> None:
    with pytest.raises(ConfigError, match=r"tile must be|overlap must be"):
        Tiling(size, overlap)


def find_blobs(images: Sequence[UInt8]) -> list[Detections]:
    """A detector with an input of 160 pixels: the box of every blob that is at least 4 pixels wide and high on it."""
    found = []
    for image in images:
        height, width = image.shape[:2]
        scale = _INPUT / max(height, width)
        boxes, labels = [], []
        for label, colour in enumerate(COLOURS):
            mask = cv2.inRange(image, colour, colour)
            for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask)[2][1:].tolist():
                if min(w, h) * scale >= _SMALLEST:
                    boxes.append((x, y, x + w, y + h))
                    labels.append(label)
        scores = torch.full((len(boxes),), 0.9)
        found.append(
            Detections(torch.tensor(boxes).reshape(-1, 4).float(), scores, torch.tensor(labels).long(), (height, width))
        )
    return found


def paint(size_hw: tuple[int, int], objects: Sequence[tuple[int, int, int, int, int]]) -> UInt8:
    image = np.full((*size_hw, 3), 114, np.uint8)
    for x1, y1, x2, y2, label in objects:
        image[y1:y2, x1:x2] = COLOURS[label]
    return image


def rows(found: Detections) -> list[tuple[int, ...]]:
    """x1, y1, x2, y2, label of each detection."""
    return sorted(
        (*map(int, box), label) for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True)
    )


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([(150, 20, 170, 40, 0)], id="whole in the overlap of two tiles"),
        pytest.param([(120, 20, 150, 40, 0)], id="cut by the second tile"),
        pytest.param([(155, 60, 230, 90, 1)], id="cut by the first tile"),
        pytest.param([(100, 60, 220, 90, 1)], id="wider than the overlap, cut by both"),
        pytest.param([(140, 140, 165, 165, 0)], id="at the corner of four tiles"),
        pytest.param([(90, 90, 240, 240, 0)], id="larger than the overlap, at the corner of four tiles"),
        pytest.param([(10, 30, 460, 60, 0)], id="longer than two tiles"),
        pytest.param([(30, 30, 450, 440, 1)], id="larger than four tiles"),
        pytest.param([(100, 60, 150, 90, 0), (151, 60, 220, 90, 0)], id="two neighbours whose gap is on a seam"),
        pytest.param([(100, 60, 220, 90, 0), (100, 92, 220, 122, 0)], id="two below each other, each cut by both"),
        pytest.param([(100, 60, 220, 90, 0), (100, 90, 220, 120, 1)], id="two classes that touch"),
        pytest.param([(0, 0, 20, 20, 0), (460, 460, 480, 480, 1)], id="at the corners of the image"),
        pytest.param([(x, y, x + 12, y + 12, 0) for x in range(2, 460, 24) for y in range(2, 460, 24)], id="a grid"),
        pytest.param([], id="nothing"),
    ],
)
def test_objects_at_seams_are_found_once_and_whole(objects: list[tuple[int, int, int, int, int]]) -> None:
    # tiles of 160 pixels with 53 or 54 in common: seams at 106..160, 213..266, 320..373
    image = paint((480, 480), objects)
    settings = PostprocessSettings(score_threshold=0.25, iou_threshold=0.5, max_detections=1000)
    found = detect_tiled(find_blobs, image, Tiling(160, 0.2), settings)
    assert found.size_hw == (480, 480)
    assert rows(found) == sorted(objects)


def test_tiny_objects_of_a_large_picture() -> None:
    generator = np.random.default_rng(0)
    places = [
        (x, y, *generator.integers(0, 80, 2).tolist()) for x in range(10, 1900, 270) for y in range(10, 1400, 270)
    ]
    objects = [(x + dx, y + dy, x + dx + 12, y + dy + 10, dx % 2) for x, y, dx, dy in places]
    image = paint((1500, 2000), objects)
    assert len(find_blobs([image])[0]) == 0  # 12 pixels of 2000 are one of 160
    assert rows(detect_tiled(find_blobs, image, Tiling(320, 0.2), SETTINGS)) == sorted(objects)


def test_an_image_that_fits_into_a_tile_is_detected_as_without() -> None:
    image = paint((100, 160), [(5, 5, 50, 50, 0), (20, 60, 90, 90, 1)])
    calls: list[int] = []

    def detect(images: Sequence[UInt8]) -> list[Detections]:
        calls.append(len(images))
        return find_blobs(images)

    found = detect_tiled(detect, image, Tiling(160), SETTINGS)
    assert calls == [1]
    assert torch.equal(found.boxes, find_blobs([image])[0].boxes)


def test_batches_are_bounded_and_the_whole_image_comes_last() -> None:
    shapes: list[list[tuple[int, ...]]] = []

    def detect(images: Sequence[UInt8]) -> list[Detections]:
        shapes.append([image.shape for image in images])
        return find_blobs(images)

    detect_tiled(detect, paint((480, 480), []), Tiling(160, 0.2), SETTINGS)
    assert max(map(len, shapes)) <= 8
    assert [shape for batch in shapes for shape in batch] == [(160, 160, 3)] * 16 + [(480, 480, 3)]
