"""The only file that knows albumentations: any of its pipelines as a transform of a `Sample`.

It is imported when a pipeline is built, because it is slow to import, and it is told not to look for updates
over the network.
"""

import os
import random
from collections.abc import Mapping
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
        self._moves_boxes = any(_moves_boxes(transform) for transform in transforms)
        # The index of each object travels as its label, so that flags and areas survive the library's filtering.
        box_params = album.BboxParams(
            format="pascal_voc", label_fields=["object_index"], clip=True, filter_invalid_bboxes=True
        )
        # boxes cost as much as many a transform: where pixels stay in their places they are left out
        self._compose = album.Compose(transforms, bbox_params=box_params if self._moves_boxes else None)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Transform image and boxes together; objects whose boxes vanish are removed."""
        # Left alone, albumentations 2.0.8 gives every loader worker the same stream of draws.
        self._compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        if not self._moves_boxes:
            return replace(sample, image=np.ascontiguousarray(self._compose(image=sample.image)["image"]))
        count = len(sample.ground_truth)
        result = self._compose(image=sample.image, bboxes=sample.ground_truth.boxes, object_index=np.arange(count))
        kept = np.asarray(result["object_index"], np.int64)
        boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        ground_truth = sample.ground_truth[kept].with_boxes(boxes)
        return replace(sample, image=np.ascontiguousarray(result["image"]), ground_truth=ground_truth)


def deserialise(content: Mapping[str, Any]) -> list[Any]:
    """The transforms that `albumentations.to_dict` made `content` of.

    Only classes of albumentations are built, none of other packages and no functions.

    Raises:
        ValueError: an unknown transform, or arguments it does not take.
    """
    album = import_albumentations()
    for name in _class_names(content["transform"]):
        found = getattr(album, name.rpartition(".")[2], None)
        if not isinstance(found, type) or not issubclass(found, album.BasicTransform | album.BaseCompose):
            raise ValueError(f"albumentations {album.__version__} has no transform {name!r}")
        if found is album.Lambda:
            raise ValueError("a Lambda cannot be read from a file")
    made = album.from_dict(content)
    # the outermost list is taken apart, because boxes are handled here
    return list(made.transforms) if type(made) is album.Compose and made.p == 1 else [made]


def import_albumentations() -> Any:
    """Import the library without its look for updates."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


def _moves_boxes(transform: Any) -> bool:
    """True if the transform, or any in it, changes more than the values of pixels."""
    inner = getattr(transform, "transforms", None)
    if inner is not None:
        return any(_moves_boxes(one) for one in inner)
    return isinstance(transform, import_albumentations().DualTransform)


def _class_names(content: Any) -> list[str]:
    """Names of all classes in a serialised transform, which may hold others."""
    if not isinstance(content, Mapping) or not isinstance(content.get("__class_fullname__"), str):
        raise ValueError("a transform without a name (__class_fullname__)")
    inner = content.get("transforms", [])
    if not isinstance(inner, list):
        raise ValueError(f"the transforms of {content['__class_fullname__']} are no list")
    return [content["__class_fullname__"], *(name for one in inner for name in _class_names(one))]
