from pathlib import Path
from typing import Any

import pytest

from tests.engine.input_files import annotation, coco_truth, kinds, put, put_image
from yolo.engine.detections import DetectionFiles, read_detections, read_problem
from yolo.engine.inputs import read_ground_truth
from yolo.errors import DataError


def read(folder: Path, truth: dict[str, Any] | None = None, **texts: str | bytes) -> DetectionFiles:
    """Text files for the images a to c of 200 x 100 pixels."""
    content = truth or truth_of("a.jpg", "b.jpg", "c.jpg")
    for name, text in texts.items():
        put(folder / "found" / f"{name}.txt", text)
    (folder / "found").mkdir(exist_ok=True)
    return read_detections(folder / "found", read_ground_truth(put(folder / "gt.json", content)), format="yolo")


def truth_of(*names: str) -> dict[str, Any]:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=range(1, len(names) + 1))
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    return content


LINE = "0 0.5 0.5 0.25 0.5 0.9\n"


def test_lines_by_image_in_their_order(tmp_path: Path) -> None:
    result = read(tmp_path, b=LINE, a="1 0.25 0.25 0.1 0.1 0.3\r\n\n 0.0\t0.5 0.5 0.25 0.5 3e-1 ")
    found = result.detections
    assert found.image_index.tolist() == [0, 0, 1]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.scores.tolist() == [0.3, 0.3, 0.9]
    assert found.boxes[1].tolist() == [75, 25, 125, 75]
    assert found.boxes[0].tolist() == pytest.approx([40, 20, 60, 30])
    assert kinds(result.warnings)["image_without_file"].count == 1
    assert result.format == "yolo"


def test_an_odd_fraction_is_the_same_box_on_both_sides(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png", (333, 777))
    put(tmp_path / "labels" / "a.txt", "0 0.3331 0.2717 0.123457 0.0771\n")
    put(tmp_path / "found" / "labels" / "a.txt", "0 0.3331 0.2717 0.123457 0.0771 0.25\n")
    problem, _, _ = read_problem(tmp_path / "labels", tmp_path / "found")
    assert problem.detections.boxes.tolist() == problem.truths.boxes.tolist()
    assert problem.detections.sizes_wh.tolist() == problem.truths.sizes_wh.tolist()


def test_images_are_found_by_folder_and_name_or_by_name_alone(tmp_path: Path) -> None:
    content = truth_of("x/a.jpg", "x/b.jpg", "c.jpg")
    put(tmp_path / "found" / "labels" / "c.txt", LINE)
    put(tmp_path / "found" / "classes.txt", "cat\n")
    assert read(tmp_path, content, a=LINE).detections.image_index.tolist() == [0, 2]
    (tmp_path / "found" / "a.txt").unlink()
    (tmp_path / "found" / "labels" / "c.txt").rename(tmp_path / "found" / "labels" / "b.txt")
    put(tmp_path / "found" / "run" / "c.txt", LINE)
    (tmp_path / "found" / "labels" / "b.txt").unlink()
    assert read(tmp_path, content).detections.image_index.tolist() == [2]


def test_one_image_with_two_files_and_two_images_with_one_name(tmp_path: Path) -> None:
    put(tmp_path / "found" / "labels" / "a.jpg.txt", LINE)
    with pytest.raises(DataError, match="has several files for the image 1"):
        read(tmp_path, a=LINE)
    with pytest.raises(DataError, match="'a' is the name of several images"):
        read(tmp_path / "other", truth_of("x/a.jpg", "y/a.jpg"), a=LINE)


def test_unknown_images_and_classes_and_numbers_that_are_not_finite(tmp_path: Path) -> None:
    bad = "7 .5 .5 .1 .1 .9\n0 nan .5 .1 .1 .9\n0 .5 .5 inf .1 .9\n0 .5 .5 .1 .1 nan\n"
    result = read(tmp_path, a=LINE + bad, z=LINE)
    assert len(result.detections) == 1
    remarks = kinds(result.warnings)
    assert remarks["unknown_image"].examples == (f"{tmp_path}/found/z.txt, line 1, image 'z'",)
    assert remarks["unknown_class"].examples == (f"{tmp_path}/found/a.txt, line 2, class 7",)
    assert remarks["not_finite"].count == 3
    assert remarks["file_of_unknown_image"].count == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .5 .5 .1 .1\n", "line 2: has 5 columns, as ground truth has them; detections need the score"),
        ("0 .5 .5 .1\n", "line 2: has 4 columns instead of 6"),
        ("0 .5 .5 .1 .1 .9 7\n", "line 2: has 7 columns instead of 6"),
        ("0 .5 .5 x .1 .9\n", r"line 2: '0 .5 .5 x .1 .9' is not"),
        ("0 .5 .5 1_0 .1 .9\n", "line 2: .* in numbers"),
        ("cat .5 .5 .1 .1 .9\n", "line 2: .* in numbers"),
        ("0.5 .5 .5 .1 .1 .9\n", "line 2: .* does not begin with the number of a class"),
        ("nan .5 .5 .1 .1 .9\n", "line 2: .* does not begin with the number of a class"),
        ("1e99 .5 .5 .1 .1 .9\n", "line 2: .* does not begin with the number of a class"),
        (b"\xff .5 .5 .1 .1 .9\n", "line 2: .* in numbers"),
    ],
)
def test_a_line_that_is_no_detection_is_an_error(tmp_path: Path, text: str | bytes, message: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, a=LINE.encode() + data)
    assert str(caught.value).startswith(f"{tmp_path}/found/a.txt, line 2: ")


