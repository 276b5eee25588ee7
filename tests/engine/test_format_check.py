"""Boxes in another form and classes in another numbering, told by where the objects are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.input_files import annotation, coco_truth, detection, kinds, problem_of, put, put_image, voc_xml
from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.engine.detection_files import read_problem
from yolo.engine.format_check import check_detections, check_truth_boxes
from yolo.formats.issues import InputWarning, ReadReport

# x, y, width, height of objects in the corner near (0, 0) of 200 x 100 pixels: whatever is read into these numbers,
# it does not leave the image, so that the look of the numbers gives nothing away
OBJECTS = [[8.0 + 5 * k, 4.0 + 2 * k, 24.0 + k, 16.0 + k] for k in range(8)]
FORMS: dict[str, Callable[[float, float, float, float], Sequence[float]]] = {
    "xywh": lambda x, y, w, h: (x, y, w, h),
    "xyxy": lambda x, y, w, h: (x, y, x + w, y + h),
    "cxcywh": lambda x, y, w, h: (x + w / 2, y + h / 2, w, h),
}


def truth(**more: Any) -> dict[str, Any]:
    """An object on an image of its own, of one of three classes."""
    images = [annotation(k, k, 1 + k % 3, box) for k, box in enumerate(OBJECTS, start=1)]
    return coco_truth(images, images=range(1, 9), categories={1: "cat", 2: "dog", 3: "cow"}) | more


def found(form: str, *, shift: int = 0) -> list[dict[str, Any]]:
    return [
        detection(k, 1 + (k + shift) % 3, list(FORMS[form](*box)), 0.1 + k / 20)
        for k, box in enumerate(OBJECTS, start=1)
    ]


@pytest.mark.parametrize(
    ("form", "expected"),
    [("xywh", set()), ("xyxy", {"detections_fit_as_corners"}), ("cxcywh", {"detections_fit_as_centres"})],
)
def test_form_of_coco_results(tmp_path: Path, form: str, expected: set[str]) -> None:
    problem, remarks = problem_of(tmp_path, truth(), found(form))
    assert set(remarks) == expected
    # told, never changed
    np.testing.assert_allclose(problem.detections.sizes_wh, [FORMS[form](*box)[2:] for box in OBJECTS])


def test_remark_says_what_would_fit(tmp_path: Path) -> None:
    remark = problem_of(tmp_path, truth(), found("cxcywh"))[1]["detections_fit_as_centres"]
    assert remark.count == 8
    assert "of the best 8 detections 8 lie on objects if read so, 0 as they stand" in remark.message


def test_form_of_annotations(tmp_path: Path) -> None:
    wrong = truth()
    for one in wrong["annotations"]:
        one["bbox"] = list(FORMS["xyxy"](*one["bbox"]))
    assert set(problem_of(tmp_path, wrong, found("xywh"))[1]) == {"truths_fit_as_corners"}
    # both in the same wrong form: they fit each other, and there is nothing to tell it by
    assert set(problem_of(tmp_path, wrong, found("xyxy"))[1]) == set()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (lambda x, y, w, h, s: (x + w / 2, y + h / 2, w, h, s), set()),
        (lambda x, y, w, h, s: (s, x + w / 2, y + h / 2, w, h), {"detections_fit_as_score_first"}),
        (lambda x, y, w, h, s: (x, y, x + w, y + h, s), {"detections_fit_as_corners"}),
        (lambda x, y, w, h, s: (x, y, w, h, s), {"detections_fit_as_sides"}),
    ],
)
def test_columns_of_yolo_files(tmp_path: Path, columns: Any, expected: set[str]) -> None:
    for k, (x, y, w, h) in enumerate(OBJECTS):
        put_image(tmp_path / "images" / f"{k}.png")
        box = np.array([x, y, w, h]) / (200, 100, 200, 100)
        centre = [box[0] + box[2] / 2, box[1] + box[3] / 2, box[2], box[3]]
        put(tmp_path / "labels" / f"{k}.txt", " ".join(map(str, [0, *centre])))
        put(tmp_path / "found" / f"{k}.txt", " ".join(map(str, [0, *columns(*box, 0.1 + k / 20)])))
    _, gt, dt = read_problem(tmp_path / "labels", tmp_path / "found", class_names=["cat"])
    assert set(kinds(gt.warnings + dt.warnings)) - {"empty_box"} == expected


def test_sides_in_comp4_files(tmp_path: Path) -> None:
    lines = ""
    for k, (x, y, w, h) in enumerate(OBJECTS):
        put(tmp_path / "Annotations" / f"{k}.xml", voc_xml([("cat", [x + 1, y + 1, x + w, y + h])]))
        lines += f"{k} {0.1 + k / 20} {x + 1} {y + 1} {w} {h}\n"
    # one that reaches out, so that the look alone does not tell
    lines += "0 0.01 190 90 180 95\n"
    put(tmp_path / "found" / "comp4_det_test_cat.txt", lines)
    _, gt, dt = read_problem(tmp_path / "Annotations", tmp_path / "found")
    assert set(kinds(gt.warnings + dt.warnings)) - {"empty_box"} == {"detections_fit_as_sides"}


def test_classes_in_another_numbering(tmp_path: Path) -> None:
    remark = problem_of(tmp_path, truth(), found("xywh", shift=1))[1]["classes_look_mixed_up"]
    assert remark.count == 8
    assert "of 8 detections that lie on objects, 0 are of the class of their object" in remark.message
    # images 1, 4 and 7 have a dog, and the detections there say cow
    assert "3 of 3 'cow' lie on 'dog'" in remark.examples


def test_bad_detectors_are_not_suspect(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    detections = [
        detection(int(generator.integers(1, 9)), int(generator.integers(1, 4)), box.tolist(), float(score))
        for box, score in zip(generator.uniform(5, 50, (300, 4)), generator.random(300), strict=True)
    ]
    assert set(problem_of(tmp_path, truth(), detections)[1]) == set()
    assert set(problem_of(tmp_path, truth(), detections[:1])[1]) == set()
    confused = [one | {"category_id": 1 + k % 3} for k, one in enumerate(3 * found("xywh"))]
    confused = [one | {"score": one["score"] + k / 1000} for k, one in enumerate(confused)]
    assert set(problem_of(tmp_path, truth(), confused)[1]) == set()


def test_forms_that_fit_both_say_nothing(tmp_path: Path) -> None:
    assert set(problem_of(tmp_path, truth(), found("xywh") + found("cxcywh"))[1]) == set()


def test_a_few_detections_say_nothing(tmp_path: Path) -> None:
    assert set(problem_of(tmp_path, truth(), found("cxcywh")[:4])[1]) == set()
    assert set(problem_of(tmp_path, truth(), found("xywh", shift=1)[:4])[1]) == set()


def test_classes_that_lie_on_many_others_are_no_other_numbering(tmp_path: Path) -> None:
    assert set(problem_of(tmp_path, truth(), found("xywh", shift=1) + found("xywh", shift=2))[1]) == set()


def test_crowd_regions_are_no_objects_to_lie_on(tmp_path: Path) -> None:
    content = truth()
    content["annotations"] += [annotation(20 + k, k, 1, [0, 0, 200, 100], iscrowd=1) for k in range(1, 9)]
    assert set(problem_of(tmp_path, content, found("cxcywh"))[1]) == {"detections_fit_as_centres"}


def test_best_detections_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.engine.format_check.LOOKED_AT", 8)
    rest = [detection(1, 1, [150, 50 + k / 100, 20, 20], 0.01) for k in range(100)]
    assert "detections_fit_as_centres" in problem_of(tmp_path, truth(), rest + found("cxcywh"))[1]


def test_scores_of_any_size(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    put_image(tmp_path / "images" / "a.png")
    put(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.1 0.1")
    put(tmp_path / "found" / "a.txt", "".join(f"0 0.5 0.5 0.{k} 0.1 1e308\n" for k in range(1, 9)))
    read_problem(tmp_path / "labels", tmp_path / "found", class_names=["cat"])
    assert not recwarn.list


TRUTH = coco_truth([annotation(1, 1, 1, [1, 2, 30, 40])])


def random_xyxy(seed: int, count: int = 50) -> Any:
    """Boxes inside of 200 x 100, of all sizes."""
    generator = np.random.default_rng(seed)
    corners = np.sort(generator.uniform(0, 1, (count, 2, 2)), axis=1) * (190, 90) + [[0, 0], [9, 9]]
    return corners.reshape(count, 4).round(1)


def as_xywh(boxes: Any) -> Any:
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def warnings_on(folder: Path, boxes: Any) -> set[str]:
    _, remarks = problem_of(folder, TRUTH, [detection(1, 1, box.tolist(), k / 99) for k, box in enumerate(boxes)])
    return set(remarks)


@pytest.mark.parametrize("seed", range(5))
def test_forms_are_told_apart(tmp_path: Path, seed: int) -> None:
    corners = random_xyxy(seed)
    assert warnings_on(tmp_path, as_xywh(corners)) == set()
    assert warnings_on(tmp_path, corners) == {"detection_boxes_look_like_xyxy"}
    assert warnings_on(tmp_path, as_xywh(corners) / (200, 100, 200, 100)) == {"detection_boxes_look_normalised"}
    unclipped = as_xywh(corners) * 1.2 - 5
    assert not warnings_on(tmp_path, unclipped) & {"detection_boxes_look_like_xyxy", "detection_boxes_look_normalised"}


def test_a_few_boxes_say_nothing_of_their_placing(tmp_path: Path) -> None:
    assert warnings_on(tmp_path, random_xyxy(0, 4)) == set()


def test_boxes_of_whole_images_are_not_suspect(tmp_path: Path) -> None:
    assert warnings_on(tmp_path, np.tile([1.0, 2, 198, 97], (20, 1)) + np.arange(20)[:, None] / 100) == set()


def test_annotated_boxes_are_looked_at_too(tmp_path: Path) -> None:
    boxes = random_xyxy(1)
    truth = coco_truth([annotation(k, 1, 1, box.tolist()) for k, box in enumerate(boxes, start=1)])
    _, remarks = problem_of(tmp_path, truth, [])
    assert "truth_boxes_look_like_xyxy" in remarks
    assert remarks["truth_boxes_look_like_xyxy"].count == 50


def test_width_and_height_in_comp4_files(tmp_path: Path) -> None:
    put(tmp_path / "Annotations" / "a.xml", voc_xml([("cat", [1, 2, 3, 4])]))

    def warnings_on_lines(boxes: Any) -> set[str]:
        lines = "".join(f"a {k / 99} {' '.join(map(str, box))}\n" for k, box in enumerate(boxes.tolist()))
        put(tmp_path / "found" / "comp4_det_test_cat.txt", lines)
        return set(kinds(read_problem(tmp_path, tmp_path / "found")[2].warnings))

    corners = random_xyxy(3)
    assert "detection_boxes_look_like_xywh" not in warnings_on_lines(corners)
    assert "detection_boxes_look_like_xywh" in warnings_on_lines(as_xywh(corners))


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


# Each threshold, a little on both sides of it. Images are 200 x 100.


def placing(*boxes_xywh: list[float]) -> set[str]:
    report = ReadReport()
    truths = TruthSet.from_xywh(boxes_xywh, np.zeros(len(boxes_xywh)), np.zeros(len(boxes_xywh)))
    check_truth_boxes(truths, ImageTable(["a"], [""], np.array([[100, 200]], np.int32)), report)
    return set(report.counts)


FRACTION, PIXELS, CORNERS_OUT, INSIDE = [0.5, 0.5, 0.25, 0.5], [60, 50, 40, 30], [100, 50, 120, 60], [10, 10, 20, 20]


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        ([FRACTION] * 5, True),
        ([FRACTION] * 4, False),
        ([FRACTION] * 98 + [PIXELS] * 2, True),
        ([FRACTION] * 97 + [PIXELS] * 3, False),
        ([[0, 0, 1.99, 1.99]] * 9, True),
        ([[0, 0, 2.01, 2.01]] * 9, False),
        ([CORNERS_OUT] * 30 + [INSIDE] * 70, True),
        ([CORNERS_OUT] * 29 + [INSIDE] * 71, False),
        ([[100, 10, 105, 60]] * 9, True),
        ([[100, 10, 103, 60]] * 9, False),
    ],
    ids=["fewest", "fewer", "nearly all", "not all", "fraction", "no fraction", "many", "not many", "out", "overshoot"],
)
def test_thresholds_of_placing(boxes: list[list[float]], told: bool) -> None:
    assert bool(placing(*boxes)) is told


def fit(lying: int, *, stated: int = 0, rest: int = 0, width: float = 1.0) -> InputWarning | None:
    """Detections that lie on the object as centres, as they stand, and nowhere; `width` is a share of the object's."""
    objects = TruthSet.from_xywh([[20, 10, 24, 16]], [0], [0])
    boxes = [[32, 18, 24 * width, 16]] * lying + [[20, 10, 24, 16]] * stated + [[150, 60, 20, 20]] * rest
    found = DetectionSet.from_xywh(boxes, np.linspace(1, 0.5, len(boxes)), np.zeros(len(boxes)), np.zeros(len(boxes)))
    images = ImageTable(["a"], [""], np.array([[100, 200]], np.int32))
    report = ReadReport()
    check_detections(EvaluationData(images, ("cat",), objects, found), report, truth_format="coco", form="coco")
    return {warning.kind: warning for warning in report.warnings()}.get("detections_fit_as_centres")


