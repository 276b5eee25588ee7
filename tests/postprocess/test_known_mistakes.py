"""Mistakes that copies of YOLOv1 are known for between the network's answer and the detections.

`plain_detections` without a mistake is what the package answers; with any of them it answers something else. The
second half does the same for suppression.
"""

from itertools import product

import pytest
import torch
from torch import Tensor

from tests.reference.darknet_layout import cxcywh_to_xyxy
from tests.reference.darknet_nms import nms_by_class
from yolo.boxes import iou
from yolo.grid import GridSpec
from yolo.postprocess.pipeline import decode, suppress
from yolo.structures import Detections

GRID = GridSpec(grid_size=3, boxes_per_cell=2, num_classes=3, coding="linear")
SIZE = (60, 90)
THRESHOLD = 0.05
Row = tuple[int, float, float, float, float, float]  # label, score, x1, y1, x2, y2

DECODING = (
    "the flat answer is taken for cells of B·5+C",
    "a sigmoid is put on linear answers",
    "the score is the confidence alone",
    "a box gets its best class only",
    "a cell gets its best box only",
    "sizes are not squared",
    "rows and columns are exchanged",
    "the best box is kept whatever its score",
    "boxes are cut to whole pixels",
)
SUPPRESSION = (
    "suppression across classes",
    "suppression at the threshold",
    "suppression by confidence instead of score",
)


def flat_answer() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(1, GRID.num_values)


def plain_detections(flat: Tensor, mistake: str = "", *, threshold: float = THRESHOLD) -> list[Row]:
    """Every class of every box whose score passes."""
    side, boxes = GRID.grid_size, range(GRID.boxes_per_cell)
    wrong_order = mistake == "the flat answer is taken for cells of B·5+C"
    raw = flat.view(side, side, -1) if wrong_order else GRID.from_blocks(flat)[0]
    raw = raw.sigmoid() if mistake == "a sigmoid is put on linear answers" else raw
    rows: list[Row] = []
    for row, col in product(range(side), repeat=2):
        parts = GRID.split(raw[row, col])
        best = int(parts.confidence.argmax())
        for j in [best] if mistake == "a cell gets its best box only" else boxes:
            corner = [row, col] if mistake == "rows and columns are exchanged" else [col, row]
            centre = (parts.offset_xy[j] + torch.tensor(corner)) / side
            size = parts.size_wh[j] if mistake == "sizes are not squared" else parts.size_wh[j].square()
            box = cxcywh_to_xyxy(torch.cat((centre, size))) * torch.tensor([SIZE[1], SIZE[0]] * 2)
            box = box.trunc() if mistake == "boxes are cut to whole pixels" else box
            x1, y1, x2, y2 = box.tolist()
            for label, score in scores_of(parts.confidence[j], parts.class_probs, mistake):
                if score > threshold:
                    rows.append((label, score, x1, y1, x2, y2))
    if not rows and mistake == "the best box is kept whatever its score":
        return plain_detections(flat, threshold=-1.0)[:1]
    return sorted(rows)


def scores_of(confidence: Tensor, class_probs: Tensor, mistake: str) -> list[tuple[int, float]]:
    scores = (confidence * class_probs).tolist()
    if mistake == "the score is the confidence alone":
        return [(int(class_probs.argmax()), float(confidence))]
    best_only = mistake == "a box gets its best class only"
    return [(c, score) for c, score in enumerate(scores) if not best_only or score == max(scores)]


def rows_of(found: Detections) -> list[Row]:
    numbers = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return sorted((label, score, *box) for label, score, box in numbers)


def same(a: list[Row], b: list[Row]) -> bool:
    return len(a) == len(b) and all(one == pytest.approx(other, abs=1e-3) for one, other in zip(a, b, strict=True))


def decoded(flat: Tensor, threshold: float = THRESHOLD) -> list[Row]:
    (found,) = decode(GRID, GRID.from_blocks(flat), input_hw=SIZE, score_threshold=threshold)
    return rows_of(found)


