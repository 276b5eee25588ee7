from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.input_files import kinds, put, voc_xml
from tests.reference.coco_oracle import found
from tests.reference.slow_voc import Box, found_in_file, slow_ap, slow_curve
from yolo.detection_sets import DetectionSet
from yolo.engine.detection_files import DetectionFiles, read_detections, read_problem
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError
from yolo.evaluation.voc import evaluate_voc
from yolo.formats.comp4 import check_names, write_comp4
from yolo.structures import Detections

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
    assert not kinds(result.warnings)


def test_missing_and_further_class_files_are_counted(tmp_path: Path) -> None:
    result = read(tmp_path, cat=LINE, unicorn=2 * LINE)
    assert len(result.detections) == 1
    remarks = kinds(result.warnings)
    assert remarks["class_file_missing"].examples == ("comp4_det_test_dog.txt",)
    assert remarks["unknown_class"].count == 2
    assert remarks["unknown_class"].examples[0].endswith("comp4_det_test_unicorn.txt, line 1, class 'unicorn'")


def test_a_byte_order_mark_is_no_part_of_the_first_image(tmp_path: Path) -> None:
    result = read(tmp_path, cat=b"\xef\xbb\xbf" + 2 * LINE.encode(), dog="")
    assert len(result.detections) == 2
    assert "unknown_image" not in kinds(result.warnings)


def test_lines_may_end_as_on_old_macs(tmp_path: Path) -> None:
    assert len(read(tmp_path, cat=(LINE + LINE).replace("\n", "\r"), dog="").detections) == 2


def test_utf_16_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"comp4_det_test_cat.txt: is not UTF-8 text but UTF-16; save it as UTF-8"):
        read(tmp_path, cat=LINE.encode("utf-16"))


def test_unknown_images_and_numbers_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    result = read(tmp_path, cat=LINE + "\nz 0.5 1 2 3 4\na nan 1 2 3 4\n", dog="a 0.5 1 2 inf 4\n" + LINE)
    assert result.detections.labels.tolist() == [0, 1]
    remarks = kinds(result.warnings)
    assert remarks["unknown_image"].examples == (f"{tmp_path}/found/comp4_det_test_cat.txt, line 3, image 'z'",)
    assert remarks["not_finite"].count == 2
    assert remarks["not_finite"].examples[1].startswith(f"{tmp_path}/found/comp4_det_test_dog.txt, line 1, image 'a'")


def test_nothing_was_found(tmp_path: Path) -> None:
    result = read(tmp_path, cat="", dog="\n")
    assert len(result.detections) == 0
    assert kinds(result.warnings).keys() == {"no_detections"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 0.5 1 2 3\n", "line 2: has 5 columns instead of 6"),
        ("a b 0.5 1 2 3 4\n", "line 2: has 7 columns instead of 6, .*; image ids cannot have spaces"),
        ("a 0.5 1 2 3 x\n", "line 2: 'a 0.5 1 2 3 x' is not"),
        (f"a 0.5 1 2 3 {'x' * 99}\n", "line 2: 'a 0.5 1 2 3 x{88}' is not"),
        (b"a 0.5 1 2 3 \xff\n", "line 2: .* is not"),
        (b"x" * 4097 + b" 0.5 1 2 3 4\n", "line 2: is too long"),
        ("a 1_0 1 2 3 4\n", "line 2: .* in numbers"),
    ],
)
def test_a_line_that_is_no_detection_is_an_error(tmp_path: Path, content: str | bytes, message: str) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(DataError, match=message):
        read(tmp_path, cat=LINE.encode() + data)


def test_files_that_do_not_belong_to_the_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no file of a class of the ground truth; it has 'person', the ground"):
        read(tmp_path / "1", person=LINE)
    with pytest.raises(DataError, match="no detection is on an image of the ground truth"):
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


def read_back(folder: Path, detections: dict[str, Detections], names: Sequence[str]) -> DetectionSet:
    """What our own reader makes of written files, on images with one object of each class."""
    write_comp4(folder / "found", detections, names)
    for image_id in detections:
        put(folder / "voc" / "Annotations" / f"{image_id}.xml", voc_xml([(name, [1, 1, 9, 9]) for name in names]))
    problem, _, _ = read_problem(folder / "voc", folder / "found", class_names=names)
    return problem.detections


