from pathlib import Path

import pytest

from tests.engine.input_files import SIZE_HW, annotation, coco_truth, kinds, put, put_image, voc_xml
from yolo.engine.detection_files import read_problem
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError

ODD = [0.1 + 0.2, 1 / 3, 2 / 3, 1e-3]


def coco_tree(root: Path) -> Path:
    content = coco_truth([annotation(1, 2, 2, ODD), annotation(2, 1, 1, [500, 1, -3, 4])])
    for image in content["images"]:
        put_image(root / "val2017" / image["file_name"])
    return put(root / "annotations" / "instances_val2017.json", content)


def mixed(root: Path) -> Path:
    """One split of a COCO file, a YOLO tree and a VOC tree."""
    coco_tree(root / "coco")
    put_image(root / "yolo" / "images" / "1.png")
    put(root / "yolo" / "labels" / "1.txt", "0 .5 .5 .5 .5\n1 3e-1 .5 0 .5\n")
    put(
        root / "voc" / "Annotations" / "v.xml",
        voc_xml([("puppy", [1, 2, 3, 4]), ("bird", [1, 2, 3, 4])], difficult=[0]),
    )
    put_image(root / "voc" / "JPEGImages" / "v.jpg")
    return put(
        root / "data.yaml",
        "val:\n- coco/annotations/instances_val2017.json\n- {path: yolo/images, names: [dog, cat]}\n"
        "- {path: voc, format: voc}\nrename: {puppy: dog, bird: null}\n",
    )


def test_the_root_of_a_coco_tree_is_read_as_its_file(tmp_path: Path) -> None:
    path = coco_tree(tmp_path)
    truth, direct = read_ground_truth(tmp_path), read_ground_truth(path)
    assert truth.images.paths == direct.images.paths == tuple(str(tmp_path / f"val2017/{one}.jpg") for one in (1, 2))
    assert truth.truths.sizes_wh.tolist() == direct.truths.sizes_wh.tolist() == [[-3, 4], ODD[2:]]
    assert (truth.category_ids, truth.format) == ((1, 2), "coco")


def test_sources_of_all_formats_are_one_ground_truth(tmp_path: Path) -> None:
    truth = read_ground_truth(mixed(tmp_path))
    assert truth.format == "coco+yolo+voc"
    assert truth.class_names == ("cat", "dog")
    assert [Path(path).relative_to(tmp_path).as_posix() for path in truth.images.paths] == [
        "coco/val2017/1.jpg", "coco/val2017/2.jpg", "yolo/images/1.png", "voc/JPEGImages/v.jpg",
    ]  # fmt: skip
    # two images are called 1: they go by their path
    assert truth.images.image_ids == ("coco/val2017/1.jpg", "2", "yolo/images/1.png", "v")
    assert truth.truths.labels.tolist() == [0, 1, 1, 0, 1]
    assert truth.truths.image_index.tolist() == [0, 1, 2, 2, 3]
    assert truth.truths.sizes_wh[:2].tolist() == [[-3, 4], ODD[2:]]
    assert truth.truths.boxes[2:].tolist() == [[50, 25, 150, 75], [60, 25, 60, 75], [0, 1, 3, 4]]
    assert truth.truths.difficult.tolist() == [False] * 4 + [True]
    assert truth.images.sizes_hw.tolist() == [list(SIZE_HW)] * 4
    assert truth.category_ids == (1, 2)
    assert kinds(truth.warnings)["unwanted_class"].count == 1


def test_only_the_listed_images_of_a_coco_file(tmp_path: Path) -> None:
    coco_tree(tmp_path)
    put(tmp_path / "only.txt", "val2017/2.jpg\n")
    path = put(tmp_path / "data.yaml", "val: {path: annotations/instances_val2017.json, only: only.txt}\n")
    truth = read_ground_truth(path)
    assert (truth.images.image_ids, truth.truths.labels.tolist()) == (("2",), [1])
    assert truth.truths.sizes_wh.tolist() == [ODD[2:]]
    assert truth.category_ids == (1, 2)