def test_the_plain_detections_without_a_mistake_are_ours() -> None:
    assert same(decoded(flat_answer()), plain_detections(flat_answer()))


@pytest.mark.parametrize("mistake", DECODING)
def test_every_known_mistake_of_decoding_would_show(mistake: str) -> None:
    # with nothing to be found, a best box must not be made up
    flat = flat_answer() * 0.1 if mistake == "the best box is kept whatever its score" else flat_answer()
    assert not same(decoded(flat), plain_detections(flat, mistake))


def test_a_high_threshold_cuts_the_end_of_the_curve() -> None:
    flat = flat_answer()
    assert len(decoded(flat, 0.001)) == 2 * 3 * 9  # every box, every class
    assert 0 < len(decoded(flat, 0.4)) < len(decoded(flat, 0.001)) // 2


def test_decoding_leaves_the_answer_of_the_network_alone() -> None:
    for coding in ("linear", "logistic"):
        grid = GridSpec(grid_size=3, boxes_per_cell=2, num_classes=3, coding=coding)
        raw = grid.from_blocks(flat_answer())
        before = raw.clone()
        decode(grid, raw, input_hw=SIZE, score_threshold=0.0)
        assert torch.equal(raw, before)


# Boxes 0 and 1 share half of their area, boxes 1 and 2 exactly half of the larger one, box 3 lies apart.
BOXES = torch.tensor([[0.0, 0, 10, 10], [3.0, 0, 13, 10], [3.0, 0, 8, 10], [40.0, 40, 50, 50]])
CONFIDENCE = torch.tensor([0.9, 0.8, 0.7, 0.6])
# of class 0 box 1 is the best, although box 0 has the highest confidence; of class 1 box 0
CLASS_PROBS = torch.tensor([[0.5, 0.9], [0.9, 0.2], [0.6, 0.5], [0.7, 0.3]])


def plain_suppression(mistake: str = "") -> set[tuple[int, int]]:
    """(box, label) of what is left: best first, each removes what overlaps it by more than 1/2."""
    scores = CONFIDENCE[:, None] * CLASS_PROBS
    keys = CONFIDENCE[:, None].expand_as(scores) if mistake == "suppression by confidence instead of score" else scores
    left: list[tuple[int, int]] = []
    for box, label in sorted(product(range(4), range(2)), key=lambda place: -float(keys[place])):
        overlap = [
            float(iou(BOXES[box], BOXES[other]))
            for other, of in left
            if of == label or mistake == "suppression across classes"
        ]
        limit = 0.5 - (1e-6 if mistake == "suppression at the threshold" else 0)
        if all(value <= limit for value in overlap):
            left.append((box, label))
    return set(left)


def our_suppression() -> set[tuple[int, int]]:
    """(box, label) of what the package leaves."""
    pairs = list(product(range(4), range(2)))
    scores = CONFIDENCE[:, None] * CLASS_PROBS
    candidates = Detections(
        BOXES[[box for box, _ in pairs]],
        torch.stack([scores[pair] for pair in pairs]),
        torch.tensor([label for _, label in pairs]),
        (60, 60),
    )
    kept = suppress(candidates, iou_threshold=0.5, max_detections=100)
    places = {tuple(box): number for number, box in enumerate(BOXES.tolist())}
    return {(places[tuple(box)], int(label)) for box, label in zip(kept.boxes.tolist(), kept.labels, strict=True)}


def test_the_plain_suppression_without_a_mistake_is_ours_and_darknets() -> None:
    listed = nms_by_class(BOXES, CONFIDENCE, CONFIDENCE[:, None] * CLASS_PROBS, iou_threshold=0.5)
    darknets = {(int(listed.order[k]), label) for k, label in torch.nonzero(listed.scores).tolist()}
    assert our_suppression() == darknets == plain_suppression()


@pytest.mark.parametrize("mistake", SUPPRESSION)
def test_every_known_mistake_of_suppression_would_show(mistake: str) -> None:
    assert our_suppression() != plain_suppression(mistake)
