"""Mixup: two images shine through each other, and the objects of both are there.

Idea: Zhang et al. 2018 (mixup); for detection without weights on the objects, as in Zhang et al. 2019 (Bag of
Freebies for training object detection networks).
"""

from dataclasses import replace

import cv2
import numpy as np

from yolo.structures import GroundTruth, Sample

# Of the Beta distribution: shares mostly between 0.25 and 0.75, so that no image all but vanishes.
_SHAPE = 8.0


def draw_share(generator: np.random.Generator) -> float:
    """The share of the first image."""
    return float(generator.beta(_SHAPE, _SHAPE))


def mixup(first: Sample, second: Sample, share: float) -> Sample:
    """`share` of the first image and 1 - `share` of the second, of one size, with the objects of both."""
    image = cv2.addWeighted(first.image, share, second.image, 1 - share, 0.0)
    ground_truth = GroundTruth.concatenate([first.ground_truth, second.ground_truth])
    return replace(first, image=np.asarray(image, np.uint8), ground_truth=ground_truth, geometry=None)
