"""The only file that knows albumentations: any of its pipelines as a transform of a `Sample`.

It is imported when a pipeline is built, because it is slow to import, and it is told not to look for updates
over the network.
"""

import os
import random
from dataclasses import replace
from typing import Any

import numpy as np

from yolo.structures import Sample


class AlbumentationsPipeline:
    """A list of albumentations transforms, applied with the draws of a given generator.

    Args:
        transforms: instances of albumentations transforms.
    """

    def __init__(self, transforms: list[Any]) -> None:
        album = import_albumentations()
        # The index of each object travels as its label, so that flags and areas survive the library's filtering.
        box_params = album.BboxParams(
            format="pascal_voc", label_fields=["object_index"], clip=True, filter_invalid_bboxes=True
        )
        self._compose = album.Compose(transforms, bbox_params=box_params)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Transform image and boxes together; objects whose boxes vanish are removed."""
        # Left alone, albumentations 2.0.8 gives every loader worker the same stream of draws.
        self._compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        count = len(sample.ground_truth)
        result = self._compose(image=sample.image, bboxes=sample.ground_truth.boxes, object_index=np.arange(count))
        kept = np.asarray(result["object_index"], np.int64)
        boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        ground_truth = sample.ground_truth[kept].with_boxes(boxes)
        return replace(sample, image=np.ascontiguousarray(result["image"]), ground_truth=ground_truth)


def import_albumentations() -> Any:
    """Import the library without its look for updates."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations
