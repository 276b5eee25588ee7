import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.curate.truths import truths
from yolo.config import DatasetFormat
from yolo.curate.image_files import ImageMode
from yolo.curate.write import write_dataset
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError, ImageReadError
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages
from yolo.formats.voc import voc_boxes
from yolo.images import read_image, write_image
from yolo.structures import AnnotatedImage, GroundTruth

FORMATS: tuple[DatasetFormat, ...] = get_args(DatasetFormat)
NAMES = ("dog", "a & b", "Ünit, 1", "no")
SIZE_HW = (20, 40)


def put(path: Path, *, size_hw: tuple[int, int] = SIZE_HW, grey: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((*size_hw, 3), grey, np.uint8))
    return path


def split_of(
    images: Sequence[AnnotatedImage], *, names: tuple[str, ...] = NAMES, category_ids: tuple[int, ...] | None = None
) -> Split:
    return Split("train", AnnotatedImages.of(images), names, category_ids, ReadReport("train"))


def example(folder: Path) -> dict[str, Split]:
    """Two splits with every flag, a background, and images of the same name."""
    truth = GroundTruth.from_boxes(
        [[1, 2, 11, 12], [0.5, 0.25, 39.5, 20], [4, 5, 6, 8]],
        [2, 0, 3],
        difficult=[True, False, False],
        iscrowd=[False, True, False],
        area=[100, 12.5, 6],
    )
    small = GroundTruth.from_boxes([[0, 0, 40, 20]], [1])
    train = [
        AnnotatedImage("7", put(folder / "a" / "x.jpg", grey=10), SIZE_HW, truth),
        AnnotatedImage("12", put(folder / "b" / "X.jpg", grey=90), SIZE_HW, GroundTruth.empty()),
    ]
    val = [AnnotatedImage("9", put(folder / "c" / "y.png"), SIZE_HW, small)]
    ids = (5, 3, 90, 1)
    return {"train": split_of(train, category_ids=ids), "val": split_of(val, category_ids=ids)}


def read_all(path: Path, names: Sequence[str] = ("train", "val")) -> dict[str, Split]:
    descriptor = find_dataset(path)
    assert tuple(descriptor.splits) == tuple(names)
    return {name: read_split(descriptor, name) for name in names}


def by_id(split: Split) -> list[AnnotatedImage]:
    return sorted(split.images, key=lambda image: image.image_id)


def assert_same(found: dict[str, Split], expected: dict[str, Split], *, ids: bool = True) -> None:
    assert found.keys() == expected.keys()
    for name, other in expected.items():
        split = found[name]
        assert split.report.issues == []
        assert split.class_names == other.class_names
        assert split.category_ids == other.category_ids or not ids
        # folders of YOLO are read in the order of names
        for image, original in zip(by_id(split), by_id(other), strict=True):
            assert image.image_id == original.image_id
            assert image.size_hw == original.size_hw
            assert_same_truth(image.ground_truth, original.ground_truth)


def assert_same_truth(one: GroundTruth, other: GroundTruth) -> None:
    for field in fields(GroundTruth):
        if field.name != "area":
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    # areas that are those of the boxes are known as exactly as the corners
    _, _, x2, y2 = other.boxes.astype(np.float64).T
    width, height = (other.boxes[:, 2:].astype(np.float64) - other.boxes[:, :2]).T
    tolerance = (np.spacing(x2.astype(np.float32)) * (height + 1) + np.spacing(y2.astype(np.float32)) * (width + 1)) * 2
    assert (np.abs(one.area.astype(np.float64) - other.area) <= tolerance + 2 * np.spacing(other.area)).all()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("images", ["copy", "link"])