@given(seed=st.integers(0, 2**32 - 1))
def test_scores_survive_to_the_bit_and_boxes_to_the_decimals(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    generator = np.random.default_rng(seed)
    bits = generator.integers(0, 2**32, 300, dtype=np.uint32).view(np.float32)
    scores = np.concatenate((bits[np.isfinite(bits)], generator.random(100, np.float32)))
    boxes = generator.uniform(-20, 4000, (len(scores), 4)).astype(np.float32)
    result = read_back(tmp_path_factory.mktemp("comp4"), {"a": found(boxes, scores, np.zeros(len(scores)))}, ["cat"])
    np.testing.assert_array_equal(result.scores.astype(np.float32), scores)
    np.testing.assert_allclose(result.boxes, boxes, rtol=0, atol=1e-6)


def test_class_names_with_underscores_are_told_apart(tmp_path: Path) -> None:
    names = ["table", "dining_table", "det_test_table"]
    result = read_back(tmp_path, {"a": found(np.ones((3, 4)), [0.1, 0.2, 0.3], [0, 1, 2])}, names)
    assert result.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("prefix", ["comp3_det_test_", "comp4_det_val_", "comp4_run1_det_test_", "comp4_det_trainval_"])
def test_other_prefixes_are_read(tmp_path: Path, prefix: str) -> None:
    put(tmp_path / "found" / f"{prefix}cat.txt", LINE)
    put(tmp_path / "found" / "notes.md", "not a detection file")
    assert len(read(tmp_path).detections) == 1


def test_a_folder_that_is_not_one_set_of_files(tmp_path: Path) -> None:
    put(tmp_path / "found" / "comp3_det_test_cat.txt", LINE)
    with pytest.raises(DataError, match=r"several kinds, comp3_det_test_\*.txt, comp4_det_test_\*.txt; keep"):
        read(tmp_path, cat=LINE)


def test_files_of_an_earlier_run_are_replaced_and_half_precision_is_written(tmp_path: Path) -> None:
    box, score = torch.tensor([[0, 0, 1, 1]], dtype=torch.bfloat16), torch.tensor([0.5], dtype=torch.bfloat16)
    write_comp4(tmp_path, {"000012": Detections(box, score, torch.tensor([1]), (9, 9))}, NAMES)
    assert (tmp_path / "comp4_det_test_dog.txt").read_text() == "000012 0.5 1.000000 1.000000 1.000000 1.000000\n"
    write_comp4(tmp_path, {"000012": found([], [], [])}, NAMES)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["", ""]


def test_one_file_for_each_class_with_pixels_counted_from_one(tmp_path: Path) -> None:
    # the whole image of 3 x 2 pixels is (1, 1, 3, 2) in a VOC file
    detections = {
        "b": found([[0, 0, 3, 2], [0.5, 1.25, 2, 2]], [0.5, 0.75], [0, 1]),
        "a": found([[0, 0, 1, 1]], [0.9], [0]),
    }
    write_comp4(tmp_path / "new", detections, ["cat", "traffic light", "bird"])
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        "comp4_det_test_cat.txt": (
            "b 0.5 1.000000 1.000000 3.000000 2.000000\na 0.899999976 1.000000 1.000000 1.000000 1.000000\n"
        ),
        "comp4_det_test_traffic light.txt": "b 0.75 1.500000 2.250000 2.000000 2.000000\n",
        "comp4_det_test_bird.txt": "",
    }


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..\\x", "a\nb", "a:b", "a\0", " cat", "x" * 201, "\ud800"])
def test_a_class_name_that_cannot_be_part_of_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be part of a file name"):
        write_comp4(tmp_path, {}, ["cat", name])
    assert not list(tmp_path.iterdir())


def test_class_names_must_differ_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'cat' appears twice"):
        write_comp4(tmp_path, {}, ["cat", "dog", "cat"])


@pytest.mark.parametrize("image_id", ["", "my photo", "a\tb", "a\n", "a\u2028b", "a\u00a0b", "\udcff"])
def test_an_image_id_that_a_line_cannot_hold(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(DataError, match="rename the image"):
        write_comp4(tmp_path, {"a": found([], [], []), image_id: found([], [], [])}, NAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("detections", "error", "message"),
    [
        (found([[0, 0, 1, 1]], [0.5], [2]), ValueError, "of 2 classes"),
        (found([[0, 0, 1, 1]], [0.5], [-1]), ValueError, "of 2 classes"),
        (found([[0, 0, 1, np.nan]], [0.5], [0]), ValueError, "not finite"),
        (found([[0, 0, 1, 1]], [np.inf], [0]), ValueError, "not finite"),
    ],
)
def test_a_bad_detection_leaves_no_file(
    tmp_path: Path, detections: Detections, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_comp4(tmp_path, {"a": detections}, NAMES)
    assert not list(tmp_path.iterdir())


def test_names_may_be_as_long_as_files_and_lines_allow(tmp_path: Path) -> None:
    check_names(["x" * 200], ["y" * 4000])
    assert len(read(tmp_path, cat=LINE + "x" * 4096 + " 0.5 1 2 3 4").detections) == 1
