"""Problems of one class in which every detection lies on an object, or far away from all."""

from collections.abc import Sequence

from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet

BOX = [0.0, 0.0, 40.0, 40.0]  # 1,600 px² are medium
AWAY = [500.0, 500.0, 540.0, 540.0]


def one_class(found: Sequence[tuple[int, float, bool]], objects: Sequence[int], *, num_images: int) -> Problem:
    """`found` holds (image, score, whether it lies on `BOX`), `objects` the images of the objects, all with `BOX`."""
    return Problem(
        ImageTable.of_ids([f"image {index}" for index in range(num_images)]),
        ("thing",),
        TruthSet.from_xyxy([BOX] * len(objects), [0] * len(objects), objects),
        DetectionSet.from_xyxy(
            [BOX if right else AWAY for _, _, right in found],
            [score for _, score, _ in found],
            [0] * len(found),
            [image for image, _, _ in found],
        ),
    )
