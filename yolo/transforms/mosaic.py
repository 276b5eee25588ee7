"""Mosaic: four images share one input, met at a random point.

Objects keep their natural size (only `scale` changes it), because the tiles are cut out, not shrunk.
Idea: Bochkovskiy et al. 2020 (YOLOv4), section 3.3.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import cut_boxes, draw_crop
from yolo.transforms.view import see_boxes, see_image
from yolo.transforms.warp import Bend, draw_bend

# The meeting point stays this share of the side away from the border, so that each tile shows something.
_MARGIN = 0.25
NUM_TILES = 4


def mosaic(samples: Sequence[Sample], generator: np.random.Generator, *, scale: float, limits: Bend) -> Sample:
    """Put four samples of equal size together.

    Args:
        samples: four samples; the first gives the result its index.
        generator: source of the draws.
        scale: see `draw_crop`.
        limits: see `draw_bend`; each tile is bent by itself.
    """
    first = samples[0]
    height, width = first.image.shape[:2]
    middle_x = int(generator.uniform(_MARGIN, 1 - _MARGIN) * width)
    middle_y = int(generator.uniform(_MARGIN, 1 - _MARGIN) * height)
    image = np.empty_like(first.image)
    moved, frames = [], []
    rows, cols = ((0, middle_y), (middle_y, height)), ((0, middle_x), (middle_x, width))
    tiles = [(row, col) for row in rows for col in cols]
    for sample, ((top, bottom), (left, right)) in zip(samples, tiles, strict=True):
        size_hw = (bottom - top, right - left)
        crop = draw_crop(generator, (height, width), size_hw, scale=scale, translate=None)
        bend = draw_bend(generator, limits)
        image[top:bottom, left:right] = see_image(sample.image, crop, bend)
        boxes = see_boxes(sample.ground_truth.boxes, crop, bend)
        moved.append(boxes + np.array((left, top, left, top), np.float32))
        frames.append(np.broadcast_to(np.array((left, top, right, bottom), np.float32), boxes.shape))
    objects = GroundTruth.concatenate([sample.ground_truth for sample in samples])
    ground_truth = cut_boxes(objects, np.concatenate(moved), np.concatenate(frames))
    return replace(first, image=image, ground_truth=ground_truth, geometry=None)