def test_every_format_brings_everything_back(tmp_path: Path, file_format: DatasetFormat, images: ImageMode) -> None:
    splits = example(tmp_path / "old")
    written = write_dataset(splits, tmp_path / "new", format=file_format, images=images)
    assert written.yaml == tmp_path / "new" / "dataset.yaml"
    assert (written.images, written.objects) == ({"train": 2, "val": 1}, {"train": 3, "val": 1})
    (tmp_path / "new").rename(tmp_path / "moved")
    found = read_all(tmp_path / "moved")
    assert_same(found, splits)
    for name, split in found.items():
        for image, original in zip(by_id(split), by_id(splits[name]), strict=True):
            assert image.path.is_relative_to(tmp_path / "moved")
            assert image.path.read_bytes() == original.path.read_bytes()
            assert image.path.is_symlink() == (images == "link")


def test_the_trees_are_those_of_the_formats(tmp_path: Path) -> None:
    trees = {}
    for file_format in FORMATS:
        folder = tmp_path / file_format
        write_dataset(example(tmp_path / "old"), folder, format=file_format)
        trees[file_format] = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and "mages/" not in str(path)
        )
    common = ["dataset.yaml"]
    assert trees["coco"] == ["annotations/instances_train.json", "annotations/instances_val.json", *common]
    assert trees["csv"] == [*common, "train.csv", "val.csv"]
    assert trees["yolo"] == [*common, "extra.csv", "labels/train/X-2.txt", "labels/train/x.txt", "labels/val/y.txt"]
    assert trees["voc"] == [
        *("Annotations/X-2.xml", "Annotations/x.xml", "Annotations/y.xml"),
        *("ImageSets/Main/train.txt", "ImageSets/Main/val.txt", *common, "extra.csv"),
    ]
    assert (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").read_text() == "x\nX-2\n"
    content = yaml.safe_load((tmp_path / "yolo" / "dataset.yaml").read_text(encoding="utf-8"))
    assert content == {
        "path": ".",
        "train": "images/train",
        "val": "images/val",
        "names": list(NAMES),
        "format": "yolo",
        "category_ids": [5, 3, 90, 1],
        "extra": "extra.csv",
    }


def test_no_sidecar_is_written_where_nothing_would_be_lost(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jpg")
    truth = GroundTruth.from_boxes([[1, 2, 11, 12], [0.1, 0.7, 30.3, 19.9]], [0, 1])
    difficult = GroundTruth.from_boxes([[1, 2, 11, 12]], [0], difficult=[True])
    for file_format in FORMATS:
        write_dataset(
            {"train": split_of([AnnotatedImage("a", path, SIZE_HW, truth)])},
            tmp_path / file_format,
            format=file_format,
        )
        assert not (tmp_path / file_format / "extra.csv").exists()
    # VOC has the flag difficult itself
    splits = {"train": split_of([AnnotatedImage("a", path, SIZE_HW, difficult)])}
    write_dataset(splits, tmp_path / "voc2", format="voc")
    assert not (tmp_path / "voc2" / "extra.csv").exists()
    assert write_dataset(splits, tmp_path / "yolo2", format="yolo").notes
    assert (tmp_path / "yolo2" / "extra.csv").read_text() == (
        "image,image_id,object,difficult,iscrowd,area\nimages/train/a.jpg,,1,1,0,100\n"
    )


_ids = st.lists(st.integers(0, 10**9).map(str), min_size=1, max_size=4, unique=True)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(_ids, st.data(), st.permutations(FORMATS))
def test_a_round_through_all_formats_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], data: st.DataObject, order: list[DatasetFormat]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    images = []
    for number, image_id in enumerate(ids):
        size_hw = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
        truth = data.draw(truths(size_hw, classes=len(NAMES)))
        boxes, _ = voc_boxes(truth, size_hw)  # what is smaller than VOC's pixels has a test of its own
        rows = sorted({(label, *box): place for place, (label, box) in
                       enumerate(zip(truth.labels.tolist(), boxes.tolist(), strict=True))}.values())  # fmt: skip
        truth = GroundTruth(boxes, truth.labels, truth.difficult, truth.iscrowd, truth.area)[rows]
        path = put(folder / f"{number % 2}" / f"{number // 2}.png", size_hw=size_hw)
        images.append(AnnotatedImage(image_id, path, size_hw, truth))
    category_ids = tuple(data.draw(st.permutations([1, 2, 17, 90])))
    if not any(len(image.ground_truth) for image in images):
        return
    expected = {"train": split_of(images, category_ids=category_ids)}
    splits = expected
    for file_format in ["coco", *order, "coco"]:
        place = folder / f"{len(list(folder.iterdir()))}-{file_format}"
        written = write_dataset(splits, place, format=file_format)
        descriptor = find_dataset(written.yaml)
        splits = {"train": whole(place)}
        assert descriptor.format == file_format
        assert_same(splits, expected)


def whole(folder: Path) -> Split:
    """The split train of a dataset that has no other, without the images that are held out of it for validation."""
    content = yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8"))
    (folder / "all.yaml").write_text(yaml.safe_dump(content | {"val": content["train"]}, sort_keys=False))
    return read_split(find_dataset(folder / "all.yaml"), "train")


def test_coco_and_csv_can_name_images_where_they_are(tmp_path: Path) -> None:
    splits = example(tmp_path / "old")
    for file_format in ("coco", "csv"):
        written = write_dataset(splits, tmp_path / file_format, format=file_format, images="none")
        found = read_all(written.yaml)
        assert_same(found, splits)
        assert [image.path for image in found["train"].images] == [image.path for image in splits["train"].images]
        assert not list((tmp_path / file_format).rglob("*.jpg"))


def test_ids_that_are_not_numbers_are_kept_where_the_format_can(tmp_path: Path) -> None:
    images = [
        AnnotatedImage(image_id, put(tmp_path / name), SIZE_HW, GroundTruth.from_boxes([[0, 0, 9, 9]], [0]))
        for image_id, name in (("../../x", "p.jpg"), ("/etc/y", "q.jpg"), ("a\nb", "r.jpg"))
    ]
    expected = ["../../x", "/etc/y", "a%0Ab"]
    for file_format in FORMATS:
        folder = tmp_path / "out" / file_format
        written = write_dataset({"train": split_of(images)}, folder, format=file_format)
        found = sorted(whole(folder).images.image_ids)
        assert found == (["1", "2", "3"] if file_format == "coco" else expected)
        assert any("1 image ids" in note for note in written.notes)
        assert any("numbered anew" in note for note in written.notes) == (file_format == "coco")
    from_coco = {"train": split_of(images, category_ids=(1, 2, 3, 4))}
    write_dataset(from_coco, tmp_path / "out" / "text", format="coco")
    assert sorted(whole(tmp_path / "out" / "text").images.image_ids) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "p.jpg", "q.jpg", "r.jpg"]


