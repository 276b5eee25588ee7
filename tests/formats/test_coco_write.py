import json
from pathlib import Path

import numpy as np
import pytest

from tests.reference.coco_oracle import found
from yolo.detection_sets import coco_image_ids
from yolo.formats.coco_write import ground_truth_dict, write_predictions
from yolo.structures import AnnotatedImage, GroundTruth


def image(image_id: str, truth: GroundTruth) -> AnnotatedImage:
    return AnnotatedImage(image_id, Path("photos") / f"{image_id}.jpg", (30, 40), truth)


def test_predictions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "predictions.json"
    write_predictions(path, {"7": found([[1, 2, 4, 8], [0, 0, 1, 1]], [0.5, 0.25], [0, 2]), "12": found([], [], [])})
    assert json.loads(path.read_text()) == [
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 6], "score": 0.5},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.25},
    ]


def test_predictions_with_other_category_ids_and_ids_that_are_words(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    write_predictions(path, {"set/ä": found([[1, 2, 4, 8]], [0.5], [1])}, category_ids=[1, 90])
    assert json.loads(path.read_text()) == [
        {"image_id": "set/ä", "category_id": 90, "bbox": [1, 2, 3, 6], "score": 0.5}
    ]


def test_no_predictions_are_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json"
    write_predictions(path, {"a": found([], [], [])})
    assert json.loads(path.read_text()) == []


def test_a_score_that_is_not_a_number_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_predictions(tmp_path / "predictions.json", {"a": found([[0, 0, 1, 1]], [float("nan")], [0])})
    assert not list(tmp_path.iterdir())


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
