from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.dataset_trees import put_image, put_text, put_voc, put_voc_list, put_yolo
from yolo.data.descriptor import SplitSource, with_held_out_val
from yolo.data.trees import coco_source, recognise, recognise_source
from yolo.errors import DataError


def _found(root: Path) -> tuple[str, dict[str, list[str]]]:
    """Format, and for each split its sources relative to the root."""
    layout = recognise(root)
    assert layout is not None
    splits = {
        name: [source.path.relative_to(root).as_posix() for source in sources]
        for name, sources in layout.splits.items()
    }
    (kind,) = {source.format for sources in layout.splits.values() for source in sources}
    return kind, splits


def _voc_tree(root: Path, *lists: str) -> None:
    put_voc(root, "a")
    for name in lists:
        put_voc_list(root, name, ["a"])


def test_a_voc_tree(tmp_path: Path) -> None:
    _voc_tree(tmp_path, "train", "val", "aeroplane_train")
    lists = "ImageSets/Main"
    assert _found(tmp_path) == ("voc", {"train": [f"{lists}/train.txt"], "val": [f"{lists}/val.txt"]})


@pytest.mark.parametrize("above", ["", "VOCdevkit"])
def test_a_devkit_joins_its_years(tmp_path: Path, above: str) -> None:
    _voc_tree(tmp_path / above / "VOC2007", "trainval", "test")
    _voc_tree(tmp_path / above / "VOC2012", "trainval")
    kind, splits = _found(tmp_path)
    prefix = f"{above}/" if above else ""
    assert kind == "voc"
    assert splits["trainval"] == [f"{prefix}VOC{year}/ImageSets/Main/trainval.txt" for year in (2007, 2012)]
    assert splits["test"] == [f"{prefix}VOC2007/ImageSets/Main/test.txt"]


def test_voc_without_lists_is_all_train_and_says_so_of_lists_with_other_names(tmp_path: Path) -> None:
    _voc_tree(tmp_path)
    assert _found(tmp_path) == ("voc", {"train": ["."]})
    layout = recognise(tmp_path)
    assert layout is not None
    assert layout.notes == ()
    put_text(tmp_path / "ImageSets" / "Main" / "default.txt", "a\n")  # CVAT's
    layout = recognise(tmp_path)
    assert layout is not None
    assert "ImageSets/Main has none of train.txt, val.txt, trainval.txt, test.txt" in layout.notes[0]


def _export_voc(root: Path) -> None:
    for split in ("train", "valid"):
        put_image(root / split / "a.jpg")
        put_text(root / split / "a.xml", "<annotation/>")


def _coco(root: Path) -> None:
    for name in ("instances_train2017", "instances_val2017", "captions_train2017", "image_info_test2017"):
        put_text(root / "annotations" / f"{name}.json", "{}")


def _coco_roboflow(root: Path) -> None:
    for split in ("train", "valid"):
        put_image(root / split / "a.jpg")
        put_text(root / split / "_annotations.coco.json", "{}")


COCO = '{"images": [], "annotations": [], "categories": []}'


def _coco_single(root: Path) -> None:
    put_text(root / "annotations" / "ships.json", COCO)


def _coco_flat(root: Path) -> None:
    put_text(root / "labels.json", COCO)
    put_image(root / "data" / "a.jpg")


def _yolo_inside(root: Path) -> None:
    put_yolo(root, "train2017", {"a": ""})
    put_yolo(root, "val", {"a": ""})
    put_yolo(root, "train_old", {"a": ""})
    (root / "images" / "test").mkdir()
    put_text(root / "train.txt", "")


def _yolo_outside(root: Path) -> None:
    for split in ("train", "valid", "test"):
        put_image(root / split / "images" / "a.jpg")


def _yolo_beside(root: Path) -> None:
    for split in ("train", "validation"):
        put_image(root / split / "deep" / "a.jpg")


def _darknet(root: Path) -> None:
    put_image(root / "images" / "a.jpg")
    for name in ("train.txt", "valid.txt", "notes_on_test.txt"):
        put_text(root / name, "images/a.jpg")


def _yolo_unsplit(root: Path) -> None:
    put_image(root / "images" / "a.jpg")
    put_text(root / "labels" / "a.txt", "")
    put_text(root / "package.json", "{}")


def _flat(root: Path) -> None:
    put_image(root / "a.jpg")
    put_text(root / "a.txt", "")
    put_text(root / "coverage.xml", "<coverage/>")