def test_images_that_differ_in_their_suffix_alone_keep_their_own_objects(tmp_path: Path) -> None:
    images = [
        AnnotatedImage(
            name, put(tmp_path / name), SIZE_HW, GroundTruth.from_boxes([[0, 0, 9, 9]] * count, range(count))
        )
        for name, count in (("a.jpg", 1), ("a.png", 3))
    ]
    for file_format in FORMATS:
        splits = {"train": split_of(images, category_ids=(1, 2, 3, 4))}
        write_dataset(splits, tmp_path / "out" / file_format, format=file_format)
        assert_same({"train": whole(tmp_path / "out" / file_format)}, splits)


def test_boxes_smaller_than_a_pixel_keep_their_area_in_voc(tmp_path: Path) -> None:
    truth = GroundTruth.from_boxes([[4.25, 0, 4.5, 4]], [0])
    splits = {"train": split_of([AnnotatedImage("a", put(tmp_path / "a.jpg"), SIZE_HW, truth)])}
    written = write_dataset(splits, tmp_path / "new", format="voc")
    (image,) = whole(tmp_path / "new").images
    assert image.ground_truth.boxes.tolist() == [[4, 0, 5, 4]]
    assert image.ground_truth.area.tolist() == [1]
    assert any("1 boxes are less than a pixel wide or high" in note for note in written.notes)


