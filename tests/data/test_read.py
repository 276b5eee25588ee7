from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from yolo.data.descriptor import SplitSource
from yolo.data.entries import held_out_ids, once, only_listed, select, unique_ids
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import DataError
from yolo.formats.issues import ReadReport

LINE = "0 0.5 0.5 0.5 0.5\n"  # in 40 x 20 pixels: (10, 5) to (30, 15)


def _ids(split: Split) -> list[str]:
    return [image.image_id for image in split.images]


def _labels(split: Split) -> list[list[int]]:
    return [image.ground_truth.labels.tolist() for image in split.images]


def _three_classes(root: Path) -> Path:
    put_yolo(root, "train", {"a": LINE, "b": "1 .5 .5 .5 .5\n2 .5 .5 .2 .2"})
    put_yolo(root, "val", {"c": "2 .5 .5 .5 .5"})
    text = "path: .\ntrain: images/train\nval: images/val\nnames: [cat, dog, cow]\n"
    return put_text(root / "coco128.yaml", text)


def test_a_yaml_and_its_folder_are_the_same_dataset(tmp_path: Path) -> None:
    path = _three_classes(tmp_path)
    assert find_dataset(path) == find_dataset(tmp_path)
    train = read_split(find_dataset(path), "train")
    assert train.class_names == ("cat", "dog", "cow")
    assert train.category_ids is None
    assert _ids(train) == ["a", "b"]
    assert _labels(train) == [[0], [1, 2]]
    np.testing.assert_allclose(train.images[0].ground_truth.boxes, [[10, 5, 30, 15]])
    assert isinstance(train.report, ReadReport)


def test_relative_names_are_understood_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _three_classes(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    assert _ids(read_split(find_dataset(Path("pets")), "validation")) == ["c"]


def test_given_names_decide_on_the_labels(tmp_path: Path) -> None:
    descriptor = find_dataset(_three_classes(tmp_path))
    split = read_split(descriptor, "train", class_names=["cow", "horse", "cat"])
    assert split.class_names == ("cow", "horse", "cat")
    assert _labels(split) == [[2], [0]]
    assert split.report.objects_dropped == {"unknown_class": 1}
    assert split.report.notes == ["1 classes of the annotations are not in the class list: 'dog'"]


def test_names_that_have_nothing_in_common_end_reading(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"(?s)not one object is left; the classes are ship.*class 'cat' is not among the classes"
    ):
        read_split(find_dataset(_three_classes(tmp_path)), "train", class_names=["ship"])


def test_yolo_without_names_counts_the_classes_of_train(tmp_path: Path) -> None:
    _three_classes(tmp_path).unlink()
    put_text(tmp_path / "labels" / "val" / "c.txt", "0 .5 .5 .5 .5\n5 .5 .5 .5 .5")
    val = read_split(find_dataset(tmp_path), "val")
    assert val.class_names == ("class0", "class1", "class2")
    assert val.report.objects_dropped == {"class_out_of_range": 1}
    assert val.report.notes == ["class names are not stated; they are taken from the class ids of train"]
    named = read_split(find_dataset(tmp_path), "val", class_names=["x", "y"])
    assert named.class_names == ("x", "y")
    assert "taken as places in the names given" in named.report.notes[0]


def test_without_val_a_fifth_is_held_out_and_both_have_the_same_classes(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {f"i{number:02}": f"{number} .5 .5 .5 .5" for number in range(20)})
    descriptor = find_dataset(tmp_path)
    train, val = read_split(descriptor, "train"), read_split(descriptor, "val", class_names=None)
    assert (len(train.images), len(val.images)) == (16, 4)
    assert sorted(_ids(train) + _ids(val)) == [f"i{number:02}" for number in range(20)]
    assert train.class_names == val.class_names
    assert "no val split: a fifth of the images" in train.report.notes[0]
    assert train.report.images_found == 16


def test_a_single_image_cannot_be_divided(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"i0": "0 .5 .5 .5 .5"})
    with pytest.raises(DataError, match=r"split 'val': no image is left; one image cannot be divided: add more, or"):
        read_split(find_dataset(tmp_path), "val")
    assert len(read_split(find_dataset(tmp_path), "train").images) == 1


def test_a_split_that_is_absent_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no split 'test'; there are: train, val$"):
        read_split(find_dataset(_three_classes(tmp_path)), "test")


