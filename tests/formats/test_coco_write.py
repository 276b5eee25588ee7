import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given

from tests.curate.truths import sized_truths
from yolo.detection_sets import coco_image_ids
from yolo.formats.coco_write import coco_content, ground_truth_dict, numbered_image_ids
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage, GroundTruth


def image(image_id: str, truth: GroundTruth) -> AnnotatedImage:
    return AnnotatedImage(image_id, Path("photos") / f"{image_id}.jpg", (30, 40), truth)


def test_ground_truth() -> None:
    truth = GroundTruth.from_boxes(
        [[1, 2, 4, 8], [0, 0, 2, 2]], [1, 0], iscrowd=[False, True], difficult=[True, False], area=[17, 3]
    )
    content = ground_truth_dict([image("3", GroundTruth.empty()), image("20", truth)], ["cat", "dog"])
    assert content["images"] == [
        {"id": 3, "file_name": "3.jpg", "height": 30, "width": 40},
        {"id": 20, "file_name": "20.jpg", "height": 30, "width": 40},
    ]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert content["annotations"] == [
        {"id": 1, "image_id": 20, "category_id": 2, "bbox": [1, 2, 3, 6], "area": 17, "iscrowd": 0, "difficult": 1},
        {"id": 2, "image_id": 20, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 3, "iscrowd": 1, "difficult": 0},
    ]
    assert {"info", "licenses"} < content.keys()
    json.dumps(content, allow_nan=False)


def test_boxes_are_written_without_loss() -> None:
    box = np.array([[0.1, 0.2, 33.3, 44.4]], np.float32)
    content = json.loads(json.dumps(ground_truth_dict([image("1", GroundTruth.from_boxes(box, [0]))], ["cat"])))
    left, top, width, height = content["annotations"][0]["bbox"]
    np.testing.assert_array_equal(np.array([left, top, left + width, top + height], np.float32), box[0])


@pytest.mark.parametrize("odd", ["007", "-1", "1.5", "٣", "x", "", "9" * 400])
def test_one_id_that_is_no_plain_integer_makes_all_ids_strings(odd: str) -> None:
    assert coco_image_ids(["5", odd]) == {"5": "5", odd: odd}


def test_plain_integers_become_integers() -> None:
    assert coco_image_ids(["10", "9", "0"]) == {"10": 10, "9": 9, "0": 0}


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
    assert numbered_image_ids(["0", "12", "-3"], from_coco=False) == ([0, 12, -3], False)
    # 007 is not what the number 7 is written as, and a number of 30 digits is none for other programs
    assert numbered_image_ids(["7", "007", "1" * 30], from_coco=True) == ([7, "007", "1" * 30], False)
    assert numbered_image_ids(["7", "007"], from_coco=False) == ([1, 2], True)
    assert numbered_image_ids([], from_coco=False) == ([], False)
