"""A sample for the tests of transforms."""

import numpy as np

from yolo.structures import GroundTruth, Sample


def sample(index: int = 0, level: int = 90) -> Sample:
    """A 64 x 64 image of one grey level with a red square at (10, 20, 30, 40), of class `index`."""
    image = np.full((64, 64, 3), level, np.uint8)
    image[20:40, 10:30] = (200, 30, 60)
    truth = GroundTruth.from_boxes([[10.0, 20, 30, 40]], [index], iscrowd=[index == 7], area=[333.0])
    return Sample(image, truth, index)
