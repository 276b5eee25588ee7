"""From the network's `raw` tensor to scored candidates, before any suppression.

score = confidence x class probability; every class of a box whose score passes is a candidate of its own.

Shape letters: N batch, S grid side, B predictors per cell, C classes, P = S·S·B predictors, K candidates.
"""

import numpy as np
import torch
from torch import Tensor

from yolo.grid import GridParts, GridSpec
from yolo.structures import Detections

# Far more than an image has objects, few enough for a quick suppression.
MAX_CANDIDATES = 4096


def decode(
    grid: GridSpec,
    raw: Tensor,
    *,
    input_hw: tuple[int, int],
    score_threshold: float,
    max_candidates: int = MAX_CANDIDATES,
) -> list[Detections]:
    """Candidates of each image of a batch.

    Args:
        grid: the grid of `raw`.
        raw: (N, S, S, D) network output, on the CPU.
        input_hw: height and width of the network's input.
        score_threshold: candidates must score more than this.
        max_candidates: keep at most this many per image, the best ones.

    Returns:
        One `Detections` per image in pixels of the input, ordered by falling score; equal scores keep the
        order row, column, predictor, class. Boxes may reach beyond the input: suppression compares what the
        network answered, as darknet's does.
    """
    parts = grid.activate_raw(raw.float())
    scores = parts.confidence[..., None] * parts.class_probs[..., None, :]  # (N, S, S, B, C)
    return [
        _candidates(
            grid,
            GridParts(*(part[image] for part in parts)),
            scores[image],
            input_hw=input_hw,
            score_threshold=score_threshold,
            max_candidates=max_candidates,
        )
        for image in range(len(raw))
    ]


def _candidates(
    grid: GridSpec,
    parts: GridParts,
    scores: Tensor,
    *,
    input_hw: tuple[int, int],
    score_threshold: float,
    max_candidates: int,
) -> Detections:
    """Candidates of one image from its activated parts (S, S, …) and scores (S, S, B, C)."""
    flat = scores.flatten()
    # a network whose answers overflow (darknet's batch norms in their first updates) has not found anything
    passing = torch.nonzero((flat > score_threshold) & flat.isfinite()).squeeze(1)
    best_first = flat[passing].argsort(descending=True, stable=True)[:max_candidates]
    chosen = passing[best_first]  # (K)
    # numpy's is one step where torch's is a dozen; post-processing is on the CPU
    places = np.unravel_index(chosen.numpy(), tuple(scores.shape))
    row, col, predictor, label = (torch.from_numpy(place) for place in places)  # each (K)
    # only the boxes of candidates are decoded: they are few among all predictors
    own = GridParts(
        offset_xy=parts.offset_xy[row, col, predictor][:, None],  # (K, 1, 2)
        size_wh=parts.size_wh[row, col, predictor][:, None],
        confidence=parts.confidence[row, col, predictor][:, None],
        class_probs=parts.class_probs[row, col],
    )
    boxes = grid.decode_cells(own, row=row, col=col).squeeze(1)  # (K, 4)
    height, width = input_hw
    in_pixels = boxes * boxes.new_tensor((width, height, width, height))
    return Detections(boxes=in_pixels, scores=flat[chosen], labels=label, size_hw=input_hw)
