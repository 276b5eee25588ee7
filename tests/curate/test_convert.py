import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

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
from yolo.config import DataConvertConfig
from yolo.curate.write import WrittenDataset, convert, keep_classes
from yolo.data.read import find_dataset, read_split
from yolo.errors import ConfigError, DataError


def run(data: Path, output: Path, **options: Any) -> tuple[WrittenDataset, str]:
    screen = io.StringIO()
    config = DataConvertConfig(data=str(data), output=str(output), **options)
    return convert(config, Console(file=screen, width=80)), screen.getvalue()


def put_coco(root: Path) -> Path:
    """Three images; category ids with gaps, a crowd, an area of its own, and a box over the border."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put_image(root / "images" / name)
    annotations: list[dict[str, Any]] = [
        {"image_id": 10, "category_id": 18, "bbox": [1.5, 2, 10, 10], "area": 61.25, "iscrowd": 0},
        {"image_id": 10, "category_id": 3, "bbox": [0, 0, 40, 20], "area": 800, "iscrowd": 1},
        {"image_id": 11, "category_id": 3, "bbox": [30, 10, 15, 5]},
    ]
    content = coco_content(["a.jpg", "b.jpg", "c.jpg"], annotations, {3: "car", 18: "dog"})
    put_json(root / "annotations" / "instances_train.json", content)
    put_json(root / "annotations" / "instances_val.json", content)
    return root


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_what_was_read_and_written_is_printed(tmp_path: Path) -> None:
    coco = put_coco(tmp_path / "coco")
    before = snapshot(coco)
    written, said = run(coco, tmp_path / "new", format="yolo")
    assert snapshot(coco) == before
    assert written.images == {"train": 3, "val": 3}
    for words in (
        "train: 3 of 3 images kept",
        "boxes that extend beyond the image",
        "note: yolo has no place for id (6 objects): left out",
        "note: extra.csv keeps what yolo has no place for: 6 image ids, flags or areas of 4 objects",
        "val: 3 images, 3 objects written as yolo",
    ):
        assert words in said


def test_some_classes_alone_in_another_order(tmp_path: Path) -> None:
    coco = put_coco(tmp_path / "coco")
    written, _ = run(coco, tmp_path / "new", format="coco", classes="dog, car", split="val")
    split = read_split(find_dataset(written.yaml), "val")
    assert (split.class_names, split.category_ids) == (("dog", "car"), (18, 3))
    assert written.images == {"val": 3}
    dogs, _ = run(coco, tmp_path / "dogs", format="yolo", classes="dog")
    split = read_split(find_dataset(dogs.yaml), "train")
    assert split.class_names == ("dog",)
    assert [len(image.ground_truth) for image in split.images] == [1, 0, 0]
    assert split.images[0].ground_truth.area.tolist() == [61.25]
    unknown = "'cat' is not among the classes; did you mean 'car'.; there are car, dog"
    for classes, message in (("cat", unknown), ("dog,dog", "names a class twice")):
        with pytest.raises(ConfigError, match=message):
            run(coco, tmp_path / "x", classes=classes)
    assert not (tmp_path / "x").exists()


def test_keep_classes_leaves_the_original_as_it_is(tmp_path: Path) -> None:
    split = read_split(find_dataset(put_coco(tmp_path)), "train")
    labels = split.images.objects.labels.copy()
    assert keep_classes(split, ("dog", "car")).images.objects.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(split.images.objects.labels, labels)


def test_trainval_is_left_out_beside_train_and_written_as_train_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_voc(tmp_path / "voc", name, voc_object("dog", (1, 1, 10, 10)))
    for split, names in (("train", ["a"]), ("val", ["b"]), ("trainval", ["a", "b"])):
        put_voc_list(tmp_path / "voc", split, names)
    written, said = run(tmp_path / "voc", tmp_path / "all")
    assert written.images == {"train": 1, "val": 1}
    assert "note: trainval is left out; --split trainval writes it alone" in said
    written, said = run(tmp_path / "voc", tmp_path / "alone", split="trainval")
    assert written.images == {"train": 2}
    assert "note: trainval is written as train" in said


def test_the_box_policy_is_the_users(tmp_path: Path) -> None:
    coco = put_coco(tmp_path / "coco")
    assert run(coco, tmp_path / "drop", box_policy="drop")[0].objects["train"] == 2
    with pytest.raises(DataError, match="the box policy is strict"):
        run(coco, tmp_path / "strict", box_policy="strict")
    assert not (tmp_path / "strict").exists()


def test_the_output_is_outside_of_a_voc_tree_that_a_yaml_names_by_its_lists(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_voc(tmp_path / "voc", name, voc_object("cat", (1, 1, 9, 9)))
    put_voc_list(tmp_path / "voc", "train", ["a", "b"])
    yaml = put_text(tmp_path / "data.yaml", "train: voc/ImageSets/Main/train.txt\n")
    with pytest.raises(ConfigError, match="lies in the dataset"):
        run(yaml, tmp_path / "voc" / "Annotations" / "x")


def test_the_output_is_new_and_outside(tmp_path: Path) -> None:
    put_yolo(tmp_path / "yolo", "train", {"a": "0 .5 .5 .5 .5", "b": ""})
    for output in (tmp_path / "yolo" / "new", tmp_path / "yolo" / "images" / "train" / "x"):
        with pytest.raises(ConfigError, match="lies in the dataset"):
            run(tmp_path / "yolo", output)
        assert not output.exists()
    with pytest.raises(DataError, match="exists and is not an empty folder"):
        run(tmp_path / "yolo", tmp_path)
    # the same dataset by a YAML file in it, and by one beside it
    within = put_text(tmp_path / "yolo" / "data.yaml", "train: images/train\nnames: [cat]\n")
    beside = put_text(tmp_path / "data.yaml", "train: yolo/images/train\nnames: [cat]\n")
    for data, output in (
        (within, tmp_path / "yolo" / "new"),
        (beside, tmp_path / "yolo" / "labels" / "train" / "x"),
        (beside, tmp_path / "yolo" / "images" / "train" / "x"),
    ):
        with pytest.raises(ConfigError, match="lies in the dataset"):
            run(data, output)
        assert not output.exists()
    assert run(beside, tmp_path / "new")[0].images == {"train": 1, "val": 1}
    assert run(tmp_path / "yolo", tmp_path / "link", images="link", format="voc")[0].images == {"train": 1, "val": 1}
