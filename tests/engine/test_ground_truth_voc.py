from pathlib import Path
from typing import Any

import pytest

from tests.engine.input_files import SIZE_HW, kinds, put, put_image, voc_xml
from yolo.engine.detection_files import read_problem
from yolo.engine.ground_truth_files import GroundTruthFiles, read_ground_truth
from yolo.errors import DataError


def tree(root: Path, **lists: str) -> Path:
    """Two annotations; lists as asked for."""
    objects: list[tuple[str, list[float]]] = [
        ("dog", [1, 1, 200, 100]),
        ("cat", [3.5, 4, 3.5, 9]),
        ("cat", [9, 9, 5, 300]),
    ]
    put(root / "Annotations" / "000002.xml", voc_xml(objects, difficult=[1]))
    put(root / "Annotations" / "000010.xml", voc_xml([("bird", [1, 2, 3, 4])], size=False))
    for name, text in lists.items():
        put(root / "ImageSets" / "Main" / f"{name}.txt", text)
    return root


def test_every_object_stays_as_it_stands(tmp_path: Path) -> None:
    truth = read_ground_truth(tree(tmp_path))
    assert truth.images.image_ids == ("000002", "000010")
    assert truth.class_names == ("bird", "cat", "dog")
    assert truth.category_ids is None
    assert truth.truths.labels.tolist() == [2, 1, 1, 0]
    # of equal corners it is one pixel wide; swapped and outside stay
    assert truth.truths.boxes.tolist() == [[0, 0, 200, 100], [2.5, 3, 3.5, 9], [8, 8, 5, 300], [0, 1, 3, 4]]
    assert truth.truths.difficult.tolist() == [False, True, False, False]
    assert truth.truths.image_index.tolist() == [0, 0, 0, 1]
    assert truth.truths.area.tolist()[:2] == [20_000, 6]
    assert truth.images.sizes_hw.tolist() == [list(SIZE_HW), [0, 0]]
    remarks = kinds(truth.warnings)
    assert remarks["empty_truth_box"].examples == (f"{tmp_path}/Annotations/000002.xml, object 3",)
    assert {remark.kind: remark.count for remark in truth.warnings}["picture_missing"] == 2
    assert truth.format == "voc"


def test_the_split_is_a_list_and_the_classes_are_those_of_the_tree(tmp_path: Path) -> None:
    tree(tmp_path, val="000010\n", test="000002\n000010\n")
    truth = read_ground_truth(tmp_path)
    assert truth.images.image_ids == ("000010",)
    assert truth.class_names == ("bird", "cat", "dog")
    assert truth.truths.labels.tolist() == [0]
    assert len(read_ground_truth(tmp_path, split="test").images) == 2
    with pytest.raises(DataError, match=r"no list train\.txt for the split 'train'; there are: val, test"):
        read_ground_truth(tmp_path, split="train")


def test_a_bare_folder_of_xml_files(tmp_path: Path) -> None:
    tree(tmp_path, test="000002\n")
    picture = put_image(tmp_path / "pictures" / "000010.jpg", (30, 40))
    truth = read_ground_truth(tmp_path / "Annotations", images=tmp_path / "pictures")
    assert truth.images.paths == ("", str(picture))
    assert truth.images.sizes_hw.tolist() == [list(SIZE_HW), [30, 40]]
    put_image(tmp_path / "JPEGImages" / "000002.jpg")
    assert read_ground_truth(tmp_path / "Annotations").images.paths[0] == str(tmp_path / "JPEGImages" / "000002.jpg")


def test_chosen_classes_may_have_no_object(tmp_path: Path) -> None:
    truth = read_ground_truth(tree(tmp_path), class_names=["horse", "dog"])
    assert truth.class_names == ("horse", "dog")
    assert truth.truths.labels.tolist() == [1]
    assert kinds(truth.warnings)["unknown_class"].count == 3


def test_an_image_without_annotation_has_no_objects(tmp_path: Path) -> None:
    truth = read_ground_truth(tree(tmp_path, val="000002\n000003\n"))
    assert (len(truth.images), len(truth.truths)) == (2, 3)
    assert kinds(truth.warnings)["label_file_missing"].count == 1
    with pytest.raises(DataError, match="not one of its 1 images has an annotation"):
        read_ground_truth(tree(tmp_path, val="000003\n"))


def test_a_line_that_a_list_repeats_counts_once_as_in_training(tmp_path: Path) -> None:
    truth = read_ground_truth(tree(tmp_path, val="000002\n000010\n000002\n"))
    assert truth.images.image_ids == ("000002", "000010")
    assert len(truth.truths) == 4
    assert kinds(truth.warnings)["image_listed_twice"].count == 1


def test_folders_in_a_list_may_be_written_as_on_windows(tmp_path: Path) -> None:
    put(tmp_path / "Annotations" / "a" / "1.xml", voc_xml([("cat", [1, 2, 3, 4])]))
    put(tmp_path / "Annotations" / "2.xml", voc_xml([("cat", [1, 2, 3, 4])]))
    put(tmp_path / "ImageSets" / "Main" / "val.txt", "a\\1\n2\n")
    put(tmp_path / "found" / "comp4_det_test_cat.txt", "a\\1 0.5 1 2 3 4\na/1 0.5 1 2 3 4\n")
    problem, truth, _ = read_problem(tmp_path, tmp_path / "found")
    assert truth.images.image_ids == ("a/1", "2")
    assert problem.detections.image_index.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("xml", "kind", "message"),
    [
        ("<annotation><object>", "annotation_unreadable", "is not well-formed XML"),
        (b"\xff\xfe\x00", "annotation_unreadable", "is not well-formed XML"),
        ("<x/>", "annotation_unreadable", "is not a VOC annotation"),
        ("<annotation><object><bndbox/></object></annotation>", "missing_name", "object 1: the object has no <name>"),
        (voc_xml([("cat", [1, 2, 3, "x"])]), "missing_box", "object 1: <bndbox> has no number for ymax"),
        (voc_xml([("cat", [1, 2, 3, "nan"])]), "not_finite", "object 1: the box is not finite"),
        (voc_xml([("cat", [1, 2, 3, "1e300"])]), "not_finite", "object 1: the box is not finite"),
    ],
)
def test_what_no_evaluation_can_use_is_left_out_and_counted(tmp_path: Path, xml: Any, kind: str, message: str) -> None:
    path = put(tmp_path / "Annotations" / "a.xml", xml)
    with pytest.raises(DataError, match=f"(?s)(not one of its 1 objects|lists no images).*{message}"):
        read_ground_truth(tmp_path)
    truth = read_ground_truth(tree(tmp_path))
    warning = kinds(truth.warnings)[kind]
    assert (warning.count, len(truth.truths)) == (1, 4)
    assert warning.examples[0].startswith(str(path))


def as_dataset(root: Path) -> GroundTruthFiles:
    put(
        root / "data.yaml",
        "path: .\nval: ImageSets/Main/val.txt\nformat: voc\nclasses: [pet, dog]\nrename: {cat: pet}\n",
    )
    return read_ground_truth(root / "data.yaml")


def test_the_rules_of_a_dataset_yaml_hold_and_its_cleaning_does_not(tmp_path: Path) -> None:
    truth = as_dataset(tree(tmp_path, val="000002\n000010\n"))
    assert truth.class_names == ("pet", "dog")
    assert truth.truths.labels.tolist() == [1, 0, 0]
    assert truth.truths.boxes.tolist() == [[0, 0, 200, 100], [2.5, 3, 3.5, 9], [8, 8, 5, 300]]
    assert kinds(truth.warnings)["unwanted_class"].count == 1