def test_odd_file_names_are_read_back(tmp_path: Path) -> None:
    names = [" a .jpg", "a.jpg.jpg", "b\nc.jpg", ".hidden.jpg", "ü" * 120 + ".jpg", "d.txt.jpg", "e\\f.jpg", "#1%.jpg"]
    images = [
        AnnotatedImage(
            f"{number}", put(tmp_path / name, grey=number), SIZE_HW, GroundTruth.from_boxes([[0, 0, 9, 9]], [0])
        )
        for number, name in enumerate(names)
    ]
    name_of_bytes = tmp_path / os.fsdecode(b"\xff.jpg")
    images.append(AnnotatedImage("99", name_of_bytes, SIZE_HW, GroundTruth.empty()))
    put(tmp_path / "z.jpg").rename(name_of_bytes)
    for file_format in FORMATS:
        write_dataset({"train": split_of(images)}, tmp_path / "out" / file_format, format=file_format)
        found = whole(tmp_path / "out" / file_format)
        assert found.report.issues == []
        for image, original in zip(by_id(found), sorted(images, key=lambda image: image.image_id), strict=True):
            assert image.image_id == original.image_id
            assert image.path.read_bytes() == original.path.read_bytes()


def test_images_without_a_known_suffix_get_one(tmp_path: Path) -> None:
    put(tmp_path / "x.png").rename(tmp_path / "photo")
    splits = {"train": split_of([AnnotatedImage("1", tmp_path / "photo", SIZE_HW, GroundTruth.empty())])}
    write_dataset(splits, tmp_path / "out", format="yolo")
    assert (tmp_path / "out" / "images" / "train" / "photo.png").read_bytes() == (tmp_path / "photo").read_bytes()


def test_voc_keeps_an_image_of_two_splits_once(tmp_path: Path) -> None:
    train = example(tmp_path / "old")["train"]
    other = list(train.images)[:1]
    changed = AnnotatedImage("12", train.images[1].path, SIZE_HW, GroundTruth.from_boxes([[0, 0, 5, 5]], [0]))
    splits = {"train": train, "val": split_of([*other, changed], category_ids=train.category_ids)}
    write_dataset(splits, tmp_path / "new", format="voc")
    assert sorted(path.name for path in (tmp_path / "new" / "JPEGImages").iterdir()) == ["X-2.jpg", "X-3.jpg", "x.jpg"]
    assert_same(read_all(tmp_path / "new"), splits)


