import io
from pathlib import Path
from typing import Any

import pytest
import yaml
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
from yolo.config.data_commands import DataSplitConfig
from yolo.curate.split import DividedDataset, split
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError

BOX = ".5 .5 .5 .5"


def run(data: Path, output: Path, **options: Any) -> tuple[DividedDataset, str]:
    screen = io.StringIO()
    config = DataSplitConfig(data=str(data), output=str(output), **options)
    return split(config, Console(file=screen, width=120)), screen.getvalue()


def read_parts(path: Path) -> dict[str, Split]:
    descriptor = find_dataset(path)
    return {name: read_split(descriptor, name) for name in descriptor.splits}


def contents(parts: dict[str, Split]) -> list[tuple[str, ...]]:
    """By image: its name, and for each object class, difficult, crowd; the same for all splits together."""
    rows = [
        (image.path.name, *(f"{part.class_names[label]}{difficult:d}{crowd:d}" for label, difficult, crowd in zip(
            image.ground_truth.labels, image.ground_truth.difficult, image.ground_truth.iscrowd, strict=True)))
        for part in parts.values() for image in part.images
    ]  # fmt: skip
    return sorted(rows)


def put_ten(root: Path) -> Path:
    """Eight images for training and two for validation; class 1 on four of them."""
    put_yolo(root, "train", {f"shot{k // 2}_{k:03}": f"{int(k < 3)} {BOX}\n" for k in range(8)})
    put_yolo(root, "val", {f"other_{k}": f"{k} {BOX}\n" if k else "" for k in range(2)})
    put_text(root / "dataset.yaml", "train: images/train\nval: images/val\nnames: [dog, '[red] cat']\n")
    return root


