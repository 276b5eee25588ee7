"""Splits for the tests of the check that need no files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from yolo.data.read import Split
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage, GroundTruth

NAMES = ("cat", "dog", "bird")

# name of the image, and its objects as (label, box)
Objects = Sequence[tuple[int, tuple[float, float, float, float]]]


def split_of(
    images: Mapping[str, Objects],
    *,
    name: str = "train",
    class_names: tuple[str, ...] = NAMES,
    size_hw: tuple[int, int] = (480, 640),
    crowd: bool = False,
) -> Split:
    """A split whose images are called /data/<key>.jpg."""
    annotated = [
        AnnotatedImage(
            key,
            Path(f"/data/{key}.jpg"),
            size_hw,
            GroundTruth.from_boxes(
                [box for _, box in objects] or GroundTruth.empty().boxes,
                [label for label, _ in objects],
                iscrowd=[crowd] * len(objects),
            ),
        )
        for key, objects in images.items()
    ]
    return Split(name, AnnotatedImages.of(annotated), class_names, None, ReadReport(name))
