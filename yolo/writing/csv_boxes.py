"""Writing a split as CSV: a row per object, boxes in continuous pixels, one row without a class for a background.

Left out: image files and the YAML (dataset.py).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from yolo.structures import AnnotatedImage
from yolo.writing.exact_numbers import number_text, shortest_float32s

COLUMNS = (
    *("image", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"),
    *("difficult", "iscrowd", "area", "image_id"),
)


def csv_rows(
    images: Iterable[AnnotatedImage], references: Iterable[str], *, class_names: Sequence[str]
) -> Iterator[list[str]]:
    """The rows of a split below the header, see `COLUMNS`.

    Args:
        images: with boxes in pixels.
        references: where each image is: relative to the folder of the file, with forward slashes, or absolute.
        class_names: what the labels mean.
    """
    for image, reference in zip(images, references, strict=True):
        height, width = image.size_hw
        head, truth = [reference, str(width), str(height)], image.ground_truth
        if not len(truth):
            yield [*head, *[""] * 8, image.image_id]
        corners = [number_text(value) for value in shortest_float32s(truth.boxes)]
        areas = [number_text(value) for value in shortest_float32s(truth.area)]
        for number, label in enumerate(truth.labels.tolist()):
            box = corners[4 * number : 4 * number + 4]
            flags = [str(int(truth.difficult[number])), str(int(truth.iscrowd[number]))]
            yield [*head, class_names[label], *box, *flags, areas[number], image.image_id]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as the text of a CSV file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