def test_a_yolo_dataset_is_divided_by_plain_lists(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    divided, said = run(data, tmp_path / "split", val=0.3, test=0.2)
    assert {name: len(part) for name, part in divided.images.items()} == {"train": 5, "val": 3, "test": 2}
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == [
        *("dataset.yaml", "test.txt", "train.txt", "val.txt")
    ]
    content = yaml.safe_load((tmp_path / "split" / "dataset.yaml").read_text())
    assert content["path"] == "../data"
    assert content["train"] == "../split/train.txt"
    lines = (tmp_path / "split" / "val.txt").read_text().splitlines()
    assert all(line.startswith("../data/images/") for line in lines)
    parts = read_parts(divided.yaml)
    assert {name: len(part.images) for name, part in parts.items()} == {"train": 5, "val": 3, "test": 2}
    assert all(part.report.issues == [] for part in parts.values())
    assert contents(parts) == contents(read_parts(data))
    assert parts["train"].class_names == ("dog", "[red] cat")
    assert "[red] cat" in said
    assert "train images" in said
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_dataset_and_lists_can_be_moved_together(tmp_path: Path) -> None:
    put_ten(tmp_path / "a" / "data")
    run(tmp_path / "a" / "data", tmp_path / "a" / "split")
    (tmp_path / "a").rename(tmp_path / "b")
    parts = read_parts(tmp_path / "b" / "split")
    assert {name: len(part.images) for name, part in parts.items()} == {"train": 8, "val": 2}


def test_a_voc_dataset_with_trainval_lists_each_image_once(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    for k in range(6):
        put_voc(root, f"{k}", voc_object("dog" if k % 2 else "cat", (1, 1, 10, 10), extra="<difficult>1</difficult>"))
    put_voc_list(root, "train", ["0", "1", "2"])
    put_voc_list(root, "val", ["3", "4"])
    put_voc_list(root, "trainval", ["0", "1", "2", "3", "4"])
    put_voc_list(root, "test", ["5"])
    divided, _ = run(root, tmp_path / "split", val=0.5)
    parts = read_parts(divided.yaml)
    assert {name: len(part.images) for name, part in parts.items()} == {"train": 3, "val": 3}
    assert all(part.report.issues == [] for part in parts.values())
    rows = contents(parts)
    assert rows == [(f"{k}.jpg", "dog10" if k % 2 else "cat10") for k in range(6)]
    assert (tmp_path / "split" / "train.txt").read_text().count("\n") == 3


def put_coco(root: Path) -> Path:
    for name, ids in (("train", range(6)), ("val", range(6, 8))):
        for k in ids:
            put_image(root / name / f"{k}.jpg")
        annotations: list[dict[str, Any]] = [
            {"image_id": 10 + place, "category_id": 7, "bbox": [0, 0, 5, 5], "iscrowd": place % 2}
            for place in range(len(ids))
        ]
        content = coco_content([f"{k}.jpg" for k in ids], annotations, {7: "cat", 9: "dog"})
        put_json(root / "annotations" / f"instances_{name}.json", content)
    return root


def test_several_coco_files_are_divided_by_a_list_each(tmp_path: Path) -> None:
    divided, said = run(put_coco(tmp_path / "coco"), tmp_path / "split", val=0.25, by="stratified")
    parts = read_parts(divided.yaml)
    assert {name: len(part.images) for name, part in parts.items()} == {"train": 6, "val": 2}
    assert all(part.report.issues == [] for part in parts.values())
    assert parts["val"].category_ids == (7, 9)
    assert contents(parts) == contents(read_parts(tmp_path / "coco"))
    assert "warning" not in said  # no part can have dogs: there are none


def test_a_single_json_without_a_val_is_taken_whole(tmp_path: Path) -> None:
    put_coco(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances_train.json"
    divided, said = run(path, tmp_path / "split", val=0.5)
    assert {name: len(part) for name, part in divided.images.items()} == {"train": 3, "val": 3}
    assert {name: len(part.images) for name, part in read_parts(divided.yaml).items()} == {"train": 3, "val": 3}
    assert "held out" not in said


def test_rules_and_sidecar_of_the_old_yaml_are_kept(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    put_text(data / "extra.csv", "image,image_id,object,difficult,iscrowd,area\nimages/val/other_1.png,,1,1,1,5\n")
    put_text(
        data / "dataset.yaml",
        "train: images/train\nval: images/val\nnames: [dog, cat]\nrename: {cat: animal}\n"
        "classes: [animal, dog]\ncategory_ids: [4, 2]\nextra: extra.csv\n",
    )
    divided, _ = run(data, tmp_path / "split", val=0.5)
    parts, old = read_parts(divided.yaml), read_parts(data)
    assert contents(parts) == contents(old)
    assert ("other_1.png", "animal11") in contents(parts)
    assert parts["val"].class_names == old["val"].class_names == ("animal", "dog")
    assert parts["val"].category_ids == old["val"].category_ids == (4, 2)


def test_formats_side_by_side_are_divided(tmp_path: Path) -> None:
    put_ten(tmp_path / "yolo")
    put_coco(tmp_path / "coco")
    text = "train:\n  - {path: yolo/images/train, names: [lion, mouse]}\n  - coco/annotations/instances_train.json\n"
    put_text(tmp_path / "both.yaml", text + "val: coco/annotations/instances_val.json\n")
    divided, _ = run(tmp_path / "both.yaml", tmp_path / "split", val=0.4, seed=3)
    parts = read_parts(divided.yaml)
    assert sum(len(part.images) for part in parts.values()) == 16
    assert all(part.report.issues == [] for part in parts.values())
    assert contents(parts) == contents(read_parts(tmp_path / "both.yaml"))


def test_a_folder_behind_a_link_is_named_in_full(tmp_path: Path) -> None:
    put_ten(tmp_path / "deep" / "down" / "data")
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "down")
    divided, _ = run(tmp_path / "link" / "data", tmp_path / "split")
    assert f"{tmp_path}/link/data/images/" in (tmp_path / "split" / "train.txt").read_text()
    (tmp_path / "there").symlink_to(tmp_path / "deep")
    again, _ = run(tmp_path / "deep" / "down" / "data", tmp_path / "there" / "split")
    for path in (divided.yaml, again.yaml):
        assert {name: len(part.images) for name, part in read_parts(path).items()} == {"train": 8, "val": 2}


def test_groups_stay_together(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    divided, _ = run(data, tmp_path / "split", by="group", val=0.4)
    groups = {name: {Path(path).name[:5] for path in part.paths} for name, part in divided.images.items()}
    assert not groups["train"] & groups["val"]
    assert {name: len(part) for name, part in divided.images.items()} == {"train": 6, "val": 4}
    folders, _ = run(data, tmp_path / "folders", by="group", group="folder", val=0.2)
    assert {Path(path).parent.name for path in folders.images["val"].paths} == {"val"}
    regex, _ = run(data, tmp_path / "regex", by="group", group="regex", pattern="(shot|other)", val=0.2)
    assert {Path(path).name[:5] for path in regex.images["val"].paths} == {"other"}


def test_the_same_seed_gives_the_same_lists(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(data, tmp_path / name, seed=seed, val=0.5)
    lists = {name: (tmp_path / name / "train.txt").read_bytes() for name in "abc"}
    assert lists["a"] == lists["b"] != lists["c"]


def test_a_class_that_a_part_lacks_is_a_warning(tmp_path: Path) -> None:
    put_yolo(tmp_path / "data", "train", {f"{k}": f"{int(k == 0)} {BOX}\n" for k in range(10)})
    divided, said = run(tmp_path / "data", tmp_path / "split", by="stratified")
    assert divided.warnings == ("class 'class1' has no object in val, and 1 in all",)
    assert "warning: class 'class1' has no object in val" in said


def test_bad_options_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    put_text(tmp_path / "used" / "mine", "")
    with pytest.raises(DataError, match="exists and is not an empty folder"):
        run(data, tmp_path / "used")
    with pytest.raises(ConfigError, match="lies in the dataset"):
        run(data, data / "split")
    with pytest.raises(ConfigError, match="is not a regular expression"):
        run(data, tmp_path / "x", by="group", group="regex", pattern="(")
    with pytest.raises(DataError, match="finds no group in 8 of 10 images"):
        run(data, tmp_path / "x", by="group", group="regex", pattern="other")
    with pytest.raises(ConfigError, match="more than 0"):
        run(data, tmp_path / "x", val=0.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "used"]


def test_a_name_that_no_list_can_hold_is_refused(tmp_path: Path) -> None:
    put_yolo(tmp_path / "data", "train", {"a\nb": f"0 {BOX}\n", "c": f"0 {BOX}\n"})
    with pytest.raises(DataError, match="does not fit in a line of a list; rename it"):
        run(tmp_path / "data", tmp_path / "split")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
