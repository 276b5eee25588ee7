"""Training and evaluation read the same files in the same way, also where writers differ from the standard."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.input_files import annotation, coco_truth, put, put_image, voc_xml
from yolo.data.read import Split, find_dataset, read_split
from yolo.engine.ground_truth_files import GroundTruthFiles, read_ground_truth

CASES = Path(__file__).parents[2].parent / "shared" / "cases"


def both(path: Path, split: str = "val") -> tuple[Split, GroundTruthFiles]:
    """What training and what evaluation make of a dataset; both must have the same images, classes and objects."""
    trained, measured = read_split(find_dataset(path), split), read_ground_truth(path, split=split)
    assert sorted(trained.images.image_ids) == sorted(measured.images.image_ids)
    assert (trained.class_names, trained.category_ids) == (measured.class_names, measured.category_ids)
    for image_id, image in zip(trained.images.image_ids, trained.images, strict=True):
        own = measured.truths[measured.truths.image_index == measured.images.image_ids.index(image_id)]
        truth = image.ground_truth
        np.testing.assert_array_equal(truth.boxes, own.boxes.astype(np.float32))
        for name in ("labels", "iscrowd", "difficult"):
            np.testing.assert_array_equal(getattr(truth, name), getattr(own, name))
    return trained, measured


def put_coco(root: Path, content: dict[str, Any]) -> Path:
    for image in content["images"]:
        put_image(root / image["file_name"].replace("\\", "/"))
    return put(root / "instances_val.json", content)


def test_good_files_of_every_format_are_read_alike(tmp_path: Path) -> None:
    both(put_coco(tmp_path / "coco", coco_truth([annotation(1, 2, 2, [0.1, 1 / 3, 20, 30.7], iscrowd=1)])))
    put_image(tmp_path / "yolo" / "images" / "val" / "a.png")
    put(tmp_path / "yolo" / "labels" / "val" / "a.txt", "1 0.3331 0.2717 0.123457 0.0771\n0 .1 .1 .2 .1 .2 .2\n")
    put(tmp_path / "yolo" / "classes.txt", "cat\ndog\n")
    both(tmp_path / "yolo")
    put_image(tmp_path / "voc" / "JPEGImages" / "a.jpg")
    put(tmp_path / "voc" / "Annotations" / "a.xml", voc_xml([("dog", [3.5, 4, 30, 9])], difficult=[0]))
    put(tmp_path / "voc" / "ImageSets" / "Main" / "val.txt", "a\n")
    both(tmp_path / "voc")
    put_image(tmp_path / "csv" / "a.png")
    text = "image,class,xmin,ymin,xmax,ymax,iscrowd,difficult\na.png,dog,1,2,3.5,4,1,yes\na.png,cat,1,2,3,9,0,\n"
    trained, _ = both(put(tmp_path / "csv" / "val.csv", text))
    assert trained.images.objects.difficult.tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "crowd"),
    [
        (0, 0),
        (1, 1),
        (2, 1),
        (True, 1),
        (0.0, 0),
        (0.5, 1),
        ("1", 1),
        ("0", 0),
        ("2", 1),
        ("true", 1),
        (None, 0),
        ("x", 0),
        (math.nan, 0),
    ],
)
def test_any_iscrowd_but_zero_is_a_crowd(tmp_path: Path, value: Any, crowd: bool) -> None:
    path = put_coco(tmp_path, coco_truth([annotation(1, 1, 1, [1, 2, 3, 4], iscrowd=value)], images=[1]))
    trained, measured = both(path)
    assert trained.images.objects.iscrowd.tolist() == [bool(crowd)]
    kinds = {warning.kind for warning in measured.warnings}
    assert ("unclear_flag" in kinds) == ("unclear_flag" in trained.report.counts) == (value == "x" or value != value)


def test_ids_may_be_numbers_with_a_point_or_text(tmp_path: Path) -> None:
    rows = [(1.0, "2"), ("1", 1.0), (1, 2), ("007", 1), (7, 1), (True, 1), (1, "two"), (1.5, 1)]
    content = coco_truth(
        [annotation(k, image, category, [k, 2, 3, 4]) for k, (image, category) in enumerate(rows, start=1)],
        images=["1", "007"],
        categories={1: "cat", 2: "dog"},
    )
    content["categories"][1]["id"] = "2"
    trained, measured = both(put_coco(tmp_path, content))
    assert trained.images.objects.labels.tolist() == [1, 0, 1, 0]
    # "007" is a name and not the number 7
    assert trained.report.objects_dropped == {"unknown_image": 3, "unknown_class": 1}
    counts = {warning.kind: warning.count for warning in measured.warnings}
    assert (counts["unknown_image"], counts["unknown_class"]) == (3, 1)


def test_a_root_category_with_the_name_of_its_class_is_left_out(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=[1], categories={0: "cat", 1: "cat", 2: "dog"})
    trained, measured = both(put_coco(tmp_path, content))
    assert (trained.class_names, trained.category_ids) == (("cat", "dog"), (1, 2))
    assert trained.report.counts["unused_category"] == 1
    assert "unused_category" in {warning.kind for warning in measured.warnings}


def test_categories_with_one_name_that_both_have_objects_stay_apart(tmp_path: Path) -> None:
    objects = [annotation(k, 1, k, [k, 2, 3, 4]) for k in (1, 5)]
    content = coco_truth(objects, images=[1], categories={1: "cat", 5: "cat", 6: " "})
    trained, _ = both(put_coco(tmp_path, content))
    assert trained.class_names == ("cat (1)", "cat (5)", "6")
    assert trained.report.counts == {"shared_class_name": 2, "nameless_class": 1}


def test_backslashes_separate_folders_where_no_file_is_called_so(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=[1, 2])
    content["images"][0]["file_name"] = "val\\1.jpg"
    path = put_coco(tmp_path, content)
    trained, _ = both(path)
    assert [image.path for image in trained.images] == [tmp_path / "val" / "1.jpg", tmp_path / "2.jpg"]
    put_image(tmp_path / "val\\1.jpg")  # on systems where this is a name
    assert both(path)[0].images[0].path == tmp_path / "val\\1.jpg"


def test_a_bad_record_costs_itself_alone_in_both(tmp_path: Path) -> None:
    good = annotation(1, 1, 1, [1, 2, 3, 4])
    bad = [good | {"id": k, "bbox": bbox} for k, bbox in enumerate(([1, 2], None, [1, 2, "3", 4], "x"), start=2)]
    trained, measured = both(put_coco(tmp_path, coco_truth([good, *bad, 3], images=[1])))
    assert trained.report.objects_dropped == {"missing_box": 4, "unknown_image": 1}
    counts = {warning.kind: warning.count for warning in measured.warnings}
    assert (counts["missing_box"], counts["unknown_image"]) == (4, 1)


def test_one_link_that_leads_to_itself_hides_no_label_file(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "val" / "a.png")
    put(tmp_path / "labels" / "val" / "a.txt", "0 .5 .5 .1 .1\n")
    put(tmp_path / "classes.txt", "cat\n")
    (tmp_path / "labels" / "val" / "loop.txt").symlink_to(tmp_path / "labels" / "val" / "loop.txt")
    trained, _ = both(tmp_path)
    assert len(trained.images.objects) == 1


def test_control_characters_of_class_names_reach_no_terminal(tmp_path: Path) -> None:
    name, clean = "cat\x1b[31m\x07", "cat%1B[31m%07"
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=[1], categories={1: name})
    assert both(put_coco(tmp_path / "coco", content))[0].class_names == (clean,)
    put_image(tmp_path / "csv" / "a.png")
    text = f"image,class,xmin,ymin,xmax,ymax\na.png,{name},1,2,3.5,4\n"
    assert both(put(tmp_path / "csv" / "val.csv", text))[0].class_names == (clean,)
    put_image(tmp_path / "yolo" / "images" / "val" / "a.png")
    put(tmp_path / "yolo" / "labels" / "val" / "a.txt", "0 .5 .5 .1 .1\n")
    put(tmp_path / "yolo" / "classes.txt", f"{name}\n")
    assert both(tmp_path / "yolo")[0].class_names == (clean,)
    put(tmp_path / "yolo" / "data.yaml", 'val: images/val\nnames: ["cat\\e[31m\\a"]\n')
    assert both(tmp_path / "yolo")[0].class_names == (clean,)


@pytest.mark.skipif(not CASES.is_dir(), reason="the collected inputs are not here")
@pytest.mark.parametrize("case", ["01c-coco-backslash-standard", "04b-pandas-float-ids"])
def test_files_that_people_had_trouble_with(case: str) -> None:
    root = CASES / case
    trained, _ = both(root, "train")
    assert len(trained.images.objects)


def test_a_root_category_above_all_others_is_left_out(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=[1], categories={0: "pets", 1: "cat", 2: "dog"})
    for category, above in zip(content["categories"], ("none", "pets", "pets"), strict=True):
        category["supercategory"] = above
    trained, measured = both(put_coco(tmp_path / "a", content))
    assert (trained.class_names, trained.category_ids) == (("cat", "dog"), (1, 2))
    assert {"unused_category"} <= {warning.kind for warning in measured.warnings}
    content["annotations"].append(annotation(2, 1, 0, [1, 2, 3, 4]))  # it has an object: a class like the others
    assert both(put_coco(tmp_path / "b", content))[0].class_names == ("pets", "cat", "dog")
    del content["annotations"][1]
    content["categories"][2]["supercategory"] = "beasts"  # not above all
    assert both(put_coco(tmp_path / "c", content))[0].class_names == ("pets", "cat", "dog")


def test_comments_are_read_in_no_format(tmp_path: Path) -> None:
    put_image(tmp_path / "yolo" / "images" / "val" / "a.png")
    put(tmp_path / "yolo" / "labels" / "val" / "a.txt", "# class cx cy w h\n0 .5 .5 .1 .1 # the cat\n#1 .5 .5 .2 .2\n")
    put(tmp_path / "yolo" / "classes.txt", "# mine\ncat\n")
    put(tmp_path / "yolo" / "val.txt", "# one\nimages/val/a.png\n# images/val/b.png\n")
    assert len(both(tmp_path / "yolo")[0].images.objects) == 1
    assert len(both(tmp_path / "yolo" / "val.txt")[0].images.objects) == 1
    put_image(tmp_path / "csv" / "#1.png")
    text = "# boxes\n\nimage,class,xmin,ymin,xmax,ymax\n#1.png,cat,1,2,3,4\n# done, I think\n#1.png,cat,1,2,3,,\n"
    trained, _ = both(put(tmp_path / "csv" / "val.csv", text))
    assert (len(trained.images.objects), trained.report.counts) == (1, {})


def test_numbers_of_pandas_are_ids_and_sizes(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    header = "image,width,height,class,xmin,ymin,xmax,ymax,image_id\n"
    trained, _ = both(put(tmp_path / "val.csv", f"{header}a.png,100.0,100.0,3.0,1.0,2.0,3.0,4.0,7.0\n"))
    assert (trained.class_names, list(trained.images.image_ids)) == (("3",), ["7"])


def test_key_points_behind_the_boxes_are_no_polygons(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "val" / "a.png")
    put(tmp_path / "labels" / "val" / "a.txt", "0 .5 .5 .2 .2 .1 .1 .9 .9\n0 .2 .2 .1 .1\n0 .1 .1 .2 .1 .2 .2\n")
    path = put(tmp_path / "pose.yaml", "val: images/val\nnames: [cat]\nkpt_shape: [2, 2]\n")
    trained, _ = both(path)
    height, width = trained.images[0].size_hw
    expected = np.array([[0.4, 0.4, 0.6, 0.6], [0.15, 0.15, 0.25, 0.25], [0.1, 0.1, 0.2, 0.2]])
    np.testing.assert_allclose(trained.images.objects.boxes, expected * [width, height, width, height], rtol=1e-6)


def test_a_polygon_in_place_of_a_voc_box_gives_the_box_around_it(tmp_path: Path) -> None:
    put_image(tmp_path / "JPEGImages" / "a.jpg")
    numbered = "<x1>5</x1><y1>6</y1><x2>20</x2><y2>6</y2><x3>20</x3><y3>9</y3>"
    points = "<pt><x>5</x><y>6</y></pt><pt><x>20</x><y>9</y></pt>"
    shapes = (numbered, points, "<x>1</x>")
    objects = "".join(f"<object><name>cat</name><polygon>{one}</polygon></object>" for one in shapes)
    put(tmp_path / "Annotations" / "a.xml", f"<annotation>{objects}</annotation>")
    put(tmp_path / "ImageSets" / "Main" / "val.txt", "a\n")
    trained = read_split(find_dataset(tmp_path), "val")
    assert trained.images.objects.boxes.tolist() == [[4, 5, 20, 9]]  # the second is an exact duplicate
    assert trained.report.objects_dropped == {"duplicate": 1, "missing_box": 1}
