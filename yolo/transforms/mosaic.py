"""Mosaic: four images share one input, met at a random point.

Objects keep their natural size (only `scale` changes it), because the tiles are cut out, not shrunk.
Idea: Bochkovskiy et al. 2020 (YOLOv4), section 3.3.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import crop_ground_truth, crop_image, draw_crop

# The meeting point stays this share of the side away from the border, so that each tile shows something.
_MARGIN = 0.25
NUM_TILES = 4


def mosaic(samples: Sequence[Sample], generator: np.random.Generator, *, scale: float) -> Sample:
    """Put four samples of equal size together.

    Args:
        samples: four samples; the first gives the result its index.
        generator: source of the draws.
        scale: see `draw_crop`.
    """
    first = samples[0]
    height, width = first.image.shape[:2]
    middle_x = int(generator.uniform(_MARGIN, 1 - _MARGIN) * width)
    middle_y = int(generator.uniform(_MARGIN, 1 - _MARGIN) * height)
    image = np.empty_like(first.image)
    parts: list[GroundTruth] = []
    rows, cols = ((0, middle_y), (middle_y, height)), ((0, middle_x), (middle_x, width))
    tiles = [(row, col) for row in rows for col in cols]
    for sample, ((top, bottom), (left, right)) in zip(samples, tiles, strict=True):
        size_hw = (bottom - top, right - left)
        crop = draw_crop(generator, (height, width), size_hw, scale=scale, translate=None)
        image[top:bottom, left:right] = crop_image(sample.image, crop)
        cut = crop_ground_truth(sample.ground_truth, crop)
        shift = np.array((left, top, left, top), np.float32)
        parts.append(replace(cut, boxes=cut.boxes + shift))
    return Sample(image, GroundTruth.concatenate(parts), first.index)
