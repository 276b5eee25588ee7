"""A serialised albumentations pipeline of the user's own, checked before the training begins.

`albumentations.save(pipeline, "augment.yaml", data_format="yaml")` writes such a file; JSON does as well. The file
is data: nothing in it is executed.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from yolo.errors import ConfigError
from yolo.structures import GroundTruth, Sample
from yolo.transforms.albumentations_adapter import AlbumentationsPipeline, deserialise

_TRIAL_RUNS = 8


class FilePipeline:
    """A pipeline from a file, for images of one size.

    Args:
        path: YAML or JSON.
        size_hw: height and width of the images; the pipeline must keep them.

    Raises:
        ConfigError: the file is absent, is no pipeline, holds something unknown, or fails on an image made up for
            the purpose.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int]) -> None:
        self.path = path
        content = _read(path)
        # what albumentations only warns of, an argument that it does not know, changes what the user asked for
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                self._pipeline = AlbumentationsPipeline(deserialise(content))
            except Exception as error:  # its classes check their arguments with errors of many kinds
                raise ConfigError(f"augment.pipeline: {path}: {_one_line(error)}") from error
        self._try_out(size_hw)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Transform a sample; ConfigError if the result has not the size and type of the image."""
        # albumentations does not promise to leave its input alone
        given = Sample(sample.image.copy(), sample.ground_truth, sample.index, note=sample.note)
        try:
            result = self._pipeline(given, generator)
        except ValueError as error:  # from the sample's own check of its image, too
            raise ConfigError(f"augment.pipeline: {self.path}: fails on an image: {_one_line(error)}") from error
        if result.image.shape != sample.image.shape or result.image.dtype != np.uint8:
            raise ConfigError(
                f"augment.pipeline: {self.path}: makes {_described(result.image)} of {_described(sample.image)}; "
                "images must keep their size and be bytes (uint8): remove the step that changes this, or undo it "
                "at the end, e.g. by Resize"
            )
        return result

    def _try_out(self, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        boxes = [[width / 4, height / 4, width / 2, height / 2], [0, 0, width / 3, height / 5]]
        sample = Sample(image, GroundTruth.from_boxes(boxes, [0, 1]), 0)
        # several times, because most steps happen now and then only
        for seed in range(_TRIAL_RUNS):
            try:
                self(sample, np.random.default_rng(seed))
            except ConfigError:
                raise
            except Exception as error:  # any step may fail in its own way
                raise ConfigError(f"augment.pipeline: {self.path}: fails on an image: {_one_line(error)}") from error


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
            f"augment.pipeline: {path}: is no albumentations pipeline: it has no key `transform`; "
            "albumentations.save(pipeline, file, data_format='yaml') writes one"
        )
    return content


def _described(image: np.ndarray[Any, Any]) -> str:
    return f"{'x'.join(map(str, image.shape))} {image.dtype}"


def _one_line(error: Exception) -> str:
    """What went wrong, without the many lines that some libraries write about it."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