def test_category_ids_and_flags_beside_label_files(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "val" / "a.png")
    put(tmp_path / "labels" / "val" / "a.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n")
    put(tmp_path / "extra.csv", "image,image_id,object,difficult,iscrowd,area\nimages/val/a.png,,2,,1,7.5\n")
    put(tmp_path / "data.yaml", "val: images/val\nnames: [cat, dog]\ncategory_ids: [18, 3]\nextra: extra.csv\n")
    path = put(tmp_path / "dt.json", [{"image_id": "a", "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}])
    problem, truth, _ = read_problem(tmp_path, path)
    assert truth.category_ids == (18, 3)
    assert problem.detections.labels.tolist() == [1]
    assert truth.truths.iscrowd.tolist() == [False, True]
    assert truth.truths.area.tolist() == [5000, 7.5]


def test_boxes_in_a_csv_file(tmp_path: Path) -> None:
    text = "image,class,xmin,ymin,xmax,ymax\na.png,cat,1,2,900,12.5\nb.png,cat,1,2,3,4\n"
    put_image(tmp_path / "a.png")
    truth = read_ground_truth(put(tmp_path / "val.csv", text))
    assert truth.truths.boxes.tolist() == [[1, 2, 900, 12.5], [1, 2, 3, 4]]  # not cut to the image
    assert truth.format == "csv"
    assert kinds(truth.warnings).keys() == {"dataset_note"}
    assert truth.images.paths == (str(tmp_path / "a.png"), "")


def test_all_images_of_a_csv_file_are_measured_whatever_it_is_called_and_without_image_files(tmp_path: Path) -> None:
    rows = "".join(f"{name}.png,cat,1,2,3,4\n" for name in "abcdefghij")
    for name in ("annotations", "train"):
        truth = read_ground_truth(put(tmp_path / f"{name}.csv", f"image,class,xmin,ymin,xmax,ymax\n{rows}"))
        assert truth.images.image_ids == tuple("abcdefghij")
        assert len(truth.truths) == 10
    fractions = put(tmp_path / "x.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0,1,0,1\n")
    with pytest.raises(DataError, match=r"x\.csv: its images are not found"):
        read_ground_truth(fractions)


def test_a_fifth_stands_in_for_a_split_that_is_not_there(tmp_path: Path) -> None:
    for name in "abcdefghij":
        put_image(tmp_path / "images" / "train" / f"{name}.png")
        put(tmp_path / "labels" / "train" / f"{name}.txt", "0 .5 .5 .5 .5\n")
    truth = read_ground_truth(tmp_path)
    assert len(truth.images) == 2
    assert any("held out of train" in warning.message for warning in truth.warnings)


def test_an_image_of_a_dataset_that_is_missing_is_an_error_for_label_files(tmp_path: Path) -> None:
    put(tmp_path / "val.txt", "images/a.png\n")
    put(tmp_path / "data.yaml", "val: val.txt\nnames: [cat]\n")
    put(tmp_path / "labels" / "a.txt", "0 .5 .5 .5 .5\n")
    with pytest.raises(DataError, match=r"(?s)lists no images.*images/a\.png.* its boxes are fractions of its size"):
        read_ground_truth(tmp_path)


def test_a_merged_class_keeps_the_id_of_the_category_that_was_called_so(tmp_path: Path) -> None:
    put(tmp_path / "val.json", coco_truth([annotation(1, 1, 4, ODD)], categories={3: "dog", 4: "puppy", 5: "cat"}))
    put_image(tmp_path / "1.jpg")
    put(tmp_path / "data.yaml", "val: val.json\nrename: {puppy: dog}\nclasses: [cat, dog, bird]\n")
    truth = read_ground_truth(tmp_path)
    assert (truth.class_names, truth.category_ids) == (("cat", "dog", "bird"), (5, 3, 6))
    assert truth.truths.labels.tolist() == [1]
