from pathlib import Path
from typing import Any

import pytest

from tests.data.dataset_trees import coco_content, put_image, put_json, put_text, put_voc, voc_object
from yolo.data.account import DataAccount
from yolo.data.descriptor import find_dataset, read_split
from yolo.data.image_sizes import ImageSizes


def test_stated_sizes_are_trusted_without_opening_the_file(tmp_path: Path) -> None:
    image = put_text(tmp_path / "a.jpg", "no image at all")
    account = DataAccount("train")
    sizes = ImageSizes(account, trust=True)
    assert sizes.of(str(image), (7, 9)) == (7, 9)
    assert sizes.of(str(tmp_path / "gone.jpg"), (7, 9)) is None
    assert sizes.of(str(tmp_path), (7, 9)) is None  # a folder
    assert account.images_dropped == {"image_missing": 2}
    sizes.note()
    assert account.notes == [
        "the sizes of 1 images are those that the annotations state; each is checked when its image is decoded"
    ]


@pytest.mark.parametrize("stated", [(0, 9), (-1, 9), (True, 9), (7.0, 9), ("7", 9), (None, 9), (2**31, 9), ([], {})])
def test_what_is_no_whole_positive_size_is_not_trusted(tmp_path: Path, stated: tuple[Any, Any]) -> None:
    image = put_image(tmp_path / "a.png")
    assert ImageSizes(DataAccount("train"), trust=True).of(str(image), stated) == (20, 40)


@pytest.mark.parametrize("kind", ["coco", "voc", "csv"])
def test_formats_that_state_sizes_are_opened_without_reading_images(tmp_path: Path, kind: str) -> None:
    images = [put_text(tmp_path / "JPEGImages" / f"{name}.jpg", "x") for name in "ab"]
    if kind == "coco":
        put_json(tmp_path / "labels.json", coco_content([f"JPEGImages/{p.name}" for p in images], [], {1: "cat"}))
    elif kind == "csv":
        rows = "".join(f"JPEGImages/{path.name},cat,1,1,9,9,40,20\n" for path in images)
        put_text(tmp_path / "annotations.csv", "image,class,xmin,ymin,xmax,ymax,width,height\n" + rows)
    else:
        for name in "ab":
            put_voc(
                tmp_path,
                name,
                voc_object("cat", (1, 1, 9, 9)),
                size="<size><width>40</width><height>20</height></size>",
            )
        for path in images:
            path.write_text("x")
    descriptor = find_dataset(tmp_path)
    for split in ("train", "val"):
        read = read_split(descriptor, split, sizes="stated")
        assert [image.size_hw for image in read.images] == [(20, 40)]
        assert "each is checked when" in read.account.notes[-1]


def test_auto_reads_small_splits_and_trusts_large_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_image(tmp_path / "a.png", size_hw=(10, 20))
    path = put_json(tmp_path / "labels.json", coco_content(["a.png"], [], {1: "cat"}))
    descriptor = find_dataset(put_text(tmp_path / "d.yaml", f"train: {path.name}\nval: {path.name}"))
    assert read_split(descriptor, "train").images[0].size_hw == (10, 20)
    monkeypatch.setattr("yolo.data.descriptor.AUTO_READS", 0)
    assert read_split(descriptor, "train").images[0].size_hw == (20, 40)
    assert read_split(descriptor, "train", sizes="read").images[0].size_hw == (10, 20)
