import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.input_files import annotation, coco_truth, detection, problem_of, put, voc_xml
from tests.reference.coco_oracle import found
from yolo.engine.detection_files import read_detections, read_problem
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError
from yolo.formats.coco_results import write_predictions

TRUTH = coco_truth([annotation(1, 1, 1, [1, 2, 30, 40])])
BOX = [1, 2, 3, 4]


def test_detections_arrive_to_the_bit_by_image_then_in_the_order_of_the_file(tmp_path: Path) -> None:
    odd = [0.1 + 0.2, 1 / 3, 2 / 3, 1e-3]
    rows = [
        detection(2, 1, odd, 0.1 + 0.2),
        detection(1, 2, BOX, 0.3),
        detection(2, 2, BOX, 0.3),
        detection(1, 1, BOX, 1),
    ]
    problem, remarks = problem_of(tmp_path, TRUTH, rows)
    read = problem.detections
    assert read.image_index.tolist() == [0, 0, 1, 1]
    assert read.labels.tolist() == [1, 0, 0, 1]
    assert read.scores.tolist() == [0.3, 1, 0.1 + 0.2, 0.3]
    assert read.sizes_wh.tolist() == [[3, 4], [3, 4], odd[2:], [3, 4]]
    assert read.boxes[2].tolist() == [odd[0], odd[1], odd[0] + odd[2], odd[1] + odd[3]]
    assert not remarks


def test_the_parts_of_a_long_file_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    rows = [
        detection(int(image), int(category), box, score)
        for image, category, box, score in zip(
            generator.choice([1, 2, 9], 300), generator.choice([1, 2, 8], 300),
            generator.uniform(0, 90, (300, 4)).tolist(), generator.random(300).tolist(), strict=True,
        )
    ]  # fmt: skip
    truth = read_ground_truth(put(tmp_path / "gt.json", TRUTH))
    path = put(tmp_path / "dt.json", rows)
    whole = read_detections(path, truth)
    monkeypatch.setattr("yolo.formats.json_records.array_parts.__kwdefaults__", {"part_bytes": 100})
    parted = read_detections(path, truth)
    first, second = whole.detections, parted.detections
    for name in ("boxes", "sizes_wh", "scores", "labels", "image_index"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert whole.warnings == parted.warnings
    good = [row for row in rows if row["image_id"] != 9 and row["category_id"] != 8]
    expected = [row for image in (1, 2) for row in good if row["image_id"] == image]
    assert first.scores.tolist() == [row["score"] for row in expected]
    assert first.labels.tolist() == [row["category_id"] - 1 for row in expected]


def test_an_annotation_file_with_scores_is_taken(tmp_path: Path) -> None:
    rows = [annotation(1, 2, 2, BOX, score=0.75)]
    problem, _ = problem_of(tmp_path, TRUTH, coco_truth(rows))
    assert (problem.detections.scores.tolist(), problem.detections.labels.tolist()) == ([0.75], [1])


@pytest.mark.parametrize("content", [[], coco_truth()])
def test_no_detections_at_all_are_valid(tmp_path: Path, content: Any) -> None:
    problem, remarks = problem_of(tmp_path, TRUTH, content)
    assert len(problem.detections) == 0
    assert remarks.keys() == {"no_detections"}


def test_what_is_not_of_the_ground_truth_is_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        detection(1, 1, BOX), detection(7, 1, BOX), detection(1, 9, BOX), detection(7, 9, BOX),
        detection(True, 1, BOX), detection(None, 1, BOX), detection(1, False, BOX), detection({}, 1, BOX),
    ]  # fmt: skip
    problem, remarks = problem_of(tmp_path, TRUTH, rows)
    assert len(problem.detections) == 1
    assert remarks["unknown_image"].count == 5
    assert remarks["unknown_image"].examples == (
        "detection 1, image 7", "detection 3, image 7", "detection 4, image True", "detection 5, image None",
        "detection 7, image {}",
    )  # fmt: skip
    assert remarks["unknown_class"].examples == ("detection 2, class 9", "detection 6, class False")