def test_thresholds_of_fitting_objects() -> None:
    assert fit(5)
    assert not fit(4)
    assert fit(10, rest=40)
    assert not fit(9, rest=41)
    assert fit(8, stated=2)
    assert not fit(7, stated=2)
    assert fit(9, width=0.51)
    assert not fit(9, width=0.49)
    best = fit(5001)
    assert best is not None
    assert "of the best 5,000 detections" in best.message


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ({(0, 1): 8, (1, 1): 2}, True),
        ({(0, 1): 7, (1, 1): 3}, False),
        ({(0, 1): 7, (0, 2): 3}, True),
        ({(0, 1): 6, (0, 2): 4}, False),
        ({(0, 1): 5}, True),
        ({(0, 1): 4}, False),
    ],
    ids=["few agree", "some agree", "mostly one", "several", "fewest", "fewer"],
)
def test_thresholds_of_mixed_up_classes(pairs: dict[tuple[int, int], int], told: bool) -> None:
    """(class found, class of the object) -> how many detections."""
    labels = np.array([pair for pair, count in pairs.items() for _ in range(count)])
    boxes = [[20 * k, 10, 15, 15] for k in range(len(labels))]
    images = ImageTable(["a"], [""], np.array([[100, 400]], np.int32))
    index, report = np.zeros(len(labels)), ReadReport()
    found = DetectionSet.from_xywh(boxes, np.linspace(1, 0.5, len(labels)), labels[:, 0], index)
    problem = EvaluationData(images, ("cat", "dog", "cow"), TruthSet.from_xywh(boxes, labels[:, 1], index), found)
    check_detections(problem, report, truth_format="coco", form="coco")
    assert ("classes_look_mixed_up" in report.counts) is told
