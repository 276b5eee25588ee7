import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from hypothesis import given, settings

from tests.writing.truths import sized_truths
from yolo.data.annotations import AnnotatedImages
from yolo.structures import AnnotatedImage, GroundTruth
from yolo.writing.coco import coco_content, coco_image_ids


def write(*truths: tuple[tuple[int, int], GroundTruth]) -> dict[str, list[dict[str, Any]]]:
    images = AnnotatedImages.of(
        AnnotatedImage(str(number), Path(f"{number}.jpg"), size_hw, truth)
        for number, (size_hw, truth) in enumerate(truths, start=5)
    )
    content = coco_content(
        images,
        [f"{number}.jpg" for number in images.image_ids],
        image_ids=list(map(int, images.image_ids)),
        class_names=("a", "b", "c"),
        category_ids=(9, 2, 5),
    )
    read: dict[str, list[dict[str, Any]]] = json.loads(orjson.dumps(content))
    return read


@settings(max_examples=400)
@given(sized_truths())
def test_boxes_flags_and_areas_are_read_back_to_the_last_bit(case: tuple[tuple[int, int], GroundTruth]) -> None:
    _, truth = case
    found = [
        (
            {9: 0, 2: 1, 5: 2}[annotation["category_id"]],
            annotation.get("difficult", 0) == 1,
            annotation["iscrowd"] == 1,
            float(np.float32(annotation["area"])),
            np.array([x, y, x + w, y + h]).astype(np.float32).tolist(),
        )
        for annotation in write(case)["annotations"]
        for x, y, w, h in [annotation["bbox"]]
    ]
    columns = (truth.labels, truth.difficult, truth.iscrowd, truth.area, truth.boxes)
    assert found == list(zip(*(column.tolist() for column in columns), strict=True))


def test_all_keys_of_the_format_are_there() -> None:
    first = GroundTruth.from_boxes([[1, 2, 4, 8], [0, 0, 5.5, 1]], [0, 2], difficult=[False, True])
    content = write(((20, 40), first), ((30, 10), GroundTruth.empty()))
    assert content["images"] == [
        {"id": 5, "file_name": "5.jpg", "width": 40, "height": 20},
        {"id": 6, "file_name": "6.jpg", "width": 10, "height": 30},
    ]
    assert content["annotations"] == [
        {"id": 1, "image_id": 5, "category_id": 9, "bbox": [1, 2, 3, 6], "area": 18, "iscrowd": 0},
        {"id": 2, "image_id": 5, "category_id": 5, "bbox": [0, 0, 5.5, 1], "area": 5.5, "iscrowd": 0, "difficult": 1},
    ]
    assert [(item["id"], item["name"]) for item in content["categories"]] == [(2, "b"), (5, "c"), (9, "a")]
    assert content["licenses"] == []
    assert "info" in content


def test_ids_are_numbers_where_they_are_written_as_numbers() -> None:
    assert coco_image_ids(["0", "12", "-3"], from_coco=False) == ([0, 12, -3], False)
    # 007 is not what the number 7 is written as, and a number of 30 digits is none for other programs
    assert coco_image_ids(["7", "007", "1" * 30], from_coco=True) == ([7, "007", "1" * 30], False)
    assert coco_image_ids(["7", "007"], from_coco=False) == ([1, 2], True)
    assert coco_image_ids([], from_coco=False) == ([], False)
