"""What is printed of an evaluation: a table, or where that would be zeros alone, what is wrong and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console

from yolo.console import counted, print_table, say, warn
from yolo.data.read import Split
from yolo.evaluation.result import EvaluationResult, table_rows
from yolo.structures import SkippedImage

_SHOWN = 5
# Below this mAP a table has only zeros, or what chance gives.
_HARDLY_ANY = 0.01
# What helps if a detector finds nothing, by the command that measured it.
AFTER_TRAINING = (
    "train longer (--epochs), start from pretrained weights, and look at train_batch0.jpg in the run folder: the boxes "
    "must be on the objects"
)
AFTER_VAL = (
    "check that the images and classes are of the kind that the detector was trained on; gridyolo info shows its "
    "classes, and --split measures it on the images that it was trained on"
)
AFTER_REPORT = (
    "check that the detections are of these images, that their boxes are in pixels of the image, and that the classes "
    "have the same names or ids"
)


def warn_where_nothing_to_find(split: Split, data: str, console: Console) -> None:
    """Say before a long measurement that a split has no object."""
    if not len(split.images.objects):
        warn(
            console,
            f"{data}: no image of the split {split.name} has an object, so nothing can be measured on it; gridyolo "
            "data check says why",
        )


def print_skipped(skipped: Sequence[SkippedImage], console: Console) -> None:
    """Name the images that are excluded from all numbers."""
    if skipped:
        images = counted(len(skipped), "image", "images")
        warn(console, f"{images} could not be read and excluded from all numbers:")
        say(console, *(f"  {image.reason}" for image in skipped[:_SHOWN]))
        if len(skipped) > _SHOWN:
            say(console, "  ... (all are in data.json)")


def print_result(result: EvaluationResult, console: Console, *, remedy: str) -> None:
    """The table, and what P, R and F1 hold at; where nothing was found, `remedy` in place of a table of zeros."""
    images, objects = counted(result.num_images, "image", "images"), counted(result.num_objects, "object", "objects")
    detections = sum(one.detections for one in result.per_class)
    if result.num_objects == 0:
        found = counted(detections, "detection", "detections")
        say(console, f"no object to find on {images}, so there is nothing to measure; {found}")
    elif math.isnan(result.score_threshold):
        warn(console, f"nothing was detected on {images} with {objects}; {remedy}")
    elif result.map_50 < _HARDLY_ANY:
        what = f"hardly any of the {detections:,} detections on {images} with {objects} is right"
        warn(console, f"{what} (mAP50 {result.map_50:.3f}); {remedy}")
    else:
        print_table(console, table_rows(result), bold=1)
        say(console, f"P, R and F1 at score {result.score_threshold:.3f}, where the mean F1 is highest; IoU 0.5")
