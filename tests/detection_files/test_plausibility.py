from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.detection_files.files import annotation, coco_truth, detection, kinds, problem_of, put, voc_xml
from yolo.detection_files.detections import read_problem

TRUTH = coco_truth([annotation(1, 1, 1, [1, 2, 30, 40])])


def random_xyxy(seed: int, count: int = 50) -> Any:
    """Boxes inside of 200 x 100, of all sizes."""
    generator = np.random.default_rng(seed)
    corners = np.sort(generator.uniform(0, 1, (count, 2, 2)), axis=1) * (190, 90) + [[0, 0], [9, 9]]
    return corners.reshape(count, 4).round(1)


def as_xywh(boxes: Any) -> Any:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def remarks_on(folder: Path, boxes: Any) -> set[str]:
    _, remarks = problem_of(folder, TRUTH, [detection(1, 1, box.tolist(), k / 99) for k, box in enumerate(boxes)])
    return set(remarks)


@pytest.mark.parametrize("seed", range(5))
def test_forms_are_told_apart(tmp_path: Path, seed: int) -> None:
    corners = random_xyxy(seed)
    assert remarks_on(tmp_path, as_xywh(corners)) == set()
    assert remarks_on(tmp_path, corners) == {"detection_boxes_look_like_xyxy"}
    assert remarks_on(tmp_path, as_xywh(corners) / (200, 100, 200, 100)) == {"detection_boxes_look_normalised"}
    unclipped = as_xywh(corners) * 1.2 - 5
    assert not remarks_on(tmp_path, unclipped) & {"detection_boxes_look_like_xyxy", "detection_boxes_look_normalised"}


def test_a_few_boxes_say_nothing(tmp_path: Path) -> None:
    assert remarks_on(tmp_path, random_xyxy(0, 4)) == set()


def test_boxes_of_whole_images_are_not_suspect(tmp_path: Path) -> None:
    assert remarks_on(tmp_path, np.tile([1.0, 2, 198, 97], (20, 1)) + np.arange(20)[:, None] / 100) == set()


def test_annotated_boxes_are_looked_at_too(tmp_path: Path) -> None:
    boxes = random_xyxy(1)
    truth = coco_truth([annotation(k, 1, 1, box.tolist()) for k, box in enumerate(boxes, start=1)])
    _, remarks = problem_of(tmp_path, truth, [])
    assert "truth_boxes_look_like_xyxy" in remarks
    assert remarks["truth_boxes_look_like_xyxy"].count == 50


def test_width_and_height_in_comp4_files(tmp_path: Path) -> None:
    put(tmp_path / "Annotations" / "a.xml", voc_xml([("cat", [1, 2, 3, 4])]))

    def remarks_on_lines(boxes: Any) -> set[str]:
        lines = "".join(f"a {k / 99} {' '.join(map(str, box))}\n" for k, box in enumerate(boxes.tolist()))
        put(tmp_path / "found" / "comp4_det_test_cat.txt", lines)
        return set(kinds(read_problem(tmp_path, tmp_path / "found")[2].remarks))

    corners = random_xyxy(3)
    assert "detection_boxes_look_like_xywh" not in remarks_on_lines(corners)
    assert "detection_boxes_look_like_xywh" in remarks_on_lines(as_xywh(corners))


def test_odd_detections_are_kept_and_counted(tmp_path: Path) -> None:
    box = [1, 2, 3, 4]
    rows = [
        detection(1, 1, box, 1.5), detection(1, 1, box, -0.1), detection(1, 1, [1, 2, 0, 4]),
        detection(1, 1, [1, 2, 3, -4]), detection(1, 1, box), detection(1, 2, box), detection(2, 1, box),
        detection(1, 1, [1.0, 2, 3, 4], 0.5), detection(1, 1, box),
    ]  # fmt: skip
    problem, remarks = problem_of(tmp_path, TRUTH, rows)
    assert len(problem.detections) == 9
    assert remarks["score_outside_range"].count == 2
    assert remarks["empty_box"].examples[1] == "image 1, cat, score 0.5, box (1, 2, 4, -2)"
    assert remarks["repeated_detection"].count == 2
    assert remarks.keys() == {"score_outside_range", "empty_box", "repeated_detection"}


def test_the_limit_is_of_each_class_and_image(tmp_path: Path) -> None:
    rows = [
        detection(image, category, [1, 2, 3 + k, 4], k / 200)
        for image, category, count in ((1, 1, 103), (1, 2, 100), (2, 1, 101))
        for k in range(count)
    ]
    _, remarks = problem_of(tmp_path, TRUTH, rows)
    assert remarks["beyond_detection_limit"].count == 4
    assert remarks["beyond_detection_limit"].examples == (
        "image 1, cat: 103 detections",
        "image 2, cat: 101 detections",
    )