def test_upright_images_are_written_anew_and_plain_ones_are_not(tmp_path: Path) -> None:
    corners = np.array([[[10, 200, 40], [250, 120, 90]], [[60, 30, 220], [180, 190, 20]]], np.uint8)
    blocks = cv2.resize(corners, (40, 20), interpolation=cv2.INTER_LINEAR)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: shown 40 high and 20 wide
    Image.fromarray(blocks).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(blocks).save(tmp_path / "plain.jpg", quality=30)
    Image.fromarray(blocks).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(blocks).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(blocks).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(blocks).save(tmp_path / "windows.bmp")
    deep = cv2.imencode(".png", blocks.astype(np.uint16) * 257)[1]
    (tmp_path / "deep.png").write_bytes(deep.tobytes())
    names = ["turned.jpg", "plain.jpg", "grey.png", "palette.png", "cmyk.jpg", "windows.bmp", "deep.png"]
    images = []
    for name in names:
        height, width, _ = read_image(tmp_path / name).shape
        images.append(AnnotatedImage(name, tmp_path / name, (height, width), GroundTruth.empty()))
    splits = {"train": split_of(images)}
    written = write_dataset(splits, tmp_path / "new", format="csv", upright=True)
    folder = tmp_path / "new" / "images" / "train"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names[:5], "windows.jpg", "deep.png"])
    for name in ("plain.jpg", "grey.png"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
    for image in whole(tmp_path / "new").images:
        with Image.open(image.path) as file:
            assert file.mode in ("RGB", "L")
            assert file.size == image.size_hw[::-1]
            assert 0x0112 not in file.getexif()
        original = read_image(tmp_path / image.image_id).astype(float)
        assert np.abs(read_image(image.path) - original).mean() < 3
    assert "5 images were written anew, upright and in 8-bit RGB" in written.notes


def test_a_used_folder_is_refused_and_an_empty_one_is_used(tmp_path: Path) -> None:
    splits = example(tmp_path / "old")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").write_text("")
    with pytest.raises(DataError, match="exists and is not an empty folder"):
        write_dataset(splits, tmp_path / "used", format="yolo")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    write_dataset(splits, tmp_path / "empty", format="yolo")
    assert_same(read_all(tmp_path / "empty"), splits)
    assert not [path for path in (tmp_path / "empty").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_where_writing_fails(tmp_path: Path, there: bool) -> None:
    splits = example(tmp_path / "old")
    splits["val"].images[0].path.unlink()
    if there:
        (tmp_path / "new").mkdir()
    with pytest.raises(DataError, match=r"y\.png: cannot be copied to .*No such file"):
        write_dataset(splits, tmp_path / "new", format="voc")
    assert sorted(path.name for path in tmp_path.iterdir()) == (["new", "old"] if there else ["old"])
    assert not list((tmp_path / "new").iterdir()) if there else True


def test_a_file_that_is_not_an_image_is_copied_and_a_damaged_one_ends_an_upright_copy(tmp_path: Path) -> None:
    splits = example(tmp_path / "old")
    path = splits["val"].images[0].path
    path.rename(path.with_suffix(".bmp")).write_bytes(b"BM damaged")
    damaged = AnnotatedImage("1", path.with_suffix(".bmp"), SIZE_HW, GroundTruth.empty())
    written = write_dataset({"train": split_of([damaged])}, tmp_path / "plain", format="csv", upright=True)
    assert written.images == {"train": 1}
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 4)).astype(np.uint8)
    Image.fromarray(noise, "CMYK").save(path.with_suffix(".jpg"))
    data = path.with_suffix(".jpg").read_bytes()
    path.with_suffix(".jpg").write_bytes(data[: len(data) // 2])
    cut = AnnotatedImage("1", path.with_suffix(".jpg"), (60, 60), GroundTruth.empty())
    with pytest.raises(ImageReadError, match="cut off"):
        write_dataset({"train": split_of([cut])}, tmp_path / "new", format="csv", upright=True)
    assert not (tmp_path / "new").exists()


def test_duplicates_are_mentioned(tmp_path: Path) -> None:
    truth = GroundTruth.from_boxes([[0, 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]], [0, 0, 1])
    splits = {"train": split_of([AnnotatedImage("1", put(tmp_path / "a.jpg"), SIZE_HW, truth)])}
    (note,) = [note for note in write_dataset(splits, tmp_path / "new", format="csv").notes if "duplicates" in note]
    assert note.startswith("1 objects have class and box of another one")


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    splits = example(tmp_path / "old")
    with pytest.raises(ConfigError, match="different classes"):
        write_dataset({**splits, "val": split_of([], names=("x",))}, tmp_path / "new", format="voc")
    for file_format in ("voc", "yolo"):
        with pytest.raises(ConfigError, match="cannot say where images are; use --images link"):
            write_dataset(splits, tmp_path / "new", format=file_format, images="none")
    for file_format, name in (("voc", "a\x01"), ("csv", "a\nb"), ("yolo", "\ud800")):
        with pytest.raises(DataError, match=r"has characters that .* cannot hold"):
            write_dataset({"train": split_of([], names=(name,))}, tmp_path / "new", format=file_format)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_splits_with_other_category_ids_keep_them_in_coco_and_are_mentioned_elsewhere(tmp_path: Path) -> None:
    splits = example(tmp_path / "old")
    other = split_of(list(splits["val"].images), category_ids=(1, 2, 3, 4))
    written = write_dataset({**splits, "val": other}, tmp_path / "coco", format="coco")
    content = json.loads((tmp_path / "coco" / "annotations" / "instances_val.json").read_text(encoding="utf-8"))
    assert [category["id"] for category in content["categories"]] == [1, 2, 3, 4]
    assert any("different category ids" in note for note in written.notes)