def test_numbers_that_are_not_finite_are_left_out_and_counted(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    rows = [
        detection(1, 1, BOX), detection(1, 1, BOX, nan), detection(1, 1, BOX, -inf), detection(1, 1, [nan, 2, 3, 4]),
        detection(1, 1, [1, 2, inf, 4]), detection(1, 1, [1, 2, 1e200, 4]), detection(1, 1, BOX, 10**400),
        detection(7, 1, BOX, nan),
    ]  # fmt: skip
    problem, remarks = problem_of(tmp_path, TRUTH, rows)
    assert len(problem.detections) == 1
    assert (remarks["not_finite"].count, remarks["unknown_image"].count) == (6, 1)  # each is counted once
    assert remarks["not_finite"].examples[0].startswith("detection 1, image 1, score nan, box [1.0, 2.0, 3.0, 4.0]")


def test_images_may_be_named_by_their_files(tmp_path: Path) -> None:
    truth = coco_truth([annotation(1, 1, 1, BOX)])
    truth["images"][0]["file_name"], truth["images"][1]["file_name"] = "val/000012.jpg", "val/b.x.jpg"
    for names in (("000012", "b.x"), ("000012.jpg", "b.x.jpg"), ("val/000012.jpg", "val/b.x.jpg"), (12, "b.x")):
        problem, remarks = problem_of(tmp_path, truth, [detection(name, 1, BOX, 0.5) for name in names])
        assert problem.detections.image_index.tolist() == [0, 1], names
        assert remarks["matched_by_name"].count == 2


def test_ids_go_before_names_and_are_never_mixed_with_them(tmp_path: Path) -> None:
    # image 1 is called 2.jpg: detections of 1, 2 and 3 are meant by id, and 3 is unknown
    truth = coco_truth([annotation(1, 1, 1, BOX)])
    truth["images"][0]["file_name"], truth["images"][1]["file_name"] = "2.jpg", "3.jpg"
    problem, remarks = problem_of(tmp_path, truth, [detection(name, 1, BOX) for name in (2, 1, 3)])
    assert problem.detections.image_index.tolist() == [0, 1]
    assert remarks.keys() == {"unknown_image"}


def test_ids_written_as_text_or_with_a_point_are_the_same_ids(tmp_path: Path) -> None:
    problem, remarks = problem_of(tmp_path, TRUTH, [detection("2", 1.0, BOX), detection(2.0, 2, BOX)])
    assert problem.detections.image_index.tolist() == [1, 1]
    assert problem.detections.labels.tolist() == [0, 1]
    assert not remarks


def test_a_name_of_several_images_is_refused(tmp_path: Path) -> None:
    truth = coco_truth([annotation(1, 1, 1, BOX)])
    truth["images"][0]["file_name"], truth["images"][1]["file_name"] = "a/x.jpg", "b/x.jpg"
    with pytest.raises(DataError, match="'x' is the name of several images"):
        problem_of(tmp_path, truth, [detection("x", 1, BOX)])


@pytest.mark.parametrize(
    ("truth_ids", "found_ids", "message"),
    [
        ([1, 2, 3], [0, 1, 2], r"one off: the detections have 0 to 2, the ground truth 1 to 3; add 1 to"),
        ([0, 1, 2], [1, 2, 3], "subtract 1 from"),
        ([1, 2, 4, 5], [0, 1, 2, 3], r"class numbers counted from 0, but the ids of the ground truth have gaps"),
        ([1, 2, 4, 5, 7], [1, 2, 3, 4, 5], "class numbers counted from 1"),
        ([1, 2], [8, 9], "no detection is of a class of the ground truth; they have 8, 9, the ground truth 1, 2"),
    ],
)
def test_ids_of_another_numbering_are_refused(
    tmp_path: Path, truth_ids: list[int], found_ids: list[int], message: str
) -> None:
    truth = coco_truth([annotation(1, 1, truth_ids[0], BOX)], categories={one: f"c{one}" for one in truth_ids})
    with pytest.raises(DataError, match=message):
        problem_of(tmp_path, truth, [detection(1, one, BOX) for one in found_ids])


def test_a_background_class_is_no_other_numbering(tmp_path: Path) -> None:
    rows = [detection(1, one, BOX) for one in (0, 1, 2)]
    problem, remarks = problem_of(tmp_path, coco_truth([annotation(1, 1, 1, BOX)]), rows)
    assert problem.detections.labels.tolist() == [0, 1]
    assert remarks["unknown_class"].examples == ("detection 0, class 0",)


def test_ids_from_zero_on_both_sides_are_fine(tmp_path: Path) -> None:
    truth = coco_truth([annotation(1, 1, 0, BOX)], categories={0: "cat", 1: "dog"})
    problem, remarks = problem_of(tmp_path, truth, [detection(1, 0, BOX), detection(1, 1, BOX)])
    assert problem.detections.labels.tolist() == [0, 1]
    assert not remarks


@pytest.mark.parametrize(
    ("ids", "labels", "sure"), [([1, 3], [0, 2], True), ([0, 2], [0, 2], True), ([1, 2], [0, 1], False)]
)
def test_class_numbers_where_the_ground_truth_has_no_ids(
    tmp_path: Path, ids: list[int], labels: list[int], sure: bool
) -> None:
    objects = [(name, [1, 2, 3, 4]) for name in ("bird", "cat", "dog")]
    put(tmp_path / "voc" / "Annotations" / "000012.xml", voc_xml(objects))
    path = put(tmp_path / "dt.json", [detection(12, one, BOX) for one in ids])
    problem, _, read = read_problem(tmp_path / "voc", path)
    assert problem.detections.labels.tolist() == labels
    remarks = {remark.kind: remark.message for remark in read.warnings}
    assert ("every class is one off" in remarks["category_ids_counted"]) is not sure


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TRUTH, "its annotations have no scores: this is ground truth, not detections; were the two files swapped"),
        ({"a": 1}, "a JSON object with the keys 'a'; expected COCO results"),
        ({}, r"the keys \(none\)"),
        ("3", "is a JSON value that is not an array"),
        ([3], "element 0 is 3"),
        ([detection(1, 1, BOX), [1]], r"element 1 is \[1\]"),
        ([detection(9, 1, BOX)], "no detection is on an image .* such as 9, the ground truth has '1'"),
        ([{"image_id": 1, "category_id": 1, "score": 1, "segmentation": {}}], "masks are not evaluated"),
        ([{"image_id": 1, "category_id": 1, "score": 1, "keypoints": []}], "key points only"),
        ([{"image_id": 1, "category_id": 1, "bbox": BOX}], "detection 0 has no 'score'"),
        ([{"category_id": 1, "bbox": BOX, "score": 1}], "detection 0 has no 'image_id'"),
        ([{"image_id": 1, "bbox": BOX, "score": 1}], "detection 0 has no 'category_id'"),
        ([detection(1, 1, BOX), detection(1, 1, [1, 2, 3])], r"detection 1: bbox is \[1, 2, 3\], expected \[x, y"),
        ([detection(1, 1, [1, 2, "3", 4])], "detection 0: bbox is"),
        ([detection(1, 1, [1, 2, True, 4])], "detection 0: bbox is"),
        ([detection(1, 1, None)], "detection 0: bbox is None"),
        ([detection(1, 1, BOX, "0.5")], "detection 0: score is '0.5', expected a number"),
        ([detection(1, 1, BOX, True)], "detection 0: score is True"),
        ([detection(1, 1, BOX, None)], "detection 0: score is None"),
    ],
)  # fmt: skip
def test_what_is_no_results_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        problem_of(tmp_path, TRUTH, content)
    assert str(tmp_path / "dt.json") in str(caught.value)


