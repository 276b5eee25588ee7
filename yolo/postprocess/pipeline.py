"""The whole way from `raw` to detections in pixels of the original images: decode, suppress, restore.

From pixels of the network's input back to pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from yolo.boxes import clip_to_image
from yolo.grid import GridSpec
from yolo.postprocess.decode import MAX_CANDIDATES, decode
from yolo.postprocess.nms import suppress
from yolo.structures import Detections, ImageGeometry


def restore(detections: Detections, geometry: ImageGeometry) -> Detections:
    """Undo the letterbox or stretch that `geometry` records, and clip to the original image.

    Detections that lay wholly in the padding are dropped: nothing of them is left on the image.
    """
    offset = detections.boxes.new_tensor(geometry.offset_xy * 2)
    scale = detections.boxes.new_tensor(geometry.scale_xy * 2)
    boxes = clip_to_image((detections.boxes - offset) / scale, geometry.original_hw)
    on_image = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return Detections(boxes, detections.scores, detections.labels, geometry.original_hw)[on_image]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostprocessSettings:
    """What is kept of the candidates.

    Attributes:
        score_threshold: candidates must score more than this.
        iou_threshold: suppress what overlaps a better one of its class by more than this.
        max_detections: per image.
        class_thresholds: C scores, one for each class, that a candidate must reach as well; None for no such limits.
    """

    score_threshold: float
    iou_threshold: float
    max_detections: int
    class_thresholds: tuple[float, ...] | None = None

    def changed(
        self, *, score_threshold: float | None, iou_threshold: float | None, max_detections: int | None
    ) -> PostprocessSettings:
        """These settings with those values in place of its own that are not None."""
        given: dict[str, Any] = {
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
        }
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def postprocess(
    grid: GridSpec, raw: Tensor, geometries: Sequence[ImageGeometry], settings: PostprocessSettings
) -> list[Detections]:
    """Detections of each image of a batch, on the CPU, in pixels of the original image, by falling score.

    Args:
        grid: the grid of `raw`.
        raw: (N, S, S, D) network output.
        geometries: how each image was placed on the input, length N.
        settings: what is kept.
    """
    if not geometries:
        return []
    # decoding is many small steps: on the CPU they cost less than their launches on a GPU would
    candidates = decode(
        grid,
        raw.float().cpu(),
        input_hw=geometries[0].input_hw,
        score_threshold=settings.score_threshold,
        # who asks for more detections than decoding keeps by default gets them
        max_candidates=max(MAX_CANDIDATES, settings.max_detections),
    )
    if settings.class_thresholds is not None:
        # before the limit on their number: what is not wanted of one class takes no place of another
        lowest = torch.tensor(settings.class_thresholds)
        candidates = [found[found.scores >= lowest[found.labels]] for found in candidates]
    return [
        restore(suppress(found, iou_threshold=settings.iou_threshold, max_detections=settings.max_detections), geometry)
        for found, geometry in zip(candidates, geometries, strict=True)
    ]