def test_nothing_there_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        find_dataset(Path("pets.yaml"))
    assert str(caught.value) == f"dataset not found; tried\n  {tmp_path}/pets.yaml"


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    put_text(tmp_path / "notes" / "a.md", "")
    with pytest.raises(DataError, match="notes: no dataset is recognised here; looked for"):
        find_dataset(tmp_path / "notes")
    with pytest.raises(DataError, match=r"a.md: is not a known kind of dataset"):
        find_dataset(tmp_path / "notes" / "a.md")
    with pytest.raises(DataError, match="has no train, and no dataset is recognised"):
        find_dataset(put_text(tmp_path / "notes" / "data.yaml", "names: [x]"))
    put_text(tmp_path / "notes" / "other.yaml", "names: [x]")
    with pytest.raises(DataError, match=r"has several dataset YAMLs \(data.yaml, other.yaml\)"):
        find_dataset(tmp_path / "notes")


def test_a_yaml_without_splits_names_the_classes_of_its_tree(tmp_path: Path) -> None:
    _three_classes(tmp_path / "pets").unlink()
    path = put_text(tmp_path / "pets.yaml", "path: pets\nnames: [cat, dog, cow]\nformat: yolo")
    assert read_split(find_dataset(path), "val").class_names == ("cat", "dog", "cow")


def _voc(root: Path) -> Path:
    put_voc(root, "a", voc_object("dog", (1, 1, 9, 9)), voc_object("cat", (1, 1, 9, 9)))
    put_voc(root, "b", voc_object("dog", (1, 1, 9, 9)), voc_object("bird", (1, 1, 9, 9)))
    put_voc_list(root, "train", ["a"])
    put_voc_list(root, "val", ["b"])
    return root


def test_voc_names_come_from_train_for_every_split(tmp_path: Path) -> None:
    descriptor = find_dataset(_voc(tmp_path))
    train, val = read_split(descriptor, "train"), read_split(descriptor, "val")
    assert train.class_names == val.class_names == ("cat", "dog")
    assert (_labels(train), _labels(val)) == ([[1, 0]], [[1]])
    assert val.report.objects_dropped == {"unknown_class": 1}
    assert "class 'bird' is not among the classes" in val.report.issues[0].message
    assert "taken from the annotations of train" in val.report.notes[0]


def test_voc_lists_of_two_years_in_a_yaml(tmp_path: Path) -> None:
    for year in ("VOC2007", "VOC2012"):
        _voc(tmp_path / "VOCdevkit" / year)
    text = (
        "path: VOCdevkit\n"
        "train: [VOC2007/ImageSets/Main/train.txt, VOC2012/ImageSets/Main/train.txt]\n"
        "val: VOC2007/ImageSets/Main/val.txt\n"
        "names: [bird, dog, cat]\n"
    )
    descriptor = find_dataset(put_text(tmp_path / "voc.yaml", text))
    assert descriptor.format == "voc"
    train = read_split(descriptor, "train")
    assert _ids(train) == ["VOC2007/JPEGImages/a.jpg", "VOC2012/JPEGImages/a.jpg"]
    assert _labels(train) == [[1, 2], [1, 2]]


def test_a_voc_tree_without_lists_is_divided(tmp_path: Path) -> None:
    for name in "abcde":
        put_voc(tmp_path, name, voc_object("dog", (1, 1, 9, 9)))
    descriptor = find_dataset(tmp_path)
    train, val = read_split(descriptor, "train"), read_split(descriptor, "val")
    assert sorted(_ids(train) + _ids(val)) == list("abcde")
    assert len(val.images) == 1


def _coco(root: Path) -> Path:
    categories = {18: "dog", 3: "cat", 90: "cow"}
    for split, category_id in (("train", 18), ("val", 90)):
        put_image(root / f"{split}2017" / f"{split}.png")
        annotation = {"image_id": 10, "category_id": category_id, "bbox": [0, 0, 9, 9]}
        content = coco_content([f"{split}.png"], [annotation], categories)
        put_json(root / "annotations" / f"instances_{split}2017.json", content)
    return root


def test_coco_keeps_its_ids_and_orders_the_classes_by_them(tmp_path: Path) -> None:
    descriptor = find_dataset(_coco(tmp_path))
    train, val = read_split(descriptor, "train"), read_split(descriptor, "val")
    assert train.class_names == val.class_names == ("cat", "dog", "cow")
    assert train.category_ids == val.category_ids == (3, 18, 90)
    assert (_labels(train), _labels(val)) == ([[1]], [[2]])
    assert _ids(val) == ["10"]
    chosen = read_split(descriptor, "val", class_names=["cow", "ship", "cat"])
    assert _labels(chosen) == [[0]]
    assert chosen.category_ids == (90, 91, 3)


