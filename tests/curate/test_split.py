import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.curate.annotated import annotated, centred
from tests.data.dataset_trees import (
    SIZE_HW,
    coco_content,
    put_image,
    put_json,
    put_text,
    put_voc,
    put_voc_list,
    put_yolo,
    voc_object,
)
from yolo.arrays import Int64
from yolo.config import DataSplitConfig
from yolo.curate.divide import group_names, split_groups, split_randomly, split_stratified
from yolo.curate.split import split
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError
from yolo.formats.objects import AnnotatedImages
from yolo.images import write_image

BOX = ".5 .5 .5 .5"


@pytest.fixture(autouse=True)
def no_two_images_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies would be in the same part."""
    numbers = iter(range(1, 1000))

    def put_another(path: Path, *, size_hw: tuple[int, int] = SIZE_HW) -> Path:
        number = next(numbers)
        pixels = np.full((*size_hw, 3), number % 250, np.uint8)
        pixels[: size_hw[0] // 2] = number // 250 * 50
        write_image(path, pixels)
        return path

    monkeypatch.setattr("tests.data.dataset_trees.put_image", put_another)
    monkeypatch.setattr(f"{__name__}.put_image", put_another)


def run(data: Path, output: Path, **options: Any) -> tuple[dict[str, Split], str]:
    """The parts as they are read back, and what was printed."""
    screen = io.StringIO()
    config = DataSplitConfig(data=str(data), output=str(output), **options)
    path = split(config, Console(file=screen, width=120))
    assert path == output / "dataset.yaml"
    return read_parts(path), screen.getvalue()


def sizes(parts: dict[str, Split]) -> dict[str, int]:
    return {name: len(part.images) for name, part in parts.items()}


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
    parts, said = run(data, tmp_path / "split", val=0.3, test=0.2)
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == [
        *("dataset.yaml", "test.txt", "train.txt", "val.txt")
    ]
    content = yaml.safe_load((tmp_path / "split" / "dataset.yaml").read_text())
    assert content["path"] == "../data"
    assert content["train"] == "../split/train.txt"
    lines = (tmp_path / "split" / "val.txt").read_text().splitlines()
    assert all(line.startswith("../data/images/") for line in lines)
    assert sizes(parts) == {"train": 5, "val": 3, "test": 2}
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
    assert sizes(read_parts(tmp_path / "b" / "split")) == {"train": 8, "val": 2}


def test_a_voc_dataset_with_trainval_lists_each_image_once(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    for k in range(6):
        put_voc(root, f"{k}", voc_object("dog" if k % 2 else "cat", (1, 1, 10, 10), extra="<difficult>1</difficult>"))
    put_voc_list(root, "train", ["0", "1", "2"])
    put_voc_list(root, "val", ["3", "4"])
    put_voc_list(root, "trainval", ["0", "1", "2", "3", "4"])
    put_voc_list(root, "test", ["5"])
    parts, _ = run(root, tmp_path / "split", val=0.5, resplit=True)
    assert sizes(parts) == {"train": 3, "val": 3}
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
    parts, said = run(put_coco(tmp_path / "coco"), tmp_path / "split", val=0.25, by="stratified")
    assert sizes(parts) == {"train": 6, "val": 2}
    assert all(part.report.issues == [] for part in parts.values())
    assert parts["val"].category_ids == (7, 9)
    assert contents(parts) == contents(read_parts(tmp_path / "coco"))
    assert "warning" not in said  # no part can have dogs: there are none


def test_a_single_json_without_a_val_is_taken_whole(tmp_path: Path) -> None:
    put_coco(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances_train.json"
    parts, said = run(path, tmp_path / "split", val=0.5)
    assert sizes(parts) == {"train": 3, "val": 3}
    assert "held out" not in said


def test_rules_and_sidecar_of_the_old_yaml_are_kept(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    put_text(data / "extra.csv", "image,image_id,object,difficult,iscrowd,area\nimages/val/other_1.png,,1,1,1,5\n")
    put_text(
        data / "dataset.yaml",
        "train: images/train\nval: images/val\nnames: [dog, cat]\nrename: {cat: animal}\n"
        "classes: [animal, dog]\ncategory_ids: [4, 2]\nextra: extra.csv\n",
    )
    parts, _ = run(data, tmp_path / "split", val=0.5)
    old = read_parts(data)
    assert contents(parts) == contents(old)
    assert ("other_1.png", "animal11") in contents(parts)
    assert parts["val"].class_names == old["val"].class_names == ("animal", "dog")
    assert parts["val"].category_ids == old["val"].category_ids == (4, 2)


def test_formats_side_by_side_are_divided(tmp_path: Path) -> None:
    put_ten(tmp_path / "yolo")
    put_coco(tmp_path / "coco")
    text = "train:\n  - {path: yolo/images/train, names: [lion, mouse]}\n  - coco/annotations/instances_train.json\n"
    put_text(tmp_path / "both.yaml", text + "val: coco/annotations/instances_val.json\n")
    parts, _ = run(tmp_path / "both.yaml", tmp_path / "split", val=0.4, seed=3)
    assert sum(len(part.images) for part in parts.values()) == 16
    assert all(part.report.issues == [] for part in parts.values())
    assert contents(parts) == contents(read_parts(tmp_path / "both.yaml"))


def test_a_folder_behind_a_link_is_named_in_full(tmp_path: Path) -> None:
    put_ten(tmp_path / "deep" / "down" / "data")
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "down")
    parts, _ = run(tmp_path / "link" / "data", tmp_path / "split")
    assert f"{tmp_path}/link/data/images/" in (tmp_path / "split" / "train.txt").read_text()
    (tmp_path / "there").symlink_to(tmp_path / "deep")
    again, _ = run(tmp_path / "deep" / "down" / "data", tmp_path / "there" / "split")
    assert sizes(parts) == sizes(again) == {"train": 8, "val": 2}


def test_groups_stay_together(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    parts, _ = run(data, tmp_path / "split", by="group", val=0.4)
    groups = {name: {Path(path).name[:5] for path in part.images.paths} for name, part in parts.items()}
    assert not groups["train"] & groups["val"]
    assert sizes(parts) == {"train": 6, "val": 4}
    folders, _ = run(data, tmp_path / "folders", by="group", group="folder", val=0.2)
    assert {Path(path).parent.name for path in folders["val"].images.paths} == {"val"}
    regex, _ = run(data, tmp_path / "regex", by="group", group="regex", pattern="(shot|other)", val=0.2)
    assert {Path(path).name[:5] for path in regex["val"].images.paths} == {"other"}


def put_with_test(root: Path) -> Path:
    """Ten images as in `put_ten`, and three in a test split."""
    put_ten(root)
    put_yolo(root, "test", {f"test_{k}": f"0 {BOX}\n" for k in range(3)})
    put_text(root / "dataset.yaml", "train: images/train\nval: images/val\ntest: images/test\nnames: [dog, cat]\n")
    return root


def names_of(part: Split) -> set[str]:
    return {Path(path).name for path in part.images.paths}


def test_a_test_split_stays_unless_it_is_to_be_divided(tmp_path: Path) -> None:
    data = put_with_test(tmp_path / "data")
    parts, said = run(data, tmp_path / "kept", val=0.5)
    assert sizes(parts) == {"train": 5, "val": 5, "test": 3}
    assert names_of(parts["test"]) == {"test_0.png", "test_1.png", "test_2.png"}
    assert "the test split stays as it is (3 images); --resplit divides its images anew" in said
    assert sizes(run(data, tmp_path / "anew", val=0.2, test=0.2, resplit=True)[0]) == {"train": 8, "val": 3, "test": 2}
    with pytest.raises(
        ConfigError, match=r"--test 0\.2: the dataset has a test split, which stays as it is; leave out"
    ):
        run(data, tmp_path / "both", test=0.2)
    assert not (tmp_path / "both").exists()


def test_a_test_split_without_annotations_is_left_out_and_said(tmp_path: Path) -> None:
    data = put_with_test(tmp_path / "data")
    for path in (data / "labels" / "test").iterdir():
        path.unlink()
    parts, said = run(data, tmp_path / "split")
    assert sizes(parts) == {"train": 8, "val": 2}
    assert "warning: the test split is left out, as it cannot be measured on: " in said
    with pytest.raises(DataError, match="not one of"):
        run(data, tmp_path / "anew", resplit=True)


@pytest.mark.parametrize("by", ["random", "stratified", "group"])
def test_copies_are_in_one_part_and_those_of_test_images_in_no_other(tmp_path: Path, by: str) -> None:
    data = put_with_test(tmp_path / "data")
    images = data / "images"
    for copy, original in (
        ("train/copied.png", "test/test_1.png"),
        ("train/one.png", "val/other_0.png"),
        ("val/two.png", "train/shot1_002.png"),
        ("val/three.png", "train/shot1_002.png"),
    ):
        (images / copy).write_bytes((images / original).read_bytes())
        put_text(data / "labels" / copy.replace(".png", ".txt"), f"0 {BOX}\n")
    parts, said = run(data, tmp_path / by, val=0.4, by=by)
    assert "left out of the other parts, as the test split has the same image: 1 image" in said
    assert "3 images are copies of other ones: in the same part" in said
    assert sum(sizes(parts).values()) == 16
    for together in ({"one.png", "other_0.png"}, {"two.png", "three.png", "shot1_002.png"}):
        assert [together & names_of(part) for part in parts.values() if together & names_of(part)] == [together]


def test_the_groups_are_shown(tmp_path: Path) -> None:
    _, said = run(put_with_test(tmp_path / "data"), tmp_path / "split", by="group")
    assert "5 groups by prefix: 'other', 'shot0', 'shot1', ..." in said
    with pytest.raises(ConfigError, match="--group folder says what a group is: add --by group"):
        DataSplitConfig(data="d", output="o", group="folder")


def test_the_same_seed_gives_the_same_lists(tmp_path: Path) -> None:
    data = put_ten(tmp_path / "data")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(data, tmp_path / name, seed=seed, val=0.5)
    lists = {name: (tmp_path / name / "train.txt").read_bytes() for name in "abc"}
    assert lists["a"] == lists["b"] != lists["c"]


def test_a_class_that_a_part_lacks_is_a_warning(tmp_path: Path) -> None:
    put_yolo(tmp_path / "data", "train", {f"{k}": f"{int(k == 0)} {BOX}\n" for k in range(10)})
    _, said = run(tmp_path / "data", tmp_path / "split", by="stratified")
    warnings = [line for line in said.splitlines() if line.startswith("warning")]
    assert warnings == ["warning: 1 class has no object in val, only in other parts: 'class1'"]


def test_many_rare_classes_leave_each_part_its_share_and_one_line(tmp_path: Path) -> None:
    put_yolo(tmp_path / "data", "train", {f"{k}": f"{k} {BOX}\n" for k in range(30)})
    parts, said = run(tmp_path / "data", tmp_path / "split", by="stratified", val=0.3, test=0.3)
    assert all(abs(count - share) <= 1 for count, share in zip(sizes(parts).values(), (12, 9, 9), strict=True))
    warnings = [line for line in said.splitlines() if line.startswith("warning")]
    assert len(warnings) == 3
    assert "classes have no object in val, only in other parts: 'class" in " ".join(warnings)


def test_nothing_but_a_test_split_cannot_be_divided(tmp_path: Path) -> None:
    put_yolo(tmp_path / "data", "test", {f"{k}": f"0 {BOX}\n" for k in range(4)})
    with pytest.raises(DataError, match="all images are in the test split, or copies of its images; --resplit"):
        run(tmp_path / "data", tmp_path / "split")
    assert sizes(run(tmp_path / "data", tmp_path / "anew", val=0.5, resplit=True)[0]) == {"train": 2, "val": 2}


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


@pytest.mark.skipif(os.name == "nt", reason="there are no such names")
def test_names_that_no_line_can_hold_are_found_again(tmp_path: Path) -> None:
    names = ("a\nb", " c ", "d\\e", "caf\udce9", "caf\udce8 100%41", "#f", "g%41")
    put_yolo(tmp_path / "data", "train", dict.fromkeys(names, f"0 {BOX}\n"))
    run(tmp_path / "data", tmp_path / "split", val=0.2)
    splits = [read_split(find_dataset(tmp_path / "split"), name) for name in ("train", "val")]
    assert sorted(Path(path).stem for split in splits for path in split.images.paths) == sorted(names)
    assert sum(len(split.images.objects) for split in splits) == len(names)


SHARES = [(0.8, 0.2), (0.7, 0.2, 0.1), (0.5, 0.25, 0.25), (0.98, 0.01, 0.01)]


def with_classes(classes: list[list[int]]) -> AnnotatedImages:
    return annotated(*(centred([(10 + 9 * k, 10) for k in range(len(own))], own) for own in classes))


def classes_per_part(classes: list[list[int]], parts: Int64, num_parts: int, num_classes: int) -> Int64:
    """(P, C) how many images of a part have a class, counted one by one."""
    counts = np.zeros((num_parts, num_classes), np.int64)
    for own, part in zip(classes, parts, strict=True):
        for label in set(own):
            counts[part, label] += 1
    return counts


@given(st.integers(3, 200), st.sampled_from(SHARES), st.integers(0, 5))
def test_random_parts_have_the_sizes_of_their_shares(count: int, shares: tuple[float, ...], seed: int) -> None:
    parts = split_randomly([f"{k}.jpg" for k in range(count)], shares, seed=seed)
    sizes = np.bincount(parts, minlength=len(shares))
    assert sizes.sum() == count
    assert sizes.min() >= 1
    if count * min(shares) >= 1:
        assert (np.abs(sizes - count * np.array(shares)) < 1).all()


@settings(max_examples=25)
@given(st.permutations(range(30)), st.integers(0, 3))
def test_the_order_of_listing_means_nothing(order: list[int], seed: int) -> None:
    names = [f"{k}.jpg" for k in range(30)]
    classes = [[k % 3] * (k % 4) for k in range(30)]
    groups = [f"g{k // 4}" for k in range(30)]
    shares = (0.6, 0.4)

    def shuffled(parts: Int64) -> list[int]:
        return [int(parts[k]) for k in order]

    names_there = [names[k] for k in order]
    images, images_there = with_classes(classes), with_classes([classes[k] for k in order])
    assert split_randomly(names_there, shares, seed=seed).tolist() == shuffled(split_randomly(names, shares, seed=seed))
    there = split_stratified(names_there, images_there, shares, num_classes=3, seed=seed)
    assert there.tolist() == shuffled(split_stratified(names, images, shares, num_classes=3, seed=seed))
    groups_there = split_groups([groups[k] for k in order], shares, seed=seed)
    assert groups_there.tolist() == shuffled(split_groups(groups, shares, seed=seed))


def test_seeds_give_other_draws_and_the_same_seed_the_same() -> None:
    names = [f"{k}.jpg" for k in range(50)]
    images = with_classes([[k % 3] for k in range(50)])

    def draws(seed: int) -> tuple[list[int], list[int], list[int]]:
        return (
            split_randomly(names, (0.5, 0.5), seed=seed).tolist(),
            split_stratified(names, images, (0.5, 0.5), num_classes=3, seed=seed).tolist(),
            split_groups([f"{k // 2}" for k in range(50)], (0.5, 0.5), seed=seed).tolist(),
        )

    assert draws(1) == draws(1)
    assert all(one != two for one, two in zip(draws(1), draws(2), strict=True))


def test_a_class_on_ten_images_is_divided_eight_to_two() -> None:
    # 10 images of a rare class among 100: a random draw would often miss it in the smaller part
    classes = [[0, 1] if k < 10 else [0] for k in range(100)]
    for seed in range(5):
        parts = split_stratified(
            [f"{k}" for k in range(100)], with_classes(classes), (0.8, 0.2), num_classes=2, seed=seed
        )
        assert classes_per_part(classes, parts, 2, 2).tolist() == [[80, 8], [20, 2]]


@settings(max_examples=12)
@given(st.integers(0, 1000), st.sampled_from(SHARES[:3]))
def test_no_class_is_far_from_its_shares(seed: int, shares: tuple[float, ...]) -> None:
    generator = np.random.default_rng(seed)
    chances = np.array([0.6, 0.3, 0.1, 0.03])
    classes = [np.flatnonzero(generator.random(4) < chances).tolist() for _ in range(300)]
    parts = split_stratified([f"{k}" for k in range(300)], with_classes(classes), shares, num_classes=4, seed=seed)
    counts = classes_per_part(classes, parts, len(shares), 4)
    wanted = np.array(shares)[:, None] * counts.sum(axis=0)
    # the rarest class exactly, the others by a few images
    rarest = counts.sum(axis=0).argmin()
    assert (np.abs(counts - wanted)[:, rarest] < 1.01).all()
    assert (np.abs(counts - wanted) <= 6).all()
    assert (np.abs(np.bincount(parts, minlength=len(shares)) - 300 * np.array(shares)) <= 6).all()


def test_a_class_on_two_images_is_in_both_halves_and_backgrounds_fill_up() -> None:
    classes: list[list[int]] = [[0], [0], [], [], [], []]
    parts = split_stratified(list("abcdef"), with_classes(classes), (0.5, 0.5), num_classes=1, seed=0)
    assert classes_per_part(classes, parts, 2, 1).tolist() == [[1], [1]]
    assert np.bincount(parts).tolist() == [3, 3]


@pytest.mark.parametrize("classes", [[[0], [0], [0]], [[], [], []], [[0], [0, 1], []]])
def test_no_part_of_a_tiny_dataset_is_empty(classes: list[list[int]]) -> None:
    parts = split_stratified(list("abc"), with_classes(classes), (0.98, 0.01, 0.01), num_classes=2, seed=0)
    assert sorted(parts.tolist()) == [0, 1, 2]


@given(st.lists(st.integers(1, 40), min_size=3, max_size=12), st.sampled_from(SHARES), st.integers(0, 3))
def test_groups_stay_whole_and_no_part_is_empty(sizes: list[int], shares: tuple[float, ...], seed: int) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    parts = split_groups(groups, shares, seed=seed)
    assert len({(group, part) for group, part in zip(groups, parts.tolist(), strict=True)}) == len(sizes)
    assert set(parts.tolist()) == set(range(len(shares)))
    # a part is never larger than its share by more than the largest group
    too_many = np.bincount(parts, minlength=len(shares)) - np.array(shares) * len(groups)
    assert too_many.max() <= max(sizes)


def test_groups_fill_the_shares_where_they_can() -> None:
    # 60 + 20 and 20 of 100
    groups = ["a"] * 20 + ["b"] * 60 + ["c"] * 20
    assert np.bincount(split_groups(groups, (0.8, 0.2), seed=0)).tolist() == [80, 20]


def test_what_makes_a_group() -> None:
    paths = ["a/cam1_000001.jpg", "b/cam1_2.jpg", "b/cam2 (3).png", "c/walk-12-0001.jpg", "000123.jpg", "plain.jpg"]
    assert group_names(paths, "prefix") == ["cam1", "cam1", "cam2", "walk-12", "", "plain"]
    assert group_names(paths, "folder") == ["a", "b", "b", "c", ".", "."]
    assert group_names(paths[:3], "regex", pattern=r"cam\d") == ["cam1", "cam1", "cam2"]
    assert group_names(paths[:3], "regex", pattern=r"/(cam)\d") == ["cam", "cam", "cam"]


def test_bad_patterns_are_named() -> None:
    with pytest.raises(ConfigError, match=r"--pattern '\(' is not a regular expression"):
        group_names(["a.jpg"], "regex", pattern="(")
    with pytest.raises(DataError, match=r"finds no group in 1 of 2 images, the first is 'b.jpg'"):
        group_names(["a.jpg", "b.jpg"], "regex", pattern="a")
    with pytest.raises(DataError, match="finds no group in 1 of 1"):
        group_names(["a.jpg"], "regex", pattern="(b)?a")


def test_too_few_of_anything_is_an_error() -> None:
    with pytest.raises(DataError, match="1 image cannot be divided into 2 parts"):
        split_randomly(["a"], (0.5, 0.5), seed=0)
    with pytest.raises(DataError, match="1 image cannot be divided into 2 parts"):
        split_stratified(["a"], with_classes([[0]]), (0.5, 0.5), num_classes=1, seed=0)
    with pytest.raises(
        DataError,
        match=r"the 2 images are 1 group \('a'\), and whole groups cannot be divided into 2 parts; see --group",
    ):
        split_groups(["a", "a"], (0.5, 0.5), seed=0)


def test_many_images_of_eighty_classes_do_not_take_long() -> None:
    generator = np.random.default_rng(0)
    images = with_classes(generator.integers(0, 80, (4000, 4)).tolist())
    start = time.perf_counter()
    split_stratified([f"{k}" for k in range(4000)], images, (0.8, 0.2), num_classes=80, seed=0)
    assert time.perf_counter() - start < 4
