from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detection_files.files import kinds, put, voc_xml
from tests.reference.slow_voc import Box, found_in_file, slow_ap, slow_curve
from yolo.detection_files.detections import DetectionFiles, read_detections, read_problem
from yolo.detection_files.ground_truth import read_ground_truth
from yolo.errors import DataError
from yolo.evaluation.voc import evaluate_voc

NAMES = ("cat", "dog")
LINE = "a 0.5 11 21 30 40\n"


def tree(root: Path) -> Path:
    """Images a, b and c with a cat and a dog each."""
    for name in "abc":
        put(root / "Annotations" / f"{name}.xml", voc_xml([("cat", [11, 21, 30, 40]), ("dog", [1, 2, 3, 4])]))
    return root


def read(folder: Path, **contents: str | bytes) -> DetectionFiles:
    for name, content in contents.items():
        put(folder / "found" / f"comp4_det_test_{name}.txt", content)
    return read_detections(folder / "found", read_ground_truth(tree(folder / "voc")))


def test_lines_keep_their_order_through_all_images(tmp_path: Path) -> None:
    result = read(
        tmp_path, dog="c 0.1 1 2 3 4\n", cat="b 0.30000000000000004 1.1 2 3 4.7\n\na 0.3 1 2 3 4\r\nb 1e-3 5 6 7 8"
    )
    found = result.detections
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.image_index.tolist() == [1, 0, 1, 2]
    assert found.scores.tolist() == [0.1 + 0.2, 0.3, 0.001, 0.1]
    assert found.boxes[0].tolist() == [1.1 - 1, 1, 3, 4.7]
    assert result.format == "comp4"
    assert not kinds(result.remarks)


def test_missing_and_further_class_files_are_counted(tmp_path: Path) -> None:
    result = read(tmp_path, cat=LINE, unicorn=2 * LINE)
    assert len(result.detections) == 1
    remarks = kinds(result.remarks)
    assert remarks["class_file_missing"].examples == ("comp4_det_test_dog.txt",)
    assert remarks["unknown_class"].count == 2
    assert remarks["unknown_class"].examples[0].endswith("comp4_det_test_unicorn.txt, line 1, class 'unicorn'")


def test_a_byte_order_mark_is_no_part_of_the_first_image(tmp_path: Path) -> None:
    result = read(tmp_path, cat=b"\xef\xbb\xbf" + 2 * LINE.encode(), dog="")
    assert len(result.detections) == 2
    assert "unknown_image" not in kinds(result.remarks)


def test_unknown_images_and_numbers_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    result = read(tmp_path, cat=LINE + "\nz 0.5 1 2 3 4\na nan 1 2 3 4\n", dog="a 0.5 1 2 inf 4\n" + LINE)
    assert result.detections.labels.tolist() == [0, 1]
    remarks = kinds(result.remarks)
    assert remarks["unknown_image"].examples == (f"{tmp_path}/found/comp4_det_test_cat.txt, line 3, image 'z'",)
    assert remarks["not_finite"].count == 2
    assert remarks["not_finite"].examples[1].startswith(f"{tmp_path}/found/comp4_det_test_dog.txt, line 1, image 'a'")


def test_nothing_was_found(tmp_path: Path) -> None:
    result = read(tmp_path, cat="", dog="\n")
    assert len(result.detections) == 0
    assert kinds(result.remarks).keys() == {"no_detections"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 0.5 1 2 3\n", "line 2: has 5 instead of 6 fields"),
        ("a b 0.5 1 2 3 4\n", "line 2: has 7 instead of 6 fields"),
        ("a 0.5 1 2 3 x\n", "line 2: 'a 0.5 1 2 3 x' is not"),
        (b"a 0.5 1 2 3 \xff\n", "line 2: .* is not"),
        (b"\0" * 9000, "line 2: is too long"),
        ("a 1_0 1 2 3 4\n", "line 2: .* with five numbers"),
    ],
)
def test_a_line_that_is_no_detection_is_an_error(tmp_path: Path, content: str | bytes, message: str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(DataError, match=message):
        read(tmp_path, cat=LINE.encode() + data)


def test_files_that_do_not_belong_to_the_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no file of a class of the ground truth; it has 'person', the ground"):
        read(tmp_path / "1", person=LINE)
    with pytest.raises(DataError, match="not one detection is on an image of the ground truth"):
        read(tmp_path / "2", cat="x 0.5 1 2 3 4\n")


@st.composite
def files(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str]]:
    """XML by image and detection files by class: few places, tenths of scores, odd floats, ties through images."""
    numbers = st.sampled_from(["1", "2", "5", "9", "14", "20.5"])
    boxes = st.tuples(numbers, numbers, numbers, numbers).map(
        lambda box: (min(box[0], box[2], key=float), min(box[1], box[3], key=float),
                     max(box[0], box[2], key=float), max(box[1], box[3], key=float))
    )  # fmt: skip
    objects = {
        image: draw(st.lists(st.tuples(st.sampled_from(NAMES), boxes), max_size=4)) for image in ("b", "a", "000010")
    }
    xml = {
        image: voc_xml(own, difficult=draw(st.sets(st.integers(0, 3), max_size=1))) for image, own in objects.items()
    }
    scores = st.sampled_from(["0.1", "0.2", "0.30000000000000004", "0.3", "-1e-3"])
    lines = {}
    for name in NAMES:
        known = [(image, box) for image, own in objects.items() for label, box in own if label == name]
        near = st.sampled_from(known) if known else st.nothing()
        found = draw(st.lists(st.tuples(near | st.tuples(st.sampled_from(list(xml)), boxes), scores), max_size=8))
        lines[name] = "".join(f"{image} {score} {' '.join(box)}\n" for (image, box), score in found)
    return xml, lines


@settings(max_examples=50)
@given(content=files(), rule=st.sampled_from([("11-point", True), ("all-point", False)]))
def test_the_numbers_are_the_devkits_on_the_text_of_the_files(
    content: tuple[dict[str, str], dict[str, str]], rule: tuple[str, bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    (xml, lines), (interpolation, plus_one) = content, rule
    folder = tmp_path_factory.mktemp("voc")
    for image, text in xml.items():
        put(folder / "Annotations" / f"{image}.xml", text)
    for name, text in lines.items():
        put(folder / "found" / f"comp4_det_test_{name}.txt", text)
    problem, _, _ = read_problem(folder, folder / "found", class_names=NAMES)
    result = evaluate_voc(problem, interpolation=interpolation, plus_one=plus_one)  # type: ignore[arg-type]
    for label, name in enumerate(NAMES):
        path = folder / "found" / f"comp4_det_test_{name}.txt"
        objects = {image: objects_in(text, name) for image, text in xml.items()}
        curve = slow_curve(found_in_file(path), objects, match_iou=0.5, plus_one=plus_one, strict=True)
        expected = slow_ap(*curve, interpolation=interpolation)
        np.testing.assert_allclose(result.ap_per_class[label], expected, rtol=0, atol=1e-12)


def objects_in(xml: str, name: str) -> list[tuple[Box, bool]]:
    """Boxes and difficult flags of a class, cut out of the text."""
    found = []
    for part in xml.split("<object>")[1:]:
        if f"<name>{name}</name>" in part:
            keys = ("xmin", "ymin", "xmax", "ymax")
            box = tuple(float(part.partition(f"<{key}>")[2].partition("<")[0]) for key in keys)
            found.append((box, "<difficult>1<" in part))
    return found