def test_a_single_coco_file_is_the_split_it_is_called(tmp_path: Path) -> None:
    root = _coco(tmp_path)
    descriptor = find_dataset(root / "annotations" / "instances_val2017.json")
    assert list(descriptor.splits) == ["val"]
    assert _ids(read_split(descriptor, "val")) == ["10"]


def test_coco_in_a_yaml_by_json_and_by_image_folder(tmp_path: Path) -> None:
    text = f"path: {_coco(tmp_path / 'coco')}\ntrain: annotations/instances_train2017.json\nval: val2017\nformat: coco"
    descriptor = find_dataset(put_text(tmp_path / "x.yaml", text))
    assert read_split(descriptor, "val").images[0].path == tmp_path / "coco" / "val2017" / "val.png"
    assert len(read_split(descriptor, "train").images) == 1


def test_an_image_that_a_coco_file_lists_twice_is_read_once(tmp_path: Path) -> None:
    path = _coco(tmp_path) / "annotations" / "instances_val2017.json"
    content = coco_content(["val.png"], [], {1: "cat"})
    content["images"] *= 2
    split = read_split(find_dataset(put_json(path, content)), "val")
    assert len(split.images) == 1
    assert split.report.images_dropped == {"image_listed_twice": 1}


def test_images_of_one_stem_keep_apart(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    put_image(tmp_path / "images" / "train" / "a.jpg")
    put_yolo(tmp_path, "val", {"b": LINE})
    assert _ids(read_split(find_dataset(tmp_path), "train")) == ["images/train/a.jpg", "images/train/a.png"]


def test_a_split_without_any_image_left_ends_reading(tmp_path: Path) -> None:
    _three_classes(tmp_path)
    (tmp_path / "images" / "val" / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)split 'val': no image is left.*cannot be read, left out: 1"):
        read_split(find_dataset(tmp_path), "val")


def test_labels_that_lie_elsewhere_do_not_make_everything_background(tmp_path: Path) -> None:
    _three_classes(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "annotations")
    with pytest.raises(DataError, match=r"(?s)not one of its images has a label file.*labels/train/a.txt"):
        read_split(find_dataset(tmp_path), "train")


def test_every_loss_is_in_the_account(tmp_path: Path) -> None:
    labels = {
        "good": LINE,
        "empty": "",
        "absent": None,
        "bad": LINE + LINE + "7 .5 .5 .1 .1\n0 .9 .5 .5 .5\n0 .5 .5 .1 .1 .9\n",
        "damaged": LINE,
    }
    put_yolo(tmp_path, "train", labels)
    (tmp_path / "images" / "train" / "damaged.png").write_bytes(b"x")
    put_yolo(tmp_path, "val", {"v": LINE})
    put_text(tmp_path / "data.yaml", "train: images/train\nval: images/val\nnames: [cat]")
    account = read_split(find_dataset(tmp_path), "train").report
    assert account.to_dict() | {"issues": None} == {
        "split": "train",
        "images_found": 5,
        "images_kept": 4,
        "images_dropped": {"image_unreadable": 1},
        "backgrounds": 2,
        "objects_found": 6,
        "objects_kept": 3,
        "objects_clipped": 1,
        "objects_repaired": {"clipped": 1},
        "objects_dropped": {"class_out_of_range": 1, "confidence_column": 1, "duplicate": 1},
        "label_files_missing": 1,
        "notes": [],
        "counts": {
            "image_unreadable": 1,
            "label_file_missing": 1,
            "clipped": 1,
            "duplicate": 1,
            "class_out_of_range": 1,
            "confidence_column": 1,
        },
        "issues": None,
    }
    assert len(account.issues) == 6


def test_reading_works_with_odd_file_names_and_writes_nothing(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"犬 und Katze.v2": LINE, "b": LINE})
    put_yolo(tmp_path, "val", {"c": LINE})
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    assert _ids(read_split(find_dataset(tmp_path), "train")) == ["b", "犬 und Katze.v2"]
    for folder in [tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def _shipped(name: str, folder: Path) -> Path:
    """A copy of a descriptor from the project's own `data/`."""
    text = (Path(__file__).parents[2] / "data" / name).read_text(encoding="utf-8")
    return put_text(folder / name, text)


def test_the_shipped_voc_descriptor_fits_the_devkit(tmp_path: Path) -> None:
    for year, lists in (("VOC2007", ("trainval", "test")), ("VOC2012", ("trainval",))):
        root = tmp_path / "VOCdevkit" / year
        put_voc(root, year, voc_object("tvmonitor", (1, 1, 9, 9)))
        for name in lists:
            put_voc_list(root, name, [year])
    descriptor = find_dataset(_shipped("voc.yaml", tmp_path))
    train, val = read_split(descriptor, "train"), read_split(descriptor, "val")
    assert _ids(train) == ["VOC2007", "VOC2012"]
    assert _ids(val) == ["VOC2007"]
    assert _labels(val) == [[19]]
    assert len(train.class_names) == 20
    assert list(train.class_names) == sorted(train.class_names)


def test_the_shipped_coco_descriptor_fits_the_tree(tmp_path: Path) -> None:
    categories = {1: "person", 90: "toothbrush"}
    for split in ("train2017", "val2017"):
        put_image(tmp_path / "coco" / split / "1.jpg")
        annotation = {"image_id": 10, "category_id": 90, "bbox": [0, 0, 9, 9]}
        path = tmp_path / "coco" / "annotations" / f"instances_{split}.json"
        put_json(path, coco_content(["1.jpg"], [annotation], categories))
    val = read_split(find_dataset(_shipped("coco.yaml", tmp_path)), "val")
    assert len(val.class_names) == len(set(val.class_names)) == 80
    assert _labels(val) == [[79]]
    assert val.category_ids is not None
    assert (val.category_ids[0], val.category_ids[79]) == (1, 90)


class _Listed(NamedTuple):
    image_id: str
    image: str = ""


@given(st.sets(st.text(max_size=5), max_size=60))
def test_a_fifth_is_held_out_whatever_the_order(ids: set[str]) -> None:
    held_out = held_out_ids(ids)
    assert held_out == held_out_ids(sorted(ids, reverse=True))
    assert held_out <= ids
    if len(ids) < 2:
        assert not held_out
    else:
        assert 1 <= len(held_out) < len(ids)
        assert abs(len(held_out) - len(ids) / 5) <= 0.6


def test_adding_images_hardly_moves_others() -> None:
    ids = [f"image{number}" for number in range(1000)]
    before, after = held_out_ids(ids), held_out_ids([*ids, *(f"new{number}" for number in range(100))])
    assert len(before) == 200
    assert len(before - after) <= 5


def _pick(part: Literal["all", "remaining", "held_out"], listing: dict[str, list[str]]) -> list[str]:
    sources = [SplitSource(Path(name), "yolo", part=part) for name in listing]
    chosen = select(sources, lambda source: [_Listed(image_id) for image_id in listing[str(source.path)]])
    return [entry.image_id for entries in chosen for entry in entries]


def test_parts_are_disjoint_and_whole_even_for_images_in_two_lists() -> None:
    listing = {"a": [str(n) for n in range(20)], "b": [str(n) for n in range(10, 40)]}
    remaining, held_out = _pick("remaining", listing), _pick("held_out", listing)
    assert not set(remaining) & set(held_out)
    assert len(set(held_out)) == 8
    assert sorted(remaining + held_out) == sorted(listing["a"] + listing["b"])
    assert _pick("all", listing) == listing["a"] + listing["b"]


def test_an_image_listed_twice_is_read_once_and_counted() -> None:
    account = ReadReport("train")
    first, second = [_Listed("a"), _Listed("b"), _Listed("a")], [_Listed("b"), _Listed("b", "elsewhere")]
    assert once([first, second], account) == [first[:2], second[1:]]
    assert account.images_dropped == {"image_listed_twice": 2}


def test_images_of_one_name_get_their_paths_as_ids() -> None:
    paths = ["/root/a/1.jpg", "/root/b/1.jpg", "/root/b/2.jpg", "/elsewhere/1.jpg", "/root/a/1.jpg"]
    ids = unique_ids(["1", "1", "2", "1", "1"], paths, Path("/root"))
    assert ids == ["a/1.jpg", "b/1.jpg", "2", "/elsewhere/1.jpg", "a/1.jpg#2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["/r/a", "/r/a#2", "/x"])), max_size=12))
def test_ids_are_unique_whatever_the_names(rows: list[tuple[str, str]]) -> None:
    ids = unique_ids([image_id for image_id, _ in rows], [path for _, path in rows], Path("/r"))
    assert len(set(ids)) == len(rows)


def test_only_the_images_of_a_list_are_taken_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    entries = [_Listed(name, f"{tmp_path}/images/{name}.jpg") for name in "abc"]
    only = tmp_path / "lists" / "some.txt"
    only.parent.mkdir()
    only.write_text(f"../images/c.jpg\n\n{tmp_path}/images/../images/a.jpg\nnot there.jpg\n")
    account = ReadReport("train")
    assert only_listed(entries, only, account) == [entries[0], entries[2]]
    assert account.images_dropped == {"image_missing": 1}
    assert "line 4 of" in account.issues[0].message
