"""Datasets of several roots and formats, and the YAML keys that make one of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.dataset_trees import (
    coco_content,
    put_image,
    put_json,
    put_text,
    put_voc,
    put_voc_list,
    put_yolo,
    voc_object,
)
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import DataError

LINE = "0 0.5 0.5 0.5 0.5\n"


def _read(root: Path, text: str, split: str = "train", **options: Any) -> Split:
    return read_split(find_dataset(put_text(root / "data.yaml", text)), split, **options)


def _found(split: Split) -> dict[str, list[str]]:
    """Class names of the objects on each image."""
    return {image.image_id: [split.class_names[label] for label in image.ground_truth.labels] for image in split.images}


def _trees(root: Path) -> None:
    """A tree of each format, one class each and one that they share."""
    put_yolo(root / "y", "train", {"y": LINE + "1 .5 .5 .2 .2\n"})
    put_text(root / "y" / "classes.txt", "shared\nyacht\n")
    put_voc(root / "v", "v", voc_object("shared", (1, 1, 9, 9)), voc_object("van", (1, 1, 5, 5)))
    put_voc_list(root / "v", "train", ["v"])
    put_image(root / "c" / "c.png")
    boxes = [{"image_id": 10, "category_id": number, "bbox": [0, 0, 9, number]} for number in (7, 8)]
    put_json(root / "c" / "c.json", coco_content(["c.png"], boxes, {8: "shared", 7: "car"}))
    put_image(root / "s" / "s.png")
    put_text(root / "s" / "s.csv", "image,class,x1,y1,x2,y2\ns.png,shared,1,1,9,9\ns.png,ship,1,1,8,8\n")


SOURCES = "[y/images/train, v/ImageSets/Main/train.txt, c/c.json, s/s.csv]"


def test_sources_of_all_formats_make_one_dataset(tmp_path: Path) -> None:
    _trees(tmp_path)
    split = _read(tmp_path, f"train: {SOURCES}\nval: c/c.json")
    assert split.class_names == ("shared", "yacht", "van", "car", "ship")
    assert _found(split) == {
        "y": ["shared", "yacht"],
        "v": ["shared", "van"],
        "10": ["car", "shared"],
        "s": ["shared", "ship"],
    }
    assert split.category_ids is not None
    assert (split.category_ids[0], split.category_ids[3]) == (8, 7)
    assert len(set(split.category_ids)) == 5
    assert not split.report.issues


def test_the_descriptor_tells_the_formats(tmp_path: Path) -> None:
    _trees(tmp_path)
    descriptor = find_dataset(put_text(tmp_path / "data.yaml", f"train: {SOURCES}\nval: c/c.json"))
    assert descriptor.formats == ("yolo", "voc", "coco", "csv")
    assert descriptor.format == "yolo"


def test_val_has_the_classes_of_train(tmp_path: Path) -> None:
    _trees(tmp_path)
    val = _read(tmp_path, f"train: {SOURCES}\nval: s/s.csv", "val")
    assert val.class_names == ("shared", "yacht", "van", "car", "ship")
    assert _found(val) == {"s": ["shared", "ship"]}


def test_each_yolo_source_has_its_own_class_ids(tmp_path: Path) -> None:
    put_yolo(tmp_path / "a", "train", {"a": LINE})
    put_text(tmp_path / "a" / "classes.txt", "cat\n")
    put_yolo(tmp_path / "b", "train", {"b": LINE})
    put_yolo(tmp_path / "c", "train", {"c": LINE})
    text = (
        "train:\n- a/images/train\n- {path: b/images/train, names: {0: dog}}\n- c/images/train\n"
        "val: c/images/train\nnames: [cow, dog, cat]"
    )
    split = _read(tmp_path, text)
    assert split.class_names == ("cow", "dog", "cat")
    assert _found(split) == {"a": ["cat"], "b": ["dog"], "c": ["cow"]}


def test_names_beside_the_whole_dataset_do_not_overrule_the_yaml(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    put_text(tmp_path / "classes.txt", "stale\n")
    split = _read(tmp_path, "train: images/train\nval: images/train\nnames: [cat]")
    assert _found(split) == {"a": ["cat"]}


def test_images_of_a_source_may_lie_elsewhere(tmp_path: Path) -> None:
    put_image(tmp_path / "photos" / "sub" / "a.png")
    put_text(tmp_path / "marks" / "sub" / "a.txt", LINE)
    put_json(tmp_path / "c.json", coco_content(["sub/a.png"], [], {1: "cat"}))
    put_text(tmp_path / "s.csv", "sub/a.png,1,1,9,9,cat")
    for path, kind in (("marks", "yolo"), ("c.json", "coco"), ("s.csv", "csv")):
        source = f"{{path: {path}, images: photos, format: {kind}}}"
        split = _read(tmp_path, f"train: {source}\nval: {source}\nnames: [cat]")
        assert split.images[0].path == tmp_path / "photos" / "sub" / "a.png"
        assert len(split.images[0].ground_truth) == (0 if kind == "coco" else 1)


@pytest.mark.parametrize("source", ["y/images/train", "v", "c/c.json", "s/s.csv"])
def test_only_takes_the_listed_images_of_any_format(tmp_path: Path, source: str) -> None:
    _trees(tmp_path)
    put_image(tmp_path / "y" / "images" / "train" / "other.png")
    put_text(tmp_path / "y" / "labels" / "train" / "other.txt", LINE)
    put_voc(tmp_path / "v", "other", voc_object("shared", (1, 1, 9, 9)))
    places = {
        "y/images/train": "../y/images/train/y.png",
        "v": str(tmp_path / "v" / "JPEGImages" / "v.jpg"),
        "c/c.json": "../c/c.png",
        "s/s.csv": "../s/s.png",
    }
    put_text(tmp_path / "lists" / "only.txt", f"{places[source]}\n")
    split = _read(tmp_path, f"train: {{path: {source}, only: lists/only.txt}}\nval: {source}")
    assert len(split.images) == 1
    assert len(split.images[0].ground_truth) == 2
    assert not split.report.images_dropped


def test_classes_are_kept_in_the_order_asked_for_without_a_word_on_each_object(tmp_path: Path) -> None:
    _trees(tmp_path)
    split = _read(tmp_path, f"train: {SOURCES}\nval: c/c.json\nclasses: [van, shared]", box_policy="strict")
    assert split.class_names == ("van", "shared")
    assert _found(split) == {"y": ["shared"], "v": ["shared", "van"], "10": ["shared"], "s": ["shared"]}
    assert split.report.objects_dropped == {"unwanted_class": 3}
    assert not split.report.issues


def test_classes_are_renamed_merged_and_left_out(tmp_path: Path) -> None:
    _trees(tmp_path)
    rename = "rename: {van: vehicle, car: vehicle, yacht: null, ship: boat}"
    split = _read(tmp_path, f"train: {SOURCES}\nval: c/c.json\n{rename}")
    assert split.class_names == ("shared", "vehicle", "boat")
    assert _found(split) == {
        "y": ["shared"],
        "v": ["shared", "vehicle"],
        "10": ["vehicle", "shared"],
        "s": ["shared", "boat"],
    }
    assert split.category_ids is not None
    assert split.category_ids[:2] == (8, 7)  # of shared and of car


def test_ids_of_yolo_files_mean_the_names_before_renaming(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "0 .5 .5 .2 .2\n1 .5 .5 .3 .3\n2 .5 .5 .4 .4"})
    text = "train: images/train\nval: images/train\nnames: [car, lorry, truck]\nrename: {lorry: truck}"
    split = _read(tmp_path, text)
    assert split.class_names == ("car", "truck")
    assert _found(split) == {"a": ["car", "truck", "truck"]}


def test_merging_makes_duplicates_that_are_dropped(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "0 .5 .5 .2 .2\n1 .5 .5 .2 .2"})
    split = _read(tmp_path, "train: images/train\nval: images/train\nnames: [a, b]\nrename: {b: a}")
    assert split.report.objects_dropped == {"duplicate": 1}


def test_a_class_to_rename_that_is_in_no_split_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    _trees(tmp_path)
    text = f"train: {SOURCES}\nval: c/c.json\n"
    with pytest.raises(DataError, match=r"'rename': class 'yatch' is not among the classes; did you mean 'yacht'"):
        _read(tmp_path, text + "rename: {yatch: boat}")
    # one that only val has is none
    put_image(tmp_path / "w" / "w.png")
    put_text(tmp_path / "w" / "w.csv", "w.png,1,1,9,9,wagon")
    _read(tmp_path, "train: s/s.csv\nval: w/w.csv\nrename: {wagon: ship}")


def test_category_ids_of_the_yaml(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    text = "train: images/train\nval: images/train\nnames: [cat, dog]\ncategory_ids: [17, 18]"
    assert _read(tmp_path, text).category_ids == (17, 18)
    assert _read(tmp_path, text, class_names=["dog", "bird", "cat"]).category_ids == (18, 19, 17)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes: cat", "'classes' is 'cat', expected a list of names"),
        ("classes: [cat, cat]", "'classes' has 'cat' more than once"),
        ("names: [cat, dog]\nclasses: [dgo]", "'classes': class 'dgo' is not among the classes; did you mean 'dog'"),
        ("rename: [a]", "'rename' is ['a'], expected {old: new, ...}"),
        ("rename: {a: 1.5}", "expected text"),
        ("names: [cat]\ncategory_ids: [1, 2]", "'category_ids' has 2 entries for 1 classes"),
        ("names: [cat, dog]\ncategory_ids: [1, 1]", "expected a list of different whole numbers"),
        ("names: [cat]\ncategory_ids: [true]", "expected a list of different whole numbers"),
        ("category_ids: [1]", "'category_ids' needs 'names' or 'classes'"),
        ("extra: gone.csv", "'extra' is not found"),
        ("extra: [a]", "'extra' is ['a'], expected a path"),
        ("test: {format: yolo}", "a source of 'test' has no 'path'"),
        ("test: {path: images, fromat: yolo}", "unknown key 'fromat' in 'test'; did you mean 'format'"),
        ("test: {path: images, format: png}", "'format' is 'png'"),
        ("test: {path: images, format: voc, names: [a]}", "'test.names' is for YOLO sources"),
        ("test: {path: images, only: gone.txt}", "'test.only' is not found"),
        ("test: [[3]]", "'test' is [[3]], expected a path or a list of paths"),
        ("test: {path: 3}", "'test.path' is 3, expected a path"),
    ],
)
def test_a_mistake_in_the_yaml_is_named(tmp_path: Path, text: str, words: str) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    path = put_text(tmp_path / "data.yaml", f"train: images/train\nval: images/train\n{text}\n")
    with pytest.raises(DataError) as caught:
        find_dataset(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_strict_names_the_first_ten_and_what_to_do(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE + "".join(f"9 .5 .5 .1 .{number}\n" for number in range(1, 13))})
    text = "train: images/train\nval: images/train\nnames: [cat]"
    with pytest.raises(DataError) as caught:
        _read(tmp_path, text, box_policy="strict")
    lines = str(caught.value).split("\n")
    assert "there are 12 things wrong" in lines[0]
    assert lines[1].endswith("labels/train/a.txt, line 2: class id 9 is not in 0..0")
    assert len(lines) == 1 + 10 + 1 + 1
    assert lines[-2].strip() == "... and 2 more"
    assert "use the box policy fix" in lines[-1]


def test_strict_lets_backgrounds_pass_and_stops_at_a_clipped_box(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE, "b": None})
    text = "train: images/train\nval: images/train\nnames: [cat]"
    assert len(_read(tmp_path, text, box_policy="strict").images) == 2
    put_text(tmp_path / "labels" / "train" / "a.txt", "0 .9 .5 .5 .5")
    with pytest.raises(DataError, match=r"(?s)there is one thing wrong:.*cut to"):
        _read(tmp_path, text, box_policy="strict")


def test_drop_leaves_faulty_boxes_out_box_by_box(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE + "0 .9 .5 .5 .5\n0 .5 .5 -.1 .1\n"})
    text = "train: images/train\nval: images/train\nnames: [cat]"
    assert _read(tmp_path, text, box_policy="drop").report.objects_dropped == {"clipped": 1, "inverted": 1}
    assert _read(tmp_path, text).report.objects_repaired == {"clipped": 1, "inverted": 1}


EXTRA = "image,image_id,object,difficult,iscrowd,area\n"


def test_the_sidecar_gives_ids_flags_and_areas(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE + "0 .5 .5 .2 .2\n", "b": LINE})
    put_voc(tmp_path / "v", "v", voc_object("cat", (1, 1, 9, 9)), voc_object("cat", (1, 1, 5, 5)))
    rows = (
        "images/train/a.png,77,,,,\nimages/train/a.png,,2,1,0,12.5\n"
        "v/JPEGImages/v.jpg,,1,0,1,\nv/JPEGImages/v.jpg,,9,0,1,\n"
    )
    put_text(tmp_path / "extra.csv", EXTRA + rows)
    split = _read(tmp_path, "train: [images/train, v]\nval: images/train\nnames: [cat]\nextra: extra.csv")
    a, b, v = split.images
    assert [image.image_id for image in (a, b, v)] == ["77", "b", "v"]
    assert a.ground_truth.difficult.tolist() == [False, True]
    np.testing.assert_allclose(a.ground_truth.area, [200, 12.5])
    assert v.ground_truth.iscrowd.tolist() == [True, False]
    assert not b.ground_truth.iscrowd.any()
    assert any("1 rows of" in note and "objects that are not there" in note for note in split.report.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the header is '', expected image,image_id,object,difficult,iscrowd,area"),
        ("a,b\n", "line 1: the header is 'a,b'"),
        (EXTRA + "a.png,1\n", "line 2: 2 columns, expected 6"),
        (EXTRA + ",1,,,,\n", "line 2: names no image"),
        (EXTRA + "a.png,,,1,,\n", "line 2: has neither image_id nor object"),
        (EXTRA + "a.png,1,,,,\na.png,2,,,,\n", "line 3: 'a.png' has an image_id already, '1'"),
        (EXTRA + "a.png,,0,,,\n", "line 2: object is '0', expected its number"),
        (EXTRA + "a.png,,one,,,\n", "object is 'one'"),
        (EXTRA + "a.png,,1,yes,,\n", "difficult is 'yes', expected 0 or 1"),
        (EXTRA + "a.png,,1,,2,\n", "iscrowd is '2'"),
        (EXTRA + "a.png,,1,,,-1\n", "area is '-1'"),
        (EXTRA + "a.png,,1,,,inf\n", "area is 'inf'"),
        (EXTRA + "a.png,,1,1,,\na.png,,1,1,,\n", "line 3: object 1 of 'a.png' appears twice"),
        (EXTRA + f'a.png,"{"x" * 200_000}', "line 2: is not CSV"),
    ],
)
def test_a_malformed_sidecar_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    put_text(tmp_path / "extra.csv", text)
    with pytest.raises(DataError) as caught:
        _read(tmp_path, "train: images/train\nval: images/train\nnames: [cat]\nextra: extra.csv")
    assert str(caught.value).startswith(f"{tmp_path / 'extra.csv'}, {words[:4]}" if words[:4] == "line" else "")
    assert words in str(caught.value)


def test_coco_s_difficult_is_read(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    flags: list[Any] = [1, 0, True, "1", "0", None, [], 2]
    annotations = [
        {"image_id": 10, "category_id": 1, "bbox": [0, 0, 4, number], "difficult": flag}
        for number, flag in enumerate(flags, start=1)
    ]
    put_json(tmp_path / "x.json", coco_content(["a.png"], annotations, {1: "cat"}))
    split = read_split(find_dataset(tmp_path / "x.json"), "train")
    assert split.images[0].ground_truth.difficult.tolist() == [True, False, True, True, False, False, False, True]
    assert split.report.counts == {"unclear_flag": 1}