def test_swapped_files_are_named_from_the_other_side(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="were the two files swapped"):
        problem_of(tmp_path, [detection(1, 1, BOX)], TRUTH)


def test_image_ids_beyond_64_bits_are_unknown_and_named(tmp_path: Path) -> None:
    rows = [detection(1, 1, BOX), detection(2**70, 1, BOX), detection(1, 2**70, BOX)]
    problem, remarks = problem_of(tmp_path, TRUTH, rows)
    assert len(problem.detections) == 1
    text = "1.1805916207174113e+21 (a number of more than 64 bits, which may be rounded: write it as text)"
    assert remarks["unknown_image"].examples == (f"detection 1, image {text}",)
    assert remarks["unknown_class"].examples == (f"detection 2, class {text}",)


def test_folders_may_be_written_as_on_windows_on_either_side(tmp_path: Path) -> None:
    truth = coco_truth([annotation(1, 1, 1, BOX)])
    truth["images"][0]["file_name"], truth["images"][1]["file_name"] = "train\\a.jpg", "val/a.jpg"
    for names in (("train/a.jpg", "val\\a.jpg"), ("train\\a", "val/a")):
        problem, remarks = problem_of(tmp_path, truth, [detection(name, 1, BOX, 0.5) for name in names])
        assert problem.detections.image_index.tolist() == [0, 1], names
        assert remarks.keys() == {"matched_by_name"}


@pytest.mark.parametrize("image_id", [-3, 2**63, 2**64 - 1])
def test_image_ids_beyond_the_usual_numbers(tmp_path: Path, image_id: int) -> None:
    problem, remarks = problem_of(tmp_path, coco_truth(images=[image_id]), [detection(image_id, 1, [1, 2, 3, 4])])
    assert len(problem.detections) == 1
    assert not {"unknown_image", "matched_by_name"} & set(remarks)


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
