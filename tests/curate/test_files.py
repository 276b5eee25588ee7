from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.dataset_trees import put_image, put_text, put_voc, put_yolo
from yolo.curate.files import file_findings


def found(root: Path, images: list[Path], dataset_format: str = "yolo") -> list[tuple[str, str]]:
    items = file_findings([str(path) for path in images], [dataset_format], {root / "train.txt"})
    return [(item.kind, Path(item.path).relative_to(root).as_posix()) for item in items]


def yolo_images(root: Path) -> list[Path]:
    return sorted((root / "images").rglob("*.png"))


def test_a_tree_in_order(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "0 .5 .5 .1 .1\n", "b": "", "c": None})
    put_text(tmp_path / "labels" / "train" / "classes.txt", "cat\n")
    assert found(tmp_path, yolo_images(tmp_path)) == []


def test_label_files_without_image(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    images = yolo_images(tmp_path)
    put_text(tmp_path / "labels" / "train" / "gone.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "labels" / "train" / "empty.txt", "")
    put_text(tmp_path / "labels" / "train" / "notes.txt", "these images were taken in spring\n")
    put_text(tmp_path / "labels" / "train" / "four.txt", "0 .5 .5 .1\n")  # fewer columns than a label has
    assert found(tmp_path, images) == [
        ("label_without_image", "labels/train/empty.txt"),
        ("label_without_image", "labels/train/gone.txt"),
    ]


def test_images_that_no_split_names_and_their_label_files(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    # b is not listed: that is one finding, not a second one for its label file
    assert found(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == [("image_not_listed", "images/train/b.png")]


def test_a_folder_may_be_named_in_several_ways(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": ""})
    put_yolo(tmp_path, "val", {"c": ""})
    folder = tmp_path / "images" / "train"
    images = [folder / "a.png", folder / ".." / "train" / "b.png", folder / ".." / "val" / "c.png"]
    assert found(tmp_path, images) == []


def test_a_folder_that_cannot_be_listed_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_yolo(tmp_path, "train", {"a": ""})

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert found(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == []


def test_label_files_beside_images(tmp_path: Path) -> None:
    image = put_image(tmp_path / "a.png")
    put_text(tmp_path / "a.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "train.txt", "a.png\n")
    put_text(tmp_path / "b.txt", "0 .5 .5 .1 .1\n")
    assert found(tmp_path, [image]) == [("label_without_image", "b.txt")]


def test_names_that_differ_in_capitals_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"dog": "", "Dog": "", "cat": ""})
    images = yolo_images(tmp_path)
    if len(images) < 3:
        pytest.skip("this file system does not tell capitals apart")
    assert found(tmp_path, images) == [("case_collision", "images/train/Dog.png")]


def test_names_that_differ_in_the_coding_of_accents_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"caf\u00e9": "", "cafe\u0301": ""})
    images = yolo_images(tmp_path)
    if len(images) < 2:
        pytest.skip("this file system joins both codings")
    assert [kind for kind, _ in found(tmp_path, images)] == ["case_collision"]


def test_annotations_that_no_list_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_voc(tmp_path, name)
    put_text(tmp_path / "Annotations" / "c.xml", "<annotation/>")
    items = file_findings([str(tmp_path / "JPEGImages" / "a.jpg")], ["voc"], set())
    assert [(item.kind, Path(item.path).name, item.message) for item in items] == [
        ("image_not_listed", "b.jpg", "no split names it, though it is annotated"),
        ("annotation_not_listed", "c.xml", "there is no image c"),
    ]


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    assert found(tmp_path, [tmp_path / "images" / "gone.png"]) == []
