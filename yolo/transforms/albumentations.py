"""Pipelines of albumentations as transforms of a `Sample`, also from a file of the user's own.

`albumentations.save(pipeline, "augment.yaml", data_format="yaml")` writes such a file; JSON does as well. The file is
data: nothing in it is executed, and it is tried out before training begins. Only this file knows the library, which is
slow to import: it is imported when a pipeline is built, with its check for updates over the network turned off.
"""

from __future__ import annotations

import json
import os
import random
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from yolo.arrays import UInt8
from yolo.errors import ConfigError
from yolo.structures import GroundTruth, Sample

_TRIAL_RUNS = 8  # several, because most steps happen now and then only


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


def _deserialise(content: Mapping[str, Any]) -> list[Any]:
    """The transforms that `albumentations.to_dict` made `content` of; ValueError if it did not.

    Only classes of albumentations are built, none of other packages and no functions.
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
        raise ValueError(f"the transforms of {content['__class_fullname__']} are not a list")
    return [content["__class_fullname__"], *(name for one in inner for name in _class_names(one))]


class FilePipeline:
    """A pipeline from a file, for images of one size.

    Args:
        path: YAML or JSON.
        size_hw: height and width of the images; the pipeline must keep them.

    Raises:
        ConfigError: the file is absent or not a pipeline, holds something unknown, or fails on a trial image.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int]) -> None:
        self.path = path
        content = _read(path)
        # what albumentations only warns of, an argument that it does not know, changes what the user asked for
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                self._pipeline = AlbumentationsPipeline(_deserialise(content))
            except Exception as error:  # its classes check their arguments with errors of many kinds
                raise ConfigError(f"augment.pipeline: {path}: {_one_line(error)}") from error
        height, width = size_hw
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        boxes = [[width / 4, height / 4, width / 2, height / 2], [0, 0, width / 3, height / 5]]
        trial = Sample(image, GroundTruth.from_boxes(boxes, [0, 1]), 0)
        for seed in range(_TRIAL_RUNS):
            self(trial, np.random.default_rng(seed))

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Transform a sample; ConfigError if that fails, or the result has not the size and type of the image."""
        # albumentations does not promise to leave its input alone
        given = Sample(sample.image.copy(), sample.ground_truth, sample.index, note=sample.note)
        try:
            result = self._pipeline(given, generator)
        except Exception as error:  # any step may fail in its own way, and a sample checks its image
            raise ConfigError(f"augment.pipeline: {self.path}: fails on an image: {_one_line(error)}") from error
        if result.image.shape != sample.image.shape or result.image.dtype != np.uint8:
            raise ConfigError(
                f"augment.pipeline: {self.path}: makes {_described(result.image)} of {_described(sample.image)}; "
                "images must keep their size and be bytes (uint8): remove the step that changes this, or undo it "
                "at the end, e.g. by Resize"
            )
        return result


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"augment.pipeline: {path}: cannot be read ({reason})") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"augment.pipeline: {path}: is neither YAML nor JSON: {_one_line(error)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("transform"), dict):
        raise ConfigError(
            f"augment.pipeline: {path}: is not an albumentations pipeline: it has no key `transform`; "
            "albumentations.save(pipeline, file, data_format='yaml') writes one"
        )
    return content


def _described(image: UInt8) -> str:
    return f"{'x'.join(map(str, image.shape))} {image.dtype}"


def _one_line(error: Exception) -> str:
    """What went wrong, without the many lines that some libraries write about it."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
