"""Pictures of kinds that are not read: counted in every layout, and named where an annotation wants them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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

HEIC = "\0\0\0\x18ftypheic"


def read(root: Path) -> Split:
    return read_split(find_dataset(root), "train")


def yolo_tree(root: Path) -> Path:
    put_yolo(root, "train", {"a": "0 .5 .5 .1 .1", "b": ""})
    put_yolo(root, "val", {"v": "0 .5 .5 .1 .1"})
    put_text(root / "labels" / "train" / "IMG_1.txt", "0 .5 .5 .1 .1")
    return root / "images" / "train"


def coco_tree(root: Path) -> Path:
    boxes = [{"image_id": 10, "category_id": 1, "bbox": [1, 1, 5, 5]}]
    names = [f"{name}.png" for name in "abcdefgh"]
    for name in names:
        put_image(root / "train" / name)
    content = coco_content([*names, "IMG_1.jpg"], boxes, {1: "cat"})
    put_json(root / "annotations" / "instances_train.json", content)
    return root / "train"


def voc_tree(root: Path) -> Path:
    put_voc(root, "a", voc_object("cat", (1, 1, 9, 9)))
    put_text(root / "Annotations" / "IMG_1.xml", "<annotation><filename>IMG_1.jpg</filename></annotation>")
    put_voc_list(root, "train", ["a", "IMG_1"])
    put_voc_list(root, "val", ["a"])
    return root / "JPEGImages"


def csv_tree(root: Path) -> Path:
    for name in "abc":
        put_image(root / f"{name}.png")
    rows = "".join(f"{name},1,1,9,9,cat\n" for name in ("a.png", "b.png", "c.png", "IMG_1.jpg"))
    put_text(root / "train.csv", "filename,xmin,ymin,xmax,ymax,class\n" + rows)
    return root


@pytest.mark.parametrize("tree", [yolo_tree, coco_tree, voc_tree, csv_tree])
def test_pictures_beside_the_images_are_counted(tmp_path: Path, tree: object) -> None:
    folder = tree(tmp_path)  # type: ignore[operator]
    for name in ("IMG_1.CR2", "IMG_2.cr2", "drawing.svg", "._mac.svg"):
        put_text(folder / name, "x")
    found = find_dataset(tmp_path)
    reports = [read_split(found, name, class_names=["cat"]).report for name in ("train", "val") if name in found.splits]
    assert [note for note in reports[0].notes if "not read" in note] == [
        "3 files were not read: 2 .cr2, 1 .svg; convert them to JPEG or PNG"
    ]
    missing = [issue.message for report in reports for issue in report.issues if issue.kind == "image_missing"]
    if tree is not yolo_tree:  # where images are found by themselves, not by their annotations
        assert missing == ["there is no such image file, only IMG_1.CR2, which is not read; convert it to JPEG or PNG"]


def test_heic_without_the_extra_is_named_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    folder = yolo_tree(tmp_path)
    put_text(folder / "IMG_1.HEIC", HEIC)
    report = read(tmp_path).report
    assert report.images_dropped == {"image_unreadable": 1}
    assert "1 file was not read: 1 .heic; HEIC and AVIF need pip install 'gridyolo[heif]'" in report.notes


def test_images_of_unusual_kinds_are_part_of_a_dataset(tmp_path: Path) -> None:
    folder = yolo_tree(tmp_path)
    picture = Image.fromarray(np.full((20, 40, 3), 9, np.uint8))
    for suffix in ("gif", "ppm", "jfif", "jp2", "tga", "webp"):
        picture.save(folder / f"{suffix}.{suffix}")
        put_text(tmp_path / "labels" / "train" / f"{suffix}.txt", "0 .5 .5 .5 .5")
    split = read(tmp_path)
    assert (split.report.images_kept, split.report.objects_kept) == (8, 7)
    assert {image.size_hw for image in split.images} == {(20, 40)}


def test_a_folder_of_nothing_else_says_so(tmp_path: Path) -> None:
    put_text(tmp_path / "images" / "a.CR2", "x")
    put_text(tmp_path / "labels" / "a.txt", "0 .5 .5 .1 .1")
    with pytest.raises(DataError, match=r"1 file was not read: 1 \.cr2; convert it to JPEG or PNG"):
        find_dataset(tmp_path)