def test_pixels_are_refused_and_single_boxes_far_outside_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are not fractions of the image, as in 2 of 3 lines; are these pixels"):
        read(tmp_path, a=LINE + "0 50 50 10 10 .9\n0 60 50 10 10 .9\n")
    result = read(tmp_path, a=2 * LINE + "0 2.5 .5 .1 .1 .9\n")
    assert len(result.detections) == 3
    assert kinds(result.warnings)["far_outside"].examples == (f"{tmp_path}/found/a.txt, line 3",)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    result = read(tmp_path, a=b"\xef\xbb\xbf" + LINE.encode())
    assert len(result.detections) == 1


def test_class_numbers_from_one_are_refused(tmp_path: Path) -> None:
    message = "class numbers are one off: the detections have 1 to 2, the ground truth 0 to 1; subtract 1"
    with pytest.raises(DataError, match=message):
        read(tmp_path, a="1 .5 .5 .1 .1 .9\n2 .5 .5 .1 .1 .9\n")


def test_an_image_of_unknown_size_is_an_error(tmp_path: Path) -> None:
    content = truth_of("a.jpg", "b.jpg")
    del content["images"][0]["width"]
    assert len(read(tmp_path, content, b=LINE, a="").detections) == 1
    with pytest.raises(DataError, match=r"a\.txt, line 1: .* the size of image 1 is not known"):
        read(tmp_path, content, a=LINE)


def test_no_files_and_empty_files_are_no_detections(tmp_path: Path) -> None:
    result = read(tmp_path)
    assert len(result.detections) == 0
    assert kinds(result.warnings).keys() == {"no_detections", "image_without_file"}
    result = read(tmp_path, a="", b="\n")
    assert len(result.detections) == 0
    assert kinds(result.warnings)["image_without_file"].count == 1


def test_the_order_is_that_of_the_images_not_of_the_file_names(tmp_path: Path) -> None:
    result = read(tmp_path, truth_of("c.jpg", "a.jpg"), a=LINE, c="1 0.5 0.5 0.25 0.5 0.9\n")
    assert result.detections.image_index.tolist() == [0, 1]
    assert result.detections.labels.tolist() == [1, 0]
