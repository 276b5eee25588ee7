"""From the network's `raw` tensor to scored candidates, before any suppression.

score = confidence x class probability; every class of a box whose score passes is a candidate of its own.

Shape letters: N batch, S grid side, B predictors per cell, C classes, P = S·S·B predictors, K candidates.
"""

import torch
from torch import Tensor

from yolo.boxes import clip_to_image
from yolo.grid import GridSpec
from yolo.structures import Detections


def decode(
    grid: GridSpec,
    raw: Tensor,
    *,
    input_hw: tuple[int, int],
    score_threshold: float,
    max_candidates: int = 4096,
) -> list[Detections]:
    """Candidates of each image of a batch.

    Args:
        grid: the grid of `raw`.
        raw: (N, S, S, D) network output.
        input_hw: height and width of the network's input; boxes are clipped to it.
        score_threshold: candidates must score more than this.
        max_candidates: keep at most this many per image, the best ones.

    Returns:
        One `Detections` per image in pixels of the input, ordered by falling score; equal scores keep the
        order row, column, predictor, class.
    """
    parts = grid.activate(grid.split(raw.float()))
    height, width = input_hw
    boxes = grid.decode_boxes(parts) * raw.new_tensor((width, height, width, height), dtype=torch.float32)
    scores = parts.confidence[..., None] * parts.class_probs[..., None, :]  # (N, S, S, B, C)
    return [
        _candidates(
            image_boxes.reshape(-1, 4),
            image_scores.reshape(-1, grid.num_classes),
            input_hw,
            score_threshold,
            max_candidates,
        )
        for image_boxes, image_scores in zip(boxes, scores, strict=True)
    ]


def _candidates(
    boxes: Tensor, scores: Tensor, input_hw: tuple[int, int], score_threshold: float, max_candidates: int
) -> Detections:
    """Candidates of one image from (P, 4) boxes and (P, C) scores."""
    flat = scores.flatten()  # (P·C)
    passing = torch.nonzero(flat > score_threshold).squeeze(1)
    order = flat[passing].argsort(descending=True, stable=True)[:max_candidates]
    chosen = passing[order]
    predictor = torch.div(chosen, scores.shape[1], rounding_mode="floor")
    return Detections(
        boxes=clip_to_image(boxes[predictor], input_hw),
        scores=flat[chosen],
        labels=chosen - predictor * scores.shape[1],
        size_hw=input_hw,
    )