@pytest.mark.parametrize(
    ("build", "kind", "splits"),
    [
        (_export_voc, "voc", {"train": ["train"], "val": ["valid"]}),
        (
            _coco,
            "coco",
            {"train": ["annotations/instances_train2017.json"], "val": ["annotations/instances_val2017.json"]},
        ),
        (_coco_roboflow, "coco", {"train": ["train/_annotations.coco.json"], "val": ["valid/_annotations.coco.json"]}),
        (_coco_single, "coco", {"train": ["annotations/ships.json"]}),
        (_coco_flat, "coco", {"train": ["labels.json"]}),
        (_yolo_inside, "yolo", {"train": ["images/train2017"], "val": ["images/val"]}),
        (_yolo_outside, "yolo", {"test": ["test/images"], "train": ["train/images"], "val": ["valid/images"]}),
        (_yolo_beside, "yolo", {"train": ["train"], "val": ["validation"]}),
        (_darknet, "yolo", {"train": ["train.txt"], "val": ["valid.txt"]}),
        (_yolo_unsplit, "yolo", {"train": ["images"]}),
        (_flat, "yolo", {"train": ["."]}),
    ],
)
def test_trees(tmp_path: Path, build: Callable[[Path], None], kind: str, splits: dict[str, list[str]]) -> None:
    build(tmp_path)
    assert _found(tmp_path) == (kind, splits)


def test_nothing_is_nothing(tmp_path: Path) -> None:
    put_text(tmp_path / "readme.txt", "")
    assert recognise(tmp_path) is None


def test_a_format_that_is_asked_for_is_the_only_one_tried(tmp_path: Path) -> None:
    _coco_roboflow(tmp_path)
    layout = recognise(tmp_path, "yolo")
    assert layout is not None
    assert {source.format for sources in layout.splits.values() for source in sources} == {"yolo"}
    assert recognise(tmp_path, "voc") is None


def test_two_annotation_files_for_one_split_are_ambiguous(tmp_path: Path) -> None:
    for year in (2014, 2017):
        put_text(tmp_path / "annotations" / f"instances_train{year}.json", "{}")
    with pytest.raises(DataError, match=r"several annotation files for train \(instances_train2014.json, inst"):
        recognise(tmp_path)


@pytest.mark.parametrize("name", ["classes.txt", "obj.names", "labels/classes.txt"])
def test_names_beside_yolo_data(tmp_path: Path, name: str) -> None:
    _yolo_unsplit(tmp_path)
    put_text(tmp_path / name, "cat\r\ntraffic light\n")
    layout = recognise(tmp_path)
    assert layout is not None
    assert layout.class_names == ("cat", "traffic light")


def test_names_beside_must_differ(tmp_path: Path) -> None:
    _yolo_unsplit(tmp_path)
    put_text(tmp_path / "classes.txt", "cat\ncat\n")
    with pytest.raises(DataError, match=r"classes.txt: has a class name more than once"):
        recognise(tmp_path)


def test_a_val_split_is_held_out_of_train_only_where_there_is_none() -> None:
    train, test = SplitSource(Path("train.txt"), "yolo"), SplitSource(Path("test.txt"), "yolo")
    splits, notes = with_held_out_val({"test": (test,), "train": (train,)})
    assert list(splits) == ["train", "val", "test"]
    assert splits["train"] == (SplitSource(Path("train.txt"), "yolo", part="remaining"),)
    assert splits["val"] == (SplitSource(Path("train.txt"), "yolo", part="held_out"),)
    assert notes == ("no val split: a fifth of the images, chosen by a hash of their ids, is held out of train",)
    assert with_held_out_val({"train": (train,), "val": (test,)}) == ({"train": (train,), "val": (test,)}, ())
    assert with_held_out_val({"test": (test,)}) == ({"test": (test,)}, ())


def test_trainval_alone_is_train() -> None:
    splits, notes = with_held_out_val({"trainval": (SplitSource(Path("trainval.txt"), "voc"),)})
    assert list(splits) == ["train", "val"]
    assert notes[0] == "train is the list trainval"


def test_sources_of_a_yaml(tmp_path: Path) -> None:
    put_voc(tmp_path / "voc", "a")
    put_text(tmp_path / "export" / "_annotations.coco.json", "{}")
    (tmp_path / "images").mkdir()
    assert recognise_source(tmp_path / "voc") == "voc"
    assert recognise_source(tmp_path / "export") == "coco"
    assert recognise_source(tmp_path / "x.json") == "coco"
    assert recognise_source(tmp_path / "images") == "yolo"
    assert recognise_source(tmp_path / "train.txt") == "yolo"


def test_a_folder_of_coco_images_finds_its_annotations(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "val2017"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"(?s)no COCO annotation file belongs.*annotations/instances_val2017.json"):
        coco_source(folder, tmp_path)
    path = put_text(tmp_path / "annotations" / "instances_val2017.json", "{}")
    assert coco_source(folder, tmp_path) == SplitSource(path, "coco", folder)
    assert coco_source(path, tmp_path) == SplitSource(path, "coco")
